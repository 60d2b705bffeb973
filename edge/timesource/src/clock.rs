//! Whether the machine's clock may be believed, and what to add to it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::policy::Policy;
use crate::reading::{Reading, micros};
use crate::sample::DRIFT_PPM;
use crate::state::{Believed, Failure, Jump, Known, NotBelieved, Outcome, Point, Reason, State};

/// Points kept for the graph: two weeks at five minutes.
const HISTORY: usize = 4_096;

/// Jumps of the machine's clock kept for the page.
const JUMPS: usize = 64;

/// The wall clock leaves the steady one by more than this within a second or so: somebody set it. Microseconds.
const STEP_US: u64 = 20_000;

/// It has left it by more than this beyond the assumed drift since the measurement: somebody slews it. Microseconds.
const SLEW_US: u64 = 100_000;

/// What the sources said together at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measurement {
    /// When.
    pub at: Reading,
    /// What to add to the machine's clock, microseconds.
    pub offset_us: i64,
    /// Largest error of the offset, microseconds.
    pub error_us: u64,
    /// Shortest round trip among the sources that agreed, microseconds.
    pub delay_us: u64,
    /// Lowest stratum among them.
    pub stratum: u8,
    /// How many agreed.
    pub agreeing: usize,
}

/// Whether the machine's clock may be believed, and what to add to it.
///
/// `signd` does not set the machine's clock: the operating system does (or does not). The time to sign with is the
/// machine's clock plus the measured offset. Between measurements the offset follows what the steady clock says: when
/// somebody sets or slews the wall clock, the difference is taken out of the offset again, so that the corrected time
/// runs on. Since a machine that was moved or stopped can also deceive the steady clock, the error covers what either of
/// them says: it grows by [`DRIFT_PPM`] from measurement to measurement, or by that difference where it is greater. A
/// change beyond the bound therefore ends the trust until the next measurement.
///
/// All methods are pure in time: readings come in.
#[derive(Debug)]
pub struct TrustedClock {
    policy: Policy,
    anchor: Option<Measurement>,
    /// The last poll, when it gave nothing.
    failure: Option<Failure>,
    last_seen: Option<Reading>,
    /// A slew is told once per measurement.
    slew_told: bool,
    history: VecDeque<Point>,
    jumps: VecDeque<Jump>,
}

impl TrustedClock {
    /// Begins unsynchronised (or off).
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            anchor: None,
            failure: None,
            last_seen: None,
            slew_told: false,
            history: VecDeque::new(),
            jumps: VecDeque::new(),
        }
    }

    /// The policy in force.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Changes the policy. What other sources said, or the same without protection, is forgotten.
    pub fn set_policy(&mut self, policy: Policy) {
        let same = policy.enabled == self.policy.enabled
            && policy.sources == self.policy.sources
            && policy.nts_ca_pem == self.policy.nts_ca_pem;
        if !same {
            self.anchor = None;
            self.failure = None;
        }
        self.policy = policy;
    }

    /// Takes what a poll gave.
    pub fn polled(&mut self, at: Reading, result: Result<Measurement, Failure>) {
        let outcome = match result {
            Ok(measured) => {
                self.anchor = Some(measured);
                self.failure = None;
                self.slew_told = false;
                Outcome::Measured {
                    offset_us: measured.offset_us,
                    error_us: measured.error_us,
                    delay_us: measured.delay_us,
                    stratum: measured.stratum,
                    agreeing: measured.agreeing,
                    accepted: self.correctable(measured.offset_us),
                }
            }
            Err(failure) => {
                self.failure = Some(failure);
                Outcome::Failed(failure)
            }
        };
        push(&mut self.history, HISTORY, Point { at: at.wall, outcome });
    }

    /// Looks whether the machine's clock was set since the last look; to be called every second or so. A jump asks for
    /// a new measurement.
    pub fn notice(&mut self, now: Reading) -> Option<Jump> {
        let last = self.last_seen.replace(now)?;
        let by_us = now.ran_ahead_us(&last);
        let jump = if by_us.unsigned_abs() > STEP_US + drift_us(now.since(&last)) {
            Jump {
                at: now.wall,
                by_us,
                step: true,
            }
        } else {
            let anchor = self.anchor.filter(|_| !self.slew_told)?;
            let by_us = now.ran_ahead_us(&anchor.at);
            if by_us.unsigned_abs() <= SLEW_US + drift_us(now.since(&anchor.at)) {
                return None;
            }
            Jump {
                at: now.wall,
                by_us,
                step: false,
            }
        };
        // After a step, the distance from the measurement is explained.
        self.slew_told = true;
        push(&mut self.jumps, JUMPS, jump);
        Some(jump)
    }

    /// Where the clock stands.
    pub fn state(&self, now: Reading) -> State {
        if !self.policy.enabled {
            return State::Off;
        }
        let Some(anchor) = self.anchor else {
            return State::Unsynchronised { failure: self.failure };
        };
        let age = now.since(&anchor.at);
        let moved_us = now.ran_ahead_us(&anchor.at);
        let offset_us = anchor.offset_us.saturating_sub(moved_us);
        let error_us = anchor
            .error_us
            .saturating_add(drift_us(age).max(moved_us.unsigned_abs()));
        let untrusted = |reason| State::Untrusted { reason };
        if moved_us.unsigned_abs() > self.policy.bound_us() {
            return untrusted(Reason::ClockSet { by_us: moved_us });
        }
        if !self.correctable(offset_us) {
            return untrusted(Reason::OffsetTooLarge { offset_us });
        }
        if age.as_secs() > self.policy.good_for_s.into() {
            return untrusted(Reason::TooOld { age_s: age.as_secs() });
        }
        if error_us > self.policy.bound_us() {
            return untrusted(Reason::ErrorTooLarge { error_us });
        }
        let known = Known {
            offset_us,
            error_us,
            stratum: anchor.stratum,
            age_s: age.as_secs(),
        };
        // A poll comes at most a tenth late; a minute is left for its answers.
        let expected = self.policy.schedule.longest().mul_f64(1.1) + Duration::from_secs(60);
        if self.failure.is_some() || age > expected {
            State::Holdover(known)
        } else {
            State::Trusted(known)
        }
    }

    /// The time to sign with.
    ///
    /// # Errors
    /// When it is not to be believed.
    pub fn believed(&self, now: Reading) -> Result<Believed, NotBelieved> {
        let state = self.state(now);
        let text = match state {
            State::Off => {
                return Ok(Believed {
                    at: now.wall,
                    error_us: None,
                });
            }
            State::Trusted(known) | State::Holdover(known) => {
                return Ok(Believed {
                    at: now.corrected(known.offset_us),
                    error_us: Some(known.error_us),
                });
            }
            State::Unsynchronised { failure: None } => "尚未完成首次校时，请稍候".to_owned(),
            State::Unsynchronised { failure: Some(failure) } => failure.text(),
            State::Untrusted { reason } => reason.text(),
        };
        Err(NotBelieved { state, text })
    }

    /// Polls, oldest first.
    pub fn history(&self) -> impl Iterator<Item = &Point> {
        self.history.iter()
    }

    /// Jumps of the machine's clock, oldest first.
    pub fn jumps(&self) -> impl Iterator<Item = &Jump> {
        self.jumps.iter()
    }

    const fn correctable(&self, offset_us: i64) -> bool {
        offset_us.unsigned_abs() <= self.policy.largest_offset_ms as u64 * 1_000
    }
}

/// What a clock may drift in this time, microseconds.
pub(crate) fn drift_us(age: Duration) -> u64 {
    micros(age).unsigned_abs().saturating_mul(DRIFT_PPM) / 1_000_000
}

fn push<T>(ring: &mut VecDeque<T>, most: usize, item: T) {
    if ring.len() == most {
        ring.pop_front();
    }
    ring.push_back(item);
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
