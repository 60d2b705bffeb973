//! One end of one line: greets, watches, and drives the lanes and calls of a peer.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use records::{Lane, Timestamp};

use crate::call::{Answer, Answering, Asking, IncomingCall, Limits, OutgoingCall};
use crate::frame::{self, Body, Bye, Entry, FrameError, Hello, HelloAck, OutState, Ping, VERSION};
use crate::incoming::{Incoming, Item};
use crate::outgoing::Outgoing;

/// Which of the two connections a frame takes: batches must not delay calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Calls, acknowledgements, everything small.
    Ctl,
    /// Log batches, limited by the receiver's credit.
    Bulk,
}

/// Which end this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Dials and greets.
    Edge,
    /// Answers.
    Cloud,
}

/// Why a session is not up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownReason {
    /// The connection broke.
    Disconnected,
    /// Nothing was heard for too long.
    Silent,
    /// A newer connection of the same appliance took over.
    Fenced,
    /// The other end refused us: another identity or no common version.
    Refused,
    /// The other end is stopping or has forgotten us; it will be greeted again.
    PeerRestarted,
}

/// Something an operator must see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Our numbers were already used for other entries: this end's disk was rolled back or cloned.
    RolledBack {
        /// Lane of the stream.
        lane: Lane,
        /// First number we are not sure of.
        ours: u64,
        /// What the receiver had applied.
        theirs: u64,
    },
    /// Two live processes claim to be this appliance.
    Cloned,
    /// We were fenced by another connection of this appliance.
    Fenced,
    /// A greeting named another appliance than the connection's certificate.
    WrongIdentity {
        /// What it claimed.
        claimed: String,
    },
    /// No common protocol version.
    Version,
    /// The peer's clock differs by more than two seconds (microseconds, theirs minus ours).
    ClockOffset(i64),
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send bytes to the peer.
    Send(Channel, Vec<u8>),
    /// The line is up.
    Up,
    /// The line is down.
    Down(DownReason),
    /// Drop the connection and make a new one, then call [`Session::connected`].
    Reconnect,
    /// Read the state of all our outgoing streams, answer with [`Session::streams`].
    LoadStreams {
        /// To be returned.
        ticket: u64,
    },
    /// Read entries after a number, answer with [`Session::loaded`].
    Read {
        /// Lane of the stream.
        lane: Lane,
        /// Entries with greater numbers.
        after: u64,
        /// Stop after so many bytes, but read at least one entry.
        max_bytes: u64,
        /// To be returned.
        ticket: u64,
    },
    /// Everything up to a number is committed at the receiver.
    Acked {
        /// Lane of the stream.
        lane: Lane,
        /// Epoch of the stream.
        epoch: u64,
        /// Last committed number.
        upto: u64,
    },
    /// The receiver's cursor agrees with our history: forget durably which entries were suspect, answer with
    /// [`Session::verified`].
    Verified {
        /// Lane of the stream.
        lane: Lane,
    },
    /// Begin a new epoch whose base is `after`, answer with [`Session::rebased`].
    Rebase {
        /// Lane of the stream.
        lane: Lane,
        /// Last entry of the shared history.
        after: u64,
    },
    /// Read the cursor of a peer's stream (`base` when there is none), answer with [`Session::cursor`].
    LoadCursor {
        /// Lane of the stream.
        lane: Lane,
        /// Epoch of the stream.
        epoch: u64,
        /// Where an unknown epoch starts.
        base: u64,
    },
    /// Apply items and move the cursor in one transaction, answer with [`Session::applied`] or
    /// [`Session::apply_failed`]. Items at or below the stored cursor are skipped.
    Apply {
        /// Lane of the stream.
        lane: Lane,
        /// Epoch of the stream.
        epoch: u64,
        /// In order, without holes.
        items: Vec<Item>,
        /// To be returned.
        ticket: u64,
    },
    /// Run a call, answer with [`Session::reply`].
    Run(IncomingCall),
    /// Stop a running reading call; nobody waits for it.
    Abort {
        /// Its id.
        rid: [u8; 16],
    },
    /// An outgoing call is settled.
    Answered {
        /// Its id.
        rid: [u8; 16],
        /// What became of it.
        answer: Answer,
    },
    /// A round trip was measured.
    RoundTrip(Duration),
    /// Tell the operator.
    Alarm(Alarm),
}

/// Times and limits.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// The appliance pings this often.
    pub ping: Duration,
    /// A line without any frame for this long is dead.
    pub dead: Duration,
    /// A greeting without an answer is repeated after this long.
    pub greet: Duration,
    /// A fenced or refused appliance rests this long.
    pub rest: Duration,
    /// The store is looked at this often although nobody said that something was appended.
    pub look: Duration,
    /// Unacknowledged entries are asked after when nothing moved for this long.
    pub patience: Duration,
    /// Bytes a sender may have unacknowledged per lane.
    pub credit: u64,
    /// Bytes per batch, before compression.
    pub batch_bytes: u64,
    /// Calls under way per peer.
    pub calls_running: usize,
    /// Calls waiting per peer.
    pub calls_queued: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(5),
            dead: Duration::from_secs(15),
            greet: Duration::from_secs(2),
            rest: Duration::from_secs(30),
            look: Duration::from_secs(1),
            patience: Duration::from_secs(3),
            credit: 512 * 1024,
            batch_bytes: 64 * 1024,
            calls_running: 32,
            calls_queued: 64,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No connection (edge), or nobody greeted (cloud).
    Idle,
    /// Greeted, waits for the answer; greets again at the given time.
    Greeting {
        again_at: Duration,
    },
    Up,
}

/// A connection of the peer, as the cloud knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Generation {
    session: u64,
    boot: u64,
    attempt: u64,
}

/// One end of one line. See the crate's header.
#[derive(Debug)]
pub struct Session {
    role: Role,
    edge: String,
    boot: u64,
    tuning: Tuning,
    phase: Phase,
    current: Generation,
    /// Connections that were superseded, newest last.
    past: VecDeque<Generation>,
    heard_at: Duration,
    ping_at: Duration,
    look_at: Duration,
    bye_at: Option<Duration>,
    out: BTreeMap<Lane, Outgoing>,
    inn: BTreeMap<Lane, Incoming>,
    /// First number per stream that this process surely did not send; see the crate's header on epochs.
    unsent: BTreeMap<(Lane, u64), u64>,
    asking: Asking,
    answering: Answering,
    ticket: u64,
    streams_ticket: Option<u64>,
    ping_sent: Option<(u64, Duration)>,
    clock_alarmed: bool,
    frames: VecDeque<(Channel, Body)>,
    effects: VecDeque<Effect>,
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
            unsent: BTreeMap::new(),
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

    /// Says good-bye before a clean stop, so that the other end knows at once.
    pub fn stopping(&mut self) {
        if self.is_up() {
            self.frames.push_back((Channel::Ctl, bye("stopping")));
        }
        self.flush();
        self.phase = Phase::Idle;
    }

    fn greet(&mut self, now: Duration, wall: Timestamp) {
        self.current.attempt += 1;
        self.current.session =
            (self.boot.rotate_left(17) ^ self.current.attempt.wrapping_mul(0x9E37_79B9_7F4A_7C15)).max(1);
        self.phase = Phase::Greeting {
            again_at: now + self.tuning.greet,
        };
        self.frames.push_back((
            Channel::Ctl,
            Body::Hello(Hello {
                edge: self.edge.clone(),
                boot: self.boot,
                attempt: self.current.attempt,
                min: VERSION,
                max: VERSION,
                wall_us: wall.as_micros(),
            }),
        ));
    }

    fn drop_lanes(&mut self) {
        self.out.clear();
        self.inn.clear();
        self.ping_sent = None;
    }

    fn go_down(&mut self, reason: DownReason) {
        if self.is_up() {
            self.effects.push_back(Effect::Down(reason));
        }
        self.asking.down(&mut self.effects);
        self.drop_lanes();
    }

    fn go_up(&mut self, now: Duration) {
        self.phase = Phase::Up;
        self.heard_at = now;
        self.ping_at = now;
        self.look_at = now + self.tuning.look;
        self.drop_lanes();
        self.effects.push_back(Effect::Up);
        self.ticket += 1;
        self.streams_ticket = Some(self.ticket);
        self.effects.push_back(Effect::LoadStreams { ticket: self.ticket });
        self.asking.up(now, &mut self.frames);
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

    fn on_hello(&mut self, session: u64, hello: &Hello, now: Duration, wall: Timestamp) {
        let refuse = |code: &str| Effect::Send(Channel::Ctl, frame::encode(session, &bye(code)));
        if hello.edge != self.edge {
            self.effects.push_back(refuse("wrong_identity"));
            self.effects.push_back(Effect::Alarm(Alarm::WrongIdentity {
                claimed: hello.edge.clone(),
            }));
            return;
        }
        if hello.min > VERSION || hello.max < VERSION {
            self.effects.push_back(refuse("version"));
            self.effects.push_back(Effect::Alarm(Alarm::Version));
            return;
        }
        let newer = Generation {
            session,
            boot: hello.boot,
            attempt: hello.attempt,
        };
        let known = self.current.session != 0;
        if known && newer.boot == self.current.boot && newer.attempt <= self.current.attempt {
            if newer == self.current && self.is_up() {
                self.answer_hello(hello, wall);
            }
            return;
        }
        if known && newer.boot != self.current.boot && self.past.iter().any(|g| g.boot == newer.boot) {
            // A process that was superseded by another one never comes back, unless both are alive.
            self.effects.push_back(Effect::Alarm(Alarm::Cloned));
        }
        if self.is_up() {
            let fenced = frame::encode(self.current.session, &bye("fenced"));
            self.effects.push_back(Effect::Send(Channel::Ctl, fenced));
            self.go_down(DownReason::Fenced);
        }
        if known {
            self.past.push_back(self.current);
            if self.past.len() > 16 {
                self.past.pop_front();
            }
        }
        self.current = newer;
        self.answer_hello(hello, wall);
        self.check_clock(hello.wall_us.saturating_sub(wall.as_micros()));
        self.go_up(now);
    }

    fn answer_hello(&mut self, hello: &Hello, wall: Timestamp) {
        let ack = HelloAck {
            version: VERSION,
            wall_us: wall.as_micros(),
            echo_us: hello.wall_us,
        };
        self.frames.push_back((Channel::Ctl, Body::HelloAck(ack)));
    }

    fn check_clock(&mut self, offset_us: i64) {
        if offset_us.abs() > 2_000_000 && !self.clock_alarmed {
            self.clock_alarmed = true;
            self.effects.push_back(Effect::Alarm(Alarm::ClockOffset(offset_us)));
        }
    }

    /// A frame of a connection that is not (or no longer) ours.
    fn turn_away(&mut self, session: u64, body: &Body, now: Duration) {
        if matches!(body, Body::Bye(_))
            || self
                .bye_at
                .is_some_and(|at| now.saturating_sub(at) < Duration::from_millis(200))
        {
            return;
        }
        self.bye_at = Some(now);
        let fenced = self.is_up()
            && self
                .past
                .iter()
                .any(|g| g.session == session && g.boot != self.current.boot);
        let code = if fenced { "fenced" } else { "unknown_session" };
        self.effects
            .push_back(Effect::Send(Channel::Ctl, frame::encode(session, &bye(code))));
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
                    l.on_ack(c, now, lane, &mut self.effects);
                }
            }
            Body::Resync(c) => {
                if let Some((lane, l)) = Lane::from_number(c.lane).and_then(|n| Some((n, self.out.get_mut(&n)?))) {
                    l.on_resync(c, now, lane, &mut self.effects);
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

    fn on_hello_ack(&mut self, ack: HelloAck, now: Duration, wall: Timestamp) {
        if matches!(self.phase, Phase::Greeting { .. }) {
            let half_trip = wall.as_micros().saturating_sub(ack.echo_us) / 2;
            self.check_clock(ack.wall_us.saturating_sub(ack.echo_us).saturating_sub(half_trip));
            self.go_up(now);
        }
    }

    fn on_bye(&mut self, bye: &Bye, now: Duration) {
        let (reason, rest) = match bye.code.as_str() {
            "fenced" => (DownReason::Fenced, self.tuning.rest),
            "wrong_identity" | "version" => (DownReason::Refused, self.tuning.rest),
            _ => (DownReason::PeerRestarted, self.tuning.greet / 4),
        };
        if reason == DownReason::Fenced {
            self.effects.push_back(Effect::Alarm(Alarm::Fenced));
        }
        if reason == DownReason::Refused && !self.is_up() {
            self.effects.push_back(Effect::Down(reason));
        }
        self.go_down(reason);
        self.phase = match self.role {
            Role::Edge => Phase::Greeting { again_at: now + rest },
            Role::Cloud => Phase::Idle,
        };
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
            self.inn
                .insert(lane, Incoming::announced(lane, stream, &mut self.effects));
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

    fn start_lane(&mut self, lane: Lane, mut stream: OutState, now: Duration) {
        let unsent = self
            .unsent
            .entry((lane, stream.epoch))
            .or_insert(stream.suspect_from.unwrap_or(stream.next));
        stream.suspect_from = stream.suspect_from.map(|s| s.max(*unsent));
        let unsure_from = *unsent;
        self.out
            .insert(lane, Outgoing::announce(stream, unsure_from, now, &mut self.frames));
    }

    /// Answer to [`Effect::Rebase`].
    pub fn rebased(&mut self, lane: Lane, stream: OutState, now: Duration) {
        if self.out.contains_key(&lane) {
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
            let sent = self.unsent.entry((lane, l.epoch())).or_insert(0);
            *sent = (*sent).max(l.position() + 1);
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

    /// Answer to [`Effect::LoadCursor`].
    pub fn cursor(&mut self, lane: Lane, epoch: u64, applied: u64, now: Duration) {
        if let Some(l) = self.inn.get_mut(&lane) {
            l.cursor(epoch, applied, self.tuning.credit, &mut self.frames);
        }
        self.pump(now);
    }

    /// Answer to [`Effect::Apply`]: everything up to `last` is committed.
    pub fn applied(&mut self, lane: Lane, ticket: u64, last: u64, now: Duration) {
        if let Some(l) = self.inn.get_mut(&lane) {
            l.applied(ticket, last, self.tuning.credit, &mut self.frames);
        }
        self.pump(now);
    }

    /// Answer to [`Effect::Apply`]: nothing was committed. It is tried again after a rest.
    pub fn apply_failed(&mut self, lane: Lane, ticket: u64, now: Duration) {
        if let Some(l) = self.inn.get_mut(&lane) {
            l.apply_failed(ticket, now);
        }
        self.pump(now);
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
            for (lane, l) in &mut self.out {
                l.pump(*lane, self.tuning.batch_bytes, &mut self.ticket, &mut self.effects);
            }
            for l in self.inn.values_mut() {
                l.pump(now, &mut self.ticket, &mut self.effects);
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

fn bye(code: &str) -> Body {
    Body::Bye(Bye { code: code.to_owned() })
}
