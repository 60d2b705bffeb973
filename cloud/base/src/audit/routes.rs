//! The auditor's page.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::search::Wanted;
use super::{Broken, Checkpoint, Row, checkpoint, record, verify};
use crate::permission::SeesAudit;
use crate::{ApiError, Ctx, Json, Page, Paged, Query, Staff, csv};

/// Rows of one export.
const EXPORTED: u32 = 50_000;

/// The audit chain, newest first.
#[utoipa::path(get, path = "/admin/audit", tag = "admin", params(Wanted, Page), responses((status = 200, body = Paged<Row>)))]
async fn list(
    State(ctx): State<Ctx>,
    staff: Staff<SeesAudit>,
    Query(wanted): Query<Wanted>,
    Query(page): Query<Page>,
) -> Result<Json<Paged<Row>>, ApiError> {
    let filter = wanted.filter()?;
    let paged = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let filter = filter.clone();
            Box::pin(async move { filter.page(tx, page).await.map_err(ApiError::from) })
        })
        .await?;
    Ok(Json(paged))
}

/// The same rows as a table for spreadsheets. The export is itself an act that is noted.
#[utoipa::path(get, path = "/admin/audit.csv", tag = "admin", params(Wanted),
    responses((status = 200, description = "text/csv, UTF-8 with BOM", body = String, content_type = "text/csv")))]
async fn export(
    State(ctx): State<Ctx>,
    staff: Staff<SeesAudit>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, ApiError> {
    let filter = wanted.filter()?;
    let rows = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let filter = filter.clone();
            Box::pin(async move {
                let (rows, total) = filter.find(tx, EXPORTED, 0).await?;
                let detail = json!({ "rows": rows.len(), "total": total });
                record(tx, "audit.export", "audit.csv", detail).await?;
                Ok::<_, ApiError>(rows)
            })
        })
        .await?;
    let head = ["序号", "时间", "人员", "动作", "对象", "详情", "摘要（SM3）"];
    let head = head.map(std::borrow::Cow::Borrowed).to_vec();
    let lines = rows.iter().map(|row| {
        vec![
            row.seq.to_string().into(),
            row.at.local_text().into(),
            row.actor.as_str().into(),
            row.action.as_str().into(),
            row.subject.as_str().into(),
            row.detail.to_string().into(),
            row.hash.as_str().into(),
        ]
    });
    Ok(csv::download(
        "audit.csv",
        csv::table(std::iter::once(head).chain(lines)),
    ))
}

/// What the verification of the chain came to.
#[derive(Debug, Serialize, ToSchema)]
struct ChainVerified {
    /// Whether every row is as it was written.
    whole: bool,
    /// In words.
    message: String,
    /// The first row that is not as it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken_at: Option<u64>,
    /// Rows walked, when the chain holds.
    rows: u64,
    /// The last link, when the chain holds.
    head: String,
    /// Signed checkpoints that were verified.
    checkpoints: u64,
}

/// Walks the chain and its checkpoints (链校验). That it was asked for is itself noted.
#[utoipa::path(post, path = "/admin/audit/verify", tag = "admin", responses((status = 200, body = ChainVerified)))]
async fn check(State(ctx): State<Ctx>, staff: Staff<SeesAudit>) -> Result<Json<ChainVerified>, ApiError> {
    let walked = verify(&ctx.store, &ctx.vault, &staff.tenant).await;
    let verified = match walked {
        Ok(whole) => ChainVerified {
            whole: true,
            message: format!("链条完整：共{}条记录，{}个签名检查点", whole.rows, whole.checkpoints),
            broken_at: None,
            rows: whole.rows,
            head: whole.head,
            checkpoints: whole.checkpoints,
        },
        Err(Broken::Store(error)) => return Err(error.into()),
        Err(Broken::Key(error)) => return Err(error.into()),
        Err(broken) => {
            tracing::error!(audit.tenant = %staff.tenant, error = %broken, "the audit chain does not hold");
            ChainVerified {
                whole: false,
                message: broken.person(),
                broken_at: broken.row(),
                rows: 0,
                head: String::new(),
                checkpoints: 0,
            }
        }
    };
    let detail = json!({ "whole": verified.whole, "broken_at": verified.broken_at });
    ctx.store
        .write(&staff.scope(), move |tx| {
            let detail = detail.clone();
            Box::pin(async move { record(tx, "audit.verify", "", detail).await })
        })
        .await?;
    Ok(Json(verified))
}

/// The signed checkpoints of the chain.
#[derive(Debug, Serialize, ToSchema)]
struct Checkpoints {
    /// The key they verify with (an uncompressed SM2 point, hexadecimal); keep a copy outside of this system.
    public_key: String,
    /// Newest first.
    items: Vec<Checkpoint>,
}

async fn checkpoints(ctx: &Ctx, staff: &Staff<SeesAudit>) -> Result<Checkpoints, ApiError> {
    let mut items: Vec<Checkpoint> = ctx
        .store
        .read(&staff.scope(), |tx| {
            Box::pin(async move { checkpoint::all(tx).await.map_err(ApiError::from) })
        })
        .await?;
    items.reverse();
    Ok(Checkpoints {
        public_key: super::public_key(&ctx.vault, &staff.tenant)?,
        items,
    })
}

/// Checkpoints of the chain, newest first.
#[utoipa::path(get, path = "/admin/audit/checkpoints", tag = "admin", responses((status = 200, body = Checkpoints)))]
async fn signed(State(ctx): State<Ctx>, staff: Staff<SeesAudit>) -> Result<Json<Checkpoints>, ApiError> {
    Ok(Json(checkpoints(&ctx, &staff).await?))
}

/// Signs the head of the chain now.
#[utoipa::path(post, path = "/admin/audit/checkpoints", tag = "admin", responses((status = 200, body = Checkpoints)))]
async fn sign(State(ctx): State<Ctx>, staff: Staff<SeesAudit>) -> Result<Json<Checkpoints>, ApiError> {
    let vault = ctx.vault.clone();
    let signed: Option<Checkpoint> = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let vault = vault.clone();
            Box::pin(async move { checkpoint::sign(tx, &vault).await })
        })
        .await?;
    signed.ok_or_else(|| ApiError::conflict("empty", "还没有任何审计记录"))?;
    Ok(Json(checkpoints(&ctx, &staff).await?))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(export))
        .routes(routes!(check))
        .routes(routes!(signed, sign))
}
