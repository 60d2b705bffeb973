//! Judging a clip: is the entry signed by the hospital's appliance, does it fit its chain, are the bytes those it names?

use base::blobs::{self, Adopted, Blob};
use base::{ApiError, Ctx};
use gm::Trust;
use gm::cms::{self, Content};
use records::footage::{CustodyEntry, FootageRefusal};
use records::id::BlobId;
use records::{TenantId, Timestamp};
use serde_json::json;
use store::{Scope, StoreError};

use super::State;
use super::store::{self as sql, Clip};

/// Clips judged in one round.
const AT_ONCE: u32 = 20;

/// Judges what came and was not judged yet.
///
/// # Errors
/// Of the database.
pub async fn judge_new(ctx: &Ctx, tenant: &TenantId) -> Result<(), ApiError> {
    let scope = Scope::system(tenant.clone());
    let clips: Vec<Clip> = ctx
        .store
        .read(&scope, |tx| Box::pin(async move { sql::unjudged(tx, AT_ONCE).await }))
        .await
        .map_err(|e: StoreError| e)?;
    if clips.is_empty() {
        return Ok(());
    }
    let trust = treatment::signing::signer_roots(ctx, &scope).await?;
    // Nobody can tell yet under which roots the hospital signs: its appliance is asked again later, nothing is refused.
    if trust.roots().is_empty() {
        return Ok(());
    }
    // One whose file cannot be read now keeps no other waiting.
    let mut first = Ok(());
    for clip in clips {
        let id = clip.id.clone();
        if let Err(error) = judge(ctx, &scope, &trust, clip).await {
            tracing::error!(clip.id = %id, %error, "footage not judged");
            first = first.and(Err(error));
        }
    }
    first
}

async fn judge(ctx: &Ctx, scope: &Scope, trust: &Trust, clip: Clip) -> Result<(), ApiError> {
    if let Err(why) = signed(&clip, trust, ctx.now()) {
        return refuse(ctx, scope, clip, FootageRefusal::Unsound, why).await;
    }
    if let Link::Broken = chained(ctx, scope, &clip).await? {
        let why = "保管链与前一条目不衔接".to_owned();
        return refuse(ctx, scope, clip, FootageRefusal::Unsound, why).await;
    }
    let uploaded = ctx.hospital.kept_file(&format!("sha256:{}", clip.sha256)).await;
    let adopted = ctx
        .blobs
        .adopt(&scope.tenant, uploaded.as_deref(), (&clip.sm3, &clip.sha256, clip.size))
        .await
        .map_err(ApiError::internal)?;
    match adopted {
        Adopted::Kept => keep(ctx, scope, clip).await,
        Adopted::Missing => {
            let why = "视音频文件未到达，请重新上传".to_owned();
            refuse(ctx, scope, clip, FootageRefusal::Missing, why).await
        }
        Adopted::Different => {
            let why = "视音频文件与保管链条目的摘要不一致".to_owned();
            refuse(ctx, scope, clip, FootageRefusal::Unsound, why).await
        }
    }
}

async fn keep(ctx: &Ctx, scope: &Scope, clip: Clip) -> Result<(), ApiError> {
    let now = ctx.now();
    let blob = Blob {
        id: BlobId::generate(&ctx.ids, now),
        digest: clip.sm3.clone(),
        mime: mime(&clip.container).to_owned(),
        size: clip.size,
        purpose: "footage".to_owned(),
        owner: clip.appliance.to_string(),
        created_at: now,
    };
    ctx.store
        .write(scope, move |tx| {
            let (clip, blob) = (clip.clone(), blob.clone());
            Box::pin(async move {
                // Another replica may have been quicker.
                let still = sql::get(tx, &clip.id)
                    .await?
                    .is_some_and(|c| c.state == State::Received);
                if !still {
                    return Ok(());
                }
                blobs::insert(tx, &blob).await?;
                sql::confirm(tx, &clip, &blob.id).await?;
                let detail = json!({ "sm3": clip.sm3, "size": clip.size, "recorder": clip.serial });
                base::audit::record(tx, "footage.confirm", clip.id.as_str(), detail).await
            })
        })
        .await
        .map_err(|e: StoreError| e.into())
}

async fn refuse(ctx: &Ctx, scope: &Scope, clip: Clip, reason: FootageRefusal, why: String) -> Result<(), ApiError> {
    tracing::warn!(clip.id = %clip.id, why, "footage not confirmed");
    ctx.store
        .write(scope, move |tx| {
            let (clip, why) = (clip.clone(), why.clone());
            Box::pin(async move {
                sql::refuse(tx, &clip, reason, &why).await?;
                let detail = json!({ "reason": reason, "recorder": clip.serial });
                base::audit::record(tx, "footage.refuse", clip.id.as_str(), detail).await
            })
        })
        .await
        .map_err(|e: StoreError| e.into())
}

/// Whether the entry is signed by the appliance it names, under a root of the hospital; else why not, for people.
pub(crate) fn signed(clip: &Clip, trust: &Trust, now: Timestamp) -> Result<Timestamp, String> {
    let seen = cms::verify(&clip.cms, Content::Bytes(&clip.entry), trust, now.offset())
        .map_err(|refused| refused.person().to_owned())?;
    let subject = &seen.signer.subject;
    let own = subject.unit == CustodyEntry::SIGNER_ROLE
        && subject
            .serial_number
            .strip_prefix(clip.appliance.as_str())
            .is_some_and(|rest| rest.starts_with('/'));
    if own {
        Ok(Timestamp::from_offset(seen.signing_time))
    } else {
        Err("签名证书不属于采集的前置机".to_owned())
    }
}

/// How an entry stands in its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// It names the entry before it, which is here; or it is the first.
    Whole,
    /// The entry before it has not come yet.
    Open,
    /// It names another than the one before it.
    Broken,
}

pub(crate) async fn chained(ctx: &Ctx, scope: &Scope, clip: &Clip) -> Result<Link, ApiError> {
    let Ok(entry) = serde_json::from_slice::<CustodyEntry>(&clip.entry) else {
        return Ok(Link::Broken);
    };
    if entry.sequence <= 1 {
        let first = entry.previous == CustodyEntry::FIRST;
        return Ok(if first { Link::Whole } else { Link::Broken });
    }
    let (appliance, before) = (clip.appliance.clone(), entry.sequence - 1);
    let before: Option<Vec<u8>> = ctx
        .store
        .read(scope, move |tx| {
            let appliance = appliance.clone();
            Box::pin(async move { sql::entry_at(tx, &appliance, before).await })
        })
        .await
        .map_err(|e: StoreError| e)?;
    Ok(match before {
        None => Link::Open,
        Some(before) if hex::encode(gm::sm3(&before)) == entry.previous => Link::Whole,
        Some(_) => Link::Broken,
    })
}

const fn mime(container: &str) -> &'static str {
    match container.as_bytes() {
        b"mp4" => "video/mp4",
        b"ts" => "video/mp2t",
        b"avi" => "video/x-msvideo",
        b"wav" => "audio/wav",
        b"jpeg" => "image/jpeg",
        _ => "application/octet-stream",
    }
}
