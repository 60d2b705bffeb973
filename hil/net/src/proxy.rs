//! A TCP proxy that breaks lines on command: cut, black-hole, delay, rate; with counters that prove it did.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use rig::ControlError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::NetError;

/// One forwarded port: `name=LISTEN=TARGET`.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The name control uses.
    pub name: String,
    /// Where the proxy listens.
    pub listen: SocketAddr,
    /// Where it connects, host:port.
    pub target: String,
}

impl std::str::FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Pair, String> {
        let mut parts = text.splitn(3, '=');
        let (Some(name), Some(listen), Some(target)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("expected name=listen=target".into());
        };
        let full = if listen.contains(':') {
            listen.to_owned()
        } else {
            format!("127.0.0.1:{listen}")
        };
        Ok(Pair {
            name: name.into(),
            listen: full.parse().map_err(|_| format!("{listen} is not an address"))?,
            target: target.into(),
        })
    }
}

/// How the line is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Line {
    /// Existing connections are reset, new ones refused by reset.
    cut: bool,
    /// Bytes vanish and nobody is told: no FIN, no reset; new connections are accepted and stay mute.
    black_hole: bool,
    /// Added to each piece, each way.
    delay_ms: u64,
    /// Added to each piece on its way from who connected to whom it connects to.
    delay_up_ms: u64,
    /// Bytes a second each way; 0 is unlimited.
    rate: u64,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    cut: AtomicU64,
    refused: AtomicU64,
    swallowed_bytes: AtomicU64,
    delayed: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
}

impl Counters {
    fn list(&self) -> Value {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({"connections": read(&self.connections), "cut": read(&self.cut), "refused": read(&self.refused),
            "swallowed_bytes": read(&self.swallowed_bytes), "delayed": read(&self.delayed),
            "bytes_up": read(&self.bytes_up), "bytes_down": read(&self.bytes_down)})
    }
}

#[derive(Debug)]
struct Port {
    target: String,
    listen: SocketAddr,
    line: watch::Sender<Line>,
    counters: Counters,
    /// Black-holed sockets are kept open here until the line heals.
    held: Mutex<Vec<TcpStream>>,
}

impl Port {
    fn held(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Ports = Arc<BTreeMap<String, Arc<Port>>>;

/// Serves until the control port fails; `serving` learns the pairs' addresses and the control address.
pub async fn run(
    pairs: Vec<Pair>,
    control: SocketAddr,
    serving: impl FnOnce(&BTreeMap<String, SocketAddr>, SocketAddr),
) -> Result<(), NetError> {
    let control = TcpListener::bind(control).await?;
    let control_address = control.local_addr()?;
    let mut ports = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    for pair in pairs {
        let listener = TcpListener::bind(pair.listen).await?;
        let listen = listener.local_addr()?;
        addresses.insert(pair.name.clone(), listen);
        let port = Arc::new(Port {
            target: pair.target,
            listen,
            line: watch::channel(Line::default()).0,
            counters: Counters::default(),
            held: Mutex::default(),
        });
        tokio::spawn(accept(Arc::clone(&port), listener));
        if ports.insert(pair.name.clone(), port).is_some() {
            return Err(NetError::Setting(format!("two pairs are named {}", pair.name)));
        }
    }
    let routes = Router::new()
        .route("/control/health", get(async || Json(json!({"ready": true}))))
        .route("/control/lines", get(lines))
        .route("/control/lines/{name}", post(set))
        .route("/control/lines/{name}/cut", post(cut))
        .with_state(Arc::new(ports));
    serving(&addresses, control_address);
    rig::serve_control(control, routes).await?;
    Ok(())
}

async fn accept(port: Arc<Port>, listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        port.counters.connections.fetch_add(1, Ordering::Relaxed);
        let line = port.line.borrow().clone();
        if line.cut {
            port.counters.refused.fetch_add(1, Ordering::Relaxed);
            let _best_effort = stream.set_zero_linger();
            continue;
        }
        if line.black_hole {
            port.held().push(stream);
            continue;
        }
        tokio::spawn(carry(Arc::clone(&port), stream));
    }
}

async fn carry(port: Arc<Port>, mut near: TcpStream) -> io::Result<()> {
    let mut far = TcpStream::connect(&port.target).await.inspect_err(|_| {
        let _best_effort = near.set_zero_linger();
    })?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let mut line = port.line.subscribe();
    let whole = {
        let (near_read, near_write) = near.split();
        let (far_read, far_write) = far.split();
        tokio::select! {
            both = async {
                tokio::try_join!(
                    pump(&port, near_read, far_write, true),
                    pump(&port, far_read, near_write, false)
                )
            } => both.is_ok(),
            () = async { drop(line.wait_for(|line| line.cut).await) } => {
                port.counters.cut.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    };
    if !whole {
        near.set_zero_linger()?;
        far.set_zero_linger()?;
    }
    Ok(())
}

/// Moves bytes one way under the line's condition; an error means the connection must be reset.
async fn pump(port: &Port, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, up: bool) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut line = port.line.subscribe();
    let mut lost = false;
    loop {
        let count = from.read(&mut buffer).await?;
        let now = line.borrow_and_update().clone();
        if count == 0 {
            // A black hole tells nobody that one side has gone.
            drop(line.wait_for(|line| !line.black_hole).await);
            return to.shutdown().await;
        }
        let size = count as u64;
        if now.black_hole {
            port.counters.swallowed_bytes.fetch_add(size, Ordering::Relaxed);
            lost = true;
            continue;
        }
        if lost {
            // Bytes are missing from the stream: no TCP would deliver what follows.
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let delay_ms = now.delay_ms + if up { now.delay_up_ms } else { 0 };
        if delay_ms > 0 {
            port.counters.delayed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
        if let Some(micros) = (1_000_000 * size).checked_div(now.rate) {
            port.counters.delayed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
        let counter = if up {
            &port.counters.bytes_up
        } else {
            &port.counters.bytes_down
        };
        counter.fetch_add(size, Ordering::Relaxed);
        to.write_all(buffer.get(..count).unwrap_or_default()).await?;
    }
}

async fn lines(State(ports): State<Ports>) -> Json<Value> {
    let all: BTreeMap<&String, Value> = ports
        .iter()
        .map(|(name, port)| {
            let line = port.line.borrow().clone();
            (
                name,
                json!({"listen": port.listen.to_string(), "target": port.target, "line": line,
                "counters": port.counters.list()}),
            )
        })
        .collect();
    Json(json!(all))
}

fn port_of(ports: &Ports, name: &str) -> Result<Arc<Port>, ControlError> {
    ports
        .get(name)
        .cloned()
        .ok_or_else(|| ControlError(format!("no line {name}")))
}

async fn set(
    State(ports): State<Ports>,
    Path(name): Path<String>,
    Json(line): Json<Line>,
) -> Result<Json<Value>, ControlError> {
    let port = port_of(&ports, &name)?;
    let healed = !line.black_hole;
    port.line.send_replace(line.clone());
    if healed {
        for stream in port.held().drain(..) {
            let _best_effort = stream.set_zero_linger();
        }
    }
    Ok(Json(json!(line)))
}

/// Resets what is connected now; the line itself stays as it is.
async fn cut(State(ports): State<Ports>, Path(name): Path<String>) -> Result<Json<Value>, ControlError> {
    let port = port_of(&ports, &name)?;
    let before = port.line.borrow().clone();
    port.line.send_replace(Line {
        cut: true,
        ..before.clone()
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    port.line.send_replace(before);
    Ok(Json(port.counters.list()))
}
