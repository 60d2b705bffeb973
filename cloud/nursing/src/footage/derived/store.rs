//! SQL of derived objects.

use std::collections::BTreeMap;

use records::Timestamp;
use records::footage::{ClipId, DockingId};
use records::id::BlobId;
use store::{StoreError, Tx};

use super::{ATTEMPTS, CANCELLED, DerivedId, Kind, Lane, STILL, State};
use crate::footage::store::Clip;

store::row! {
    /// A derived object.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct Derived {
        pub(super) id: DerivedId,
        pub(super) clip_id: ClipId,
        pub(super) kind: Kind,
        pub(super) state: State,
        pub(super) derived_from: String,
        pub(super) reason: String,
        pub(super) from_ms: Option<u64>,
        pub(super) to_ms: Option<u64>,
        pub(super) report: String,
        pub(super) fault: String,
        pub(super) note: String,
        pub(super) tools: String,
        pub(super) blob_id: Option<BlobId>,
        pub(super) attempts: u64,
        pub(super) progress: u64,
        pub(super) wanted_by: String,
        pub(super) wanted_at: Timestamp,
        pub(super) finished_at: Option<Timestamp>,
    }
}

impl Derived {
    /// Its report, read.
    pub(super) fn made(&self) -> Option<media::Made> {
        serde_json::from_str(&self.report).ok()
    }
}

/// What is wanted of a clip.
pub(super) struct Wish {
    pub(super) kind: Kind,
    pub(super) reason: String,
    pub(super) from_ms: Option<u64>,
    pub(super) to_ms: Option<u64>,
}

impl Wish {
    pub(super) const fn of(kind: Kind) -> Self {
        Self {
            kind,
            reason: String::new(),
            from_ms: None,
            to_ms: None,
        }
    }
}

/// Wants something of a clip; what there can be one of is wanted once.
pub(super) async fn want(tx: &mut Tx<'_>, id: &DerivedId, clip: &Clip, wish: &Wish) -> Result<(), StoreError> {
    let (tenant, now, by) = (tx.tenant().clone(), tx.now(), tx.actor().to_string());
    tx.exec(
        "INSERT INTO nursing_derived(tenant_id, id, clip_id, kind, state, derived_from, reason, from_ms, to_ms, report, fault,
            note, tools, attempts, progress, wanted_by, wanted_at, beat_at)
         VALUES ($1, $2, $3, $4, 'wanted', $5, $6, $7, $8, '', '', '', '', 0, 0, $9, $10, $10) ON CONFLICT DO NOTHING",
        &[
            &tenant,
            id,
            &clip.id,
            &wish.kind,
            &clip.sha256,
            &wish.reason,
            &wish.from_ms,
            &wish.to_ms,
            &by,
            &now,
        ],
    )
    .await
    .map(drop)
}

/// Kept clips of which nothing was asked yet.
pub(super) async fn fresh(tx: &mut Tx<'_>, limit: u32) -> Result<Vec<Clip>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_clip c WHERE tenant_id = $1 AND state = 'confirmed' AND NOT EXISTS (SELECT 1 FROM
            nursing_derived d WHERE d.tenant_id = c.tenant_id AND d.clip_id = c.id AND d.kind = 'probe')
         ORDER BY confirmed_at, id LIMIT $2",
        Clip::COLUMNS
    );
    tx.all(&sql, &[&tenant, &limit]).await
}

/// All of a clip, oldest first.
pub(super) async fn of_clip(tx: &mut Tx<'_>, clip: &ClipId) -> Result<Vec<Derived>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_derived WHERE tenant_id = $1 AND clip_id = $2 ORDER BY wanted_at, id",
        Derived::COLUMNS
    );
    tx.all(&sql, &[&tenant, clip]).await
}

/// Takes the next job, with a pulse; jobs that lost their maker are free again, or given up.
pub(super) async fn claim(tx: &mut Tx<'_>, lane: Lane) -> Result<Option<Derived>, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let still = now.minus(STILL);
    let gone = "处理多次中断，已停止；原始文件已完整保留";
    tx.exec(
        "UPDATE nursing_derived SET state = 'failed', note = $4, finished_at = $5
         WHERE tenant_id = $1 AND state = 'making' AND beat_at < $2 AND attempts >= $3",
        &[&tenant, &still, &ATTEMPTS, &gone, &now],
    )
    .await?;
    tx.exec(
        "UPDATE nursing_derived SET state = 'wanted' WHERE tenant_id = $1 AND state = 'making' AND beat_at < $2",
        &[&tenant, &still],
    )
    .await?;
    let kinds = match lane {
        Lane::Quick => "kind NOT IN ('proxy', 'export')",
        Lane::Any => "TRUE",
    };
    // A person waits for what was asked for.
    let sql = format!(
        "SELECT {} FROM nursing_derived WHERE tenant_id = $1 AND state = 'wanted' AND beat_at <= $2 AND {kinds}
         ORDER BY CASE WHEN kind IN ('proxy', 'export') THEN 0 ELSE 1 END, wanted_at, id LIMIT 1",
        Derived::COLUMNS
    );
    let Some(next) = tx.opt::<Derived>(&sql, &[&tenant, &now]).await? else {
        return Ok(None);
    };
    let taken = tx
        .exec(
            "UPDATE nursing_derived SET state = 'making', attempts = attempts + 1, progress = 0, beat_at = $3
             WHERE tenant_id = $1 AND id = $2 AND state = 'wanted'",
            &[&tenant, &next.id, &now],
        )
        .await?;
    Ok((taken == 1).then(|| Derived {
        attempts: next.attempts + 1,
        state: State::Making,
        ..next
    }))
}

/// Its pulse. False when it is not wanted any more.
pub(super) async fn beat(tx: &mut Tx<'_>, id: &DerivedId, progress: u64) -> Result<bool, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let changed = tx
        .exec(
            "UPDATE nursing_derived SET beat_at = $3, progress = $4 WHERE tenant_id = $1 AND id = $2 AND state = 'making'",
            &[&tenant, id, &now, &progress],
        )
        .await?;
    Ok(changed == 1)
}

/// It is not wanted any more. False when it is there already, or was given up.
pub(super) async fn cancel(tx: &mut Tx<'_>, id: &DerivedId) -> Result<bool, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let changed = tx
        .exec(
            "UPDATE nursing_derived SET state = 'failed', fault = $4, note = '已取消', finished_at = $3
             WHERE tenant_id = $1 AND id = $2 AND state IN ('wanted', 'making')",
            &[&tenant, id, &now, &CANCELLED],
        )
        .await?;
    Ok(changed == 1)
}

/// Milliseconds that were rescued of each damaged clip of a docking.
pub(in crate::footage) async fn rescued_of(
    tx: &mut Tx<'_>,
    docking: &DockingId,
) -> Result<BTreeMap<String, u64>, StoreError> {
    let tenant = tx.tenant().clone();
    let rows: Vec<(String, String)> = tx
        .all(
            "SELECT d.clip_id, d.report FROM nursing_derived d JOIN nursing_clip c ON c.tenant_id = d.tenant_id AND c.id = d.clip_id
             WHERE c.tenant_id = $1 AND c.docking = $2 AND d.kind = 'salvage' AND d.state = 'made'",
            &[&tenant, docking],
        )
        .await?;
    let rescued = rows
        .into_iter()
        .filter_map(|(clip, report)| match serde_json::from_str(&report) {
            Ok(media::Made::Rescued(rescued)) => Some((clip, rescued.duration_ms)),
            _ => None,
        });
    Ok(rescued.collect())
}

/// It is there. False when somebody else was quicker.
pub(super) async fn made(
    tx: &mut Tx<'_>,
    id: &DerivedId,
    blob: Option<&BlobId>,
    (report, note, tools): (&str, &str, &str),
) -> Result<bool, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let blob = blob.cloned();
    let changed = tx
        .exec(
            "UPDATE nursing_derived SET state = 'made', blob_id = $3, report = $4, note = $5, tools = $6, progress = 100,
                fault = '', finished_at = $7
             WHERE tenant_id = $1 AND id = $2 AND state = 'making'",
            &[&tenant, id, &blob, &report, &note, &tools, &now],
        )
        .await?;
    Ok(changed == 1)
}

/// It could not be made: again later, or not at all.
pub(super) async fn not_made(
    tx: &mut Tx<'_>,
    id: &DerivedId,
    again_at: Option<Timestamp>,
    (fault, note): (&str, &str),
    counts: bool,
) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let (state, finished) = match again_at {
        Some(_) => (State::Wanted, None),
        None => (State::Failed, Some(now)),
    };
    let (beat, back) = (again_at.unwrap_or(now), u64::from(!counts));
    tx.exec(
        "UPDATE nursing_derived SET state = $3, beat_at = $4, fault = $5, note = $6, finished_at = $7,
            attempts = attempts - $8
         WHERE tenant_id = $1 AND id = $2 AND state = 'making'",
        &[&tenant, id, &state, &beat, &fault, &note, &finished, &back],
    )
    .await
    .map(drop)
}

/// What failed is wanted again.
pub(super) async fn again(tx: &mut Tx<'_>, clip: &ClipId, kinds: &[Kind]) -> Result<u64, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let mut changed = 0;
    for kind in kinds {
        changed += tx
            .exec(
                "UPDATE nursing_derived SET state = 'wanted', attempts = 0, note = '', fault = '', finished_at = NULL,
                    beat_at = $4
                 WHERE tenant_id = $1 AND clip_id = $2 AND kind = $3 AND state = 'failed'",
                &[&tenant, clip, kind, &now],
            )
            .await?;
    }
    Ok(changed)
}

/// A good file of a recorder came: rescues that lacked one are wanted again.
pub(super) async fn reference_came(tx: &mut Tx<'_>, serial: &str) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "UPDATE nursing_derived SET state = 'wanted', attempts = 0, note = '', fault = '', finished_at = NULL, beat_at = $3
         WHERE tenant_id = $1 AND kind = 'salvage' AND state = 'failed' AND fault = 'no_reference'
           AND clip_id IN (SELECT id FROM nursing_clip WHERE tenant_id = $1 AND serial = $2)",
        &[&tenant, &serial, &now],
    )
    .await
    .map(drop)
}

/// Good MP4s of the same recorder, the nearest in time first.
pub(super) async fn references(tx: &mut Tx<'_>, clip: &Clip) -> Result<Vec<Clip>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_clip WHERE tenant_id = $1 AND serial = $2 AND id <> $3 AND state = 'confirmed'
            AND container = 'mp4' AND condition = 'complete'
         ORDER BY ABS(began_at - $4), id LIMIT 8",
        Clip::COLUMNS
    );
    tx.all(&sql, &[&tenant, &clip.serial, &clip.id, &clip.began_at]).await
}

/// Bytes of each object of a clip that is there.
pub(super) async fn sizes(tx: &mut Tx<'_>, clip: &ClipId) -> Result<BTreeMap<String, u64>, StoreError> {
    let tenant = tx.tenant().clone();
    let rows: Vec<(String, u64)> = tx
        .all(
            "SELECT d.id, b.size FROM nursing_derived d JOIN base_blob b ON b.tenant_id = d.tenant_id AND b.id = d.blob_id
             WHERE d.tenant_id = $1 AND d.clip_id = $2",
            &[&tenant, clip],
        )
        .await?;
    Ok(rows.into_iter().collect())
}
