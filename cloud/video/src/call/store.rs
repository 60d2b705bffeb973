//! SQL of calls and recordings.

use ::store::{StoreError, Tx};
use records::id::{BlobId, StaffId, VisitId};
use records::{LocalDate, Timestamp};

use super::State;

::store::row! {
    /// A call.
    #[derive(Clone, Debug)]
    pub(crate) struct Call {
        pub(crate) id: String,
        pub(crate) visit_id: VisitId,
        pub(crate) state: State,
        pub(crate) doctor_id: StaffId,
        pub(crate) started_at: Timestamp,
        pub(crate) accepted_at: Option<Timestamp>,
        pub(crate) ended_at: Option<Timestamp>,
        pub(crate) note: String,
    }
}

/// The newest call of a visit.
pub(crate) async fn latest(tx: &mut Tx<'_>, visit: &VisitId) -> Result<Option<Call>, StoreError> {
    let (tenant, columns) = (tx.tenant().clone(), Call::COLUMNS);
    let sql = format!(
        "SELECT {columns} FROM video_call WHERE tenant_id = $1 AND visit_id = $2 ORDER BY started_at DESC, id DESC LIMIT 1"
    );
    tx.opt(&sql, &[&tenant, visit]).await
}

/// Calls that ring or are connected.
pub(crate) async fn open(tx: &mut Tx<'_>) -> Result<Vec<Call>, StoreError> {
    let (tenant, columns) = (tx.tenant().clone(), Call::COLUMNS);
    let sql = format!("SELECT {columns} FROM video_call WHERE tenant_id = $1 AND state <> 'ended' ORDER BY id");
    tx.all(&sql, &[&tenant]).await
}

pub(crate) async fn insert(tx: &mut Tx<'_>, c: &Call) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "INSERT INTO video_call(tenant_id, id, visit_id, state, doctor_id, started_at, note) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            &tenant,
            &c.id,
            &c.visit_id,
            &c.state,
            &c.doctor_id,
            &c.started_at,
            &c.note,
        ],
    )
    .await
    .map(drop)
}

pub(crate) async fn save(tx: &mut Tx<'_>, c: &Call) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "UPDATE video_call SET state = $3, accepted_at = $4, ended_at = $5, note = $6 WHERE tenant_id = $1 AND id = $2",
        &[&tenant, &c.id, &c.state, &c.accepted_at, &c.ended_at, &c.note],
    )
    .await
    .map(drop)
}

::store::row! {
    /// A recording of one side, from sitting down to getting up.
    #[derive(Clone, Debug)]
    pub(crate) struct Recording {
        pub(crate) id: String,
        pub(crate) visit_id: VisitId,
        pub(crate) call_id: String,
        pub(crate) role: String,
        pub(crate) boot: String,
        pub(crate) started_at: Timestamp,
        pub(crate) ended_at: Option<Timestamp>,
        pub(crate) blob_id: Option<BlobId>,
        pub(crate) empty: bool,
        pub(crate) keep_until: LocalDate,
    }
}

pub(crate) async fn sat_down(tx: &mut Tx<'_>, r: &Recording) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "INSERT INTO video_recording(tenant_id, id, visit_id, call_id, role, boot, started_at, empty, keep_until) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            &tenant,
            &r.id,
            &r.visit_id,
            &r.call_id,
            &r.role,
            &r.boot,
            &r.started_at,
            &r.empty,
            &r.keep_until,
        ],
    )
    .await
    .map(drop)
}

pub(crate) async fn got_up(tx: &mut Tx<'_>, id: &str) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "UPDATE video_recording SET ended_at = $3 WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL",
        &[&tenant, &id, &now],
    )
    .await
    .map(drop)
}

/// Recordings whose file has not become a blob yet.
pub(crate) async fn unkept(tx: &mut Tx<'_>) -> Result<Vec<Recording>, StoreError> {
    let (tenant, columns) = (tx.tenant().clone(), Recording::COLUMNS);
    let sql = format!(
        "SELECT {columns} FROM video_recording WHERE tenant_id = $1 AND blob_id IS NULL AND empty = 0 ORDER BY id LIMIT 50"
    );
    tx.all(&sql, &[&tenant]).await
}

/// The file is a blob now; `None` when nothing was recorded.
pub(crate) async fn kept(tx: &mut Tx<'_>, id: &str, blob: Option<&BlobId>) -> Result<(), StoreError> {
    let (tenant, now, empty) = (tx.tenant().clone(), tx.now(), blob.is_none());
    tx.exec(
        "UPDATE video_recording SET blob_id = $3, empty = $4, ended_at = COALESCE(ended_at, $5) \
         WHERE tenant_id = $1 AND id = $2",
        &[&tenant, &id, &blob, &empty, &now],
    )
    .await
    .map(drop)
}

/// Recordings of a visit that can be replayed.
pub(crate) async fn of_visit(tx: &mut Tx<'_>, visit: &VisitId) -> Result<Vec<Recording>, StoreError> {
    let (tenant, columns) = (tx.tenant().clone(), Recording::COLUMNS);
    let sql = format!(
        "SELECT {columns} FROM video_recording WHERE tenant_id = $1 AND visit_id = $2 AND blob_id IS NOT NULL \
         ORDER BY started_at, id"
    );
    tx.all(&sql, &[&tenant, visit]).await
}
