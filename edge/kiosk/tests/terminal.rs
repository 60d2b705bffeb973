//! A terminal before the bench hospital: answers that are lost, refusals that pass, and who may open the page.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails the test")]
#![expect(clippy::indexing_slicing, reason = "JSON answers null")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use his::{Bridge, Profile};
use hub::{Hub, SlipFont};
use kiosk::{Config, Kiosk, Needs};
use kit::process::{Process, binary};
use records::{Clock, Ids, SystemClock, TenantId};
use serde_json::{Value, json};
use store::{Scope, SqliteOptions, Store};
use tokio_util::sync::CancellationToken;

const PROFILE: &str = include_str!("../../his/profiles/bench.toml");

struct Hall {
    http: reqwest::Client,
    page: String,
    his: String,
    reader: String,
    stop: CancellationToken,
    _processes: [Process; 2],
    _folder: tempfile::TempDir,
}

impl Hall {
    async fn open() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let [soap, mllp, control, readers, listen] = kit::ports::free_ports::<5>();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let words = |w: &[&str]| w.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let ports = [soap, mllp, control].map(|p| p.to_string());
        let his = [
            words(&["his", "--db", &path("his.sqlite"), "--seed", "42"]),
            words(&["--soap", &ports[0], "--mllp", &ports[1], "--control", &ports[2]]),
        ];
        let front = ["reader", "--card", &path("card.tty"), "--scanner", &path("scanner.tty")].map(str::to_owned);
        let front = [front.to_vec(), vec!["--control".to_owned(), readers.to_string()]].concat();
        let start = |args: &[String]| {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            Process::start(binary("hil"), &args).ready(Duration::from_secs(60))
        };
        let processes = [start(&his.concat()), start(&front)];
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let database = folder.path().join("edge.sqlite");
        let store = Store::open_sqlite(&database, SqliteOptions::default(), Arc::clone(&clock))
            .await
            .unwrap();
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
        let hub = Hub::open(store.clone(), tenant.clone(), Vec::new(), SlipFont::default())
            .await
            .unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], listen));
        let config: Config = serde_json::from_value(json!({
            "listen": listen, "hospital": "永州示范医院", "card_reader": path("card.tty"), "scanner": path("scanner.tty"),
        }))
        .unwrap();
        config.check(std::iter::empty()).unwrap();
        let scope = Scope::system(tenant);
        let needs = Needs {
            bridge,
            hub,
            store,
            scope,
            clock,
            online: Arc::new(|| false),
        };
        let (kiosk, stop) = (Kiosk::open(config, needs), CancellationToken::new());
        let listener = tokio::net::TcpListener::bind(listen).await.unwrap();
        let (desk, ended) = (kiosk.clone(), stop.clone());
        tokio::spawn(async move { desk.run(ended).await });
        let ended = stop.clone();
        tokio::spawn(async move { kiosk.serve_page(listener, ended).await });
        Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            page: format!("http://{listen}"),
            his: format!("http://127.0.0.1:{control}/control"),
            reader: format!("http://127.0.0.1:{readers}/control"),
            stop,
            _processes: processes,
            _folder: folder,
        }
    }

    async fn post(&self, url: String, body: Value) -> Value {
        let sent = self
            .http
            .post(&url)
            .header("content-type", "application/json")
            .body(body.to_string());
        let answer = sent.send().await.unwrap();
        assert!(answer.status().is_success(), "{url}: {}", answer.status());
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
    }

    async fn screen(&self) -> Value {
        let mut answer = self.http.get(format!("{}/api/screen", self.page)).send().await.unwrap();
        let mut text = Vec::new();
        while !text.ends_with(b"\n\n") {
            text.extend_from_slice(&answer.chunk().await.unwrap().unwrap());
        }
        let text = String::from_utf8(text).unwrap();
        serde_json::from_str(text.lines().find_map(|l| l.strip_prefix("data: ")).unwrap()).unwrap()
    }

    async fn until(&self, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let screen = self.screen().await;
            if so(&screen) {
                return screen;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(40),
                "waited in vain for {what}: {screen}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn tap(&self, act: &str) {
        let session = self.screen().await["session"].clone();
        self.post(
            format!("{}/api/tap", self.page),
            json!({ "session": session, "act": act }),
        )
        .await;
    }

    async fn taken(&self) -> usize {
        let calls = self
            .http
            .get(format!("{}/requests", self.his))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let calls: Value = serde_json::from_str(&calls).unwrap();
        calls
            .as_array()
            .unwrap()
            .iter()
            .filter(|c| c["op"] == "takeNetNo")
            .count()
    }

    /// Registers somebody for today and brings them to the list of visits by the barcode of their card.
    async fn comes(&self, patient: &str, card: &str) {
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

    async fn fault(&self, kind: &str, code: &str, message: &str) {
        let rule = json!({ "op": "takeNetNo", "kind": kind, "code": code, "message": message, "times": 1 });
        self.post(format!("{}/faults", self.his), rule).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lost_takes_no_second_number_and_a_refusal_passes() {
    let hall = Hall::open().await;
    let number = |s: &Value| s["view"] == "ticket";

    // Done, and the answer was lost: it is asked about, not done again.
    hall.comes("P000001", "8000000001").await;
    hall.fault("result_after_commit", "-2", "接口异常").await;
    hall.tap("visit:0").await;
    let first = hall.until("a number", number).await;
    assert_eq!(hall.taken().await, 1);
    // There is no printer at this one: the number stands on the screen.
    assert!(
        hall.until("told", |s| s["lead"].to_string().contains("没有打印机"))
            .await["lead"]
            .to_string()
            .contains("记下号码")
    );
    hall.tap("leave").await;

    // Not done, and nobody knows: it is asked about, found absent, and done once.
    hall.comes("P000002", "8000000002").await;
    hall.fault("result", "-2", "接口异常").await;
    hall.tap("visit:0").await;
    let second = hall.until("a number", number).await;
    assert_ne!(first["big"], second["big"]);
    assert_eq!(hall.taken().await, 3);
    hall.tap("leave").await;

    // Refused in the hospital's words; what was too early is right later.
    hall.comes("P000003", "8000000003").await;
    hall.fault("result", "2", "未到报到时间，请稍后再来").await;
    hall.tap("visit:0").await;
    let refused = hall.until("the hospital's words", |s| s["view"] == "problem").await;
    assert_eq!(refused["lead"], "未到报到时间，请稍后再来");
    hall.tap("back").await;
    hall.tap("task:check_in").await;
    hall.until("the visit of today", |s| s["rows"][0]["state"] == "待报到")
        .await;
    hall.tap("visit:0").await;
    let third = hall.until("a number", number).await;
    assert_ne!(third["big"], second["big"]);
    assert_eq!(hall.taken().await, 5);
    hall.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_terminal_under_its_own_name_sees_a_page() {
    let hall = Hall::open().await;
    hall.until("a screen", |s| s["view"] == "home").await;
    let asked = |path: &str, name: &'static str, value: &'static str| {
        hall.http.get(format!("{}{path}", hall.page)).header(name, value).send()
    };
    assert_eq!(asked("/", "x-nothing", "1").await.unwrap().status(), 200);
    assert_eq!(asked("/", "host", "evil.example").await.unwrap().status(), 403);
    assert_eq!(
        asked("/api/screen", "sec-fetch-site", "cross-site")
            .await
            .unwrap()
            .status(),
        403
    );
    let page = asked("/kiosk.js", "x-nothing", "1").await.unwrap();
    assert!(
        page.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    for body in [
        "",
        "{}",
        "[]",
        r#"{"session":1,"act":"admin"}"#,
        r#"{"session":-1,"act":"back"}"#,
    ] {
        let url = format!("{}/api/tap", hall.page);
        let sent = hall
            .http
            .post(url)
            .header("content-type", "application/json")
            .body(body)
            .send();
        assert_eq!(sent.await.unwrap().status(), 400, "{body}");
    }
    // The watchdog hears of a page that draws.
    let health = async || {
        hall.http
            .get(format!("{}/health", hall.page))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    };
    assert_eq!(health().await, r#"{"page_silent_s":null}"#);
    hall.post(format!("{}/api/drawn", hall.page), json!({})).await;
    assert!(health().await.starts_with(r#"{"page_silent_s":"#) && !health().await.contains("null"));
    // On another address only with a list of who may come.
    let open: Config = serde_json::from_value(json!({ "listen": "0.0.0.0:8093", "hospital": "医院" })).unwrap();
    assert!(open.check(std::iter::empty()).is_err());
    hall.stop.cancel();
}
