//! Two or three appliances with one disk image, all alive: whatever is lost, late, crashed or cut, and whoever speaks when, the
//! cloud applies every entry of each exactly once and in order.

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
        who: usize,
    },
    /// Only the newest of what waits is kept.
    Coalesce {
        who: usize,
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
    /// The store does its work, and the process has not heard of it yet.
    Unheard {
        edge: bool,
        at: usize,
    },
    /// Another one takes the place at the broker.
    Swap {
        with: usize,
    },
}

fn act(coalesce: u32) -> impl Strategy<Value = Act> {
    let way = || (0..2usize, 0..2usize);
    prop_oneof![
        6 => (0..3usize).prop_map(|who| Act::Append { who }),
        coalesce => (0..3usize).prop_map(|who| Act::Coalesce { who }),
        24 => way().prop_map(|(direction, channel)| Act::Deliver { direction, channel }),
        2 => way().prop_map(|(direction, channel)| Act::Lose { direction, channel }),
        1 => way().prop_map(|(direction, channel)| Act::Duplicate { direction, channel }),
        20 => (any::<bool>(), 0..3usize, prop::bool::weighted(0.1))
            .prop_map(|(edge, at, fail)| Act::Work { edge, at, fail }),
        4 => (any::<bool>(), 0..3usize).prop_map(|(edge, at)| Act::Unheard { edge, at }),
        1 => any::<bool>().prop_map(|edge| Act::Crash { edge }),
        1 => Just(Act::Cut),
        2 => Just(Act::Heal),
        6 => (1..4000u64).prop_map(|ms| Act::Pass { ms }),
        3 => (0..2usize).prop_map(|with| Act::Swap { with }),
    ]
}

/// A world in which other appliances with the same disk image wait for their turn.
struct Twins {
    world: World,
    away: Vec<End>,
    /// What each wrote, the shared beginning first: the present one's, then those of the ones away.
    wrote: Vec<Vec<String>>,
    count: u32,
    swaps: u32,
}

impl Twins {
    /// `before` happens to one appliance; then its disk is copied, and the copy starts beside it.
    fn after(before: &[Act]) -> Self {
        let mut twins = Self {
            world: World::new(),
            away: Vec::new(),
            wrote: vec![Vec::new()],
            count: 0,
            swaps: 0,
        };
        twins.world.settle();
        before.iter().for_each(|act| twins.act(act));
        twins.clone_the_present();
        twins
    }

    fn clone_the_present(&mut self) {
        let mut twin = End::new(Role::Edge, 70 + self.away.len() as u64);
        twin.disk = self.world.edge.disk.clone();
        twin.crash();
        self.away.push(twin);
        self.wrote.push(self.wrote[0].clone());
    }

    /// The `who`th appliance, if there are so many; the present one is the first.
    fn appliance(&mut self, who: usize) -> Option<&mut End> {
        match who {
            0 => Some(&mut self.world.edge),
            who => self.away.get_mut(who - 1),
        }
    }

    fn act(&mut self, act: &Act) {
        let now = self.world.now;
        let w = &mut self.world;
        match *act {
            Act::Append { who } => {
                let text = format!("entry {}", self.count + 1);
                if let Some(end) = self.appliance(who) {
                    end.disk.append(&text);
                    end.session.appended(Lane::Clinical, now);
                    self.count += 1;
                    self.wrote[who].push(text);
                }
            }
            Act::Coalesce { who } => self.appliance(who).into_iter().for_each(|end| end.disk.coalesce()),
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
            Act::Unheard { edge, at } => {
                let end = if edge { &mut w.edge } else { &mut w.cloud };
                end.finish_unheard(at);
            }
            Act::Crash { edge } => {
                let end = if edge { &mut w.edge } else { &mut w.cloud };
                end.crash();
            }
            Act::Cut => w.cut(),
            Act::Heal => w.line_up = true,
            Act::Pass { ms } => w.pass(Duration::from_millis(ms)),
            Act::Swap { with } => self.swap(with),
        }
        self.world.settle();
        self.check();
    }

    fn swap(&mut self, with: usize) {
        if let Some(other) = self.away.get_mut(with) {
            std::mem::swap(&mut self.world.edge, other);
            self.wrote.swap(0, with + 1);
            self.world.edge.reconnect = true;
            self.swaps += 1;
        }
    }

    /// Nothing is applied twice, and none believes more than the cloud has committed.
    fn check(&self) {
        let applied = &self.world.cloud.disk.effects;
        for text in applied {
            let times = applied.iter().filter(|other| *other == text).count();
            assert_eq!(times, 1, "{text} was applied {times} times: {applied:?}");
        }
        for end in self.away.iter().chain([&self.world.edge]) {
            let committed = self.world.cloud.disk.cursors.get(&end.disk.epoch).copied().unwrap_or(0);
            assert!(
                end.disk.acked <= committed,
                "believes {} of {committed}",
                end.disk.acked
            );
        }
    }

    /// Each gets its turns on a healthy line until all have met the cloud and each other.
    fn heal(&mut self) {
        for turn in 0..self.wrote.len() * 2 {
            self.world.heal(Duration::from_secs(90));
            self.swap(turn % self.away.len());
        }
    }

    /// What each wrote and did not drop must have been applied, in the order of writing.
    fn check_whole(&mut self) {
        let applied = self.world.cloud.disk.effects.clone();
        // What one dropped of the shared beginning before it told a later entry counts as told by the others too.
        let ends = self.away.iter().chain([&self.world.edge]);
        let dropped: std::collections::BTreeSet<String> = ends.flat_map(|end| end.disk.dropped.clone()).collect();
        for who in 0..self.wrote.len() {
            let wrote = self.wrote[who].clone();
            let end = self.appliance(who).unwrap();
            let counts = |text: &&String| wrote.contains(*text) && !dropped.contains(*text);
            let arrived: Vec<_> = applied.iter().filter(counts).collect();
            let expected: Vec<_> = wrote.iter().filter(counts).collect();
            assert_eq!(arrived, expected, "appliance {who}");
            assert_eq!(
                end.disk.acked,
                end.disk.next - 1,
                "appliance {who} thinks that entries wait"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn both_histories_of_one_image_arrive_whole_once_and_in_order(
        before in prop::collection::vec(act(1), 0..80),
        acts in prop::collection::vec(act(1), 1..300),
    ) {
        let mut twins = Twins::after(&before);
        acts.iter().for_each(|act| twins.act(act));
        twins.heal();
        twins.check_whole();
        prop_assert!(twins.swaps >= 4);
    }

    #[test]
    fn a_clone_and_a_clone_of_either_lose_and_repeat_nothing_also_of_what_drops_older_values(
        before in prop::collection::vec(act(3), 0..60),
        between in prop::collection::vec(act(3), 0..120),
        acts in prop::collection::vec(act(3), 1..200),
    ) {
        let mut twins = Twins::after(&before);
        between.iter().for_each(|act| twins.act(act));
        // What two copies hold unsent and must both send in new epochs would come twice.
        twins.world.heal(Duration::from_secs(90));
        twins.clone_the_present();
        acts.iter().for_each(|act| twins.act(act));
        twins.heal();
        twins.check_whole();
    }
}

/// The case behind the property, step by step: what the original sent fell into a hole, the twin used the numbers.
#[test]
fn what_the_original_sent_in_vain_is_not_taken_for_the_twins_entries_under_the_same_numbers() {
    let mut twins = Twins::after(&[Act::Append { who: 0 }]);
    twins.world.heal(Duration::from_secs(3));
    twins.away[0].disk = twins.world.edge.disk.clone();
    twins.away[0].crash();
    twins.wrote[1] = twins.wrote[0].clone();

    for _ in 0..2 {
        twins.act(&Act::Append { who: 0 });
    }
    twins.world.edge.finish(0, false, twins.world.now);
    twins.world.settle();
    assert!(
        twins.world.wire[0][1].pop_front().is_some(),
        "the original's batch is lost"
    );

    twins.swap(0);
    for _ in 0..2 {
        twins.act(&Act::Append { who: 0 });
    }
    twins.world.heal(Duration::from_secs(3));
    assert_eq!(twins.world.cloud.disk.effects.len(), 3);

    twins.swap(0);
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
    twins.act(&Act::Append { who: 0 });
    flow(&mut twins.world, |_| true, |work| !matches!(work, Effect::Apply { .. }));
    assert!(
        twins
            .world
            .cloud
            .work
            .iter()
            .any(|work| matches!(work, Effect::Apply { .. }))
    );

    twins.swap(0);
    twins.act(&Act::Append { who: 0 });
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
    twins.act(&Act::Append { who: 0 });
    flow(&mut twins.world, |_| true, |_| true);
    twins.swap(0);
    twins.act(&Act::Append { who: 0 });
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
    twins.act(&Act::Append { who: 0 });
    twins.world.heal(Duration::from_secs(3));
    for _ in 0..2 {
        twins.act(&Act::Append { who: 0 });
    }
    twins.world.edge.finish(0, false, twins.world.now);
    twins.world.settle();
    assert!(
        twins.world.wire[0][1].pop_front().is_some(),
        "the original's batch is lost"
    );
    twins.away[0].disk = twins.world.edge.disk.clone();
    for seq in [2, 3] {
        twins.away[0].disk.out.remove(&seq);
    }
    twins.away[0].disk.next = 2;
    twins.away[0].crash();
    twins.swap(0);
    for _ in 0..6 {
        twins.act(&Act::Append { who: 0 });
    }
    twins.world.heal(Duration::from_secs(3));
    twins.swap(0);
    twins.world.heal(Duration::from_secs(90));
    for number in 1..=9 {
        let text = format!("entry {number}");
        assert!(twins.world.cloud.disk.effects.contains(&text), "{text} is lost");
    }
}

#[test]
fn a_look_at_the_cursor_for_an_earlier_session_never_turns_the_store_back_to_its_epoch() {
    let mut twins = Twins::after(&[]);
    flow(&mut twins.world, |_| true, |_| true);
    twins.act(&Act::Append { who: 0 });
    flow(&mut twins.world, |_| true, |_| true);
    // The twin has an epoch of its own; then the original's look is still on its way when the twin comes back.
    twins.swap(0);
    twins.act(&Act::Append { who: 0 });
    flow(&mut twins.world, |_| true, |_| true);
    twins.swap(0);
    let no_look = |work: &Effect| !matches!(work, Effect::LoadCursor { .. });
    flow(&mut twins.world, |_| true, no_look);
    twins.swap(0);
    twins.act(&Act::Append { who: 0 });
    flow(&mut twins.world, |_| true, no_look);
    flow(&mut twins.world, |_| true, |_| true);
    twins.world.pass(Duration::from_millis(1500));
    flow(&mut twins.world, |_| true, |_| true);
    assert_eq!(twins.world.cloud.disk.effects, ["entry 1", "entry 2", "entry 3"]);
    assert_eq!(
        twins.world.cloud.disk.current, twins.world.edge.disk.epoch,
        "the store was turned back"
    );
}

/// A restored cloud stands where the twin's image stood: the twin's entries take the numbers that the cloud has lost.
#[test]
fn numbers_that_a_restored_cloud_gave_to_a_twin_are_not_taken_for_the_originals() {
    let mut twins = Twins::after(&[Act::Append { who: 0 }]);
    twins.world.heal(Duration::from_secs(3));
    twins.away[0].disk = twins.world.edge.disk.clone();
    twins.away[0].crash();
    let backup = twins.world.cloud.disk.clone();
    for _ in 0..3 {
        twins.act(&Act::Append { who: 0 });
    }
    twins.world.heal(Duration::from_secs(3));
    assert_eq!(twins.world.edge.disk.acked, 4);

    twins.world.cloud.disk = backup;
    twins.world.cloud.crash();
    twins.swap(0);
    for text in ["entry 5", "entry 6"] {
        twins.world.edge.disk.append(text);
    }
    twins.world.heal(Duration::from_secs(3));
    twins.swap(0);
    twins.world.heal(Duration::from_secs(90));
    assert_eq!(
        twins.world.cloud.disk.effects,
        ["entry 1", "entry 5", "entry 6", "entry 2", "entry 3", "entry 4"]
    );
}

/// The appliance's disk was rolled back, and then the cloud was restored from a backup older than that.
#[test]
fn entries_before_a_new_epoch_that_a_restored_cloud_lost_are_sent_again() {
    let mut twins = Twins::after(&[]);
    let backup = twins.world.cloud.disk.clone();
    for _ in 0..3 {
        twins.act(&Act::Append { who: 0 });
    }
    twins.world.heal(Duration::from_secs(3));
    let image = twins.world.edge.disk.clone();
    twins.act(&Act::Append { who: 0 });
    twins.world.heal(Duration::from_secs(3));
    twins.world.edge.disk = image;
    twins.world.edge.crash();
    twins.act(&Act::Append { who: 0 });
    twins.world.heal(Duration::from_secs(3));
    assert_eq!(twins.world.cloud.disk.effects.len(), 5);

    twins.world.cloud.disk = backup;
    twins.world.cloud.crash();
    twins.world.heal(Duration::from_secs(90));
    assert_eq!(
        twins.world.cloud.disk.effects,
        ["entry 1", "entry 2", "entry 3", "entry 5"]
    );
}
