//! The medical record (病历) of an online visit: WS/T 500.2 (C0002 门急诊病历), in the doctor's words.
//!
//! Every saving is a version of its own and stays (电子病历应用管理规范(试行) art. 18); after the visit nothing is added but
//! what the review of records asks for (`record_review`).
//! A version is written on top of the one its writer saw: two tabs never overwrite each other unseen.
//! Signed by the doctor as the bytes of a [`RecordDocument`].

pub mod issue;
mod pdf;
mod routes;
pub(crate) mod store;

use records::Timestamp;
use records::document::{DocumentPatient, DocumentPerson};
use records::his::Diagnosis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use routes::{routes, sign_version};

/// Characters a field may have.
const LONGEST: usize = 4_000;

/// A diagnosis as the API takes and gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordDiagnosis {
    /// ICD-10 code, one of the hospital's dictionary.
    pub code: String,
    /// Name as the dictionary has it; what comes in the request is not looked at.
    #[serde(default)]
    pub name: String,
    /// The main one.
    #[serde(default)]
    pub main: bool,
}

/// What the doctor writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Record {
    /// 主诉.
    #[serde(default)]
    pub chief_complaint: String,
    /// 现病史.
    #[serde(default)]
    pub present_history: String,
    /// 既往史.
    #[serde(default)]
    pub past_history: String,
    /// 过敏史.
    #[serde(default)]
    pub allergies: String,
    /// 检查所见.
    #[serde(default)]
    pub examination: String,
    /// 诊断.
    #[serde(default)]
    pub diagnoses: Vec<RecordDiagnosis>,
    /// 处理意见.
    #[serde(default)]
    pub advice: String,
}

/// What the doctor wrote, and on top of what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub struct RecordWish {
    /// What was written.
    #[serde(flatten)]
    pub record: Record,
    /// The version that was shown when it was written; 0 for the form that nobody had saved yet.
    #[serde(default)]
    pub based_on: u32,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A field is too long.
    #[error("内容过长（不超过{LONGEST}字）")]
    Long(&'static str),
    /// No ICD-10 code.
    #[error("诊断编码应为ICD-10编码")]
    Code,
    /// A diagnosis stands twice.
    #[error("同一诊断重复")]
    Twice,
    /// More than one main diagnosis.
    #[error("只能有一个主要诊断")]
    ManyMain,
}

impl Fault {
    /// The field of the request.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Long(field) => field,
            _ => "diagnoses",
        }
    }
}

impl Record {
    /// Checks what was written; the first diagnosis is the main one when none is marked.
    ///
    /// # Errors
    /// The first fault.
    pub fn checked(mut self) -> Result<Self, Fault> {
        let fields = [
            ("chief_complaint", &self.chief_complaint),
            ("present_history", &self.present_history),
            ("past_history", &self.past_history),
            ("allergies", &self.allergies),
            ("examination", &self.examination),
            ("advice", &self.advice),
        ];
        if let Some((field, _)) = fields.iter().find(|(_, text)| text.chars().count() > LONGEST) {
            return Err(Fault::Long(field));
        }
        if !self.diagnoses.iter().all(|d| is_icd10(&d.code)) {
            return Err(Fault::Code);
        }
        let twice = |i: usize, code: &str| self.diagnoses.iter().take(i).any(|d| d.code == code);
        if self.diagnoses.iter().enumerate().any(|(i, d)| twice(i, &d.code)) {
            return Err(Fault::Twice);
        }
        if self.diagnoses.iter().filter(|d| d.main).count() > 1 {
            return Err(Fault::ManyMain);
        }
        if !self.diagnoses.iter().any(|d| d.main)
            && let Some(first) = self.diagnoses.first_mut()
        {
            first.main = true;
        }
        Ok(self)
    }

    /// The diagnoses, main one first.
    pub fn diagnoses(&self) -> Vec<Diagnosis> {
        let mut all: Vec<_> = self
            .diagnoses
            .iter()
            .map(|d| Diagnosis {
                code: d.code.clone(),
                name: d.name.clone(),
                main: d.main,
            })
            .collect();
        all.sort_by_key(|d| !d.main);
        all
    }

    /// Everything a signature stands under must be there.
    pub fn is_complete(&self) -> bool {
        !self.chief_complaint.trim().is_empty() && !self.diagnoses.is_empty()
    }
}

/// ICD-10 with the national extension (`I10.x00`, `J06.900`, `E11.900x001`): a letter, two digits, then what the book adds.
fn is_icd10(code: &str) -> bool {
    let mut bytes = code.bytes();
    let head = [bytes.next(), bytes.next(), bytes.next()];
    let [Some(letter), Some(tens), Some(ones)] = head else {
        return false;
    };
    letter.is_ascii_uppercase()
        && tens.is_ascii_digit()
        && ones.is_ascii_digit()
        && code.len() <= 20
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'*' | b'-'))
}

/// The record as the doctor signs it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordDocument {
    /// `yiqiao.record/1`.
    pub format: String,
    /// Visit.
    pub visit: String,
    /// Version signed.
    pub version: u32,
    /// Hospital.
    pub hospital: String,
    /// Department.
    pub department: String,
    /// Patient.
    pub patient: DocumentPatient,
    /// Doctor.
    pub doctor: DocumentPerson,
    /// What was written.
    pub record: Record,
    /// When it was saved.
    pub saved_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(code: &str, main: bool) -> RecordDiagnosis {
        RecordDiagnosis {
            code: code.into(),
            name: "诊断".into(),
            main,
        }
    }

    fn with(diagnoses: Vec<RecordDiagnosis>) -> Result<Record, Fault> {
        Record {
            chief_complaint: "头晕3天".into(),
            diagnoses,
            ..Record::default()
        }
        .checked()
    }

    #[test]
    fn the_first_diagnosis_is_the_main_one_unless_another_is_marked() {
        let record = with(vec![diagnosis("I10.x00", false), diagnosis("E11.900", false)]).unwrap();
        assert_eq!(record.diagnoses()[0].code, "I10.x00");
        let record = with(vec![diagnosis("I10.x00", false), diagnosis("E11.900", true)]).unwrap();
        assert_eq!(record.diagnoses()[0].code, "E11.900");
        assert!(record.is_complete());
    }

    #[test]
    fn what_is_no_icd10_code_or_stands_twice_is_refused() {
        assert_eq!(with(vec![diagnosis("高血压", false)]), Err(Fault::Code));
        assert_eq!(with(vec![diagnosis("i10", false)]), Err(Fault::Code));
        assert_eq!(
            with(vec![diagnosis("I10", false), diagnosis("I10", false)]),
            Err(Fault::Twice)
        );
        assert_eq!(
            with(vec![diagnosis("I10", true), diagnosis("I11", true)]),
            Err(Fault::ManyMain)
        );
        let long = Record {
            advice: "休".repeat(4_001),
            ..Record::default()
        };
        assert_eq!(long.checked().unwrap_err().field(), "advice");
    }
}
