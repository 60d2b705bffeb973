//! How much of a log may be on its way, so that a backlog fills the line but not the queues of routers, where it would
//! delay the calls beside it.
//!
//! Looks at the time a batch spends on the line (from sending to acknowledgement, less what the receiver held it for
//! its commit). More than [`TARGET`] above the shortest seen means that it waited in a queue: the window shrinks;
//! otherwise it grows. The shortest time is measured anew every minute with a small window, because lines change.

use std::time::Duration;

const FLOOR: u64 = 32 * 1024;
const STEP: f64 = 16.0 * 1024.0;
const TARGET: Duration = Duration::from_millis(25);
const MEMORY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Pace {
    window: f64,
    /// Grows by everything acknowledged until a queue was seen once.
    starting: bool,
    shortest: Duration,
    measured_at: Option<Duration>,
}

impl Pace {
    pub(crate) const fn new() -> Self {
        Self {
            window: 65_536.0,
            starting: true,
            shortest: Duration::MAX,
            measured_at: None,
        }
    }

    /// A batch of so many bytes was acknowledged after `took` on the line.
    pub(crate) fn acknowledged(&mut self, bytes: u64, took: Duration, now: Duration, credit: u64) {
        let measured = *self.measured_at.get_or_insert(now);
        if now.saturating_sub(measured) > MEMORY {
            (self.measured_at, self.shortest, self.window) = (Some(now), Duration::MAX, FLOOR as f64);
        }
        self.shortest = self.shortest.min(took);
        let queued = took.saturating_sub(self.shortest);
        if queued <= TARGET {
            let share = if self.starting { 1.0 } else { STEP / self.window };
            self.window += bytes as f64 * share;
        } else {
            self.starting = false;
            let excess = (queued - TARGET).as_secs_f64() / TARGET.as_secs_f64();
            self.window -= bytes as f64 * excess.min(1.0) / 2.0;
        }
        self.window = self.window.clamp(FLOOR as f64, (credit.max(FLOOR)) as f64);
    }

    /// Bytes that may be unacknowledged, within what the receiver allows.
    pub(crate) fn window(&self, credit: u64) -> u64 {
        (self.window as u64).min(credit)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Sends all it may over a line of this rate and delay; answers the largest window of the second half.
    fn settle(bytes_per_second: f64, delay_ms: u64) -> u64 {
        const BATCH: u64 = 16 * 1024;
        let (mut pace, mut flying) = (Pace::new(), VecDeque::new());
        let (mut now, mut line_free) = (Duration::ZERO, Duration::ZERO);
        let mut largest = 0;
        for round in 0..20_000 {
            while flying.len() as u64 * BATCH < pace.window(1 << 20) {
                line_free = line_free.max(now) + Duration::from_secs_f64(BATCH as f64 / bytes_per_second);
                flying.push_back((line_free + Duration::from_millis(delay_ms), now));
            }
            let Some((arrives, sent)) = flying.pop_front() else {
                break;
            };
            now = arrives;
            pace.acknowledged(BATCH, now - sent, now, 1 << 20);
            if round > 10_000 {
                largest = largest.max(pace.window(1 << 20));
            }
        }
        largest
    }

    #[test]
    fn a_backlog_fills_a_narrow_line_but_not_the_queues_before_it() {
        // 10 Mbit/s and 30 ms hold 37 kB; a queue of 25 ms holds 31 kB; a batch on its way is 16 kB.
        let narrow = settle(1_250_000.0, 30);
        assert!((60_000..=130_000).contains(&narrow), "{narrow}");
    }

    #[test]
    fn a_wide_line_is_used() {
        // 400 Mbit/s and 20 ms hold 1 MB.
        assert!(settle(50_000_000.0, 20) > 1_000_000);
    }
}
