//! One appliance and its states.

use std::fmt;
use std::str::FromStr;

use records::id::EdgeId;
use records::{Actor, TenantId, Timestamp};

/// Where an appliance is in its life (前置机).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Made, in a box; nobody's.
    Manufactured,
    /// A hospital has claimed it by the code on its label.
    Claimed(TenantId),
    /// It has proved itself and holds a certificate.
    Attested(TenantId),
    /// It has connected.
    Active(TenantId),
    /// Kept out for the time being.
    Suspended(TenantId),
    /// Kept out for ever.
    Revoked(Option<TenantId>),
}

impl State {
    /// Name in the database and in answers.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Manufactured => "manufactured",
            Self::Claimed(_) => "claimed",
            Self::Attested(_) => "attested",
            Self::Active(_) => "active",
            Self::Suspended(_) => "suspended",
            Self::Revoked(_) => "revoked",
        }
    }

    /// The hospital it serves.
    #[must_use]
    pub fn hospital(&self) -> Option<&TenantId> {
        match self {
            Self::Manufactured => None,
            Self::Claimed(h) | Self::Attested(h) | Self::Active(h) | Self::Suspended(h) => Some(h),
            Self::Revoked(h) => h.as_ref(),
        }
    }

    pub(crate) fn read(name: &str, hospital: Option<TenantId>) -> Option<Self> {
        Some(match (name, hospital) {
            ("manufactured", None) => Self::Manufactured,
            ("claimed", Some(h)) => Self::Claimed(h),
            ("attested", Some(h)) => Self::Attested(h),
            ("active", Some(h)) => Self::Active(h),
            ("suspended", Some(h)) => Self::Suspended(h),
            ("revoked", h) => Self::Revoked(h),
            _ => return None,
        })
    }
}

/// What may happen to an appliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A hospital claims it.
    Claim,
    /// It proves itself and gets a certificate.
    Attest,
    /// It connects with its certificate.
    Connect,
    /// It is kept out for the time being.
    Suspend,
    /// It is let in again.
    Resume,
    /// It is kept out for ever.
    Revoke,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claim => "claim",
            Self::Attest => "attest",
            Self::Connect => "connect",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Revoke => "revoke",
        })
    }
}

impl FromStr for Step {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [
            Self::Claim,
            Self::Attest,
            Self::Connect,
            Self::Suspend,
            Self::Resume,
            Self::Revoke,
        ]
        .into_iter()
        .find(|step| step.to_string() == text)
        .ok_or(())
    }
}

/// A step the state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an appliance that is {state} cannot {step}")]
pub struct Refusal {
    /// Name of the state.
    pub state: &'static str,
    /// The step.
    pub step: Step,
}

/// A step that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which.
    pub step: Step,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
}

/// An appliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appliance {
    /// Serial number on its label.
    pub serial: String,
    /// Its id on the line.
    pub edge_id: EdgeId,
    /// Where it is in its life.
    pub state: State,
}

type Stepped = Result<(Appliance, Event), Refusal>;

impl Appliance {
    fn step(self, step: Step, at: Timestamp, by: Actor, next: impl FnOnce(State) -> Option<State>) -> Stepped {
        let refusal = Refusal {
            state: self.state.name(),
            step,
        };
        let state = next(self.state).ok_or(refusal)?;
        Ok((Self { state, ..self }, Event { step, at, by }))
    }

    /// A hospital claims it; the same hospital may say so twice.
    pub fn claim(self, hospital: TenantId, at: Timestamp, by: Actor) -> Stepped {
        self.step(Step::Claim, at, by, |state| match state {
            State::Manufactured => Some(State::Claimed(hospital)),
            State::Claimed(h) if h == hospital => Some(State::Claimed(h)),
            _ => None,
        })
    }

    /// It has proved itself; also each time it renews its certificate.
    pub fn attest(self, at: Timestamp, by: Actor) -> Stepped {
        self.step(Step::Attest, at, by, |state| match state {
            State::Claimed(h) | State::Attested(h) => Some(State::Attested(h)),
            State::Active(h) => Some(State::Active(h)),
            _ => None,
        })
    }

    /// It connects.
    pub fn connect(self, at: Timestamp, by: Actor) -> Stepped {
        self.step(Step::Connect, at, by, |state| match state {
            State::Attested(h) | State::Active(h) => Some(State::Active(h)),
            _ => None,
        })
    }

    /// It is kept out for the time being.
    pub fn suspend(self, at: Timestamp, by: Actor) -> Stepped {
        self.step(Step::Suspend, at, by, |state| match state {
            State::Attested(h) | State::Active(h) => Some(State::Suspended(h)),
            _ => None,
        })
    }

    /// It is let in again.
    pub fn resume(self, at: Timestamp, by: Actor) -> Stepped {
        self.step(Step::Resume, at, by, |state| match state {
            State::Suspended(h) => Some(State::Active(h)),
            _ => None,
        })
    }

    /// It is kept out for ever.
    pub fn revoke(self, at: Timestamp, by: Actor) -> Stepped {
        self.step(Step::Revoke, at, by, |state| match state {
            State::Revoked(_) => None,
            other => Some(State::Revoked(other.hospital().cloned())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
| state | claim | attest | connect | suspend | resume | revoke |
| manufactured | claimed | - | - | - | - | revoked |
| claimed | claimed | attested | - | - | - | revoked |
| attested | - | attested | active | suspended | - | revoked |
| active | - | active | active | suspended | - | revoked |
| suspended | - | - | - | - | active | revoked |
| revoked | - | - | - | - | - | - |
";

    #[test]
    fn every_state_answers_every_step_as_the_table_says() {
        let h = TenantId::parse("hos_yz").expect("id");
        let at = Timestamp::from_seconds(1);
        let states = [
            State::Manufactured,
            State::Claimed(h.clone()),
            State::Attested(h.clone()),
            State::Active(h.clone()),
            State::Suspended(h.clone()),
            State::Revoked(Some(h.clone())),
        ];
        let mut table = "| state | claim | attest | connect | suspend | resume | revoke |\n".to_owned();
        for state in states {
            let appliance = Appliance {
                serial: "S1".to_owned(),
                edge_id: EdgeId::parse("edg_1").expect("id"),
                state: state.clone(),
            };
            let by = || Actor::System;
            let outcomes = [
                appliance.clone().claim(h.clone(), at, by()),
                appliance.clone().attest(at, by()),
                appliance.clone().connect(at, by()),
                appliance.clone().suspend(at, by()),
                appliance.clone().resume(at, by()),
                appliance.clone().revoke(at, by()),
            ];
            table += &format!("| {} |", state.name());
            for outcome in outcomes {
                table += &format!(" {} |", outcome.map_or("-", |(a, _)| a.state.name()));
            }
            table.push('\n');
        }
        assert_eq!(table, TABLE);
    }

    #[test]
    fn another_hospital_cannot_take_a_claimed_appliance() {
        let appliance = Appliance {
            serial: "S1".to_owned(),
            edge_id: EdgeId::parse("edg_1").expect("id"),
            state: State::Claimed(TenantId::parse("hos_one").expect("id")),
        };
        let two = TenantId::parse("hos_two").expect("id");
        assert!(appliance.claim(two, Timestamp::default(), Actor::System).is_err());
    }
}
