//! The built-in room server (SFU): one UDP port for all rooms, one task, frames forwarded and recorded as they come.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use str0m::Input;
use str0m::media::{KeyframeRequestKind, MediaData};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

use super::client::{Client, Step, Wish, datagram};
use super::film::{Recorder, Writing, lock};
use super::{EngineGone, Guest, Seat, Signal, VideoEngine};

/// Signals that may wait for one browser.
const WAITING: usize = 64;
/// Longest rest of the loop.
const REST: Duration = Duration::from_millis(100);
/// Datagrams taken in one turn before the clients are looked at.
const BURST: usize = 64;

/// Settings of the room server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where it listens (UDP).
    pub bind: SocketAddr,
    /// Under which address browsers reach that; the bound one when not set. Port 0 means the bound port.
    pub announce: Option<SocketAddr>,
    /// Folder of recordings being written.
    pub recordings: PathBuf,
}

enum Order {
    Join(Guest, oneshot::Sender<Seat>),
    Heard(u64, Signal),
    Leave(u64),
    Close(String),
}

/// A handle to the room server; it ends with the last handle.
#[derive(Clone, Debug)]
pub struct RoomServer {
    orders: mpsc::Sender<Order>,
    recordings: PathBuf,
    writing: Writing,
    address: SocketAddr,
    bound: SocketAddr,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Order")
    }
}

impl RoomServer {
    /// Binds and begins to serve.
    ///
    /// # Errors
    /// When the port is taken or the folder cannot be made.
    pub async fn start(config: ServerConfig) -> std::io::Result<Self> {
        tokio::fs::create_dir_all(&config.recordings).await?;
        let socket = UdpSocket::bind(config.bind).await?;
        let bound = socket.local_addr()?;
        let mut address = config.announce.unwrap_or(bound);
        if address.port() == 0 {
            address.set_port(bound.port());
        }
        let (orders, queue) = mpsc::channel(256);
        let writing = Writing::default();
        let rooms = Rooms {
            socket,
            address,
            orders: orders.downgrade(),
            recordings: config.recordings.clone(),
            writing: writing.clone(),
            clients: Vec::new(),
            next: 1,
        };
        tokio::spawn(rooms.run(queue));
        Ok(Self {
            orders,
            recordings: config.recordings,
            writing,
            address,
            bound,
        })
    }

    /// Where it really listens.
    pub const fn bound(&self) -> SocketAddr {
        self.bound
    }

    /// The announced address.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

#[async_trait]
impl VideoEngine for RoomServer {
    async fn join(&self, guest: Guest) -> Result<Seat, EngineGone> {
        let (reply, seat) = oneshot::channel();
        self.orders
            .send(Order::Join(guest, reply))
            .await
            .map_err(|_| EngineGone)?;
        seat.await.map_err(|_| EngineGone)
    }

    async fn close(&self, room: &str) {
        if self.orders.send(Order::Close(room.to_owned())).await.is_err() {
            tracing::error!("the room server is gone");
        }
    }

    fn recording(&self, id: &str) -> PathBuf {
        self.recordings.join(format!("{id}.webm"))
    }

    fn is_writing(&self, id: &str) -> bool {
        lock(&self.writing).contains(id)
    }
}

struct Rooms {
    socket: UdpSocket,
    address: SocketAddr,
    orders: mpsc::WeakSender<Order>,
    recordings: PathBuf,
    writing: Writing,
    clients: Vec<Client>,
    next: u64,
}

impl Rooms {
    async fn run(mut self, mut queue: mpsc::Receiver<Order>) {
        let mut buffer = vec![0; 2_048];
        loop {
            let rest = self.turn();
            tokio::select! {
                order = queue.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                got = self.socket.recv_from(&mut buffer) => match got {
                    Ok((length, source)) => {
                        self.receive(source, buffer.get(..length).unwrap_or_default());
                        self.drain(&mut buffer);
                    }
                    // An ICMP answer to something we sent; the client's own timeout settles it.
                    Err(error) => tracing::debug!(%error, "datagram not received"),
                },
                () = tokio::time::sleep_until(rest.into()) => {}
            }
            let now = Instant::now();
            for client in &mut self.clients {
                client.input(Input::Timeout(now));
            }
        }
    }

    fn drain(&mut self, buffer: &mut [u8]) {
        for _ in 0..BURST {
            let Ok((length, source)) = self.socket.try_recv_from(buffer) else {
                return;
            };
            self.receive(source, buffer.get(..length).unwrap_or_default());
        }
    }

    fn receive(&mut self, source: SocketAddr, bytes: &[u8]) {
        let now = Instant::now();
        let Some(input) = datagram(now, source, self.address, bytes) else {
            return;
        };
        if let Some(client) = self.clients.iter_mut().find(|c| c.accepts(&input)) {
            client.input(input);
        }
    }

    /// Looks at every client until all rest; answers until when.
    fn turn(&mut self) -> Instant {
        let mut rest = Instant::now() + REST;
        let mut at = 0;
        while at < self.clients.len() {
            let Some(client) = self.clients.get_mut(at) else { break };
            let id = client.id;
            match client.step() {
                Step::Send(to, bytes) => {
                    // A full socket buffer loses a datagram, as any network does.
                    if let Err(error) = self.socket.try_send_to(&bytes, to) {
                        tracing::trace!(%error, "datagram not sent");
                    }
                }
                Step::Wish(wish) => {
                    self.grant(id, wish);
                    // Others have something to send now.
                    at = 0;
                }
                Step::Rest(until) => {
                    rest = rest.min(until);
                    at += 1;
                }
                Step::Dead => {
                    self.drop_client(id);
                    at = 0;
                }
            }
        }
        rest
    }

    fn others(&mut self, id: u64) -> impl Iterator<Item = &mut Client> {
        let room = self.clients.iter().find(|c| c.id == id).map(|c| c.guest.room.clone());
        self.clients
            .iter_mut()
            .filter(move |c| c.id != id && Some(&c.guest.room) == room.as_ref())
    }

    fn grant(&mut self, id: u64, wish: Wish) {
        match wish {
            Wish::Opened(mid, kind) => {
                for other in self.others(id) {
                    other.open(id, mid, kind);
                }
            }
            Wish::Forward(data) => {
                self.record(id, &data);
                for other in self.others(id) {
                    other.forward(id, &data);
                }
            }
            Wish::KeyFrame { origin, mid, request } => {
                if let Some(client) = self.clients.iter_mut().find(|c| c.id == origin) {
                    client.ask_key_frame(mid, request.kind, Instant::now());
                }
            }
        }
    }

    /// Records a frame; the first begins the file.
    fn record(&mut self, id: u64, data: &MediaData) {
        let Some(client) = self.clients.iter_mut().find(|c| c.id == id) else {
            return;
        };
        if client.recorder.is_some() {
            return client.film(data);
        }
        let name = client.guest.recording.clone();
        let path = self.recordings.join(format!("{name}.webm"));
        match Recorder::begin(path, name, self.writing.clone(), data.network_time) {
            Ok(recorder) => {
                client.recorder = Some(recorder);
                client.film(data);
            }
            Err(error) => {
                // A visit that must be recorded is not held unrecorded.
                tracing::error!(video.room = client.guest.room, %error, "recording not begun");
                client.tell(Signal::Error {
                    reason: "无法录制，视频已中止，请联系管理员".to_owned(),
                });
                self.drop_client(id);
            }
        }
    }

    fn drop_client(&mut self, id: u64) {
        for other in self.others(id) {
            other.gone(id);
            other.tell(Signal::Left);
        }
        self.clients.retain(|c| c.id != id);
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Join(guest, reply) => self.join(guest, reply),
            Order::Heard(id, signal) => {
                if let Some(client) = self.clients.iter_mut().find(|c| c.id == id) {
                    client.hear(signal);
                }
            }
            Order::Leave(id) => self.drop_client(id),
            Order::Close(room) => {
                for client in self.clients.iter_mut().filter(|c| c.guest.room == room) {
                    client.tell(Signal::Ended);
                }
                self.clients.retain(|c| c.guest.room != room);
            }
        }
    }

    fn join(&mut self, guest: Guest, reply: oneshot::Sender<Seat>) {
        let twin = self
            .clients
            .iter_mut()
            .find(|c| c.guest.room == guest.room && c.guest.who == guest.who);
        if let Some(twin) = twin {
            twin.tell(Signal::Error {
                reason: "您已在其他窗口加入视频".to_owned(),
            });
            let id = twin.id;
            self.drop_client(id);
        }
        let (up, mut heard) = mpsc::channel(WAITING);
        let (down, told) = mpsc::channel(WAITING);
        let id = self.next;
        self.next += 1;
        let mut client = match Client::new(id, guest, self.address, down, Instant::now()) {
            Ok(client) => client,
            Err(error) => return tracing::error!(%error, "no seat could be made"),
        };
        let room = client.guest.room.clone();
        for other in self.clients.iter().filter(|c| c.guest.room == room) {
            for (mid, kind) in other.tracks() {
                client.open(other.id, mid, kind);
            }
        }
        if reply.send(Seat { up, down: told }).is_err() {
            return;
        }
        self.clients.push(client);
        for other in self.others(id) {
            for (mid, _) in other.tracks() {
                other.ask_key_frame(mid, KeyframeRequestKind::Pli, Instant::now());
            }
        }
        let Some(orders) = self.orders.upgrade() else { return };
        tokio::spawn(async move {
            while let Some(signal) = heard.recv().await {
                if orders.send(Order::Heard(id, signal)).await.is_err() {
                    return;
                }
            }
            // The seat was left; when the server is gone nobody needs to know.
            let _ = orders.send(Order::Leave(id)).await;
        });
    }
}
