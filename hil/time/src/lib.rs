//! A time server of the bench: NTP (RFC 5905) over UDP and the key exchange of NTS (RFC 8915) over TLS 1.3. It tells the
//! truth until a fault rule makes it lie; what it can do wrong is listed in the README.

mod answer;
mod exchange;
mod seal;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use rig::{Clock, Faults};
use serde_json::{Value, json};
use tokio::net::{TcpListener, UdpSocket};

const KINDS: &[&str] = &[
    "silent",
    "delay",
    "wrong_origin",
    "kiss",
    "stratum",
    "leap",
    "offset",
    "truncate",
    "replay",
    "mode",
    "zero",
    "root",
    "garbage",
    "forge",
    "strip",
    "wrong_id",
    "nak",
    "fake_nak",
    "fake_deny",
    "no_cookies",
    "hang",
    "close",
    "no_alpn",
    "error",
    "endless",
    "half",
];

/// Kinds acted out by the key exchange, under op `ke`; the others belong to op `ntp`.
const OF_EXCHANGE: &[&str] = &["hang", "close", "error", "endless", "half", "garbage", "no_cookies"];

/// Where the server listens; port 0 is any free one.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address of all ports.
    pub bind: IpAddr,
    /// UDP port of NTP.
    pub ntp: u16,
    /// TCP port of the key exchange.
    pub exchange: u16,
    /// Name in the certificate.
    pub name: String,
    /// How far its clock is ahead of the machine's, milliseconds.
    pub offset_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bind: IpAddr::from([127, 0, 0, 1]),
            ntp: 0,
            exchange: 0,
            name: "127.0.0.1".to_owned(),
            offset_ms: 0,
        }
    }
}

/// A serving time server; dropping it ends it.
pub struct Server {
    /// Where NTP is served.
    pub ntp: SocketAddr,
    /// Where keys are agreed.
    pub exchange: SocketAddr,
    /// The certificate that vouches for the key exchange.
    pub ca_pem: String,
    inner: Arc<Inner>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

struct Inner {
    clock: Clock,
    faults: Faults,
    offset_ms: i64,
    ntp_port: u16,
    keys: seal::Keys,
    last: Mutex<Vec<u8>>,
    questions: AtomicU64,
    exchanges: AtomicU64,
}

impl Server {
    /// Binds and serves.
    ///
    /// # Errors
    /// When a port is taken or the certificate cannot be made.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind((settings.bind, settings.ntp)).await?);
        let listener = TcpListener::bind((settings.bind, settings.exchange)).await?;
        let (ntp, exchange) = (socket.local_addr()?, listener.local_addr()?);
        let (ca_pem, config) = exchange::papers(&settings.name)?;
        let inner = Arc::new(Inner {
            clock: Clock::default(),
            faults: Faults::new(KINDS),
            offset_ms: settings.offset_ms,
            ntp_port: ntp.port(),
            keys: seal::Keys::default(),
            last: Mutex::new(Vec::new()),
            questions: AtomicU64::new(0),
            exchanges: AtomicU64::new(0),
        });
        let tasks = vec![
            tokio::spawn(answer_all(socket, Arc::clone(&inner))),
            tokio::spawn(exchange::serve(listener, config, Arc::clone(&inner))),
        ];
        Ok(Self {
            ntp,
            exchange,
            ca_pem,
            inner,
            tasks,
        })
    }

    /// Adds a fault rule, as control would.
    ///
    /// # Errors
    /// When the rule names no known kind.
    pub fn fault(&self, rule: &Value) -> Result<u64, String> {
        self.inner.faults.add(rule)
    }

    /// Removes all rules.
    pub fn behave(&self) {
        self.inner.faults.remove(None);
    }

    /// How often a fault of this kind was acted out.
    pub fn fired(&self, kind: &str) -> usize {
        let list = self.inner.faults.list();
        let firings = list.get("firings").and_then(Value::as_array);
        firings.map_or(0, |all| {
            all.iter()
                .filter(|one| one.get("kind").and_then(Value::as_str) == Some(kind))
                .count()
        })
    }

    /// Questions received so far.
    pub fn questions(&self) -> u64 {
        self.inner.questions.load(Ordering::Relaxed)
    }

    /// Key exchanges begun so far.
    pub fn exchanges(&self) -> u64 {
        self.inner.exchanges.load(Ordering::Relaxed)
    }

    /// Forgets all keys, as a server does that lost its master key: cookies become unreadable.
    pub fn forget_keys(&self) {
        self.inner.keys.forget();
    }

    /// Control over HTTP: `/control/faults`, `/control/health`, `/control/state`.
    pub fn control(&self) -> Router {
        let inner = Arc::clone(&self.inner);
        Router::new()
            .route("/control/state", get(state).delete(forget))
            .with_state(inner)
            .merge(faults(Arc::clone(&self.inner)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn faults(inner: Arc<Inner>) -> Router {
    use axum::Json;
    Router::new()
        .route("/control/health", get(async || Json(json!({"ready": true}))))
        .route(
            "/control/faults",
            get(async |State(inner): State<Arc<Inner>>| Json(inner.faults.list()))
                .post(async |State(inner): State<Arc<Inner>>, Json(rule): Json<Value>| {
                    let id = inner.faults.add(&rule).map_err(rig::ControlError)?;
                    Ok::<_, rig::ControlError>(Json(json!({"id": id})))
                })
                .delete(async |State(inner): State<Arc<Inner>>| {
                    inner.faults.remove(None);
                    Json(json!({}))
                }),
        )
        .with_state(inner)
}

async fn state(State(inner): State<Arc<Inner>>) -> axum::Json<Value> {
    axum::Json(json!({
        "questions": inner.questions.load(Ordering::Relaxed),
        "exchanges": inner.exchanges.load(Ordering::Relaxed),
        "offset_ms": inner.offset_ms,
    }))
}

async fn forget(State(inner): State<Arc<Inner>>) -> axum::Json<Value> {
    inner.keys.forget();
    axum::Json(json!({}))
}

async fn answer_all(socket: Arc<UdpSocket>, inner: Arc<Inner>) {
    let mut datagram = [0; 2_048];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut datagram).await else {
            continue;
        };
        let arrived = inner.stamp(0);
        inner.questions.fetch_add(1, Ordering::Relaxed);
        let question = datagram.get(..length).unwrap_or_default();
        let fault = inner.faults.next_of("ntp", &inner.clock, |kind| {
            !["hang", "close", "error", "endless", "half"].contains(&kind)
        });
        let answers = answer::to(&inner, question, arrived, fault.as_ref());
        let pause = fault.filter(|f| f.kind == "delay").map_or(0, |f| f.number("ms", 500));
        let socket = Arc::clone(&socket);
        // Late answers do not hold up others.
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            for one in answers {
                let _gone = socket.send_to(&one, from).await;
            }
        });
    }
}

impl Inner {
    /// Its time in the format of NTP, moved by so many milliseconds more.
    fn stamp(&self, more_ms: i64) -> u64 {
        let nanos = self.clock.now().unix_timestamp_nanos()
            + i128::from(self.offset_ms + more_ms) * 1_000_000
            + 2_208_988_800 * 1_000_000_000;
        let seconds = (nanos / 1_000_000_000) & 0xFFFF_FFFF;
        let fraction = ((nanos % 1_000_000_000) << 32) / 1_000_000_000;
        u64::try_from((seconds << 32) | fraction).unwrap_or_default()
    }

    fn remember(&self, answer: &[u8]) -> Vec<u8> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *last, answer.to_vec())
    }
}
