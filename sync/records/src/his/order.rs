//! Examinations and laboratory tests a doctor can order, the order on its way to the HIS, and its way back (annex 61–67).

use serde::{Deserialize, Serialize};

use super::Diagnosis;
use crate::{Fen, Timestamp};

/// A department that carries out an examination or test (执行科室).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutingDepartment {
    /// Code.
    pub code: String,
    /// Name.
    pub name: String,
    /// Where it is, for the patient; empty when the HIS does not say.
    #[serde(default)]
    pub location: String,
}

/// An examination of the hospital's catalogue (检查项目, annex 61).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExamItem {
    /// Code in the HIS.
    pub code: String,
    /// Name.
    pub name: String,
    /// Initials of the pinyin, upper case.
    pub pinyin: String,
    /// Part of the body (检查部位).
    pub part: String,
    /// Method (检查方法).
    pub method: String,
    /// Price.
    pub price_fen: Fen,
    /// Departments that can do it, the usual one first.
    pub departments: Vec<ExecutingDepartment>,
    /// What the patient has to do before, e.g. 空腹; may be empty.
    #[serde(default)]
    pub preparation: String,
}

/// A laboratory test of the hospital's catalogue (检验项目, annex 65).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabTest {
    /// Code in the HIS.
    pub code: String,
    /// Name.
    pub name: String,
    /// Initials of the pinyin, upper case.
    pub pinyin: String,
    /// Usual specimen, see [`Specimen`].
    pub specimen_code: String,
    /// Price.
    pub price_fen: Fen,
    /// Departments that can do it, the usual one first.
    pub departments: Vec<ExecutingDepartment>,
    /// What the patient has to do before; may be empty.
    #[serde(default)]
    pub preparation: String,
}

/// What is taken from the patient (检验标本, annex 64).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Specimen {
    /// Code in the HIS.
    pub code: String,
    /// Name, e.g. 血清.
    pub name: String,
}

/// A signed order for the HIS; of an examination or of laboratory tests, as the operation says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmittedOrder {
    /// Our order number (`platformOrderNo`): the order's id.
    pub order_number: String,
    /// Our visit id, the registration's `psOrdNum`.
    pub visit_order_number: String,
    /// Patient in the HIS.
    pub his_patient_id: String,
    /// Doctor.
    pub doctor_code: String,
    /// Ordering department.
    pub department_code: String,
    /// Diagnoses.
    pub diagnoses: Vec<Diagnosis>,
    /// Purpose and clinical summary in the doctor's words; may be empty.
    pub purpose: String,
    /// Lines.
    pub items: Vec<SubmittedOrderItem>,
    /// Sum as signed.
    pub total_fen: Fen,
    /// SM3 digest of the signed document, hex.
    pub document_sm3: String,
    /// When the doctor signed.
    pub signed_at: Timestamp,
}

/// A line of [`SubmittedOrder`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmittedOrderItem {
    /// Code of the examination or test.
    pub code: String,
    /// Name.
    pub name: String,
    /// Executing department.
    pub department_code: String,
    /// Specimen of a test; none of an examination.
    #[serde(default)]
    pub specimen_code: Option<String>,
    /// Amount.
    pub amount_fen: Fen,
    /// The doctor's remark; may be empty.
    #[serde(default)]
    pub note: String,
}

/// The HIS has taken an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderReceipt {
    /// `hisApplyNo` (申请单号).
    pub his_order_number: String,
    /// `mzFeeId`, when the HIS has made a bill.
    #[serde(default)]
    pub bill_id: Option<String>,
    /// Sum of the bill.
    #[serde(default)]
    pub total_fen: Option<Fen>,
}

/// An order is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderWithdrawal {
    /// Our order number.
    pub order_number: String,
    /// The HIS's number.
    pub his_order_number: String,
    /// Why.
    pub reason: String,
}
