//! The two clocks of the machine.

use std::time::Duration;

use records::{Clock, SystemClock, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// Both clocks of the machine at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What the machine believes the time to be; anybody with the right may set it.
    pub wall: Timestamp,
    /// Time since the machine started; nobody sets or slews it.
    pub steady: Duration,
}

impl Reading {
    /// Time that passed since `earlier`, by the clock that nobody sets; zero when it lies later.
    pub fn since(&self, earlier: &Self) -> Duration {
        self.steady.saturating_sub(earlier.steady)
    }

    /// How far the wall clock ran ahead (or behind) of the steady one since `earlier`, in microseconds.
    pub fn ran_ahead_us(&self, earlier: &Self) -> i64 {
        let wall = self.wall.as_micros().saturating_sub(earlier.wall.as_micros());
        let steady = micros(self.steady).saturating_sub(micros(earlier.steady));
        wall.saturating_sub(steady)
    }

    /// The wall clock corrected by `offset_us`.
    pub fn corrected(&self, offset_us: i64) -> Timestamp {
        Timestamp::from_micros(self.wall.as_micros().saturating_add(offset_us))
    }
}

/// Whole microseconds, saturating.
pub(crate) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// Where readings come from; tests move theirs.
pub trait Clocks: Send + Sync + 'static {
    /// Both clocks now.
    fn read(&self) -> Reading;
}

/// The clocks of the operating system. The steady one is `CLOCK_MONOTONIC_RAW`: the others follow the corrections of
/// whoever disciplines the machine's clock, and could not tell a slew from the passing of time. It stands still while
/// a machine sleeps; waking up then shows as a step, which asks for a new measurement.
#[derive(Debug, Clone, Copy, Default)]
pub struct MachineClocks;

impl Clocks for MachineClocks {
    fn read(&self) -> Reading {
        // Two clocks cannot be read at once: the wall clock is read between two readings of the other, again when the
        // process lost its place in between.
        let mut reading = once();
        for _ in 0..4 {
            if reading.1 < Duration::from_micros(50) {
                break;
            }
            let again = once();
            if again.1 < reading.1 {
                reading = again;
            }
        }
        reading.0
    }
}

fn once() -> (Reading, Duration) {
    let before = steady();
    let wall = SystemClock.now();
    let width = steady().saturating_sub(before);
    let steady = before.saturating_add(width / 2);
    (Reading { wall, steady }, width)
}

fn steady() -> Duration {
    let now = clock_gettime(ClockId::MonotonicRaw);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or_default(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use records::Timestamp;

    use super::{Clocks, MachineClocks, Reading};

    #[test]
    fn the_machines_clocks_go_forward_together() {
        let first = MachineClocks.read();
        let second = MachineClocks.read();
        assert!(second.steady >= first.steady);
        assert!(
            second.ran_ahead_us(&first).abs() < 50_000,
            "{:?}",
            second.ran_ahead_us(&first)
        );
    }

    #[test]
    fn a_clock_set_back_runs_behind() {
        let at = |wall, steady| Reading {
            wall: Timestamp::from_seconds(wall),
            steady: Duration::from_secs(steady),
        };
        assert_eq!(at(1_060, 70).ran_ahead_us(&at(1_000, 10)), 0);
        assert_eq!(at(1_000, 70).ran_ahead_us(&at(1_000, 10)), -60_000_000);
        assert_eq!(at(1_000, 70).since(&at(0, 80)), Duration::ZERO);
    }
}
