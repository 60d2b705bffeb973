//! Rate and latency of the last minutes, for the charts of the management page.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use records::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Seconds that are kept.
const KEPT: usize = 600;
/// Upper bounds of the latency classes, in microseconds; the last class is open.
const BOUNDS: [u64; 15] = [
    100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 204_800, 409_600, 819_200, 1_638_400,
];

/// What happened in one second.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Second {
    /// Seconds since 1970.
    pub at: i64,
    /// Acts answered.
    pub done: u32,
    /// Acts refused.
    pub refused: u32,
    /// Half of the acts took at most this many microseconds.
    pub p50_us: u64,
    /// 99 of 100 acts took at most this many microseconds.
    pub p99_us: u64,
}

#[derive(Debug, Clone, Default)]
struct Slot {
    at: i64,
    done: u32,
    refused: u32,
    classes: [u32; BOUNDS.len() + 1],
}

/// Counts acts.
#[derive(Debug, Default)]
pub struct Meter(Mutex<VecDeque<Slot>>);

impl Meter {
    /// Counts an act that took this long.
    pub(crate) fn count(&self, at: Timestamp, took: Duration, done: bool) {
        let at = at.as_seconds();
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.back().is_none_or(|slot| slot.at < at) {
            if slots.len() == KEPT {
                slots.pop_front();
            }
            slots.push_back(Slot { at, ..Slot::default() });
        }
        // Acts that began in the second before are counted where the newest is.
        if let Some(slot) = slots.back_mut() {
            *(if done { &mut slot.done } else { &mut slot.refused }) += 1;
            if let Some(class) = slot.classes.get_mut(class) {
                *class += 1;
            }
        }
    }

    /// The seconds after `after` in which something happened, oldest first.
    #[must_use]
    pub fn seconds(&self, after: i64) -> Vec<Second> {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.iter().filter(|slot| slot.at > after).map(Slot::second).collect()
    }
}

impl Slot {
    fn second(&self) -> Second {
        Second {
            at: self.at,
            done: self.done,
            refused: self.refused,
            p50_us: self.quantile(50),
            p99_us: self.quantile(99),
        }
    }

    fn quantile(&self, percent: u64) -> u64 {
        let all: u64 = self.classes.iter().map(|count| u64::from(*count)).sum();
        let wanted = (all * percent).div_ceil(100);
        let mut seen = 0;
        for (count, bound) in self.classes.iter().zip(BOUNDS) {
            seen += u64::from(*count);
            if seen >= wanted {
                return bound;
            }
        }
        BOUNDS.last().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_hold_what_happened_in_them() {
        let meter = Meter::default();
        let at = Timestamp::from_seconds;
        for _ in 0..98 {
            meter.count(at(1_800_000_000), Duration::from_micros(90), true);
        }
        meter.count(at(1_800_000_000), Duration::from_millis(3), false);
        meter.count(at(1_800_000_000), Duration::from_secs(100), true);
        meter.count(at(1_800_000_005), Duration::from_micros(1), true);
        let seconds = meter.seconds(0);
        assert_eq!(seconds.len(), 2);
        assert_eq!((seconds[0].done, seconds[0].refused), (99, 1));
        assert_eq!((seconds[0].p50_us, seconds[0].p99_us), (100, 3_200));
        assert_eq!(meter.seconds(1_800_000_000).len(), 1);
        for second in 0..2 * KEPT as i64 {
            meter.count(at(1_800_001_000 + second), Duration::ZERO, true);
        }
        assert_eq!(meter.seconds(0).len(), KEPT);
    }
}
