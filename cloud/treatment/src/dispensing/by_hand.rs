//! Prescriptions a person has to look at (人工处理): what the HIS has not told, refused, or billed otherwise than signed.
//!
//! Two acts, both written into the audit: *retry* tells the HIS again what it did not answer (a command of its own; the HIS
//! knows prescription, bill and payment by their numbers, so nothing happens twice), *settle* writes down what a person has
//! found out with the hospital. A refund the HIS has not booked is settled with the money (`/admin/manual`).

use ::store::Tx;
use axum::extract::State;
use base::permission::{Oversees, Settles};
use base::{ApiError, Ctx, Json, Path, Staff};
use money::{Payment, PaymentState};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::effects::{not_taken, taken};
use super::routes::act;
use super::{SUBJECT, payments, push_opinion, submit, withdraw_as};
use crate::prescribing::store::{self as table, Chart};
use crate::prescribing::view::{Eye, shown};
use crate::prescribing::{PrescriptionView, State as Stands};

/// What the HIS owes an answer to, by where the prescription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    Submission,
    Bill,
    Payment,
    Withdrawal,
}

fn owed(chart: &Chart, payments: &[Payment]) -> Option<Owed> {
    chart.needs_hand.as_ref()?;
    // While money is on its way back the HIS is told of that first, with the refund.
    let returning = payments.iter().any(|p| p.state == PaymentState::Reversing);
    match chart.state {
        Stands::Approved => Some(Owed::Submission),
        Stands::SentToHis => Some(Owed::Bill),
        Stands::Paid => Some(Owed::Payment),
        Stands::Revoked | Stands::Expired | Stands::Revised if chart.his_number.is_some() && !returning => {
            Some(Owed::Withdrawal)
        }
        _ => None,
    }
}

/// What an administrator may do with it.
pub(crate) fn allowed(chart: &Chart, payments: &[Payment]) -> Vec<&'static str> {
    match (&chart.needs_hand, owed(chart, payments)) {
        (None, _) => Vec::new(),
        // Whether the HIS has the money decides where it goes; it is not enough to say that it was looked at.
        (Some(_), Some(Owed::Payment)) => vec!["retry", "settle_taken", "settle_refund"],
        (Some(_), Some(_)) => vec!["retry", "settle"],
        (Some(_), None) => vec!["settle"],
    }
}

/// Prescriptions a person has to look at.
#[utoipa::path(get, path = "/admin/prescriptions/by-hand", tag = "admin", responses((status = 200, body = Vec<PrescriptionView>)))]
async fn list(State(ctx): State<Ctx>, staff: Staff<Oversees>) -> Result<Json<Vec<PrescriptionView>>, ApiError> {
    let own = ctx.clone();
    let views = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let ctx = own.clone();
            Box::pin(async move {
                let mut views = Vec::new();
                for chart in table::by_hand(tx).await? {
                    views.push(shown(tx, &ctx, &chart, Eye::Admin).await?);
                }
                Ok::<_, ApiError>(views)
            })
        })
        .await?;
    Ok(Json(views))
}

/// Only what waits for a person is settled by one.
fn waiting(chart: &Chart) -> Result<(), ApiError> {
    match chart.needs_hand {
        Some(_) => Ok(()),
        None => Err(ApiError::conflict("settled", "该处方已无需人工处理")),
    }
}

/// Tells the HIS again what it has not answered. Nothing happens twice there.
#[utoipa::path(post, path = "/admin/prescriptions/{id}/by-hand/retry", tag = "admin", params(("id" = String, Path)),
    responses((status = 200, body = PrescriptionView), (status = 409, body = base::error::ErrorBody)))]
async fn retry(
    State(ctx): State<Ctx>,
    staff: Staff<Settles>,
    Path(id): Path<String>,
) -> Result<Json<PrescriptionView>, ApiError> {
    act(&ctx, &staff.scope(), &id, Eye::Admin, |tx, ctx, chart| {
        Box::pin(async move { again(tx, &ctx, chart).await })
    })
    .await
}

async fn again(tx: &mut Tx<'_>, ctx: &Ctx, chart: &mut Chart) -> Result<(), ApiError> {
    waiting(chart)?;
    let paid = money::payments_of(tx, SUBJECT, chart.id.as_str()).await?;
    let Some(owed) = owed(chart, &paid) else {
        return Err(ApiError::conflict(
            "nothing_owed",
            "没有可以重新提交的内容，请与医院核对后了结",
        ));
    };
    let why = chart.needs_hand.take();
    chart.retries += 1;
    table::save(tx, chart).await?;
    let (id, n) = (chart.id.clone(), chart.retries);
    let key = match owed {
        Owed::Submission => format!("{id}.submit.{n}"),
        Owed::Bill => format!("{id}.review.{n}"),
        Owed::Withdrawal => format!("{id}.revoke.{n}"),
        Owed::Payment => format!("{id}.confirm.{n}"),
    };
    let detail = json!({ "key": key, "why": why });
    base::audit::record(tx, "prescription.retry", id.as_str(), detail).await?;
    match owed {
        Owed::Submission => submit(tx, ctx, chart, key).await?,
        Owed::Bill => push_opinion(tx, chart, key).await?,
        Owed::Withdrawal => withdraw_as(tx, chart, "处方已失效", key).await?,
        Owed::Payment => {
            let payment = paid.iter().find(|p| p.state.holds_money());
            let (Some(payment), Some(bill)) = (payment, chart.bill_id.clone()) else {
                return Err(ApiError::internal("a paid prescription has no payment or no bill"));
            };
            payments::confirm(tx, chart, &bill, payment, key).await?;
        }
    }
    Ok(())
}

/// What a person has found out with the hospital.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = PrescriptionSettlement)]
struct Settlement {
    /// What was found, in words.
    note: String,
    /// Needed while the HIS has not answered about a payment, and only then.
    #[serde(default)]
    payment: Option<PaymentFound>,
    /// The HIS's number of the paid bill, when it has taken the payment.
    #[serde(default)]
    his_order_number: Option<String>,
}

/// Whether the hospital has the money in its books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PaymentFound {
    /// It has: the pharmacy begins.
    Taken,
    /// It has not: the money goes back.
    NotTaken,
}

/// Settles by hand what a person has found out with the hospital.
#[utoipa::path(post, path = "/admin/prescriptions/{id}/by-hand/settle", tag = "admin", params(("id" = String, Path)),
    request_body = Settlement, responses((status = 200, body = PrescriptionView), (status = 409, body = base::error::ErrorBody)))]
async fn settle(
    State(ctx): State<Ctx>,
    staff: Staff<Settles>,
    Path(id): Path<String>,
    Json(found): Json<Settlement>,
) -> Result<Json<PrescriptionView>, ApiError> {
    let written = |text: &str, most: usize| !text.trim().is_empty() && text.chars().count() <= most;
    if !written(&found.note, 500) {
        return Err(ApiError::field("note", "请填写核实情况（不超过500字）"));
    }
    let numbered = found.his_order_number.as_deref().is_some_and(|n| written(n, 64));
    if found.payment == Some(PaymentFound::Taken) && !numbered {
        return Err(ApiError::field("his_order_number", "请填写医院的缴费单号，退费时需要"));
    }
    act(&ctx, &staff.scope(), &id, Eye::Admin, move |tx, ctx, chart| {
        let found = found.clone();
        Box::pin(async move { found.apply(tx, &ctx, chart).await })
    })
    .await
}

impl Settlement {
    async fn apply(&self, tx: &mut Tx<'_>, ctx: &Ctx, chart: &mut Chart) -> Result<(), ApiError> {
        waiting(chart)?;
        let note = self.note.trim();
        let why = chart.needs_hand.take();
        let detail =
            json!({ "why": why, "note": note, "payment": self.payment, "his_order_number": self.his_order_number });
        base::audit::record(tx, "prescription.settle", chart.id.as_str(), detail).await?;
        match (chart.state, self.payment) {
            (Stands::Paid, Some(PaymentFound::Taken)) => {
                let number = self.his_order_number.as_deref().unwrap_or_default().trim().to_owned();
                taken(tx, ctx, chart, number, "").await
            }
            (Stands::Paid, Some(PaymentFound::NotTaken)) => not_taken(tx, ctx, chart, note).await,
            (Stands::Paid, None) => Err(ApiError::field("payment", "请说明医院是否已收到这笔缴费")),
            (_, Some(_)) => Err(ApiError::conflict("not_paid", "该处方没有等待医院确认的缴费")),
            (_, None) => Ok(table::save(tx, chart).await?),
        }
    }
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(retry))
        .routes(routes!(settle))
}
