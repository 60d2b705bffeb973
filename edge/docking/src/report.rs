//! What the cloud is told of a docking, at each change of its state.

use recorder::gaps::{self, Span};
use records::footage::{DockingId, DockingReport, FootageGap, kind};
use records::{Lane, PeerId, Timestamp};
use store::{StoreError, Tx};

use crate::rows::{self, Clip};
use crate::state::ClipState;

/// A pause longer than this between two recordings is worth a look.
const ALLOWED_MS: i64 = 5_000;
/// One longer than this is the recorder not being used.
const SHIFT_MS: i64 = 4 * 3600 * 1000;

/// Appends the report of a docking.
pub(crate) async fn docking(tx: &mut Tx<'_>, id: &DockingId) -> Result<(), StoreError> {
    let row = rows::docking(tx, id).await?;
    let clips = rows::clips_in_docking(tx, id).await?;
    let body = DockingReport {
        id: row.id,
        serial: row.serial,
        model: row.model,
        place: row.place,
        state: row.state.as_str().to_owned(),
        note: row.note,
        arrived_at: row.arrived_at,
        clock_offset_ms: row.clock_offset_ms,
        battery: row.battery,
        clips: clips.len() as u64,
        bytes: clips.iter().map(|c| c.size).sum(),
        cleared: clips.iter().filter(|c| c.state == ClipState::Cleared).count() as u64,
        gaps: gaps_of(&clips, row.clock_offset_ms),
        at: tx.now(),
    };
    append(tx, kind::RECORDER_DOCKING, id.as_str(), &body).await
}

/// Pauses between one recording and the next, by corrected time.
pub(crate) fn gaps_of(clips: &[Clip], offset_ms: Option<i64>) -> Vec<FootageGap> {
    let spans: Vec<Span> = clips
        .iter()
        .filter_map(|clip| {
            let begin_ms = clip.recorded_at?.as_micros() / 1000 - offset_ms.unwrap_or(0);
            let length = i64::try_from(clip.duration_ms?).unwrap_or(0);
            Some(Span {
                begin_ms,
                end_ms: begin_ms.saturating_add(length),
            })
        })
        .collect();
    let at = |ms: i64| Timestamp::from_micros(ms.saturating_mul(1000));
    gaps::between(&spans, ALLOWED_MS, SHIFT_MS)
        .into_iter()
        .map(|gap| FootageGap {
            from: at(gap.begin_ms),
            to: at(gap.end_ms),
        })
        .collect()
}

/// Appends an entry for the cloud.
pub(crate) async fn append<T: serde::Serialize + Sync>(
    tx: &mut Tx<'_>,
    kind: &'static str,
    entity: &str,
    body: &T,
) -> Result<(), StoreError> {
    let body = serde_json::to_value(body).map_err(|e| StoreError::Constraint { message: e.to_string() })?;
    tx.append(&PeerId::cloud(), Lane::Clinical, kind, entity, &body)
        .await
        .map(drop)
}
