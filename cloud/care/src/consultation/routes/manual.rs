//! Outcomes that no machine could find out (人工处理): visits the HIS does not speak about, refunds that hang.

use axum::Extension;
use axum::extract::State;
use base::permission::Settles;
use base::{ApiError, Ctx, Json, Path, Staff, audit};
use money::{Cashier, Found, Payment};
use records::id::{PaymentId, RefundId, VisitId};
use records::{LocalDate, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Tx;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::effects::{SUBJECT, hand, perform};
use super::super::{HisSide, VisitState, board, store as sql};
use crate::CareError;

/// Something a person has to settle.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ManualItem {
    /// Id of the visit, refund or payment.
    id: String,
    /// `visit`, `refund` or `payment`.
    kind: String,
    /// What it is about: `visit` or `prescription`.
    subject_kind: String,
    /// Which one.
    subject_id: String,
    /// What is unclear, in words.
    text: String,
    /// Amount.
    amount_fen: i64,
    /// Day of the slot.
    #[schema(value_type = Option<String>)]
    slot_date: Option<LocalDate>,
    /// Since when.
    #[schema(value_type = String)]
    since: Timestamp,
    /// What may be done: `retry`, `settle`; for a payment `accept`, `refund`.
    allowed: Vec<String>,
}

async fn items(tx: &mut Tx<'_>) -> Result<Vec<ManualItem>, CareError> {
    let (now, mut items) = (tx.now(), Vec::new());
    for visit in sql::resting(tx, VisitState::Manual, now, 200).await? {
        let allowed = match visit.his {
            HisSide::Telling => vec!["retry".to_owned(), "settle".to_owned()],
            _ => vec!["settle".to_owned()],
        };
        items.push(ManualItem {
            id: visit.id.as_str().to_owned(),
            kind: "visit".to_owned(),
            subject_kind: SUBJECT.to_owned(),
            subject_id: visit.id.as_str().to_owned(),
            text: visit.message.unwrap_or_default(),
            amount_fen: visit.fee_fen.0,
            slot_date: Some(visit.slot_date),
            since: visit.updated_at,
            allowed,
        });
    }
    for refund in money::held_refunds(tx, 200).await? {
        let payment = money::payment(tx, &refund.payment_id).await?;
        let mut allowed = vec!["retry".to_owned()];
        if refund.returned_at.is_some() {
            allowed.push("settle".to_owned());
        }
        items.push(ManualItem {
            id: refund.id.as_str().to_owned(),
            kind: "refund".to_owned(),
            subject_kind: payment.subject_kind,
            subject_id: payment.subject_id,
            text: refund.note.unwrap_or_default(),
            amount_fen: refund.amount_fen.0,
            slot_date: None,
            since: refund.created_at,
            allowed,
        });
    }
    for payment in money::held_payments(tx, 200).await? {
        let (charged, ordered) = (payment.received_fen(), payment.amount_fen);
        let text = format!("渠道实收{charged}元，订单金额{ordered}元，请与支付渠道核对");
        items.push(ManualItem {
            id: payment.id.as_str().to_owned(),
            kind: "payment".to_owned(),
            subject_kind: payment.subject_kind,
            subject_id: payment.subject_id,
            text,
            amount_fen: charged.0,
            slot_date: None,
            since: payment.created_at,
            allowed: vec!["accept".to_owned(), "refund".to_owned()],
        });
    }
    Ok(items)
}

/// What waits for a person.
#[utoipa::path(get, path = "/admin/manual", tag = "admin", responses((status = 200, body = Vec<ManualItem>)))]
async fn list(State(ctx): State<Ctx>, staff: Staff<Settles>) -> Result<Json<Vec<ManualItem>>, ApiError> {
    let items = ctx
        .store
        .read(&staff.scope(), |tx| Box::pin(async move { items(tx).await }))
        .await?;
    Ok(Json(items))
}

/// What a person found out.
#[derive(Clone, Debug, Deserialize, ToSchema)]
struct Settlement {
    /// What was found, in words.
    note: String,
    /// For a visit: `registered` (the HIS has it) or `refund` (it has not; the default). For a payment whose amount is
    /// not the order's: `accept` or `refund`. For a refund nothing.
    #[serde(default)]
    outcome: Option<String>,
}

/// What a settlement moved, to be announced after its commit.
enum Moved {
    Visit(VisitId),
    Payment(Box<Payment>),
}

async fn announce(ctx: &Ctx, cashier: &Cashier, tenant: &TenantId, moved: Moved) {
    match moved {
        Moved::Visit(visit) => board::announce(ctx, tenant, &visit).await,
        Moved::Payment(payment) => cashier.tell(tenant, &payment).await,
    }
}

async fn retry_in(tx: &mut Tx<'_>, ctx: &Ctx, cashier: &Cashier, id: &str) -> Result<Moved, CareError> {
    if let Some(visit) = VisitId::parse(id) {
        let mut visit = sql::get(tx, &visit).await?;
        let moved = visit.progress().retry(&hand(tx))?;
        perform(tx, ctx, &mut visit, moved).await?;
        return Ok(Moved::Visit(visit.id));
    }
    let refund = RefundId::parse(id).ok_or(CareError::Absent)?;
    audit::record(tx, "refund.retry", id, json!({})).await?;
    Ok(Moved::Payment(Box::new(cashier.retry_refund(tx, &refund).await?)))
}

/// Tries again: the HIS is told again, or the refund is sent again. Neither can happen twice.
#[utoipa::path(post, path = "/admin/manual/{id}/retry", tag = "admin", params(("id" = String, Path)),
    responses((status = 200, body = Vec<ManualItem>), (status = 409, body = base::error::ErrorBody)))]
async fn retry(
    State(ctx): State<Ctx>,
    Extension(cashier): Extension<Cashier>,
    staff: Staff<Settles>,
    Path(id): Path<String>,
) -> Result<Json<Vec<ManualItem>>, ApiError> {
    let (deps, desk) = (ctx.clone(), cashier.clone());
    let (moved, items) = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (deps, desk, id) = (deps.clone(), desk.clone(), id.clone());
            Box::pin(async move {
                let moved = retry_in(tx, &deps, &desk, &id).await?;
                Ok::<_, CareError>((moved, items(tx).await?))
            })
        })
        .await?;
    announce(&ctx, &cashier, &staff.tenant, moved).await;
    Ok(Json(items))
}

async fn settle_in(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    cashier: &Cashier,
    id: &str,
    found: &Settlement,
) -> Result<Moved, CareError> {
    let note = found.note.trim();
    audit::record(
        tx,
        "manual.settle",
        id,
        json!({ "outcome": found.outcome, "note": note }),
    )
    .await?;
    if let Some(visit) = VisitId::parse(id) {
        let mut visit = sql::get(tx, &visit).await?;
        let hand = hand(tx);
        let registered = found.outcome.as_deref() == Some("registered");
        let moved = match (visit.his, registered) {
            (HisSide::Telling, true) => visit.progress().register(false, &hand),
            (HisSide::Telling, false) => {
                let words = format!("医院未能确认挂号：{note}。费用将原路退回");
                visit.progress().refuse_registration(&words, false, &hand)
            }
            // Never paid: only the place is let go of.
            _ => visit.progress().give_up_place(note, &hand),
        }?;
        perform(tx, ctx, &mut visit, moved).await?;
        return Ok(Moved::Visit(visit.id));
    }
    if let Some(payment) = PaymentId::parse(id) {
        let decided = match found.outcome.as_deref() {
            Some("accept") => Found::Accepted,
            Some("refund") => Found::Refused,
            _ => return Err(ApiError::field("outcome", "请选择按已支付处理，或退款").into()),
        };
        let payment = cashier.settle_charge(tx, &payment, decided, note).await?;
        return Ok(Moved::Payment(Box::new(payment)));
    }
    let refund = RefundId::parse(id).ok_or(CareError::Absent)?;
    Ok(Moved::Payment(Box::new(cashier.settle_refund(tx, &refund).await?)))
}

/// Settles by hand what a person has found out with the hospital.
#[utoipa::path(post, path = "/admin/manual/{id}/settle", tag = "admin", params(("id" = String, Path)), request_body = Settlement,
    responses((status = 200, body = Vec<ManualItem>), (status = 409, body = base::error::ErrorBody)))]
async fn settle(
    State(ctx): State<Ctx>,
    Extension(cashier): Extension<Cashier>,
    staff: Staff<Settles>,
    Path(id): Path<String>,
    Json(found): Json<Settlement>,
) -> Result<Json<Vec<ManualItem>>, ApiError> {
    if found.note.trim().is_empty() {
        return Err(ApiError::field("note", "请填写核实情况"));
    }
    let (deps, desk) = (ctx.clone(), cashier.clone());
    let (moved, items) = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (deps, desk, id, found) = (deps.clone(), desk.clone(), id.clone(), found.clone());
            Box::pin(async move {
                let moved = settle_in(tx, &deps, &desk, &id, &found).await?;
                Ok::<_, CareError>((moved, items(tx).await?))
            })
        })
        .await?;
    announce(&ctx, &cashier, &staff.tenant, moved).await;
    Ok(Json(items))
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(retry))
        .routes(routes!(settle))
}
