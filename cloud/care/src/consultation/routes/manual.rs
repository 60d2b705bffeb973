//! Outcomes that no machine could find out (人工处理): visits the HIS does not speak about, refunds that hang.

use axum::extract::State;
use base::permission::Settles;
use base::{ApiError, Ctx, Json, Path, Staff, audit};
use records::id::{PaymentId, RefundId, VisitId};
use records::{LocalDate, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Tx;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::effects::{hand, perform, write_back};
use super::super::{HisSide, VisitState, board, store as sql};
use crate::CareError;

/// Something a person has to settle.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ManualItem {
    /// Id of the visit or refund.
    id: String,
    /// `visit` or `refund`.
    kind: String,
    /// The visit concerned.
    visit_id: String,
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
    /// What may be done: `retry`, `settle`.
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
            visit_id: visit.id.as_str().to_owned(),
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
            visit_id: payment.subject_id,
            text: refund.note.unwrap_or_default(),
            amount_fen: refund.amount_fen.0,
            slot_date: None,
            since: refund.created_at,
            allowed,
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
    /// For a visit: `registered` (the HIS has it) or `refund` (it has not; the default). For a refund nothing.
    #[serde(default)]
    outcome: Option<String>,
}

async fn visit_of_refund(tx: &mut Tx<'_>, id: &RefundId) -> Result<Option<VisitId>, CareError> {
    let refund = money::refund(tx, id).await?;
    let payment: PaymentId = refund.payment_id;
    Ok(VisitId::parse(&money::payment(tx, &payment).await?.subject_id))
}

async fn retry_in(tx: &mut Tx<'_>, ctx: &Ctx, id: &str) -> Result<Option<VisitId>, CareError> {
    if let Some(visit) = VisitId::parse(id) {
        let mut visit = sql::get(tx, &visit).await?;
        let moved = visit.progress().retry(&hand(tx))?;
        perform(tx, ctx, &mut visit, moved).await?;
        return Ok(Some(visit.id));
    }
    let refund = RefundId::parse(id).ok_or(CareError::Absent)?;
    let after = money::retry_refund(tx, &refund).await?;
    audit::record(tx, "refund.retry", id, json!({})).await?;
    let visit = visit_of_refund(tx, &refund).await?;
    if let Some(visit) = visit.as_ref().filter(|_| after.returned_at.is_some()) {
        let visit = sql::get(tx, visit).await?;
        write_back(tx, &visit).await?;
    }
    Ok(visit)
}

/// Tries again: the HIS is told again, or the refund is sent again. Neither can happen twice.
#[utoipa::path(post, path = "/admin/manual/{id}/retry", tag = "admin", params(("id" = String, Path)),
    responses((status = 200, body = Vec<ManualItem>), (status = 409, body = base::error::ErrorBody)))]
async fn retry(
    State(ctx): State<Ctx>,
    staff: Staff<Settles>,
    Path(id): Path<String>,
) -> Result<Json<Vec<ManualItem>>, ApiError> {
    let deps = ctx.clone();
    let (visit, items) = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (deps, id) = (deps.clone(), id.clone());
            Box::pin(async move {
                let visit = retry_in(tx, &deps, &id).await?;
                Ok::<_, CareError>((visit, items(tx).await?))
            })
        })
        .await?;
    if let Some(visit) = visit {
        board::announce(&ctx, &staff.tenant, &visit).await;
    }
    Ok(Json(items))
}

async fn settle_in(tx: &mut Tx<'_>, ctx: &Ctx, id: &str, found: &Settlement) -> Result<Option<VisitId>, CareError> {
    let note = found.note.trim();
    audit::record(tx, "manual.settle", id, json!({ "outcome": found.outcome, "note": note })).await?;
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
        return Ok(Some(visit.id));
    }
    let refund = RefundId::parse(id).ok_or(CareError::Absent)?;
    let visit = visit_of_refund(tx, &refund).await?;
    money::written_back(tx, &refund, None).await?;
    if let Some(id) = &visit {
        let mut visit = sql::get(tx, id).await?;
        let (progress, event) = visit.progress().end_refund(&hand(tx));
        sql::save(tx, &mut visit, progress, &event).await?;
    }
    Ok(visit)
}

/// Settles by hand what a person has found out with the hospital.
#[utoipa::path(post, path = "/admin/manual/{id}/settle", tag = "admin", params(("id" = String, Path)), request_body = Settlement,
    responses((status = 200, body = Vec<ManualItem>), (status = 409, body = base::error::ErrorBody)))]
async fn settle(
    State(ctx): State<Ctx>,
    staff: Staff<Settles>,
    Path(id): Path<String>,
    Json(found): Json<Settlement>,
) -> Result<Json<Vec<ManualItem>>, ApiError> {
    if found.note.trim().is_empty() {
        return Err(ApiError::field("note", "请填写核实情况"));
    }
    let deps = ctx.clone();
    let (visit, items) = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (deps, id, found) = (deps.clone(), id.clone(), found.clone());
            Box::pin(async move {
                let visit = settle_in(tx, &deps, &id, &found).await?;
                Ok::<_, CareError>((visit, items(tx).await?))
            })
        })
        .await?;
    if let Some(visit) = visit {
        board::announce(&ctx, &staff.tenant, &visit).await;
    }
    Ok(Json(items))
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(retry))
        .routes(routes!(settle))
}
