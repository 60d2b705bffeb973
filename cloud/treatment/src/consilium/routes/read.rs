//! What the expert reads of the visit while the consilium is open. Every look is written into the audit chain.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use base::blobs::{self, Blob};
use base::permission::Treats;
use base::session::Member;
use base::{ApiError, Ctx, Json, Path, Staff};
use records::id::BlobId;
use serde_json::{Value, json};
use store::Tx;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::number;
use crate::consilium::ConsiliumId;
use crate::consilium::store::Row;
use crate::consilium::view::{self, Materials};
use crate::signed::own;

/// Answers the row for an expert who may read now, and notes the look.
async fn looked(tx: &mut Tx<'_>, member: &Member, id: &ConsiliumId, at: Value) -> Result<Row, ApiError> {
    let (now, by) = (tx.now(), tx.actor().clone());
    let row: Row = own(tx, member, id).await?;
    if row.expert_id != member.id {
        return Err(ApiError::not_found());
    }
    if !row.consilium().may_read(now, &by) {
        let words = format!("会诊{}，仅在会诊进行中可以查阅就诊资料", row.state.text());
        return Err(ApiError::conflict("consilium_closed", words));
    }
    base::audit::record(tx, "consilium.read", id.as_str(), at).await?;
    Ok(row)
}

/// What the visit holds: the patient's words and pictures, the record, prescriptions, what was said in the room.
#[utoipa::path(get, path = "/doctor/consilia/{id}/materials", tag = "consilium", params(("id" = String, Path)),
    responses((status = 200, body = Materials), (status = 409, body = base::error::ErrorBody)))]
async fn materials(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path(id): Path<String>,
) -> Result<Json<Materials>, ApiError> {
    let id = number(&id)?;
    let (deps, member) = (ctx.clone(), staff.member.clone());
    let seen = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (ctx, member, id) = (deps.clone(), member.clone(), id.clone());
            Box::pin(async move {
                let row = looked(tx, &member, &id, json!({ "what": "materials" })).await?;
                view::materials(tx, &ctx, &row).await
            })
        })
        .await?;
    Ok(Json(seen))
}

/// A picture of the visit.
#[utoipa::path(get, path = "/doctor/consilia/{id}/pictures/{picture}", tag = "consilium",
    params(("id" = String, Path), ("picture" = String, Path)),
    responses((status = 200, description = "image"), (status = 409, body = base::error::ErrorBody)))]
async fn picture(
    State(ctx): State<Ctx>,
    staff: Staff<Treats>,
    Path((id, picture)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let (id, wanted) = (number(&id)?, BlobId::parse(&picture).ok_or_else(ApiError::not_found)?);
    let (deps, member) = (ctx.clone(), staff.member.clone());
    let blob = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (ctx, member) = (deps.clone(), member.clone());
            let (id, wanted) = (id.clone(), wanted.clone());
            Box::pin(async move { of_visit(tx, &ctx, &member, &id, &wanted).await })
        })
        .await?;
    let mut response = blobs::serve(&ctx, &staff.tenant, &blob, request).await?;
    // What may be read until the opinion is signed must not stay in the browser after it.
    let never = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, never);
    Ok(response)
}

async fn of_visit(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    member: &Member,
    id: &ConsiliumId,
    wanted: &BlobId,
) -> Result<Blob, ApiError> {
    let at = json!({ "what": "picture", "blob": wanted.as_str() });
    let row = looked(tx, member, id, at).await?;
    // The number names any file of the hospital: it must be a picture of this visit.
    if !view::materials(tx, ctx, &row).await?.shows(wanted.as_str()) {
        return Err(ApiError::not_found());
    }
    let blob = blobs::get(tx, wanted).await?;
    blob.filter(|b| b.mime.starts_with("image/"))
        .ok_or_else(ApiError::not_found)
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(materials)).routes(routes!(picture))
}
