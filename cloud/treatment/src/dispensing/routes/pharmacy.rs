//! The pharmacy's side: ready at the window, handed over, shipped.

use axum::extract::State;
use base::permission::Dispenses;
use base::{ApiError, Ctx, Json, Path, Staff};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::act;
use crate::dispensing::tell_delivery;
use crate::prescribing::PrescriptionView;
use crate::prescribing::store as table;
use crate::prescribing::view::Eye;

/// The code the patient shows at the window.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct HandOver {
    /// 取药码.
    pub(crate) pickup_code: String,
}

/// A parcel.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct Shipment {
    /// Courier, e.g. 顺丰.
    pub(crate) courier: String,
    /// Waybill.
    pub(crate) waybill: String,
}

/// Lies ready at the window (by hand, when the printer could not tell).
#[utoipa::path(post, path = "/pharmacist/prescriptions/{id}/prepare", tag = "dispensing", params(("id" = String, Path)),
    responses((status = 200, body = PrescriptionView), (status = 409, body = base::error::ErrorBody)))]
async fn prepare(
    State(ctx): State<Ctx>,
    staff: Staff<Dispenses>,
    Path(id): Path<String>,
) -> Result<Json<PrescriptionView>, ApiError> {
    act(&ctx, &staff.scope(), &id, Eye::Pharmacist, |tx, _, chart| {
        Box::pin(async move {
            if chart.fulfilment.as_deref() == Some("delivery") {
                return Err(ApiError::conflict("delivery", "该处方为配送，请填写快递单号发货"));
            }
            let (now, by) = (tx.now(), tx.actor().clone());
            let to = chart.prescription()?.prepare(now, &by)?;
            chart.needs_hand = None;
            Ok(table::moved(tx, chart, to).await?)
        })
    })
    .await
}

/// Hands the drugs over at the window against the pick-up code.
#[utoipa::path(post, path = "/pharmacist/prescriptions/{id}/hand-over", tag = "dispensing", params(("id" = String, Path)),
    request_body = HandOver, responses((status = 200, body = PrescriptionView), (status = 422, body = base::error::ErrorBody)))]
async fn hand_over(
    State(ctx): State<Ctx>,
    staff: Staff<Dispenses>,
    Path(id): Path<String>,
    Json(body): Json<HandOver>,
) -> Result<Json<PrescriptionView>, ApiError> {
    let shown = body.pickup_code.trim().to_uppercase();
    act(&ctx, &staff.scope(), &id, Eye::Pharmacist, move |tx, _, chart| {
        let shown = shown.clone();
        Box::pin(async move {
            if chart.pickup_code.as_deref() != Some(shown.as_str()) {
                return Err(ApiError::field("pickup_code", "取药码不正确"));
            }
            let (now, by) = (tx.now(), tx.actor().clone());
            let to = chart.prescription()?.collect(now, &by)?;
            Ok(table::moved(tx, chart, to).await?)
        })
    })
    .await
}

/// Gives the parcel to the courier.
#[utoipa::path(post, path = "/pharmacist/prescriptions/{id}/ship", tag = "dispensing", params(("id" = String, Path)),
    request_body = Shipment, responses((status = 200, body = PrescriptionView), (status = 409, body = base::error::ErrorBody)))]
async fn ship(
    State(ctx): State<Ctx>,
    staff: Staff<Dispenses>,
    Path(id): Path<String>,
    Json(parcel): Json<Shipment>,
) -> Result<Json<PrescriptionView>, ApiError> {
    let good = |t: &str| !t.trim().is_empty() && t.chars().count() <= 40;
    if !good(&parcel.courier) || !good(&parcel.waybill) {
        return Err(ApiError::field("waybill", "请填写快递公司和单号"));
    }
    act(&ctx, &staff.scope(), &id, Eye::Pharmacist, move |tx, ctx, chart| {
        let parcel = parcel.clone();
        Box::pin(async move {
            if chart.fulfilment.as_deref() != Some("delivery") {
                return Err(ApiError::conflict("pickup", "该处方为自提，不能发货"));
            }
            let (now, by) = (tx.now(), tx.actor().clone());
            let note = format!("{} {}", parcel.courier.trim(), parcel.waybill.trim());
            let to = chart.prescription()?.ship(now, &by, &note)?;
            chart.courier = Some(parcel.courier.trim().to_owned());
            chart.waybill = Some(parcel.waybill.trim().to_owned());
            table::moved(tx, chart, to).await?;
            Ok(tell_delivery(tx, &ctx, chart, "shipped").await?)
        })
    })
    .await
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(prepare))
        .routes(routes!(hand_over))
        .routes(routes!(ship))
}
