//! The cloud's end of all lines.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use engine::{Answer, Channel, Tuning};
use records::id::EdgeId;
use records::{Ids, Outcome, TenantId};
use rumqttc::AsyncClient;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ServerConfig};
use serde_json::Value;
use store::Store;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::LinkError;
use crate::broker::{Broker, Gate};
use crate::dial::{self, Address};
use crate::ends::{Inbox, LinkStatus};
use crate::line::{Ask, Port, Wire};
use crate::streams::{self, MIGRATIONS};
use crate::switchboard::{Dialer, Switchboard};
use crate::topic::{Way, topic};

/// Which appliances there are; the fleet registry answers.
#[async_trait]
pub trait Registry: Send + Sync + 'static {
    /// The hospital an appliance belongs to; `None` when it is unknown, suspended or revoked.
    async fn hospital(&self, edge: &EdgeId) -> Option<TenantId>;

    /// Whether this certificate of an appliance is still good; by default any certificate of a known appliance is.
    async fn admits(&self, edge: &EdgeId, certificate: &CertificateDer<'_>) -> bool {
        let _ = certificate;
        self.hospital(edge).await.is_some()
    }
}

/// Which broker carries the frames.
pub enum BrokerChoice {
    /// The one in this process.
    Embedded {
        /// Where it listens.
        listen: SocketAddr,
        /// Its certificate, and which clients it trusts; from [`crate::tls::server_config`] with
        /// [`crate::tls::ClientCertificate::Required`].
        tls: Arc<ServerConfig>,
    },
    /// Any MQTT 5 broker that binds `yq/v1/{edge_id}/up/#` and `…/dn/#` to the appliance's certificate and lets this
    /// client hear [`crate::up_filter`] and publish to every `dn`. One process at a time may be the cloud's end.
    External {
        /// `mqtts://host:port`.
        url: String,
        /// Trust and key of the cloud at that broker.
        tls: Arc<ClientConfig>,
        /// Client identifier.
        client_id: String,
    },
}

/// What the cloud's end needs.
pub struct Options {
    /// The broker.
    pub broker: BrokerChoice,
    /// The fleet.
    pub registry: Arc<dyn Registry>,
    /// Random numbers for names of calls and connections.
    pub ids: Arc<Ids>,
    /// Times and limits; the default is meant for the field.
    pub tuning: Tuning,
}

/// A change of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineChange {
    /// Whose line.
    pub edge: EdgeId,
    /// How it stands now.
    pub status: LinkStatus,
}

/// The cloud's end of all lines; lives until [`Self::stop`] or until it is dropped.
pub struct CloudLink {
    board: Arc<Board>,
    tasks: Mutex<JoinSet<()>>,
    stop: CancellationToken,
}

pub(crate) struct Desk {
    pub(crate) wires: mpsc::Sender<Wire>,
    pub(crate) asks: mpsc::Sender<Ask>,
    pub(crate) status: watch::Receiver<LinkStatus>,
    pub(crate) tenant: TenantId,
}

pub(crate) enum Pipe {
    Embedded(Broker),
    External(Mutex<Option<AsyncClient>>),
}

impl Pipe {
    fn send(&self, edge: &EdgeId, channel: Channel, frame: Vec<u8>) {
        let taken = match self {
            Self::Embedded(broker) => broker.send(edge, channel, frame),
            Self::External(client) => {
                let client = client.lock().unwrap_or_else(PoisonError::into_inner);
                client
                    .as_ref()
                    .is_some_and(|c| dial::publish(c, &topic(edge, Way::Down, channel), frame))
            }
        };
        if !taken {
            tracing::debug!(link.edge = %edge, "frame dropped: the appliance is away or its queue is full");
        }
    }
}

pub(crate) struct Board {
    pub(crate) pipe: Arc<Pipe>,
    pub(crate) desks: Mutex<HashMap<EdgeId, Desk>>,
    pub(crate) changes: broadcast::Sender<LineChange>,
}

pub(crate) struct CloudPort {
    pub(crate) edge: EdgeId,
    pub(crate) pipe: Arc<Pipe>,
}

impl Port for CloudPort {
    fn send(&mut self, channel: Channel, frame: Vec<u8>) {
        self.pipe.send(&self.edge, channel, frame);
    }

    fn redial(&mut self) {}
}

struct Doorman(Arc<dyn Registry>);

#[async_trait]
impl Gate for Doorman {
    async fn admits(&self, edge: &EdgeId, certificate: &CertificateDer<'_>) -> bool {
        self.0.admits(edge, certificate).await
    }
}

impl CloudLink {
    /// Starts. Must be called before this process appends anything for an appliance.
    pub async fn start(store: Store, options: Options, inbox: Arc<dyn Inbox>) -> Result<Self, LinkError> {
        store.migrate(MIGRATIONS).await?;
        streams::suspect_all(&store).await?;
        let stop = CancellationToken::new();
        let (up, arrivals) = mpsc::channel(4096);
        let mut tasks = JoinSet::new();
        let pipe = match options.broker {
            BrokerChoice::Embedded { listen, tls } => {
                let gate = Arc::new(Doorman(options.registry.clone()));
                Arc::new(Pipe::Embedded(Broker::listen(listen, tls, gate, up).await?))
            }
            BrokerChoice::External { url, tls, client_id } => {
                let address = Address::parse(&url)?;
                let pipe = Arc::new(Pipe::External(Mutex::new(None)));
                let dialer = Dialer {
                    address,
                    tls,
                    client_id,
                    pipe: pipe.clone(),
                    up,
                    ids: options.ids.clone(),
                };
                tasks.spawn(dialer.run(stop.clone()));
                pipe
            }
        };
        let board = Arc::new(Board {
            pipe,
            desks: Mutex::new(HashMap::new()),
            changes: broadcast::channel(1024).0,
        });
        let switchboard = Switchboard {
            board: board.clone(),
            store,
            registry: options.registry,
            ids: options.ids,
            tuning: options.tuning,
            inbox,
            stop: stop.clone(),
            lines: JoinSet::new(),
        };
        tasks.spawn(switchboard.run(arrivals));
        Ok(Self {
            board,
            tasks: Mutex::new(tasks),
            stop,
        })
    }

    /// Where the embedded broker listens.
    pub fn broker_address(&self) -> Option<SocketAddr> {
        match &*self.board.pipe {
            Pipe::Embedded(broker) => Some(broker.address()),
            Pipe::External(_) => None,
        }
    }

    /// How the line of an appliance stands; `None` when it was never heard since this process began.
    pub fn status(&self, edge: &EdgeId) -> Option<LinkStatus> {
        self.board.desks().get(edge).map(|d| d.status.borrow().clone())
    }

    /// Whether an appliance is there.
    pub fn online(&self, edge: &EdgeId) -> bool {
        self.status(edge).is_some_and(|s| s.online)
    }

    /// Changes of all lines from now on. A slow reader misses some and asks [`Self::status`].
    pub fn changes(&self) -> broadcast::Receiver<LineChange> {
        self.board.changes.subscribe()
    }

    /// Ends the connections of an appliance at once (revoked, suspended); the registry must refuse it from now on.
    pub fn expel(&self, edge: &EdgeId) {
        if let Pipe::Embedded(broker) = &*self.board.pipe {
            broker.expel(edge);
        }
        self.board.desks().remove(edge);
    }

    /// Asks an appliance now. An appliance that is away answers [`Outcome::Later`] at once; one that falls silent
    /// answers [`Outcome::Unknown`] at the deadline, because the call may have arrived.
    pub async fn call(
        &self,
        edge: &EdgeId,
        method: &str,
        key: Option<&str>,
        deadline: Duration,
        body: &Value,
    ) -> Outcome<Value> {
        let away = Outcome::Later { after_ms: 2_000 };
        let asks = {
            let desks = self.board.desks();
            match desks.get(edge) {
                Some(desk) if desk.status.borrow().online => desk.asks.clone(),
                _ => return away,
            }
        };
        let (answer, answered) = oneshot::channel();
        let Ok(body) = serde_json::to_vec(body) else {
            return Outcome::refused("malformed_call", "请求无法发送");
        };
        if body.len() + 1024 > engine::MAX_FRAME_BYTES {
            return Outcome::refused("too_large", "请求内容过大");
        }
        let ask = Ask::Call {
            method: method.to_owned(),
            key: key.map(str::to_owned),
            deadline,
            body,
            answer,
        };
        if asks.try_send(ask).is_err() {
            return Outcome::Later { after_ms: 500 };
        }
        match tokio::time::timeout(deadline + Duration::from_secs(1), answered).await {
            Ok(Ok(Answer::Replied(body))) => serde_json::from_slice(&body).unwrap_or(Outcome::Unknown),
            Ok(Ok(Answer::Busy)) => Outcome::Later { after_ms: 500 },
            Ok(Ok(Answer::NotStarted)) => away,
            Ok(Ok(Answer::TooLarge)) => Outcome::refused("answer_too_large", "返回内容过大，请缩小查询范围"),
            Ok(Ok(Answer::Unknown) | Err(_)) | Err(_) => Outcome::Unknown,
        }
    }

    /// Ends.
    pub async fn stop(self) {
        self.stop.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }
}

impl Drop for CloudLink {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Board {
    pub(crate) fn desks(&self) -> std::sync::MutexGuard<'_, HashMap<EdgeId, Desk>> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
