//! Canonical HIS operations: one model for every hospital. The names follow the interface families listed by the
//! tenders (92 interfaces); a hospital's own names live in its profile at the bridge.
//!
//! The table of operations is here; the shapes it names lie beside it, by what they are about.

mod bill;
mod catalogue;
mod history;
mod order;
mod patient;
mod prescription;
mod registration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use bill::*;
pub use catalogue::*;
pub use history::*;
pub use order::*;
pub use patient::*;
pub use prescription::*;
pub use registration::*;

/// One canonical operation: its name and the shapes of request and response.
pub trait Operation {
    /// Name on the line, e.g. `slot.lock`.
    const METHOD: &'static str;
    /// Whether it changes something in the HIS; such a call needs an idempotency key.
    const WRITES: bool;
    /// What is asked.
    type Request: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What is answered when done.
    type Response: Serialize + DeserializeOwned + Send + Sync + 'static;
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $method:literal, $writes:literal, $req:ty => $resp:ty;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub enum $name {}
            impl Operation for $name {
                const METHOD: &'static str = $method;
                const WRITES: bool = $writes;
                type Request = $req;
                type Response = $resp;
            }
        )*
        /// Every operation name, in the order of the annex.
        pub const METHODS: &[&str] = &[$($method),*];
    };
}

operations! {
    /// 患者信息查询 (annex 1).
    PatientQuery = "patient.query", false, PatientKey => Option<HisPatient>;
    /// 按就诊卡号查询患者 (annex 1, by card).
    PatientByCard = "patient.by_card", false, CardKey => Option<HisPatient>;
    /// 按医保电子凭证查询患者: the HIS has the short-lived code decoded by the insurance platform.
    PatientByInsurance = "patient.by_insurance_code", false, InsuranceCode => Option<HisPatient>;
    /// 首诊患者建档 (annex 2). Key: identity document and name.
    PatientCreate = "patient.create", true, NewPatient => HisPatient;
    /// 患者复诊校验 (annex 3).
    FollowUpCheck = "visit.followup_check", false, FollowUpQuestion => FollowUp;
    /// 科室信息查询 (annex 4).
    DepartmentList = "dict.department.list", false, Everything => Vec<Department>;
    /// 医生信息查询 (annex 5).
    DoctorList = "dict.doctor.list", false, InDepartment => Vec<Doctor>;
    /// 互联网医院号源查询 (annex 25).
    SlotList = "slot.list", false, SlotQuestion => Vec<Slot>;
    /// 互联网医院号源锁号 (annex 26). Key `order_number`; on timeout ask `registration.status`.
    SlotLock = "slot.lock", true, LockRequest => LockedSlot;
    /// 互联网医院锁号取消 (annex 27). Unlocking what is not locked is done.
    SlotUnlock = "slot.unlock", true, OrderEnd => Nothing;
    /// 互联网医院挂号支付 (annex 28). Key `order_number`; settled by `registration.status`.
    RegistrationConfirm = "registration.confirm_payment", true, RegistrationPayment => Registration;
    /// 互联网医院挂号状态查询 (annex 29), arbiter of lock, confirm and refund.
    RegistrationStatus = "registration.status", false, OrderQuestion => RegistrationState;
    /// 患者挂号记录 (annex 10, 29, by patient and days).
    RegistrationList = "registration.list", false, RegistrationsQuestion => Vec<RegisteredVisit>;
    /// 报到取号. Key of the registration; settled by `registration.queue`.
    RegistrationCheckIn = "registration.check_in", true, CheckIn => QueuePlace;
    /// 排队信息查询, arbiter of the check-in.
    RegistrationQueue = "registration.queue", false, CheckIn => Option<QueuePlace>;
    /// 互联网医院挂号退号退费 (annex 30, 31). Key `refund_number`.
    RegistrationRefund = "registration.refund", true, RefundRecord => RefundReceipt;
    /// 线上处方待缴费列表与详情 (annex 32, 33).
    BillPendingList = "bill.pending.list", false, BillQuestion => Vec<Bill>;
    /// 线上处方缴费支付 (annex 34). Key `order_number`; settled by `bill.status`.
    BillConfirm = "bill.confirm_payment", true, BillPayment => BillReceipt;
    /// 线上处方缴费退款 (annex 35). Key `refund_number`.
    BillRefund = "bill.refund", true, RefundRecord => RefundReceipt;
    /// 线上处方缴费状态查询 (annex 36).
    BillStatus = "bill.status", false, OrderQuestion => BillState;
    /// 检查报告列表与详情 (annex 53).
    ExamReports = "report.exam.list", false, HistoryQuestion => Vec<ExamReport>;
    /// Where the picture of an examination lies (检查报告详情, annex 53).
    ExamImage = "report.exam.image", false, ReportQuestion => FileAddress;
    /// 检验报告列表与详情 (annex 54).
    LabReports = "report.lab.list", false, HistoryQuestion => Vec<LabReport>;
    /// 查询院内就诊记录 (annex 55).
    VisitList = "visit.list", false, HistoryQuestion => Vec<PastVisit>;
    /// 院内处方记录 (with annex 55–57).
    PastPrescriptions = "visit.prescriptions", false, HistoryQuestion => Vec<PastPrescription>;
    /// 诊断项目列表 (annex 59), ICD-10.
    DiagnosisList = "dict.diagnosis.list", false, Everything => Vec<DiagnosisTerm>;
    /// 检查项目列表 (annex 61).
    ExamItemList = "dict.exam_item.list", false, Everything => Vec<ExamItem>;
    /// 新增检查处方 (annex 62, 可重发). Key `order_number`.
    ExamSubmit = "order.exam.submit", true, SubmittedOrder => OrderReceipt;
    /// 检查撤回 (annex 63, 可重发).
    ExamRevoke = "order.exam.revoke", true, OrderWithdrawal => Nothing;
    /// 检验物项目列表 (annex 64).
    SpecimenList = "dict.specimen.list", false, Everything => Vec<Specimen>;
    /// 检验项目列表 (annex 65).
    LabItemList = "dict.lab_item.list", false, Everything => Vec<LabTest>;
    /// 新增检验处方 (annex 66, 可重发). Key `order_number`.
    LabSubmit = "order.lab.submit", true, SubmittedOrder => OrderReceipt;
    /// 检验撤回 (annex 67, 可重发).
    LabRevoke = "order.lab.revoke", true, OrderWithdrawal => Nothing;
    /// 用药途径列表 (annex 68).
    RouteList = "dict.route.list", false, Everything => Vec<Term>;
    /// 用药频率列表 (annex 69).
    FrequencyList = "dict.frequency.list", false, Everything => Vec<Frequency>;
    /// 中药药品查询 (annex 70).
    HerbList = "dict.herb.list", false, Everything => Vec<Herb>;
    /// 西药药品查询 (annex 71).
    DrugList = "dict.drug.list", false, Everything => Vec<Drug>;
    /// 新增处方 (annex 75, 可重发). Key `prescription_number`.
    PrescriptionSubmit = "prescription.submit", true, SubmittedPrescription => PrescriptionReceipt;
    /// 处方审核 (annex 76, 可重发).
    PrescriptionReview = "prescription.review.push", true, PrescriptionOpinion => ReviewReceipt;
    /// 处方撤销 (annex 77, 可重发).
    PrescriptionRevoke = "prescription.revoke", true, PrescriptionWithdrawal => Nothing;
    /// 快递信息推送 (annex 78). Idempotent by waybill.
    DeliveryPush = "delivery.push", true, DeliveryNotice => Nothing;
}

/// No parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Everything {}

/// Nothing to tell beyond that it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}
