//! Who a person is to the HIS, and whether they may come back (annex 1–3).

use serde::{Deserialize, Serialize};

use super::PastVisit;
use crate::LocalDate;

/// Who is looked for. The identity document is a resident identity card (GB 11643).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatientKey {
    /// Name as on the document.
    pub name: String,
    /// 18-character identity card number.
    pub id_number: String,
}

/// Who is looked for by the hospital's own card (就诊卡).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardKey {
    /// Number on the card, as its barcode says it.
    pub card_number: String,
}

/// Who is looked for by an electronic insurance voucher (医保电子凭证).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InsuranceCode {
    /// The code as it was scanned; good for a minute or so, never kept.
    pub code: String,
}

/// A patient as the HIS knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HisPatient {
    /// `patId` of the HIS.
    pub his_patient_id: String,
    /// Name.
    pub name: String,
    /// `M`, `F` or `U` (FHIR administrative gender by HL7 table 0001).
    pub sex: String,
    /// Day of birth.
    pub birth_date: LocalDate,
    /// Identity card number.
    pub id_number: String,
    /// Mobile phone, if known.
    pub phone: String,
    /// In-house card number, if any.
    pub card_number: String,
}

/// A patient to be created in the HIS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPatient {
    /// Name as on the document.
    pub name: String,
    /// 18-character identity card number.
    pub id_number: String,
    /// `M` or `F`.
    pub sex: String,
    /// Day of birth.
    pub birth_date: LocalDate,
    /// Mobile phone.
    pub phone: String,
    /// Guardian's name for a child.
    #[serde(default)]
    pub guardian_name: Option<String>,
    /// Guardian's identity card number for a child.
    #[serde(default)]
    pub guardian_id_number: Option<String>,
}

/// May this patient be seen online as a returning patient?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUpQuestion {
    /// `patId` of the HIS.
    pub his_patient_id: String,
    /// Department the patient chooses.
    pub department_code: String,
    /// Configured period in days.
    pub within_days: u32,
}

/// Answer to [`FollowUpQuestion`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUp {
    /// Whether the patient was seen in this department within the period.
    pub eligible: bool,
    /// The HIS's words when not.
    pub reason: String,
    /// The visit it rests on.
    pub last_visit: Option<PastVisit>,
}
