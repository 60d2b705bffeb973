//! What is asked of the hospital's system, and how its answers are told to a person.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use his::Bridge;
use records::his::{
    Bill, BillPendingList, BillQuestion, CardKey, CheckIn, Department, DepartmentList, Doctor, DoctorList, Everything,
    ExamReport, ExamReports, HisOrderState, HisPatient, HistoryQuestion, InDepartment, InsuranceCode, LabReport,
    LabReports, Operation, PastPrescription, PastPrescriptions, PatientByCard, PatientByInsurance, PatientKey,
    PatientQuery, QueuePlace, RegisteredVisit, RegistrationCheckIn, RegistrationList, RegistrationQueue,
    RegistrationsQuestion,
};
use records::patient_code::PatientCode;
use records::{LocalDate, Outcome};
use serde_json::Value;
use store::{Scope, Store, StoreError};

/// A person waits at the screen for no longer.
const PATIENCE: Duration = Duration::from_secs(12);

/// How often a check-in that did not happen is tried while the person waits, and the pause between.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(1_200);

/// Who stands there. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// Patient in the HIS.
    pub his_patient_id: String,
    /// Name.
    pub name: String,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person(…)")
    }
}

/// How somebody shows who they are. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// A resident identity card that was read.
    IdCard {
        /// Name on it.
        name: String,
        /// Its number, checked.
        number: String,
    },
    /// The hospital's own card.
    HospitalCard(String),
    /// 医保电子凭证.
    Insurance(String),
    /// 就诊码 of the patients' app, not judged yet.
    PatientCode(String),
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IdCard { .. } => "IdCard(…)",
            Self::HospitalCard(_) => "HospitalCard(…)",
            Self::Insurance(_) => "Insurance(…)",
            Self::PatientCode(_) => "PatientCode(…)",
        })
    }
}

impl Token {
    /// What a scanned code is.
    ///
    /// # Errors
    /// In words for the person, when it is none of ours.
    pub fn scanned(code: &str) -> Result<Self, &'static str> {
        let plain = !code.is_empty() && code.bytes().all(|b| b.is_ascii_alphanumeric());
        if reader::valid(code).is_some() {
            // A number that can be written on any paper proves nobody.
            Err("请使用身份证原件，不要扫描身份证号")
        } else if PatientCode::is_meant(code) {
            Ok(Self::PatientCode(code.to_owned()))
        } else if plain && code.len() == 28 {
            Ok(Self::Insurance(code.to_owned()))
        } else if (6..=20).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self::HospitalCard(code.to_owned()))
        } else {
            Err("不认识这个码，请出示就诊卡条码、手机就诊码、医保电子凭证，或电子处方上的二维码")
        }
    }
}

/// Why nothing came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The hospital's system did not answer; nothing was done.
    Away,
    /// It said no, in its words.
    Refused(String),
    /// It may have happened.
    Unsure,
}

/// A registration of today, for the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The HIS's order number.
    pub order: String,
    /// How it stands.
    pub state: HisOrderState,
    /// Department's name.
    pub department: String,
    /// Doctor's name.
    pub doctor: String,
    /// `08:00-08:15`.
    pub time: String,
    /// The clinic was stopped.
    pub stopped: bool,
}

/// What the hospital knows that can be printed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Lab(LabReport),
    Exam(ExamReport),
    Prescription(PastPrescription),
}

/// The hospital's system, over the bridge.
#[derive(Clone)]
pub(crate) struct Hospital {
    pub(crate) bridge: Bridge,
    pub(crate) store: Store,
    pub(crate) scope: Scope,
}

fn told<T>(outcome: Outcome<T>) -> Result<T, Trouble> {
    match outcome {
        Outcome::Done(value) => Ok(value),
        Outcome::Refused { code, .. } if code == "not_offered" => {
            Err(Trouble::Refused("本院暂未开通这项自助服务，请到窗口办理".to_owned()))
        }
        Outcome::Refused { text, .. } => Err(Trouble::Refused(text)),
        Outcome::Later { .. } => Err(Trouble::Away),
        Outcome::Unknown => Err(Trouble::Unsure),
    }
}

impl Hospital {
    async fn ask<O: Operation>(&self, key: Option<&str>, request: &O::Request) -> Result<O::Response, Trouble> {
        let request = serde_json::to_value(request).map_err(|_| Trouble::Away)?;
        let answer: Value = told(self.bridge.call(O::METHOD, key, PATIENCE, request).await)?;
        serde_json::from_value(answer).map_err(|_| Trouble::Away)
    }

    /// Who shows this.
    pub(crate) async fn who(&self, token: &Token) -> Result<Option<Person>, Trouble> {
        let found: Option<HisPatient> = match token {
            Token::IdCard { name, number } => {
                let key = PatientKey {
                    name: name.clone(),
                    id_number: number.clone(),
                };
                self.ask::<PatientQuery>(None, &key).await?
            }
            Token::HospitalCard(_) => self.by_card(token).await?,
            Token::Insurance(code) => {
                let key = InsuranceCode { code: code.clone() };
                self.ask::<PatientByInsurance>(None, &key).await?
            }
            // Judged by [`crate::code::Codes`]; the hospital is not asked.
            Token::PatientCode(_) => None,
        };
        Ok(found.map(|p| Person {
            his_patient_id: p.his_patient_id,
            name: p.name,
        }))
    }

    /// Whose hospital card this is, with all the hospital has of them; for another token nobody.
    pub(crate) async fn by_card(&self, token: &Token) -> Result<Option<HisPatient>, Trouble> {
        let Token::HospitalCard(number) = token else {
            return Ok(None);
        };
        let key = CardKey {
            card_number: number.clone(),
        };
        self.ask::<PatientByCard>(None, &key).await
    }

    /// The registrations of a day that concern a person who has come.
    pub(crate) async fn visits(&self, person: &Person, today: LocalDate) -> Result<Vec<Visit>, Trouble> {
        let question = RegistrationsQuestion {
            his_patient_id: person.his_patient_id.clone(),
            from: today,
            to: today,
        };
        let mut found: Vec<RegisteredVisit> = self.ask::<RegistrationList>(None, &question).await?;
        found.retain(|v| {
            use HisOrderState::{CheckedIn, Paid, Seen, Unpaid};
            matches!(v.state, Paid | CheckedIn | Seen | Unpaid)
        });
        found.sort_by(|a, b| (&a.begin, &a.his_order_number).cmp(&(&b.begin, &b.his_order_number)));
        if found.is_empty() {
            return Ok(Vec::new());
        }
        // Names are a comfort: without them the codes are shown.
        let departments = self
            .ask::<DepartmentList>(None, &Everything {})
            .await
            .unwrap_or_default();
        let departments: BTreeMap<String, String> = departments
            .into_iter()
            .map(|Department { code, name, .. }| (code, name))
            .collect();
        let doctors = self
            .ask::<DoctorList>(None, &InDepartment::default())
            .await
            .unwrap_or_default();
        let doctors: BTreeMap<String, String> = doctors
            .into_iter()
            .map(|Doctor { code, name, .. }| (code, name))
            .collect();
        let visit = |v: RegisteredVisit| Visit {
            department: departments
                .get(&v.department_code)
                .cloned()
                .unwrap_or(v.department_code),
            doctor: doctors.get(&v.doctor_code).cloned().unwrap_or(v.doctor_code),
            time: format!("{}-{}", v.begin, v.end),
            order: v.his_order_number,
            state: v.state,
            stopped: v.stopped,
        };
        Ok(found.into_iter().map(visit).collect())
    }

    /// Reports in; the same registration again gives the same place.
    pub(crate) async fn check_in(&self, order: &str) -> Result<QueuePlace, Trouble> {
        let key = self.key(order).await.map_err(|error| {
            tracing::error!(%error, "the journal cannot be read; nobody was checked in");
            Trouble::Away
        })?;
        let request = CheckIn {
            his_order_number: order.to_owned(),
        };
        // What proved not to have happened is tried again here: nobody else would, a call is its caller's.
        let mut tries = TRIES;
        loop {
            let answer = self.ask::<RegistrationCheckIn>(Some(&key), &request).await;
            tries -= 1;
            if answer != Err(Trouble::Away) || tries == 0 {
                return answer;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The key of a check-in: one for the registration, and another after each refusal, because what was refused this
    /// morning (too early) may be right at noon.
    async fn key(&self, order: &str) -> Result<String, StoreError> {
        for n in 1..1_000_u32 {
            let key = format!("checkin.{order}.{n}");
            let asked = key.clone();
            let row = self.store.read(&self.scope, move |tx| {
                let key = asked.clone();
                Box::pin(async move { his::journal::by_key(tx, &key).await })
            });
            let row: Option<his::journal::Entry> = row.await?;
            if row.is_none_or(|r| r.work.state != his::journal::State::Refused) {
                return Ok(key);
            }
        }
        Ok(format!("checkin.{order}.1000"))
    }

    /// The place of somebody who has reported in.
    pub(crate) async fn place(&self, order: &str) -> Result<Option<QueuePlace>, Trouble> {
        let request = CheckIn {
            his_order_number: order.to_owned(),
        };
        self.ask::<RegistrationQueue>(None, &request).await
    }

    /// Reports, the newest first.
    pub(crate) async fn reports(&self, question: &HistoryQuestion) -> Result<Vec<Content>, Trouble> {
        let labs: Vec<LabReport> = self.ask::<LabReports>(None, question).await?;
        let exams: Vec<ExamReport> = self.ask::<ExamReports>(None, question).await?;
        let mut all: Vec<_> = labs.into_iter().map(|l| (l.reported_at, Content::Lab(l))).collect();
        all.extend(exams.into_iter().map(|e| (e.reported_at, Content::Exam(e))));
        all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        Ok(all.into_iter().map(|(_, content)| content).collect())
    }

    /// Prescriptions, the newest first.
    pub(crate) async fn prescriptions(&self, question: &HistoryQuestion) -> Result<Vec<Content>, Trouble> {
        let mut all: Vec<PastPrescription> = self.ask::<PastPrescriptions>(None, question).await?;
        all.sort_by_key(|p| std::cmp::Reverse(p.date));
        Ok(all.into_iter().map(Content::Prescription).collect())
    }

    /// What is to be paid.
    pub(crate) async fn bills(&self, person: &Person) -> Result<Vec<Bill>, Trouble> {
        let question = BillQuestion {
            his_patient_id: person.his_patient_id.clone(),
            prescription_number: None,
        };
        self.ask::<BillPendingList>(None, &question).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart_and_a_written_number_is_nobodys_card() {
        assert_eq!(
            Token::scanned("8000000001"),
            Ok(Token::HospitalCard("8000000001".to_owned()))
        );
        let voucher = format!("431100{:022}", 7_919);
        assert_eq!(Token::scanned(&voucher), Ok(Token::Insurance(voucher.clone())));
        for none in [
            "440524188001010014",
            "11010519491231002X",
            "https://example.com",
            "",
            "12345",
            "'; DROP TABLE",
        ] {
            assert!(Token::scanned(none).is_err(), "{none}");
        }
        assert!(!format!("{:?}", Token::scanned(&voucher)).contains("4311"));
    }
}
