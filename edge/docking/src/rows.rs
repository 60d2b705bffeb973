//! Rows of dockings and clips; every change of a state goes through [`step_docking`] or [`step_clip`].

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use recorder::Found;
use records::footage::{ClipId, DockingId};
use records::{Ids, Timestamp};
use store::{Migration, StoreError, ToValue, Tx};

use crate::report;
use crate::state::{ClipState, ClipStep, DockingState, DockingStep};

pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "docking/0001_footage",
        sql: include_str!("schema.sql"),
    },
    Migration {
        name: "docking/0003_here",
        sql: "CREATE INDEX docking_clip_here ON docking_clip(tenant_id, state, size) WHERE purged_at IS NULL;",
    },
];

store::row! {
    /// One stay of a recorder.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DockingRow {
        /// Id.
        pub id: DockingId,
        /// Serial number; empty until told.
        pub serial: String,
        /// Make and model as the recorder says.
        pub model: String,
        /// Identifier of its volume.
        pub volume: String,
        /// Where.
        pub place: String,
        /// Where it stands.
        pub state: DockingState,
        /// Plain words.
        pub note: String,
        /// When it came.
        pub arrived_at: Timestamp,
        /// Milliseconds its clock was ahead.
        pub clock_offset_ms: Option<i64>,
        /// Percent.
        pub battery: Option<u8>,
        /// Last change.
        pub changed_at: Timestamp,
    }
}

store::row! {
    /// A file of a recorder.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Clip {
        /// Id.
        pub id: ClipId,
        /// The docking in which it was last seen.
        pub docking: DockingId,
        /// The recorder.
        pub recorder: String,
        /// Path on it, any bytes.
        pub path: Vec<u8>,
        /// The path for people.
        pub file: String,
        /// Bytes.
        pub size: u64,
        /// Its time on the recorder.
        pub changed_ns: i64,
        /// Where it stands.
        pub state: ClipState,
        /// Failed tries to read it.
        pub tries: u32,
        /// Plain words.
        pub note: String,
        /// The docking in which it was copied.
        pub taken_in: Option<DockingId>,
        /// SM3, hex.
        pub sm3: Option<String>,
        /// SHA-256, hex.
        pub sha256: Option<String>,
        /// Kind.
        pub container: Option<String>,
        /// Whether it is whole.
        pub condition: Option<String>,
        /// Begin by the recorder's clock.
        pub recorded_at: Option<Timestamp>,
        /// Length.
        pub duration_ms: Option<u64>,
        /// When the copy was verified.
        pub copied_at: Option<Timestamp>,
        /// Place in the chain.
        pub sequence: Option<u64>,
        /// Canonical custody entry.
        pub entry: Option<Vec<u8>>,
        /// SHA-256 of the file in that entry.
        pub entry_sha256: Option<String>,
        /// Signature, base64.
        pub cms: Option<String>,
        /// Storage class.
        pub class: Option<String>,
        /// When it was first seen.
        pub found_at: Timestamp,
        /// Last change.
        pub changed_at: Timestamp,
        /// When our copy was removed.
        pub purged_at: Option<Timestamp>,
    }
}

impl Clip {
    /// As the recorder's driver knows it.
    pub(crate) fn found(&self) -> Found {
        Found {
            path: PathBuf::from(OsString::from_vec(self.path.clone())),
            size: self.size,
            changed_ns: self.changed_ns,
        }
    }
}

/// A new docking.
pub(crate) async fn arrive(tx: &mut Tx<'_>, ids: &Ids, place: &str) -> Result<DockingId, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let id = DockingId::generate(ids, now);
    tx.exec(
        "INSERT INTO docking(tenant_id, id, serial, model, volume, place, state, note, arrived_at, changed_at)
         VALUES ($1, $2, '', '', '', $3, 'arrived', '', $4, $4)",
        &[&tenant, &id, &place, &now],
    )
    .await?;
    trail(tx, id.as_str(), "arrive", "arrived", place).await?;
    Ok(id)
}

pub(crate) async fn docking(tx: &mut Tx<'_>, id: &DockingId) -> Result<DockingRow, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM docking WHERE tenant_id = $1 AND id = $2",
        DockingRow::COLUMNS
    );
    tx.one(&sql, &[&tenant, id]).await
}

/// Dockings whose recorder is there, then the latest others.
pub(crate) async fn dockings(tx: &mut Tx<'_>, limit: u32) -> Result<Vec<DockingRow>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM docking WHERE tenant_id = $1
         ORDER BY CASE WHEN state IN ('pulled', 'interrupted', 'left') THEN 1 ELSE 0 END, arrived_at DESC LIMIT $2",
        DockingRow::COLUMNS
    );
    tx.all(&sql, &[&tenant, &limit]).await
}

/// Open dockings of a recorder beside this one.
pub(crate) async fn twins(tx: &mut Tx<'_>, serial: &str, own: &DockingId) -> Result<u64, StoreError> {
    let tenant = tx.tenant().clone();
    let (count,): (u64,) = tx
        .one(
            "SELECT COUNT(*) FROM docking WHERE tenant_id = $1 AND serial = $2 AND id <> $3
             AND state NOT IN ('pulled', 'interrupted', 'left', 'held')",
            &[&tenant, &serial, own],
        )
        .await?;
    Ok(count)
}

/// What the recorder says of itself.
pub(crate) struct Said<'a> {
    pub(crate) serial: &'a str,
    pub(crate) model: &'a str,
    pub(crate) volume: &'a str,
    pub(crate) clock_offset_ms: Option<i64>,
    pub(crate) battery: Option<u8>,
}

pub(crate) async fn describe(tx: &mut Tx<'_>, id: &DockingId, said: &Said<'_>) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "UPDATE docking SET serial = $3, model = $4, volume = $5, clock_offset_ms = $6, battery = $7, changed_at = $8
         WHERE tenant_id = $1 AND id = $2",
        &[
            &tenant,
            id,
            &said.serial,
            &said.model,
            &said.volume,
            &said.clock_offset_ms,
            &said.battery,
            &now,
        ],
    )
    .await
    .map(drop)
}

/// Makes a step and reports it to the cloud, in one unit. A step that does not fit changes nothing and answers `false`.
pub(crate) async fn step_docking(
    tx: &mut Tx<'_>,
    id: &DockingId,
    step: DockingStep,
    note: &str,
) -> Result<bool, StoreError> {
    let row = docking(tx, id).await?;
    let Ok(state) = row.state.after(step) else {
        return Ok(false);
    };
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "UPDATE docking SET state = $3, note = $4, changed_at = $5 WHERE tenant_id = $1 AND id = $2",
        &[&tenant, id, &state, &note, &now],
    )
    .await?;
    trail(tx, id.as_str(), step.as_str(), state.as_str(), note).await?;
    report::docking(tx, id).await?;
    Ok(true)
}

/// Changes the words of a docking, once per change.
pub(crate) async fn explain(tx: &mut Tx<'_>, id: &DockingId, note: &str) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let changed = tx
        .exec(
            "UPDATE docking SET note = $3, changed_at = $4 WHERE tenant_id = $1 AND id = $2 AND note <> $3",
            &[&tenant, id, &note, &now],
        )
        .await?;
    if changed > 0 {
        report::docking(tx, id).await?;
    }
    Ok(())
}

pub(crate) async fn clip(tx: &mut Tx<'_>, id: &ClipId) -> Result<Option<Clip>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM docking_clip WHERE tenant_id = $1 AND id = $2",
        Clip::COLUMNS
    );
    tx.opt(&sql, &[&tenant, id]).await
}

/// Clips in one of these states, in the order in which they were found.
pub(crate) async fn clips_in(tx: &mut Tx<'_>, states: &[ClipState], limit: u32) -> Result<Vec<Clip>, StoreError> {
    let tenant = tx.tenant().clone();
    let listed: Vec<String> = states.iter().map(|s| format!("'{}'", s.as_str())).collect();
    let sql = format!(
        "SELECT {} FROM docking_clip WHERE tenant_id = $1 AND state IN ({}) ORDER BY found_at, id LIMIT $2",
        Clip::COLUMNS,
        listed.join(", ")
    );
    tx.all(&sql, &[&tenant, &limit]).await
}

/// Clips of a recorder that are not cleared.
pub(crate) async fn clips_of(tx: &mut Tx<'_>, serial: &str) -> Result<Vec<Clip>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM docking_clip WHERE tenant_id = $1 AND recorder = $2 AND state <> 'cleared' ORDER BY found_at, id",
        Clip::COLUMNS
    );
    tx.all(&sql, &[&tenant, &serial]).await
}

/// Clips last seen in a docking.
pub(crate) async fn clips_in_docking(tx: &mut Tx<'_>, docking: &DockingId) -> Result<Vec<Clip>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM docking_clip WHERE tenant_id = $1 AND docking = $2 ORDER BY file, id",
        Clip::COLUMNS
    );
    tx.all(&sql, &[&tenant, docking]).await
}

pub(crate) async fn insert_clip(
    tx: &mut Tx<'_>,
    ids: &Ids,
    docking: &DockingId,
    serial: &str,
    found: &Found,
) -> Result<ClipId, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let id = ClipId::generate(ids, now);
    let path = found.path.as_os_str().as_bytes();
    let file = recorder::names::shown(&found.path);
    tx.exec(
        "INSERT INTO docking_clip(tenant_id, id, docking, recorder, path, file, size, changed_ns, state, tries, note,
            found_at, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'found', 0, '', $9, $9)",
        &[
            &tenant,
            &id,
            docking,
            &serial,
            &path,
            &file,
            &found.size,
            &found.changed_ns,
            &now,
        ],
    )
    .await?;
    trail(tx, id.as_str(), "find", "found", "").await?;
    Ok(id)
}

/// The clip was seen again, in this docking.
pub(crate) async fn seen_again(tx: &mut Tx<'_>, id: &ClipId, docking: &DockingId) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "UPDATE docking_clip SET docking = $3 WHERE tenant_id = $1 AND id = $2",
        &[&tenant, id, docking],
    )
    .await
    .map(drop)
}

/// Makes a step; one that does not fit changes nothing and answers `false`.
pub(crate) async fn step_clip(tx: &mut Tx<'_>, id: &ClipId, step: ClipStep, note: &str) -> Result<bool, StoreError> {
    let Some(row) = clip(tx, id).await? else {
        return Ok(false);
    };
    let Ok(state) = row.state.after(step) else {
        return Ok(false);
    };
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let tries = match step {
        ClipStep::Fail | ClipStep::Spoil if !note.is_empty() => row.tries + 1,
        ClipStep::Copy | ClipStep::Retry => 0,
        _ => row.tries,
    };
    tx.exec(
        "UPDATE docking_clip SET state = $3, tries = $4, note = $5, changed_at = $6 WHERE tenant_id = $1 AND id = $2",
        &[&tenant, id, &state, &tries, &note, &now],
    )
    .await?;
    trail(tx, id.as_str(), step.as_str(), state.as_str(), note).await?;
    Ok(true)
}

/// Sets columns of a clip beside a step.
pub(crate) async fn set(
    tx: &mut Tx<'_>,
    id: &ClipId,
    columns: &[(&'static str, &dyn ToValue)],
) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    for (column, value) in columns {
        let sql = format!("UPDATE docking_clip SET {column} = $3 WHERE tenant_id = $1 AND id = $2");
        tx.exec(&sql, &[&tenant, id, *value]).await?;
    }
    Ok(())
}

/// Bytes of copies that are here.
pub(crate) async fn kept_bytes(tx: &mut Tx<'_>) -> Result<u64, StoreError> {
    let tenant = tx.tenant().clone();
    let (sum,): (i64,) = tx
        .one(
            "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM docking_clip WHERE tenant_id = $1 AND purged_at IS NULL
             AND state IN ('copied', 'verified', 'sealing', 'sealed', 'uploaded', 'confirmed', 'cleared', 'refused')",
            &[&tenant],
        )
        .await?;
    Ok(u64::try_from(sum).unwrap_or(0))
}

pub(crate) async fn trail(
    tx: &mut Tx<'_>,
    subject: &str,
    did: &str,
    state: &str,
    note: &str,
) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO docking_trail(tenant_id, subject, step, at, did, state, note)
         VALUES ($1, $2, (SELECT COALESCE(MAX(step), 0) + 1 FROM docking_trail WHERE tenant_id = $1 AND subject = $2),
            $3, $4, $5, $6)",
        &[&tenant, &subject, &now, &did, &state, &note],
    )
    .await
    .map(drop)
}
