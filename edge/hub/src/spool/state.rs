//! Where a print job stands, and what may happen to it there.

use std::str::FromStr;

use records::line::PrintOutcome;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for its printer.
    Waiting,
    /// On its way; may be on paper.
    Printing,
    /// On paper.
    Printed,
    /// May be on paper; a person decides.
    Unknown,
    /// Given up.
    Failed,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Printing,
        Self::Printed,
        Self::Unknown,
        Self::Failed,
    ];

    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Printing => "printing",
            Self::Printed => "printed",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }

    /// What the cloud hears of it; nothing while it is on its way.
    pub(super) const fn outcome(self) -> Option<PrintOutcome> {
        match self {
            Self::Waiting => Some(PrintOutcome::Waiting),
            Self::Printing => None,
            Self::Printed => Some(PrintOutcome::Printed),
            Self::Unknown => Some(PrintOutcome::Unknown),
            Self::Failed => Some(PrintOutcome::Failed),
        }
    }
}

impl FromStr for State {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| format!("no print state {text}"))
    }
}

store::text_value!(State);

/// What happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The printer is ready and the first byte is about to leave.
    Begin,
    /// The printer confirmed.
    Confirm,
    /// Nothing of it left for the printer.
    Return,
    /// It may be on paper.
    Doubt,
    /// A person saw it on paper.
    MarkPrinted,
    /// A person wants it again.
    Reprint,
    /// A person does not want it any more.
    Cancel,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 7] = [
        Self::Begin,
        Self::Confirm,
        Self::Return,
        Self::Doubt,
        Self::MarkPrinted,
        Self::Reprint,
        Self::Cancel,
    ];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Confirm => "confirm",
            Self::Return => "return",
            Self::Doubt => "doubt",
            Self::MarkPrinted => "mark_printed",
            Self::Reprint => "reprint",
            Self::Cancel => "cancel",
        }
    }
}

/// A step that does not fit the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} is not possible for a job that is {}{}", step.word(), state.as_str(), if *blanked { " and blanked" } else { "" })]
pub struct Refusal {
    /// The state.
    pub state: State,
    /// The step.
    pub step: Step,
    /// Its content is gone: who wants it again has to bring it.
    pub blanked: bool,
}

impl State {
    /// The state after a step.
    ///
    /// # Errors
    /// [`Refusal`] when the step does not fit.
    pub const fn after(self, step: Step) -> Result<Self, Refusal> {
        match (self, step) {
            (Self::Waiting, Step::Begin) => Ok(Self::Printing),
            (Self::Printing, Step::Confirm) | (Self::Unknown, Step::MarkPrinted) => Ok(Self::Printed),
            (Self::Printing, Step::Return) => Ok(Self::Waiting),
            (Self::Printing, Step::Doubt) => Ok(Self::Unknown),
            (Self::Unknown | Self::Printed | Self::Failed, Step::Reprint) => Ok(Self::Waiting),
            (Self::Waiting | Self::Unknown, Step::Cancel) => Ok(Self::Failed),
            (state, step) => Err(Refusal {
                state,
                step,
                blanked: false,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_in_every_state_is_as_the_operator_expects() {
        let mut table = String::new();
        for state in State::ALL {
            for step in Step::ALL {
                if let Ok(next) = state.after(step) {
                    table.push_str(&format!("{} {} {}\n", state.as_str(), step.word(), next.as_str()));
                }
            }
        }
        assert_eq!(
            table,
            "waiting begin printing\nwaiting cancel failed\nprinting confirm printed\nprinting return waiting\nprinting doubt unknown\n\
             printed reprint waiting\nunknown mark_printed printed\nunknown reprint waiting\nunknown cancel failed\nfailed reprint waiting\n"
        );
    }
}
