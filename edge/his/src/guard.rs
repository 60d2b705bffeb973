//! Protection of a hospital's system: requests at a time, requests per second, a bounded queue, and a breaker that
//! probes with one request before it lets the others through.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use records::{Clock, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::profile::Limits;

/// Why a request was turned away before it touched the hospital.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TurnedAway {
    /// The breaker is open.
    #[error("breaker open for {after_ms} ms")]
    Open {
        /// Until the next probe.
        after_ms: u64,
    },
    /// More requests per second than the safety threshold.
    #[error("safety threshold of requests per second reached")]
    Threshold,
    /// The waiting line is full.
    #[error("waiting line is full")]
    Queue,
}

impl TurnedAway {
    /// When it is sensible to ask again.
    pub const fn after_ms(self) -> u64 {
        match self {
            Self::Open { after_ms } => after_ms,
            Self::Threshold => 1_000,
            Self::Queue => 2_000,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breaker {
    Closed { failures: u32 },
    Open { until: Timestamp, pause_ms: u64 },
    HalfOpen { pause_ms: u64 },
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    second: i64,
    in_second: u32,
    mean_ms: u64,
}

/// Protection of one endpoint.
pub struct Guard {
    limits: Limits,
    clock: Arc<dyn Clock>,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    state: Mutex<State>,
}

/// Leave to make one request. Dropped without [`Leave::finish`], it counts neither as success nor as failure.
pub struct Leave<'g> {
    guard: &'g Guard,
    _place: OwnedSemaphorePermit,
    since: Timestamp,
    open: bool,
}

impl Guard {
    /// A guard with these limits.
    pub fn new(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limits.concurrency.max(1))),
            state: Mutex::new(State {
                breaker: Breaker::Closed { failures: 0 },
                second: 0,
                in_second: 0,
                mean_ms: 0,
            }),
            waiting: AtomicUsize::new(0),
            limits,
            clock,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// [`TurnedAway`] when the hospital must not be asked now.
    pub async fn enter(&self) -> Result<Leave<'_>, TurnedAway> {
        self.closed_or_probe(false)?;
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= self.limits.queue + self.limits.concurrency {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(TurnedAway::Queue);
        }
        let waited = Waiting(&self.waiting);
        let place = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(|_| TurnedAway::Queue)?;
        self.closed_or_probe(true)?;
        std::mem::forget(waited);
        Ok(Leave {
            guard: self,
            _place: place,
            since: self.clock.now(),
            open: true,
        })
    }

    /// Looks at the breaker; with `take`, also counts the request and takes the probe.
    fn closed_or_probe(&self, take: bool) -> Result<(), TurnedAway> {
        let now = self.clock.now();
        let mut state = self.state();
        match state.breaker {
            Breaker::Closed { .. } => {}
            Breaker::Open { until, .. } if now < until => {
                return Err(TurnedAway::Open {
                    after_ms: millis(until.since(now)).max(1),
                });
            }
            Breaker::Open { pause_ms, .. } if take => state.breaker = Breaker::HalfOpen { pause_ms },
            Breaker::Open { .. } => {}
            Breaker::HalfOpen { .. } => return Err(TurnedAway::Open { after_ms: 500 }),
        }
        let second = now.as_seconds();
        if state.second != second {
            state.second = second;
            state.in_second = 0;
        }
        if state.in_second >= self.limits.per_second {
            if take && let Breaker::HalfOpen { pause_ms } = state.breaker {
                state.breaker = Breaker::Open { until: now, pause_ms };
            }
            return Err(TurnedAway::Threshold);
        }
        state.in_second += u32::from(take);
        Ok(())
    }

    fn finished(&self, well: bool, took: Duration) {
        let now = self.clock.now();
        let mut state = self.state();
        state.mean_ms = (state.mean_ms * 3 + millis(took)) / 4;
        state.breaker = match (state.breaker, well) {
            (_, true) => Breaker::Closed { failures: 0 },
            (Breaker::Closed { failures }, false) if failures + 1 < self.limits.failures => {
                Breaker::Closed { failures: failures + 1 }
            }
            (Breaker::Closed { .. }, false) => self.opened(now, self.limits.pause_ms),
            (Breaker::HalfOpen { pause_ms }, false) => {
                self.opened(now, (pause_ms * 2).min(self.limits.pause_ms.saturating_mul(8)))
            }
            (open @ Breaker::Open { .. }, false) => open,
        };
    }

    const fn opened(&self, now: Timestamp, pause_ms: u64) -> Breaker {
        let micros = now.as_micros().saturating_add_unsigned(pause_ms.saturating_mul(1000));
        Breaker::Open {
            until: Timestamp::from_micros(micros),
            pause_ms,
        }
    }

    /// `ok`, `slow`, `open` or `half_open`.
    pub fn word(&self) -> &'static str {
        let state = self.state();
        match state.breaker {
            Breaker::Open { .. } => "open",
            Breaker::HalfOpen { .. } => "half_open",
            Breaker::Closed { .. } if state.mean_ms > self.limits.slow_ms => "slow",
            Breaker::Closed { .. } => "ok",
        }
    }

    /// Mean time of an answer lately.
    pub fn mean_ms(&self) -> u64 {
        self.state().mean_ms
    }

    /// Requests that wait or are being made.
    pub fn busy(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }
}

impl Leave<'_> {
    /// Says how it went: `well` is any readable answer, also a refusal.
    pub fn finish(mut self, well: bool) {
        self.open = false;
        self.guard.finished(well, self.guard.clock.now().since(self.since));
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.guard.waiting.fetch_sub(1, Ordering::AcqRel);
        if self.open {
            let now = self.guard.clock.now();
            let mut state = self.guard.state();
            if let Breaker::HalfOpen { pause_ms } = state.breaker {
                state.breaker = Breaker::Open { until: now, pause_ms };
            }
        }
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::ManualClock;

    fn guard(limits: Limits) -> (Arc<ManualClock>, Guard) {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1000)));
        (clock.clone(), Guard::new(limits, clock))
    }

    #[tokio::test]
    async fn a_failing_hospital_is_left_alone_and_probed_by_one_request() {
        let (clock, g) = guard(Limits {
            failures: 2,
            pause_ms: 1000,
            ..Limits::default()
        });
        for _ in 0..2 {
            g.enter().await.unwrap().finish(false);
        }
        assert_eq!(g.enter().await.err(), Some(TurnedAway::Open { after_ms: 1000 }));
        assert_eq!(g.word(), "open");
        clock.advance(Duration::from_secs(1));
        let probe = g.enter().await.unwrap();
        assert_eq!(g.word(), "half_open");
        assert_eq!(g.enter().await.err(), Some(TurnedAway::Open { after_ms: 500 }));
        probe.finish(false);
        assert_eq!(g.enter().await.err(), Some(TurnedAway::Open { after_ms: 2000 }));
        clock.advance(Duration::from_secs(2));
        g.enter().await.unwrap().finish(true);
        assert_eq!((g.word(), g.busy()), ("ok", 0));
    }

    #[tokio::test]
    async fn a_probe_that_is_dropped_does_not_close_the_door_for_good() {
        let (clock, g) = guard(Limits {
            failures: 1,
            pause_ms: 1000,
            ..Limits::default()
        });
        g.enter().await.unwrap().finish(false);
        clock.advance(Duration::from_secs(1));
        drop(g.enter().await.unwrap());
        g.enter().await.unwrap().finish(true);
        assert_eq!(g.word(), "ok");
    }

    /// Rows: HZ-029, HZ-030
    #[tokio::test]
    async fn requests_beyond_the_safety_threshold_are_turned_away_before_the_hospital() {
        let (clock, g) = guard(Limits {
            per_second: 3,
            ..Limits::default()
        });
        for _ in 0..3 {
            g.enter().await.unwrap().finish(true);
        }
        assert_eq!(g.enter().await.err(), Some(TurnedAway::Threshold));
        clock.advance(Duration::from_secs(1));
        assert!(g.enter().await.is_ok());
    }

    #[tokio::test]
    async fn the_waiting_line_is_bounded() {
        let (_, g) = guard(Limits {
            concurrency: 1,
            queue: 1,
            ..Limits::default()
        });
        let first = g.enter().await.unwrap();
        let second = g.enter();
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        assert_eq!(g.enter().await.err(), Some(TurnedAway::Queue));
        drop(first);
        assert!(second.await.is_ok());
    }
}
