//! An application and two appliances through the client: one is lost in the middle, nothing is lost with it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::{Algorithm, Certificate};
use kit::ports::free_port;
use records::{Clock, SystemClock, Timestamp};
use serde_json::json;
use signd_client::{Client, Content, Error, Identity, Settings, SignData};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::replica::{Appliance, pair, until_alike};

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
        settings.deadline = Duration::from_secs(60);
        settings.patience = Duration::from_secs(20);
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
    let browser = source.site.browser();
    source.admin.sign_in(&browser).await.done();
    for browser in [&browser, &follower.admin.browser] {
        assert_eq!(browser.get("overview").await.done()["log"]["intact"], true);
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
    tokio::spawn(relay_to(relay, port, Arc::clone(&cut)));

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
async fn relay_to(listen: u16, port: u16, cut: Arc<AtomicBool>) {
    let listener = TcpListener::bind(("127.0.0.1", listen)).await.expect("relay");
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
