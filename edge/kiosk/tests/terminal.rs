//! A terminal before the bench hospital: answers that are lost, refusals that pass, and who may open the page.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails the test")]
#![expect(clippy::indexing_slicing, reason = "JSON answers null")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use block::Gcm;
use gm::{Signer, Sm2Key};
use his::{Bridge, Profile};
use hub::{Hub, SlipFont};
use kiosk::{Config, Kiosk, Needs};
use kit::process::{Process, binary};
use records::patient_code::{Bearer, LIFE, PatientCode, PatientCodeKey};
use records::{Clock, Ids, SystemClock, TenantId, Timestamp};
use serde_json::{Value, json};
use store::{Scope, SqliteOptions, Store};
use tokio_util::sync::CancellationToken;

const PROFILE: &str = include_str!("../../his/profiles/bench.toml");

/// The hospital and its hall with terminals, each with its own readers.
struct Hall {
    http: reqwest::Client,
    page: String,
    his: String,
    reader: String,
    /// Page and readers of the second terminal.
    other: (String, String),
    store: Store,
    scope: Scope,
    stop: CancellationToken,
    _processes: Vec<Process>,
    _folder: tempfile::TempDir,
}

impl Hall {
    async fn open() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let [soap, mllp, control] = kit::ports::free_ports::<3>();
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
        let processes = vec![start(&his.concat()), start(&front(0)), start(&front(1))];
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
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
        let hub = Hub::open(store.clone(), tenant.clone(), Vec::new(), SlipFont::default())
            .await
            .unwrap();
        let config = |n: usize| -> Config {
            serde_json::from_value(json!({
                "name": format!("{n} 号机"), "listen": SocketAddr::from(([127, 0, 0, 1], fronts[n][1])), "hospital": "永州示范医院",
                "card_reader": line("card", n), "scanner": line("scanner", n),
            }))
            .unwrap()
        };
        let configs = [config(0), config(1)];
        kiosk::check_all(&configs, std::iter::empty()).unwrap();
        let (scope, stop) = (Scope::system(tenant), CancellationToken::new());
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
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            page: page(0),
            his: format!("http://127.0.0.1:{control}/control"),
            reader: reader(0),
            other: (page(1), reader(1)),
            store,
            scope,
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
        self.screen_of(&self.page).await
    }

    async fn screen_of(&self, page: &str) -> Value {
        let mut answer = self.http.get(format!("{page}/api/screen")).send().await.unwrap();
        let mut text = Vec::new();
        while !text.ends_with(b"\n\n") {
            text.extend_from_slice(&answer.chunk().await.unwrap().unwrap());
        }
        let text = String::from_utf8(text).unwrap();
        serde_json::from_str(text.lines().find_map(|l| l.strip_prefix("data: ")).unwrap()).unwrap()
    }

    async fn until(&self, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        self.until_at(&self.page, what, so).await
    }

    async fn until_at(&self, page: &str, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let screen = self.screen_of(page).await;
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

/// What is known at one terminal is not known at the other, and a code that was shown to one opens nothing at the other.
#[tokio::test(flavor = "multi_thread")]
async fn two_terminals_serve_two_people_and_take_a_code_once_between_them() {
    let hall = Hall::open().await;
    let signer = Sm2Key::from_secret([7; 32].into()).unwrap();
    let (bearer, seal) = (
        Bearer {
            his_patient_id: "P000001".to_owned(),
            name: "王小明".to_owned(),
            task: String::new(),
        },
        [9; 16],
    );
    let code = |nonce: u8| {
        let expires_at = Timestamp::from_seconds(SystemClock.now().plus(LIFE).as_seconds());
        let mut sealed = bearer.to_bytes();
        let bound = PatientCode::bound(&hall.scope.tenant, expires_at);
        let tag = Gcm::new(&seal).seal_in_place(&[nonce; 12], &bound, &mut sealed);
        sealed.extend_from_slice(&tag);
        let mut code = PatientCode {
            expires_at,
            nonce: [nonce; 12],
            sealed,
            signature: Vec::new(),
        };
        code.signature = signer.sign(&code.signed(&hall.scope.tenant)).unwrap();
        code.text()
    };
    let ready = |s: &Value| s["view"] == "home" && s["notices"] == json!([]);
    let (page, reader) = &hall.other;
    hall.until("the first terminal", ready).await;
    hall.until_at(page, "the second terminal", ready).await;
    let show = async |reader: &str, text: String| {
        hall.post(format!("{reader}/code"), json!({ "text": text })).await;
    };
    // No key has come yet.
    show(&hall.reader, code(1)).await;
    hall.until("told", |s| s["title"].to_string().contains("尚未开通就诊码"))
        .await;
    let key = PatientCodeKey {
        point: hex::encode(signer.public_key().bytes()),
        seal: hex::encode(seal),
    };
    let told = hall.store.write(&hall.scope, move |tx| {
        let key = key.clone();
        Box::pin(async move { kiosk::accept_key(tx, &key).await })
    });
    told.await.unwrap();
    show(&hall.reader, code(1)).await;
    let menu = hall.until("the menu", |s| s["view"] == "menu").await;
    assert_eq!(menu["person"], "王*明");
    let apart = hall.screen_of(page).await;
    assert_eq!((&apart["view"], &apart["person"]), (&json!("home"), &Value::Null));
    // The same symbol at the next terminal; a fresh one of somebody else's phone is served there.
    show(reader, code(1)).await;
    hall.until_at(page, "refused", |s| s["title"].to_string().contains("已经用过"))
        .await;
    show(reader, code(2)).await;
    hall.until_at(page, "the menu", |s| s["view"] == "menu").await;
    hall.tap("leave").await;
    hall.until("home", |s| s["view"] == "home").await;
    assert_eq!(hall.screen_of(page).await["view"], "menu", "who stands there stays");
    hall.stop.cancel();
}

/// The unit says nothing that systemd does not know, and leaves its program little: judged by systemd's own tools. On the
/// bench there is no compositor to start.
#[test]
fn the_unit_is_one_that_systemd_understands_and_locks_down() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/yiqiao-kiosk.service");
    let judged = |args: &[&str]| {
        let out = std::process::Command::new("systemd-analyze")
            .args(args)
            .arg(unit)
            .output();
        let out = out.unwrap();
        let said = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let (_, said) = judged(&["verify", "--man=no"]);
    let others: Vec<&str> = said
        .lines()
        .filter(|l| !l.contains("/usr/bin/cage is not executable"))
        .collect();
    assert!(others.is_empty(), "{said}");
    // Tenths: 2.6 of 10, where more is worse.
    let (fits, said) = judged(&["security", "--offline=true", "--no-pager", "--threshold=30"]);
    assert!(fits, "{said}");
}
