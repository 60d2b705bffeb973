//! An application and two appliances through the client: one is lost in the middle, nothing is lost with it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::{Algorithm, Certificate};
use hmac::{Hmac, KeyInit, Mac};
use kit::ports::free_port;
use records::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};
use signd_client::{Client, Content, Error, Identity, Settings, SignData};
use sm3::Sm3;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::replica::{Appliance, pair, until_alike};
use crate::site::{Answer, take};

const CALLERS: usize = 8;
const EACH: usize = 60;

/// A certificate for both appliances' interfaces.
struct Tls {
    dir: TempDir,
    pem: String,
}

impl Tls {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("certificate");
        let pem = made.cert.pem();
        std::fs::write(dir.path().join("signd.pem"), &pem).expect("written");
        std::fs::write(dir.path().join("signd.key"), made.signing_key.serialize_pem()).expect("written");
        Self { dir, pem }
    }

    /// The section of an applications' interface.
    fn section(&self, port: u16) -> String {
        let (certificate, key) = (self.dir.path().join("signd.pem"), self.dir.path().join("signd.key"));
        format!("[service]\nlisten = \"127.0.0.1:{port}\"\ncertificate = {certificate:?}\nkey = {key:?}\n")
    }

    fn settings(&self, ports: &[u16], key: &[u8]) -> Settings {
        let servers = ports.iter().map(|port| format!("https://127.0.0.1:{port}"));
        let mut settings = Settings::new(servers, Identity::request_key("app_his", key));
        settings.trust_pem.clone_from(&self.pem);
        settings.deadline = Duration::from_secs(300);
        settings.patience = Duration::from_secs(60);
        settings
    }
}

/// The application's request key.
async fn secret(appliance: &Appliance) -> Vec<u8> {
    let path = "applications/app_his/secret";
    let made = appliance.operator.browser.post(path, json!({})).await.done();
    STANDARD
        .decode(made["secret"].as_str().expect("secret"))
        .expect("Base64")
}

/// How many entries say that this was signed.
fn entries(state: &Path, data: &str) -> u32 {
    let log = rusqlite::Connection::open(state.join("signd.db")).expect("log");
    let digest = hex::encode(gm::sm3(data.as_bytes()));
    let sql = "SELECT count(*) FROM log WHERE act = 'data.signed' AND subject = 'app_his' AND instr(detail, ?1) > 0";
    log.query_row(sql, [digest], |row| row.get(0)).expect("count")
}

/// Rows: AP-236
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_that_is_lost_mid_load_takes_no_signature_and_no_entry_with_it() {
    let tls = Tls::new();
    let ports = [free_port(), free_port()];
    let mut source = Appliance::new("一号机", &tls.section(ports[0])).await;
    let follower = Appliance::new("二号机", &tls.section(ports[1])).await;
    source.furnish().await;
    let key = secret(&source).await;
    pair(&source, &follower, true).await;
    until_alike(&source, &follower).await;

    let client = Client::new(tls.settings(&ports, &key)).expect("client");
    let done = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (client, done) = (client.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut signed = Vec::new();
                for number in 0..EACH {
                    let data = format!("处方 {caller}-{number}");
                    let asked = SignData::new(Content::Data(data.as_bytes()));
                    let answered = client.sign_data(&asked).await.expect("no request fails");
                    done.fetch_add(1, Ordering::Relaxed);
                    signed.push((data, answered));
                }
                signed
            })
        })
        .collect();
    while done.load(Ordering::Relaxed) < CALLERS * EACH / 3 {
        tokio::task::yield_now().await;
    }
    source.site.signd.kill();
    let mut signed = Vec::new();
    for caller in callers {
        signed.extend(caller.await.expect("caller"));
    }
    assert_eq!(signed.len(), CALLERS * EACH);

    // The lost one comes back, and has every entry of what it answered.
    source.site.power_cut();
    let states = [source.site.state(), follower.site.state()];
    let mut by = [0, 0];
    for (data, answered) in &signed {
        let at = ports
            .iter()
            .position(|port| answered.server.ends_with(&format!(":{port}")))
            .expect("server");
        by[at] += 1;
        let key = Certificate::parse(&answered.answer.certificate)
            .expect("certificate")
            .public_key;
        key.verify(Algorithm::Sm2, data.as_bytes(), &answered.answer.signature)
            .expect("holds");
        assert_eq!(entries(&states[at], data), 1, "{data} by {}", answered.server);
    }
    assert!(by[0] > 0 && by[1] > 0, "both answered: {by:?}");
    for state in &states {
        assert_eq!(
            refused(state),
            Vec::<String>::new(),
            "each was signed for the box it went to"
        );
    }
    let browser = source.site.browser();
    source.admin.sign_in(&browser).await.done();
    for browser in [&browser, &follower.admin.browser] {
        assert_eq!(browser.get("overview").await.done()["log"]["intact"], true);
    }
}

/// A request as somebody takes it down: at a balancer, in a proxy's log.
struct Captured {
    authorization: String,
    body: String,
}

impl Captured {
    fn signed_for(server: &str, key: &[u8], data: &str) -> Self {
        let body = json!({"data": STANDARD.encode(data)}).to_string();
        let (at, nonce) = (
            SystemClock.now(),
            hex::encode(gm::sm3(format!("{server} {data}").as_bytes())),
        );
        let digest = hex::encode(gm::sm3(body.as_bytes()));
        let mut mac = <Hmac<Sm3> as KeyInit>::new_from_slice(key).expect("key");
        mac.update(format!("POST\n/v1/data/sign\n{server}\n{at}\n{nonce}\n{digest}").as_bytes());
        let mac = hex::encode(mac.finalize().into_bytes());
        let authorization = format!("YQ-HMAC-SM3 app=app_his,server={server},time={at},nonce={nonce},mac={mac}");
        Self { authorization, body }
    }

    async fn send(&self, port: u16) -> Answer {
        let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true);
        let request = client.build().expect("client");
        let request = request.post(format!("https://127.0.0.1:{port}/v1/data/sign"));
        let request = request
            .header("authorization", &self.authorization)
            .header("content-type", "application/json");
        take(request.body(self.body.clone()).send().await.expect("answered")).await
    }
}

/// What was refused before any act began, oldest first.
fn refused(state: &Path) -> Vec<String> {
    let log = rusqlite::Connection::open(state.join("signd.db")).expect("log");
    let sql = "SELECT detail FROM log WHERE act = 'request.refused' ORDER BY seq";
    let mut rows = log.prepare(sql).expect("log");
    let rows = rows.query_map([], |row| row.get(0)).expect("log");
    rows.map(|row| row.expect("entry")).collect()
}

/// What applications sign their requests to it for, as its page says.
async fn names(appliance: &Appliance) -> (String, Value) {
    let overview = appliance.admin.browser.get("overview").await.done();
    let own = overview["server"].as_str().expect("a name").to_owned();
    (own, overview["common_name"].clone())
}

/// Rows: AP-236
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_down_at_one_box_is_refused_by_its_twin_and_audited() {
    let tls = Tls::new();
    let ports = [free_port(), free_port()];
    let source = Appliance::new("一号机", &tls.section(ports[0])).await;
    let follower = Appliance::new("二号机", &tls.section(ports[1])).await;
    source.furnish().await;
    let key = secret(&source).await;
    pair(&source, &follower, true).await;
    until_alike(&source, &follower).await;
    let ((one, none), (two, _)) = (names(&source).await, names(&follower).await);
    assert!(
        one.starts_with("srv_") && one != two && none.is_null(),
        "{one} {two} {none}"
    );

    let captured = Captured::signed_for(&one, &key, "处方 甲");
    captured.send(ports[0]).await.done();
    for _ in 0..2 {
        let answer = captured.send(ports[1]).await;
        assert_eq!(answer.headers["sign-for"], two.as_str());
        let text = answer.json()["text"].as_str().expect("text").to_owned();
        assert!(
            text.contains("另一台签名服务器") && text.contains(&one) && text.contains(&two),
            "{text}"
        );
        assert_eq!(answer.refused(), "other_server");
    }
    let audited = refused(&follower.site.state());
    let said = |entry: &String| {
        let begins = format!("refused other_server app_his 的请求签给 {one}，本机为 {two} via json from 127.0.0.1");
        *entry == begins
    };
    assert!(audited.len() == 2 && audited.iter().all(said), "{audited:?}");
    assert_eq!(entries(&follower.site.state(), "处方 甲"), 0);
    // The name is part of what is signed: written anew without the key it is nobody's request.
    let bent = Captured {
        authorization: captured.authorization.replace(&one, &two),
        body: captured.body.clone(),
    };
    assert_eq!(bent.send(ports[1]).await.refused(), "unauthenticated");
    // Signed for the twin it is done there.
    Captured::signed_for(&two, &key, "处方 乙").send(ports[1]).await.done();
    // Nobody's common name is accepted where none is configured.
    let common = Captured::signed_for(COMMON, &key, "处方 丙");
    assert_eq!(common.send(ports[0]).await.refused(), "other_server");
}

/// A name that both boxes share.
const COMMON: &str = "sign.hospital.cn";

/// The section of an applications' interface with the common name.
fn shared(tls: &Tls, port: u16) -> String {
    format!("{}common_name = \"{COMMON}\"\n", tls.section(port))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_balancer_a_client_signs_for_the_common_name_and_goes_on_when_a_box_is_lost() {
    let tls = Tls::new();
    let [first, second, balancer] = [free_port(), free_port(), free_port()];
    let mut source = Appliance::new("一号机", &shared(&tls, first)).await;
    let follower = Appliance::new("二号机", &shared(&tls, second)).await;
    source.furnish().await;
    let key = secret(&source).await;
    pair(&source, &follower, true).await;
    until_alike(&source, &follower).await;
    let (one, common) = names(&source).await;
    assert_eq!(common, COMMON);
    tokio::spawn(balance(listen(balancer).await, [first, second]));

    let mut settings = tls.settings(&[balancer], &key);
    settings.common_name = Some(COMMON.to_owned());
    // A connection for each request: each may come to another box.
    settings.idle_connections = 0;
    let client = Client::new(settings).expect("client");
    let sign = async |number: usize| {
        let data = format!("处方 {number}");
        let asked = SignData::new(Content::Data(data.as_bytes()));
        client.sign_data(&asked).await.expect("signed");
        data
    };
    let states = [source.site.state(), follower.site.state()];
    let mut by = [0, 0];
    for number in 0..200 {
        if number >= 8 && !by.contains(&0) {
            break;
        }
        let data = sign(number).await;
        let counts = [entries(&states[0], &data), entries(&states[1], &data)];
        assert_eq!(counts[0] + counts[1], 1);
        by = [by[0] + counts[0], by[1] + counts[1]];
    }
    assert!(by[0] > 0 && by[1] > 0, "both answered: {by:?}");
    // The price, as the settings and the page say: once at each.
    let captured = Captured::signed_for(COMMON, &key, "处方 甲");
    captured.send(first).await.done();
    captured.send(second).await.done();
    for port in [first, second] {
        assert_eq!(captured.send(port).await.refused(), "replayed");
    }
    // Their own names hold all the same, and are nobody else's.
    let captured = Captured::signed_for(&one, &key, "处方 乙");
    captured.send(first).await.done();
    assert_eq!(captured.send(second).await.refused(), "other_server");

    source.site.signd.kill();
    for number in 1000..1008 {
        let data = sign(number).await;
        assert_eq!(entries(&states[1], &data), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_signs_anew_by_itself_for_the_box_that_took_anothers_place() {
    let tls = Tls::new();
    let [first, second, address] = [free_port(), free_port(), free_port()];
    let mut source = Appliance::new("一号机", &tls.section(first)).await;
    let follower = Appliance::new("二号机", &tls.section(second)).await;
    source.furnish().await;
    let key = secret(&source).await;
    pair(&source, &follower, true).await;
    until_alike(&source, &follower).await;
    tokio::spawn(balance(listen(address).await, [first, first]));
    let mut settings = tls.settings(&[address], &key);
    settings.probe_every = Duration::from_secs(3600);
    let client = Client::new(settings).expect("client");
    let asked = SignData::new(Content::Data("前".as_bytes()));
    assert_eq!(client.sign_data(&asked).await.expect("signed").tries, 1);
    source.site.signd.kill();
    // The other machine takes over the address, with another name.
    tokio::spawn(balance(listen(first).await, [second, second]));
    let asked = SignData::new(Content::Data("后".as_bytes()));
    client.sign_data(&asked).await.expect("signed anew");
    assert_eq!(entries(&follower.site.state(), "后"), 1);
    let audited = refused(&follower.site.state());
    assert!(
        audited.len() == 1 && audited[0].starts_with("refused other_server "),
        "{audited:?}"
    );
    // What it was told it keeps to; a common name that no box has is said plainly.
    let asked = SignData::new(Content::Data("再".as_bytes()));
    assert_eq!(client.sign_data(&asked).await.expect("signed").tries, 1);
    let mut settings = tls.settings(&[second], &key);
    settings.common_name = Some(COMMON.to_owned());
    let client = Client::new(settings).expect("client");
    match client.sign_data(&asked).await {
        Err(Error::Refused { refusal, .. }) => assert_eq!(refusal.code, "other_server"),
        other => panic!("{other:?}"),
    }
}

async fn listen(port: u16) -> TcpListener {
    TcpListener::bind(("127.0.0.1", port)).await.expect("a place to listen")
}

/// A balancer: each connection goes to the next box in turn, or to the other one where that is away.
async fn balance(listener: TcpListener, boxes: [u16; 2]) {
    let mut turn = 0;
    loop {
        let (mut near, _) = listener.accept().await.expect("connection");
        turn += 1;
        let (next, other) = (boxes[turn % 2], boxes[(turn + 1) % 2]);
        tokio::spawn(async move {
            let far = match TcpStream::connect(("127.0.0.1", next)).await {
                Ok(far) => Ok(far),
                Err(_) => TcpStream::connect(("127.0.0.1", other)).await,
            };
            if let Ok(mut far) = far {
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_have_been_done_is_asked_again_and_done_once() {
    let tls = Tls::new();
    let [port, relay, closed] = [free_port(), free_port(), free_port()];
    let appliance = Appliance::new("一号机", &tls.section(port)).await;
    appliance.furnish().await;
    let key = secret(&appliance).await;
    let cut = Arc::new(AtomicBool::new(false));
    tokio::spawn(relay_to(listen(relay).await, port, Arc::clone(&cut)));

    let mut settings = tls.settings(&[relay], &key);
    settings.probe_every = Duration::from_secs(3600);
    let client = Client::new(settings).expect("client");
    for number in 0..3 {
        let data = format!("先 {number}");
        client
            .sign_data(&SignData::new(Content::Data(data.as_bytes())))
            .await
            .expect("signed");
    }
    cut.store(true, Ordering::SeqCst);
    let signed = client
        .sign_data(&SignData::new(Content::Data("断线".as_bytes())))
        .await
        .expect("signed");
    assert!(!cut.load(Ordering::SeqCst), "the answer was cut off");
    assert_eq!(signed.tries, 2);
    assert_eq!(
        entries(&appliance.site.state(), "断线"),
        1,
        "asked twice, signed and entered once"
    );

    // What was refused is refused at once, and in the server's own words.
    let mut wrong = SignData::new(Content::Data(b"1"));
    wrong.algorithm = Some("RSA-PSS-SHA256");
    match client.sign_data(&wrong).await {
        Err(Error::Refused { refusal, .. }) => assert_eq!(refusal.code, "sign_method"),
        other => panic!("{other:?}"),
    }
    // Nobody there: certainly nothing was done.
    let mut settings = tls.settings(&[closed], &key);
    settings.deadline = Duration::from_millis(300);
    let nobody = Client::new(settings).expect("client");
    let asked = SignData::new(Content::Data(b"1"));
    assert!(matches!(nobody.sign_data(&asked).await, Err(Error::NotDone(_))));
    // A server that nobody vouches for gets no request.
    let other = Tls::new();
    let mut settings = other.settings(&[port], &key);
    settings.deadline = Duration::from_millis(300);
    let wary = Client::new(settings).expect("client");
    assert!(matches!(wary.sign_data(&asked).await, Err(Error::NotDone(_))));
}

/// A client whose clock is behind.
#[derive(Debug)]
struct Behind(Duration);

impl Clock for Behind {
    fn now(&self) -> Timestamp {
        SystemClock.now().minus(self.0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_signs_anew_by_itself_after_a_server_restarted() {
    let tls = Tls::new();
    let port = free_port();
    let mut appliance = Appliance::new("一号机", &tls.section(port)).await;
    appliance.furnish().await;
    let key = secret(&appliance).await;
    let with = |behind: u64| {
        let mut settings = tls.settings(&[port], &key);
        settings.clock = Arc::new(Behind(Duration::from_secs(behind)));
        Client::new(settings).expect("client")
    };
    let (right, behind) = (with(0), with(200));
    for client in [&right, &behind] {
        let asked = SignData::new(Content::Data("前".as_bytes()));
        client.sign_data(&asked).await.expect("signed");
    }
    appliance.site.signd.kill();
    appliance.site.power_cut();
    for (n, client) in [&behind, &right].into_iter().enumerate() {
        let data = format!("后 {n}");
        let asked = SignData::new(Content::Data(data.as_bytes()));
        client.sign_data(&asked).await.expect("signed anew");
        assert_eq!(entries(&appliance.site.state(), &data), 1);
    }
    // What it was told it keeps to.
    let asked = SignData::new(Content::Data("再".as_bytes()));
    assert_eq!(behind.sign_data(&asked).await.expect("signed").tries, 1);
}

/// Passes bytes on. While `cut` is set, the next bytes that come back are swallowed and their connection is closed.
async fn relay_to(listener: TcpListener, port: u16, cut: Arc<AtomicBool>) {
    loop {
        let (near, _) = listener.accept().await.expect("connection");
        let cut = Arc::clone(&cut);
        tokio::spawn(async move {
            let far = TcpStream::connect(("127.0.0.1", port)).await.expect("server");
            let ((mut near_in, mut near_out), (mut far_in, mut far_out)) = (near.into_split(), far.into_split());
            let there = tokio::spawn(async move { tokio::io::copy(&mut near_in, &mut far_out).await });
            let mut bytes = vec![0; 16 * 1024];
            while let Ok(count @ 1..) = far_in.read(&mut bytes).await {
                if cut.swap(false, Ordering::SeqCst) || near_out.write_all(&bytes[..count]).await.is_err() {
                    break;
                }
            }
            there.abort();
        });
    }
}
