//! The patient reports in (报到), and ends the visit.

use axum::extract::State;
use base::{ApiError, Ctx, Json, Path, Patient};
use records::id::VisitId;

use super::{own, own_in};
use crate::CareError;
use crate::consultation::effects::{hand, perform};
use crate::consultation::routes::{MaybeExtras, visit_id};
use crate::consultation::view::VisitView;
use crate::consultation::{Hand, Moved, Progress, VisitState, board};
use crate::messages::post_system;

/// Makes one transition of an own visit, with words of the system into the room.
async fn transition(
    ctx: &Ctx,
    patient: &Patient,
    id: &VisitId,
    said: &'static str,
    step: fn(Progress, &Hand) -> Moved,
) -> Result<(), ApiError> {
    let (wanted, deps, who) = (id.clone(), ctx.clone(), patient.clone());
    ctx.store
        .write(&patient.scope(), move |tx| {
            let (id, deps, who) = (wanted.clone(), deps.clone(), who.clone());
            Box::pin(async move {
                let mut visit = own_in(tx, &who, &id).await?;
                let moved = step(visit.progress(), &hand(tx))?;
                perform(tx, &deps, &mut visit, moved).await?;
                post_system(tx, &deps.vault, &id, said).await?;
                Ok::<_, CareError>(())
            })
        })
        .await?;
    board::announce(ctx, &patient.tenant, id).await;
    Ok(())
}

/// 报到.
#[utoipa::path(post, path = "/visits/{id}/check-in", tag = "visits", params(("id" = String, Path)),
    responses((status = 200, body = VisitView), (status = 409, body = base::error::ErrorBody)))]
pub(super) async fn check_in(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    patient: Patient,
    Path(id): Path<String>,
) -> Result<Json<VisitView>, ApiError> {
    let id = visit_id(&id)?;
    let view = own(&ctx, &patient, given.clone(), &id).await?;
    if let Some(from) = view.check_in_from.filter(|from| ctx.now() < *from) {
        let words = format!("未到报到时间，请在{}后报到", from.local_text());
        return Err(ApiError::conflict("too_early", words));
    }
    transition(&ctx, &patient, &id, "患者已报到", |p, hand| p.check_in(hand)).await?;
    Ok(Json(own(&ctx, &patient, given, &id).await?))
}

/// The patient ends the visit.
#[utoipa::path(post, path = "/visits/{id}/finish", tag = "visits", params(("id" = String, Path)),
    responses((status = 200, body = VisitView), (status = 409, body = base::error::ErrorBody)))]
pub(super) async fn finish(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    patient: Patient,
    Path(id): Path<String>,
) -> Result<Json<VisitView>, ApiError> {
    let id = visit_id(&id)?;
    let view = own(&ctx, &patient, given.clone(), &id).await?;
    // Both sides may press it; the second finds it done.
    if view.state != VisitState::Finished.as_str() {
        transition(&ctx, &patient, &id, "患者结束了问诊", |p, hand| p.finish(hand)).await?;
    }
    Ok(Json(own(&ctx, &patient, given, &id).await?))
}
