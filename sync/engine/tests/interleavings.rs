//! Any interleaving of loss, duplication, reordering, cuts, crashes and failing stores: every entry is applied once
//! and in order, and a healed line drains by itself.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

#[expect(dead_code, reason = "nothing is coalesced here, and no commit goes unheard")]
mod world;

use std::time::Duration;

use engine::{Alarm, Answer};
use proptest::prelude::*;
use world::World;

#[derive(Clone, Debug)]
enum Act {
    Append { edge: bool },
    Deliver { direction: usize, channel: usize },
    Lose { direction: usize, channel: usize },
    Duplicate { direction: usize, channel: usize },
    Reorder { direction: usize, channel: usize },
    Work { edge: bool, at: usize, fail: bool },
    Crash { edge: bool },
    Cut,
    Heal,
    Pass { ms: u64 },
    Call { keyed: bool },
}

fn act() -> impl Strategy<Value = Act> {
    let way = || (0..2usize, 0..2usize);
    prop_oneof![
        6 => any::<bool>().prop_map(|edge| Act::Append { edge }),
        24 => way().prop_map(|(direction, channel)| Act::Deliver { direction, channel }),
        2 => way().prop_map(|(direction, channel)| Act::Lose { direction, channel }),
        2 => way().prop_map(|(direction, channel)| Act::Duplicate { direction, channel }),
        2 => way().prop_map(|(direction, channel)| Act::Reorder { direction, channel }),
        20 => (any::<bool>(), 0..3usize, prop::bool::weighted(0.1))
            .prop_map(|(edge, at, fail)| Act::Work { edge, at, fail }),
        1 => any::<bool>().prop_map(|edge| Act::Crash { edge }),
        1 => Just(Act::Cut),
        2 => Just(Act::Heal),
        6 => (1..4000u64).prop_map(|ms| Act::Pass { ms }),
        2 => any::<bool>().prop_map(|keyed| Act::Call { keyed }),
    ]
}

/// Which faults really happened.
#[derive(Default, Debug)]
struct Fired {
    lost: u32,
    duplicated: u32,
    reordered: u32,
    crashed: u32,
    cut: u32,
    failed: u32,
}

struct Run {
    world: World,
    sent: [Vec<String>; 2],
    calls: Vec<[u8; 16]>,
    fired: Fired,
}

impl Run {
    fn new() -> Self {
        Self {
            world: World::new(),
            sent: Default::default(),
            calls: Vec::new(),
            fired: Fired::default(),
        }
    }

    fn act(&mut self, act: &Act) {
        let w = &mut self.world;
        let now = w.now;
        match *act {
            Act::Append { edge } => {
                let texts = &mut self.sent[usize::from(!edge)];
                texts.push(format!("{} {}", if edge { "up" } else { "down" }, texts.len() + 1));
                let end = if edge { &mut w.edge } else { &mut w.cloud };
                end.disk.append(texts.last().unwrap());
                end.session.appended(records::Lane::Clinical, now);
            }
            Act::Deliver { direction, channel } => w.deliver(direction, channel),
            Act::Lose { direction, channel } => {
                self.fired.lost += u32::from(w.wire[direction][channel].pop_front().is_some());
            }
            Act::Duplicate { direction, channel } => {
                let q = &mut w.wire[direction][channel];
                if let Some(frame) = q.front().cloned() {
                    q.push_back(frame);
                    self.fired.duplicated += 1;
                }
            }
            Act::Reorder { direction, channel } => {
                let q = &mut w.wire[direction][channel];
                if q.len() > 1 {
                    q.swap(0, 1);
                    self.fired.reordered += 1;
                }
            }
            Act::Work { edge, at, fail } => {
                let end = if edge { &mut w.edge } else { &mut w.cloud };
                self.fired.failed += u32::from(fail && at < end.work.len());
                end.finish(at, fail, now);
            }
            Act::Crash { edge } => {
                if edge {
                    w.edge.crash()
                } else {
                    w.cloud.crash()
                }
                self.fired.crashed += 1;
            }
            Act::Cut => {
                w.cut();
                self.fired.cut += 1;
            }
            Act::Heal => w.line_up = true,
            Act::Pass { ms } => w.pass(Duration::from_millis(ms)),
            Act::Call { keyed } => {
                let rid = w.call(keyed.then_some("key"));
                self.calls.push(rid);
            }
        }
        self.world.settle();
        self.check_prefix();
    }

    /// At every moment what was applied is a beginning of what was sent, and nothing counts as acknowledged that the
    /// receiver has not committed.
    fn check_prefix(&self) {
        let World { edge, cloud, .. } = &self.world;
        let [up, down] = &self.sent;
        for (from, to, sent) in [(edge, cloud, up), (cloud, edge, down)] {
            assert!(
                sent.starts_with(&to.disk.effects),
                "{:?} applied {:?}",
                to.role,
                to.disk.effects
            );
            let committed = to.disk.cursors.get(&from.disk.epoch).copied().unwrap_or(0);
            assert!(
                from.disk.acked <= committed,
                "{:?} believes {} of {committed}",
                from.role,
                from.disk.acked
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_entry_is_applied_once_in_order_whatever_happens_and_a_healed_line_drains_by_itself(
        acts in prop::collection::vec(act(), 1..400)
    ) {
        let mut run = Run::new();
        run.world.settle();
        for act in &acts {
            run.act(act);
        }
        run.world.heal(Duration::from_secs(90));
        let w = &run.world;
        prop_assert_eq!(&w.cloud.disk.effects, &run.sent[0]);
        prop_assert_eq!(&w.edge.disk.effects, &run.sent[1]);
        prop_assert_eq!(w.edge.disk.acked + 1, w.edge.disk.next, "the edge knows that all is applied");
        prop_assert_eq!(w.cloud.disk.acked + 1, w.cloud.disk.next);
        let false_alarm = w.edge.alarms.iter().chain(&w.cloud.alarms).any(|a| matches!(a, Alarm::RolledBack { .. }));
        prop_assert!(!false_alarm, "nobody was rolled back");
    }
}

/// The generator above really injects each kind of fault.
#[test]
fn the_injectors_of_the_property_fire() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut fired = Fired::default();
    let mut settled = 0;
    for _ in 0..40 {
        let acts = prop::collection::vec(act(), 300..400)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut run = Run::new();
        run.world.settle();
        acts.iter().for_each(|act| run.act(act));
        run.world.heal(Duration::from_secs(90));
        settled += run
            .calls
            .iter()
            .filter(|rid| run.world.cloud.answers.contains_key(*rid))
            .count();
        let f = run.fired;
        fired.lost += f.lost;
        fired.duplicated += f.duplicated;
        fired.reordered += f.reordered;
        fired.crashed += f.crashed;
        fired.cut += f.cut;
        fired.failed += f.failed;
    }
    assert!(
        fired.lost > 20 && fired.duplicated > 20 && fired.reordered > 5,
        "{fired:?}"
    );
    assert!(fired.crashed > 20 && fired.cut > 20 && fired.failed > 20, "{fired:?}");
    assert!(settled > 50, "{settled} calls were settled");
}

fn healthy() -> World {
    let mut w = World::new();
    w.heal(Duration::from_secs(2));
    w
}

#[test]
fn an_appliance_whose_disk_was_rolled_back_loses_nothing_new_and_repeats_nothing_old() {
    let mut w = healthy();
    for text in ["a", "b"] {
        w.edge.disk.append(text);
    }
    w.heal(Duration::from_secs(3));
    let backup = w.edge.disk.clone();
    for text in ["c", "d", "e"] {
        w.edge.disk.append(text);
    }
    w.heal(Duration::from_secs(3));

    w.edge.disk = backup;
    w.edge.crash();
    w.edge.disk.append("new 1");
    w.heal(Duration::from_secs(3));
    w.edge.disk.append("new 2");
    w.heal(Duration::from_secs(3));

    assert_eq!(w.cloud.disk.effects, ["a", "b", "c", "d", "e", "new 1", "new 2"]);
    assert!(
        matches!(w.edge.alarms[..], [Alarm::RolledBack { ours: 3, theirs: 5, .. }]),
        "{:?}",
        w.edge.alarms
    );
}

#[test]
fn a_rolled_back_appliance_that_wrote_more_than_it_lost_before_it_met_the_cloud_is_still_noticed() {
    let mut w = healthy();
    let backup = w.edge.disk.clone();
    w.edge.disk.append("lost");
    w.heal(Duration::from_secs(3));

    w.edge.disk = backup;
    w.edge.crash();
    w.line_up = false;
    for text in ["x", "y", "z"] {
        w.edge.disk.append(text);
    }
    w.edge.crash(); // and once more before the line is back
    w.heal(Duration::from_secs(3));
    assert_eq!(w.cloud.disk.effects, ["lost", "x", "y", "z"]);
}

#[test]
fn a_cloned_appliance_is_noticed_and_neither_of_the_two_loses_or_repeats_an_entry() {
    let mut w = healthy();
    w.edge.disk.append("a");
    w.heal(Duration::from_secs(3));
    let clone = w.edge.disk.clone();
    w.edge.disk.append("original 1");
    w.heal(Duration::from_secs(3));

    // The clone comes up beside the original: the ends are swapped in and out, as one wire can only hold one.
    let mut other = world::End::new(engine::Role::Edge, 70);
    other.disk = clone;
    other.crash();
    std::mem::swap(&mut w.edge, &mut other);
    w.edge.disk.append("clone 1");
    w.heal(Duration::from_secs(3));
    std::mem::swap(&mut w.edge, &mut other);
    w.edge.disk.append("original 2");
    w.heal(Duration::from_secs(70));

    let mut applied = w.cloud.disk.effects.clone();
    applied.sort();
    assert_eq!(applied, ["a", "clone 1", "original 1", "original 2"]);
    assert!(w.cloud.alarms.contains(&Alarm::Cloned), "{:?}", w.cloud.alarms);
    assert!(w.edge.alarms.contains(&Alarm::Fenced), "{:?}", w.edge.alarms);
}

#[test]
fn a_cloud_restored_from_a_backup_is_served_again_from_retained_entries() {
    let mut w = healthy();
    for text in ["a", "b"] {
        w.edge.disk.append(text);
    }
    w.heal(Duration::from_secs(3));
    let backup = w.cloud.disk.clone();
    for text in ["c", "d"] {
        w.edge.disk.append(text);
    }
    w.cloud.disk.append("to be forgotten");
    w.heal(Duration::from_secs(3));
    assert_eq!(w.edge.disk.effects, ["to be forgotten"]);

    w.cloud.disk = backup;
    w.cloud.crash();
    w.cloud.disk.append("after the restore");
    w.heal(Duration::from_secs(3));
    assert_eq!(w.cloud.disk.effects, ["a", "b", "c", "d"]);
    assert_eq!(w.edge.disk.effects, ["to be forgotten", "after the restore"]);
    assert!(w.cloud.alarms.iter().any(|a| matches!(a, Alarm::RolledBack { .. })));
}

#[test]
fn entries_the_sender_no_longer_has_are_recorded_as_a_gap() {
    let mut w = healthy();
    w.line_up = false;
    w.cut();
    for i in 1..=6 {
        w.edge.disk.append(&format!("t{i}"));
    }
    for seq in [1, 2, 4] {
        w.edge.disk.out.remove(&seq);
    }
    w.heal(Duration::from_secs(20));
    assert_eq!(w.cloud.disk.effects, ["t3", "t5", "t6"]);
    assert_eq!(w.cloud.disk.gaps, [(1, 2), (4, 4)]);
}

#[test]
fn a_call_is_answered_refused_when_busy_and_settled_at_once_when_the_appliance_is_away() {
    let mut w = healthy();
    let answered = w.call(None);
    w.heal(Duration::from_secs(1));
    assert_eq!(w.cloud.answers[&answered], Answer::Replied(b"{}".to_vec()));

    let many: Vec<_> = (0..5).map(|_| w.call(None)).collect();
    assert_eq!(
        w.cloud.answers.get(&many[4]),
        Some(&Answer::Busy),
        "two run, two wait, one is refused"
    );
    w.heal(Duration::from_secs(1));
    assert!(
        many[..4]
            .iter()
            .all(|rid| matches!(w.cloud.answers[rid], Answer::Replied(_)))
    );

    w.cut();
    w.pass(Duration::from_secs(16));
    let away = w.call(Some("k"));
    assert_eq!(w.cloud.answers[&away], Answer::NotStarted, "known without waiting");
}

#[test]
fn a_call_cut_off_on_its_way_back_is_answered_after_the_reconnect_without_running_twice() {
    let mut w = healthy();
    let rid = w.call(Some("key"));
    while w.edge.ran.is_empty() {
        w.deliver(1, 0);
        w.edge.finish(0, false, w.now);
    }
    w.settle();
    assert_eq!(w.edge.ran, [rid]);
    w.cut();
    w.heal(Duration::from_secs(3));
    assert_eq!(w.edge.ran, [rid], "answered from memory");
    assert!(matches!(w.cloud.answers[&rid], Answer::Replied(_)));
}

#[test]
fn a_call_whose_answer_never_comes_is_unknown_at_its_deadline() {
    let mut w = healthy();
    let rid = w.call(Some("key"));
    w.wire = Default::default();
    w.pass(Duration::from_millis(5001));
    assert_eq!(w.cloud.answers[&rid], Answer::Unknown);
}

#[test]
fn a_greeting_in_another_name_is_refused_and_an_alarm_is_raised() {
    use engine::{Effect, Role, Session};
    let mut w = healthy();
    let mut foreign = Session::new(Role::Edge, "edg_2", 5, world::tuning());
    foreign.connected(w.now, w.wall());
    let Some(Effect::Send(_, hello)) = foreign.poll_effect() else {
        panic!("no greeting")
    };
    w.cloud.session.receive(&hello, w.now, w.wall()).unwrap();
    w.settle();
    assert_eq!(
        w.cloud.alarms,
        [Alarm::WrongIdentity {
            claimed: "edg_2".into()
        }]
    );
    assert!(w.cloud.session.is_up(), "the true appliance is not disturbed");
}

#[test]
fn a_silent_line_is_given_up_and_made_anew() {
    let mut w = healthy();
    w.line_up = false;
    for _ in 0..40 {
        w.pass(Duration::from_millis(500));
    }
    assert!(!w.edge.session.is_up() && !w.cloud.session.is_up());
    w.edge.disk.append("waited");
    w.heal(Duration::from_secs(3));
    assert_eq!(w.cloud.disk.effects, ["waited"]);
}

#[test]
fn a_lost_batch_is_asked_for_as_soon_as_the_next_one_arrives() {
    let mut w = healthy();
    w.pass(Duration::from_millis(1100)); // a look at the outbox is due
    for i in 0..30 {
        w.edge
            .disk
            .append(&format!("an entry that fills a third of a batch {i:02}"));
    }
    w.edge.session.appended(records::Lane::Clinical, w.now);
    while w.wire[0][1].len() < 3 {
        w.settle();
        w.edge.finish(0, false, w.now);
        w.settle();
    }
    assert!(w.wire[0][1].pop_front().is_some(), "a batch is lost");
    // Much less than the patience after which a silent receiver is asked.
    w.heal(Duration::from_millis(250));
    assert_eq!(w.cloud.disk.effects.len(), 30);
}
