//! Telemetry never goes before what is clinical, and goes all the same once nothing clinical waits.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use engine::{Effect, Entry, Item, OutState, Role, Session, Tuning};
use records::{Lane, Timestamp};

/// An end with a store that answers at once.
struct End {
    session: Session,
    log: BTreeMap<Lane, Vec<Entry>>,
    applied: Vec<(Lane, u64)>,
    /// Lanes of the entries that went, in order.
    sent: Vec<Lane>,
    /// Everything is suspect, and forgetting it for this lane takes until the given time.
    doubts: Option<(Lane, Duration)>,
    verifying: Vec<Lane>,
}

impl End {
    fn new(role: Role) -> Self {
        let tuning = Tuning {
            credit: 4_000,
            batch_bytes: 1_000,
            ..Tuning::default()
        };
        Self {
            session: Session::new(role, "edg_1", 7, tuning),
            log: Lane::ALL.map(|lane| (lane, Vec::new())).into(),
            applied: Vec::new(),
            sent: Vec::new(),
            doubts: None,
            verifying: Vec::new(),
        }
    }

    fn append(&mut self, lane: Lane, count: usize) {
        let entry = || Entry {
            kind: "k".into(),
            entity: "e".into(),
            at_us: 0,
            body: vec![b'x'; 400],
        };
        let log = self.log.get_mut(&lane).unwrap();
        log.extend(std::iter::repeat_with(entry).take(count));
    }

    fn stream(&self, lane: Lane) -> OutState {
        OutState {
            lane: lane.number(),
            epoch: 1,
            base: 0,
            first: 1,
            next: self.log[&lane].len() as u64 + 1,
            acked: None,
            suspect_from: self.doubts.map(|_| 1),
        }
    }

    /// Does everything the session asks for; answers what goes over the wire.
    fn work(&mut self, now: Duration) -> VecDeque<Vec<u8>> {
        let mut wire = VecDeque::new();
        let doubts = self.doubts;
        let settled = |lane| doubts.is_none_or(|(slow, until)| slow != lane || now >= until);
        for lane in self.verifying.extract_if(.., |lane| settled(*lane)) {
            self.session.verified(lane, now);
        }
        while let Some(effect) = self.session.poll_effect() {
            match effect {
                Effect::Send(_, bytes) => wire.push_back(bytes),
                Effect::LoadStreams { ticket } => {
                    let streams = Lane::ALL.map(|lane| (lane, self.stream(lane))).to_vec();
                    self.session.streams(ticket, streams, now);
                }
                Effect::Read {
                    lane, after, ticket, ..
                } => {
                    let rest = self.log[&lane].iter().enumerate().skip(after as usize).take(2);
                    let entries: Vec<_> = rest.map(|(n, e)| (n as u64 + 1, e.clone())).collect();
                    self.sent.extend(entries.iter().map(|_| lane));
                    self.session.loaded(lane, ticket, entries, now);
                }
                Effect::LoadCursor { lane, base, ticket, .. } => {
                    self.session.cursor(lane, ticket, base, Vec::new(), now)
                }
                Effect::Apply {
                    lane, items, ticket, ..
                } => {
                    let mut last = 0;
                    for item in items {
                        if let Item::Entry(seq, _) = item {
                            self.applied.push((lane, seq));
                            last = seq;
                        }
                    }
                    self.session.applied(lane, ticket, last, now);
                }
                Effect::Verified { lane } => self.verifying.push(lane),
                Effect::Up | Effect::RoundTrip(_) | Effect::Acked { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        wire
    }
}

#[test]
fn telemetry_waits_for_what_is_clinical_also_when_that_comes_later() {
    let (mut edge, mut cloud) = (End::new(Role::Edge), End::new(Role::Cloud));
    edge.append(Lane::Telemetry, 30);
    edge.append(Lane::Clinical, 40);
    let (mut now, wall) = (Duration::from_secs(1), Timestamp::from_seconds(1));
    edge.session.connected(now, wall);
    let mut late = false;
    for _ in 0..400 {
        now += Duration::from_millis(20);
        for frame in edge.work(now) {
            cloud.session.receive(&frame, now, wall).unwrap();
        }
        for frame in cloud.work(now) {
            edge.session.receive(&frame, now, wall).unwrap();
        }
        let told = edge.sent.iter().filter(|lane| **lane == Lane::Telemetry).count();
        if told > 2 && !late {
            late = true;
            edge.sent.clear();
            edge.append(Lane::Clinical, 10);
            edge.session.appended(Lane::Clinical, now);
        }
        edge.session.tick(now, wall);
        cloud.session.tick(now, wall);
    }
    let count = |lane| cloud.applied.iter().filter(|(l, _)| *l == lane).count();
    assert_eq!((count(Lane::Clinical), count(Lane::Telemetry)), (50, 30));
    let first_told = cloud.applied.iter().position(|(lane, _)| *lane == Lane::Telemetry);
    assert_eq!(first_told, Some(40), "all of the backlog went first");
    assert!(late, "there was something left to overtake");
    // One read of telemetry was under way already.
    let first = edge.sent.iter().position(|lane| *lane == Lane::Clinical).unwrap();
    assert!(first <= 2, "{:?}", edge.sent);
    assert!(
        edge.sent[first..first + 10].iter().all(|lane| *lane == Lane::Clinical),
        "{:?}",
        edge.sent
    );
    assert!(edge.sent.len() > first + 10, "telemetry went on afterwards");
}

#[test]
fn telemetry_waits_also_while_nobody_knows_where_the_clinical_lane_stands() {
    let (mut edge, mut cloud) = (End::new(Role::Edge), End::new(Role::Cloud));
    edge.append(Lane::Telemetry, 6);
    edge.append(Lane::Clinical, 6);
    let (mut now, wall) = (Duration::from_secs(1), Timestamp::from_seconds(1));
    // A slow disk: the telemetry lane is ready long before the clinical one.
    edge.doubts = Some((Lane::Clinical, Duration::from_secs(2)));
    edge.session.connected(now, wall);
    for _ in 0..200 {
        now += Duration::from_millis(20);
        for frame in edge.work(now) {
            cloud.session.receive(&frame, now, wall).unwrap();
        }
        for frame in cloud.work(now) {
            edge.session.receive(&frame, now, wall).unwrap();
        }
        edge.session.tick(now, wall);
        cloud.session.tick(now, wall);
    }
    let lanes: Vec<Lane> = cloud.applied.iter().map(|(lane, _)| *lane).collect();
    assert_eq!(lanes, [[Lane::Clinical; 6], [Lane::Telemetry; 6]].concat());
}
