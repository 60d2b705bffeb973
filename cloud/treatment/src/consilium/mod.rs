//! Consilium (会诊, FHIR ServiceRequest for a consultation): the doctor of a visit asks another doctor of the hospital, the
//! expert, for an opinion (会诊意见), which the expert signs.
//!
//! Law: 电子签名法 art. 13; 医疗质量安全核心制度要点 (会诊制度). Invariants:
//! * only the doctor of the visit invites, withdraws and evaluates; only the invited expert accepts, declines and signs;
//! * the expert reads what the visit holds from acceptance until the opinion, no earlier and no later, and every look is in
//!   the audit chain; an invitation shows question and summary and the patient with the name masked;
//! * an opinion is signed as bytes, once, and never changed; whoever wants another invites again;
//! * what nobody answers ends by itself, so that no access stays open.
//!
//! ```text
//! invited → open → concluded → evaluated
//!    ↓   ↘   ↓ ↘
//! withdrawn  declined · lapsed
//! ```

mod acts;
mod routes;
mod states;
pub(crate) mod store;
mod view;

#[cfg(test)]
mod tests;

use std::time::Duration;

use records::document::{DocumentPatient, DocumentPerson};
use records::id::StaffId;
use records::{Actor, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use routes::{lapse, routes};
pub use states::{Command, State, next};
pub(crate) use view::ConsiliumView;

records::id_type!(
    /// A consilium (会诊).
    ConsiliumId,
    "csl"
);
::store::id_value!(ConsiliumId);

/// How long an invitation waits for the expert.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(72 * 3600);
/// How long an expert who accepted may read and write.
pub const OPINION_WITHIN: Duration = Duration::from_secs(7 * 24 * 3600);

/// Characters of question, opinion and the other words.
pub(crate) const LONGEST_QUESTION: usize = 1_000;
pub(crate) const LONGEST_SUMMARY: usize = 2_000;
pub(crate) const LONGEST_OPINION: usize = 4_000;
pub(crate) const LONGEST_WORDS: usize = 500;

/// A command was refused; becomes HTTP 409.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("会诊{}，不能{}{}{reason}", state.text(), command.text(), if reason.is_empty() { "" } else { "：" })]
pub struct Refusal {
    /// Where it stands.
    pub state: State,
    /// What was asked.
    pub command: Command,
    /// Why, beyond the state; may be empty.
    pub reason: &'static str,
}

/// A line of a consilium's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// To.
    pub to: State,
    /// By which command.
    pub command: Command,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
}

/// A consilium. Transitions take it by value, so that no old state is used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consilium {
    /// Doctor of the visit.
    pub inviter: StaffId,
    /// The doctor who is asked.
    pub expert: StaffId,
    /// Where it stands.
    pub state: State,
    /// Until when the one whose turn it is may act.
    pub until: Timestamp,
}

/// The opinion as the expert signs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpinionDocument {
    /// `yiqiao.consilium/1`.
    pub format: String,
    /// Number of the consilium.
    pub number: String,
    /// Visit.
    pub visit: String,
    /// Hospital.
    pub hospital: String,
    /// Patient.
    pub patient: DocumentPatient,
    /// Department that asks.
    pub inviter_department: String,
    /// Doctor who asks.
    pub inviter: DocumentPerson,
    /// What is asked.
    pub question: String,
    /// The case in the asking doctor's words.
    pub summary: String,
    /// Department of the expert.
    pub expert_department: String,
    /// Expert.
    pub expert: DocumentPerson,
    /// Version of the medical record that the expert had before them; absent when there was none.
    pub record_version: Option<u32>,
    /// The opinion.
    pub opinion: String,
    /// When it was written.
    pub written_at: Timestamp,
}
