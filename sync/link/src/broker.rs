//! The broker inside the cloud's process: a pipe for QoS 0 messages between appliances and the cloud.
//!
//! Invariants: a connection's identity is the SAN URI of its certificate and nothing else; it may publish to its own
//! `up` topics and hear its own `dn` topics; anything else ends it. Nothing is stored. A second connection under the
//! same client identifier takes over. Memory per connection is bounded by its queues.
//!
//! What MQTT 5 offers beyond that (QoS 1 and 2, retained messages, wills, topic aliases, shared subscriptions) is
//! refused in the words of the protocol, and announced as missing in CONNACK.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use engine::{Channel, MAX_FRAME_BYTES};
use futures_util::{SinkExt, StreamExt};
use records::id::EdgeId;
use rumqttc::mqttbytes::v5::{
    Codec, ConnAck, ConnAckProperties, ConnectReturnCode, Disconnect, DisconnectReasonCode, Packet, Publish, SubAck,
    Subscribe, SubscribeReasonCode, UnsubAck, UnsubAckReason,
};
use rumqttc::mqttbytes::{self, QoS};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;

use crate::LinkError;
use crate::tls::{edge_of, why};
use crate::topic::{Way, downward, parse, topic};

/// Decides whether an appliance with a genuine certificate may connect now.
#[async_trait]
pub trait Gate: Send + Sync + 'static {
    /// Whether this appliance, with this certificate, is admitted (known, not suspended, not revoked).
    async fn admits(&self, edge: &EdgeId, certificate: &CertificateDer<'_>) -> bool;
}

/// What appliances send, and when they are gone.
#[derive(Debug)]
pub(crate) enum Arrival {
    Frame(EdgeId, Vec<u8>),
    Gone(EdgeId),
}

/// Frames waiting for one connection; a full queue drops, and the sender's session repeats what matters.
const QUEUE: usize = 512;
const GREETING: Duration = Duration::from_secs(10);
const STALLED: Duration = Duration::from_secs(20);
const MAX_CONNECTIONS: usize = 4096;

type Framing = Framed<TlsStream<TcpStream>, Codec>;

struct Guest {
    number: u64,
    edge: EdgeId,
    /// What it subscribed to.
    hears: Vec<Channel>,
    frames: mpsc::Sender<(Channel, Vec<u8>)>,
    leave: CancellationToken,
}

#[derive(Default)]
struct House {
    /// By client identifier.
    guests: HashMap<String, Guest>,
    next: u64,
}

/// The embedded broker; ends when dropped.
pub struct Broker {
    address: SocketAddr,
    house: Arc<Mutex<House>>,
    stop: CancellationToken,
    _task: JoinSet<()>,
}

impl Broker {
    /// Listens. Arrivals go to `up`.
    pub(crate) async fn listen(
        address: SocketAddr,
        tls: Arc<ServerConfig>,
        gate: Arc<dyn Gate>,
        up: mpsc::Sender<Arrival>,
    ) -> Result<Self, LinkError> {
        let failed = |source| LinkError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let house = Arc::new(Mutex::new(House::default()));
        let stop = CancellationToken::new();
        let door = Door {
            acceptor: TlsAcceptor::from(tls),
            gate,
            house: house.clone(),
            up,
            stop: stop.clone(),
        };
        let mut task = JoinSet::new();
        task.spawn(Arc::new(door).open(listener));
        Ok(Self {
            address,
            house,
            stop,
            _task: task,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands a frame to the connections of an appliance that hear this channel; `false` when nobody took it.
    pub(crate) fn send(&self, edge: &EdgeId, channel: Channel, frame: Vec<u8>) -> bool {
        let house = lock(&self.house);
        let guest = house
            .guests
            .values()
            .find(|g| g.edge == *edge && g.hears.contains(&channel));
        guest.is_some_and(|g| g.frames.try_send((channel, frame)).is_ok())
    }

    /// Ends the connections of an appliance, e.g. when its certificate was revoked.
    pub fn expel(&self, edge: &EdgeId) {
        lock(&self.house)
            .guests
            .values()
            .filter(|g| g.edge == *edge)
            .for_each(|g| g.leave.cancel());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn lock(house: &Mutex<House>) -> std::sync::MutexGuard<'_, House> {
    house.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Door {
    acceptor: TlsAcceptor,
    gate: Arc<dyn Gate>,
    house: Arc<Mutex<House>>,
    up: mpsc::Sender<Arrival>,
    stop: CancellationToken,
}

/// Why a connection ends from our side.
enum Parting {
    /// It went by itself.
    Left,
    /// It is told why.
    Told(DisconnectReasonCode),
}

impl Door {
    async fn open(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) if connections.len() < MAX_CONNECTIONS => {
                        connections.spawn(self.clone().serve(stream, from));
                    }
                    Ok((_, from)) => tracing::warn!(broker.from = %from, "too many connections; refused"),
                    Err(e) => {
                        tracing::warn!(broker.error = %e, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, from: SocketAddr) {
        if let Err(reason) = self.clone().admit(stream, from).await {
            tracing::warn!(broker.from = %from, broker.reason = reason, "connection refused");
        }
    }

    async fn admit(self: Arc<Self>, stream: TcpStream, from: SocketAddr) -> Result<(), String> {
        // A QoS 0 pipe that waits for more bytes to send is a slow pipe.
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let tls = timeout(GREETING, self.acceptor.accept(stream)).await;
        let tls = tls
            .map_err(|_| "no TLS greeting in time")?
            .map_err(|e| why(&e, self.acceptor.config().crypto_provider()))?;
        let session = tls.get_ref().1;
        let suite = smtls::suite_name(session);
        let certificate = session.peer_certificates().and_then(|chain| chain.first()).cloned();
        let certificate = certificate.ok_or("no client certificate")?;
        let edge = edge_of(&certificate).ok_or("the certificate names no appliance")?;
        let max = u32::try_from(MAX_FRAME_BYTES).unwrap_or(u32::MAX).saturating_add(1024);
        let mut framing = Framed::new(
            tls,
            Codec {
                max_incoming_size: Some(max),
                max_outgoing_size: Some(max),
            },
        );

        let first = timeout(GREETING, framing.next())
            .await
            .map_err(|_| "no CONNECT in time")?;
        let Some(Ok(Packet::Connect(connect, will, _))) = first else {
            return Err("no CONNECT".to_owned());
        };
        let own_name = connect.client_id == edge.as_str() || connect.client_id.starts_with(&format!("{edge}:"));
        let code = if !self.gate.admits(&edge, &certificate).await {
            ConnectReturnCode::NotAuthorized
        } else if !own_name {
            ConnectReturnCode::ClientIdentifierNotValid
        } else if will.is_some() {
            ConnectReturnCode::NotAuthorized
        } else {
            ConnectReturnCode::Success
        };
        let answered = framing.send(Packet::ConnAck(connack(code, max))).await;
        if code != ConnectReturnCode::Success {
            return Err(format!("{edge} as {}: {code:?}", connect.client_id));
        }
        answered.map_err(|e| e.to_string())?;
        let keep_alive = Duration::from_secs(u64::from(connect.keep_alive)).mul_f32(1.5);
        tracing::info!(broker.edge = %edge, broker.client = connect.client_id, broker.from = %from, broker.tls = suite, "connected");
        self.entertain(framing, edge, connect.client_id, keep_alive).await;
        Ok(())
    }

    async fn entertain(&self, mut framing: Framing, edge: EdgeId, name: String, keep_alive: Duration) {
        let (frames, mut queue) = mpsc::channel(QUEUE);
        let leave = CancellationToken::new();
        let number = self.check_in(&edge, &name, frames, leave.clone());
        let patience = if keep_alive.is_zero() {
            Duration::from_secs(3600)
        } else {
            keep_alive
        };
        let parting = loop {
            tokio::select! {
                () = self.stop.cancelled() => break Parting::Told(DisconnectReasonCode::ServerShuttingDown),
                () = leave.cancelled() => break Parting::Told(DisconnectReasonCode::SessionTakenOver),
                Some((channel, frame)) = queue.recv() => {
                    let message = Publish::new(topic(&edge, Way::Down, channel), QoS::AtMostOnce, frame, None);
                    match timeout(STALLED, framing.send(Packet::Publish(message))).await {
                        Ok(Ok(())) => {}
                        _ => break Parting::Left,
                    }
                }
                packet = timeout(patience, framing.next()) => match packet {
                    Err(_) => break Parting::Told(DisconnectReasonCode::KeepAliveTimeout),
                    Ok(Some(Ok(packet))) => {
                        if let Err(parting) = self.on_packet(packet, &edge, &name, number, &mut framing).await {
                            break parting;
                        }
                    }
                    // Reset, or ended within a packet: the line broke, nobody sent nonsense.
                    Ok(Some(Err(mqttbytes::Error::Io(e)))) => {
                        tracing::info!(broker.edge = %edge, broker.client = name, broker.error = %e, "connection broke off");
                        break Parting::Left;
                    }
                    Ok(Some(Err(e))) => {
                        tracing::warn!(broker.edge = %edge, broker.error = %e, "malformed packet");
                        break Parting::Told(DisconnectReasonCode::MalformedPacket);
                    }
                    Ok(None) => break Parting::Left,
                }
            }
        };
        if let Parting::Told(reason) = parting {
            tracing::warn!(broker.edge = %edge, broker.client = name, broker.reason = ?reason, "disconnected");
            let told = framing.send(Packet::Disconnect(Disconnect::new(reason)));
            // It may have gone already.
            let _ = timeout(Duration::from_secs(1), told).await;
        }
        self.check_out(&edge, &name, number).await;
    }

    async fn on_packet(
        &self,
        packet: Packet,
        edge: &EdgeId,
        name: &str,
        number: u64,
        framing: &mut Framing,
    ) -> Result<(), Parting> {
        let told = |reason| Err(Parting::Told(reason));
        let answer = match packet {
            Packet::Publish(p) => {
                if p.qos != QoS::AtMostOnce {
                    return told(DisconnectReasonCode::QoSNotSupported);
                }
                if p.retain {
                    return told(DisconnectReasonCode::RetainNotSupported);
                }
                let named = std::str::from_utf8(&p.topic).ok().and_then(parse);
                let Some((to, Way::Up, _)) = named.filter(|(to, ..)| to == edge) else {
                    return told(DisconnectReasonCode::NotAuthorized);
                };
                // Waiting here stops reading from this appliance: the back pressure is TCP's.
                return self
                    .up
                    .send(Arrival::Frame(to, p.payload.to_vec()))
                    .await
                    .map_err(|_| Parting::Left);
            }
            Packet::Subscribe(s) => Packet::SubAck(self.subscribe(&s, edge, name, number)),
            Packet::Unsubscribe(u) => {
                let reasons = u.filters.iter().map(|_| UnsubAckReason::Success).collect();
                lock(&self.house)
                    .guests
                    .get_mut(name)
                    .filter(|g| g.number == number)
                    .into_iter()
                    .for_each(|g| g.hears.clear());
                Packet::UnsubAck(UnsubAck {
                    pkid: u.pkid,
                    reasons,
                    properties: None,
                })
            }
            Packet::PingReq => Packet::PingResp,
            Packet::Disconnect(_) => return Err(Parting::Left),
            _ => return told(DisconnectReasonCode::ProtocolError),
        };
        framing.send(answer).await.map_err(|_| Parting::Left)
    }

    fn subscribe(&self, s: &Subscribe, edge: &EdgeId, name: &str, number: u64) -> SubAck {
        let mut return_codes = Vec::with_capacity(s.filters.len());
        let mut house = lock(&self.house);
        for filter in &s.filters {
            let heard = downward(&filter.path, edge);
            let guest = house.guests.get_mut(name).filter(|g| g.number == number);
            return_codes.push(match (heard, guest) {
                (Some(channels), Some(guest)) => {
                    guest.hears.extend(channels);
                    SubscribeReasonCode::Success(QoS::AtMostOnce)
                }
                _ => {
                    tracing::warn!(broker.edge = %edge, broker.filter = filter.path, "subscription refused");
                    SubscribeReasonCode::NotAuthorized
                }
            });
        }
        SubAck {
            pkid: s.pkid,
            return_codes,
            properties: None,
        }
    }

    fn check_in(
        &self,
        edge: &EdgeId,
        name: &str,
        frames: mpsc::Sender<(Channel, Vec<u8>)>,
        leave: CancellationToken,
    ) -> u64 {
        let mut house = lock(&self.house);
        house.next += 1;
        let number = house.next;
        let guest = Guest {
            number,
            edge: edge.clone(),
            hears: Vec::new(),
            frames,
            leave,
        };
        if let Some(older) = house.guests.insert(name.to_owned(), guest) {
            older.leave.cancel();
        }
        number
    }

    /// Forgets a connection; the cloud is told when it was not taken over by a newer one.
    async fn check_out(&self, edge: &EdgeId, name: &str, number: u64) {
        let was_current = {
            let mut house = lock(&self.house);
            let current = house.guests.get(name).is_some_and(|g| g.number == number);
            if current {
                house.guests.remove(name);
            }
            current
        };
        if was_current {
            // The cloud's end may be gone already.
            let _ = self.up.send(Arrival::Gone(edge.clone())).await;
        }
    }
}

fn connack(code: ConnectReturnCode, max: u32) -> ConnAck {
    let properties = ConnAckProperties {
        session_expiry_interval: Some(0),
        receive_max: None,
        max_qos: Some(0),
        retain_available: Some(0),
        max_packet_size: Some(max),
        assigned_client_identifier: None,
        topic_alias_max: Some(0),
        reason_string: None,
        user_properties: Vec::new(),
        wildcard_subscription_available: Some(1),
        subscription_identifiers_available: Some(0),
        shared_subscription_available: Some(0),
        server_keep_alive: None,
        response_information: None,
        server_reference: None,
        authentication_method: None,
        authentication_data: None,
    };
    ConnAck {
        session_present: false,
        code,
        properties: (code == ConnectReturnCode::Success).then_some(properties),
    }
}
