//! A visit that has not begun is cancelled.

use axum::Extension;
use axum::extract::State;
use base::{ApiError, Ctx, Json, Path, Patient};
use money::Cashier;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{own, own_in};
use crate::consultation::effects::{hand, let_go, perform};
use crate::consultation::routes::{MaybeExtras, visit_id};
use crate::consultation::view::VisitView;
use crate::consultation::{VisitState, board};

#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub(super) struct Reason {
    /// Why.
    #[serde(default)]
    reason: String,
}

/// Cancels a visit that has not begun. An unpaid one is closed at the channel first; a paid one is refunded.
#[utoipa::path(post, path = "/visits/{id}/cancel", tag = "visits", params(("id" = String, Path)), request_body = Reason,
    responses((status = 200, body = VisitView), (status = 409, body = base::error::ErrorBody)))]
pub(super) async fn cancel(
    State(ctx): State<Ctx>,
    Extension(cashier): Extension<Cashier>,
    given: MaybeExtras,
    patient: Patient,
    Path(id): Path<String>,
    Json(reason): Json<Reason>,
) -> Result<Json<VisitView>, ApiError> {
    let (id, deps, who) = (visit_id(&id)?, ctx.clone(), patient.clone());
    let wanted = id.clone();
    let closing = ctx
        .store
        .write(&patient.scope(), move |tx| {
            let (id, deps, who, reason) = (wanted.clone(), deps.clone(), who.clone(), reason.clone());
            Box::pin(async move {
                let mut visit = own_in(tx, &who, &id).await?;
                let why = match reason.reason.trim() {
                    "" => "患者取消".to_owned(),
                    words => format!("患者取消：{}", words.chars().take(100).collect::<String>()),
                };
                let hand = hand(tx);
                if visit.state == VisitState::AwaitingPayment {
                    return let_go(tx, &deps, &mut visit, VisitState::Cancelled, &why, &hand).await;
                }
                let moved = visit.progress().cancel(&why, &hand)?;
                perform(tx, &deps, &mut visit, moved).await?;
                Ok(None)
            })
        })
        .await?;
    if let Some(payment) = closing {
        cashier.finish_closing(&patient.tenant, &payment.id).await?;
    }
    board::announce(&ctx, &patient.tenant, &id).await;
    Ok(Json(own(&ctx, &patient, given, &id).await?))
}
