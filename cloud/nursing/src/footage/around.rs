//! What stands around a clip: the other clips of its docking with the gaps between them, and its neighbours in the custody
//! chain, each verified now.

use base::{ApiError, Ctx};
use gm::Trust;
use records::Timestamp;
use records::footage::CustodyEntry;
use serde::Serialize;
use store::{Scope, StoreError};
use utoipa::ToSchema;

use super::derived::store as derived;
use super::judge::{self, Link};
use super::routes::ClipView;
use super::store::{self as sql, Clip};
use crate::recorder::store as recorders;
use crate::recorder::view::{DockingView, docking_view};

/// Entries shown before and after the clip's own.
const NEIGHBOURS: u64 = 2;
/// Clips of one docking that are listed.
const OF_DOCKING: u32 = 300;

/// An entry of the custody chain, verified now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ChainEntry {
    /// Place in the appliance's chain, from 1.
    sequence: u64,
    /// The clip it is about.
    clip: String,
    /// Path on the recorder.
    file: String,
    /// Serial number of the recorder.
    serial: String,
    /// SM3 of the entry, hex.
    entry_sm3: String,
    /// The signature holds.
    signature: bool,
    /// When it was signed.
    #[schema(value_type = Option<String>, format = DateTime)]
    signed_at: Option<Timestamp>,
    /// `whole`, `open` (the entry before has not come yet), `broken`.
    link: &'static str,
    /// What does not hold, in plain words.
    text: String,
}

/// How a link is called in the API.
pub(super) const fn word(link: Link) -> &'static str {
    match link {
        Link::Whole => "whole",
        Link::Open => "open",
        Link::Broken => "broken",
    }
}

/// The chain about a clip: two entries before, its own, two after, as far as they are here.
pub(super) async fn chain(ctx: &Ctx, scope: &Scope, trust: &Trust, clip: &Clip) -> Result<Vec<ChainEntry>, ApiError> {
    let (appliance, at) = (clip.appliance.clone(), clip.sequence);
    let clips: Vec<Clip> = ctx
        .store
        .read(scope, move |tx| {
            let appliance = appliance.clone();
            Box::pin(async move {
                let from = at.saturating_sub(NEIGHBOURS);
                sql::of_chain(tx, &appliance, from, at.saturating_add(NEIGHBOURS)).await
            })
        })
        .await
        .map_err(|e: StoreError| e)?;
    let mut entries = Vec::with_capacity(clips.len());
    for clip in clips {
        let signed = judge::signed(&clip, trust, ctx.now());
        let link = judge::chained(ctx, scope, &clip).await?;
        let mut text = Vec::new();
        if let Err(why) = &signed {
            text.push(why.clone());
        }
        match link {
            Link::Whole => {}
            Link::Open => text.push("前一条目尚未到达云端".to_owned()),
            Link::Broken => text.push("与前一条目不衔接".to_owned()),
        }
        entries.push(ChainEntry {
            sequence: clip.sequence,
            clip: clip.id.to_string(),
            file: clip.file.clone(),
            serial: clip.serial.clone(),
            entry_sm3: hex::encode(gm::sm3(&clip.entry)),
            signature: signed.is_ok(),
            signed_at: signed.ok(),
            link: word(link),
            text: text.join("；"),
        });
    }
    Ok(entries)
}

/// The docking in which a clip was taken.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Docked {
    /// As the appliance reported it; absent when the report has not come.
    docking: Option<DockingView>,
    /// Its clips in the order in which they were recorded.
    clips: Vec<ClipView>,
}

/// The docking of a clip.
pub(super) async fn docking(ctx: &Ctx, scope: &Scope, clip: &Clip) -> Result<Docked, ApiError> {
    let id = clip.docking.clone();
    let (report, clips, rescued) = ctx
        .store
        .read(scope, move |tx| {
            let id = id.clone();
            Box::pin(async move {
                let report = recorders::docking(tx, &id).await?;
                let clips = sql::of_docking(tx, &id, OF_DOCKING).await?;
                Ok::<_, StoreError>((report, clips, derived::rescued_of(tx, &id).await?))
            })
        })
        .await?;
    Ok(Docked {
        docking: report.and_then(docking_view),
        clips: clips
            .iter()
            .map(|clip| {
                let mut view = ClipView::from(clip);
                view.playable_ms = rescued.get(clip.id.as_str()).copied().or(clip.duration_ms);
                view
            })
            .collect(),
    })
}

/// The entry of a clip, where its bytes can be read.
pub(super) fn entry(clip: &Clip) -> Option<CustodyEntry> {
    serde_json::from_slice(&clip.entry).ok()
}
