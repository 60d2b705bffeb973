//! A hall with two terminals before the bench hospital.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use his::{Bridge, Profile};
use hub::{Hub, SlipFont};
use kiosk::{Config, Kiosk, Needs};
use kit::process::{Process, binary};
use records::line::{CardCheck, kind};
use records::{Clock, Ids, Lane, PeerId, SystemClock, TenantId, Timestamp};
use serde_json::{Value, json};
use store::{Scope, SqliteOptions, Store, StreamKey};
use tokio_util::sync::CancellationToken;

/// For whatever must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The last four of a patient's identity document.
pub(crate) fn tail(patient: &Value) -> String {
    let number = patient["id_number"].as_str().unwrap();
    number[number.len() - 4..].to_owned()
}

const PROFILE: &str = include_str!("../../../his/profiles/bench.toml");

/// The machine's clock moved to noon in China: whoever is registered for today comes today.
struct Noon {
    ahead_s: i64,
}

impl Noon {
    fn today() -> Self {
        let of_day = (SystemClock.now().as_seconds() + 8 * 3_600).rem_euclid(86_400);
        Self {
            ahead_s: 12 * 3_600 - of_day,
        }
    }
}

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(SystemClock.now().as_micros() + self.ahead_s * 1_000_000)
    }
}

/// The hospital and its hall with terminals, each with its own readers; only the second has a printer.
pub(crate) struct Hall {
    pub(crate) http: reqwest::Client,
    pub(crate) page: String,
    pub(crate) his: String,
    pub(crate) reader: String,
    /// Page and readers of the second terminal.
    pub(crate) other: (String, String),
    /// Control of the second terminal's printer.
    paper: String,
    pub(crate) bridge: Bridge,
    pub(crate) store: Store,
    pub(crate) scope: Scope,
    /// Of the hospital and of the hall.
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: CancellationToken,
    _processes: Vec<Process>,
    folder: tempfile::TempDir,
}

impl Hall {
    pub(crate) async fn open() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let [soap, mllp, control, paper, papers] = kit::ports::free_ports::<5>();
        let fronts: [[u16; 2]; 2] = [kit::ports::free_ports(), kit::ports::free_ports()];
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let words = |w: &[&str]| w.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let ports = [soap, mllp, control].map(|p| p.to_string());
        let his = [
            words(&["his", "--db", &path("his.sqlite"), "--seed", "42"]),
            words(&["--soap", &ports[0], "--mllp", &ports[1], "--control", &ports[2]]),
        ];
        let line = |name: &str, n: usize| path(&format!("{name}-{n}.tty"));
        let front = |n: usize| {
            let args = [
                "reader",
                "--card",
                &line("card", n),
                "--scanner",
                &line("scanner", n),
                "--control",
            ];
            [words(&args), vec![fronts[n][0].to_string()]].concat()
        };
        let start = |args: &[String]| {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            Process::start(binary("hil"), &args).ready(Duration::from_secs(60))
        };
        let printer = [
            words(&[
                "printer",
                "--port",
                &paper.to_string(),
                "--control",
                &papers.to_string(),
            ]),
            words(&[
                "--dots",
                "1280",
                "--dpi",
                "300",
                "--rows-per-s",
                "1772",
                "--language",
                "tspl",
            ]),
        ];
        let processes = vec![
            start(&his.concat()),
            start(&front(0)),
            start(&front(1)),
            start(&printer.concat()),
        ];
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let noon = Noon::today();
        let moved = http
            .post(format!("http://127.0.0.1:{control}/control/clock"))
            .header("content-type", "application/json")
            .body(json!({ "offset_s": noon.ahead_s }).to_string());
        assert!(moved.send().await.unwrap().status().is_success());
        let clock: Arc<dyn Clock> = Arc::new(noon);
        let database = folder.path().join("edge.sqlite");
        let store = Store::open_sqlite(&database, SqliteOptions::default(), Arc::clone(&clock))
            .await
            .unwrap();
        store.migrate(kiosk::MIGRATIONS).await.unwrap();
        let tenant = TenantId::parse("hos_binhe").unwrap();
        let address = format!("http://127.0.0.1:{soap}/services/InternetHospital");
        let addresses = BTreeMap::from([("his".to_owned(), address)]);
        let profile = Profile::parse(PROFILE)
            .unwrap()
            .at_site(&addresses, &BTreeMap::new())
            .unwrap();
        let ids = Arc::new(Ids::new(records::SeededEntropy::new(7)));
        let bridge = Bridge::open(store.clone(), tenant.clone(), profile, Arc::clone(&clock), ids)
            .await
            .unwrap();
        let printers = json!([{
            "id": "hall", "name": "大厅", "address": format!("127.0.0.1:{paper}"), "language": "tspl", "width": 1280, "dpi": 300,
        }]);
        let printers = serde_json::from_value(printers).unwrap();
        let hub = Hub::open(store.clone(), tenant.clone(), printers, SlipFont::default())
            .await
            .unwrap();
        let config = |n: usize| -> Config {
            serde_json::from_value(json!({
                "name": format!("{n} 号机"), "listen": SocketAddr::from(([127, 0, 0, 1], fronts[n][1])), "hospital": "永州示范医院",
                "card_reader": line("card", n), "scanner": line("scanner", n), "printer": (n == 1).then_some("hall"),
                "patient_app": "https://cloud.example/patient",
            }))
            .unwrap()
        };
        let configs = [config(0), config(1)];
        kiosk::check_all(&configs, std::iter::once("hall")).unwrap();
        let (scope, stop) = (Scope::system(tenant), CancellationToken::new());
        let (spool, ended) = (hub.clone(), stop.clone());
        tokio::spawn(async move { spool.run(ended).await });
        for config in configs {
            let listener = tokio::net::TcpListener::bind(config.listen).await.unwrap();
            let needs = Needs {
                bridge: bridge.clone(),
                hub: hub.clone(),
                store: store.clone(),
                scope: scope.clone(),
                clock: Arc::clone(&clock),
                online: Arc::new(|| false),
            };
            let kiosk = Kiosk::open(config, needs);
            let (desk, ended) = (kiosk.clone(), stop.clone());
            tokio::spawn(async move { desk.run(ended).await });
            let ended = stop.clone();
            tokio::spawn(async move { kiosk.serve_page(listener, ended).await });
        }
        let page = |n: usize| format!("http://127.0.0.1:{}", fronts[n][1]);
        let reader = |n: usize| format!("http://127.0.0.1:{}/control", fronts[n][0]);
        Self {
            http,
            page: page(0),
            his: format!("http://127.0.0.1:{control}/control"),
            reader: reader(0),
            other: (page(1), reader(1)),
            paper: format!("http://127.0.0.1:{papers}"),
            bridge,
            store,
            scope,
            clock,
            stop,
            _processes: processes,
            folder,
        }
    }

    pub(crate) async fn post(&self, url: String, body: Value) -> Value {
        let sent = self
            .http
            .post(&url)
            .header("content-type", "application/json")
            .body(body.to_string());
        let answer = sent.send().await.unwrap();
        assert!(answer.status().is_success(), "{url}: {}", answer.status());
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
    }

    pub(crate) async fn screen_of(&self, page: &str) -> Value {
        let mut answer = self.http.get(format!("{page}/api/screen")).send().await.unwrap();
        let mut text = Vec::new();
        while !text.ends_with(b"\n\n") {
            text.extend_from_slice(&answer.chunk().await.unwrap().unwrap());
        }
        let text = String::from_utf8(text).unwrap();
        serde_json::from_str(text.lines().find_map(|l| l.strip_prefix("data: ")).unwrap()).unwrap()
    }

    pub(crate) async fn until(&self, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        self.until_at(&self.page, what, so).await
    }

    pub(crate) async fn until_at(&self, page: &str, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let screen = self.screen_of(page).await;
            if so(&screen) {
                return screen;
            }
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}: {screen}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn tap(&self, act: &str) {
        self.tap_at(&self.page, act).await;
    }

    pub(crate) async fn tap_at(&self, page: &str, act: &str) {
        let session = self.screen_of(page).await["session"].clone();
        let tap = json!({ "session": session, "act": act });
        self.post(format!("{page}/api/tap"), tap).await;
    }

    async fn get(&self, url: String) -> reqwest::Response {
        let answer = self.http.get(&url).send().await.unwrap();
        assert!(answer.status().is_success(), "{url}: {}", answer.status());
        answer
    }

    pub(crate) async fn told(&self, url: String) -> Value {
        serde_json::from_str(&self.get(url).await.text().await.unwrap()).unwrap()
    }

    /// How many papers came out of the second terminal.
    pub(crate) async fn papers(&self) -> usize {
        let jobs = self.told(format!("{}/control/jobs", self.paper)).await;
        jobs.as_array().unwrap().len()
    }

    /// The code on its newest paper, as another program's scanner reads it.
    pub(crate) async fn code_on_paper(&self) -> String {
        let jobs = self.told(format!("{}/control/jobs", self.paper)).await;
        let png = jobs.as_array().unwrap().last().unwrap()["png"]
            .as_str()
            .unwrap()
            .to_owned();
        let bytes = self.get(format!("{}{png}", self.paper)).await.bytes().await.unwrap();
        let file = self.folder.path().join("paper.png");
        std::fs::write(&file, &bytes).unwrap();
        // The two symbols of our papers: others are also seen in lines of text.
        let symbols = ["-Sdisable", "-Scode128.enable", "-Sqrcode.enable"];
        let read = Command::new("zbarimg")
            .args(["-q", "--raw"])
            .args(symbols)
            .arg(&file)
            .output()
            .unwrap();
        String::from_utf8(read.stdout).unwrap().trim().to_owned()
    }

    pub(crate) async fn taken(&self) -> usize {
        self.asked("takeNetNo").await
    }

    /// How often the hospital was asked this.
    pub(crate) async fn asked(&self, operation: &str) -> usize {
        let calls = self.told(format!("{}/requests", self.his)).await;
        calls
            .as_array()
            .unwrap()
            .iter()
            .filter(|c| c["op"] == operation)
            .count()
    }

    /// What goes to the hospital's audit, the oldest first.
    pub(crate) async fn card_checks(&self) -> Vec<CardCheck> {
        let key = StreamKey::new(self.scope.tenant.clone(), PeerId::cloud(), Lane::Clinical);
        let waiting = self.store.outbox_after(&key, 0, 1_000, 1 << 20).await.unwrap();
        let checks = waiting.iter().filter(|entry| entry.kind == kind::CARD_CHECK);
        checks.map(|entry| serde_json::from_str(&entry.body).unwrap()).collect()
    }

    /// Registers somebody for today and brings them to the list of visits by the barcode of their card.
    pub(crate) async fn comes(&self, patient: &str, card: &str) {
        self.post(
            format!("{}/walk-in", self.his),
            json!({ "patId": patient, "doctorCode": "D0001" }),
        )
        .await;
        self.until("the home page", |s| s["view"] == "home").await;
        self.tap("task:check_in").await;
        self.until("asked who", |s| s["view"] == "identify" && s["notices"] == json!([]))
            .await;
        self.post(format!("{}/code", self.reader), json!({ "text": card }))
            .await;
        self.until("the visit of today", |s| s["rows"][0]["state"] == "待报到")
            .await;
    }

    pub(crate) async fn fault(&self, kind: &str, code: &str, message: &str) {
        let rule = json!({ "op": "takeNetNo", "kind": kind, "code": code, "message": message, "times": 1 });
        self.post(format!("{}/faults", self.his), rule).await;
    }
}
