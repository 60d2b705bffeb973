//! Two ends and a line in simulated time, with a model store that can crash, fail, be rolled back and cloned.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use engine::{Alarm, Answer, Channel, Effect, Entry, Item, Mark, OutState, OutgoingCall, Role, Session, Tuning};
use records::{Lane, Timestamp};

/// What survives a crash.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) out: BTreeMap<u64, Entry>,
    pub(crate) next: u64,
    pub(crate) acked: u64,
    pub(crate) epoch: u64,
    pub(crate) base: u64,
    /// Where the next epoch will begin: planned in a commit of its own.
    pub(crate) next_base: u64,
    pub(crate) suspect: Option<u64>,
    /// Entries dropped for newer ones about the same thing.
    pub(crate) dropped: BTreeSet<String>,
    /// The peer's epoch that was looked at last; only in this one entries are applied.
    pub(crate) current: u64,
    /// Cursor per epoch of the peer.
    pub(crate) cursors: BTreeMap<u64, u64>,
    /// Marks per epoch of the peer, and how many are remembered.
    pub(crate) marks: BTreeMap<u64, Vec<Mark>>,
    pub(crate) remembered: usize,
    /// What the peer's entries did here, in order.
    pub(crate) effects: Vec<String>,
    pub(crate) gaps: Vec<(u64, u64)>,
}

impl Disk {
    fn new(epoch: u64) -> Self {
        Self {
            out: BTreeMap::new(),
            next: 1,
            acked: 0,
            epoch,
            base: 0,
            next_base: 0,
            suspect: None,
            dropped: BTreeSet::new(),
            current: 0,
            cursors: BTreeMap::new(),
            marks: BTreeMap::new(),
            remembered: usize::MAX,
            effects: Vec::new(),
            gaps: Vec::new(),
        }
    }

    fn boot(&mut self) {
        self.suspect.get_or_insert(self.next);
    }

    pub(crate) fn append(&mut self, text: &str) {
        let entry = Entry {
            kind: "k".into(),
            entity: (self.next % 3).to_string(),
            at_us: 0,
            body: text.as_bytes().to_vec(),
        };
        self.out.insert(self.next, entry);
        self.next += 1;
    }

    /// Of what waits, only the newest about each thing stays.
    pub(crate) fn coalesce(&mut self) {
        let newest: BTreeMap<_, _> = self.out.iter().map(|(seq, e)| (e.entity.clone(), *seq)).collect();
        let (acked, dropped) = (self.acked, &mut self.dropped);
        self.out.retain(|seq, e| {
            let stays = *seq <= acked || newest[&e.entity] == *seq;
            if !stays {
                dropped.insert(String::from_utf8(e.body.clone()).unwrap());
            }
            stays
        });
    }

    fn stream(&self) -> OutState {
        OutState {
            lane: Lane::Clinical.number(),
            epoch: self.epoch,
            base: self.base,
            first: self.out.keys().next().copied().unwrap_or(self.next),
            next: self.next,
            acked: Some(self.acked),
            suspect_from: self.suspect,
        }
    }

    fn apply(&mut self, epoch: u64, items: &[Item]) -> u64 {
        let cursor = self.cursors.entry(epoch).or_insert(0);
        let marks = self.marks.entry(epoch).or_default();
        for item in items {
            match item {
                Item::Entry(seq, _) | Item::Gap { last: seq, .. } if *seq <= *cursor => {}
                Item::Entry(seq, entry) => {
                    assert_eq!(*seq, *cursor + 1, "an entry was offered out of order");
                    self.effects.push(String::from_utf8(entry.body.clone()).unwrap());
                    marks.push(Mark::of(*seq, entry));
                    *cursor = *seq;
                }
                Item::Gap { first, last } => {
                    let first = (*first).max(*cursor + 1);
                    assert_eq!(first, *cursor + 1, "a gap was offered out of order");
                    self.gaps.push((first, *last));
                    marks.push(Mark::of_gap(first));
                    *cursor = *last;
                }
            }
        }
        marks.drain(..marks.len().saturating_sub(self.remembered));
        *cursor
    }
}

/// An answer of the store to the session that asked.
type Answered = Box<dyn FnOnce(&mut Session, Duration)>;

/// One end: a disk, the session of the running process, and store work that is under way.
pub(crate) struct End {
    pub(crate) role: Role,
    pub(crate) disk: Disk,
    pub(crate) session: Session,
    pub(crate) work: VecDeque<Effect>,
    pub(crate) alarms: Vec<Alarm>,
    pub(crate) answers: BTreeMap<[u8; 16], Answer>,
    /// Calls run by the handler, by rid.
    pub(crate) ran: Vec<[u8; 16]>,
    pub(crate) reconnect: bool,
    /// What the store has done and not yet told.
    late: VecDeque<Answered>,
    boots: u64,
    epochs: u64,
}

pub(crate) fn tuning() -> Tuning {
    Tuning {
        credit: 400,
        batch_bytes: 120,
        calls_running: 2,
        calls_queued: 2,
        ..Tuning::default()
    }
}

impl End {
    pub(crate) fn new(role: Role, epoch: u64) -> Self {
        let mut end = Self {
            role,
            disk: Disk::new(epoch),
            session: Session::new(role, "edg_1", epoch * 1000, tuning()),
            work: VecDeque::new(),
            alarms: Vec::new(),
            answers: BTreeMap::new(),
            ran: Vec::new(),
            reconnect: role == Role::Edge,
            late: VecDeque::new(),
            boots: epoch * 1000,
            epochs: 0,
        };
        end.crash();
        end
    }

    /// The process dies and starts again; only the disk is left.
    pub(crate) fn crash(&mut self) {
        self.boots += 1;
        self.disk.boot();
        self.session = Session::new(self.role, "edg_1", self.boots, tuning());
        self.work.clear();
        self.late.clear();
        self.reconnect = self.role == Role::Edge;
    }

    fn collect(&mut self, sent: &mut dyn FnMut(Channel, Vec<u8>)) {
        while let Some(effect) = self.session.poll_effect() {
            match effect {
                Effect::Send(channel, bytes) => sent(channel, bytes),
                Effect::Up | Effect::Down(_) | Effect::RoundTrip(_) => {}
                Effect::Reconnect => self.reconnect = true,
                Effect::Alarm(alarm) => self.alarms.push(alarm),
                Effect::Answered { rid, answer } => {
                    assert!(self.answers.insert(rid, answer).is_none(), "answered twice")
                }
                work => self.work.push_back(work),
            }
        }
    }

    /// Finishes one piece of store or handler work, and tells the session.
    pub(crate) fn finish(&mut self, at: usize, fail: bool, now: Duration) {
        let answer = match self.work.remove(at) {
            Some(work) => self.act(work, fail),
            None => self.late.pop_front(),
        };
        answer.into_iter().for_each(|tell| tell(&mut self.session, now));
    }

    /// Finishes one piece of store work; the session hears of it later, perhaps another one than had asked.
    pub(crate) fn finish_unheard(&mut self, at: usize) {
        let answer = self.work.remove(at).and_then(|work| self.act(work, false));
        self.late.extend(answer);
    }

    fn is_working(&self) -> bool {
        !self.work.is_empty() || !self.late.is_empty()
    }

    fn act(&mut self, work: Effect, fail: bool) -> Option<Answered> {
        let disk = &mut self.disk;
        Some(match work {
            Effect::LoadStreams { ticket } => {
                let stream = disk.stream();
                Box::new(move |s, now| s.streams(ticket, vec![(Lane::Clinical, stream)], now))
            }
            Effect::Read { lane, ticket, .. } if fail => Box::new(move |s, _| s.load_failed(lane, ticket)),
            Effect::Read {
                lane,
                after,
                max_bytes,
                ticket,
            } => {
                let mut left = max_bytes as usize;
                let mut entries = Vec::new();
                for (seq, entry) in disk.out.range(after + 1..) {
                    if !entries.is_empty() && entry.body.len() + 20 > left {
                        break;
                    }
                    left = left.saturating_sub(entry.body.len() + 20);
                    entries.push((*seq, entry.clone()));
                }
                Box::new(move |s, now| s.loaded(lane, ticket, entries, now))
            }
            Effect::Acked { epoch, upto, .. } => {
                if epoch == disk.epoch {
                    disk.acked = disk.acked.max(upto);
                }
                return None;
            }
            Effect::Verified { lane } => {
                disk.suspect = None;
                Box::new(move |s, now| s.verified(lane, now))
            }
            Effect::Rebase { lane, after } if fail => {
                disk.next_base = after;
                self.work.push_back(Effect::Rebase { lane, after });
                return None;
            }
            Effect::Rebase { lane, after } => {
                self.epochs += 1;
                disk.epoch = self.boots * 1000 + self.epochs;
                (disk.base, disk.acked, disk.suspect) = (after, 0, None);
                let stream = disk.stream();
                Box::new(move |s, now| s.rebased(lane, stream, now))
            }
            // The driver asks again until the store answers.
            work @ (Effect::LoadCursor { .. } | Effect::Recall { .. }) if fail => {
                self.work.push_back(work);
                return None;
            }
            Effect::LoadCursor {
                lane,
                epoch,
                base,
                settled,
                ticket,
            } => {
                let furthest = disk.cursors.values().copied().max().unwrap_or(0);
                let applied = *disk.cursors.entry(epoch).or_insert(base.min(furthest));
                disk.current = epoch;
                let beyond = if applied < settled { base } else { settled };
                let marks = disk.marks.entry(epoch).or_default().iter();
                let marks: Vec<_> = marks
                    .filter(|m| m.seq > beyond && applied != settled)
                    .copied()
                    .collect();
                Box::new(move |s, now| s.cursor(lane, ticket, applied, marks, now))
            }
            Effect::Recall {
                lane,
                after,
                upto,
                ticket,
            } => {
                let ours = disk.out.range(after + 1..).take_while(|(seq, _)| **seq <= upto);
                let marks: Vec<_> = ours.map(|(seq, entry)| Mark::of(*seq, entry)).collect();
                Box::new(move |s, now| s.recalled(lane, ticket, &marks, now))
            }
            Effect::Apply { lane, ticket, .. } if fail => Box::new(move |s, now| s.apply_failed(lane, ticket, now)),
            Effect::Apply {
                lane, epoch, ticket, ..
            } if epoch != disk.current => Box::new(move |s, now| s.out_of_step(lane, ticket, now)),
            Effect::Apply {
                lane,
                epoch,
                items,
                ticket,
            } => {
                let last = disk.apply(epoch, &items);
                Box::new(move |s, now| s.applied(lane, ticket, last, now))
            }
            Effect::Run(call) => {
                self.ran.push(call.rid);
                Box::new(move |s, now| s.reply(call.rid, call.body, now))
            }
            Effect::Abort { .. } => return None,
            other => panic!("not work: {other:?}"),
        })
    }
}

/// The two ends and what is between them.
pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) edge: End,
    pub(crate) cloud: End,
    /// Frames on their way, per direction (0 up, 1 down) and channel.
    pub(crate) wire: [[VecDeque<Vec<u8>>; 2]; 2],
    pub(crate) line_up: bool,
    calls: u8,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            now: Duration::from_secs(1000),
            edge: End::new(Role::Edge, 10),
            cloud: End::new(Role::Cloud, 20),
            wire: Default::default(),
            line_up: true,
            calls: 0,
        }
    }

    pub(crate) fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.now.as_micros() as i64)
    }

    /// Moves effects of both ends to where they belong.
    pub(crate) fn settle(&mut self) {
        if self.edge.reconnect && self.line_up {
            self.edge.reconnect = false;
            self.wire = Default::default();
            self.edge.session.connected(self.now, self.wall());
        }
        let (line_up, wire) = (self.line_up, &mut self.wire);
        let [up, down] = wire;
        let put = |to: &mut [VecDeque<Vec<u8>>; 2], channel: Channel, bytes: Vec<u8>| {
            if line_up {
                to[channel as usize].push_back(bytes);
            }
        };
        self.edge.collect(&mut |channel, bytes| put(up, channel, bytes));
        self.cloud.collect(&mut |channel, bytes| put(down, channel, bytes));
    }

    pub(crate) fn deliver(&mut self, direction: usize, channel: usize) {
        if let Some(bytes) = self.wire[direction][channel].pop_front() {
            let (now, wall) = (self.now, self.wall());
            let end = if direction == 0 {
                &mut self.cloud
            } else {
                &mut self.edge
            };
            end.session.receive(&bytes, now, wall).unwrap();
            self.settle();
        }
    }

    pub(crate) fn cut(&mut self) {
        self.line_up = false;
        self.wire = Default::default();
        self.edge.session.disconnected(self.now);
        self.edge.reconnect = true;
        self.settle();
    }

    pub(crate) fn pass(&mut self, by: Duration) {
        self.now += by;
        let (now, wall) = (self.now, self.wall());
        self.edge.session.tick(now, wall);
        self.cloud.session.tick(now, wall);
        self.settle();
    }

    pub(crate) fn call(&mut self, key: Option<&str>) -> [u8; 16] {
        self.calls += 1;
        let call = OutgoingCall {
            rid: [self.calls; 16],
            method: "slot.list".into(),
            key: key.map(str::to_owned),
            deadline: self.now + Duration::from_secs(5),
            body: b"{}".to_vec(),
        };
        let (rid, now) = (call.rid, self.now);
        self.cloud.session.call(call, now);
        self.settle();
        rid
    }

    /// Whether frames or store work are under way.
    fn busy(&self) -> bool {
        self.wire.iter().flatten().any(|q| !q.is_empty()) || self.edge.is_working() || self.cloud.is_working()
    }

    /// A healthy line and healthy stores, and nothing new: `for_how_long` of simulated time.
    pub(crate) fn heal(&mut self, for_how_long: Duration) {
        self.line_up = true;
        let end = self.now + for_how_long;
        while self.now < end {
            self.settle();
            for _ in 0..10_000 {
                if !self.busy() {
                    break;
                }
                for direction in 0..2 {
                    for channel in 0..2 {
                        self.deliver(direction, channel);
                    }
                }
                self.edge.finish(0, false, self.now);
                self.cloud.finish(0, false, self.now);
                self.settle();
            }
            self.pass(Duration::from_millis(250));
        }
    }
}
