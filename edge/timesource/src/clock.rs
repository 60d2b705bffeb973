//! Whether the machine's clock may be believed, and what to add to it.

use std::collections::VecDeque;
use std::time::Duration;

use records::Timestamp;
use serde::Serialize;

use crate::policy::Policy;
use crate::reading::{Reading, micros};
use crate::sample::DRIFT_PPM;

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

/// Why a poll gave no measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Failure {
    /// No source gave a usable answer.
    NoAnswer,
    /// Fewer gave one than must agree.
    TooFew {
        /// How many did.
        answered: usize,
        /// How many must.
        needed: usize,
    },
    /// The sources contradict each other and none is in the majority.
    Disagree,
}

impl Failure {
    /// For the administrator.
    pub fn text(self) -> String {
        match self {
            Self::NoAnswer => "所有时间源都没有可用的应答".to_owned(),
            Self::TooFew { answered, needed } => {
                format!("可用时间源只有 {answered} 个，策略要求至少 {needed} 个一致")
            }
            Self::Disagree => "时间源互相矛盾，无法判断哪个正确".to_owned(),
        }
    }
}

/// Whether the clock may be believed, and why.
///
/// ```text
///               measured                 last poll failed or is overdue
/// unsynchronised ──────▶ trusted ───────────────────────────────▶ holdover
///        ▲                ▲  ▲                                       │
///        │ sources        │  └──────────── measured ────────────────┤
///        │ changed        │ measured, within bounds                  │ error beyond the bound, or too old
///        └── (any)        └───────────── untrusted ◀─────────────────┘ or the machine's clock was set
/// off: the policy says so
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Synchronisation is switched off: the machine's clock is believed as it is.
    Off,
    /// Nothing has been measured yet.
    Unsynchronised {
        /// What the last poll failed of, if there was one.
        failure: Option<Failure>,
    },
    /// Measured lately.
    Trusted(Known),
    /// Measured some time ago, and the polls since then failed or are overdue.
    Holdover(Known),
    /// Measured, but not to be believed now.
    Untrusted {
        /// Why.
        reason: Reason,
    },
}

/// What is known about the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Known {
    /// What to add to the machine's clock now, microseconds.
    pub offset_us: i64,
    /// Largest error of the corrected time now, microseconds.
    pub error_us: u64,
    /// Lowest stratum of the sources.
    pub stratum: u8,
    /// Age of the measurement in seconds.
    pub age_s: u64,
}

/// Why the clock is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// The sources say that the machine's clock is further off than may be corrected.
    OffsetTooLarge {
        /// As measured, microseconds.
        offset_us: i64,
    },
    /// Somebody set the machine's clock since the measurement.
    ClockSet {
        /// By how much, microseconds; negative is back.
        by_us: i64,
    },
    /// The error has grown beyond the bound.
    ErrorTooLarge {
        /// Microseconds.
        error_us: u64,
    },
    /// The last measurement is too old.
    TooOld {
        /// Seconds.
        age_s: u64,
    },
}

impl Reason {
    /// For the administrator and whoever was refused a signature.
    pub fn text(self) -> String {
        match self {
            Self::OffsetTooLarge { offset_us } => format!(
                "服务器时钟与时间源相差 {} 秒，超过允许的最大偏差，请先校正操作系统时间",
                seconds(offset_us)
            ),
            Self::ClockSet { by_us } => format!("服务器时钟被改动（{} 秒），正在等待重新校时", seconds(by_us)),
            Self::ErrorTooLarge { error_us } => format!(
                "时间误差可能达到 {} 秒，超过可信上限，请检查时间源",
                seconds(i64::try_from(error_us).unwrap_or(i64::MAX))
            ),
            Self::TooOld { age_s } => format!("已有 {} 分钟未能校时，超过测量有效期，请检查时间源", age_s / 60),
        }
    }
}

fn seconds(us: i64) -> String {
    let whole = us.unsigned_abs() / 1_000;
    let sign = if us < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", whole / 1_000, whole % 1_000)
}

/// The time to sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Believed {
    /// The machine's clock plus the offset. It may step back a little when a new measurement comes.
    pub at: Timestamp,
    /// Largest error in microseconds; absent while synchronisation is off, because then nobody knows.
    pub error_us: Option<u64>,
}

/// The time is not to be believed; nothing may be signed with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("服务器时间不可信：{text}")]
pub struct NotBelieved {
    /// Where it stands.
    pub state: State,
    /// For people.
    pub text: String,
}

/// A point of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Point {
    /// The machine's clock at the end of the poll.
    pub at: Timestamp,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The sources agreed.
    Measured {
        /// Microseconds.
        offset_us: i64,
        /// Microseconds.
        error_us: u64,
        /// Microseconds.
        delay_us: u64,
        /// Lowest of those that agreed.
        stratum: u8,
        /// How many agreed.
        agreeing: usize,
        /// Whether the offset lies within what may be corrected.
        accepted: bool,
    },
    /// They did not.
    Failed(Failure),
}

/// A change of the machine's clock that nobody told us of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Jump {
    /// The machine's clock after it.
    pub at: Timestamp,
    /// By how much, microseconds; negative is back.
    pub by_us: i64,
    /// Whether it came at once; otherwise little by little.
    pub step: bool,
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
