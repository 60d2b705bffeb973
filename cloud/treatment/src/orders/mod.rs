//! Orders of examinations (检查单) and laboratory tests (检验单) that a doctor opens in an online visit; FHIR ServiceRequest.
//!
//! Law: 电子签名法 art. 13, 互联网诊疗监管细则(试行) 2022. Invariants:
//! * only the treating doctor opens and revokes, each time with their signature's PIN; nothing is opened by a machine;
//! * nothing reaches the HIS before the signature over the canonical document was verified and kept;
//! * a signed order is never changed; what the HIS refuses stays, with its words, and a new one is written instead;
//! * what the HIS did not answer is a state, not a guess: it is asked again under a key of its own.
//!
//! The bill the HIS makes is paid in the hospital, where the patient comes for the examination anyway.
//!
//! ```text
//! draft → signed → open → revoking → revoked
//!           ↓ ↘ refused  ↖   ↓ ↑
//!         unknown          revoke_unknown
//! ```

mod acts;
mod effects;
pub mod policy;
mod routes;
mod states;
pub(crate) mod store;
mod view;

#[cfg(test)]
mod tests;

use records::Fen;
use records::id::{OrderId, StaffId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use effects::{announce, on_command_result};
pub(crate) use routes::{routes, sign_draft};
pub use states::{Command, State, next};
pub use view::OrderView;

/// What is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OrderKind)]
pub enum Kind {
    /// 检查: imaging, ultrasound, endoscopy, electrophysiology.
    Exam,
    /// 检验: laboratory tests.
    Lab,
}

impl Kind {
    /// The word in rows and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exam => "exam",
            Self::Lab => "lab",
        }
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Exam, Self::Lab].into_iter().find(|k| k.as_str() == word)
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Exam => "检查单",
            Self::Lab => "检验单",
        }
    }
}

::store::id_value!(Kind);

/// A line as it was written against the catalogue of that day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = OrderLine)]
pub struct Line {
    /// Code in the catalogue.
    pub code: String,
    /// Name.
    pub name: String,
    /// Part of the body and method of an examination; empty for a test.
    pub detail: String,
    /// Specimen of a test.
    pub specimen_code: Option<String>,
    /// Specimen in words; empty for an examination.
    pub specimen: String,
    /// Executing department the doctor confirmed.
    pub department_code: String,
    /// Its name.
    pub department_name: String,
    /// Where it is; may be empty.
    pub location: String,
    /// What the patient has to do before; may be empty.
    pub preparation: String,
    /// Price.
    #[schema(value_type = i64)]
    pub price_fen: Fen,
    /// The doctor's remark; may be empty.
    pub note: String,
}

/// A command was refused; becomes HTTP 409.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}，不能{}{}{reason}", kind.text(), state.text(), command.text(), if reason.is_empty() { "" } else { "：" })]
pub struct Refusal {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub state: State,
    /// What was asked.
    pub command: Command,
    /// Why, beyond the state; may be empty.
    pub reason: String,
}

/// An order is no draft any more, or not this person's; becomes HTTP 409.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}，{reason}", kind.text(), state.text())]
pub struct NotEditable {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub state: State,
    /// Why, and what can be done instead.
    pub reason: &'static str,
}

/// A line of an order's history.
pub type Event = crate::signed::Event<State, Command>;

/// An order. Transitions take it by value, so that no old state is used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceOrder {
    /// Number.
    pub id: OrderId,
    /// What is ordered.
    pub kind: Kind,
    /// Treating doctor.
    pub doctor: StaffId,
    /// Lines.
    pub lines: Vec<Line>,
    /// Where it stands.
    pub state: State,
}
