//! SQL of the reviews of signed records. Reasons speak of the patient, so they are sealed.

use ::store::{StoreError, Tx};
use base::session::Member;
use base::{ApiError, Page, Vault};
use records::Timestamp;
use records::id::{StaffId, VisitId};
use serde_json::json;

use super::{Command, Review, State};

const SEALED: &str = "record.review";

::store::row! {
    /// A signed version and how its review stands.
    #[derive(Clone, Debug)]
    pub(crate) struct Row {
        pub(crate) visit_id: VisitId,
        pub(crate) version: u32,
        pub(crate) doctor_id: StaffId,
        pub(crate) state: State,
        pub(crate) submitted_at: Timestamp,
        pub(crate) reviewer_name: Option<String>,
        pub(crate) decided_at: Option<Timestamp>,
        pub(crate) reason_sealed: Option<Vec<u8>>,
    }
}

const COLUMNS: &str = Row::COLUMNS;

impl Row {
    /// As that on which the transitions work.
    pub(crate) fn review(&self) -> Review {
        Review {
            author: self.doctor_id.clone(),
            state: self.state,
        }
    }

    /// Why it was sent back.
    pub(crate) fn reason(&self, vault: &Vault, tenant: &records::TenantId) -> Result<Option<String>, ApiError> {
        let sealed = self.reason_sealed.as_deref();
        Ok(sealed.map(|s| vault.open_text(tenant, SEALED, s)).transpose()?)
    }
}

/// Puts a version into the queue, in the unit that keeps its signature; older ones that were not approved make way.
pub(crate) async fn submit(tx: &mut Tx<'_>, visit: &VisitId, version: u32, author: &StaffId) -> Result<(), ApiError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    for older in of_visit(tx, visit).await? {
        if older.version < version
            && let Ok(moved) = older.review().supersede()
        {
            save(tx, &older, moved.state, None).await?;
            note(tx, &older, Command::Supersede.as_str()).await?;
        }
    }
    let state = State::InReview;
    let put = tx
        .exec(
            "INSERT INTO treatment_record_review(tenant_id, visit_id, version, doctor_id, state, submitted_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            &[&tenant, visit, &version, author, &state, &now],
        )
        .await?;
    if put > 0 {
        let detail = json!({ "version": version });
        base::audit::record(tx, "record.review.submit", visit.as_str(), detail).await?;
    }
    Ok(())
}

/// Who decided, when, and why it goes back.
struct Decision<'a> {
    by: &'a Member,
    reason: Option<Vec<u8>>,
}

async fn save(tx: &mut Tx<'_>, row: &Row, to: State, decision: Option<Decision<'_>>) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let Some(Decision { by, reason }) = decision else {
        let sql =
            "UPDATE treatment_record_review SET state = $4 WHERE tenant_id = $1 AND visit_id = $2 AND version = $3";
        return tx
            .exec(sql, &[&tenant, &row.visit_id, &row.version, &to])
            .await
            .map(drop);
    };
    tx.exec(
        "UPDATE treatment_record_review SET state = $4, reviewer_id = $5, reviewer_name = $6, decided_at = $7, \
         reason_sealed = $8 WHERE tenant_id = $1 AND visit_id = $2 AND version = $3",
        &[
            &tenant,
            &row.visit_id,
            &row.version,
            &to,
            &by.id,
            &by.name,
            &now,
            &reason,
        ],
    )
    .await
    .map(drop)
}

async fn note(tx: &mut Tx<'_>, row: &Row, command: &str) -> Result<(), StoreError> {
    let action = format!("record.review.{command}");
    let detail = json!({ "version": row.version });
    base::audit::record(tx, &action, row.visit_id.as_str(), detail).await
}

/// Writes a reviewer's decision.
pub(crate) async fn decide(
    tx: &mut Tx<'_>,
    vault: &Vault,
    row: &Row,
    command: Command,
    to: State,
    by: (&Member, Option<&str>),
) -> Result<(), ApiError> {
    let tenant = tx.tenant().clone();
    let (by, reason) = by;
    let reason = reason.map(|r| vault.seal(&tenant, SEALED, r.as_bytes())).transpose()?;
    save(tx, row, to, Some(Decision { by, reason })).await?;
    Ok(note(tx, row, command.as_str()).await?)
}

/// The review of one version.
pub(crate) async fn find(tx: &mut Tx<'_>, visit: &VisitId, version: u32) -> Result<Option<Row>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {COLUMNS} FROM treatment_record_review WHERE tenant_id = $1 AND visit_id = $2 AND version = $3"
    );
    tx.opt(&sql, &[&tenant, visit, &version]).await
}

/// The reviews of a visit's versions, oldest first.
pub(crate) async fn of_visit(tx: &mut Tx<'_>, visit: &VisitId) -> Result<Vec<Row>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {COLUMNS} FROM treatment_record_review WHERE tenant_id = $1 AND visit_id = $2 ORDER BY version"
    );
    tx.all(&sql, &[&tenant, visit]).await
}

/// The review of the newest version that was signed.
pub(crate) async fn newest(tx: &mut Tx<'_>, visit: &VisitId) -> Result<Option<Row>, StoreError> {
    Ok(of_visit(tx, visit).await?.pop())
}

/// Versions in a state: those that wait longest first, those decided newest first.
pub(crate) async fn in_state(tx: &mut Tx<'_>, state: State, page: Page) -> Result<(Vec<Row>, u64), StoreError> {
    let (tenant, limit, offset) = (tx.tenant().clone(), page.limit(), page.offset());
    let (total,): (u64,) = tx
        .one(
            "SELECT COUNT(*) FROM treatment_record_review WHERE tenant_id = $1 AND state = $2",
            &[&tenant, &state],
        )
        .await?;
    let order = match state {
        State::InReview => "submitted_at, visit_id",
        _ => "decided_at DESC, submitted_at DESC, visit_id",
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM treatment_record_review WHERE tenant_id = $1 AND state = $2 ORDER BY {order} \
         LIMIT $3 OFFSET $4"
    );
    Ok((tx.all(&sql, &[&tenant, &state, &limit, &offset]).await?, total))
}

/// What a doctor still has to write anew, longest waiting first.
pub(crate) async fn returned_to(tx: &mut Tx<'_>, doctor: &StaffId) -> Result<Vec<Row>, StoreError> {
    let (tenant, state) = (tx.tenant().clone(), State::Returned);
    let sql = format!(
        "SELECT {COLUMNS} FROM treatment_record_review WHERE tenant_id = $1 AND doctor_id = $2 AND state = $3 \
         ORDER BY decided_at LIMIT 100"
    );
    tx.all(&sql, &[&tenant, doctor, &state]).await
}
