//! The appliance's end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::{Channel, Role, Session, Tuning};
use records::id::EdgeId;
use records::{Ids, PeerId, TenantId};
use rumqttc::AsyncClient;
use rustls::ClientConfig;
use store::Store;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::LinkError;
use crate::dial::Ended;
use crate::dial::{self, Address};
use crate::ends::{Calls, Inbox, LinkStatus};
use crate::line::{Line, Parts, Port, Wire};
use crate::streams::{self, MIGRATIONS, Streams};
use crate::topic::{Way, client_id, topic, word};

/// What the appliance's end needs.
pub struct Options {
    /// This appliance, as in its certificate.
    pub edge: EdgeId,
    /// Its hospital.
    pub tenant: TenantId,
    /// `mqtts://host:port`.
    pub broker: String,
    /// Trust and key, e.g. from [`crate::tls::client_config`] with a resolver whose key lives in the TPM.
    pub tls: Arc<ClientConfig>,
    /// Random numbers for names of connections and calls.
    pub ids: Arc<Ids>,
    /// Times and limits; the default is meant for the field.
    pub tuning: Tuning,
}

/// The appliance's end of the line; it lives until [`Self::stop`] or until it is dropped.
pub struct EdgeLink {
    status: watch::Receiver<LinkStatus>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    handles: [AbortHandle; 2],
}

impl EdgeLink {
    /// Starts. Must be called before this process appends anything.
    pub async fn start(
        store: Store,
        options: Options,
        calls: Arc<dyn Calls>,
        inbox: Arc<dyn Inbox>,
    ) -> Result<Self, LinkError> {
        let address = Address::parse(&options.broker)?;
        store.migrate(MIGRATIONS).await?;
        streams::suspect_all(&store).await?;
        let streams = Streams {
            store: store.clone(),
            tenant: options.tenant,
            peer: PeerId::cloud(),
        };
        streams.load().await?;

        let boot = u64::from_le_bytes(options.ids.random::<8>());
        let (status_in, status) = watch::channel(LinkStatus::new(store.clock().now()));
        let (wires_in, wires) = mpsc::channel(1024);
        let (_, asks) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared::default());
        let line = Line::new(Parts {
            session: Session::new(Role::Edge, options.edge.as_str(), boot, options.tuning),
            streams,
            inbox,
            calls: Some(calls),
            port: EdgePort {
                edge: options.edge.clone(),
                shared: shared.clone(),
            },
            wires,
            asks,
            status: status_in,
            ids: options.ids.clone(),
            stop: stop.clone(),
        });
        let dialer = Dialer {
            address,
            tls: options.tls,
            edge: options.edge,
            shared,
            wires: wires_in,
            ids: options.ids,
            rest: options.tuning.rest,
        };
        let mut tasks = JoinSet::new();
        let handles = [tasks.spawn(line.run()), tasks.spawn(dialer.run(stop.clone()))];
        Ok(Self {
            status,
            stop,
            tasks,
            handles,
        })
    }

    /// How the line stands, now and whenever it changes.
    pub fn status(&self) -> watch::Receiver<LinkStatus> {
        self.status.clone()
    }

    /// Whether all tasks still run; for the watchdog and the supervisor, who starts a new link when they do not.
    pub fn is_alive(&self) -> bool {
        !self.handles.iter().any(AbortHandle::is_finished)
    }

    /// Says good-bye and ends.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

#[derive(Default)]
struct Shared {
    clients: Mutex<Option<[AsyncClient; 2]>>,
    redial: Notify,
}

struct EdgePort {
    edge: EdgeId,
    shared: Arc<Shared>,
}

impl Port for EdgePort {
    fn send(&mut self, channel: Channel, frame: Vec<u8>) {
        let clients = self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some([ctl, bulk]) = clients.as_ref() {
            let client = if channel == Channel::Ctl { ctl } else { bulk };
            if !dial::publish(client, &topic(&self.edge, Way::Up, channel), frame) {
                tracing::debug!(
                    link.channel = word(channel),
                    "queue to the broker is full; frame dropped"
                );
            }
        }
    }

    fn redial(&mut self) {
        self.shared.redial.notify_one();
    }
}

/// Keeps the two connections; when one fails, both are made anew.
struct Dialer {
    address: Address,
    tls: Arc<ClientConfig>,
    edge: EdgeId,
    shared: Arc<Shared>,
    wires: mpsc::Sender<Wire>,
    ids: Arc<Ids>,
    /// How long it stays away at least after another connection took its place.
    rest: Duration,
}

const GOOD_BYE: Duration = Duration::from_millis(100);

impl Dialer {
    async fn run(self, stop: CancellationToken) {
        let mut failures = 0;
        loop {
            let ended = {
                let mut once = std::pin::pin!(self.once(&mut failures));
                tokio::select! {
                    ended = &mut once => ended,
                    () = stop.cancelled() => {
                        // The line's good-bye is in the client's queue; give it a moment to leave.
                        let _ = tokio::time::timeout(GOOD_BYE, once).await;
                        return;
                    }
                }
            };
            *self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner) = None;
            let (wire, rest) = match ended {
                // The other one may be right: give it time, or the two would throw each other out without end.
                Ended::TakenOver => (Wire::TakenOver, dial::rest(&self.ids, self.rest)),
                Ended::Broken(reason) => {
                    tracing::info!(link.edge = %self.edge, link.reason = reason, "connection to the broker");
                    (Wire::Disconnected(reason), dial::backoff(&self.ids, failures))
                }
            };
            failures += 1;
            if self.wires.send(wire).await.is_err() {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    async fn once(&self, failures: &mut u32) -> Ended {
        let dial = |channel| {
            let id = client_id(&self.edge, channel);
            let (filter, tls) = (topic(&self.edge, Way::Down, channel), self.tls.clone());
            async move { dial::connect(&self.address, tls, &id, &filter).await }
        };
        let (ctl, bulk) = match tokio::try_join!(dial(Channel::Ctl), dial(Channel::Bulk)) {
            Ok(both) => both,
            Err(reason) => return Ended::Broken(reason),
        };
        *failures = 0;
        let clients = [ctl.client.clone(), bulk.client.clone()];
        *self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner) = Some(clients);
        if self.wires.send(Wire::Connected).await.is_err() {
            return Ended::Broken("stopping".to_owned());
        }
        let hand_on = |_topic: String, frame: Vec<u8>| {
            let wires = self.wires.clone();
            async move {
                // Fails only when the line has ended, and then this task ends too.
                let _ = wires.send(Wire::Frame(frame)).await;
            }
        };
        tokio::select! {
            reason = ctl.pump(hand_on) => reason,
            reason = bulk.pump(hand_on) => reason,
            () = self.shared.redial.notified() => Ended::Broken("the cloud is silent".to_owned()),
        }
    }
}
