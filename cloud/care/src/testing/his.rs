//! The scripted HIS: books of its own, and misbehaviour on command.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base::Hospital;
use records::his::*;
use records::picture::Picture;
use records::{Fen, LocalDate, Outcome, TenantId, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::MORNING;

/// How the next call or command of a kind goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It does not happen; nobody knows.
    SilentBefore,
    /// It happens; nobody knows.
    SilentAfter,
    /// It does not happen, and that is said.
    Later,
    /// Refused.
    Refuse(&'static str),
    /// Nobody can find out (commands only).
    NeedsHand,
}

#[derive(Clone, Debug)]
pub(crate) struct HisOrder {
    pub(crate) state: HisOrderState,
    pub(crate) fee: Fen,
    pub(crate) refund: Option<String>,
}

#[derive(Default)]
pub(crate) struct HisBooks {
    pub(crate) offline: bool,
    pub(crate) slots: Vec<Slot>,
    pub(crate) orders: HashMap<String, HisOrder>,
    pub(crate) known: HashMap<String, String>,
    /// Names that patients were asked for by.
    pub(crate) names: Vec<String>,
    pub(crate) eligible: bool,
    /// The visit that the follow-up check rests on.
    pub(crate) last_visit: Option<PastVisit>,
    pub(crate) fee_surprise: Option<Fen>,
    pub(crate) lock_ends: Option<Timestamp>,
    faults: Vec<(&'static str, Fault)>,
    /// Files the appliance has sent up.
    pub(crate) files: HashMap<String, Vec<u8>>,
    pub(crate) calls: Vec<String>,
    pub(crate) commands: Vec<String>,
}

/// The scripted HIS with its own books.
#[derive(Default)]
pub(crate) struct Bench(Mutex<HisBooks>);

impl Bench {
    pub(crate) fn books(&self) -> MutexGuard<'_, HisBooks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn spoil(&self, method: &'static str, fault: Fault) {
        self.books().faults.push((method, fault));
    }

    pub(super) fn fault(&self, method: &str) -> Option<Fault> {
        let mut books = self.books();
        let at = books.faults.iter().position(|(m, _)| *m == method)?;
        Some(books.faults.remove(at).1)
    }

    pub(crate) fn order(&self, visit: &str) -> Option<HisOrder> {
        self.books().orders.get(visit).cloned()
    }

    fn lock(&self, request: &LockRequest) -> Outcome<Value> {
        let mut books = self.books();
        if let Some(order) = books.orders.get(&request.order_number) {
            let answer = locked(&request.order_number, order.fee, books.lock_ends);
            return done(answer);
        }
        let fee = books.fee_surprise.unwrap_or(request.fee_fen);
        let Some(slot) = books.slots.iter_mut().find(|s| s.work_id == request.work_id) else {
            return Outcome::refused("no_slot", "号源不存在");
        };
        if slot.left == 0 {
            return Outcome::refused("slot_full", "号源已满");
        }
        slot.left -= 1;
        let order = HisOrder {
            state: HisOrderState::Unpaid,
            fee,
            refund: None,
        };
        books.orders.insert(request.order_number.clone(), order);
        done(locked(&request.order_number, fee, books.lock_ends))
    }

    fn unlock(&self, request: &OrderEnd) -> Outcome<Value> {
        let mut books = self.books();
        if let Some(order) = books.orders.get_mut(&request.order_number)
            && order.state == HisOrderState::Unpaid
        {
            order.state = HisOrderState::Cancelled;
            if let Some(slot) = books.slots.first_mut() {
                slot.left += 1;
            }
        }
        done(Nothing {})
    }

    fn confirm(&self, request: &RegistrationPayment) -> Outcome<Value> {
        let mut books = self.books();
        let Some(order) = books.orders.get_mut(&request.order_number) else {
            return Outcome::refused("no_order", "订单不存在");
        };
        match order.state {
            HisOrderState::Unpaid | HisOrderState::Paid if order.fee == request.amount_fen => {
                order.state = HisOrderState::Paid;
                done(Registration {
                    his_order_number: format!("H-{}", request.order_number),
                    receipt_number: "R1".to_owned(),
                    serial_number: "7".to_owned(),
                })
            }
            _ => Outcome::refused("his_-1", "订单状态不允许支付"),
        }
    }

    fn refund(&self, request: &RefundRecord) -> Outcome<Value> {
        let mut books = self.books();
        let Some(order) = books.orders.get_mut(&request.order_number) else {
            return Outcome::refused("no_order", "订单不存在");
        };
        match order.state {
            HisOrderState::Paid | HisOrderState::Refunded if request.his_order_number.starts_with("H-") => {
                order.state = HisOrderState::Refunded;
                order.refund = Some(request.refund_number.clone());
                done(RefundReceipt {
                    his_refund_number: format!("HR-{}", request.refund_number),
                })
            }
            _ => Outcome::refused("his_-1", "订单未支付"),
        }
    }

    fn status(&self, request: &OrderQuestion) -> Outcome<Value> {
        let books = self.books();
        let order = books.orders.get(&request.order_number);
        done(RegistrationState {
            state: order.map_or(HisOrderState::Absent, |o| o.state),
            his_order_number: order.map(|_| format!("H-{}", request.order_number)),
            fee_fen: order.map(|o| o.fee),
            expires_at: books.lock_ends,
            receipt_number: None,
            his_refund_number: None,
        })
    }

    pub(super) fn answer(&self, method: &str, body: Value) -> Outcome<Value> {
        fn read<T: serde::de::DeserializeOwned>(body: Value) -> T {
            serde_json::from_value(body).expect("a canonical request")
        }
        match method {
            "patient.query" => {
                let key: PatientKey = read(body);
                self.books().names.push(key.name.clone());
                done(self.books().known.get(&key.id_number).map(|id| HisPatient {
                    his_patient_id: id.clone(),
                    name: key.name.clone(),
                    sex: "F".to_owned(),
                    birth_date: LocalDate::parse("1949-12-31").expect("a day"),
                    id_number: key.id_number.clone(),
                    phone: String::new(),
                    card_number: String::new(),
                }))
            }
            "patient.create" => {
                let new: NewPatient = read(body);
                let id = format!("P-{}", &new.id_number[14..]);
                self.books().known.insert(new.id_number.clone(), id.clone());
                done(HisPatient {
                    his_patient_id: id,
                    name: new.name,
                    sex: new.sex,
                    birth_date: new.birth_date,
                    id_number: new.id_number,
                    phone: new.phone,
                    card_number: String::new(),
                })
            }
            "visit.followup_check" => {
                let books = self.books();
                done(FollowUp {
                    eligible: books.eligible,
                    reason: String::new(),
                    last_visit: books.last_visit.clone(),
                })
            }
            "slot.list" => done(self.books().slots.clone()),
            "slot.lock" => self.lock(&read(body)),
            "slot.unlock" => self.unlock(&read(body)),
            "registration.status" => self.status(&read(body)),
            "registration.confirm_payment" => self.confirm(&read(body)),
            "registration.refund" => self.refund(&read(body)),
            "dict.department.list" => done(departments()),
            "dict.doctor.list" => done(doctors()),
            "dict.diagnosis.list" => done(diagnoses()),
            "visit.list" => done(vec![past_visit()]),
            "report.exam.list" => done(vec![exam("JC1", "http://pacs.local/JC1.png"), exam("JC2", "")]),
            "picture.exam" => {
                let digest = format!("sha256:{}", "0".repeat(64));
                let picture = Picture {
                    digest: digest.clone(),
                    media_type: "image/png".to_owned(),
                };
                self.books().files.insert(digest, b"\x89PNG\r\n\x1a\n".to_vec());
                done(picture)
            }
            other => Outcome::refused("no_such_method", other),
        }
    }
}

fn done(answer: impl Serialize) -> Outcome<Value> {
    Outcome::Done(serde_json::to_value(answer).expect("JSON"))
}

fn locked(order: &str, fee: Fen, ends: Option<Timestamp>) -> LockedSlot {
    LockedSlot {
        his_order_number: format!("H-{order}"),
        fee_fen: fee,
        expires_at: ends,
    }
}

fn exam(number: &str, image: &str) -> ExamReport {
    ExamReport {
        report_number: number.to_owned(),
        name: "胸部正位片".to_owned(),
        part: "胸部".to_owned(),
        reported_at: Timestamp::parse(MORNING).expect("an instant"),
        department_name: "放射科".to_owned(),
        findings: "双肺纹理清晰".to_owned(),
        opinion: "未见异常".to_owned(),
        image: image.to_owned(),
    }
}

pub(crate) fn past_visit() -> PastVisit {
    PastVisit {
        visit_number: "V1".to_owned(),
        date: LocalDate::parse("2026-10-01").expect("a day"),
        department_code: "0301".to_owned(),
        department_name: "心血管内科".to_owned(),
        doctor_name: "王医生".to_owned(),
        diagnoses: vec![Diagnosis {
            code: "I10".to_owned(),
            name: "高血压".to_owned(),
            main: true,
        }],
    }
}

fn departments() -> Vec<Department> {
    [("0301", "心血管内科"), ("0302", "内分泌科")]
        .map(|(code, name)| Department {
            code: code.to_owned(),
            name: name.to_owned(),
            description: String::new(),
            location: "门诊三楼".to_owned(),
        })
        .to_vec()
}

fn doctors() -> Vec<Doctor> {
    [
        ("D01", "王医生", "0301"),
        ("D02", "李医生", "0301"),
        ("D03", "张医生", "0302"),
    ]
    .map(|(code, name, department)| Doctor {
        code: code.to_owned(),
        name: name.to_owned(),
        title: "主任医师".to_owned(),
        department_code: department.to_owned(),
        skill: "高血压".to_owned(),
        introduction: String::new(),
    })
    .to_vec()
}

fn diagnoses() -> Vec<DiagnosisTerm> {
    [
        ("I10.x00", "原发性高血压", "YFXGXY"),
        ("E11.900", "2型糖尿病", "EXTNB"),
        ("J06.900", "急性上呼吸道感染", "JXSHXDGR"),
    ]
    .map(|(code, name, pinyin)| DiagnosisTerm {
        code: code.to_owned(),
        name: name.to_owned(),
        pinyin: pinyin.to_owned(),
    })
    .to_vec()
}

pub(crate) fn slot(work: &str, date: &str, begin: &str, end: &str, left: u32) -> Slot {
    Slot {
        work_id: work.to_owned(),
        doctor_code: "D01".to_owned(),
        doctor_name: "王医生".to_owned(),
        doctor_title: "主任医师".to_owned(),
        department_code: "0301".to_owned(),
        date: LocalDate::parse(date).expect("a day"),
        period: "am".to_owned(),
        begin: begin.to_owned(),
        end: end.to_owned(),
        left,
        total: 10,
        fee_fen: Fen(2500),
        stopped: false,
    }
}

#[async_trait]
impl Hospital for Bench {
    async fn call_raw(&self, _: &TenantId, method: &str, _: Option<&str>, _: Duration, body: Value) -> Outcome<Value> {
        self.books().calls.push(method.to_owned());
        if self.books().offline {
            return Outcome::Later { after_ms: 1000 };
        }
        match self.fault(method) {
            None | Some(Fault::NeedsHand) => self.answer(method, body),
            Some(Fault::SilentBefore) => Outcome::Unknown,
            Some(Fault::SilentAfter) => {
                let _ = self.answer(method, body);
                Outcome::Unknown
            }
            Some(Fault::Later) => Outcome::Later { after_ms: 1 },
            Some(Fault::Refuse(words)) => Outcome::refused("his_-1", words),
        }
    }

    async fn online(&self, _: &TenantId) -> bool {
        !self.books().offline
    }

    async fn take_file(&self, digest: &str) -> Option<Vec<u8>> {
        self.books().files.remove(digest)
    }
}
