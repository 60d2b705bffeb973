//! What the server has to do with outside: the receiver of its log, and the time servers.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kit::ports::free_port;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::site::{Browser, Site};

/// Waits until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !is_so().await {
        assert!(Instant::now() < end, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Messages by the number of their entry.
type Messages = Arc<Mutex<BTreeMap<i64, String>>>;

/// A receiver of syslog that can go away: one connection at a time.
struct Receiver {
    messages: Messages,
    listener: TcpListener,
    open: Arc<Mutex<Option<TcpStream>>>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    fn start(port: u16, messages: Messages, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("port");
        let open = Arc::new(Mutex::new(None));
        let (accepting, held, kept) = (listener.try_clone().expect("listener"), open.clone(), messages.clone());
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = accepting.accept() {
                *held.lock().expect("lock") = stream.try_clone().ok();
                match &tls {
                    None => read(stream, &kept),
                    Some(config) => {
                        let session = ServerConnection::new(config.clone()).expect("session");
                        read(StreamOwned::new(session, stream), &kept);
                    }
                }
                if held.lock().expect("lock").take().is_none() {
                    return; // it was told to go away
                }
            }
        });
        Self {
            messages,
            listener,
            open,
            thread: Some(thread),
        }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().expect("address").port()
    }

    /// Ends connection and listener.
    fn go(mut self) -> Messages {
        let open = self.open.lock().expect("lock").take();
        if let Some(stream) = open {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        self.thread.take().expect("once").join().expect("receiver");
        self.messages
    }
}

/// Reads frames of RFC 6587 (`LENGTH MESSAGE`) until the connection ends.
fn read(stream: impl Read, messages: &Messages) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = Vec::new();
        if stream.read_until(b' ', &mut length).unwrap_or(0) == 0 {
            return;
        }
        let length = std::str::from_utf8(&length)
            .expect("digits")
            .trim()
            .parse()
            .expect("a length");
        let mut message = vec![0u8; length];
        if stream.read_exact(&mut message).is_err() {
            return;
        }
        let message = String::from_utf8(message).expect("UTF-8");
        let (_, rest) = message.split_once("seq=\"").expect("the entry's number");
        let (number, _) = rest.split_once('"').expect("the entry's number");
        let number = number.parse().expect("number");
        messages.lock().expect("lock").insert(number, message);
    }
}

async fn log_length(auditor: &Browser) -> i64 {
    let page = auditor.get("log").await.done();
    page["entries"][0]["seq"].as_i64().expect("the newest entry")
}

fn has_all(messages: &Messages, count: i64) -> bool {
    let messages = messages.lock().expect("lock");
    (1..=count).all(|number| messages.contains_key(&number))
}

/// The log goes to the hospital's receiver; while it is away the log is kept, and nothing is missing afterwards.
///
/// Rows: AP-260, AP-261
#[tokio::test]
async fn the_log_is_sent_and_nothing_is_missing_after_the_receiver_was_away() {
    let site = Site::new();
    let admin = site.administrator().await;
    let operator = site.person(&admin, "li.op", "operator").await.browser;
    let auditor = site.person(&admin, "zhao.au", "auditor").await.browser;
    let receiver = Receiver::start(free_port(), Messages::default(), None);
    let port = receiver.port();
    let target = json!({"enabled": true, "host": "127.0.0.1", "port": port, "tls": false, "facility": 13});
    operator.put("settings/syslog", target).await.done();
    let count = log_length(&auditor).await;
    let messages = receiver.messages.clone();
    until("the log so far", async || has_all(&messages, count)).await;
    let line = messages.lock().expect("lock")[&count].clone();
    assert!(
        line.starts_with("<109>1 ") && line.contains("signd - setting.syslog [entry@"),
        "{line}"
    );

    let messages = receiver.go();
    until("the trouble", async || {
        !operator.get("syslog").await.done()["trouble"].is_null()
    })
    .await;
    for number in 0..5 {
        let key = json!({"label": format!("密钥{number}"), "algorithm": "sm2"});
        admin.browser.post("keys", key).await.done();
    }
    let count = log_length(&auditor).await;
    assert!(!has_all(&messages, count), "the receiver was away");
    let receiver = Receiver::start(port, messages, None);
    until("what was kept", async || has_all(&receiver.messages, count)).await;
    until("the end of the trouble", async || {
        operator.get("syslog").await.done()["connected"] == true
    })
    .await;
    receiver.go();
}

/// By TLS the log goes only to the receiver whose authority was named.
#[tokio::test]
async fn by_tls_the_log_goes_only_to_the_receiver_that_is_vouched_for() {
    let site = Site::new();
    let operator = {
        let admin = site.administrator().await;
        site.person(&admin, "li.op", "operator").await.browser
    };
    let paper = |name: &str| rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("certificate");
    let (right, other) = (paper("localhost"), paper("localhost"));
    let key = PrivateKeyDer::try_from(right.signing_key.serialize_der()).expect("key");
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![right.cert.der().clone()], key)
        .expect("settings");
    let receiver = Receiver::start(free_port(), Messages::default(), Some(Arc::new(config)));
    let target = |pem: String| json!({"enabled": true, "host": "localhost", "port": receiver.port(), "tls": true, "ca_pem": pem, "facility": 13});
    operator.put("settings/syslog", target(other.cert.pem())).await.done();
    until("the refusal", async || {
        let trouble = operator.get("syslog").await.done()["trouble"].clone();
        trouble.as_str().is_some_and(|text| text.contains("TLS"))
    })
    .await;
    assert!(receiver.messages.lock().expect("lock").is_empty());
    operator.put("settings/syslog", target(right.cert.pem())).await.done();
    until("the log", async || has_all(&receiver.messages, 3)).await;
    receiver.go();
}

/// Time servers, schedule and bounds are configured, switched on and off; offset and stratum are shown; and while the time
/// servers say that the clock is hours off, nothing is signed.
///
/// Rows: AP-234, AP-235, AP-256, AP-257
#[tokio::test]
async fn time_servers_are_followed_and_signing_refuses_a_clock_that_they_contradict() {
    let site = Site::new();
    let admin = site.administrator().await;
    let operator = site.person(&admin, "li.op", "operator").await.browser;
    let truthful = bench_time::Server::start(bench_time::Settings::default())
        .await
        .expect("server");
    let lying = bench_time::Settings {
        offset_ms: 3 * 3600 * 1000,
        ..bench_time::Settings::default()
    };
    let lying = bench_time::Server::start(lying).await.expect("server");
    let policy = |enabled: bool, port: u16| {
        json!({"enabled": enabled, "sources": [{"host": "127.0.0.1", "port": port}],
            "schedule": {"kind": "every", "seconds": 600}, "samples": 1})
    };
    let trusted = async || operator.get("overview").await.done()["clock"]["trusted"] == true;

    operator
        .put("settings/time", policy(true, truthful.ntp.port()))
        .await
        .done();
    until("the time of the source", async || {
        source(&operator).await["stratum"] == 2
    })
    .await;
    until("trust", trusted).await;
    assert!(truthful.questions() > 0);

    operator
        .put("settings/time", policy(true, lying.ntp.port()))
        .await
        .done();
    until("the contradiction", async || !trusted().await).await;
    let health = sign::Client::new(&site.state().join("signd.sock")).patience(Duration::from_secs(120));
    let health = health
        .call::<records::sign::Health>(None, &records::sign::HealthRequest {})
        .await;
    assert_eq!(health.done().expect("health").clock, "untrusted");

    operator
        .put("settings/time", policy(false, lying.ntp.port()))
        .await
        .done();
    until("the machine's own time", trusted).await;
}

/// The first row of the time page.
async fn source(operator: &Browser) -> Value {
    operator.get("time").await.done()["sources"][0].clone()
}
