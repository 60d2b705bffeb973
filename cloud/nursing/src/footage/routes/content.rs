//! The recording itself: played, or taken out as a file for a reason that stands in the audit.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use base::permission::SeesFootage;
use base::{ApiError, Ctx, Path, Query, Staff, audit, blobs};
use serde::Deserialize;
use serde_json::json;
use store::Scope;
use utoipa::IntoParams;

use super::clip_id;
use crate::footage::look::Look;
use crate::footage::store::{self as sql, Clip};

/// The recording itself, with ranges, for the player and for saving.
#[utoipa::path(get, path = "/admin/footage/{id}/content", tag = "nursing", params(("id" = String, Path)),
    responses((status = 200, description = "the recording"), (status = 206, description = "a part of it"),
        (status = 404, body = base::error::ErrorBody)))]
pub(super) async fn content(
    State(ctx): State<Ctx>,
    staff: Staff<SeesFootage>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let id = clip_id(&id)?;
    let look = Look::of("footage.play", &request);
    let clip = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let id = id.clone();
            Box::pin(async move {
                let clip = sql::get(tx, &id).await?.ok_or_else(ApiError::not_found)?;
                let detail = json!({ "recorder": clip.serial, "order": clip.order_no });
                look.written(tx, &id, detail).await?;
                Ok::<_, ApiError>(clip)
            })
        })
        .await?;
    bytes(&ctx, &staff.scope(), &clip, request).await
}

/// The kept bytes. They stay in no cache: each look asks here.
async fn bytes(ctx: &Ctx, scope: &Scope, clip: &Clip, request: Request) -> Result<Response, ApiError> {
    let blob = clip.blob_id.clone().ok_or_else(ApiError::not_found)?;
    let blob = ctx
        .store
        .read(scope, move |tx| {
            let blob = blob.clone();
            Box::pin(async move { blobs::get(tx, &blob).await })
        })
        .await?
        .ok_or_else(ApiError::not_found)?;
    let mut response = blobs::serve(ctx, &scope.tenant, &blob, request).await?;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    Ok(response)
}

#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Why {
    /// Why the recording leaves the house, for the audit: 2 to 200 letters.
    #[param(required = true)]
    #[serde(default)]
    reason: String,
}

/// The original as a file, for who has a reason to take it out; the reason stands in the audit.
#[utoipa::path(get, path = "/admin/footage/{id}/original", tag = "nursing", params(("id" = String, Path), Why),
    responses((status = 200, description = "the recording"), (status = 404, body = base::error::ErrorBody),
        (status = 422, body = base::error::ErrorBody)))]
pub(super) async fn original(
    State(ctx): State<Ctx>,
    staff: Staff<SeesFootage>,
    Path(id): Path<String>,
    Query(why): Query<Why>,
    request: Request,
) -> Result<Response, ApiError> {
    let reason = why.reason.trim().to_owned();
    if !(2..=200).contains(&reason.chars().count()) || reason.chars().any(char::is_control) {
        return Err(ApiError::field("reason", "请填写2到200字的下载原因"));
    }
    let id = clip_id(&id)?;
    let clip = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (id, reason) = (id.clone(), reason.clone());
            Box::pin(async move {
                let clip = sql::get(tx, &id).await?.ok_or_else(ApiError::not_found)?;
                let detail = json!({ "recorder": clip.serial, "order": clip.order_no, "reason": reason });
                audit::record(tx, "footage.download", id.as_str(), detail).await?;
                Ok::<_, ApiError>(clip)
            })
        })
        .await?;
    let mut response = bytes(&ctx, &staff.scope(), &clip, request).await?;
    let named = format!("attachment; filename=\"{}\"", file_name(&clip));
    let named = HeaderValue::from_str(&named).map_err(ApiError::internal)?;
    response.headers_mut().insert(header::CONTENT_DISPOSITION, named);
    Ok(response)
}

/// What a clip is called outside: recorder, local time, end of its id. The recorder's own name may be anything.
pub(in crate::footage) fn file_name(clip: &Clip) -> String {
    let when: String = clip
        .began_at
        .local_text()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let (id, kind) = (clip.id.as_str(), clip.container.as_str());
    let tail = id.get(id.len().saturating_sub(6)..).unwrap_or(id);
    let known = ["mp4", "ts", "avi", "wav", "jpeg"].contains(&kind);
    format!("{}_{when}_{tail}.{}", clip.serial, if known { kind } else { "bin" })
}
