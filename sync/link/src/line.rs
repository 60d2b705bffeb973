//! Runs one end of one line: feeds the session with frames, store results and time, and does what it says.
//!
//! One task owns the session; store work runs beside it in a set that ends with it. Nothing waits without a deadline,
//! and nothing waits for new input: the session's own timer looks at the outbox.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use engine::{Answer, Channel, DownReason, Effect, IncomingCall, Mark, OutState, OutgoingCall, Session};
use records::{Clock, Lane, Outcome};
use serde_json::Value;
use store::StoreError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ends::{Call, Calls, Inbox, LinkStatus, Outage};
use crate::streams::Streams;

/// Something the pipe under a line says.
#[derive(Debug)]
pub(crate) enum Wire {
    Frame(Vec<u8>),
    Connected,
    Disconnected(String),
    /// The broker gave our place to another connection of this appliance.
    TakenOver,
}

/// The pipe under a line.
pub(crate) trait Port: Send {
    /// Hands a frame to the pipe, or drops it when the pipe is full or gone: the session repeats what matters.
    fn send(&mut self, channel: Channel, frame: Vec<u8>);
    /// Drops the connection and makes a new one.
    fn redial(&mut self);
}

/// A request to the line's task.
pub(crate) enum Ask {
    Call {
        method: String,
        key: Option<String>,
        deadline: Duration,
        body: Vec<u8>,
        answer: oneshot::Sender<Answer>,
    },
}

enum Done {
    Streams(u64, Result<Vec<(Lane, OutState)>, StoreError>),
    Read(Lane, u64, Result<Vec<(u64, engine::Entry)>, StoreError>),
    Recalled(Recall, Result<Vec<Mark>, StoreError>),
    Verified(Lane, Result<(), StoreError>),
    Rebased(Lane, u64, Result<OutState, StoreError>),
    Cursor(Look, Result<(u64, Vec<Mark>), StoreError>),
    Applied(Lane, u64, Result<Option<u64>, StoreError>),
    Acked,
    Depth(Option<u64>),
    Reply([u8; 16], Outcome<Value>),
}

/// Our own entries whose marks are wanted.
#[derive(Clone, Copy)]
struct Recall {
    lane: Lane,
    after: u64,
    upto: u64,
    ticket: u64,
}

/// A peer's stream whose cursor is wanted.
#[derive(Clone, Copy)]
struct Look {
    lane: Lane,
    epoch: u64,
    base: u64,
    settled: u64,
    ticket: u64,
}

/// Everything a line needs.
pub(crate) struct Parts<P> {
    pub(crate) session: Session,
    pub(crate) streams: Streams,
    pub(crate) inbox: Arc<dyn Inbox>,
    pub(crate) calls: Option<Arc<dyn Calls>>,
    pub(crate) port: P,
    pub(crate) wires: mpsc::Receiver<Wire>,
    pub(crate) asks: mpsc::Receiver<Ask>,
    pub(crate) status: watch::Sender<LinkStatus>,
    pub(crate) ids: Arc<records::Ids>,
    pub(crate) stop: CancellationToken,
}

pub(crate) struct Line<P> {
    p: Parts<P>,
    clock: Arc<dyn Clock>,
    begun: Instant,
    jobs: JoinSet<Done>,
    running: HashMap<[u8; 16], AbortHandle>,
    waiting: HashMap<[u8; 16], oneshot::Sender<Answer>>,
    /// The newest acknowledgement per lane that is not yet stored, and whether one is being stored.
    acks: BTreeMap<Lane, (u64, u64)>,
    storing_ack: bool,
    ack_at: Instant,
    depth_at: Instant,
    depth_running: bool,
    /// The outbox may have grown or shrunk since its depth was told.
    depth_stale: bool,
}

const ACK_EVERY: Duration = Duration::from_millis(100);
const DEPTH_EVERY: Duration = Duration::from_millis(500);
/// Another process may have appended.
const DEPTH_AT_LEAST: Duration = Duration::from_secs(10);
const STORE_REST: Duration = Duration::from_millis(500);

impl<P: Port> Line<P> {
    pub(crate) fn new(parts: Parts<P>) -> Self {
        let now = Instant::now();
        Self {
            clock: parts.streams.store.clock().clone(),
            p: parts,
            begun: now,
            jobs: JoinSet::new(),
            running: HashMap::new(),
            waiting: HashMap::new(),
            acks: BTreeMap::new(),
            storing_ack: false,
            ack_at: now,
            depth_at: now,
            depth_running: false,
            depth_stale: true,
        }
    }

    /// Since the line began; one second on, so that "long ago" can be told from "never".
    fn now(&self) -> Duration {
        self.begun.elapsed() + Duration::from_secs(1)
    }

    /// Runs until told to stop.
    pub(crate) async fn run(mut self) {
        let [mut clinical, mut telemetry] = Lane::ALL.map(|lane| self.p.streams.store.watch(self.p.streams.key(lane)));
        let stop = self.p.stop.clone();
        loop {
            self.act();
            let wake = self.begun
                + self
                    .p
                    .session
                    .next_wake(self.now())
                    .saturating_sub(Duration::from_secs(1));
            let wake = if self.depth_stale && !self.depth_running {
                wake.min(self.depth_at)
            } else {
                wake
            };
            let wake = if self.acks.is_empty() || self.storing_ack {
                wake
            } else {
                wake.min(self.ack_at)
            };
            let now = self.now();
            tokio::select! {
                () = stop.cancelled() => break,
                wire = self.p.wires.recv() => match wire {
                    Some(wire) => self.on_wire(wire),
                    // Nobody can send frames any more: the appliance was expelled.
                    None => break,
                },
                Some(ask) = self.p.asks.recv() => self.on_ask(ask),
                Some(done) = self.jobs.join_next() => match done {
                    Ok(done) => self.on_done(done),
                    Err(e) => self.on_lost(&e),
                },
                Ok(()) = clinical.changed() => self.appended(Lane::Clinical, now),
                Ok(()) = telemetry.changed() => self.appended(Lane::Telemetry, now),
                () = tokio::time::sleep_until(wake.max(Instant::now() + Duration::from_millis(1))) => {
                    self.p.session.tick(now, self.clock.now());
                }
            }
        }
        self.p.session.stopping();
        self.act();
    }

    fn appended(&mut self, lane: Lane, now: Duration) {
        self.depth_stale = true;
        self.p.session.appended(lane, now);
    }

    fn on_wire(&mut self, wire: Wire) {
        let (now, wall) = (self.now(), self.clock.now());
        match wire {
            Wire::Frame(bytes) => {
                if let Err(e) = self.p.session.receive(&bytes, now, wall) {
                    tracing::warn!(link.peer = %self.p.streams.peer, link.error = %e, "a frame could not be read");
                }
            }
            Wire::Connected => self.p.session.connected(now, wall),
            Wire::TakenOver => self.p.session.taken_over(),
            Wire::Disconnected(reason) => {
                let reason = Some(Outage::Wire(reason));
                self.p.status.send_if_modified(|s| {
                    let other = s.reason != reason;
                    s.reason = reason;
                    other
                });
                self.p.session.disconnected(now);
            }
        }
    }

    fn on_ask(&mut self, ask: Ask) {
        let Ask::Call {
            method,
            key,
            deadline,
            body,
            answer,
        } = ask;
        let (rid, now) = (self.p.ids.random::<16>(), self.now());
        self.waiting.insert(rid, answer);
        self.p.session.call(
            OutgoingCall {
                rid,
                method,
                key,
                deadline: now + deadline,
                body,
            },
            now,
        );
    }

    fn on_done(&mut self, done: Done) {
        let now = self.now();
        match done {
            Done::Streams(ticket, Ok(streams)) => self.p.session.streams(ticket, streams, now),
            Done::Streams(ticket, Err(e)) => {
                self.store_failed(&e);
                self.load_streams(ticket, STORE_REST);
            }
            Done::Read(lane, ticket, Ok(entries)) => self.p.session.loaded(lane, ticket, entries, now),
            Done::Read(lane, ticket, Err(e)) => {
                self.store_failed(&e);
                self.p.session.load_failed(lane, ticket);
            }
            Done::Verified(lane, Ok(())) => self.p.session.verified(lane, now),
            Done::Verified(lane, Err(e)) => {
                self.store_failed(&e);
                self.verify(lane, STORE_REST);
            }
            Done::Rebased(lane, _, Ok(stream)) => self.p.session.rebased(lane, stream, now),
            Done::Rebased(lane, after, Err(e)) => {
                self.store_failed(&e);
                self.rebase(lane, after, STORE_REST);
            }
            Done::Recalled(wanted, Ok(marks)) => self.p.session.recalled(wanted.lane, wanted.ticket, &marks, now),
            Done::Recalled(wanted, Err(e)) => {
                self.store_failed(&e);
                self.recall(wanted, STORE_REST);
            }
            Done::Cursor(look, Ok((applied, marks))) => {
                self.p.session.cursor(look.lane, look.ticket, applied, marks, now);
            }
            Done::Cursor(look, Err(e)) => {
                self.store_failed(&e);
                self.load_cursor(look, STORE_REST);
            }
            Done::Applied(lane, ticket, Ok(Some(last))) => self.p.session.applied(lane, ticket, last, now),
            Done::Applied(lane, ticket, Ok(None)) => {
                tracing::warn!(link.peer = %self.p.streams.peer, ?lane, "the cursor was moved by somebody else; the line greets again");
                self.p.session.out_of_step(lane, ticket, now);
            }
            Done::Applied(lane, ticket, Err(e)) => {
                self.store_failed(&e);
                self.p.session.apply_failed(lane, ticket, now);
            }
            Done::Acked => {
                self.storing_ack = false;
                self.depth_stale = true;
            }
            Done::Depth(depth) => {
                self.depth_running = false;
                if let Some(depth) = depth {
                    self.p
                        .status
                        .send_if_modified(|s| std::mem::replace(&mut s.buffer_depth, depth) != depth);
                }
            }
            Done::Reply(rid, outcome) => {
                self.running.remove(&rid);
                let body = serde_json::to_vec(&outcome).unwrap_or_else(|_| br#""unknown""#.to_vec());
                self.p.session.reply(rid, body, now);
            }
        }
    }

    /// A piece of work ended without an answer: it was stopped, or it panicked.
    fn on_lost(&mut self, e: &tokio::task::JoinError) {
        if e.is_cancelled() {
            return;
        }
        tracing::error!(link.peer = %self.p.streams.peer, link.error = %e, "work of the line panicked");
        let call = self
            .running
            .iter()
            .find(|(_, handle)| handle.id() == e.id())
            .map(|(rid, _)| *rid);
        match call {
            Some(rid) => self.on_done(Done::Reply(rid, Outcome::Unknown)),
            // Whatever it was, greeting anew begins it anew.
            None => {
                (self.storing_ack, self.depth_running) = (false, false);
                self.p.session.work_lost();
            }
        }
    }

    fn store_failed(&self, e: &StoreError) {
        tracing::error!(link.peer = %self.p.streams.peer, link.error = %e, "the store refused; tried again shortly");
    }

    /// Does everything the session asks for, then what is due.
    fn act(&mut self) {
        while let Some(effect) = self.p.session.poll_effect() {
            self.on_effect(effect);
        }
        let now = Instant::now();
        if !self.storing_ack
            && now >= self.ack_at
            && let Some((lane, (epoch, upto))) = self.acks.pop_first()
        {
            self.storing_ack = true;
            self.ack_at = now + ACK_EVERY;
            let streams = self.p.streams.clone();
            self.jobs.spawn(async move {
                if let Err(e) = streams.acked(lane, epoch, upto).await {
                    tracing::warn!(link.error = %e, "an acknowledgement could not be stored; it will come again");
                }
                Done::Acked
            });
        }
        let due = if self.depth_stale {
            self.depth_at
        } else {
            self.depth_at + DEPTH_AT_LEAST
        };
        if !self.depth_running && now >= due {
            self.depth_running = true;
            self.depth_stale = false;
            self.depth_at = now + DEPTH_EVERY;
            let streams = self.p.streams.clone();
            self.jobs.spawn(async move {
                if let Err(e) = streams.relieve().await {
                    tracing::warn!(link.peer = %streams.peer, link.error = %e, "waiting telemetry could not be reduced");
                }
                Done::Depth(streams.depth().await.ok())
            });
        }
    }

    fn on_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Send(channel, frame) => self.p.port.send(channel, frame),
            Effect::Reconnect => self.p.port.redial(),
            Effect::Up => self.turn(true, None),
            Effect::Down(reason) => self.turn(false, Some(reason)),
            Effect::RoundTrip(rtt) => {
                self.p.status.send_modify(|s| s.rtt = Some(rtt));
            }
            Effect::Alarm(alarm) => {
                tracing::error!(link.peer = %self.p.streams.peer, link.alarm = ?alarm, "the line needs an operator");
                self.p.status.send_modify(|s| s.alarm = Some(alarm));
            }
            Effect::LoadStreams { ticket } => self.load_streams(ticket, Duration::ZERO),
            Effect::Verified { lane } => self.verify(lane, Duration::ZERO),
            Effect::Rebase { lane, after } => self.rebase(lane, after, Duration::ZERO),
            Effect::Recall {
                lane,
                after,
                upto,
                ticket,
            } => {
                let wanted = Recall {
                    lane,
                    after,
                    upto,
                    ticket,
                };
                self.recall(wanted, Duration::ZERO);
            }
            Effect::LoadCursor {
                lane,
                epoch,
                base,
                settled,
                ticket,
            } => {
                let look = Look {
                    lane,
                    epoch,
                    base,
                    settled,
                    ticket,
                };
                self.load_cursor(look, Duration::ZERO);
            }
            Effect::Acked { lane, epoch, upto } => {
                self.acks.insert(lane, (epoch, upto));
            }
            Effect::Read {
                lane,
                after,
                max_bytes,
                ticket,
            } => {
                let streams = self.p.streams.clone();
                self.jobs
                    .spawn(async move { Done::Read(lane, ticket, streams.read(lane, after, max_bytes).await) });
            }
            Effect::Apply {
                lane,
                epoch,
                items,
                ticket,
            } => {
                let (streams, inbox) = (self.p.streams.clone(), self.p.inbox.clone());
                self.jobs
                    .spawn(async move { Done::Applied(lane, ticket, streams.apply(lane, epoch, items, inbox).await) });
            }
            Effect::Run(call) => self.run_call(call),
            Effect::Abort { rid } => {
                if let Some(handle) = self.running.remove(&rid) {
                    handle.abort();
                }
            }
            Effect::Answered { rid, answer } => {
                if let Some(waiting) = self.waiting.remove(&rid) {
                    // The asker may have gone.
                    let _ = waiting.send(answer);
                }
            }
        }
    }

    fn turn(&self, online: bool, reason: Option<DownReason>) {
        tracing::info!(link.peer = %self.p.streams.peer, link.online = online, link.reason = ?reason, "line");
        let since = self.clock.now();
        self.p.status.send_modify(|s| {
            s.online = online;
            s.since = since;
            s.reason = reason.map(Outage::Line);
        });
    }

    fn load_streams(&mut self, ticket: u64, rest: Duration) {
        let streams = self.p.streams.clone();
        self.jobs.spawn(async move {
            tokio::time::sleep(rest).await;
            Done::Streams(ticket, streams.load().await)
        });
    }

    fn verify(&mut self, lane: Lane, rest: Duration) {
        let streams = self.p.streams.clone();
        self.jobs.spawn(async move {
            tokio::time::sleep(rest).await;
            Done::Verified(lane, streams.verified(lane).await)
        });
    }

    fn rebase(&mut self, lane: Lane, after: u64, rest: Duration) {
        let streams = self.p.streams.clone();
        let chance = u64::from_be_bytes(self.p.ids.random());
        self.jobs.spawn(async move {
            tokio::time::sleep(rest).await;
            Done::Rebased(lane, after, streams.rebase(lane, after, chance).await)
        });
    }

    fn load_cursor(&mut self, look: Look, rest: Duration) {
        let streams = self.p.streams.clone();
        self.jobs.spawn(async move {
            tokio::time::sleep(rest).await;
            let found = streams.cursor(look.lane, look.epoch, look.base, look.settled).await;
            Done::Cursor(look, found)
        });
    }

    fn recall(&mut self, wanted: Recall, rest: Duration) {
        let streams = self.p.streams.clone();
        self.jobs.spawn(async move {
            tokio::time::sleep(rest).await;
            let found = streams.recall(wanted.lane, wanted.after, wanted.upto).await;
            Done::Recalled(wanted, found)
        });
    }

    fn run_call(&mut self, call: IncomingCall) {
        let rid = call.rid;
        let remaining = call.deadline.saturating_sub(self.now());
        let body = serde_json::from_slice(&call.body);
        let (Some(calls), Ok(body)) = (self.p.calls.clone(), body) else {
            let refusal = Outcome::refused("malformed_call", "请求无法识别");
            self.on_done(Done::Reply(rid, refusal));
            return;
        };
        let call = Call {
            method: call.method,
            key: call.key,
            body,
            remaining,
        };
        let handle = self
            .jobs
            .spawn(async move { Done::Reply(rid, calls.handle(call).await) });
        self.running.insert(rid, handle);
    }
}
