//! SQL of the prescription, its trail and its rejections.

mod chart;

use base::Page;
use records::id::{AccountId, PrescriptionId, StaffId, VisitId};
use records::{Actor, LocalDate, Timestamp};
use serde_json::Value;
use store::{StoreError, Tx};

use super::{Command, Event, Prescription, State};
use crate::signed::Trail;

pub(crate) use chart::{Address, Chart, SEALED_ADDRESS};

const COLUMNS: &str = Chart::COLUMNS;

/// Where the trail of prescriptions is kept.
pub(crate) static TRAIL: Trail<State, Command> = Trail {
    table: "treatment_step",
    of: "prescription_id",
    audit: "prescription",
    word: State::as_str,
    text: State::text,
    command: Command::as_str,
};

/// The prescription of that number, in this hospital.
pub(crate) async fn find(tx: &mut Tx<'_>, id: &PrescriptionId) -> Result<Option<Chart>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!("SELECT {COLUMNS} FROM treatment_prescription WHERE tenant_id = $1 AND id = $2");
    tx.opt(&sql, &[&tenant, id]).await
}

/// Prescriptions of a visit, oldest first.
pub(crate) async fn of_visit(tx: &mut Tx<'_>, visit: &VisitId) -> Result<Vec<Chart>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {COLUMNS} FROM treatment_prescription WHERE tenant_id = $1 AND visit_id = $2 ORDER BY created_at, id"
    );
    tx.all(&sql, &[&tenant, visit]).await
}

/// What an account may see, newest first: everything but drafts.
pub(crate) async fn of_account(
    tx: &mut Tx<'_>,
    account: &AccountId,
    page: Page,
) -> Result<(Vec<Chart>, u64), StoreError> {
    let (tenant, limit, offset) = (tx.tenant().clone(), page.limit(), page.offset());
    const SEEN: &str = "tenant_id = $1 AND account_id = $2 AND state NOT IN ('draft', 'revised')";
    let (total,): (u64,) = tx
        .one(
            &format!("SELECT COUNT(*) FROM treatment_prescription WHERE {SEEN}"),
            &[&tenant, account],
        )
        .await?;
    let sql = format!(
        "SELECT {COLUMNS} FROM treatment_prescription WHERE {SEEN} ORDER BY created_at DESC, id LIMIT $3 OFFSET $4"
    );
    Ok((tx.all(&sql, &[&tenant, account, &limit, &offset]).await?, total))
}

/// Prescriptions in a state (or in any but draft), longest waiting first.
pub(crate) async fn in_state(
    tx: &mut Tx<'_>,
    state: Option<State>,
    page: Page,
) -> Result<(Vec<Chart>, u64), StoreError> {
    let (tenant, limit, offset) = (tx.tenant().clone(), page.limit(), page.offset());
    const WANTED: &str = "tenant_id = $1 AND state <> 'draft' AND (CAST($2 AS TEXT) IS NULL OR state = $2)";
    let (total,): (u64,) = tx
        .one(
            &format!("SELECT COUNT(*) FROM treatment_prescription WHERE {WANTED}"),
            &[&tenant, &state],
        )
        .await?;
    let order = if state.is_some() {
        "written_at"
    } else {
        "written_at DESC"
    };
    let sql =
        format!("SELECT {COLUMNS} FROM treatment_prescription WHERE {WANTED} ORDER BY {order}, id LIMIT $3 OFFSET $4");
    Ok((tx.all(&sql, &[&tenant, &state, &limit, &offset]).await?, total))
}

/// Other effective prescriptions of a patient since a moment, for the review.
pub(crate) async fn also_taking(tx: &mut Tx<'_>, of: &Chart, since: Timestamp) -> Result<Vec<Chart>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {COLUMNS} FROM treatment_prescription WHERE tenant_id = $1 AND patient_id = $2 AND id <> $3 \
         AND written_at >= $4 AND state IN ('in_review', 'approved', 'sent_to_his', 'awaiting_payment', 'paid', \
         'dispensing', 'ready', 'shipped', 'collected') ORDER BY created_at LIMIT 50"
    );
    tx.all(&sql, &[&tenant, &of.patient_id, &of.id, &since]).await
}

/// Prescriptions past their last day that can still expire.
pub(crate) async fn overdue(tx: &mut Tx<'_>, today: LocalDate) -> Result<Vec<Chart>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {COLUMNS} FROM treatment_prescription WHERE tenant_id = $1 AND state IN ('in_review', 'appealed', \
         'rejected', 'approved', 'sent_to_his', 'awaiting_payment') AND valid_until < $2 ORDER BY valid_until LIMIT 50"
    );
    tx.all(&sql, &[&tenant, &today]).await
}

/// Approved prescriptions whose PDF was not made yet.
pub(crate) async fn without_pdf(tx: &mut Tx<'_>, most: u32) -> Result<Vec<Chart>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {COLUMNS} FROM treatment_prescription WHERE tenant_id = $1 AND pdf_blob IS NULL AND state IN \
         ('approved', 'sent_to_his', 'awaiting_payment', 'paid', 'dispensing', 'ready', 'shipped', 'collected') \
         ORDER BY reviewed_at LIMIT $2"
    );
    tx.all(&sql, &[&tenant, &most]).await
}

/// Prescriptions a person has to look at.
pub(crate) async fn by_hand(tx: &mut Tx<'_>) -> Result<Vec<Chart>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {COLUMNS} FROM treatment_prescription WHERE tenant_id = $1 AND needs_hand IS NOT NULL ORDER BY written_at LIMIT 200"
    );
    tx.all(&sql, &[&tenant]).await
}

/// Writes a new draft.
pub(crate) async fn insert(tx: &mut Tx<'_>, c: &Chart) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "INSERT INTO treatment_prescription(tenant_id, id, revision, revises, edition, visit_id, account_id, patient_id, \
         his_patient_id, patient_masked, doctor_id, doctor_code, doctor_name, doctor_title, department_code, \
         department_name, kind, lines, herbal, total_fen, state, written_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, \
         $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)",
        &[
            &tenant,
            &c.id,
            &c.revision,
            &c.revises,
            &c.edition,
            &c.visit_id,
            &c.account_id,
            &c.patient_id,
            &c.his_patient_id,
            &c.patient_masked,
            &c.doctor_id,
            &c.doctor_code,
            &c.doctor_name,
            &c.doctor_title,
            &c.department_code,
            &c.department_name,
            &c.kind,
            &c.lines,
            &c.herbal,
            &c.total_fen,
            &c.state,
            &c.written_at,
            &c.created_at,
        ],
    )
    .await
    .map(drop)
}

/// Writes everything that can change.
pub(crate) async fn save(tx: &mut Tx<'_>, c: &Chart) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "UPDATE treatment_prescription SET edition = $3, lines = $4, herbal = $5, total_fen = $6, state = $7, \
         written_at = $8, valid_until = $9, pharmacist_id = $10, pharmacist_name = $11, pharmacist_title = $12, \
         reviewed_at = $13, opinion = $14, his_number = $15, bill_id = $16, bill_fen = $17, fulfilment = $18, \
         address_sealed = $19, pickup_code = $20, courier = $21, waybill = $22, collect_at = $23, his_order_number = $24, \
         appeal = $25, verify_code = $26, needs_hand = $27, pdf_blob = $28, pdf_sha256 = $29, kind = $30, retries = $31 \
         WHERE tenant_id = $1 AND id = $2",
        &[
            &tenant,
            &c.id,
            &c.edition,
            &c.lines,
            &c.herbal,
            &c.total_fen,
            &c.state,
            &c.written_at,
            &c.valid_until,
            &c.pharmacist_id,
            &c.pharmacist_name,
            &c.pharmacist_title,
            &c.reviewed_at,
            &c.opinion,
            &c.his_number,
            &c.bill_id,
            &c.bill_fen,
            &c.fulfilment,
            &c.address_sealed,
            &c.pickup_code,
            &c.courier,
            &c.waybill,
            &c.collect_at,
            &c.his_order_number,
            &c.appeal,
            &c.verify_code,
            &c.needs_hand,
            &c.pdf_blob,
            &c.pdf_sha256,
            &c.kind,
            &c.retries,
        ],
    )
    .await
    .map(drop)
}

/// Writes a transition: the row and its line of the trail.
pub(crate) async fn moved(tx: &mut Tx<'_>, c: &mut Chart, to: (Prescription, Event)) -> Result<(), StoreError> {
    let (prescription, event) = to;
    c.take(&prescription);
    save(tx, c).await?;
    TRAIL.append(tx, c.id.as_str(), &event).await
}

/// Takes a draft away for good.
pub(crate) async fn discard(tx: &mut Tx<'_>, id: &PrescriptionId) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "DELETE FROM treatment_prescription WHERE tenant_id = $1 AND id = $2 AND state = 'draft'",
        &[&tenant, id],
    )
    .await?;
    base::audit::record(tx, "prescription.discard", id.as_str(), Value::Null).await
}

store::row! {
    /// A rejection.
    #[derive(Clone, Debug)]
    pub(crate) struct Rejection {
        pub(crate) reasons: Value,
        pub(crate) comment: String,
        pub(crate) by_name: String,
        pub(crate) at: Timestamp,
    }
}

pub(crate) async fn reject(tx: &mut Tx<'_>, id: &PrescriptionId, r: &Rejection) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "INSERT INTO treatment_rejection(tenant_id, prescription_id, seq, reasons, comment, by_name, at) \
         SELECT $1, $2, COALESCE(MAX(seq), 0) + 1, $3, $4, $5, CAST($6 AS BIGINT) FROM treatment_rejection \
         WHERE tenant_id = $1 AND prescription_id = $2",
        &[&tenant, id, &r.reasons, &r.comment, &r.by_name, &r.at],
    )
    .await
    .map(drop)
}

pub(crate) async fn rejections(tx: &mut Tx<'_>, id: &PrescriptionId) -> Result<Vec<Rejection>, StoreError> {
    let tenant = tx.tenant().clone();
    let columns = Rejection::COLUMNS;
    let sql =
        format!("SELECT {columns} FROM treatment_rejection WHERE tenant_id = $1 AND prescription_id = $2 ORDER BY seq");
    tx.all(&sql, &[&tenant, id]).await
}

/// Who moved it, for people.
pub(crate) fn who(chart: &Chart, actor: &str) -> String {
    let staff = |id: Option<&StaffId>| id.is_some_and(|id| id.as_str() == actor);
    if staff(Some(&chart.doctor_id)) {
        return format!("{} 医生", chart.doctor_name);
    }
    if staff(chart.pharmacist_id.as_ref()) {
        return format!("{} 药师", chart.pharmacist_name.as_deref().unwrap_or_default());
    }
    let known = [
        (Actor::His, "医院系统"),
        (Actor::Channel, "支付渠道"),
        (Actor::System, "系统"),
    ];
    known
        .iter()
        .find(|(a, _)| a.to_string() == actor)
        .map_or_else(
            || {
                if actor == chart.account_id.as_str() {
                    "患者"
                } else {
                    "药房"
                }
            },
            |(_, text)| text,
        )
        .to_owned()
}
