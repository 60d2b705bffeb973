//! Two appliances with one disk image, both alive: whatever is lost, late, crashed or cut, and whoever speaks when, the
//! cloud applies every entry of either exactly once and in order.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

#[expect(dead_code, reason = "twins make no calls")]
mod world;

use std::time::Duration;

use engine::{Alarm, Effect, Role};
use proptest::prelude::*;
use records::Lane;
use world::{End, World};

#[derive(Clone, Debug)]
enum Act {
    Append {
        present: bool,
    },
    Deliver {
        direction: usize,
        channel: usize,
    },
    Lose {
        direction: usize,
        channel: usize,
    },
    Duplicate {
        direction: usize,
        channel: usize,
    },
    Work {
        edge: bool,
        at: usize,
        fail: bool,
    },
    Crash {
        edge: bool,
    },
    Cut,
    Heal,
    Pass {
        ms: u64,
    },
    /// The one takes the other's place at the broker.
    Swap,
}

fn act() -> impl Strategy<Value = Act> {
    let way = || (0..2usize, 0..2usize);
    prop_oneof![
        6 => any::<bool>().prop_map(|present| Act::Append { present }),
        24 => way().prop_map(|(direction, channel)| Act::Deliver { direction, channel }),
        2 => way().prop_map(|(direction, channel)| Act::Lose { direction, channel }),
        1 => way().prop_map(|(direction, channel)| Act::Duplicate { direction, channel }),
        20 => (any::<bool>(), 0..3usize, prop::bool::weighted(0.1))
            .prop_map(|(edge, at, fail)| Act::Work { edge, at, fail }),
        1 => any::<bool>().prop_map(|edge| Act::Crash { edge }),
        1 => Just(Act::Cut),
        2 => Just(Act::Heal),
        6 => (1..4000u64).prop_map(|ms| Act::Pass { ms }),
        3 => Just(Act::Swap),
    ]
}

/// A world in which a second appliance waits for its turn.
struct Twins {
    world: World,
    absent: End,
    /// What each wrote, the shared beginning first: of the present one, of the absent one.
    wrote: [Vec<String>; 2],
    count: u32,
    swaps: u32,
}

impl Twins {
    /// `before` happens to one appliance; then its disk is copied, and the copy starts beside it.
    fn after(before: &[Act]) -> Self {
        let mut twins = Self {
            world: World::new(),
            absent: End::new(Role::Edge, 70),
            wrote: Default::default(),
            count: 0,
            swaps: 0,
        };
        twins.world.settle();
        for act in before {
            match act {
                Act::Swap | Act::Append { present: false } => {}
                act => twins.act(act),
            }
        }
        twins.absent.disk = twins.world.edge.disk.clone();
        twins.absent.crash();
        twins.wrote[1] = twins.wrote[0].clone();
        twins
    }

    fn act(&mut self, act: &Act) {
        let w = &mut self.world;
        let now = w.now;
        match *act {
            Act::Append { present } => {
                self.count += 1;
                let text = format!("entry {}", self.count);
                let end = if present { &mut w.edge } else { &mut self.absent };
                end.disk.append(&text);
                end.session.appended(Lane::Clinical, now);
                self.wrote[usize::from(!present)].push(text);
            }
            Act::Deliver { direction, channel } => w.deliver(direction, channel),
            Act::Lose { direction, channel } => drop(w.wire[direction][channel].pop_front()),
            Act::Duplicate { direction, channel } => {
                let q = &mut w.wire[direction][channel];
                q.front().cloned().into_iter().for_each(|frame| q.push_back(frame));
            }
            Act::Work { edge, at, fail } => {
                let end = if edge { &mut w.edge } else { &mut w.cloud };
                end.finish(at, fail, now);
            }
            Act::Crash { edge } => {
                let end = if edge { &mut w.edge } else { &mut w.cloud };
                end.crash();
            }
            Act::Cut => w.cut(),
            Act::Heal => w.line_up = true,
            Act::Pass { ms } => w.pass(Duration::from_millis(ms)),
            Act::Swap => self.swap(),
        }
        self.world.settle();
        self.check();
    }

    fn swap(&mut self) {
        std::mem::swap(&mut self.world.edge, &mut self.absent);
        self.wrote.swap(0, 1);
        self.world.edge.reconnect = true;
        self.swaps += 1;
    }

    /// Nothing is applied twice, and neither believes more than the cloud has committed.
    fn check(&self) {
        let applied = &self.world.cloud.disk.effects;
        for text in applied {
            let times = applied.iter().filter(|other| *other == text).count();
            assert_eq!(times, 1, "{text} was applied {times} times: {applied:?}");
        }
        for end in [&self.world.edge, &self.absent] {
            let committed = self.world.cloud.disk.cursors.get(&end.disk.epoch).copied().unwrap_or(0);
            assert!(
                end.disk.acked <= committed,
                "believes {} of {committed}",
                end.disk.acked
            );
        }
    }

    /// Each gets its turn on a healthy line until both have met the cloud and each other.
    fn heal(&mut self) {
        for _ in 0..4 {
            self.world.heal(Duration::from_secs(90));
            self.swap();
        }
    }

    /// What was applied of the entries of one, in the order of applying.
    fn applied_of(&self, which: usize) -> Vec<String> {
        let wrote = &self.wrote[which];
        let applied = self.world.cloud.disk.effects.iter();
        applied.filter(|text| wrote.contains(text)).cloned().collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn both_histories_of_one_image_arrive_whole_once_and_in_order(
        before in prop::collection::vec(act(), 0..80),
        acts in prop::collection::vec(act(), 1..300),
    ) {
        let mut twins = Twins::after(&before);
        acts.iter().for_each(|act| twins.act(act));
        twins.heal();
        for which in 0..2 {
            prop_assert_eq!(twins.applied_of(which), twins.wrote[which].clone());
        }
        prop_assert!(twins.swaps >= 4);
    }
}

/// The case behind the property, step by step: what the original sent fell into a hole, the twin used the numbers.
#[test]
fn what_the_original_sent_in_vain_is_not_taken_for_the_twins_entries_under_the_same_numbers() {
    let mut twins = Twins::after(&[Act::Append { present: true }]);
    twins.world.heal(Duration::from_secs(3));
    twins.absent.disk = twins.world.edge.disk.clone();
    twins.absent.crash();
    twins.wrote[1] = twins.wrote[0].clone();

    for _ in 0..2 {
        twins.act(&Act::Append { present: true });
    }
    twins.world.edge.finish(0, false, twins.world.now);
    twins.world.settle();
    assert!(
        twins.world.wire[0][1].pop_front().is_some(),
        "the original's batch is lost"
    );

    twins.swap();
    for _ in 0..2 {
        twins.act(&Act::Append { present: true });
    }
    twins.world.heal(Duration::from_secs(3));
    assert_eq!(twins.world.cloud.disk.effects.len(), 3);

    twins.swap();
    twins.world.heal(Duration::from_secs(90));
    assert_eq!(
        twins.world.cloud.disk.effects,
        ["entry 1", "entry 4", "entry 5", "entry 2", "entry 3"]
    );
    let alarms = &twins.world.edge.alarms;
    assert!(
        alarms
            .iter()
            .any(|a| matches!(a, Alarm::RolledBack { ours: 2, theirs: 3, .. })),
        "{alarms:?}"
    );
}

/// Finishes the newest store work that fits, if there is any.
fn finish(end: &mut End, now: Duration, fits: impl Fn(&Effect) -> bool) -> bool {
    let found = end.work.iter().rposition(fits);
    found.into_iter().for_each(|at| end.finish(at, false, now));
    found.is_some()
}

/// Everything on the line arrives, and store work that fits is finished, the newest first, until nothing moves.
fn flow(world: &mut World, edge: impl Fn(&Effect) -> bool, cloud: impl Fn(&Effect) -> bool) {
    for _ in 0..200 {
        world.settle();
        for (direction, channel) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            world.deliver(direction, channel);
        }
        finish(&mut world.edge, world.now, &edge);
        finish(&mut world.cloud, world.now, &cloud);
    }
    world.settle();
}

#[test]
fn a_unit_still_on_its_way_into_the_store_is_waited_for_before_the_twin_is_told_the_cursor() {
    let mut twins = Twins::after(&[]);
    flow(&mut twins.world, |_| true, |_| true);
    twins.act(&Act::Append { present: true });
    flow(&mut twins.world, |_| true, |work| !matches!(work, Effect::Apply { .. }));
    assert!(
        twins
            .world
            .cloud
            .work
            .iter()
            .any(|work| matches!(work, Effect::Apply { .. }))
    );

    twins.swap();
    twins.act(&Act::Append { present: true });
    flow(&mut twins.world, |_| true, |work| !matches!(work, Effect::Apply { .. }));
    flow(&mut twins.world, |_| true, |_| true);
    twins.world.pass(Duration::from_millis(1500));
    flow(&mut twins.world, |_| true, |_| true);
    assert_eq!(twins.world.cloud.disk.effects, ["entry 1", "entry 2"]);
}

#[test]
fn a_new_epoch_that_the_store_still_begins_is_not_begun_once_more_by_the_next_session() {
    let mut twins = Twins::after(&[]);
    flow(&mut twins.world, |_| true, |_| true);
    twins.act(&Act::Append { present: true });
    flow(&mut twins.world, |_| true, |_| true);
    twins.swap();
    twins.act(&Act::Append { present: true });
    flow(
        &mut twins.world,
        |work| !matches!(work, Effect::Rebase { .. }),
        |_| true,
    );
    let begun = |w: &World| {
        w.edge
            .work
            .iter()
            .filter(|work| matches!(work, Effect::Rebase { .. }))
            .count()
    };
    assert_eq!(begun(&twins.world), 1);

    twins.world.cut();
    twins.world.line_up = true;
    flow(
        &mut twins.world,
        |work| !matches!(work, Effect::Rebase { .. }),
        |_| true,
    );
    assert_eq!(begun(&twins.world), 1);
    flow(&mut twins.world, |_| true, |_| true);
    twins.world.pass(Duration::from_millis(1500));
    flow(&mut twins.world, |_| true, |_| true);
    assert_eq!(twins.world.cloud.disk.effects, ["entry 1", "entry 2"]);
}

/// A cloud that remembers almost nothing: entries may come twice, and none is lost.
#[test]
fn beyond_what_the_cloud_remembers_entries_are_rather_sent_again_than_lost() {
    let mut twins = Twins::after(&[]);
    twins.world.cloud.disk.remembered = 2;
    twins.act(&Act::Append { present: true });
    twins.world.heal(Duration::from_secs(3));
    for _ in 0..2 {
        twins.act(&Act::Append { present: true });
    }
    twins.world.edge.finish(0, false, twins.world.now);
    twins.world.settle();
    assert!(
        twins.world.wire[0][1].pop_front().is_some(),
        "the original's batch is lost"
    );
    twins.absent.disk = twins.world.edge.disk.clone();
    for seq in [2, 3] {
        twins.absent.disk.out.remove(&seq);
    }
    twins.absent.disk.next = 2;
    twins.absent.crash();
    twins.swap();
    for _ in 0..6 {
        twins.act(&Act::Append { present: true });
    }
    twins.world.heal(Duration::from_secs(3));
    twins.swap();
    twins.world.heal(Duration::from_secs(90));
    for number in 1..=9 {
        let text = format!("entry {number}");
        assert!(twins.world.cloud.disk.effects.contains(&text), "{text} is lost");
    }
}
