//! The patient's choice, payment, receipt and acknowledgement.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ::store::Tx;
use axum::extract::{Request, State};
use axum::response::Response;
use base::{ApiError, Ctx, Json, Page, Paged, Path, Patient, Query, Source};
use money::{Cashier, NewPayment};
use records::Timestamp;
use records::id::{BlobId, PrescriptionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::dispensing::{SUBJECT, tell_delivery};
use crate::prescribing::store::{self as table, Address, Chart, SEALED_ADDRESS};
use crate::prescribing::view::{Eye, may_choose_fulfilment, shown};
use crate::prescribing::{PrescriptionView, State as Stands};
use crate::signed::Document as _;

/// Time to pay once the page is open.
const PAY_TIME: Duration = Duration::from_secs(30 * 60);

/// What the channel is told of a payer without a connection (tests): it insists on an address.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

async fn of_patient(tx: &mut Tx<'_>, patient: &Patient, id: &PrescriptionId) -> Result<Chart, ApiError> {
    let hidden = |c: &Chart| matches!(c.state, Stands::Draft);
    let found = table::find(tx, id)
        .await?
        .filter(|c| c.account_id == patient.account && !hidden(c));
    found.ok_or_else(ApiError::not_found)
}

/// One's own prescriptions, newest first.
#[utoipa::path(get, path = "/prescriptions", tag = "prescription", params(Page),
    responses((status = 200, body = Paged<PrescriptionView>)))]
async fn list(
    State(ctx): State<Ctx>,
    patient: Patient,
    Query(page): Query<Page>,
) -> Result<Json<Paged<PrescriptionView>>, ApiError> {
    let (own, who) = (ctx.clone(), patient.clone());
    let (items, total) = ctx
        .store
        .read(&patient.scope(), move |tx| {
            let (ctx, who) = (own.clone(), who.clone());
            Box::pin(async move {
                let (charts, total) = table::of_account(tx, &who.account, page).await?;
                let mut items = Vec::with_capacity(charts.len());
                for chart in charts {
                    items.push(shown(tx, &ctx, &chart, Eye::Patient).await?);
                }
                Ok::<_, ApiError>((items, total))
            })
        })
        .await?;
    Ok(Json(page.of(items, total)))
}

/// One's own prescription.
#[utoipa::path(get, path = "/prescriptions/{id}", tag = "prescription", params(("id" = String, Path)),
    responses((status = 200, body = PrescriptionView)))]
async fn show(
    State(ctx): State<Ctx>,
    patient: Patient,
    Path(id): Path<String>,
) -> Result<Json<PrescriptionView>, ApiError> {
    let id = PrescriptionId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (own, who) = (ctx.clone(), patient.clone());
    let view = ctx
        .store
        .read(&patient.scope(), move |tx| {
            let (ctx, who, id) = (own.clone(), who.clone(), id.clone());
            Box::pin(async move {
                let chart = of_patient(tx, &who, &id).await?;
                shown(tx, &ctx, &chart, Eye::Patient).await
            })
        })
        .await?;
    Ok(Json(view))
}

/// How to get the drugs.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct Fulfilment {
    /// `pickup` or `delivery`.
    pub(crate) kind: FulfilmentKind,
    /// Where to, for delivery.
    #[serde(default)]
    pub(crate) address: Option<Address>,
}

/// 自提 or 配送.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FulfilmentKind {
    /// At the window.
    Pickup,
    /// By courier.
    Delivery,
}

fn checked(address: Option<Address>) -> Result<Address, ApiError> {
    let address = address.ok_or_else(|| ApiError::field("address", "请填写收货地址"))?;
    let short = |text: &str, most: usize| !text.trim().is_empty() && text.chars().count() <= most;
    if !short(&address.name, 40) {
        return Err(ApiError::field("address.name", "请填写收货人姓名"));
    }
    let phone = address.phone.as_bytes();
    if phone.len() != 11 || phone.first() != Some(&b'1') || !phone.iter().all(u8::is_ascii_digit) {
        return Err(ApiError::field("address.phone", "请填写11位手机号码"));
    }
    if !short(&address.region, 80) || !short(&address.detail, 160) {
        return Err(ApiError::field("address.detail", "请填写完整的收货地址"));
    }
    Ok(address)
}

/// Chooses pick-up or delivery; possible until it is paid.
#[utoipa::path(post, path = "/prescriptions/{id}/fulfilment", tag = "prescription", params(("id" = String, Path)),
    request_body = Fulfilment, responses((status = 200, body = PrescriptionView), (status = 409, body = base::error::ErrorBody)))]
async fn choose(
    State(ctx): State<Ctx>,
    patient: Patient,
    Path(id): Path<String>,
    Json(wish): Json<Fulfilment>,
) -> Result<Json<PrescriptionView>, ApiError> {
    let id = PrescriptionId::parse(&id).ok_or_else(ApiError::not_found)?;
    let sealed = match wish.kind {
        FulfilmentKind::Pickup => None,
        FulfilmentKind::Delivery => {
            let plain = serde_json::to_vec(&checked(wish.address)?).map_err(ApiError::internal)?;
            Some(ctx.vault.seal(&patient.tenant, SEALED_ADDRESS, &plain)?)
        }
    };
    let kind = wish.kind;
    let (own, who) = (ctx.clone(), patient.clone());
    let view = ctx
        .store
        .write(&patient.scope(), move |tx| {
            let (ctx, who, id, sealed) = (own.clone(), who.clone(), id.clone(), sealed.clone());
            Box::pin(async move {
                let mut chart = of_patient(tx, &who, &id).await?;
                if !may_choose_fulfilment(chart.state) {
                    let text = format!("处方{}，不能再选择取药方式", chart.state.text());
                    return Err(ApiError::conflict("prescription_state", text));
                }
                let word = if kind == FulfilmentKind::Pickup {
                    "pickup"
                } else {
                    "delivery"
                };
                chart.fulfilment = Some(word.to_owned());
                chart.address_sealed = sealed;
                table::save(tx, &chart).await?;
                let detail = serde_json::json!({ "kind": word });
                base::audit::record(tx, "prescription.fulfilment", id.as_str(), detail).await?;
                shown(tx, &ctx, &chart, Eye::Patient).await
            })
        })
        .await?;
    Ok(Json(view))
}

/// Where to pay.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PrescriptionPayPage)]
pub(crate) struct PayPage {
    /// Payment.
    pub(crate) payment_id: String,
    /// The channel's page; absent when there is nothing to pay.
    pub(crate) pay_url: Option<String>,
    /// When it lapses.
    #[schema(value_type = String)]
    pub(crate) expires_at: Timestamp,
}

/// Opens the payment and answers the channel's page.
#[utoipa::path(post, path = "/prescriptions/{id}/pay", tag = "prescription", params(("id" = String, Path)),
    responses((status = 200, body = PayPage), (status = 409, body = base::error::ErrorBody)))]
async fn pay(
    State(ctx): State<Ctx>,
    axum::Extension(cashier): axum::Extension<Cashier>,
    patient: Patient,
    Path(id): Path<String>,
    source: Source,
) -> Result<Json<PayPage>, ApiError> {
    let id = PrescriptionId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (own, who) = (ctx.clone(), patient.clone());
    let payment = ctx
        .store
        .write(&patient.scope(), move |tx| {
            let (ctx, who, id) = (own.clone(), who.clone(), id.clone());
            Box::pin(async move {
                let chart = of_patient(tx, &who, &id).await?;
                let new = new_payment(tx, &chart)?;
                Ok::<_, ApiError>(money::open(tx, &ctx.ids, &new).await?)
            })
        })
        .await?;
    let payment = cashier
        .pay(&patient.tenant, &payment.id, &source.0.unwrap_or(NOWHERE).to_string())
        .await?;
    Ok(Json(PayPage {
        payment_id: payment.id.to_string(),
        pay_url: payment.pay_url,
        expires_at: payment.expires_at,
    }))
}

fn new_payment(tx: &Tx<'_>, chart: &Chart) -> Result<NewPayment, ApiError> {
    let (Stands::AwaitingPayment, Some(amount_fen)) = (chart.state, chart.bill_fen) else {
        let text = format!("处方{}，不能缴费", chart.state.text());
        return Err(ApiError::conflict("prescription_state", text));
    };
    if chart.fulfilment.is_none() {
        return Err(ApiError::conflict("no_fulfilment", "请先选择取药方式"));
    }
    let end = chart.valid_until.map_or(tx.now(), |last| last.plus_days(1).start());
    if tx.now() >= end {
        return Err(ApiError::conflict("expired", "处方已过有效期，不能缴费"));
    }
    Ok(NewPayment {
        subject_kind: SUBJECT,
        subject_id: chart.id.to_string(),
        account_id: chart.account_id.to_string(),
        description: format!("{}处方药费", chart.department_name),
        amount_fen,
        expires_at: tx.now().plus(PAY_TIME).min(end),
    })
}

/// The sealed PDF.
#[utoipa::path(get, path = "/prescriptions/{id}/pdf", tag = "prescription", params(("id" = String, Path)),
    responses((status = 200, description = "application/pdf"), (status = 409, body = base::error::ErrorBody)))]
async fn pdf(
    State(ctx): State<Ctx>,
    session: base::Session,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let id = PrescriptionId::parse(&id).ok_or_else(ApiError::not_found)?;
    let who = session.clone();
    let blob = ctx
        .store
        .read(&session.scope(), move |tx| {
            let (id, who) = (id.clone(), who.clone());
            Box::pin(async move {
                let chart = table::find(tx, &id).await?.filter(|c| may_read_pdf(&who, c));
                let chart = chart.ok_or_else(ApiError::not_found)?;
                let Some(blob) = chart.pdf_blob.as_deref().and_then(BlobId::parse) else {
                    return Err(ApiError::conflict("no_pdf", "处方笺正在生成，请稍后再试"));
                };
                base::blobs::get(tx, &blob).await?.ok_or_else(ApiError::not_found)
            })
        })
        .await?;
    base::blobs::serve(&ctx, &session.tenant, &blob, request).await
}

fn may_read_pdf(session: &base::Session, chart: &Chart) -> bool {
    use base::{Permission, Who};
    match &session.who {
        Who::Patient(account) => *account == chart.account_id,
        Who::Staff(m) => {
            m.id == chart.doctor_id
                || [Permission::Review, Permission::Dispense, Permission::Oversee]
                    .into_iter()
                    .any(|p| m.may(p))
        }
    }
}

/// The patient has the drugs.
#[utoipa::path(post, path = "/prescriptions/{id}/collected", tag = "prescription", params(("id" = String, Path)),
    responses((status = 200, body = PrescriptionView), (status = 409, body = base::error::ErrorBody)))]
async fn collected(
    State(ctx): State<Ctx>,
    patient: Patient,
    Path(id): Path<String>,
) -> Result<Json<PrescriptionView>, ApiError> {
    let id = PrescriptionId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (own, who) = (ctx.clone(), patient.clone());
    let (chart, view) = ctx
        .store
        .write(&patient.scope(), move |tx| {
            let (ctx, who, id) = (own.clone(), who.clone(), id.clone());
            Box::pin(async move {
                let mut chart = of_patient(tx, &who, &id).await?;
                let (now, by) = (tx.now(), tx.actor().clone());
                let to = chart.prescription()?.collect(now, &by)?;
                table::moved(tx, &mut chart, to).await?;
                tell_delivery(tx, &ctx, &chart, "delivered").await?;
                let view = shown(tx, &ctx, &chart, Eye::Patient).await?;
                Ok::<_, ApiError>((chart, view))
            })
        })
        .await?;
    chart.announce(&ctx, &patient.tenant);
    Ok(Json(view))
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(choose))
        .routes(routes!(pay))
        .routes(routes!(pdf))
        .routes(routes!(collected))
}
