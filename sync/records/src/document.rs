//! Documents that are signed as bytes. The canonical form is JSON with the fields in the order of declaration, no
//! blanks, UTF-8: what [`canonical`] returns is what is signed, stored and verified; it is never made again from
//! parsed data.

use serde::{Deserialize, Serialize};

use crate::his::Diagnosis;
use crate::{Fen, LocalDate, Timestamp};

/// The bytes to be signed.
///
/// # Errors
/// When the document cannot be written as JSON.
pub fn canonical<T: Serialize>(document: &T) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(document)
}

/// An electronic prescription (电子处方) as the doctor signs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrescriptionDocument {
    /// `yiqiao.prescription/1`.
    pub format: String,
    /// Prescription id.
    pub number: String,
    /// Revision, 1 for the first.
    pub revision: u32,
    /// Hospital.
    pub hospital: String,
    /// Department.
    pub department: String,
    /// Visit id.
    pub visit: String,
    /// Patient.
    pub patient: DocumentPatient,
    /// Doctor.
    pub doctor: DocumentPerson,
    /// Diagnoses.
    pub diagnoses: Vec<Diagnosis>,
    /// `western` or `herbal`.
    pub kind: String,
    /// Lines.
    pub items: Vec<DocumentItem>,
    /// Herbal: doses, decoction, usage.
    pub herbal: Option<DocumentHerbal>,
    /// Sum of the lines and, when the hospital decocts, its fee.
    pub total_fen: Fen,
    /// When it was written.
    pub written_at: Timestamp,
    /// Last day it may be dispensed.
    pub valid_until: LocalDate,
}

/// The patient in a signed document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentPatient {
    /// Patient in the HIS.
    pub his_patient_id: String,
    /// Name.
    pub name: String,
    /// `M` or `F`.
    pub sex: String,
    /// Age in words, e.g. `43岁`, `5个月`.
    pub age: String,
    /// Weight in kilograms as text where it matters (children), else empty.
    pub weight: String,
}

/// A member of staff in a signed document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentPerson {
    /// Staff id.
    pub id: String,
    /// Code in the HIS.
    pub code: String,
    /// Name.
    pub name: String,
    /// Title.
    pub title: String,
}

/// A line of a signed prescription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentItem {
    /// Drug or herb code.
    pub code: String,
    /// Name.
    pub name: String,
    /// Specification.
    pub specification: String,
    /// Single dose, decimal text.
    pub dose: String,
    /// Its unit.
    pub dose_unit: String,
    /// Route in words.
    pub route: String,
    /// Frequency in words.
    pub frequency: String,
    /// Days.
    pub days: u32,
    /// Quantity dispensed.
    pub quantity: u32,
    /// Its unit.
    pub quantity_unit: String,
    /// Amount.
    pub amount_fen: Fen,
    /// Doctor's remark.
    pub note: String,
}

/// The herbal part of a signed prescription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentHerbal {
    /// Number of doses (剂数).
    pub doses: u32,
    /// Decocted by the hospital (代煎).
    pub decoction: bool,
    /// The hospital's fee for decocting all doses (代煎费), part of the sum; absent when the patient decocts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoction_fee_fen: Option<Fen>,
    /// Usage in words.
    pub usage: String,
}

/// A pharmacist's opinion (审方意见) as they sign it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewDocument {
    /// `yiqiao.review/1`.
    pub format: String,
    /// Prescription id.
    pub number: String,
    /// Revision reviewed.
    pub revision: u32,
    /// SM3 of the doctor's signed document, hex.
    pub document_sm3: String,
    /// Approved or rejected.
    pub approved: bool,
    /// Reasons when rejected.
    pub reasons: Vec<String>,
    /// Free words.
    pub comment: String,
    /// Pharmacist.
    pub pharmacist: DocumentPerson,
    /// When.
    pub reviewed_at: Timestamp,
}

/// An order of examinations or laboratory tests (检查申请单, 检验申请单) as the doctor signs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDocument {
    /// `yiqiao.order/1`.
    pub format: String,
    /// Order id.
    pub number: String,
    /// `exam` or `lab`.
    pub kind: String,
    /// Hospital.
    pub hospital: String,
    /// Ordering department.
    pub department: String,
    /// Visit id.
    pub visit: String,
    /// Patient.
    pub patient: DocumentPatient,
    /// Doctor.
    pub doctor: DocumentPerson,
    /// Diagnoses.
    pub diagnoses: Vec<Diagnosis>,
    /// Purpose and clinical summary in the doctor's words; may be empty.
    pub purpose: String,
    /// Lines.
    pub items: Vec<OrderedItem>,
    /// Sum of the lines.
    pub total_fen: Fen,
    /// When it was written.
    pub written_at: Timestamp,
}

/// A line of a signed order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedItem {
    /// Code.
    pub code: String,
    /// Name.
    pub name: String,
    /// Part of the body and method of an examination; empty for a test.
    pub detail: String,
    /// Specimen of a test in words; empty for an examination.
    pub specimen: String,
    /// Code of the executing department the doctor confirmed.
    pub department_code: String,
    /// Its name.
    pub department: String,
    /// Amount.
    pub amount_fen: Fen,
    /// The doctor's remark.
    pub note: String,
}
