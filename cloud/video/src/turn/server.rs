//! The sockets of the relay: one task for UDP, one for each listening stream, one for each client with an allocation.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use records::Clock;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::GREETING;
use super::frame::{self, LARGEST};
use super::limits::Limits;
use super::message::Guard;
use super::session::{House, Pending, Reaction, Session};
use crate::Relay;

/// Datagrams waiting for one client's task.
const WAITING: usize = 64;
/// How long a client may leave a message unread.
const STALLED: Duration = Duration::from_secs(10);
/// Ports tried where any will do.
const PORTS_TRIED: u32 = 64;
/// Rest after a connection could not be taken (no file handles left).
const OUT_OF_HANDLES: Duration = Duration::from_millis(200);

/// TLS in front of the relay, for networks that let only that out.
#[derive(Clone)]
pub struct TurnTls {
    /// Where it listens (TCP).
    pub listen: SocketAddr,
    /// Host and port under which browsers reach that; the name is the certificate's.
    pub public: String,
    /// The certificate, one that browsers trust.
    pub config: Arc<rustls::ServerConfig>,
}

/// Settings of the relay.
#[derive(Clone)]
pub struct TurnConfig {
    /// Where it listens, UDP and TCP. Port 0 takes any, the same for both.
    pub listen: SocketAddr,
    /// Host and port under which browsers reach that; by default the room server's address with our port.
    pub public: Option<String>,
    /// TLS as well.
    pub tls: Option<TurnTls>,
    /// The room server as browsers know it.
    pub peer: SocketAddr,
    /// Where the room server really listens.
    pub peer_here: SocketAddr,
    /// Realm of the credentials.
    pub realm: String,
    /// The secret between `/ice` and the relay; new at every start, because nothing outlives the process.
    pub secret: String,
    /// Allocations of one user at once.
    pub per_user: usize,
    /// Allocations at once.
    pub in_total: usize,
}

/// A running relay; ends when dropped.
pub struct TurnServer {
    address: SocketAddr,
    tls_address: Option<SocketAddr>,
    relay: Relay,
    _tasks: JoinSet<()>,
}

struct Shared {
    house: Arc<House>,
    peer_here: SocketAddr,
    clock: Arc<dyn Clock>,
    /// Room for connections, with and without allocation.
    connections: Arc<Semaphore>,
}

impl TurnServer {
    /// Binds and begins to serve.
    ///
    /// # Errors
    /// When a port is taken.
    pub async fn start(config: TurnConfig, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let (streams, datagrams) = both(config.listen).await?;
        let address = streams.local_addr()?;
        let tls = match &config.tls {
            Some(tls) => Some((
                TcpListener::bind(tls.listen).await?,
                TlsAcceptor::from(tls.config.clone()),
            )),
            None => None,
        };
        let tls_address = tls.as_ref().and_then(|(listener, _)| listener.local_addr().ok());
        let shared = Arc::new(Shared {
            house: Arc::new(House {
                guard: Guard::new(config.secret.clone(), config.realm.clone()),
                limits: Limits::new(config.per_user, config.in_total),
                peer: config.peer,
                relayed: config.peer.ip(),
            }),
            peer_here: reachable(config.peer_here),
            clock,
            connections: Arc::new(Semaphore::new(config.in_total.saturating_mul(2))),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_datagrams(shared.clone(), Arc::new(datagrams)));
        tasks.spawn(serve_streams(shared.clone(), streams, None));
        if let Some((listener, acceptor)) = tls {
            tasks.spawn(serve_streams(shared, listener, Some(acceptor)));
        }
        let relay = Relay {
            urls: urls(&config, address),
            secret: Some(config.secret),
        };
        Ok(Self {
            address,
            tls_address,
            relay,
            _tasks: tasks,
        })
    }

    /// Where it listens, UDP and TCP.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for TLS.
    pub const fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_address
    }

    /// What `/ice` hands out for it.
    pub fn relay(&self) -> Relay {
        self.relay.clone()
    }
}

/// Listens for streams and for datagrams at the same port. Where any will do, one that others have for datagrams is passed
/// over: the system gives it out as free for streams.
async fn both(listen: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    let mut left = if listen.port() == 0 { PORTS_TRIED } else { 1 };
    loop {
        let streams = TcpListener::bind(listen).await?;
        left -= 1;
        match UdpSocket::bind(streams.local_addr()?).await {
            Ok(datagrams) => return Ok((streams, datagrams)),
            Err(taken) if taken.kind() == io::ErrorKind::AddrInUse && left > 0 => {}
            Err(error) => return Err(error),
        }
    }
}

fn urls(config: &TurnConfig, address: SocketAddr) -> Vec<String> {
    let public = config
        .public
        .clone()
        .unwrap_or_else(|| SocketAddr::new(config.peer.ip(), address.port()).to_string());
    let mut urls = vec![
        format!("turn:{public}?transport=udp"),
        format!("turn:{public}?transport=tcp"),
    ];
    urls.extend(
        config
            .tls
            .as_ref()
            .map(|tls| format!("turns:{}?transport=tcp", tls.public)),
    );
    urls
}

/// Who listens everywhere is reached on this machine.
fn reachable(mut listening: SocketAddr) -> SocketAddr {
    match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listening.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listening.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listening
}

/// A socket that hears the room server only.
async fn towards(peer: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(peer).await?;
    Ok(socket)
}

/// The way to and from one client.
trait Wire: Send {
    /// The next message; `None` when the client is gone. Nothing is lost when this is dropped half-way.
    fn receive(&mut self) -> impl Future<Output = Option<Bytes>> + Send;
    fn send(&mut self, message: &[u8]) -> impl Future<Output = io::Result<()>> + Send;
}

struct Datagrams {
    socket: Arc<UdpSocket>,
    client: SocketAddr,
    queue: mpsc::Receiver<Bytes>,
}

impl Wire for Datagrams {
    async fn receive(&mut self) -> Option<Bytes> {
        self.queue.recv().await
    }

    async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.socket.send_to(message, self.client).await.map(drop)
    }
}

struct Stream<S> {
    stream: S,
    buffer: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for Stream<S> {
    async fn receive(&mut self) -> Option<Bytes> {
        loop {
            match frame::take(&mut self.buffer) {
                Ok(Some(message)) => return Some(message),
                Ok(None) => {}
                Err(frame::Garbage) => return None,
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        // While this waits the socket of the allocation fills up and loses what is too much, as a network does.
        let sent = tokio::time::timeout(STALLED, async {
            self.stream.write_all(message).await?;
            self.stream.flush().await
        });
        sent.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

/// Serves one client until it is gone, silent, or without an allocation.
async fn serve<W: Wire>(shared: Arc<Shared>, mut session: Session, mut wire: W, first: Option<Box<Pending>>) {
    let began = Instant::now();
    let mut relay: Option<UdpSocket> = None;
    let mut buffer = vec![0; LARGEST];
    let mut reaction = first.map_or(Reaction::Nothing, Reaction::Allocate);
    loop {
        let said = match reaction {
            Reaction::Nothing => None,
            Reaction::Reply(answer) => Some(answer),
            Reaction::Relay(data) => {
                if let Some(relay) = &relay {
                    // A full buffer loses a datagram, as any network does.
                    let _ = relay.try_send(&data);
                }
                None
            }
            Reaction::Allocate(pending) => {
                relay = towards(shared.peer_here)
                    .await
                    .inspect_err(|error| tracing::error!(%error, "no socket for a relayed call"))
                    .ok();
                let port = relay.as_ref().and_then(|r| r.local_addr().ok()).map(|a| a.port());
                session.allocated(*pending, port, Instant::now(), shared.clock.now())
            }
        };
        if let Some(said) = said
            && wire.send(&said).await.is_err()
        {
            return;
        }
        if session.until().is_none() {
            relay = None;
        }
        let end = session.until().unwrap_or(began + GREETING);
        reaction = tokio::select! {
            message = wire.receive() => match message {
                Some(message) => session.hear_client(&message, Instant::now(), shared.clock.now()),
                None => return,
            },
            got = hear(relay.as_ref(), &mut buffer) => {
                let data = got.ok().and_then(|length| buffer.get(..length)).unwrap_or_default();
                session.hear_peer(data, Instant::now()).map_or(Reaction::Nothing, Reaction::Reply)
            }
            () = tokio::time::sleep_until(end.into()) => {
                session.tick(Instant::now());
                if session.until().is_none() { return }
                Reaction::Nothing
            }
        };
    }
}

async fn hear(relay: Option<&UdpSocket>, buffer: &mut [u8]) -> io::Result<usize> {
    match relay {
        Some(relay) => relay.recv(buffer).await,
        None => std::future::pending().await,
    }
}

async fn serve_datagrams(shared: Arc<Shared>, socket: Arc<UdpSocket>) {
    let mut clients: HashMap<SocketAddr, mpsc::Sender<Bytes>> = HashMap::new();
    let mut serving: JoinSet<()> = JoinSet::new();
    let mut buffer = vec![0; LARGEST];
    loop {
        let (length, client) = tokio::select! {
            got = socket.recv_from(&mut buffer) => match got {
                Ok(got) => got,
                // An ICMP answer to something we sent.
                Err(_) => continue,
            },
            Some(_) = serving.join_next() => {
                clients.retain(|_, queue| !queue.is_closed());
                continue;
            }
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        if let Some(queue) = clients.get(&client).filter(|queue| !queue.is_closed()) {
            // A full queue loses a datagram, as any network does.
            let _ = queue.try_send(Bytes::copy_from_slice(bytes));
            continue;
        }
        // A stranger costs nothing but this answer.
        let mut session = Session::new(shared.house.clone(), client, false);
        match session.hear_client(bytes, Instant::now(), shared.clock.now()) {
            Reaction::Reply(answer) => {
                let _ = socket.try_send_to(&answer, client);
            }
            Reaction::Allocate(pending) => {
                let (queue, waiting) = mpsc::channel(WAITING);
                clients.insert(client, queue);
                let wire = Datagrams {
                    socket: socket.clone(),
                    client,
                    queue: waiting,
                };
                serving.spawn(serve(shared.clone(), session, wire, Some(pending)));
            }
            Reaction::Nothing | Reaction::Relay(_) => {}
        }
    }
}

async fn serve_streams(shared: Arc<Shared>, listener: TcpListener, acceptor: Option<TlsAcceptor>) {
    let mut serving: JoinSet<()> = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = serving.join_next() => continue,
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection to the relay was not taken");
                tokio::time::sleep(OUT_OF_HANDLES).await;
                continue;
            }
        };
        let Ok(room) = shared.connections.clone().try_acquire_owned() else {
            tracing::warn!("the relay has as many connections as it takes; one more was closed");
            continue;
        };
        let (shared, acceptor) = (shared.clone(), acceptor.clone());
        serving.spawn(async move {
            let _room = room;
            serve_stream(shared, stream, client, acceptor).await;
        });
    }
}

async fn serve_stream(shared: Arc<Shared>, stream: TcpStream, client: SocketAddr, acceptor: Option<TlsAcceptor>) {
    // Sound in small packets: waiting to fill one would be heard.
    let _ = stream.set_nodelay(true);
    let session = Session::new(shared.house.clone(), client, true);
    let buffer = BytesMut::with_capacity(LARGEST);
    match acceptor {
        None => serve(shared, session, Stream { stream, buffer }, None).await,
        Some(acceptor) => match tokio::time::timeout(GREETING, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => serve(shared, session, Stream { stream, buffer }, None).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS greeting to the relay failed"),
            Err(_) => tracing::debug!("a TLS greeting to the relay took too long"),
        },
    }
}
