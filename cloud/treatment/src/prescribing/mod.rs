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

pub mod arithmetic;
pub mod policy;
mod routes;
pub(crate) mod store;
pub(crate) mod view;

#[cfg(test)]
pub(crate) mod tests;

use records::id::{PrescriptionId, StaffId, VisitId};
use records::{Actor, Fen, LocalDate, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use routes::{announce, diagnoses, routes};
pub use view::PrescriptionView;

/// Where a prescription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// 草稿: being written.
    Draft,
    /// 已签名: signed by the doctor, not yet handed to the pharmacists.
    Signed,
    /// 待审方: in the pharmacists' queue.
    InReview,
    /// 审方通过: approved with a pharmacist's signature; on its way to the HIS.
    Approved,
    /// 已提交医院: the HIS has it and makes the bill.
    SentToHis,
    /// 待缴费: the bill is there.
    AwaitingPayment,
    /// 已缴费: paid at the channel; the HIS is being told.
    Paid,
    /// 调配中: the pharmacy is picking the drugs.
    Dispensing,
    /// 待取药: at the window.
    Ready,
    /// 配送中: with the courier.
    Shipped,
    /// 已取药: in the patient's hands.
    Collected,
    /// 审方未通过: rejected by the pharmacist, or refused by the HIS.
    Rejected,
    /// 已修改: replaced by a new prescription.
    Revised,
    /// 已申诉: the doctor objects to the rejection; the pharmacists look again.
    Appealed,
    /// 已撤销: taken back.
    Revoked,
    /// 已过期: past its last day.
    Expired,
}

impl State {
    /// Every state, in the order of a prescription's life.
    pub const ALL: [Self; 16] = [
        Self::Draft,
        Self::Signed,
        Self::InReview,
        Self::Approved,
        Self::SentToHis,
        Self::AwaitingPayment,
        Self::Paid,
        Self::Dispensing,
        Self::Ready,
        Self::Shipped,
        Self::Collected,
        Self::Rejected,
        Self::Revised,
        Self::Appealed,
        Self::Revoked,
        Self::Expired,
    ];

    /// The word in rows and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Signed => "signed",
            Self::InReview => "in_review",
            Self::Approved => "approved",
            Self::SentToHis => "sent_to_his",
            Self::AwaitingPayment => "awaiting_payment",
            Self::Paid => "paid",
            Self::Dispensing => "dispensing",
            Self::Ready => "ready",
            Self::Shipped => "shipped",
            Self::Collected => "collected",
            Self::Rejected => "rejected",
            Self::Revised => "revised",
            Self::Appealed => "appealed",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Draft => "草稿",
            Self::Signed => "已签名",
            Self::InReview => "待审方",
            Self::Approved => "审方通过",
            Self::SentToHis => "已提交医院",
            Self::AwaitingPayment => "待缴费",
            Self::Paid => "已缴费",
            Self::Dispensing => "调配中",
            Self::Ready => "待取药",
            Self::Shipped => "配送中",
            Self::Collected => "已取药",
            Self::Rejected => "审方未通过",
            Self::Revised => "已修改",
            Self::Appealed => "申诉中",
            Self::Revoked => "已撤销",
            Self::Expired => "已过期",
        }
    }

    /// The pharmacist's signature stands on it and it is valid for the patient.
    pub const fn is_effective(self) -> bool {
        matches!(
            self,
            Self::Approved
                | Self::SentToHis
                | Self::AwaitingPayment
                | Self::Paid
                | Self::Dispensing
                | Self::Ready
                | Self::Shipped
                | Self::Collected
        )
    }
}

::store::id_value!(State, Kind);

/// What can be done to a prescription. The names are the ward's verbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// The doctor signs (签名).
    Sign,
    /// Into the pharmacists' queue (提交审方).
    Submit,
    /// The pharmacist approves (审方通过).
    Approve,
    /// The pharmacist rejects (审方不通过).
    Reject,
    /// The doctor writes a new one instead (修改重开).
    Revise,
    /// The doctor objects (申诉).
    Appeal,
    /// The HIS took it (提交医院).
    Send,
    /// The HIS made the bill (生成账单).
    Bill,
    /// The channel has the money (缴费).
    Pay,
    /// The HIS took the payment; the pharmacy begins (调配).
    Dispense,
    /// Lies at the window (备好).
    Prepare,
    /// Given to the courier (发货).
    Ship,
    /// In the patient's hands (取药).
    Collect,
    /// The HIS refuses it (医院拒收).
    Decline,
    /// Taken back (撤销).
    Revoke,
    /// Its last day is over (过期).
    Expire,
}

impl Command {
    /// Every command.
    pub const ALL: [Self; 16] = [
        Self::Sign,
        Self::Submit,
        Self::Approve,
        Self::Reject,
        Self::Revise,
        Self::Appeal,
        Self::Send,
        Self::Bill,
        Self::Pay,
        Self::Dispense,
        Self::Prepare,
        Self::Ship,
        Self::Collect,
        Self::Decline,
        Self::Revoke,
        Self::Expire,
    ];

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Sign => "签名",
            Self::Submit => "提交审方",
            Self::Approve => "审方通过",
            Self::Reject => "审方不通过",
            Self::Revise => "修改重开",
            Self::Appeal => "申诉",
            Self::Send => "提交医院",
            Self::Bill => "生成账单",
            Self::Pay => "缴费",
            Self::Dispense => "调配",
            Self::Prepare => "备好",
            Self::Ship => "发货",
            Self::Collect => "取药",
            Self::Decline => "医院拒收",
            Self::Revoke => "撤销",
            Self::Expire => "过期",
        }
    }
}

/// The one place that says which command leads where.
pub const fn next(state: State, command: Command) -> Option<State> {
    use Command as C;
    use State as S;
    match (state, command) {
        (S::Draft, C::Sign) => Some(S::Signed),
        (S::Signed, C::Submit) => Some(S::InReview),
        (S::InReview | S::Appealed, C::Approve) => Some(S::Approved),
        (S::InReview | S::Appealed, C::Reject) | (S::Approved | S::SentToHis, C::Decline) => Some(S::Rejected),
        (S::Rejected, C::Revise) => Some(S::Revised),
        (S::Rejected, C::Appeal) => Some(S::Appealed),
        (S::Approved, C::Send) => Some(S::SentToHis),
        (S::SentToHis, C::Bill) => Some(S::AwaitingPayment),
        (S::AwaitingPayment, C::Pay) => Some(S::Paid),
        (S::Paid, C::Dispense) => Some(S::Dispensing),
        (S::Dispensing, C::Prepare) => Some(S::Ready),
        (S::Dispensing, C::Ship) => Some(S::Shipped),
        (S::Ready | S::Shipped, C::Collect) => Some(S::Collected),
        // The HIS refused a payment: the money goes back and the prescription with it.
        (S::Paid, C::Decline)
        | (
            S::Signed
            | S::InReview
            | S::Approved
            | S::SentToHis
            | S::AwaitingPayment
            | S::Dispensing
            | S::Rejected
            | S::Appealed,
            C::Revoke,
        ) => Some(S::Revoked),
        (
            S::Signed | S::InReview | S::Approved | S::SentToHis | S::AwaitingPayment | S::Rejected | S::Appealed,
            C::Expire,
        ) => Some(S::Expired),
        _ => None,
    }
}

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

/// A line of a prescription's history (处方轨迹).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// From.
    pub from: State,
    /// To.
    pub to: State,
    /// By which command.
    pub command: Command,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
    /// Why, in plain words.
    pub note: String,
}

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
    /// Price of one unit of the quantity.
    #[schema(value_type = i64)]
    pub price_fen: Fen,
    /// Amount.
    #[schema(value_type = i64)]
    pub amount_fen: Fen,
    /// The doctor's remark.
    pub note: String,
}

/// The herbal part.
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
    /// Sum of the lines.
    pub total_fen: Fen,
    /// Where it stands.
    pub state: State,
    /// When it was last written.
    pub written_at: Timestamp,
    /// Last day on which it may be paid and dispensed; set by the signature.
    pub valid_until: Option<LocalDate>,
}

impl Prescription {
    fn step(mut self, command: Command, at: Timestamp, by: &Actor, note: &str) -> Result<(Self, Event), Refusal> {
        let Some(to) = next(self.state, command) else {
            return Err(self.refuse(command, ""));
        };
        let event = Event {
            from: self.state,
            to,
            command,
            at,
            by: by.clone(),
            note: note.to_owned(),
        };
        self.state = to;
        Ok((self, event))
    }

    fn refuse(&self, command: Command, reason: &str) -> Refusal {
        Refusal {
            state: self.state,
            command,
            reason: reason.to_owned(),
        }
    }

    fn only_the_doctor(&self, command: Command, by: &Actor) -> Result<(), Refusal> {
        match by {
            Actor::Staff(id) if *id == self.doctor => Ok(()),
            Actor::Staff(_) => Err(self.refuse(command, "只有接诊医生本人可以操作")),
            _ => Err(self.refuse(command, "处方只能由医师本人开具，系统不得代开")),
        }
    }

    /// May `by` still change the draft? Nobody but the doctor, and no signed one.
    ///
    /// # Errors
    /// When signed already, or not the doctor's.
    pub fn may_edit(&self, by: &Actor) -> Result<(), Refusal> {
        self.only_the_doctor(Command::Sign, by)?;
        match self.state {
            State::Draft => Ok(()),
            _ => Err(self.refuse(Command::Sign, "已签名的处方不能再改，请撤销后重开")),
        }
    }

    /// 签名: the doctor's signature over the canonical document is verified and kept.
    ///
    /// # Errors
    /// In any state but draft, or by anyone but the treating doctor.
    pub fn sign(mut self, at: Timestamp, by: &Actor, valid_until: LocalDate) -> Result<(Self, Event), Refusal> {
        self.only_the_doctor(Command::Sign, by)?;
        if self.lines.is_empty() {
            return Err(self.refuse(Command::Sign, "处方没有药品"));
        }
        self.valid_until = Some(valid_until);
        self.step(Command::Sign, at, by, "")
    }

    /// 提交审方: into the queue, in the same unit of work as the signature.
    ///
    /// # Errors
    /// In any state but signed.
    pub fn submit(self, at: Timestamp, by: &Actor) -> Result<(Self, Event), Refusal> {
        self.step(Command::Submit, at, by, "")
    }

    /// 审方通过: the pharmacist's signature over the opinion is verified and kept.
    ///
    /// # Errors
    /// When not in review, after the last day, or by the doctor who wrote it.
    pub fn approve(self, at: Timestamp, by: &Actor, note: &str) -> Result<(Self, Event), Refusal> {
        self.not_the_doctor(Command::Approve, by)?;
        self.in_time(Command::Approve, at)?;
        self.step(Command::Approve, at, by, note)
    }

    /// 审方不通过.
    ///
    /// # Errors
    /// When not in review, or by the doctor who wrote it.
    pub fn reject(self, at: Timestamp, by: &Actor, note: &str) -> Result<(Self, Event), Refusal> {
        self.not_the_doctor(Command::Reject, by)?;
        self.step(Command::Reject, at, by, note)
    }

    fn not_the_doctor(&self, command: Command, by: &Actor) -> Result<(), Refusal> {
        match by {
            Actor::Staff(id) if *id == self.doctor => Err(self.refuse(command, "开方医生不能审自己的处方")),
            Actor::Staff(_) => Ok(()),
            _ => Err(self.refuse(command, "审方须由药师本人完成")),
        }
    }

    fn in_time(&self, command: Command, at: Timestamp) -> Result<(), Refusal> {
        match self.valid_until {
            Some(last) if at.local_date() > last => Err(self.refuse(command, "处方已过有效期")),
            _ => Ok(()),
        }
    }

    /// 修改重开: this one ends, a new draft (made by the caller) points at it.
    ///
    /// # Errors
    /// Unless rejected, or by anyone but the doctor.
    pub fn revise(self, at: Timestamp, by: &Actor, new: &PrescriptionId) -> Result<(Self, Event), Refusal> {
        self.only_the_doctor(Command::Revise, by)?;
        self.step(Command::Revise, at, by, &format!("新处方 {new}"))
    }

    /// 申诉: the doctor objects with reasons; the pharmacists decide again.
    ///
    /// # Errors
    /// Unless rejected, without a reason, or by anyone but the doctor.
    pub fn appeal(self, at: Timestamp, by: &Actor, reason: &str) -> Result<(Self, Event), Refusal> {
        self.only_the_doctor(Command::Appeal, by)?;
        if reason.trim().is_empty() {
            return Err(self.refuse(Command::Appeal, "请写明申诉理由"));
        }
        self.step(Command::Appeal, at, by, reason)
    }

    /// 提交医院: the HIS took prescription and number.
    ///
    /// # Errors
    /// Unless approved.
    pub fn send(self, at: Timestamp, his_number: &str) -> Result<(Self, Event), Refusal> {
        self.step(Command::Send, at, &Actor::His, &format!("院内处方号 {his_number}"))
    }

    /// 生成账单: the HIS's bill is there.
    ///
    /// # Errors
    /// Unless sent.
    pub fn bill(self, at: Timestamp, total: Fen) -> Result<(Self, Event), Refusal> {
        let note = if total == self.total_fen {
            format!("应付 {total} 元")
        } else {
            format!("应付 {total} 元（开方时 {} 元，以医院账单为准）", self.total_fen)
        };
        self.step(Command::Bill, at, &Actor::His, &note)
    }

    /// 缴费: the channel has the money.
    ///
    /// # Errors
    /// Unless the bill awaits payment; the caller then returns the money.
    pub fn pay(self, at: Timestamp, by: &Actor) -> Result<(Self, Event), Refusal> {
        self.step(Command::Pay, at, by, "")
    }

    /// 调配: the HIS confirmed the payment.
    ///
    /// # Errors
    /// Unless paid.
    pub fn dispense(self, at: Timestamp, collect_at: &str) -> Result<(Self, Event), Refusal> {
        self.step(Command::Dispense, at, &Actor::His, collect_at)
    }

    /// 备好: the slip is printed at the window.
    ///
    /// # Errors
    /// Unless dispensing.
    pub fn prepare(self, at: Timestamp, by: &Actor) -> Result<(Self, Event), Refusal> {
        self.step(Command::Prepare, at, by, "")
    }

    /// 发货: the courier has the parcel.
    ///
    /// # Errors
    /// Unless dispensing.
    pub fn ship(self, at: Timestamp, by: &Actor, waybill: &str) -> Result<(Self, Event), Refusal> {
        self.step(Command::Ship, at, by, waybill)
    }

    /// 取药: the patient has the drugs.
    ///
    /// # Errors
    /// Unless ready or shipped.
    pub fn collect(self, at: Timestamp, by: &Actor) -> Result<(Self, Event), Refusal> {
        self.step(Command::Collect, at, by, "")
    }

    /// 医院拒收: the HIS refuses prescription, opinion or payment, in its words.
    ///
    /// # Errors
    /// Unless something is on its way to the HIS.
    pub fn decline(self, at: Timestamp, words: &str) -> Result<(Self, Event), Refusal> {
        self.step(Command::Decline, at, &Actor::His, words)
    }

    /// 撤销: by the doctor, with a reason.
    ///
    /// # Errors
    /// In a state that has no way back, without a reason, or by anyone but the doctor.
    pub fn revoke(self, at: Timestamp, by: &Actor, reason: &str) -> Result<(Self, Event), Refusal> {
        self.only_the_doctor(Command::Revoke, by)?;
        if reason.trim().is_empty() {
            return Err(self.refuse(Command::Revoke, "请写明撤销原因"));
        }
        self.step(Command::Revoke, at, by, reason)
    }

    /// 过期: the last day is over.
    ///
    /// # Errors
    /// Before that, or once money has moved.
    pub fn expire(self, at: Timestamp) -> Result<(Self, Event), Refusal> {
        match self.valid_until {
            Some(last) if at.local_date() > last => self.step(Command::Expire, at, &Actor::System, "超过有效期"),
            _ => Err(self.refuse(Command::Expire, "尚在有效期内")),
        }
    }
}
