//! A clip with its custody: signature, chain and, when asked, the kept bytes, verified at every look.

use axum::extract::State;
use base::permission::SeesFootage;
use base::{ApiError, Ctx, Json, Path, Staff, audit};
use gm::Trust;
use records::Timestamp;
use records::footage::ClipId;
use serde::Serialize;
use serde_json::{Value, json};
use store::Scope;
use utoipa::ToSchema;

use super::{ClipView, clip_id};
use crate::footage::around::{self, ChainEntry, Docked};
use crate::footage::judge;
use crate::footage::store::{self as sql, Clip};

/// What was checked, now.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Proof {
    /// The entry's signature holds, by the appliance that took the clip, under a root of the hospital.
    signature: bool,
    /// `whole`, `open` (the entry before has not come yet), `broken`.
    chain: &'static str,
    /// The kept bytes have the entry's hashes; absent when they were not read.
    content: Option<bool>,
    /// When it was signed.
    #[schema(value_type = Option<String>, format = DateTime)]
    signed_at: Option<Timestamp>,
    /// Plain words where something does not hold.
    text: String,
}

/// A clip with its custody.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ClipDetail {
    /// The clip.
    #[serde(flatten)]
    clip: ClipView,
    /// Its custody entry as it was signed.
    #[schema(value_type = Object)]
    entry: Value,
    /// SM3 of that entry, hex: what the next entry names.
    entry_sm3: String,
    /// The signature, CMS, DER, base64.
    cms: String,
    /// What was checked.
    proof: Proof,
    /// The custody chain about it: entries before and after, each verified now.
    chain: Vec<ChainEntry>,
    /// Its docking: the other clips and the gaps between them.
    docked: Docked,
}

async fn prove(ctx: &Ctx, scope: &Scope, trust: &Trust, clip: &Clip, content: Option<bool>) -> Result<Proof, ApiError> {
    let signed = judge::signed(clip, trust, ctx.now());
    let chain = around::word(judge::chained(ctx, scope, clip).await?);
    let mut text = Vec::new();
    if let Err(why) = &signed {
        text.push(why.clone());
    }
    if chain == "broken" {
        text.push("保管链与前一条目不衔接".to_owned());
    }
    if content == Some(false) {
        text.push("所存文件与保管链条目的摘要不一致".to_owned());
    }
    Ok(Proof {
        signature: signed.is_ok(),
        chain,
        content,
        signed_at: signed.ok(),
        text: text.join("；"),
    })
}

/// Loads a clip and writes the view to the audit, in one unit.
async fn seen(ctx: &Ctx, staff: &Staff<SeesFootage>, id: ClipId, act: &'static str) -> Result<Clip, ApiError> {
    ctx.store
        .write(&staff.scope(), move |tx| {
            let id = id.clone();
            Box::pin(async move {
                let clip = sql::get(tx, &id).await?.ok_or_else(ApiError::not_found)?;
                let detail = json!({ "recorder": clip.serial, "order": clip.order_no });
                audit::record(tx, act, id.as_str(), detail).await?;
                Ok(clip)
            })
        })
        .await
}

/// A clip with its custody entry, whose signature and chain are verified now.
#[utoipa::path(get, path = "/admin/footage/{id}", tag = "nursing", params(("id" = String, Path)),
    responses((status = 200, body = ClipDetail), (status = 404, body = base::error::ErrorBody)))]
pub(super) async fn show(
    State(ctx): State<Ctx>,
    staff: Staff<SeesFootage>,
    Path(id): Path<String>,
) -> Result<Json<ClipDetail>, ApiError> {
    let clip = seen(&ctx, &staff, clip_id(&id)?, "footage.view").await?;
    detail(&ctx, &staff.scope(), &clip, None).await.map(Json)
}

async fn detail(ctx: &Ctx, scope: &Scope, clip: &Clip, content: Option<bool>) -> Result<ClipDetail, ApiError> {
    use base64::Engine as _;
    let trust = treatment::signing::signer_roots(ctx, scope).await?;
    let entry = around::entry(clip).and_then(|e| serde_json::to_value(e).ok());
    Ok(ClipDetail {
        clip: clip.into(),
        entry: entry.unwrap_or_default(),
        entry_sm3: hex::encode(gm::sm3(&clip.entry)),
        cms: base64::engine::general_purpose::STANDARD.encode(&clip.cms),
        proof: prove(ctx, scope, &trust, clip, content).await?,
        chain: around::chain(ctx, scope, &trust, clip).await?,
        docked: around::docking(ctx, scope, clip).await?,
    })
}

/// Reads the kept bytes of a clip anew and verifies everything.
#[utoipa::path(post, path = "/admin/footage/{id}/verification", tag = "nursing", params(("id" = String, Path)),
    responses((status = 200, body = ClipDetail), (status = 404, body = base::error::ErrorBody)))]
pub(super) async fn verify(
    State(ctx): State<Ctx>,
    staff: Staff<SeesFootage>,
    Path(id): Path<String>,
) -> Result<Json<ClipDetail>, ApiError> {
    let clip = seen(&ctx, &staff, clip_id(&id)?, "footage.verify").await?;
    let sound = ctx
        .blobs
        .verify(&staff.tenant, (&clip.sm3, &clip.sha256, clip.size))
        .await
        .map_err(ApiError::internal)?;
    detail(&ctx, &staff.scope(), &clip, Some(sound)).await.map(Json)
}
