//! A TCP proxy that can cut the line, black-hole it (no FIN, no RST: bytes simply vanish), or be narrow: all connections
//! share one queue per direction, as in a hospital's router.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    /// Connections are reset and new ones refused.
    Cut,
    /// Bytes vanish, connections stay; new ones are accepted and hear nothing.
    BlackHole,
}

/// A line of limited rate and some delay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrow {
    pub(crate) bytes_per_second: f64,
    pub(crate) one_way: Duration,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    weather: watch::Sender<Weather>,
    fired: Arc<Fired>,
    _task: JoinSet<()>,
}

/// A connection that is being carried.
struct Carried(Arc<Fired>);

impl Carried {
    fn one(fired: &Arc<Fired>) -> Self {
        fired.carried.fetch_add(1, Ordering::SeqCst);
        Self(fired.clone())
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.0.carried.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Default)]
pub(crate) struct Fired {
    /// Connections torn down by a cut.
    cut: AtomicU64,
    /// Connections there are.
    carried: AtomicU64,
    /// Bytes that went through a narrow line, both ways.
    passed: AtomicU64,
    /// Bytes swallowed by a black hole.
    swallowed: AtomicU64,
}

impl Proxy {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        Self::open(target, None).await
    }

    /// A narrow line; it stays so, but may be cut too.
    pub(crate) async fn narrow(target: SocketAddr, narrow: Narrow) -> Self {
        Self::open(target, Some(narrow)).await
    }

    async fn open(target: SocketAddr, narrow: Option<Narrow>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (weather, seen) = watch::channel(Weather::Fair);
        let fired = Arc::new(Fired::default());
        let mut task = JoinSet::new();
        let routers = narrow.map(|n| [(); 2].map(|()| Router::start(n, fired.clone(), &mut task)));
        task.spawn(accept(listener, target, seen, fired.clone(), routers));
        Self {
            port,
            weather,
            fired,
            _task: task,
        }
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Cuts the line; answers when the last connection is torn down.
    pub(crate) async fn cut(&self) {
        self.set(Weather::Cut);
        super::until("every connection is cut", async || {
            self.fired.carried.load(Ordering::SeqCst) == 0
        })
        .await;
    }

    pub(crate) fn passed_bytes(&self) -> u64 {
        self.fired.passed.load(Ordering::SeqCst)
    }

    pub(crate) fn cut_connections(&self) -> u64 {
        self.fired.cut.load(Ordering::SeqCst)
    }

    pub(crate) fn swallowed_bytes(&self) -> u64 {
        self.fired.swallowed.load(Ordering::SeqCst)
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    weather: watch::Receiver<Weather>,
    fired: Arc<Fired>,
    routers: Option<[Router; 2]>,
) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        let now = *weather.borrow();
        if now != Weather::Cut {
            let carried = Carried::one(&fired);
            let carry = carry(near, target, weather.clone(), fired.clone(), routers.clone());
            connections.spawn(async move {
                carry.await;
                drop(carried);
            });
        }
    }
}

async fn carry(
    near: TcpStream,
    target: SocketAddr,
    mut weather: watch::Receiver<Weather>,
    fired: Arc<Fired>,
    routers: Option<[Router; 2]>,
) {
    let Ok(far) = TcpStream::connect(target).await else {
        return;
    };
    for stream in [&near, &far] {
        let _ = stream.set_nodelay(true);
    }
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    if let Some([up, down]) = routers {
        tokio::select! {
            () = up.carry(near_in, far_out) => {}
            () = down.carry(far_in, near_out) => {}
            _ = weather.wait_for(|w| *w == Weather::Cut) => {
                fired.cut.fetch_add(1, Ordering::SeqCst);
            }
        }
        return;
    }
    tokio::select! {
        () = pipe(near_in, far_out, weather.clone(), fired.clone()) => {}
        () = pipe(far_in, near_out, weather.clone(), fired.clone()) => {}
        _ = weather.wait_for(|w| *w == Weather::Cut) => {
            fired.cut.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn pipe(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    fired: Arc<Fired>,
) {
    let mut buffer = vec![0u8; 64 * 1024];
    let mut holed = false;
    while let Ok(n) = from.read(&mut buffer).await {
        holed |= *weather.borrow_and_update() == Weather::BlackHole;
        if holed {
            // What a black hole once swallowed never arrives, even when the weather clears: TCP would stall too.
            fired.swallowed.fetch_add(n as u64, Ordering::SeqCst);
            if n == 0 {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            continue;
        }
        if n == 0 || to.write_all(&buffer[..n]).await.is_err() {
            break;
        }
    }
}

type Parcel = (Vec<u8>, mpsc::UnboundedSender<(Instant, Vec<u8>)>);

/// One direction of a narrow line: first in, first out for all connections.
#[derive(Clone)]
struct Router(mpsc::Sender<Parcel>);

const SEGMENT: usize = 1448;

impl Router {
    fn start(narrow: Narrow, fired: Arc<Fired>, tasks: &mut JoinSet<()>) -> Self {
        // About 300 kB of queue before senders feel it.
        let (parcels_in, mut parcels) = mpsc::channel::<Parcel>(200);
        tasks.spawn(async move {
            let mut free = Instant::now();
            while let Some((bytes, to)) = parcels.recv().await {
                free = free.max(Instant::now()) + Duration::from_secs_f64(bytes.len() as f64 / narrow.bytes_per_second);
                tokio::time::sleep_until(free).await;
                fired.passed.fetch_add(bytes.len() as u64, Ordering::SeqCst);
                // The connection may have ended meanwhile.
                let _ = to.send((free + narrow.one_way, bytes));
            }
        });
        Self(parcels_in)
    }

    async fn carry(self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (out, mut arriving) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
        let read = async {
            let mut buffer = vec![0u8; SEGMENT];
            while let Ok(n) = from.read(&mut buffer).await {
                let parcel = (buffer[..n].to_vec(), out.clone());
                if n == 0 || self.0.send(parcel).await.is_err() {
                    break;
                }
            }
        };
        let write = async {
            while let Some((at, bytes)) = arriving.recv().await {
                tokio::time::sleep_until(at).await;
                if to.write_all(&bytes).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            () = read => {}
            () = write => {}
        }
    }
}
