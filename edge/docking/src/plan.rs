//! The storage plan: how much room footage may take, what is removed for new one, and when somebody is warned.
//!
//! Only copies the cloud has confirmed are ever removed, the oldest first; what still lies on a recorder and in the cloud
//! goes after what was cleared from its recorder longest ago.

use std::time::Duration;

use records::Timestamp;
use records::footage::ClipId;
use serde::{Deserialize, Serialize};

/// Room for footage and how long it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// Most bytes of footage; 0 for as much as the disk holds.
    pub most_bytes: u64,
    /// Bytes of the disk that stay free.
    pub keep_free_bytes: u64,
    /// Days footage of an order is kept here after it was confirmed.
    pub order_days: u32,
    /// Days other footage is kept here after it was confirmed.
    pub loose_days: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            most_bytes: 0,
            keep_free_bytes: 1 << 30,
            order_days: 30,
            loose_days: 7,
        }
    }
}

/// What footage is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Of an order.
    Order,
    /// Of nobody's order.
    Loose,
}

/// A copy that may be removed: confirmed, and its recorder is not being cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removable {
    pub(crate) id: ClipId,
    pub(crate) size: u64,
    pub(crate) class: Class,
    /// It is not on its recorder any more.
    pub(crate) cleared: bool,
    pub(crate) since: Timestamp,
}

/// How the room stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Bytes of copies here.
    pub(crate) kept: u64,
    /// Bytes free on the disk.
    pub(crate) free: u64,
}

impl Plan {
    /// Percent of the room from which on somebody is warned.
    pub(crate) const WARNED_AT: u64 = 80;

    /// Bytes that may still be written.
    pub(crate) const fn left(&self, room: Room) -> u64 {
        let disk = room.free.saturating_sub(self.keep_free_bytes);
        if self.most_bytes == 0 {
            return disk;
        }
        let share = self.most_bytes.saturating_sub(room.kept);
        if share < disk { share } else { disk }
    }

    /// Percent of the room that is taken.
    pub(crate) fn taken(&self, room: Room) -> u64 {
        let all = room.kept.saturating_add(self.left(room));
        room.kept.saturating_mul(100).checked_div(all).unwrap_or(100)
    }

    /// What is removed so that `wanted` bytes fit, and what has been kept long enough. Empty when removing would not help.
    pub(crate) fn remove(&self, room: Room, wanted: u64, mut removable: Vec<Removable>, now: Timestamp) -> Vec<ClipId> {
        removable.sort_by_key(|r| (!r.cleared, r.since));
        let days = |class| match class {
            Class::Order => self.order_days,
            Class::Loose => self.loose_days,
        };
        let old = |r: &Removable| {
            let kept_for = Duration::from_secs(u64::from(days(r.class)) * 86_400);
            r.cleared && r.since.plus(kept_for) <= now
        };
        let (due, rest): (Vec<_>, Vec<_>) = removable.into_iter().partition(old);
        let mut left = self.left(room).saturating_add(due.iter().map(|r| r.size).sum());
        let mut gone: Vec<ClipId> = due.into_iter().map(|r| r.id).collect();
        let helps = left.saturating_add(rest.iter().map(|r| r.size).sum()) >= wanted;
        for one in rest {
            if left >= wanted || !helps {
                break;
            }
            left = left.saturating_add(one.size);
            gone.push(one.id);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(n: u8, size: u64, class: Class, cleared: bool, days_ago: u64) -> Removable {
        Removable {
            id: ClipId::parse(&format!("clp_{n}")).unwrap(),
            size,
            class,
            cleared,
            since: now().minus(Duration::from_secs(days_ago * 86_400)),
        }
    }
    fn now() -> Timestamp {
        Timestamp::from_seconds(1_795_244_645)
    }
    fn ids(gone: &[ClipId]) -> Vec<&str> {
        gone.iter().map(ClipId::as_str).collect()
    }

    #[test]
    fn the_oldest_confirmed_go_first_and_no_more_than_needed() {
        let plan = Plan {
            most_bytes: 1000,
            keep_free_bytes: 100,
            ..Plan::default()
        };
        let room = Room { kept: 900, free: 5000 };
        assert_eq!(plan.left(room), 100);
        let all = vec![
            clip(1, 200, Class::Order, true, 3),
            clip(2, 200, Class::Order, true, 5),
            clip(3, 200, Class::Loose, false, 6),
        ];
        assert_eq!(ids(&plan.remove(room, 50, all.clone(), now())), [] as [&str; 0]);
        assert_eq!(ids(&plan.remove(room, 250, all.clone(), now())), ["clp_2"]);
        assert_eq!(ids(&plan.remove(room, 450, all.clone(), now())), ["clp_2", "clp_1"]);
        assert_eq!(
            ids(&plan.remove(room, 700, all.clone(), now())),
            ["clp_2", "clp_1", "clp_3"]
        );
        // It would not fit all the same: nothing is thrown away for nothing.
        assert_eq!(ids(&plan.remove(room, 5000, all, now())), [] as [&str; 0]);
    }

    #[test]
    fn what_was_kept_long_enough_goes_by_its_class() {
        let plan = Plan {
            keep_free_bytes: 0,
            ..Plan::default()
        };
        let room = Room { kept: 0, free: 5000 };
        let all = vec![
            clip(1, 1, Class::Order, true, 29),
            clip(2, 1, Class::Order, true, 31),
            clip(3, 1, Class::Loose, true, 8),
            clip(4, 1, Class::Loose, false, 99),
        ];
        assert_eq!(ids(&plan.remove(room, 0, all, now())), ["clp_2", "clp_3"]);
    }

    #[test]
    fn a_full_disk_leaves_no_room_whatever_the_share() {
        let plan = Plan {
            most_bytes: 10_000,
            keep_free_bytes: 100,
            ..Plan::default()
        };
        assert_eq!(plan.left(Room { kept: 0, free: 90 }), 0);
        assert_eq!(plan.taken(Room { kept: 0, free: 90 }), 100);
        assert_eq!(
            plan.taken(Room {
                kept: 2500,
                free: 99_999
            }),
            25
        );
    }
}
