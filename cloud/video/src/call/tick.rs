//! What time does to calls and recordings.

use ::store::{Scope, Tx};
use base::{ApiError, Ctx, Vault};
use care::consultation::VisitState;
use records::TenantId;

use super::store::{self as table, Recording};
use super::{Command, has_lapsed, next};
use crate::Video;

/// One round for every hospital: calls nobody answers end, calls of visits that are over end, finished recordings become
/// files for replay. Idempotent.
pub async fn tick(ctx: &Ctx, video: &Video) {
    let tenants = match base::tenants::all(&ctx.store).await {
        Ok(tenants) => tenants,
        Err(error) => return tracing::error!(%error, "hospitals not read"),
    };
    for tenant in tenants {
        if let Err(error) = lapse(ctx, video, &tenant.id).await {
            tracing::error!(tenant.id = %tenant.id, %error, "calls not looked after");
        }
        if let Err(error) = keep(ctx, video, &tenant.id).await {
            tracing::error!(tenant.id = %tenant.id, %error, "recordings not kept");
        }
    }
}

async fn lapse(ctx: &Ctx, video: &Video, tenant: &TenantId) -> Result<(), ApiError> {
    let vault = ctx.vault.clone();
    let over = ctx
        .store
        .write(&Scope::system(tenant.clone()), move |tx| {
            let vault = vault.clone();
            Box::pin(async move {
                let (now, mut over) = (tx.now(), Vec::new());
                for mut call in table::open(tx).await? {
                    let parties = care::consultation::parties(tx, &vault, &call.visit_id).await?;
                    let going_on = parties.is_some_and(|p| p.visit.state == VisitState::InProgress);
                    let (command, note) = match (going_on, has_lapsed(call.started_at, now)) {
                        (false, _) => (Command::End, "问诊已结束"),
                        (true, true) => (Command::Lapse, "无人接听"),
                        (true, false) => continue,
                    };
                    if let Ok(to) = next(call.state, command, None) {
                        call.state = to;
                        call.ended_at = Some(now);
                        call.note = note.to_owned();
                        table::save(tx, &call).await?;
                        over.push(call.visit_id);
                    }
                }
                Ok::<_, ApiError>(over)
            })
        })
        .await?;
    for visit in over {
        video.engine.close(visit.as_str()).await;
        care::consultation::board::announce(ctx, tenant, &visit).await;
    }
    Ok(())
}

async fn keep(ctx: &Ctx, video: &Video, tenant: &TenantId) -> Result<(), ApiError> {
    let scope = Scope::system(tenant.clone());
    let waiting = ctx
        .store
        .read(&scope, |tx| Box::pin(async move { table::unkept(tx).await }))
        .await?;
    for recording in waiting {
        // A seat of this run that is still taken; one of an earlier run was cut off with it.
        let sitting = recording.ended_at.is_none() && *recording.boot == *video.boot;
        if sitting || video.engine.is_writing(&recording.id) {
            continue;
        }
        keep_one(ctx, video, &scope, recording).await?;
    }
    Ok(())
}

async fn keep_one(ctx: &Ctx, video: &Video, scope: &Scope, recording: Recording) -> Result<(), ApiError> {
    let path = video.engine.recording(&recording.id);
    let bytes = match tokio::fs::read(&path).await {
        Ok(bytes) if !bytes.is_empty() => Some(bytes),
        Ok(_) => None,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(ApiError::internal(error)),
    };
    let blob = match bytes {
        Some(bytes) => Some(base::blobs::put(ctx, scope, "video_recording", &bytes).await?.id),
        None => None,
    };
    let vault = ctx.vault.clone();
    ctx.store
        .write(scope, move |tx| {
            let (recording, blob, vault) = (recording.clone(), blob.clone(), vault.clone());
            Box::pin(async move {
                table::kept(tx, &recording.id, blob.as_ref()).await?;
                let Some(blob) = blob else { return Ok(()) };
                for reader in readers(tx, &vault, &recording).await? {
                    base::blobs::grant(tx, &blob, &reader).await?;
                }
                let detail = serde_json::json!({ "blob": blob.as_str(), "keep_until": recording.keep_until });
                Ok::<_, ApiError>(base::audit::record(tx, "video.keep", recording.visit_id.as_str(), detail).await?)
            })
        })
        .await?;
    // The blob is durable now; the file was only its draft.
    match tokio::fs::remove_file(&path).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ApiError::internal(error)),
        _ => Ok(()),
    }
}

/// The patient's account and the doctor.
async fn readers(tx: &mut Tx<'_>, vault: &Vault, recording: &Recording) -> Result<Vec<String>, ApiError> {
    let call = table::latest(tx, &recording.visit_id).await?;
    let parties = care::consultation::parties(tx, vault, &recording.visit_id).await?;
    let account = parties.map(|p| p.visit.account_id.into_string());
    let doctor = call.map(|c| c.doctor_id.into_string());
    Ok([account, doctor].into_iter().flatten().collect())
}
