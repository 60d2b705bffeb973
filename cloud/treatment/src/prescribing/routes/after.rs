//! What the doctor does to a signed prescription: revise, appeal, revoke.

use axum::extract::State;
use base::permission::Prescribes;
use base::{ApiError, Ctx, Json, Path, Staff};
use records::id::PrescriptionId;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::dispensing;
use crate::prescribing::store::{self as table, Chart};
use crate::prescribing::{PrescriptionView, State as Stands};
use crate::signed::act;

/// A reason.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct Reason {
    /// In the doctor's words.
    pub(crate) reason: String,
}

/// Accepts a rejection: a new draft with the same lines, one revision up.
#[utoipa::path(post, path = "/doctor/prescriptions/{id}/revise", tag = "prescription", params(("id" = String, Path)),
    responses((status = 200, body = PrescriptionView), (status = 409, body = base::error::ErrorBody)))]
async fn revise(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
) -> Result<Json<PrescriptionView>, ApiError> {
    let number = PrescriptionId::generate(&ctx.ids, ctx.now());
    act(&ctx, &staff, &id, move |tx, _, mut old: Chart| {
        let number = number.clone();
        Box::pin(async move {
            let (by, now) = (tx.actor().clone(), tx.now());
            let p = old.prescription()?;
            table::moved(tx, &mut old, p.revise(now, &by, &number)?).await?;
            dispensing::withdraw(tx, &old, "医生修改重开").await?;
            let new = Chart {
                id: number,
                revision: old.revision + 1,
                revises: Some(old.id.clone()),
                edition: 1,
                state: Stands::Draft,
                written_at: now,
                created_at: now,
                valid_until: None,
                pharmacist_id: None,
                pharmacist_name: None,
                pharmacist_title: None,
                reviewed_at: None,
                opinion: None,
                his_number: None,
                bill_id: None,
                bill_fen: None,
                appeal: None,
                verify_code: None,
                needs_hand: None,
                retries: 0,
                ..old
            };
            table::insert(tx, &new).await?;
            Ok(new)
        })
    })
    .await
}

/// Objects to a rejection.
#[utoipa::path(post, path = "/doctor/prescriptions/{id}/appeal", tag = "prescription", params(("id" = String, Path)),
    request_body = Reason, responses((status = 200, body = PrescriptionView), (status = 409, body = base::error::ErrorBody)))]
async fn appeal(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
    Json(body): Json<Reason>,
) -> Result<Json<PrescriptionView>, ApiError> {
    let reason = worded(body)?;
    act(&ctx, &staff, &id, move |tx, _, mut chart: Chart| {
        let reason = reason.clone();
        Box::pin(async move {
            if chart.his_number.is_some() {
                return Err(ApiError::conflict(
                    "refused_by_his",
                    "医院系统拒收的处方不能申诉，请修改重开",
                ));
            }
            let (by, now) = (tx.actor().clone(), tx.now());
            let p = chart.prescription()?;
            let to = p.appeal(now, &by, &reason)?;
            chart.appeal = Some(reason);
            table::moved(tx, &mut chart, to).await?;
            Ok(chart)
        })
    })
    .await
}

fn worded(body: Reason) -> Result<String, ApiError> {
    let reason = body.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > 500 {
        return Err(ApiError::field("reason", "请写明理由（不超过500字）"));
    }
    Ok(reason)
}

/// Takes a prescription back; money and HIS follow.
#[utoipa::path(post, path = "/doctor/prescriptions/{id}/revoke", tag = "prescription", params(("id" = String, Path)),
    request_body = Reason, responses((status = 200, body = PrescriptionView), (status = 409, body = base::error::ErrorBody)))]
async fn revoke(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
    Json(body): Json<Reason>,
) -> Result<Json<PrescriptionView>, ApiError> {
    let reason = worded(body)?;
    act(&ctx, &staff, &id, move |tx, ctx, mut chart: Chart| {
        let reason = reason.clone();
        Box::pin(async move {
            let (by, now) = (tx.actor().clone(), tx.now());
            let p = chart.prescription()?;
            table::moved(tx, &mut chart, p.revoke(now, &by, &reason)?).await?;
            dispensing::let_go(tx, &ctx, &chart, &reason).await?;
            Ok(chart)
        })
    })
    .await
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(revise))
        .routes(routes!(appeal))
        .routes(routes!(revoke))
}
