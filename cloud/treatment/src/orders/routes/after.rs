//! What the doctor does to a signed order: take it back, ask again what became of it.

use axum::extract::State;
use base::permission::Prescribes;
use base::{ApiError, Ctx, Json, Path, Staff};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::orders::store::{self as table, Sheet};
use crate::orders::{OrderView, State as Stands, effects};
use crate::signed::act;

/// Why an order is taken back.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = OrderReason)]
struct Reason {
    /// In the doctor's words.
    reason: String,
}

/// Takes an order back; the hospital is told, and may say no when it was paid or carried out.
#[utoipa::path(post, path = "/doctor/orders/{id}/revoke", tag = "order",
    params(("id" = String, Path)), request_body = Reason,
    responses((status = 200, body = OrderView), (status = 409, body = base::error::ErrorBody)))]
async fn revoke(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
    Json(body): Json<Reason>,
) -> Result<Json<OrderView>, ApiError> {
    let reason = body.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > 200 {
        return Err(ApiError::field("reason", "请写明撤回原因（不超过200字）"));
    }
    act(&ctx, &staff, &id, move |tx, _, mut sheet: Sheet| {
        let reason = reason.clone();
        Box::pin(async move {
            let (by, now) = (tx.actor().clone(), tx.now());
            let to = sheet.order()?.revoke(now, &by, &reason)?;
            sheet.revoke_reason = Some(reason);
            sheet.words = None;
            table::moved(tx, &mut sheet, to).await?;
            effects::withdraw(tx, &mut sheet).await?;
            Ok(sheet)
        })
    })
    .await
}

/// Asks the hospital again what became of an order or its revocation, under a key of its own.
#[utoipa::path(post, path = "/doctor/orders/{id}/retry", tag = "order",
    params(("id" = String, Path)),
    responses((status = 200, body = OrderView), (status = 409, body = base::error::ErrorBody)))]
async fn retry(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
) -> Result<Json<OrderView>, ApiError> {
    act(&ctx, &staff, &id, |tx, ctx, mut sheet: Sheet| {
        Box::pin(async move {
            let (by, now) = (tx.actor().clone(), tx.now());
            let to = sheet.order()?.retry(now, &by)?;
            sheet.words = None;
            table::moved(tx, &mut sheet, to).await?;
            // Without the HIS's number it is the submission that nobody knows of.
            if sheet.state == Stands::Signed || sheet.his_number.is_none() {
                effects::submit(tx, &ctx, &mut sheet).await?;
            } else {
                effects::withdraw(tx, &mut sheet).await?;
            }
            Ok(sheet)
        })
    })
    .await
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(revoke)).routes(routes!(retry))
}
