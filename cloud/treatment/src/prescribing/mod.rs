//! The electronic prescription (处方, FHIR MedicationRequest group): its states and who may move it.
//!
//! Law: 处方管理办法, 互联网诊疗监管细则(试行) 2022. Invariants:
//! * only the treating doctor writes, signs, revises and revokes; nothing is ever written by a machine (细则 21);
//! * nothing reaches the HIS, the bill or the drugs before a pharmacist's signature (细则 22);
//! * a correction is a new prescription that names the old one; a signed one is never changed.
//!
//! ```text
//! draft → signed → in_review → approved → sent_to_his → awaiting_payment → paid → dispensing → ready   → collected
//!                      ↑  ↓         ↓ (HIS refuses) ↓                       ↓              ↘ shipped ↗
//!               appealed ← rejected ─→ revised                           revoked · expired
//! ```

mod acts;
pub mod arithmetic;
pub mod objection;
pub mod policy;
mod routes;
mod states;
pub(crate) mod store;
pub(crate) mod view;

#[cfg(test)]
pub(crate) mod tests;

use records::id::{PrescriptionId, StaffId, VisitId};
use records::{Fen, FenPerKg, LocalDate, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use routes::{diagnoses, routes, sign_draft};
pub use states::{Command, State, next};
pub use view::PrescriptionView;

/// A command was refused; becomes HTTP 409.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("处方{}，不能{}{}{reason}", state.text(), command.text(), if reason.is_empty() { "" } else { "：" })]
pub struct Refusal {
    /// Where the prescription stands.
    pub state: State,
    /// What was asked.
    pub command: Command,
    /// Why, beyond the state; may be empty.
    pub reason: String,
}

/// What is done to a draft; no command, because the state stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Written anew.
    Change,
    /// Thrown away.
    Discard,
    /// Read for signing: what is being signed must still be a draft.
    Sign,
}

impl Edit {
    const fn text(self) -> &'static str {
        match self {
            Self::Change => "修改",
            Self::Discard => "删除",
            Self::Sign => "签名",
        }
    }
}

/// A prescription is no draft any more, or not this person's; becomes HTTP 409.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("处方{}，不能{}：{reason}", state.text(), edit.text())]
pub struct NotEditable {
    /// Where the prescription stands.
    pub state: State,
    /// What was asked.
    pub edit: Edit,
    /// Why, and what can be done instead.
    pub reason: &'static str,
}

/// A line of a prescription's history (处方轨迹).
pub type Event = crate::signed::Event<State, Command>;

/// Western or herbal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(ToSchema)]
pub enum Kind {
    /// 西药/中成药处方.
    Western,
    /// 中药饮片处方.
    Herbal,
}

impl Kind {
    /// The word in rows and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Western => "western",
            Self::Herbal => "herbal",
        }
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Western, Self::Herbal].into_iter().find(|k| k.as_str() == word)
    }
}

::store::id_value!(Kind);

/// What one unit of a line's quantity costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum UnitPrice {
    /// A pack of a drug.
    Pack {
        /// Price of a pack.
        #[schema(value_type = i64)]
        price_fen: Fen,
    },
    /// A herb by weight.
    Weight {
        /// Price of a kilogram.
        #[schema(value_type = i64)]
        price_fen_per_kg: FenPerKg,
    },
}

/// A line as it was written against the catalogue of that day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Line {
    /// Code in the catalogue.
    pub drug_code: String,
    /// Common name.
    pub name: String,
    /// Specification.
    pub specification: String,
    /// Single dose, decimal text.
    pub dose: String,
    /// Its unit.
    pub dose_unit: String,
    /// Route.
    pub route_code: String,
    /// Route in words.
    pub route_name: String,
    /// Frequency.
    pub frequency_code: String,
    /// Frequency in words.
    pub frequency_name: String,
    /// Days.
    pub days: u32,
    /// Quantity: packs for drugs, grams altogether for herbs.
    pub quantity: u32,
    /// Its unit.
    pub quantity_unit: String,
    /// Price of a pack or of a kilogram.
    #[serde(flatten)]
    pub price: UnitPrice,
    /// Amount, whole fen: what the sum counts.
    #[schema(value_type = i64)]
    pub amount_fen: Fen,
    /// The doctor's remark.
    pub note: String,
}

/// The herbal part as the doctor writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HerbalWish {
    /// Number of doses (剂数).
    pub doses: u32,
    /// Decocted by the hospital (代煎).
    #[serde(default)]
    pub decoction: bool,
    /// Usage in words.
    #[serde(default)]
    pub usage: String,
}

/// The herbal part as it was written, with what the hospital takes for decocting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Herbal {
    /// Number of doses (剂数).
    pub doses: u32,
    /// Decocted by the hospital (代煎).
    #[serde(default)]
    pub decoction: bool,
    /// Usage in words.
    #[serde(default)]
    pub usage: String,
    /// The hospital's fee for decocting all doses (代煎费), part of the sum; absent when the patient decocts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub decoction_fee_fen: Option<Fen>,
}

/// A prescription. Transitions take it by value, so that no old state is used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prescription {
    /// Number.
    pub id: PrescriptionId,
    /// 1 for the first, one more for each correction.
    pub revision: u32,
    /// The one it corrects.
    pub revises: Option<PrescriptionId>,
    /// Visit.
    pub visit: VisitId,
    /// Treating doctor.
    pub doctor: StaffId,
    /// Western or herbal.
    pub kind: Kind,
    /// Lines.
    pub lines: Vec<Line>,
    /// Herbal part.
    pub herbal: Option<Herbal>,
    /// Sum of the lines and of the fee of decoction.
    pub total_fen: Fen,
    /// Where it stands.
    pub state: State,
    /// When it was last written.
    pub written_at: Timestamp,
    /// Last day on which it may be paid and dispensed; set by the signature.
    pub valid_until: Option<LocalDate>,
}
