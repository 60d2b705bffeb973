//! Custody entries: one chain per appliance, each entry naming the SM3 of the one before.

use records::Timestamp;
use records::document::canonical;
use records::footage::{CustodyEntry, CustodyIssue, DockingId};
use records::id::EdgeId;
use sm3::{Digest, Sm3};
use store::{StoreError, Tx};

use crate::register;
use crate::rows::{self, Clip};
use crate::state::ClipStep;

/// Gives a verified clip its place in the chain and fixes its entry's bytes.
pub(crate) async fn draft(tx: &mut Tx<'_>, edge: &EdgeId, clip: &Clip) -> Result<(), StoreError> {
    if clip.entry.is_some() {
        // Taken again after its copy was lost: the entry stands, since the hashes are the same.
        rows::step_clip(tx, &clip.id, ClipStep::Draft, "").await?;
        return Ok(());
    }
    let tenant = tx.tenant().clone();
    let last: Option<(u64, Vec<u8>)> = tx
        .opt(
            "SELECT sequence, entry FROM docking_clip WHERE tenant_id = $1 AND sequence IS NOT NULL
             ORDER BY sequence DESC LIMIT 1",
            &[&tenant],
        )
        .await?;
    let (sequence, previous) = match &last {
        Some((sequence, entry)) => (sequence + 1, hex::encode(Sm3::digest(entry))),
        None => (1, CustodyEntry::FIRST.to_owned()),
    };
    let taken_in: DockingId = clip.taken_in.clone().unwrap_or_else(|| clip.docking.clone());
    let docking = rows::docking(tx, &taken_in).await?;
    let offset = docking.clock_offset_ms.unwrap_or(0);
    let corrected = clip
        .recorded_at
        .map(|at| Timestamp::from_micros(at.as_micros().saturating_sub(offset.saturating_mul(1000))));
    let had = register::holder_at(tx, &clip.recorder, corrected, docking.arrived_at).await?;
    let class = match &had {
        Some(issue) if !issue.order_no.is_empty() => "order",
        _ => "loose",
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let entry = CustodyEntry {
        format: CustodyEntry::FORMAT.to_owned(),
        appliance: edge.clone(),
        sequence,
        previous,
        clip: clip.id.clone(),
        docking: taken_in,
        recorder: clip.recorder.clone(),
        model: docking.model,
        issue: had.map(|i| CustodyIssue {
            id: i.id,
            holder: i.holder,
            holder_name: i.holder_name,
            order: i.order_no,
            issued_at: i.issued_at,
        }),
        file: clip.file.clone(),
        size: clip.size,
        sm3: text(&clip.sm3),
        sha256: text(&clip.sha256),
        container: text(&clip.container),
        condition: text(&clip.condition),
        recorded_at: clip.recorded_at,
        duration_ms: clip.duration_ms,
        clock_offset_ms: docking.clock_offset_ms,
        docked_at: docking.arrived_at,
        copied_at: clip.copied_at.unwrap_or_default(),
    };
    let bytes = canonical(&entry).map_err(|e| StoreError::Constraint { message: e.to_string() })?;
    rows::step_clip(tx, &clip.id, ClipStep::Draft, "").await?;
    rows::set(
        tx,
        &clip.id,
        &[
            ("sequence", &sequence),
            ("entry", &bytes),
            ("entry_sha256", &entry.sha256),
            ("class", &class),
        ],
    )
    .await
}
