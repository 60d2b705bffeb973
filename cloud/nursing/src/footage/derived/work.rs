//! Makes what is wanted: one job after the other in each lane, outside any unit of work.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base::blobs::{self, Blob};
use base::{ApiError, Ctx};
use media::{Export, Failure, Job, Made, Reason, Worker};
use records::id::BlobId;
use records::{TenantId, Timestamp};
use serde_json::json;
use store::{Scope, StoreError, Tx};

use super::store::{self as sql, Derived, Wish};
use super::{ATTEMPTS, BEAT, DerivedId, Kind, PAUSE, STILL, State, after_probe, note, pictures, sweep};
use crate::footage::store::{self as clips, Clip};

/// Kept clips taken up in one round.
const AT_ONCE: u32 = 50;
/// Seconds that hospitals' time is ahead of UTC.
const LOCAL: i32 = 8 * 3600;

/// Which jobs a round takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Those that every clip gets, which take seconds.
    Quick,
    /// All, first those that a person waits for.
    Any,
}

/// Where derived objects are made.
#[derive(Clone, Debug)]
pub struct Workshop {
    worker: Arc<Worker>,
    /// A file with Chinese letters, for the watermark.
    letters: PathBuf,
    /// Folder of what is being made; on the file system of the kept files.
    folder: PathBuf,
    looked: Arc<Mutex<Option<(Timestamp, Tools)>>>,
}

/// Whether something can be made at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tools {
    pub(super) ready: bool,
    /// Versions, or what is missing, for people.
    pub(super) text: String,
}

impl Workshop {
    /// With this worker. What an earlier process left half made in the folder a day ago or longer is removed.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(worker: Worker, letters: PathBuf, folder: PathBuf, now: Timestamp) -> std::io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let changed = entry.metadata()?.modified()?;
            let age = changed.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let a_day_ago = now.as_micros() / 1_000_000 - 86_400;
            if i64::try_from(age.as_secs()).unwrap_or(0) < a_day_ago {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(Self {
            worker: Arc::new(worker),
            letters,
            folder,
            looked: Arc::default(),
        })
    }

    /// Whether the worker and what it needs are there; asked at most once in [`STILL`].
    pub(super) async fn tools(&self, now: Timestamp) -> Tools {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, tools)) = looked.filter(|(at, _)| now.minus(STILL) < *at) {
            return tools;
        }
        let tools = match self.worker.tools().await {
            Ok(found) if found.missing.is_empty() => Tools {
                ready: true,
                text: found.versions,
            },
            Ok(found) => Tools {
                ready: false,
                text: format!("缺少 GStreamer 组件：{}；原始文件仍可下载", found.missing.join("、")),
            },
            Err(failure) => {
                tracing::warn!(%failure, "no media worker");
                let text = "未安装视音频处理程序（media-worker 或 GStreamer）；原始文件仍可播放或下载";
                Tools {
                    ready: false,
                    text: text.to_owned(),
                }
            }
        };
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, tools.clone()));
        tools
    }
}

/// One round: takes up kept clips, then does jobs until none is left. To be called in a loop for each job at once.
pub async fn round(ctx: &Ctx, workshop: &Workshop, lane: Lane) {
    let tools = workshop.tools(ctx.now()).await;
    for hospital in base::tenants::all(&ctx.store).await.unwrap_or_default() {
        if let Err(error) = hospital_round(ctx, workshop, (lane, &tools), &hospital.id).await {
            tracing::error!(%error, "derived media not made");
        }
    }
}

async fn hospital_round(
    ctx: &Ctx,
    workshop: &Workshop,
    (lane, tools): (Lane, &Tools),
    tenant: &TenantId,
) -> Result<(), ApiError> {
    let scope = Scope::system(tenant.clone());
    take_up(ctx, &scope).await?;
    sweep::sweep(ctx, &scope).await?;
    if !tools.ready {
        return Ok(());
    }
    loop {
        let claimed = ctx
            .store
            .write(&scope, move |tx| Box::pin(async move { sql::claim(tx, lane).await }))
            .await
            .map_err(|e: StoreError| e)?;
        let Some(job) = claimed else { return Ok(()) };
        do_job(ctx, workshop, (&scope, tools), job).await?;
    }
}

async fn take_up(ctx: &Ctx, scope: &Scope) -> Result<(), ApiError> {
    let ctx = ctx.clone();
    let store = ctx.store.clone();
    let fresh: Vec<Clip> = store
        .read(scope, |tx| Box::pin(async move { sql::fresh(tx, AT_ONCE).await }))
        .await
        .map_err(|e: StoreError| e)?;
    if fresh.is_empty() {
        return Ok(());
    }
    store
        .write(scope, move |tx| {
            let (ctx, fresh) = (ctx.clone(), fresh.clone());
            Box::pin(async move {
                for clip in &fresh {
                    want(&ctx, tx, clip, &[Kind::Probe]).await?;
                }
                Ok(())
            })
        })
        .await
        .map_err(|e: StoreError| e.into())
}

async fn want(ctx: &Ctx, tx: &mut Tx<'_>, clip: &Clip, kinds: &[Kind]) -> Result<(), StoreError> {
    for kind in kinds {
        let id = DerivedId::generate(&ctx.ids, tx.now());
        sql::want(tx, &id, clip, &Wish::of(*kind)).await?;
    }
    Ok(())
}

/// What a job needs to know.
struct Bench {
    clip: Clip,
    hospital: String,
    /// Where its input lies.
    input: PathBuf,
    /// Good files of the same recorder.
    references: Vec<PathBuf>,
    duration_ms: Option<u64>,
}

async fn bench(ctx: &Ctx, scope: &Scope, job: &Derived) -> Result<Option<Bench>, ApiError> {
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
    fn job(&self, wanted: &Derived, letters: &Path) -> Job {
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

async fn do_job(
    ctx: &Ctx,
    workshop: &Workshop,
    (scope, tools): (&Scope, &Tools),
    job: Derived,
) -> Result<(), ApiError> {
    let Some(bench) = bench(ctx, scope, &job).await? else {
        let gone = Failure::Refused {
            reason: Reason::Machine,
            detail: "the clip's file is not there".to_owned(),
        };
        return failed(ctx, workshop, scope, job, &gone, None).await;
    };
    let scratch = tempfile::Builder::new()
        .prefix(job.id.as_str())
        .tempdir_in(&workshop.folder)
        .map_err(ApiError::internal)?;
    let order = bench.job(&job, &workshop.letters);
    let patience = workshop.worker.patience(&order, bench.clip.size, bench.duration_ms);
    let (output, mime) = (order.output().map(|name| scratch.path().join(name)), order.mime());
    let progress = AtomicU8::new(0);
    let outcome = {
        let said = |percent| progress.store(percent, Ordering::Relaxed);
        let run = workshop
            .worker
            .run((order, &bench.input), scratch.path(), patience, said);
        tokio::pin!(run);
        loop {
            tokio::select! {
                outcome = &mut run => break outcome,
                () = tokio::time::sleep(BEAT) => {
                    let (id, percent) = (job.id.clone(), u64::from(progress.load(Ordering::Relaxed)));
                    let goes_on = ctx.store
                        .write(scope, move |tx| {
                            let id = id.clone();
                            Box::pin(async move { sql::beat(tx, &id, percent).await })
                        })
                        .await
                        .map_err(|e: StoreError| e)?;
                    if !goes_on {
                        // Nobody wants it any more; with the run goes its process.
                        return Ok(());
                    }
                }
            }
        }
    };
    match outcome {
        Ok(made) => {
            let blob = match output {
                Some(output) => Some(keep(ctx, scope, &job, (&output, mime)).await?),
                None => None,
            };
            finished(ctx, scope, (job, bench.clip), (made, blob), tools).await
        }
        Err(failure) => failed(ctx, workshop, scope, job, &failure, Some(&bench.clip)).await,
    }
}

/// Takes what was made among the kept files, after a note of it.
async fn keep(ctx: &Ctx, scope: &Scope, job: &Derived, (file, mime): (&Path, &str)) -> Result<Blob, ApiError> {
    let (digest, size) = ctx.blobs.weigh(file).await.map_err(ApiError::internal)?;
    let (about, object) = (digest.clone(), job.id.clone());
    ctx.store
        .write(scope, move |tx| {
            let (digest, object) = (about.clone(), object.clone());
            Box::pin(async move { sweep::noted(tx, &digest, &object).await })
        })
        .await
        .map_err(|e: StoreError| e)?;
    ctx.blobs
        .take_in(&scope.tenant, file, &digest)
        .await
        .map_err(ApiError::internal)?;
    let now = ctx.now();
    Ok(Blob {
        id: BlobId::generate(&ctx.ids, now),
        digest,
        mime: mime.to_owned(),
        size,
        purpose: "footage_derived".to_owned(),
        owner: scope.actor.to_string(),
        created_at: now,
    })
}

async fn finished(
    ctx: &Ctx,
    scope: &Scope,
    (job, clip): (Derived, Clip),
    (made, blob): (Made, Option<Blob>),
    tools: &Tools,
) -> Result<(), ApiError> {
    let (outer, tools) = (ctx.clone(), tools.text.clone());
    ctx.store
        .write(scope, move |tx| {
            let (ctx, job, clip, made, blob) = (outer.clone(), job.clone(), clip.clone(), made.clone(), blob.clone());
            let tools = tools.clone();
            Box::pin(async move {
                let report = serde_json::to_string(&made).unwrap_or_default();
                let own = blob.as_ref().map(|b| &b.id);
                if !sql::made(tx, &job.id, own, (&report, &note(&made), &tools)).await? {
                    return Ok(());
                }
                if let Some(blob) = &blob {
                    blobs::insert(tx, blob).await?;
                    sweep::named(tx, &blob.digest).await?;
                    let detail = json!({ "kind": job.kind.as_str(), "object": job.id, "derived_from": job.derived_from,
                        "sm3": blob.digest, "size": blob.size });
                    base::audit::record(tx, "footage.derive", clip.id.as_str(), detail).await?;
                }
                match &made {
                    Made::Facts(facts) => {
                        want(&ctx, tx, &clip, &after_probe(facts)).await?;
                        if facts.whole() && facts.container == "mp4" {
                            sql::reference_came(tx, &clip.serial).await?;
                        }
                    }
                    Made::Rescued(_) => want(&ctx, tx, &clip, &[Kind::Poster, Kind::Strip]).await?,
                    _ => {}
                }
                Ok(())
            })
        })
        .await
        .map_err(|e: StoreError| e.into())
}

async fn failed(
    ctx: &Ctx,
    workshop: &Workshop,
    scope: &Scope,
    job: Derived,
    failure: &Failure,
    clip: Option<&Clip>,
) -> Result<(), ApiError> {
    tracing::warn!(derived.id = %job.id, derived.kind = job.kind.as_str(), %failure, "derived media not made");
    // What the server lacks is not the file's fault: it is tried again for as long as it takes.
    let lacks = matches!(
        failure,
        Failure::Missing(_)
            | Failure::Refused {
                reason: Reason::Tools,
                ..
            }
    );
    if lacks {
        *workshop.looked.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
    let again = lacks || (failure.passing() && job.attempts < ATTEMPTS);
    let again_at = again.then(|| ctx.now().plus(PAUSE));
    let fault = match failure {
        Failure::Refused {
            reason: Reason::NoReference,
            ..
        } => "no_reference",
        Failure::Refused { .. } => "refused",
        Failure::Hung => "hung",
        _ => "broken",
    };
    let (outer, clip, text) = (ctx.clone(), clip.cloned(), failure.text());
    ctx.store
        .write(scope, move |tx| {
            let (ctx, job, clip) = (outer.clone(), job.clone(), clip.clone());
            Box::pin(async move {
                sql::not_made(tx, &job.id, again_at, (fault, text), !lacks).await?;
                // What cannot be rescued may still have pictures as it is.
                if let (Kind::Salvage, None, Some(clip)) = (job.kind, again_at, &clip) {
                    let all = sql::of_clip(tx, &clip.id).await?;
                    let probed = all.iter().find(|d| d.kind == Kind::Probe).and_then(Derived::made);
                    if let Some(Made::Facts(facts)) = probed {
                        want(&ctx, tx, clip, &pictures(&facts)).await?;
                    }
                }
                Ok(())
            })
        })
        .await
        .map_err(|e: StoreError| e.into())
}
