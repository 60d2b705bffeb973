//! One end of one line: greets, watches, and drives the lanes and calls of a peer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use records::{Lane, Timestamp};

use crate::call::{Answering, Asking, Limits, OutgoingCall};
use crate::effect::{Alarm, Channel, DownReason, Effect, Role, Tuning};
use crate::frame::{self, Body, Entry, FrameError, OutState, Ping};
use crate::greeting::{Generation, bye};
use crate::incoming::Incoming;
use crate::mark::Mark;
use crate::outgoing::Outgoing;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No connection (edge), or nobody greeted (cloud).
    Idle,
    /// Greeted, waits for the answer; greets again at the given time.
    Greeting {
        again_at: Duration,
    },
    Up,
}

/// One end of one line. See the crate's header.
#[derive(Debug)]
pub struct Session {
    pub(crate) role: Role,
    pub(crate) edge: String,
    pub(crate) boot: u64,
    pub(crate) tuning: Tuning,
    pub(crate) phase: Phase,
    pub(crate) current: Generation,
    /// Connections that were superseded, newest last.
    pub(crate) past: VecDeque<Generation>,
    pub(crate) heard_at: Duration,
    pub(crate) ping_at: Duration,
    pub(crate) look_at: Duration,
    pub(crate) bye_at: Option<Duration>,
    pub(crate) out: BTreeMap<Lane, Outgoing>,
    pub(crate) inn: BTreeMap<Lane, Incoming>,
    /// Units on their way into the store and looks at a cursor, also those of an earlier session. A look makes its epoch
    /// the current one: a late one would turn the store back.
    pub(crate) storing: BTreeMap<Lane, u64>,
    /// Lanes for which the store begins a new epoch, also on behalf of an earlier session.
    pub(crate) rebasing: BTreeSet<Lane>,
    pub(crate) asking: Asking,
    pub(crate) answering: Answering,
    pub(crate) ticket: u64,
    pub(crate) streams_ticket: Option<u64>,
    pub(crate) ping_sent: Option<(u64, Duration)>,
    pub(crate) clock_alarmed: bool,
    pub(crate) frames: VecDeque<(Channel, Body)>,
    pub(crate) effects: VecDeque<Effect>,
}

impl Session {
    /// The appliance's or the cloud's end of the line of appliance `edge`. `boot` is random per process.
    pub fn new(role: Role, edge: &str, boot: u64, tuning: Tuning) -> Self {
        Self {
            role,
            edge: edge.to_owned(),
            boot,
            tuning,
            phase: Phase::Idle,
            current: Generation {
                session: 0,
                boot,
                attempt: 0,
            },
            past: VecDeque::new(),
            heard_at: Duration::ZERO,
            ping_at: Duration::ZERO,
            look_at: Duration::ZERO,
            bye_at: None,
            out: BTreeMap::new(),
            inn: BTreeMap::new(),
            storing: BTreeMap::new(),
            rebasing: BTreeSet::new(),
            asking: Asking::default(),
            answering: Answering::default(),
            ticket: 0,
            streams_ticket: None,
            ping_sent: None,
            clock_alarmed: false,
            frames: VecDeque::new(),
            effects: VecDeque::new(),
        }
    }

    const fn limits(&self) -> Limits {
        Limits {
            running: self.tuning.calls_running,
            queued: self.tuning.calls_queued,
        }
    }

    /// Whether the peer is there.
    pub fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// The appliance's connection stands: it greets.
    pub fn connected(&mut self, now: Duration, wall: Timestamp) {
        self.drop_lanes();
        self.heard_at = now;
        self.greet(now, wall);
        self.flush();
    }

    /// The connection is gone.
    pub fn disconnected(&mut self, _now: Duration) {
        self.go_down(DownReason::Disconnected);
        self.phase = Phase::Idle;
        self.flush();
    }

    /// The broker gave our place to another connection of this appliance.
    pub fn taken_over(&mut self) {
        self.effects.push_back(Effect::Alarm(Alarm::Fenced));
        self.go_down(DownReason::Fenced);
        self.phase = Phase::Idle;
        self.flush();
    }

    /// Says good-bye before a clean stop, so that the other end knows at once.
    pub fn stopping(&mut self) {
        if self.is_up() {
            self.frames.push_back((Channel::Ctl, bye("stopping")));
        }
        self.flush();
        self.phase = Phase::Idle;
    }

    pub(crate) fn drop_lanes(&mut self) {
        self.out.clear();
        self.inn.clear();
        self.ping_sent = None;
    }

    pub(crate) fn go_down(&mut self, reason: DownReason) {
        if self.is_up() {
            self.effects.push_back(Effect::Down(reason));
        }
        self.asking.down(&mut self.effects);
        self.drop_lanes();
    }

    pub(crate) fn go_up(&mut self, now: Duration) {
        self.phase = Phase::Up;
        self.heard_at = now;
        self.ping_at = now;
        self.look_at = now + self.tuning.look;
        self.drop_lanes();
        self.effects.push_back(Effect::Up);
        self.load_streams();
        self.asking.up(now, &mut self.frames);
    }

    fn load_streams(&mut self) {
        self.ticket += 1;
        self.streams_ticket = Some(self.ticket);
        self.effects.push_back(Effect::LoadStreams { ticket: self.ticket });
    }

    /// Bytes from the peer.
    ///
    /// # Errors
    /// When they are not a frame; nothing changes then.
    pub fn receive(&mut self, bytes: &[u8], now: Duration, wall: Timestamp) -> Result<(), FrameError> {
        let (session, body) = frame::decode(bytes)?;
        match (self.role, body) {
            (Role::Cloud, Body::Hello(hello)) => self.on_hello(session, &hello, now, wall),
            (Role::Edge, Body::Hello(_)) | (Role::Cloud, Body::HelloAck(_)) => {}
            (Role::Cloud, body) if !self.is_up() || session != self.current.session => {
                self.turn_away(session, &body, now);
            }
            (Role::Edge, _) if session != self.current.session => {}
            (_, body) => {
                self.heard_at = now;
                self.on_body(body, now, wall);
            }
        }
        self.pump(now);
        Ok(())
    }

    fn on_body(&mut self, body: Body, now: Duration, wall: Timestamp) {
        let (limits, credit) = (self.limits(), self.tuning.credit);
        match body {
            Body::HelloAck(ack) => self.on_hello_ack(ack, now, wall),
            Body::Bye(bye) => self.on_bye(&bye, now),
            Body::Ping(ping) => {
                self.frames.push_back((
                    Channel::Ctl,
                    Body::Pong(Ping {
                        token: ping.token,
                        wall_us: wall.as_micros(),
                    }),
                ));
            }
            Body::Pong(pong) => {
                if let Some((_, at)) = self.ping_sent.take_if(|(token, _)| *token == pong.token) {
                    self.effects.push_back(Effect::RoundTrip(now.saturating_sub(at)));
                }
            }
            _ if !self.is_up() => {}
            Body::Announce(stream) => self.on_announce(&stream),
            Body::Batch(batch) => {
                if let Some(lane) = self.incoming(batch.lane) {
                    let frames = &mut self.frames;
                    self.inn
                        .get_mut(&lane)
                        .into_iter()
                        .for_each(|l| l.on_batch(batch.clone(), now, credit, frames));
                }
            }
            Body::Gap(gap) => {
                if let Some(lane) = self.incoming(gap.lane) {
                    let frames = &mut self.frames;
                    self.inn
                        .get_mut(&lane)
                        .into_iter()
                        .for_each(|l| l.on_gap(gap.clone(), now, credit, frames));
                }
            }
            Body::Ack(c) | Body::Resync(c) if Lane::from_number(c.lane).is_none() => {}
            Body::Ack(c) => {
                if let Some((lane, l)) = Lane::from_number(c.lane).and_then(|n| Some((n, self.out.get_mut(&n)?))) {
                    l.on_ack(&c, now, lane, &mut self.effects);
                }
            }
            Body::Resync(c) => {
                if let Some((lane, l)) = Lane::from_number(c.lane).and_then(|n| Some((n, self.out.get_mut(&n)?))) {
                    l.on_resync(c, now, lane, &mut self.ticket, &mut self.effects);
                }
            }
            Body::Call(call) => self
                .answering
                .on_call(call, now, limits, &mut self.frames, &mut self.effects),
            Body::Reply(reply) => self
                .asking
                .on_reply(reply, now, limits, &mut self.frames, &mut self.effects),
            Body::Cancel(cancel) => self.answering.on_cancel(&cancel, &mut self.effects),
            Body::Hello(_) | Body::Unknown(_) => {}
        }
    }

    fn incoming(&self, lane: u8) -> Option<Lane> {
        Lane::from_number(lane).filter(|lane| self.inn.contains_key(lane))
    }

    fn on_announce(&mut self, stream: &OutState) {
        // A lane of a newer build is left alone: its entries stay with the sender.
        let Some(lane) = Lane::from_number(stream.lane) else {
            return;
        };
        let known = self
            .inn
            .get_mut(&lane)
            .is_some_and(|l| l.announced_again(stream, self.tuning.credit, &mut self.frames));
        if !known {
            self.inn.insert(lane, Incoming::announced(lane, stream));
            self.ask_cursor(lane);
        }
    }

    fn ask_cursor(&mut self, lane: Lane) {
        if let Some(l) = self.inn.get_mut(&lane).filter(|_| !self.storing.contains_key(&lane))
            && let Some(look) = l.ask(&mut self.ticket, &mut self.effects)
        {
            self.storing.insert(lane, look);
        }
    }

    /// A unit has left the store, committed or not; or the store has told a cursor.
    fn stored(&mut self, lane: Lane, ticket: u64) {
        if self.storing.get(&lane) == Some(&ticket) {
            self.storing.remove(&lane);
            self.ask_cursor(lane);
        }
    }

    /// Answer to [`Effect::LoadStreams`].
    pub fn streams(&mut self, ticket: u64, streams: Vec<(Lane, OutState)>, now: Duration) {
        if self.streams_ticket.take_if(|t| *t == ticket).is_some() && self.is_up() {
            for (lane, stream) in streams {
                self.start_lane(lane, stream, now);
            }
        }
        self.pump(now);
    }

    fn start_lane(&mut self, lane: Lane, stream: OutState, now: Duration) {
        // Its epoch is about to end: [`Self::rebased`] starts it.
        if !self.rebasing.contains(&lane) {
            self.out.insert(lane, Outgoing::announce(stream, now, &mut self.frames));
        }
    }

    /// Answer to [`Effect::Recall`]: those of our entries that are still there, ascending.
    pub fn recalled(&mut self, lane: Lane, ticket: u64, marks: &[Mark], now: Duration) {
        if let Some(l) = self.out.get_mut(&lane) {
            l.recalled(ticket, marks, now, lane, &mut self.effects);
            if l.is_rebasing() {
                self.rebasing.insert(lane);
            }
        }
        self.pump(now);
    }

    /// Answer to [`Effect::Rebase`].
    pub fn rebased(&mut self, lane: Lane, stream: OutState, now: Duration) {
        self.rebasing.remove(&lane);
        if self.streams_ticket.is_some() {
            // What is being read may be from before: read once more.
            self.load_streams();
        } else if self.is_up() {
            self.start_lane(lane, stream, now);
        }
        self.pump(now);
    }

    /// Answer to [`Effect::Verified`].
    pub fn verified(&mut self, lane: Lane, now: Duration) {
        if let Some(l) = self.out.get_mut(&lane) {
            l.verified(now, lane, &mut self.effects);
        }
        self.pump(now);
    }

    /// Answer to [`Effect::Read`]: entries with their numbers, ascending.
    pub fn loaded(&mut self, lane: Lane, ticket: u64, entries: Vec<(u64, Entry)>, now: Duration) {
        if let Some(l) = self.out.get_mut(&lane) {
            l.loaded(ticket, entries, now, &mut self.frames);
        }
        self.pump(now);
    }

    /// The store could not read; it is asked again at the next look.
    pub fn load_failed(&mut self, lane: Lane, ticket: u64) {
        if let Some(l) = self.out.get_mut(&lane) {
            l.load_failed(ticket);
        }
    }

    /// Entries were appended to a lane.
    pub fn appended(&mut self, lane: Lane, now: Duration) {
        if let Some(l) = self.out.get_mut(&lane) {
            l.look();
        }
        self.pump(now);
    }

    /// Answer to [`Effect::LoadCursor`]: the cursor, and the marks beyond what the sender knows, ascending.
    pub fn cursor(&mut self, lane: Lane, ticket: u64, applied: u64, marks: Vec<Mark>, now: Duration) {
        if let Some(l) = self.inn.get_mut(&lane) {
            l.cursor(ticket, applied, marks, self.tuning.credit, &mut self.frames);
        }
        self.stored(lane, ticket);
        self.pump(now);
    }

    /// Answer to [`Effect::Apply`]: everything up to `last` is committed.
    pub fn applied(&mut self, lane: Lane, ticket: u64, last: u64, now: Duration) {
        if let Some(l) = self.inn.get_mut(&lane) {
            l.applied(ticket, last, self.tuning.credit, now, &mut self.frames);
        }
        self.stored(lane, ticket);
        self.pump(now);
    }

    /// Answer to [`Effect::Apply`]: nothing was committed. It is tried again after a rest.
    pub fn apply_failed(&mut self, lane: Lane, ticket: u64, now: Duration) {
        if let Some(l) = self.inn.get_mut(&lane) {
            l.apply_failed(ticket, now);
        }
        self.stored(lane, ticket);
        self.pump(now);
    }

    /// Answer to [`Effect::Apply`]: nothing was committed, because the cursor is not where this session left it. Another
    /// process or a restored store has moved it; whose entries are committed is compared at a new greeting.
    pub fn out_of_step(&mut self, lane: Lane, ticket: u64, now: Duration) {
        let ours = self.inn.get(&lane).is_some_and(|l| l.applying() == Some(ticket));
        self.stored(lane, ticket);
        if ours {
            self.begin_anew();
        }
        self.pump(now);
    }

    /// Work was lost, nobody knows which: no answer will come, so none may be waited for.
    pub fn work_lost(&mut self) {
        self.storing.clear();
        self.rebasing.clear();
        self.begin_anew();
    }

    /// Ends the session so that the appliance greets again.
    fn begin_anew(&mut self) {
        if !self.is_up() {
            return;
        }
        self.frames.push_back((Channel::Ctl, bye("out_of_step")));
        self.flush();
        self.go_down(DownReason::PeerRestarted);
        self.phase = Phase::Idle;
        if self.role == Role::Edge {
            self.effects.push_back(Effect::Reconnect);
        }
    }

    /// Makes a call. Answered at once, without a frame, when the peer is not there.
    pub fn call(&mut self, call: OutgoingCall, now: Duration) {
        let limits = self.limits();
        self.asking.ask(
            call,
            self.phase == Phase::Up,
            now,
            limits,
            &mut self.frames,
            &mut self.effects,
        );
        self.flush();
    }

    /// Answer to [`Effect::Run`].
    pub fn reply(&mut self, rid: [u8; 16], body: Vec<u8>, now: Duration) {
        let limits = self.limits();
        self.answering
            .answered(rid, body, now, limits, &mut self.frames, &mut self.effects);
        if !self.is_up() {
            self.frames.clear();
        }
        self.flush();
    }

    /// Time passes. To be called at [`Self::next_wake`] or earlier.
    pub fn tick(&mut self, now: Duration, wall: Timestamp) {
        match self.phase {
            Phase::Idle => {}
            Phase::Greeting { again_at } if now >= again_at => {
                if now.saturating_sub(self.heard_at) >= self.tuning.dead.max(self.tuning.rest) * 2 {
                    self.heard_at = now;
                    self.effects.push_back(Effect::Reconnect);
                }
                self.greet(now, wall);
            }
            Phase::Greeting { .. } => {}
            Phase::Up if now.saturating_sub(self.heard_at) >= self.tuning.dead => {
                self.go_down(DownReason::Silent);
                self.phase = Phase::Idle;
                if self.role == Role::Edge {
                    self.effects.push_back(Effect::Reconnect);
                }
            }
            Phase::Up => self.watch(now, wall),
        }
        let limits = self.limits();
        self.asking.tick(now, limits, &mut self.frames, &mut self.effects);
        self.pump(now);
    }

    fn watch(&mut self, now: Duration, wall: Timestamp) {
        if self.role == Role::Edge && now >= self.ping_at {
            self.ping_at = now + self.tuning.ping;
            self.ticket += 1;
            self.ping_sent = Some((self.ticket, now));
            self.frames.push_back((
                Channel::Ctl,
                Body::Ping(Ping {
                    token: self.ticket,
                    wall_us: wall.as_micros(),
                }),
            ));
        }
        if now >= self.look_at {
            self.look_at = now + self.tuning.look;
            for l in self.out.values_mut() {
                l.tick(now, self.tuning.patience, &mut self.frames);
            }
        }
    }

    /// When [`Self::tick`] must be called next, at the latest.
    pub fn next_wake(&self, now: Duration) -> Duration {
        let phase = match self.phase {
            Phase::Idle => now + self.tuning.look,
            Phase::Greeting { again_at } => again_at,
            Phase::Up => self.look_at.min(self.heard_at + self.tuning.dead).min(match self.role {
                Role::Edge => self.ping_at,
                Role::Cloud => self.look_at,
            }),
        };
        let resting = self.inn.values().filter_map(Incoming::wants).min().unwrap_or(phase);
        phase.min(resting).min(self.asking.next_deadline().unwrap_or(phase))
    }

    fn pump(&mut self, now: Duration) {
        self.flush();
        if self.is_up() {
            // Lanes in order of urgency: none goes while one before it has something to send. A lane whose window is full
            // holds the next ones back as well, or they would take its place on the wire.
            let mut before = false;
            for (lane, l) in &mut self.out {
                if !before {
                    l.pump(*lane, self.tuning.batch_bytes, &mut self.ticket, &mut self.effects);
                }
                before |= l.has_more();
            }
            // What arrived first is committed first: telemetry does not overtake on this side either.
            let mut before = false;
            for (lane, l) in &mut self.inn {
                if !before {
                    l.pump(now, &mut self.ticket, &mut self.effects);
                    if let Some(unit) = l.applying() {
                        self.storing.insert(*lane, unit);
                    }
                }
                before |= l.is_busy();
            }
        }
    }

    fn flush(&mut self) {
        for (channel, body) in self.frames.drain(..) {
            self.effects
                .push_back(Effect::Send(channel, frame::encode(self.current.session, &body)));
        }
    }

    /// The next thing to do, if any.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }
}
