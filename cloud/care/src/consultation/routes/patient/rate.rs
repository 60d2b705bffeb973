//! A finished visit is judged (评价), once.

use axum::extract::State;
use base::{ApiError, Ctx, Json, Path, Patient};

use super::{own, own_in};
use crate::CareError;
use crate::consultation::routes::{MaybeExtras, visit_id};
use crate::consultation::view::VisitView;
use crate::consultation::{Rating, VisitState, board, store as sql};

/// Judges a finished visit, once.
#[utoipa::path(post, path = "/visits/{id}/rating", tag = "visits", params(("id" = String, Path)), request_body = Rating,
    responses((status = 200, body = VisitView), (status = 409, body = base::error::ErrorBody), (status = 422, body = base::error::ErrorBody)))]
pub(super) async fn rate(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    patient: Patient,
    Path(id): Path<String>,
    Json(rating): Json<Rating>,
) -> Result<Json<VisitView>, ApiError> {
    let stars = [
        ("attitude", rating.attitude),
        ("professional", rating.professional),
        ("speed", rating.speed),
    ];
    if let Some((field, _)) = stars.iter().find(|(_, n)| !(1..=5).contains(n)) {
        return Err(ApiError::field(*field, "请选择1到5星"));
    }
    if rating.comment.chars().count() > 500 {
        return Err(ApiError::field("comment", "评价最多500字"));
    }
    let (id, who) = (visit_id(&id)?, patient.clone());
    let wanted = id.clone();
    ctx.store
        .write(&patient.scope(), move |tx| {
            let (id, who, rating) = (wanted.clone(), who.clone(), rating.clone());
            Box::pin(async move {
                let visit = own_in(tx, &who, &id).await?;
                if visit.state != VisitState::Finished {
                    return Err(ApiError::conflict("visit_state", "问诊结束后才能评价").into());
                }
                if !sql::rate(tx, &id, &rating).await? {
                    return Err(ApiError::conflict("rated", "您已评价过本次问诊").into());
                }
                base::audit::record(tx, "visit.rate", id.as_str(), serde_json::json!({})).await?;
                Ok::<_, CareError>(())
            })
        })
        .await?;
    board::announce(&ctx, &patient.tenant, &id).await;
    Ok(Json(own(&ctx, &patient, given, &id).await?))
}
