//! Behind the cloud's end: hands arriving frames to their lines, and keeps the connection to an external broker.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use engine::{Role, Session, Tuning};
use records::id::EdgeId;
use records::{Ids, PeerId, TenantId};
use rumqttc::AsyncClient;
use rustls::ClientConfig;
use store::Store;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::broker::Arrival;
use crate::cloud::{Board, CloudPort, Desk, LineChange, Pipe, Registry};
use crate::dial::{self, Address, Ended};
use crate::ends::{Inbox, LinkStatus};
use crate::line::{Line, Parts, Wire};
use crate::streams::Streams;
use crate::topic::{Way, parse, up_filter};

/// Hands arriving frames to the line of their appliance, which it sets up at the first frame.
pub(crate) struct Switchboard {
    pub(crate) board: Arc<Board>,
    pub(crate) store: Store,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) ids: Arc<Ids>,
    pub(crate) tuning: Tuning,
    pub(crate) inbox: Arc<dyn Inbox>,
    pub(crate) stop: CancellationToken,
    pub(crate) lines: JoinSet<()>,
}

impl Switchboard {
    pub(crate) async fn run(mut self, mut arrivals: mpsc::Receiver<Arrival>) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(_) = self.lines.join_next() => {}
                arrival = arrivals.recv() => match arrival {
                    Some(Arrival::Frame(edge, frame)) => self.hand_over(edge, Wire::Frame(frame)).await,
                    Some(Arrival::Gone(edge)) => {
                        let wires = self.board.desks().get(&edge).map(|d| d.wires.clone());
                        if let Some(wires) = wires {
                            // A line whose queue is full finds out by its own timer.
                            let _ = wires.try_send(Wire::Disconnected("the appliance hung up".to_owned()));
                        }
                    }
                    None => break,
                }
            }
        }
        while self.lines.join_next().await.is_some() {}
    }

    async fn hand_over(&mut self, edge: EdgeId, wire: Wire) {
        let known = self.board.desks().get(&edge).map(|d| d.wires.clone());
        let wires = match known {
            Some(wires) => wires,
            None => match self.registry.hospital(&edge).await {
                Some(tenant) => self.open_line(&edge, tenant),
                None => {
                    tracing::warn!(link.edge = %edge, "a frame of an unknown appliance was dropped");
                    return;
                }
            },
        };
        if wires.try_send(wire).is_err() {
            tracing::warn!(link.edge = %edge, "the line is behind; frame dropped");
        }
    }

    fn open_line(&mut self, edge: &EdgeId, tenant: TenantId) -> mpsc::Sender<Wire> {
        let (wires_in, wires) = mpsc::channel(1024);
        let (asks_in, asks) = mpsc::channel(256);
        let (status_in, status) = watch::channel(LinkStatus::new(self.store.clock().now()));
        let boot = u64::from_le_bytes(self.ids.random::<8>());
        let line = Line::new(Parts {
            session: Session::new(Role::Cloud, edge.as_str(), boot, self.tuning),
            streams: Streams {
                store: self.store.clone(),
                tenant: tenant.clone(),
                peer: PeerId::edge(edge),
            },
            inbox: self.inbox.clone(),
            calls: None,
            port: CloudPort {
                edge: edge.clone(),
                pipe: self.board.pipe.clone(),
            },
            wires,
            asks,
            status: status_in,
            ids: self.ids.clone(),
            stop: self.stop.clone(),
        });
        self.lines.spawn(line.run());
        self.lines
            .spawn(tell(edge.clone(), status.clone(), self.board.changes.clone()));
        let desk = Desk {
            wires: wires_in.clone(),
            asks: asks_in,
            status,
            tenant,
        };
        tracing::info!(link.edge = %edge, link.tenant = %desk.tenant, "line opened");
        self.board.desks().insert(edge.clone(), desk);
        wires_in
    }
}

/// Publishes the changes of one line until it ends.
async fn tell(edge: EdgeId, mut status: watch::Receiver<LinkStatus>, to: broadcast::Sender<LineChange>) {
    while status.changed().await.is_ok() {
        let status = status.borrow_and_update().clone();
        // Nobody may be listening.
        let _ = to.send(LineChange {
            edge: edge.clone(),
            status,
        });
    }
}

const TAKEN_OVER_REST: Duration = Duration::from_secs(30);

/// Keeps the cloud's connection to an external broker.
pub(crate) struct Dialer {
    pub(crate) address: Address,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) client_id: String,
    pub(crate) pipe: Arc<Pipe>,
    pub(crate) up: mpsc::Sender<Arrival>,
    pub(crate) ids: Arc<Ids>,
}

impl Dialer {
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut failures = 0;
        loop {
            let reason = tokio::select! {
                () = stop.cancelled() => return,
                reason = self.once(&mut failures) => reason,
            };
            self.set(None);
            tracing::warn!(link.reason = ?reason, "connection to the external broker lost");
            let rest = match reason {
                // Another process is the cloud's end now; throwing it out again would only be answered in kind.
                Ended::TakenOver => TAKEN_OVER_REST,
                Ended::Broken(_) => dial::backoff(&self.ids, failures),
            };
            failures += 1;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    fn set(&self, now: Option<AsyncClient>) {
        if let Pipe::External(client) = &*self.pipe {
            *client.lock().unwrap_or_else(PoisonError::into_inner) = now;
        }
    }

    async fn once(&self, failures: &mut u32) -> Ended {
        let connection = match dial::connect(&self.address, self.tls.clone(), &self.client_id, up_filter()).await {
            Ok(connection) => connection,
            Err(reason) => return Ended::Broken(reason),
        };
        *failures = 0;
        self.set(Some(connection.client.clone()));
        connection
            .pump(|topic, frame| {
                let arrival = match parse(&topic) {
                    Some((edge, Way::Up, _)) => Some(Arrival::Frame(edge, frame)),
                    _ => None,
                };
                let up = self.up.clone();
                async move {
                    if let Some(arrival) = arrival {
                        // Fails only when the switchboard has ended.
                        let _ = up.send(arrival).await;
                    }
                }
            })
            .await
    }
}
