//! What one job needs to know of its clip: where its input lies, the good files beside it, the watermark's words.

use std::path::{Path, PathBuf};

use base::blobs;
use base::{ApiError, Ctx};
use media::{Export, Job, Made, Worker};
use store::{Scope, StoreError};

use super::store::{self as sql, Derived};
use super::{Kind, State};
use crate::footage::store::{self as clips, Clip};

/// Seconds that hospitals' time is ahead of UTC.
const LOCAL: i32 = 8 * 3600;

/// What a job needs to know.
pub(super) struct Bench {
    pub(super) clip: Clip,
    hospital: String,
    /// Where its input lies.
    pub(super) input: PathBuf,
    /// Good files of the same recorder.
    references: Vec<PathBuf>,
    pub(super) duration_ms: Option<u64>,
}

pub(super) async fn bench(ctx: &Ctx, scope: &Scope, job: &Derived) -> Result<Option<Bench>, ApiError> {
    let (clip_id, kind) = (job.clip_id.clone(), job.kind);
    let found = ctx
        .store
        .read(scope, move |tx| {
            let clip_id = clip_id.clone();
            Box::pin(async move {
                let Some(clip) = clips::get(tx, &clip_id).await? else {
                    return Ok(None);
                };
                let hospital = base::tenants::by_id(tx).await?.name;
                let all = sql::of_clip(tx, &clip_id).await?;
                let rescued = all.iter().find(|d| d.kind == Kind::Salvage && d.state == State::Made);
                let source = match (kind, rescued) {
                    (Kind::Poster | Kind::Strip | Kind::Proxy | Kind::Export, Some(rescued)) => rescued.blob_id.clone(),
                    _ => clip.blob_id.clone(),
                };
                let length = |made| match made {
                    Made::Facts(facts) => facts.duration_ms,
                    _ => None,
                };
                let probed = all.iter().find(|d| d.kind == Kind::Probe).and_then(Derived::made);
                let duration = probed.and_then(length).or(clip.duration_ms);
                let source = match source {
                    Some(source) => blobs::get(tx, &source).await?,
                    None => None,
                };
                let mut good = Vec::new();
                if kind == Kind::Salvage {
                    for reference in sql::references(tx, &clip).await? {
                        if let Some(blob) = reference.blob_id {
                            good.extend(blobs::get(tx, &blob).await?);
                        }
                    }
                }
                Ok::<_, StoreError>(source.map(|source| (clip, hospital, source, good, duration)))
            })
        })
        .await?;
    Ok(found.map(|(clip, hospital, source, good, duration_ms)| Bench {
        input: ctx.blobs.path(&scope.tenant, &source),
        references: good.iter().map(|good| ctx.blobs.path(&scope.tenant, good)).collect(),
        clip,
        hospital,
        duration_ms,
    }))
}

impl Bench {
    pub(super) fn job(&self, wanted: &Derived, letters: &Path) -> Job {
        match wanted.kind {
            Kind::Probe => Job::Probe,
            Kind::Poster => Job::Poster,
            Kind::Strip => Worker::strip(),
            Kind::Remux => Job::Remux,
            Kind::Salvage => Job::Salvage {
                references: self.references.clone(),
            },
            Kind::Proxy => Job::Proxy,
            Kind::Export => Job::Export(Export {
                text: format!("{} · {}", self.hospital, nurse(&self.clip)),
                began_us: self.clip.began_at.as_micros(),
                utc_offset_s: LOCAL,
                from_ms: wanted.from_ms.unwrap_or(0),
                to_ms: wanted.to_ms,
                font: letters.to_owned(),
            }),
        }
    }
}

/// Whose name the watermark shows.
pub(super) fn nurse(clip: &Clip) -> &str {
    if clip.holder_name.is_empty() {
        "未登记"
    } else {
        &clip.holder_name
    }
}
