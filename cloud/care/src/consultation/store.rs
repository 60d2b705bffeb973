//! SQL of visits and their trail. The patient's words are sealed; the columns beside them are what lists need.

use base::{Page, Session, Vault, Who};
use records::id::{AccountId, PatientId, VisitId};
use records::{Fen, HisCommand, HisCommandResult, LocalDate, Outcome, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Migration, StoreError, Tx};
use utoipa::ToSchema;

use super::{Event, HisSide, Progress, VisitState};
use crate::CareError;
use crate::patients;

store::id_value!(VisitState, HisSide);

pub(crate) const MIGRATION: Migration = Migration {
    name: "care/0005_visits",
    sql: "
CREATE TABLE care_visit (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL,
  account_id TEXT NOT NULL, patient_id TEXT NOT NULL, request_key TEXT NOT NULL,
  purpose TEXT NOT NULL CHECK (purpose IN ('follow_up','renew_prescription')),
  department_code TEXT NOT NULL, department_name TEXT NOT NULL,
  doctor_code TEXT NOT NULL, doctor_name TEXT NOT NULL, doctor_title TEXT NOT NULL,
  work_id TEXT NOT NULL, slot_date TEXT NOT NULL, slot_period TEXT NOT NULL, slot_begin TEXT NOT NULL, slot_end TEXT NOT NULL,
  fee_fen BIGINT NOT NULL CHECK (fee_fen >= 0),
  state TEXT NOT NULL CHECK (state IN ('locking','lock_unknown','awaiting_payment','confirming','waiting','checked_in',
    'in_progress','finished','declined','withdrawn','cancelled','stopped','expired','refunding','refunded','manual')),
  ended_as TEXT, his TEXT NOT NULL, closing_as TEXT, message TEXT,
  his_order_number TEXT, receipt_number TEXT, serial_number TEXT,
  pay_until BIGINT,
  consent_id TEXT NOT NULL, consent_version BIGINT NOT NULL, consent_sm3 TEXT NOT NULL,
  statement BLOB NOT NULL, photos TEXT NOT NULL, eligibility TEXT NOT NULL,
  created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
  checked_in_at BIGINT, accepted_at BIGINT, finished_at BIGINT,
  rating TEXT, tells BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, account_id, request_key),
  CHECK (state NOT IN ('awaiting_payment','confirming','waiting','checked_in','in_progress','finished') OR his_order_number IS NOT NULL),
  CHECK (state <> 'awaiting_payment' OR pay_until IS NOT NULL),
  CHECK (state NOT IN ('in_progress','finished') OR accepted_at IS NOT NULL)
);
CREATE INDEX care_visit_by_account ON care_visit (tenant_id, account_id, created_at);
CREATE INDEX care_visit_by_doctor ON care_visit (tenant_id, doctor_code, state, slot_date, slot_begin);
CREATE INDEX care_visit_by_state ON care_visit (tenant_id, state, updated_at);
CREATE INDEX care_visit_by_slot ON care_visit (tenant_id, doctor_code, slot_date);
CREATE INDEX care_visit_by_time ON care_visit (tenant_id, created_at);
CREATE TABLE care_visit_trail (
  tenant_id TEXT NOT NULL, visit_id TEXT NOT NULL, seq BIGINT NOT NULL,
  at BIGINT NOT NULL, actor TEXT NOT NULL, word TEXT NOT NULL,
  from_state TEXT NOT NULL, to_state TEXT NOT NULL, note TEXT NOT NULL,
  PRIMARY KEY (tenant_id, visit_id, seq)
);
CREATE TABLE care_order (
  tenant_id TEXT NOT NULL, key TEXT NOT NULL, visit_id TEXT NOT NULL, method TEXT NOT NULL,
  ordered_at BIGINT NOT NULL, settled_at BIGINT, outcome TEXT,
  PRIMARY KEY (tenant_id, key)
);
CREATE INDEX care_order_by_visit ON care_order (tenant_id, visit_id);
",
};

/// What brings the patient here, in their own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Statement {
    /// 主诉.
    pub complaint: String,
    /// How long it has lasted.
    #[serde(default)]
    pub duration: String,
    /// 既往史.
    #[serde(default)]
    pub history: String,
    /// 过敏史.
    #[serde(default)]
    pub allergies: String,
    /// 用药情况.
    #[serde(default)]
    pub medications: String,
}

/// The patient's judgement after the visit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rating {
    /// Attitude, 1 to 5.
    pub attitude: u8,
    /// Professional skill, 1 to 5.
    pub professional: u8,
    /// Speed of answers, 1 to 5.
    pub speed: u8,
    /// Words.
    #[serde(default)]
    pub comment: String,
}

store::row! {
    /// A visit as it is stored. The statement is sealed.
    #[derive(Clone, Debug)]
    pub struct Visit {
        /// Id; also the HIS's `psOrdNum`.
        pub id: VisitId,
        /// Who booked.
        pub account_id: AccountId,
        /// For whom.
        pub patient_id: PatientId,
        /// `follow_up` or `renew_prescription`.
        pub purpose: String,
        /// Department.
        pub department_code: String,
        /// Its name.
        pub department_name: String,
        /// Doctor's code in the HIS.
        pub doctor_code: String,
        /// Doctor's name.
        pub doctor_name: String,
        /// Doctor's title.
        pub doctor_title: String,
        /// Shift.
        pub work_id: String,
        /// Day.
        pub slot_date: LocalDate,
        /// `am`, `pm`, `night`, `day`.
        pub slot_period: String,
        /// Begin, `HH:MM`.
        pub slot_begin: String,
        /// End, `HH:MM`.
        pub slot_end: String,
        /// Fee.
        pub fee_fen: Fen,
        /// State.
        pub state: VisitState,
        /// As what it ended before the money went back.
        pub ended_as: Option<VisitState>,
        /// What the HIS knows.
        pub his: HisSide,
        /// As what it will end unpaid.
        pub closing_as: Option<VisitState>,
        /// Words for the patient.
        pub message: Option<String>,
        /// The HIS's order number.
        pub his_order_number: Option<String>,
        /// Receipt number.
        pub receipt_number: Option<String>,
        /// Number in the HIS's queue.
        pub serial_number: Option<String>,
        /// Until when it may be paid.
        pub pay_until: Option<Timestamp>,
        /// Consent accepted.
        pub consent_id: String,
        /// Its version.
        pub consent_version: u32,
        /// SM3 of the text accepted.
        pub consent_sm3: String,
        /// Sealed [`Statement`].
        pub(crate) statement: Vec<u8>,
        /// Photos (JSON list of blob ids).
        pub(crate) photos: serde_json::Value,
        /// What the HIS answered to the eligibility question (JSON).
        pub(crate) eligibility: serde_json::Value,
        /// When it was booked.
        pub created_at: Timestamp,
        /// When it last moved.
        pub updated_at: Timestamp,
        /// 报到.
        pub checked_in_at: Option<Timestamp>,
        /// 接诊.
        pub accepted_at: Option<Timestamp>,
        /// 结束.
        pub finished_at: Option<Timestamp>,
        /// JSON of [`Rating`].
        pub(crate) rating: Option<serde_json::Value>,
        /// How often the HIS was told of the payment.
        pub(crate) tells: i64,
    }
}

pub(crate) const SEALED_STATEMENT: &str = "visit.statement";

impl Visit {
    /// Where it stands.
    pub fn progress(&self) -> Progress {
        Progress {
            state: self.state,
            ended_as: self.ended_as,
            his: self.his,
            closing_as: self.closing_as,
            message: self.message.clone(),
        }
    }

    /// The patient's words.
    ///
    /// # Errors
    /// When they do not open.
    pub fn statement(&self, vault: &Vault, tenant: &records::TenantId) -> Result<Statement, CareError> {
        let plain = vault.open(tenant, SEALED_STATEMENT, &self.statement)?;
        serde_json::from_slice(&plain).map_err(|_| CareError::Damaged)
    }

    /// Photos the patient added.
    pub fn photos(&self) -> Vec<String> {
        serde_json::from_value(self.photos.clone()).unwrap_or_default()
    }

    /// The patient's judgement.
    pub fn rating(&self) -> Option<Rating> {
        serde_json::from_value(self.rating.clone()?).ok()
    }

    /// Begin of the slot.
    pub fn begins_at(&self) -> Timestamp {
        self.slot_date.at(&self.slot_begin).unwrap_or_else(|| self.slot_date.start())
    }

    /// End of the slot.
    pub fn ends_at(&self) -> Timestamp {
        self.slot_date.at(&self.slot_end).unwrap_or_else(|| self.slot_date.plus_days(1).start())
    }

    /// On which side a session stands in this visit, if on any.
    pub fn side_of(&self, session: &Session) -> Option<Side> {
        match &session.who {
            Who::Patient(account) => (*account == self.account_id).then_some(Side::Patient),
            Who::Staff(member) => {
                let treats = member.may(base::Permission::Treat);
                (treats && member.his_code == self.doctor_code).then_some(Side::Doctor)
            }
        }
    }
}

/// A side of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The patient (or who cares for them).
    Patient,
    /// The doctor.
    Doctor,
}

impl Side {
    /// Word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Doctor => "doctor",
        }
    }
}

const COLUMNS: &str = Visit::COLUMNS;

pub(crate) async fn insert(tx: &mut Tx<'_>, v: &Visit, request_key: &str) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "INSERT INTO care_visit (tenant_id, id, account_id, patient_id, request_key, purpose, department_code, \
         department_name, doctor_code, doctor_name, doctor_title, work_id, slot_date, slot_period, slot_begin, slot_end, \
         fee_fen, state, his, consent_id, consent_version, consent_sm3, statement, photos, eligibility, created_at, \
         updated_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21,$22,$23,$24,$25,$26,$26)",
        &[
            &tenant,
            &v.id,
            &v.account_id,
            &v.patient_id,
            &request_key,
            &v.purpose,
            &v.department_code,
            &v.department_name,
            &v.doctor_code,
            &v.doctor_name,
            &v.doctor_title,
            &v.work_id,
            &v.slot_date,
            &v.slot_period,
            &v.slot_begin,
            &v.slot_end,
            &v.fee_fen,
            &v.state,
            &v.his,
            &v.consent_id,
            &v.consent_version,
            &v.consent_sm3,
            &v.statement,
            &v.photos,
            &v.eligibility,
            &v.created_at,
        ],
    )
    .await?;
    Ok(())
}

/// A visit of this hospital.
pub(crate) async fn find(tx: &mut Tx<'_>, id: &VisitId) -> Result<Option<Visit>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.opt(
        &format!("SELECT {COLUMNS} FROM care_visit WHERE tenant_id = $1 AND id = $2"),
        &[&tenant, id],
    )
    .await
}

pub(crate) async fn get(tx: &mut Tx<'_>, id: &VisitId) -> Result<Visit, CareError> {
    find(tx, id).await?.ok_or(CareError::Absent)
}

/// The visit booked with this key before, if it was.
pub(crate) async fn by_key(tx: &mut Tx<'_>, account: &AccountId, key: &str) -> Result<Option<Visit>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.opt(
        &format!("SELECT {COLUMNS} FROM care_visit WHERE tenant_id = $1 AND account_id = $2 AND request_key = $3"),
        &[&tenant, account, &key],
    )
    .await
}

/// Writes a transition: the row and its line of the trail.
pub(crate) async fn save(tx: &mut Tx<'_>, v: &mut Visit, progress: Progress, event: &Event) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    if event.from != event.to {
        let moment = Some(event.at);
        match event.to {
            VisitState::CheckedIn => v.checked_in_at = moment,
            VisitState::InProgress => v.accepted_at = moment,
            VisitState::Finished | VisitState::Withdrawn => v.finished_at = moment,
            _ => {}
        }
    }
    v.state = progress.state;
    v.ended_as = progress.ended_as;
    v.his = progress.his;
    v.closing_as = progress.closing_as;
    v.message = progress.message;
    v.updated_at = now;
    tx.exec(
        "UPDATE care_visit SET state = $3, ended_as = $4, his = $5, closing_as = $6, message = $7, \
         his_order_number = $8, receipt_number = $9, serial_number = $10, pay_until = $11, fee_fen = $12, \
         checked_in_at = $13, accepted_at = $14, finished_at = $15, updated_at = $16, tells = $17 \
         WHERE tenant_id = $1 AND id = $2",
        &[
            &tenant,
            &v.id,
            &v.state,
            &v.ended_as,
            &v.his,
            &v.closing_as,
            &v.message,
            &v.his_order_number,
            &v.receipt_number,
            &v.serial_number,
            &v.pay_until,
            &v.fee_fen,
            &v.checked_in_at,
            &v.accepted_at,
            &v.finished_at,
            &now,
            &v.tells,
        ],
    )
    .await?;
    note(tx, &v.id, event).await
}

pub(crate) async fn note(tx: &mut Tx<'_>, id: &VisitId, event: &Event) -> Result<(), StoreError> {
    let (tenant, actor) = (tx.tenant().clone(), event.by.to_string());
    tx.exec(
        "INSERT INTO care_visit_trail (tenant_id, visit_id, seq, at, actor, word, from_state, to_state, note) \
         SELECT $1, $2, COALESCE(MAX(seq), 0) + 1, CAST($3 AS BIGINT), $4, $5, $6, $7, $8 FROM care_visit_trail \
         WHERE tenant_id = $1 AND visit_id = $2",
        &[&tenant, id, &event.at, &actor, &event.word, &event.from, &event.to, &event.note],
    )
    .await?;
    Ok(())
}

store::row! {
    /// A line of a visit's trail.
    #[derive(Clone, Debug, Serialize, ToSchema)]
    pub struct Step {
        /// When.
        #[schema(value_type = String)]
        pub at: Timestamp,
        /// Who.
        pub actor: String,
        /// What happened.
        pub word: String,
        /// State before.
        pub from_state: String,
        /// State after.
        pub to_state: String,
        /// Why.
        pub note: String,
    }
}

pub(crate) async fn trail(tx: &mut Tx<'_>, id: &VisitId) -> Result<Vec<Step>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.all(
        &format!(
            "SELECT {} FROM care_visit_trail WHERE tenant_id = $1 AND visit_id = $2 ORDER BY seq",
            Step::COLUMNS
        ),
        &[&tenant, id],
    )
    .await
}

pub(crate) async fn rate(tx: &mut Tx<'_>, id: &VisitId, rating: &Rating) -> Result<bool, StoreError> {
    let tenant = tx.tenant().clone();
    let body = serde_json::to_value(rating).unwrap_or_default();
    let rows = tx
        .exec(
            "UPDATE care_visit SET rating = $3 WHERE tenant_id = $1 AND id = $2 AND rating IS NULL",
            &[&tenant, id, &body],
        )
        .await?;
    Ok(rows == 1)
}

/// Visits in one of these states that last moved before `before`, oldest first.
pub(crate) async fn resting(
    tx: &mut Tx<'_>,
    state: VisitState,
    before: Timestamp,
    most: i64,
) -> Result<Vec<Visit>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.all(
        &format!(
            "SELECT {COLUMNS} FROM care_visit WHERE tenant_id = $1 AND state = $2 AND updated_at <= $3 \
             ORDER BY updated_at LIMIT $4"
        ),
        &[&tenant, &state, &before, &most],
    )
    .await
}

/// Unpaid visits whose time to pay is over and that are not being closed yet.
pub(crate) async fn overdue(tx: &mut Tx<'_>, most: i64) -> Result<Vec<Visit>, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.all(
        &format!(
            "SELECT {COLUMNS} FROM care_visit WHERE tenant_id = $1 AND state = 'awaiting_payment' \
             AND closing_as IS NULL AND pay_until <= $2 ORDER BY pay_until LIMIT $3"
        ),
        &[&tenant, &now, &most],
    )
    .await
}

/// Living visits of a doctor on a day.
pub(crate) async fn of_doctor_on(tx: &mut Tx<'_>, doctor: &str, date: LocalDate) -> Result<Vec<Visit>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.all(
        &format!(
            "SELECT {COLUMNS} FROM care_visit WHERE tenant_id = $1 AND doctor_code = $2 AND slot_date = $3 \
             AND state IN ('locking','lock_unknown','awaiting_payment','confirming','waiting','checked_in') ORDER BY id"
        ),
        &[&tenant, &doctor, &date],
    )
    .await
}

/// The patient of a visit as the doctor and the HIS know them.
#[derive(Clone, PartialEq, Eq)]
pub struct PatientIdentity {
    /// Id.
    pub id: PatientId,
    /// Patient in the HIS.
    pub his_patient_id: String,
    /// Name.
    pub name: String,
    /// `M` or `F`.
    pub sex: String,
    /// Day of birth.
    pub birth_date: LocalDate,
    /// Phone.
    pub phone: String,
    /// Identity card number with the middle hidden.
    pub id_number_masked: String,
}

impl std::fmt::Debug for PatientIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PatientIdentity").field("id", &self.id).finish_non_exhaustive()
    }
}

impl PatientIdentity {
    /// Age in words on a day, e.g. `43岁`.
    pub fn age(&self, on: LocalDate) -> String {
        patients::identity_card::age_text(self.birth_date, on)
    }
}

/// Everything about the parties of a visit that other contexts need.
#[derive(Clone, Debug)]
pub struct PartiesOfVisit {
    /// The visit.
    pub visit: Visit,
    /// The patient.
    pub patient: PatientIdentity,
    /// The patient's words.
    pub statement: Statement,
}

/// The visit, its patient in clear and the patient's words; `None` when this hospital has no such visit.
///
/// # Errors
/// When the database fails or a sealed value does not open.
pub async fn parties(tx: &mut Tx<'_>, vault: &Vault, id: &VisitId) -> Result<Option<PartiesOfVisit>, CareError> {
    let Some(visit) = find(tx, id).await? else {
        return Ok(None);
    };
    let tenant = tx.tenant().clone();
    let patient = patients::store::get(tx, &visit.patient_id).await?;
    let statement = visit.statement(vault, &tenant)?;
    Ok(Some(PartiesOfVisit {
        patient: patients::identity(&patient, vault, &tenant)?,
        statement,
        visit,
    }))
}

/// Like [`parties`], but only for the doctor whose visit it is.
///
/// # Errors
/// When the database fails or a sealed value does not open.
pub async fn for_doctor(
    tx: &mut Tx<'_>,
    vault: &Vault,
    id: &VisitId,
    doctor_code: &str,
) -> Result<Option<PartiesOfVisit>, CareError> {
    Ok(parties(tx, vault, id)
        .await?
        .filter(|parties| parties.visit.doctor_code == doctor_code))
}

/// The visit with the side on which a session stands; `None` when it stands on none (or there is no such visit).
///
/// # Errors
/// When the database fails.
pub async fn participants(
    tx: &mut Tx<'_>,
    session: &Session,
    id: &VisitId,
) -> Result<Option<(Visit, Side)>, StoreError> {
    let found = find(tx, id).await?;
    Ok(found.and_then(|visit| visit.side_of(session).map(|side| (visit, side))))
}

/// Keeps an order to the HIS beside its visit.
pub(crate) async fn ordered(tx: &mut Tx<'_>, command: &HisCommand) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO care_order (tenant_id, key, visit_id, method, ordered_at) VALUES ($1,$2,$3,$4,$5) \
         ON CONFLICT (tenant_id, key) DO NOTHING",
        &[&tenant, &command.key, &command.subject, &command.method, &now],
    )
    .await?;
    Ok(())
}

/// Keeps what became of an order.
pub(crate) async fn settled(tx: &mut Tx<'_>, result: &HisCommandResult) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    let outcome = match &result.outcome {
        _ if result.needs_hand => "needs_hand".to_owned(),
        Outcome::Done(_) => "done".to_owned(),
        Outcome::Refused { code, text } => format!("refused {code}: {text}"),
        Outcome::Later { .. } => "later".to_owned(),
        Outcome::Unknown => "unknown".to_owned(),
    };
    tx.exec(
        "UPDATE care_order SET settled_at = $3, outcome = $4 WHERE tenant_id = $1 AND key = $2",
        &[&tenant, &result.key, &result.at, &outcome],
    )
    .await?;
    Ok(())
}

/// How many orders of this kind the visit has had.
pub(crate) async fn orders_like(tx: &mut Tx<'_>, id: &VisitId, method: &str) -> Result<i64, StoreError> {
    let tenant = tx.tenant().clone();
    let (count,): (i64,) = tx
        .one(
            "SELECT COUNT(*) FROM care_order WHERE tenant_id = $1 AND visit_id = $2 AND method = $3",
            &[&tenant, id, &method],
        )
        .await?;
    Ok(count)
}

store::row! {
    /// An order to the HIS and what became of it.
    #[derive(Clone, Debug, Serialize, ToSchema)]
    pub struct Order {
        /// Key.
        pub key: String,
        /// Operation.
        pub method: String,
        /// When it was ordered.
        #[schema(value_type = String)]
        pub ordered_at: Timestamp,
        /// When its outcome was known.
        #[schema(value_type = Option<String>)]
        pub settled_at: Option<Timestamp>,
        /// The outcome.
        pub outcome: Option<String>,
    }
}

pub(crate) async fn orders(tx: &mut Tx<'_>, id: &VisitId) -> Result<Vec<Order>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.all(
        &format!(
            "SELECT {} FROM care_order WHERE tenant_id = $1 AND visit_id = $2 ORDER BY ordered_at, key",
            Order::COLUMNS
        ),
        &[&tenant, id],
    )
    .await
}

pub(crate) async fn count_tell(tx: &mut Tx<'_>, v: &Visit) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "UPDATE care_visit SET tells = $3 WHERE tenant_id = $1 AND id = $2",
        &[&tenant, &v.id, &v.tells],
    )
    .await?;
    Ok(())
}

/// Paid visits up to a day that have not begun.
pub(crate) async fn unattended(tx: &mut Tx<'_>, until: LocalDate, most: i64) -> Result<Vec<Visit>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.all(
        &format!(
            "SELECT {COLUMNS} FROM care_visit WHERE tenant_id = $1 AND state IN ('waiting','checked_in') \
             AND slot_date <= $2 ORDER BY slot_date LIMIT $3"
        ),
        &[&tenant, &until, &most],
    )
    .await
}

/// A living visit of the patient for the same slot.
pub(crate) async fn booked_already(tx: &mut Tx<'_>, v: &Visit) -> Result<bool, StoreError> {
    let tenant = tx.tenant().clone();
    let (count,): (i64,) = tx
        .one(
            "SELECT COUNT(*) FROM care_visit WHERE tenant_id = $1 AND patient_id = $2 AND doctor_code = $3 \
             AND slot_date = $4 AND slot_begin = $5 AND state IN \
             ('locking','lock_unknown','awaiting_payment','confirming','waiting','checked_in','in_progress','manual')",
            &[&tenant, &v.patient_id, &v.doctor_code, &v.slot_date, &v.slot_begin],
        )
        .await?;
    Ok(count > 0)
}

/// Visits of an account, newest first; an empty state means all.
pub(crate) async fn of_account(
    tx: &mut Tx<'_>,
    account: &AccountId,
    state: &str,
    page: Page,
) -> Result<(Vec<Visit>, u64), StoreError> {
    let tenant = tx.tenant().clone();
    let wanted = "tenant_id = $1 AND account_id = $2 AND ($3 = '' OR state = $3 OR ended_as = $3)";
    let (total,): (u64,) = tx
        .one(
            &format!("SELECT COUNT(*) FROM care_visit WHERE {wanted}"),
            &[&tenant, account, &state],
        )
        .await?;
    let rows = tx
        .all(
            &format!(
                "SELECT {COLUMNS} FROM care_visit WHERE {wanted} ORDER BY created_at DESC, id DESC LIMIT $4 OFFSET $5"
            ),
            &[&tenant, account, &state, &page.limit(), &page.offset()],
        )
        .await?;
    Ok((rows, total))
}

/// How many patients of the doctor checked in on that day before this one.
pub(crate) async fn ahead_of(tx: &mut Tx<'_>, v: &Visit) -> Result<u64, StoreError> {
    let tenant = tx.tenant().clone();
    let (count,): (u64,) = tx
        .one(
            "SELECT COUNT(*) FROM care_visit WHERE tenant_id = $1 AND doctor_code = $2 AND state = 'checked_in' \
             AND (checked_in_at < $3 OR (checked_in_at = $3 AND id < $4))",
            &[
                &tenant,
                &v.doctor_code,
                &v.checked_in_at.unwrap_or(Timestamp::from_micros(i64::MAX)),
                &v.id,
            ],
        )
        .await?;
    Ok(count)
}

/// Groups of the doctor's list (接诊中心).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// 待报到.
    Waiting,
    /// 待接诊.
    CheckedIn,
    /// 问诊中.
    InProgress,
    /// 已结束.
    Finished,
}

impl Group {
    const fn wanted(self) -> (&'static str, &'static str) {
        match self {
            Self::Waiting => ("state = 'waiting'", "slot_date, slot_begin, id"),
            Self::CheckedIn => ("state = 'checked_in'", "checked_in_at, id"),
            Self::InProgress => ("state = 'in_progress'", "accepted_at, id"),
            Self::Finished => (
                "(state IN ('finished','withdrawn') OR (state = 'declined' AND his = 'confirmed') \
                 OR (state = 'refunded' AND ended_as IN ('withdrawn','declined')))",
                "updated_at DESC, id DESC",
            ),
        }
    }
}

/// One group of a doctor's visits.
pub(crate) async fn of_doctor(
    tx: &mut Tx<'_>,
    doctor: &str,
    group: Group,
    limit: u32,
    offset: u64,
) -> Result<(Vec<Visit>, u64), StoreError> {
    let tenant = tx.tenant().clone();
    let (wanted, order) = group.wanted();
    let (total,): (u64,) = tx
        .one(
            &format!("SELECT COUNT(*) FROM care_visit WHERE tenant_id = $1 AND doctor_code = $2 AND {wanted}"),
            &[&tenant, &doctor],
        )
        .await?;
    let rows = tx
        .all(
            &format!(
                "SELECT {COLUMNS} FROM care_visit WHERE tenant_id = $1 AND doctor_code = $2 AND {wanted} \
                 ORDER BY {order} LIMIT $3 OFFSET $4"
            ),
            &[&tenant, &doctor, &limit, &offset],
        )
        .await?;
    Ok((rows, total))
}

/// Which visits the administrator's list shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Visit id, HIS order number, doctor's name; or the keyed index of a patient's name.
    pub(crate) text: String,
    pub(crate) name_index: String,
    pub(crate) state: String,
    pub(crate) department: String,
    pub(crate) from: Option<LocalDate>,
    pub(crate) to: Option<LocalDate>,
}

/// One page of the hospital's visits, newest first.
pub(crate) async fn of_hospital(
    tx: &mut Tx<'_>,
    f: &Filter,
    limit: u32,
    offset: u64,
) -> Result<(Vec<Visit>, u64), StoreError> {
    let tenant = tx.tenant().clone();
    let from = f.from.map_or(Timestamp::from_micros(0), LocalDate::start);
    let to = f
        .to
        .map_or(Timestamp::from_micros(i64::MAX), |d| d.plus_days(1).start());
    let wanted = "tenant_id = $1 AND ($2 = '' OR state = $2 OR ended_as = $2) AND ($3 = '' OR department_code = $3) \
         AND created_at >= $4 AND created_at < $5 \
         AND ($6 = '' OR id = $6 OR his_order_number = $6 OR doctor_name = $6 OR patient_id IN \
         (SELECT id FROM care_patient WHERE tenant_id = $1 AND name_index = $7))";
    let (total,): (u64,) = tx
        .one(
            &format!("SELECT COUNT(*) FROM care_visit WHERE {wanted}"),
            &[&tenant, &f.state, &f.department, &from, &to, &f.text, &f.name_index],
        )
        .await?;
    let rows = tx
        .all(
            &format!(
                "SELECT {COLUMNS} FROM care_visit WHERE {wanted} ORDER BY created_at DESC, id DESC LIMIT $8 OFFSET $9"
            ),
            &[
                &tenant,
                &f.state,
                &f.department,
                &from,
                &to,
                &f.text,
                &f.name_index,
                &limit,
                &offset,
            ],
        )
        .await?;
    Ok((rows, total))
}
