//! What the hospital knows of a patient: visits, prescriptions, reports (annex 53–57).

use serde::{Deserialize, Serialize};

use crate::{LocalDate, Timestamp};

/// History of a patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryQuestion {
    /// Patient in the HIS.
    pub his_patient_id: String,
    /// First day.
    pub from: LocalDate,
    /// Last day.
    pub to: LocalDate,
}

/// A visit in the hospital (FHIR Encounter).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastVisit {
    /// Number in the HIS.
    pub visit_number: String,
    /// Day.
    pub date: LocalDate,
    /// Department.
    pub department_code: String,
    /// Department's name.
    pub department_name: String,
    /// Doctor's name.
    pub doctor_name: String,
    /// Diagnoses.
    pub diagnoses: Vec<Diagnosis>,
}

/// A diagnosis made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// ICD-10 code.
    pub code: String,
    /// Name.
    pub name: String,
    /// The main one.
    #[serde(default)]
    pub main: bool,
}

/// A prescription of the hospital's past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastPrescription {
    /// Number in the HIS.
    pub number: String,
    /// Day.
    pub date: LocalDate,
    /// Department's name.
    pub department_name: String,
    /// Doctor's name.
    pub doctor_name: String,
    /// Lines: name with specification, usage, quantity.
    pub items: Vec<PastPrescriptionItem>,
}

/// A line of [`PastPrescription`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastPrescriptionItem {
    /// Drug code.
    pub drug_code: String,
    /// Name.
    pub name: String,
    /// Specification.
    pub specification: String,
    /// Usage in words.
    pub usage: String,
    /// Quantity with unit.
    pub quantity: String,
}

/// A laboratory report (检验报告, HL7 ORU).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabReport {
    /// Number in the HIS.
    pub report_number: String,
    /// Name.
    pub name: String,
    /// When it was verified.
    pub reported_at: Timestamp,
    /// Department's name.
    pub department_name: String,
    /// Results.
    pub items: Vec<LabItem>,
}

/// One result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabItem {
    /// Name.
    pub name: String,
    /// Result.
    pub result: String,
    /// Unit.
    pub unit: String,
    /// Reference range.
    pub reference: String,
    /// `normal`, `high` or `low`.
    pub flag: String,
}

/// An examination report (检查报告).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExamReport {
    /// Number in the HIS.
    pub report_number: String,
    /// Name.
    pub name: String,
    /// Part of the body.
    pub part: String,
    /// When it was reported.
    pub reported_at: Timestamp,
    /// Department's name.
    pub department_name: String,
    /// Findings (检查所见).
    pub findings: String,
    /// Opinion (检查意见).
    pub opinion: String,
    /// Where the picture lies in the hospital's network; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
}

/// One report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportQuestion {
    /// Number in the HIS.
    pub report_number: String,
}

/// Where a file lies in the hospital's network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileAddress {
    /// `http://…`; empty when there is none.
    pub address: String,
}
