//! A prescription on its way to the HIS, and what follows it (annex 75–78).

use serde::{Deserialize, Serialize};

use super::Diagnosis;
use crate::{Fen, LocalDate, Timestamp};

/// A reviewed prescription for the HIS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmittedPrescription {
    /// Our prescription number (`rxNo`): the prescription id.
    pub prescription_number: String,
    /// Our visit id, the registration's `psOrdNum`.
    pub visit_order_number: String,
    /// Patient in the HIS.
    pub his_patient_id: String,
    /// Doctor.
    pub doctor_code: String,
    /// Department.
    pub department_code: String,
    /// Diagnoses.
    pub diagnoses: Vec<Diagnosis>,
    /// `western` or `herbal`.
    pub kind: String,
    /// Lines.
    pub items: Vec<SubmittedItem>,
    /// Number of doses of a herbal prescription.
    #[serde(default)]
    pub herbal_doses: Option<u32>,
    /// Usage of a herbal prescription in words; names the decoction as well.
    #[serde(default)]
    pub herbal_usage: Option<String>,
    /// A herbal prescription is decocted by the hospital (代煎), which its bill charges.
    #[serde(default)]
    pub herbal_decoction: Option<bool>,
    /// Sum as signed: the lines and the fee of decoction.
    pub total_fen: Fen,
    /// SM3 digest of the signed document, hex.
    pub document_sm3: String,
    /// When the doctor signed.
    pub signed_at: Timestamp,
    /// Code of the public check as it is printed on the paper: for the terminals of the hospital, its system is not told.
    #[serde(default)]
    pub verify_code: Option<String>,
    /// Last day on which it may be paid; for the same.
    #[serde(default)]
    pub valid_until: Option<LocalDate>,
}

/// A line of [`SubmittedPrescription`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmittedItem {
    /// Drug or herb code.
    pub code: String,
    /// Name.
    pub name: String,
    /// Single dose as decimal text.
    pub dose: String,
    /// Its unit.
    pub dose_unit: String,
    /// Route code (empty for herbs).
    pub route_code: String,
    /// Frequency code (empty for herbs).
    pub frequency_code: String,
    /// Days.
    pub days: u32,
    /// Quantity dispensed: packs for drugs, grams altogether for herbs.
    pub quantity: u32,
    /// Unit of the quantity.
    pub quantity_unit: String,
    /// Amount.
    pub amount_fen: Fen,
}

/// The HIS has taken a prescription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrescriptionReceipt {
    /// `hisRecipeId`.
    pub his_prescription_number: String,
}

/// The pharmacist's opinion for the HIS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrescriptionOpinion {
    /// Our prescription number.
    pub prescription_number: String,
    /// Pharmacist's code.
    pub pharmacist_code: String,
    /// Approved or not.
    pub approved: bool,
    /// Reasons when not.
    pub reason: String,
    /// When.
    pub reviewed_at: Timestamp,
}

/// The HIS has taken the opinion; an approved prescription has its bill now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewReceipt {
    /// `mzFeeId`, when approved.
    pub bill_id: Option<String>,
    /// Sum of the bill.
    pub total_fen: Option<Fen>,
}

/// A prescription is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrescriptionWithdrawal {
    /// Our prescription number.
    pub prescription_number: String,
    /// Why.
    pub reason: String,
}

/// How drugs travel to the patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryNotice {
    /// Our prescription number.
    pub prescription_number: String,
    /// Delivery number of ours or waybill of the courier.
    pub waybill: String,
    /// Courier or `hospital`.
    pub company: String,
    /// `ordered`, `shipped`, `delivered`.
    pub status: String,
    /// Receiver's name.
    pub receiver: String,
    /// Receiver's phone.
    pub phone: String,
    /// Receiver's address.
    pub address: String,
}

/// 停诊通知 (annex 80): the HIS stopped a clinic. Body of the log kind `his.stopclinic`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopClinic {
    /// Number of the notice; the same notice may come more than once.
    pub notice_id: String,
    /// Department.
    pub department_code: String,
    /// Doctor.
    pub doctor_code: String,
    /// Day.
    pub date: LocalDate,
    /// Shift, when the HIS names one.
    #[serde(default)]
    pub work_id: Option<String>,
    /// Begin of the stopped time, `HH:MM`, when only a part of the day is stopped.
    #[serde(default)]
    pub begin: Option<String>,
    /// End of the stopped time, `HH:MM`.
    #[serde(default)]
    pub end: Option<String>,
    /// Why.
    pub reason: String,
    /// Order numbers the HIS names as concerned (may be empty: then all of the shift).
    #[serde(default)]
    pub order_numbers: Vec<String>,
}
