//! SQL of visits. The patient's words are sealed; the columns beside them are what lists need.

use records::id::{AccountId, VisitId};
use records::{LocalDate, Timestamp};
use store::{Migration, StoreError, Tx};

use super::trail::NOTE;
use super::visit::{Rating, Visit};
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
