//! What a transition of a visit leaves behind: its line of the trail, the duties that follow at once, or a refusal.

use records::{Actor, Timestamp};

use super::VisitState;

/// What has to be done in the same unit of work as a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Order `slot.unlock`.
    Unlock,
    /// Order `registration.confirm_payment`.
    Confirm,
    /// Return the money.
    Refund,
    /// Order `registration.refund`.
    WriteBack,
    /// The refund is over: nothing is to be told to the HIS.
    CloseRefund,
}

/// A transition as written to the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub word: &'static str,
    /// State before.
    pub from: VisitState,
    /// State after.
    pub to: VisitState,
    /// Why, in words.
    pub note: String,
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// What follows at once.
    pub duties: &'static [Duty],
}

/// An act that the state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("当前状态“{}”不能{act}", .state.text())]
pub struct Refusal {
    /// State it is in.
    pub state: VisitState,
    /// What was asked, in words.
    pub act: &'static str,
}

/// Who does something, and when.
#[derive(Clone, Debug)]
pub struct Hand {
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}
