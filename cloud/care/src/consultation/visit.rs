//! A visit as it is stored: the booked slot, what the HIS knows, and the patient's words, which are sealed.

use base::{Session, Vault, Who};
use records::id::{AccountId, PatientId, VisitId};
use records::{Fen, LocalDate, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{HisSide, Progress, VisitState};
use crate::CareError;
use crate::scheduling::ends_at;

/// What brings the patient here, in their own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Statement {
    /// 主诉.
    pub complaint: String,
    /// How long it has lasted.
    #[serde(default)]
    pub duration: String,
    /// 既往史.
    #[serde(default)]
    pub history: String,
    /// 过敏史.
    #[serde(default)]
    pub allergies: String,
    /// 用药情况.
    #[serde(default)]
    pub medications: String,
}

/// The patient's judgement after the visit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rating {
    /// Attitude, 1 to 5.
    pub attitude: u8,
    /// Professional skill, 1 to 5.
    pub professional: u8,
    /// Speed of answers, 1 to 5.
    pub speed: u8,
    /// Words.
    #[serde(default)]
    pub comment: String,
}

store::row! {
    /// A visit as it is stored. The statement is sealed.
    #[derive(Clone, Debug)]
    pub struct Visit {
        /// Id; also the HIS's `psOrdNum`.
        pub id: VisitId,
        /// Who booked.
        pub account_id: AccountId,
        /// For whom.
        pub patient_id: PatientId,
        /// `follow_up` or `renew_prescription`.
        pub purpose: String,
        /// Department.
        pub department_code: String,
        /// Its name.
        pub department_name: String,
        /// Doctor's code in the HIS.
        pub doctor_code: String,
        /// Doctor's name.
        pub doctor_name: String,
        /// Doctor's title.
        pub doctor_title: String,
        /// Shift.
        pub work_id: String,
        /// Day.
        pub slot_date: LocalDate,
        /// `am`, `pm`, `night`, `day`.
        pub slot_period: String,
        /// Begin, `HH:MM`.
        pub slot_begin: String,
        /// End, `HH:MM`.
        pub slot_end: String,
        /// Fee.
        pub fee_fen: Fen,
        /// State.
        pub state: VisitState,
        /// As what it ended before the money went back.
        pub ended_as: Option<VisitState>,
        /// What the HIS knows.
        pub his: HisSide,
        /// As what it will end unpaid.
        pub closing_as: Option<VisitState>,
        /// Words for the patient.
        pub message: Option<String>,
        /// The HIS's order number.
        pub his_order_number: Option<String>,
        /// Receipt number.
        pub receipt_number: Option<String>,
        /// Number in the HIS's queue.
        pub serial_number: Option<String>,
        /// Until when it may be paid.
        pub pay_until: Option<Timestamp>,
        /// Consent accepted.
        pub consent_id: String,
        /// Its version.
        pub consent_version: u32,
        /// SM3 of the text accepted.
        pub consent_sm3: String,
        /// Sealed [`Statement`].
        pub(crate) statement: Vec<u8>,
        /// Photos (JSON list of blob ids).
        pub(crate) photos: serde_json::Value,
        /// What the HIS answered to the eligibility question (JSON).
        pub(crate) eligibility: serde_json::Value,
        /// When it was booked.
        pub created_at: Timestamp,
        /// When it last moved.
        pub updated_at: Timestamp,
        /// 报到.
        pub checked_in_at: Option<Timestamp>,
        /// 接诊.
        pub accepted_at: Option<Timestamp>,
        /// 结束.
        pub finished_at: Option<Timestamp>,
        /// JSON of [`Rating`].
        pub(crate) rating: Option<serde_json::Value>,
        /// How often the HIS was told of the payment.
        pub(crate) tells: i64,
    }
}

pub(crate) const SEALED_STATEMENT: &str = "visit.statement";

impl Visit {
    /// Where it stands.
    pub fn progress(&self) -> Progress {
        Progress {
            state: self.state,
            ended_as: self.ended_as,
            his: self.his,
            closing_as: self.closing_as,
            message: self.message.clone(),
        }
    }

    /// The patient's words.
    ///
    /// # Errors
    /// When they do not open.
    pub fn statement(&self, vault: &Vault, tenant: &records::TenantId) -> Result<Statement, CareError> {
        let plain = vault.open(tenant, SEALED_STATEMENT, &self.statement)?;
        serde_json::from_slice(&plain).map_err(|_| CareError::Damaged)
    }

    /// Photos the patient added.
    pub fn photos(&self) -> Vec<String> {
        serde_json::from_value(self.photos.clone()).unwrap_or_default()
    }

    /// The patient's judgement.
    pub fn rating(&self) -> Option<Rating> {
        serde_json::from_value(self.rating.clone()?).ok()
    }

    /// Begin of the slot.
    pub fn begins_at(&self) -> Timestamp {
        self.slot_date
            .at(&self.slot_begin)
            .unwrap_or_else(|| self.slot_date.start())
    }

    /// End of the slot.
    pub fn ends_at(&self) -> Timestamp {
        ends_at(self.slot_date, &self.slot_begin, &self.slot_end)
    }

    /// On which side a session stands in this visit, if on any.
    pub fn side_of(&self, session: &Session) -> Option<Side> {
        match &session.who {
            Who::Patient(account) => (*account == self.account_id).then_some(Side::Patient),
            Who::Staff(member) => {
                let treats = member.may(base::Permission::Treat);
                (treats && member.his_code == self.doctor_code).then_some(Side::Doctor)
            }
        }
    }
}

/// A side of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The patient (or who cares for them).
    Patient,
    /// The doctor.
    Doctor,
}

impl Side {
    /// Word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Doctor => "doctor",
        }
    }
}
