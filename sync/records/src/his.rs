//! Canonical HIS operations: one model for every hospital. The names follow the interface families listed by the
//! tenders (92 interfaces); a hospital's own names live in its profile at the bridge.
//!
//! One long file on purpose: the table of operations and the shapes it names are read together.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Fen, FenPerKg, LocalDate, Timestamp};

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

/// Who is looked for. The identity document is a resident identity card (GB 11643).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatientKey {
    /// Name as on the document.
    pub name: String,
    /// 18-character identity card number.
    pub id_number: String,
}

/// A patient as the HIS knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HisPatient {
    /// `patId` of the HIS.
    pub his_patient_id: String,
    /// Name.
    pub name: String,
    /// `M`, `F` or `U` (FHIR administrative gender by HL7 table 0001).
    pub sex: String,
    /// Day of birth.
    pub birth_date: LocalDate,
    /// Identity card number.
    pub id_number: String,
    /// Mobile phone, if known.
    pub phone: String,
    /// In-house card number, if any.
    pub card_number: String,
}

/// A patient to be created in the HIS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPatient {
    /// Name as on the document.
    pub name: String,
    /// 18-character identity card number.
    pub id_number: String,
    /// `M` or `F`.
    pub sex: String,
    /// Day of birth.
    pub birth_date: LocalDate,
    /// Mobile phone.
    pub phone: String,
    /// Guardian's name for a child.
    #[serde(default)]
    pub guardian_name: Option<String>,
    /// Guardian's identity card number for a child.
    #[serde(default)]
    pub guardian_id_number: Option<String>,
}

/// May this patient be seen online as a returning patient?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUpQuestion {
    /// `patId` of the HIS.
    pub his_patient_id: String,
    /// Department the patient chooses.
    pub department_code: String,
    /// Configured period in days.
    pub within_days: u32,
}

/// Answer to [`FollowUpQuestion`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUp {
    /// Whether the patient was seen in this department within the period.
    pub eligible: bool,
    /// The HIS's words when not.
    pub reason: String,
    /// The visit it rests on.
    pub last_visit: Option<PastVisit>,
}

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

/// Pending bills of a patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillQuestion {
    /// Patient in the HIS.
    pub his_patient_id: String,
    /// Only the bill of this prescription of ours.
    pub prescription_number: Option<String>,
}

/// A bill to be paid (待缴费).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// `mzFeeId`.
    pub bill_id: String,
    /// Our prescription number, when it stems from one.
    pub prescription_number: Option<String>,
    /// Sum.
    pub total_fen: Fen,
    /// Lines.
    pub items: Vec<BillItem>,
}

/// A line of a bill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillItem {
    /// Name.
    pub name: String,
    /// Specification.
    pub specification: String,
    /// Quantity with unit, as text.
    pub quantity: String,
    /// Amount.
    pub amount_fen: Fen,
}

/// The patient has paid bills.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillPayment {
    /// Our order number: the payment id.
    pub order_number: String,
    /// Patient in the HIS.
    pub his_patient_id: String,
    /// Bills paid.
    pub bill_ids: Vec<String>,
    /// The channel's transaction number.
    pub channel_number: String,
    /// What was paid.
    pub amount_fen: Fen,
    /// When.
    pub paid_at: Timestamp,
}

/// A paid bill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillReceipt {
    /// The HIS's order number.
    pub his_order_number: String,
    /// Receipt number.
    pub receipt_number: String,
    /// Where to collect (取药窗口).
    pub collect_at: String,
}

/// How a bill order stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillState {
    /// `Absent`, `Unpaid`, `Paid` or `Refunded`.
    pub state: HisOrderState,
    /// The HIS's order number.
    pub his_order_number: Option<String>,
    /// Receipt number.
    pub receipt_number: Option<String>,
    /// Where to collect.
    pub collect_at: Option<String>,
    /// The HIS's refund number when refunded.
    #[serde(default)]
    pub his_refund_number: Option<String>,
}

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

/// A coded term.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// Code in the HIS.
    pub code: String,
    /// Name.
    pub name: String,
}

/// A frequency of taking (频次).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frequency {
    /// Code, e.g. `BID`.
    pub code: String,
    /// Name, e.g. 每日两次.
    pub name: String,
    /// Times in `per_days` days.
    pub times: u32,
    /// Days the times are counted over (1 for daily, 7 for weekly).
    pub per_days: u32,
}

/// A diagnosis that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiagnosisTerm {
    /// ICD-10 code.
    pub code: String,
    /// Name.
    pub name: String,
    /// Initials of the pinyin, upper case.
    pub pinyin: String,
}

/// A western drug of the hospital's catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drug {
    /// Code in the HIS.
    pub code: String,
    /// Common name (通用名).
    pub name: String,
    /// Initials of the pinyin, upper case.
    pub pinyin: String,
    /// Specification as printed, e.g. `5mg*28片`.
    pub specification: String,
    /// Amount of active substance in one minimal unit, in `dose_unit`, as decimal text, e.g. `5`.
    pub dose_per_min_unit: String,
    /// Unit of a dose, e.g. `mg`.
    pub dose_unit: String,
    /// Minimal unit, e.g. 片.
    pub min_unit: String,
    /// Unit in which it is dispensed, e.g. 盒.
    pub pack_unit: String,
    /// Minimal units in one pack.
    pub pack_size: u32,
    /// Price of one pack.
    pub price_fen: Fen,
    /// Manufacturer.
    pub manufacturer: String,
    /// Usual route.
    #[serde(default)]
    pub default_route_code: Option<String>,
    /// Usual frequency.
    #[serde(default)]
    pub default_frequency_code: Option<String>,
    /// Largest single dose in `dose_unit`, as decimal text, when the catalogue knows it.
    #[serde(default)]
    pub max_single_dose: Option<String>,
    /// Control class.
    pub control: DrugControl,
    /// The hospital bars it online.
    pub barred_online: bool,
    /// Code in the national insurance catalogue.
    #[serde(default)]
    pub insurance_code: Option<String>,
}

/// Control class of a drug (麻醉、精神、毒性 …).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrugControl {
    /// None.
    None,
    /// 麻醉药品.
    Narcotic,
    /// 第一类精神药品.
    PsychotropicOne,
    /// 第二类精神药品.
    PsychotropicTwo,
    /// 医疗用毒性药品.
    Toxic,
    /// 抗菌药物 (allowed online, shown to the pharmacist).
    Antibiotic,
}

/// A herb of the hospital's catalogue (中药饮片).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Herb {
    /// Code in the HIS.
    pub code: String,
    /// Name.
    pub name: String,
    /// Initials of the pinyin, upper case.
    pub pinyin: String,
    /// Price, exact.
    pub price_fen_per_kg: FenPerKg,
    /// Largest usual dose in grams per dose, when known.
    #[serde(default)]
    pub max_dose_g: Option<u32>,
    /// Toxic (毒性饮片).
    pub toxic: bool,
}

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
