//! Departments, doctors, slots, and the registration of a visit (annex 4, 5, 25–31).

use serde::{Deserialize, Serialize};

use crate::{Fen, LocalDate, Timestamp};

/// A department (科室).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Department {
    /// Code in the HIS.
    pub code: String,
    /// Name.
    pub name: String,
    /// Description.
    #[serde(default)]
    pub description: String,
    /// Location in the hospital.
    #[serde(default)]
    pub location: String,
}

/// Doctors of which department.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InDepartment {
    /// Department, or all.
    pub department_code: Option<String>,
}

/// A doctor as the HIS knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doctor {
    /// Code in the HIS.
    pub code: String,
    /// Name.
    pub name: String,
    /// Title (职称).
    pub title: String,
    /// Department.
    pub department_code: String,
    /// What they are good at.
    #[serde(default)]
    pub skill: String,
    /// Introduction.
    #[serde(default)]
    pub introduction: String,
}

/// Which slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotQuestion {
    /// Department.
    pub department_code: String,
    /// One doctor, or all.
    pub doctor_code: Option<String>,
    /// First day.
    pub from: LocalDate,
    /// Last day.
    pub to: LocalDate,
}

/// A bookable time of a doctor (号源, FHIR Slot).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Shift in the HIS (`workId`).
    pub work_id: String,
    /// Doctor.
    pub doctor_code: String,
    /// Doctor's name.
    pub doctor_name: String,
    /// Doctor's title.
    pub doctor_title: String,
    /// Department.
    pub department_code: String,
    /// Day.
    pub date: LocalDate,
    /// `am`, `pm`, `night` or `day`.
    pub period: String,
    /// Begin, `HH:MM`.
    pub begin: String,
    /// End, `HH:MM`.
    pub end: String,
    /// Places left.
    pub left: u32,
    /// Places altogether.
    pub total: u32,
    /// Registration and treatment fee together.
    pub fee_fen: Fen,
    /// The clinic was stopped (停诊).
    pub stopped: bool,
}

/// Lock one place of a slot for an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRequest {
    /// Our order number (`psOrdNum`): the visit id.
    pub order_number: String,
    /// Patient in the HIS.
    pub his_patient_id: String,
    /// Shift.
    pub work_id: String,
    /// Department.
    pub department_code: String,
    /// Doctor.
    pub doctor_code: String,
    /// Day.
    pub date: LocalDate,
    /// Begin, `HH:MM`.
    pub begin: String,
    /// End, `HH:MM`.
    pub end: String,
    /// Fee that was shown to the patient.
    pub fee_fen: Fen,
}

/// A locked place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedSlot {
    /// The HIS's order number (`hisOrdNum`).
    pub his_order_number: String,
    /// The real fee for this patient.
    pub fee_fen: Fen,
    /// When the HIS lets the lock go, if it says so.
    pub expires_at: Option<Timestamp>,
}

/// End an unpaid order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderEnd {
    /// Our order number.
    pub order_number: String,
    /// The HIS's order number, if we learned it.
    pub his_order_number: Option<String>,
    /// Why.
    pub reason: String,
}

/// The patient has paid a registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationPayment {
    /// Our order number.
    pub order_number: String,
    /// The HIS's order number.
    pub his_order_number: String,
    /// The channel's transaction number (`agtOrdNum`).
    pub channel_number: String,
    /// What was paid.
    pub amount_fen: Fen,
    /// When.
    pub paid_at: Timestamp,
}

/// A confirmed registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The HIS's order number.
    pub his_order_number: String,
    /// Receipt number.
    pub receipt_number: String,
    /// Number in the queue.
    pub serial_number: String,
}

/// Ask about an order of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderQuestion {
    /// Our order number.
    pub order_number: String,
}

/// How an order stands in the HIS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationState {
    /// State.
    pub state: HisOrderState,
    /// The HIS's order number, when the order exists.
    pub his_order_number: Option<String>,
    /// Fee of the order.
    pub fee_fen: Option<Fen>,
    /// End of an unpaid lock.
    pub expires_at: Option<Timestamp>,
    /// Receipt number when paid.
    pub receipt_number: Option<String>,
    /// The HIS's refund number when refunded.
    pub his_refund_number: Option<String>,
}

/// Registrations of a patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationsQuestion {
    /// Patient in the HIS.
    pub his_patient_id: String,
    /// First day.
    pub from: LocalDate,
    /// Last day.
    pub to: LocalDate,
}

/// A registration with its time, as the HIS lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredVisit {
    /// The HIS's order number.
    pub his_order_number: String,
    /// State.
    pub state: HisOrderState,
    /// Department.
    pub department_code: String,
    /// Doctor.
    pub doctor_code: String,
    /// Day.
    pub date: LocalDate,
    /// Begin, `HH:MM`.
    pub begin: String,
    /// End, `HH:MM`.
    pub end: String,
    /// The clinic was stopped (停诊).
    pub stopped: bool,
}

/// A patient reports in for a registration (报到).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckIn {
    /// The HIS's order number.
    pub his_order_number: String,
}

/// A place in the queue (排队号).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePlace {
    /// Number that is called.
    pub queue_number: String,
    /// Where to wait.
    pub room: String,
    /// People before, when the HIS counts them.
    pub waiting: Option<u32>,
    /// When the number was taken.
    pub taken_at: Option<Timestamp>,
}

/// States of a HIS order (医享 family: 1 未付 2 已付 3 取消 4 超时 5 已取号 6 已就诊 7 过期 8 已退费).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HisOrderState {
    /// The HIS has no such order.
    Absent,
    /// Locked and unpaid.
    Unpaid,
    /// Paid.
    Paid,
    /// Cancelled.
    Cancelled,
    /// The lock ran out.
    TimedOut,
    /// Checked in at the counter.
    CheckedIn,
    /// Seen.
    Seen,
    /// The day has passed.
    Expired,
    /// Refunded.
    Refunded,
}

/// A refund that the channel has made, to be written back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRecord {
    /// Our order number: visit id for a registration, payment id for a bill.
    pub order_number: String,
    /// The HIS's order number.
    pub his_order_number: String,
    /// Our refund number (`psRefOrdNum`).
    pub refund_number: String,
    /// The channel's refund number (`agtRefOrdNum`).
    pub channel_refund_number: String,
    /// What was refunded.
    pub amount_fen: Fen,
    /// When.
    pub refunded_at: Timestamp,
    /// Why.
    pub reason: String,
}

/// The HIS has taken a refund into its books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundReceipt {
    /// The HIS's refund number (`hisRefOrdNum`).
    pub his_refund_number: String,
}
