//! A hospital's systems as processes of their own, and a bridge in front of them.

#![expect(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use his::{Bridge, Profile};
use kit::process::{Process, binary};
use records::{Clock, HisCommand, Ids, Outcome, SystemClock, TenantId};
use serde_json::{Value, json};
use store::{Scope, SqliteOptions, Store, StoreError};

pub(crate) const PROFILE: &str = include_str!("../../profiles/bench.toml");

pub(crate) struct Hospital {
    pub(crate) process: Process,
    pub(crate) soap: u16,
    pub(crate) mllp: u16,
    pub(crate) control: u16,
    pub(crate) dir: tempfile::TempDir,
    args: Vec<String>,
    http: reqwest::Client,
}

impl Hospital {
    pub(crate) fn open(args: &[&str]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let [soap, mllp, control] = kit::ports::free_ports::<3>();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        let process = Self::start(&dir, [soap, mllp, control], &args);
        Self {
            process,
            soap,
            mllp,
            control,
            dir,
            args,
            http,
        }
    }

    fn start(dir: &tempfile::TempDir, ports: [u16; 3], args: &[String]) -> Process {
        let db = dir.path().join("his.sqlite");
        let [soap, mllp, control] = ports.map(|p| p.to_string());
        let mut all = vec!["his", "--db", db.to_str().unwrap(), "--seed", "42"];
        all.extend(["--soap", &soap, "--mllp", &mllp, "--control", &control]);
        all.extend(args.iter().map(String::as_str));
        Process::start(binary("hil"), &all).ready(Duration::from_secs(60))
    }

    /// Starts the system again with its books and ports.
    pub(crate) fn reopen(&mut self) {
        self.process = Self::start(&self.dir, [self.soap, self.mllp, self.control], &self.args);
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("http://127.0.0.1:{}/control/{path}", self.control);
        serde_json::from_str(&self.http.get(url).send().await.unwrap().text().await.unwrap()).unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("http://127.0.0.1:{}/control/{path}", self.control);
        let answer = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null)
    }

    /// Adds a fault rule; it must fire, see [`Hospital::fired`].
    pub(crate) async fn fault(&self, op: &str, kind: &str, more: Value) {
        let mut rule = json!({"op": op, "kind": kind});
        rule.as_object_mut()
            .unwrap()
            .extend(more.as_object().cloned().unwrap_or_default());
        self.post("faults", rule).await;
    }

    /// How often fault rules fired.
    pub(crate) async fn fired(&self) -> u64 {
        let faults = self.get("faults").await;
        let rules = faults
            .get("rules")
            .unwrap_or(&faults)
            .as_array()
            .cloned()
            .unwrap_or_default();
        rules.iter().filter_map(|r| r["fired"].as_u64()).sum()
    }

    /// Calls the hospital has seen and made, oldest first.
    pub(crate) async fn calls(&self) -> Vec<Value> {
        let all = self.get("requests").await;
        let all = all.get("requests").unwrap_or(&all).as_array();
        all.cloned().unwrap_or_default()
    }

    /// The site's profile; `engine` routes these operations over HL7.
    pub(crate) fn profile(&self, engine: &[&str], edit: impl Fn(&str) -> String) -> Profile {
        let text = edit(PROFILE);
        let addresses = BTreeMap::from([
            (
                "his".to_owned(),
                format!("http://127.0.0.1:{}/services/InternetHospital", self.soap),
            ),
            ("engine".to_owned(), format!("127.0.0.1:{}", self.mllp)),
        ]);
        let routes = engine
            .iter()
            .map(|op| ((*op).to_owned(), "engine".to_owned()))
            .collect();
        Profile::parse(&text).unwrap().at_site(&addresses, &routes).unwrap()
    }

    pub(crate) async fn bridge(&self, profile: Profile) -> Edge {
        Edge::open(&self.dir.path().join("edge.sqlite"), profile).await
    }
}

/// Tries again soon, and waits long for who only is slow.
pub(crate) fn quick(text: &str) -> String {
    text.replace("timeout_ms = 8000", "timeout_ms = 60000")
        .replace("connect_ms = 2000", "connect_ms = 30000")
        .replace("first_ms = 1000", "first_ms = 100")
        .replace("cap_ms = 60000", "cap_ms = 400")
}

/// As [`quick`]; these operations, whose answer will never come, are not waited for long.
pub(crate) fn impatient(text: &str, operations: &[&str]) -> String {
    operations.iter().fold(quick(text), |text, operation| {
        let head = format!("[operations.\"{operation}\"]\n");
        assert!(text.contains(&head), "{operation} is not in the profile");
        text.replace(&head, &format!("{head}timeout_ms = 1500\n"))
    })
}

pub(crate) struct Edge {
    pub(crate) bridge: Bridge,
    pub(crate) store: Store,
    pub(crate) scope: Scope,
}

impl Edge {
    pub(crate) async fn open(path: &Path, profile: Profile) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open_sqlite(path, SqliteOptions::default(), Arc::clone(&clock))
            .await
            .unwrap();
        let tenant = TenantId::parse("hos_binhe").unwrap();
        let scope = Scope::system(tenant.clone());
        let ids = Arc::new(Ids::new(records::SeededEntropy::new(u64::from(std::process::id()))));
        let bridge = Bridge::open(store.clone(), tenant, profile, clock, ids).await.unwrap();
        Self { bridge, store, scope }
    }

    pub(crate) async fn ask(&self, method: &str, request: Value) -> Outcome<Value> {
        self.bridge.call(method, None, Duration::from_secs(60), request).await
    }

    pub(crate) async fn done(&self, method: &str, request: Value) -> Value {
        match self.ask(method, request).await {
            Outcome::Done(value) => value,
            other => panic!("{method}: {other:?}"),
        }
    }

    pub(crate) async fn write(&self, method: &str, key: &str, request: Value) -> Outcome<Value> {
        self.bridge
            .call(method, Some(key), Duration::from_secs(60), request)
            .await
    }

    pub(crate) async fn command(&self, key: &str, method: &str, subject: &str, request: Value) {
        let command = HisCommand {
            key: key.into(),
            method: method.into(),
            subject: subject.into(),
            request,
        };
        self.store
            .write(&self.scope, move |tx| {
                let command = command.clone();
                Box::pin(async move { Bridge::accept(tx, &command).await })
            })
            .await
            .map_err(|e: StoreError| e)
            .unwrap();
        self.bridge.wake();
    }

    /// Results in the outbox, oldest first.
    pub(crate) async fn results(&self) -> Vec<Value> {
        self.outbox("his.command.result").await
    }

    /// Entries of a kind in the outbox, oldest first.
    pub(crate) async fn outbox(&self, kind: &'static str) -> Vec<Value> {
        let rows = self.store.read(&self.scope, move |tx| {
            Box::pin(async move {
                tx.all::<(Value,)>("SELECT body FROM store_outbox WHERE kind = $1 ORDER BY seq", &[&kind])
                    .await
            })
        });
        rows.await
            .map_err(|e: StoreError| e)
            .unwrap()
            .into_iter()
            .map(|r| r.0)
            .collect()
    }

    /// Waits until so many results are there.
    pub(crate) async fn wait_results(&self, wanted: usize) -> Vec<Value> {
        let until = tokio::time::Instant::now() + Duration::from_secs(120);
        loop {
            let results = self.results().await;
            if results.len() >= wanted {
                return results;
            }
            assert!(tokio::time::Instant::now() < until, "only {results:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
