//! The journal of everything that changes something in the hospital. A row is written before the hospital is touched,
//! keyed by the caller's idempotency key; a repeat is answered from it, and nothing is ever repeated blindly.
//!
//! ```text
//! queued ──▶ sending ──▶ done │ refused
//!              │  ├─▶ waiting (did not happen; sent again when due)
//!              │  └─▶ unknown ──query──▶ done │ refused │ waiting (proved absent) │ needs_hand
//!              └─ a row found here at start-up was cut off: unknown
//! ```
//!
//! Invariants: a row in `sending` is owned by one task; a settled row (`done`, `refused`) never changes; the result of
//! a command goes to the outbox in the unit that settles its row; commands of one subject run in order of arrival.

mod entry;
mod history;
mod rows;
mod trail;

use std::str::FromStr;
use std::time::Duration;

use records::{Outcome, Timestamp};
use serde_json::Value;

use crate::exchange::{Answer, Settled};
use crate::profile::{Class, OperationProfile, Retry};

pub use entry::Entry;
pub use history::{of_subject, since};
pub use rows::{Accepted, accept, by_key, due, latest, open_commands, recover, write_step};
pub(crate) use rows::{MIGRATIONS, begin};
pub use trail::{Trail, trail};

/// Where a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Not yet sent.
    Queued,
    /// Under way.
    Sending,
    /// Did not happen; will be sent again.
    Waiting,
    /// May have happened; being asked about.
    Unknown,
    /// Happened.
    Done,
    /// Refused; did not happen.
    Refused,
    /// Could not be found out or delivered in time; a person has to look.
    NeedsHand,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Sending,
        Self::Waiting,
        Self::Unknown,
        Self::Done,
        Self::Refused,
        Self::NeedsHand,
    ];

    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Waiting => "waiting",
            Self::Unknown => "unknown",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::NeedsHand => "needs_hand",
        }
    }

    /// Whether nothing more will happen to the row by itself.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Done | Self::Refused)
    }
}

impl FromStr for State {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| format!("no journal state {text}"))
    }
}

/// Who wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A call: somebody waits for the answer now, so nothing is sent later by itself.
    Call,
    /// A command: must happen.
    Command,
}

impl Origin {
    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Command => "command",
        }
    }
}

impl FromStr for Origin {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Call, Self::Command]
            .into_iter()
            .find(|o| o.as_str() == text)
            .ok_or_else(|| format!("no origin {text}"))
    }
}

store::text_value!(State, Origin);

/// What a row remembers between steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Where it stands.
    pub state: State,
    /// Distinguishes a proven new effect from the same one sent again.
    pub generation: u32,
    /// Times the hospital may have been touched.
    pub sent: u32,
    /// Steps since the last good news, for the pauses.
    pub attempts: u32,
    /// When it must be looked at next.
    pub next_at: Timestamp,
    /// When it came.
    pub created_at: Timestamp,
    /// Since when its outcome is unknown.
    pub unknown_since: Option<Timestamp>,
    /// What the hospital answered before it was confirmed by the query.
    pub claimed: Option<Outcome<Value>>,
    /// The outcome, once settled.
    pub outcome: Option<Outcome<Value>>,
    /// Words for the operator about the last step.
    pub reason: String,
}

/// A command that does not fit the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is not possible in state {}", command, state.as_str())]
pub struct Refusal {
    /// The state.
    pub state: State,
    /// The command.
    pub command: &'static str,
}

impl Work {
    /// A new row.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            state: State::Queued,
            generation: 1,
            sent: 0,
            attempts: 0,
            next_at: now,
            created_at: now,
            unknown_since: None,
            claimed: None,
            outcome: None,
            reason: String::new(),
        }
    }

    fn refuse<T>(&self, command: &'static str) -> Result<T, Refusal> {
        Err(Refusal {
            state: self.state,
            command,
        })
    }

    /// The hospital is about to be touched.
    ///
    /// # Errors
    /// Unless queued or waiting.
    pub fn send(mut self, now: Timestamp) -> Result<Self, Refusal> {
        if !matches!(self.state, State::Queued | State::Waiting) {
            return self.refuse("send");
        }
        self.state = State::Sending;
        self.sent += 1;
        self.attempts += 1;
        self.next_at = now;
        Ok(self)
    }

    /// The exchange ended.
    ///
    /// # Errors
    /// Unless sending.
    pub fn answered(self, answer: Answer, rules: &Rules, now: Timestamp) -> Result<Self, Refusal> {
        if self.state != State::Sending {
            return self.refuse("answer");
        }
        Ok(match answer {
            Answer::Done(value) if rules.verify => {
                self.doubtful(Some(Outcome::Done(value)), "to be confirmed", rules, now)
            }
            Answer::Done(value) => self.settle(Outcome::Done(value)),
            // An earlier try may be what the hospital now calls a repeat.
            Answer::Refused { code, text } if self.sent > 1 && rules.can_ask => self.doubtful(
                Some(Outcome::Refused { code, text }),
                "refused after an earlier try",
                rules,
                now,
            ),
            Answer::Refused { code, text } => self.settle(Outcome::Refused { code, text }),
            Answer::NotDone { after_ms, why } => self.wait(Duration::from_millis(after_ms), why, rules, now),
            Answer::Unclear { why } => self.doubtful(None, &why, rules, now),
        })
    }

    /// The query ended.
    ///
    /// # Errors
    /// Unless unknown.
    pub fn asked(mut self, found: Settled, rules: &Rules, now: Timestamp) -> Result<Self, Refusal> {
        if self.state != State::Unknown {
            return self.refuse("settle");
        }
        self.attempts += 1;
        Ok(match (found, self.claimed.take()) {
            (Settled::Done(_), Some(Outcome::Done(claimed))) => self.settle(Outcome::Done(claimed)),
            (Settled::Done(value), _) => self.settle(Outcome::Done(value)),
            (Settled::Refused { code, text }, _) => self.settle(Outcome::Refused { code, text }),
            (Settled::Absent, Some(Outcome::Refused { code, text })) => self.settle(Outcome::Refused { code, text }),
            (Settled::Absent, _) if self.generation > rules.retry.resends => {
                self.give_up("the hospital takes it and does not keep it")
            }
            (Settled::Absent, _) => {
                self.generation += 1;
                self.unknown_since = None;
                self.wait(Duration::ZERO, "proved absent".to_owned(), rules, now)
            }
            (Settled::Unclear { why }, claimed) => {
                self.claimed = claimed;
                self.still_unknown(why, rules, now)
            }
        })
    }

    /// The process that was sending is gone.
    ///
    /// # Errors
    /// Unless sending.
    pub fn cut_off(self, rules: &Rules, now: Timestamp) -> Result<Self, Refusal> {
        if self.state != State::Sending {
            return self.refuse("cut off");
        }
        let mut next = self.doubtful(None, "cut off while sending", rules, now);
        next.next_at = now;
        Ok(next)
    }

    /// A person has it tried again; the query comes first where there is one.
    ///
    /// # Errors
    /// Unless it needs a hand.
    pub fn retry(mut self, rules: &Rules, now: Timestamp) -> Result<Self, Refusal> {
        if self.state != State::NeedsHand {
            return self.refuse("retry");
        }
        self.attempts = 0;
        self.generation = 1;
        self.created_at = now;
        self.state = if rules.can_ask && self.sent > 0 {
            State::Unknown
        } else {
            State::Waiting
        };
        self.unknown_since = (self.state == State::Unknown).then_some(now);
        self.next_at = now;
        self.reason = "tried again by hand".to_owned();
        Ok(self)
    }

    /// A person has found out.
    ///
    /// # Errors
    /// When it is settled already or under way.
    pub fn settle_by_hand(self, outcome: Outcome<Value>) -> Result<Self, Refusal> {
        if self.state != State::NeedsHand {
            return self.refuse("settle by hand");
        }
        Ok(self.settle(outcome))
    }

    fn settle(mut self, outcome: Outcome<Value>) -> Self {
        self.state = if matches!(outcome, Outcome::Done(_)) {
            State::Done
        } else {
            State::Refused
        };
        self.outcome = Some(outcome);
        self.claimed = None;
        self.reason.clear();
        self
    }

    fn wait(mut self, at_least: Duration, why: String, rules: &Rules, now: Timestamp) -> Self {
        if now.since(self.created_at) >= Duration::from_secs(rules.retry.undelivered_s) {
            return self.give_up(&format!("not delivered in time: {why}"));
        }
        self.state = State::Waiting;
        self.next_at = now.plus(self.pause(rules).max(at_least));
        self.reason = why;
        self
    }

    fn doubtful(mut self, claimed: Option<Outcome<Value>>, why: &str, rules: &Rules, now: Timestamp) -> Self {
        self.claimed = claimed;
        self.reason = why.to_owned();
        let since = *self.unknown_since.get_or_insert(now);
        if rules.can_ask {
            self.state = State::Unknown;
            self.next_at = now;
            return self;
        }
        // Nobody to ask: the class allows sending the same again, with the same key.
        if now.since(since) >= Duration::from_secs(rules.retry.unknown_s) {
            return self.give_up(&format!("outcome not found out in time: {why}"));
        }
        let why = why.to_owned();
        self.wait(Duration::ZERO, why, rules, now)
    }

    fn still_unknown(mut self, why: String, rules: &Rules, now: Timestamp) -> Self {
        let since = *self.unknown_since.get_or_insert(now);
        if now.since(since) >= Duration::from_secs(rules.retry.unknown_s) {
            return self.give_up(&format!("outcome not found out in time: {why}"));
        }
        self.next_at = now.plus(self.pause(rules));
        self.reason = why;
        self
    }

    fn give_up(mut self, why: &str) -> Self {
        self.state = State::NeedsHand;
        self.reason = why.to_owned();
        self
    }

    fn pause(&self, rules: &Rules) -> Duration {
        let doublings = self.attempts.saturating_sub(1).min(16);
        Duration::from_millis(
            rules
                .retry
                .first_ms
                .saturating_mul(1 << doublings)
                .min(rules.retry.cap_ms),
        )
    }
}

/// What the profile says about an operation's journal.
#[derive(Debug, Clone)]
pub struct Rules {
    /// There is a settling query.
    pub can_ask: bool,
    /// Success must be confirmed by it.
    pub verify: bool,
    /// Patience.
    pub retry: Retry,
}

impl Rules {
    /// The rules of an operation.
    pub fn of(operation: &OperationProfile, retry: &Retry) -> Self {
        debug_assert!(operation.class != Class::QueryFirst || operation.settle.is_some());
        Self {
            can_ask: operation.settle.is_some(),
            verify: operation.verify,
            retry: retry.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
