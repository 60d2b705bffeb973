//! Makes what is wanted: one job after the other in each lane, outside any unit of work.

use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU8, Ordering};

use base::blobs::{self, Blob};
use base::{ApiError, Ctx};
use media::{Failure, Made, Reason};
use records::TenantId;
use records::id::BlobId;
use serde_json::json;
use store::{Scope, StoreError, Tx};

use super::bench::bench;
use super::store::{self as sql, Derived, Wish};
use super::workshop::{Tools, Workshop};
use super::{ATTEMPTS, BEAT, DerivedId, Kind, PAUSE, after_probe, note, pictures, sweep};
use crate::footage::store::Clip;

/// Kept clips taken up in one round.
const AT_ONCE: u32 = 50;

/// Which jobs a round takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Those that every clip gets, which take seconds.
    Quick,
    /// All, first those that a person waits for.
    Any,
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
