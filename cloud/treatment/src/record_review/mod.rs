//! Review of medical records (病历审核): each version the doctor signs is looked at by the hospital's medical affairs
//! (医务科), who approve it or send it back with a reason.
//!
//! Law: 互联网诊疗监管细则(试行) art. 20 (quality of records); 电子病历应用管理规范(试行) art. 18–20. Invariants:
//! * only what carries the doctor's signature is reviewed, and it stays as it was signed, whatever becomes of it;
//! * the author never decides on their own record;
//! * a correction is a new version signed by the doctor; it takes the place of the one that waits or was sent back;
//! * what the patient reads does not depend on the review.
//!
//! ```text
//! (signed) → in_review → approved
//!                 ↓ ↘
//!             returned → superseded
//! ```

mod routes;
pub(crate) mod store;
mod view;

#[cfg(test)]
mod tests;

use records::Actor;
use records::id::StaffId;
use serde::{Deserialize, Serialize};

pub(crate) use routes::{announce, routes};
pub(crate) use view::{RecordReviewBrief, brief};

/// Where the review of a signed version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// 待审核: in the queue.
    InReview,
    /// 审核通过.
    Approved,
    /// 已退回: the doctor is to write a new version.
    Returned,
    /// 已被新版替代: the doctor signed a newer version before this one was approved.
    Superseded,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::InReview, Self::Approved, Self::Returned, Self::Superseded];

    /// The word in rows and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InReview => "in_review",
            Self::Approved => "approved",
            Self::Returned => "returned",
            Self::Superseded => "superseded",
        }
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::InReview => "待审核",
            Self::Approved => "审核通过",
            Self::Returned => "已退回",
            Self::Superseded => "已被新版替代",
        }
    }
}

::store::id_value!(State);

/// What can be done to a version under review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// 审核通过.
    Approve,
    /// 退回.
    SendBack,
    /// A newer version was signed (新版替代).
    Supersede,
}

impl Command {
    /// Every command.
    pub const ALL: [Self; 3] = [Self::Approve, Self::SendBack, Self::Supersede];

    /// The word of the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::SendBack => "send_back",
            Self::Supersede => "supersede",
        }
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Approve => "审核通过",
            Self::SendBack => "退回",
            Self::Supersede => "替代",
        }
    }
}

/// The one place that says which command leads where.
pub const fn next(state: State, command: Command) -> Option<State> {
    match (state, command) {
        (State::InReview, Command::Approve) => Some(State::Approved),
        (State::InReview, Command::SendBack) => Some(State::Returned),
        (State::InReview | State::Returned, Command::Supersede) => Some(State::Superseded),
        _ => None,
    }
}

/// A command was refused; becomes HTTP 409.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("该版病历{}，不能{}{}{reason}", state.text(), command.text(), if reason.is_empty() { "" } else { "：" })]
pub struct Refusal {
    /// Where it stands.
    pub state: State,
    /// What was asked.
    pub command: Command,
    /// Why, beyond the state; may be empty.
    pub reason: &'static str,
}

/// A signed version under review. Transitions take it by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Whoever wrote and signed it.
    pub author: StaffId,
    /// Where it stands.
    pub state: State,
}

impl Review {
    fn step(mut self, command: Command) -> Result<Self, Refusal> {
        match next(self.state, command) {
            Some(to) => {
                self.state = to;
                Ok(self)
            }
            None => Err(self.refuse(command, "")),
        }
    }

    const fn refuse(&self, command: Command, reason: &'static str) -> Refusal {
        Refusal {
            state: self.state,
            command,
            reason,
        }
    }

    fn not_the_author(&self, command: Command, by: &Actor) -> Result<(), Refusal> {
        match by {
            Actor::Staff(id) if *id == self.author => {
                Err(self.refuse(command, "不能审核自己书写的病历，请由其他审核人员审核"))
            }
            Actor::Staff(_) => Ok(()),
            _ => Err(self.refuse(command, "病历须由审核人员本人审核")),
        }
    }

    /// 审核通过.
    ///
    /// # Errors
    /// When it is not in review, or by its author.
    pub fn approve(self, by: &Actor) -> Result<Self, Refusal> {
        self.not_the_author(Command::Approve, by)?;
        self.step(Command::Approve)
    }

    /// 退回, with a reason for the doctor.
    ///
    /// # Errors
    /// When it is not in review, without a reason, or by its author.
    pub fn send_back(self, by: &Actor, reason: &str) -> Result<Self, Refusal> {
        self.not_the_author(Command::SendBack, by)?;
        if reason.trim().is_empty() {
            return Err(self.refuse(Command::SendBack, "请写明退回原因"));
        }
        self.step(Command::SendBack)
    }

    /// 新版替代: the doctor signed a newer version.
    ///
    /// # Errors
    /// When it was approved, or another one has taken its place already.
    pub fn supersede(self) -> Result<Self, Refusal> {
        self.step(Command::Supersede)
    }
}
