//! SQL of visits and their trail. The patient's words are sealed; the columns beside them are what lists need.

use base::{Session, Vault, Who};
use records::id::{AccountId, PatientId, VisitId};
use records::{Fen, LocalDate, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Migration, StoreError, Tx};
use utoipa::ToSchema;

use super::{Event, HisSide, Progress, VisitState};
use crate::CareError;

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
        self.slot_date
            .at(&self.slot_begin)
            .unwrap_or_else(|| self.slot_date.start())
    }

    /// End of the slot.
    pub fn ends_at(&self) -> Timestamp {
        self.slot_date
            .at(&self.slot_end)
            .unwrap_or_else(|| self.slot_date.plus_days(1).start())
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

pub(super) const COLUMNS: &str = Visit::COLUMNS;

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
    let actor = event.by.to_string();
    tx.exec_each(&[
        (
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
        ),
        (
            NOTE,
            &[
                &tenant,
                &v.id,
                &event.at,
                &actor,
                &event.word,
                &event.from,
                &event.to,
                &event.note,
            ],
        ),
    ])
    .await
}

const NOTE: &str = "INSERT INTO care_visit_trail (tenant_id, visit_id, seq, at, actor, word, from_state, to_state, note) \
     SELECT $1, $2, COALESCE(MAX(seq), 0) + 1, CAST($3 AS BIGINT), $4, $5, $6, $7, $8 FROM care_visit_trail \
     WHERE tenant_id = $1 AND visit_id = $2";

pub(crate) async fn note(tx: &mut Tx<'_>, id: &VisitId, event: &Event) -> Result<(), StoreError> {
    let (tenant, actor) = (tx.tenant().clone(), event.by.to_string());
    tx.exec(
        NOTE,
        &[
            &tenant,
            id,
            &event.at,
            &actor,
            &event.word,
            &event.from,
            &event.to,
            &event.note,
        ],
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
