//! A nurse's own orders over HTTP: hers alone, whole only when she opens one, each look audited.

use std::collections::BTreeMap;

use axum::extract::State as Extract;
use base::permission::Nurses;
use base::{ApiError, Ctx, Json, Page, Paged, Path, Query, Staff, audit};
use records::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{StoreError, Tx};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::search::{found, since, typed, until};
use super::store::{self as sql, Filter, Order, RECORD, Who};
use super::view::{OrderDetail, OrderView, announce, detail, taken, words};
use super::{OrderId, State, Step, part};
use crate::patient::Marked;

#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Mine {
    /// `open`, `over`, or a state.
    state: Option<String>,
    /// The patient's whole name, or number; or the number of an order.
    q: Option<String>,
    /// First day (`YYYY-MM-DD`).
    from: Option<String>,
    /// Last day.
    to: Option<String>,
    /// From 1.
    page: Option<u32>,
    /// Up to 100.
    size: Option<u32>,
}

/// The nurse's orders: open ones by their time, then what is over, latest first.
#[utoipa::path(get, path = "/nurse/orders", tag = "nursing", params(Mine), responses((status = 200, body = Paged<OrderView>)))]
async fn list(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Nurses>,
    Query(wanted): Query<Mine>,
) -> Result<Json<Paged<OrderView>>, ApiError> {
    let q = typed(wanted.q.as_ref());
    let by_no = q.to_ascii_uppercase().starts_with("HL") && q.len() > 4;
    let filter = Filter {
        nurse: staff.id.to_string(),
        state: typed(wanted.state.as_ref()),
        no: if by_no { q.to_ascii_uppercase() } else { String::new() },
        patient: Marked::wanted(&ctx, &staff.tenant, if by_no { "" } else { &q })?,
        from: since("from", wanted.from.as_ref())?,
        until: until("to", wanted.to.as_ref())?,
        ..Filter::default()
    };
    let page = Page {
        page: wanted.page.unwrap_or(1),
        size: wanted.size.unwrap_or(20),
    };
    found(&ctx, &staff.scope(), filter, page).await
}

#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Span {
    /// First day (`YYYY-MM-DD`).
    from: String,
    /// Last day.
    to: String,
}

/// What a nurse did within some days.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NurseSummary)]
struct Summary {
    /// Orders by state.
    counts: BTreeMap<String, u64>,
    /// Finished orders by service.
    services: BTreeMap<String, u64>,
    /// Minutes spent at patients', in all.
    minutes: u64,
}

/// The nurse's figures of some days: orders by state, by service, time at patients'.
#[utoipa::path(get, path = "/nurse/summary", tag = "nursing", params(Span), responses((status = 200, body = Summary)))]
async fn summary(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Nurses>,
    Query(span): Query<Span>,
) -> Result<Json<Summary>, ApiError> {
    let nurse = staff.id.to_string();
    let no_day = || ApiError::field("from", "日期应为YYYY-MM-DD");
    let from = since("from", Some(&span.from))?.ok_or_else(no_day)?;
    let until = until("to", Some(&span.to))?.ok_or_else(no_day)?;
    let (counts, done, handed_on) = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let nurse = nurse.clone();
            Box::pin(async move {
                let counts = sql::counts(tx, &nurse, from, until).await?;
                let handed_on = part::handed_on(tx, &nurse, from, until).await?;
                Ok((counts, sql::finished(tx, &nurse, from, until).await?, handed_on))
            })
        })
        .await
        .map_err(|e: StoreError| e)?;
    let mut services = BTreeMap::new();
    let mut minutes = 0;
    for (service, started, finished) in done {
        *services.entry(service).or_insert(0) += 1;
        minutes += finished.since(started).as_secs() / 60;
    }
    for (started, ended) in handed_on {
        minutes += ended.since(started).as_secs() / 60;
    }
    Ok(Json(Summary {
        counts: counts.into_iter().map(|(s, n)| (s.as_str().to_owned(), n)).collect(),
        services,
        minutes,
    }))
}

/// The nurse's own order.
pub(super) async fn own(tx: &mut Tx<'_>, id: &OrderId, nurse: &str) -> Result<Order, ApiError> {
    let order = sql::get(tx, id).await?.filter(|o| o.nurse_id == nurse);
    order.ok_or_else(ApiError::not_found)
}

/// One of the nurse's orders, with its patient. The look is audited.
#[utoipa::path(get, path = "/nurse/orders/{id}", tag = "nursing", params(("id" = String, Path)),
    responses((status = 200, body = OrderDetail), (status = 404, body = base::error::ErrorBody)))]
async fn show(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Nurses>,
    Path(id): Path<String>,
) -> Result<Json<OrderDetail>, ApiError> {
    let (deps, nurse) = (ctx.clone(), staff.id.to_string());
    let id = OrderId::parse(&id).ok_or_else(ApiError::not_found)?;
    let shown = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (deps, id, nurse) = (deps.clone(), id.clone(), nurse.clone());
            Box::pin(async move {
                let order = own(tx, &id, &nurse).await?;
                audit::record(tx, "nursing.view", id.as_str(), json!({})).await?;
                detail(tx, &deps, &order, &nurse).await
            })
        })
        .await?;
    Ok(Json(shown))
}

/// What a nurse does with her order.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(tag = "act", rename_all = "snake_case")]
enum NurseAct {
    /// 接单.
    Accept,
    /// 谢绝.
    Decline {
        /// Why.
        reason: String,
    },
    /// 开始服务.
    Start {
        /// Why without a recorder; not needed with one.
        #[serde(default)]
        without_recorder: String,
    },
    /// 完成; of a visit that the desk ended, the record that is still due.
    Finish {
        /// What was done and found.
        record: String,
    },
}

/// Whether the nurse has the order's recorder with her.
async fn has_recorder(tx: &mut Tx<'_>, order: &Order) -> Result<bool, StoreError> {
    Ok(taken(tx, order).await?.is_some_and(|t| t.returned_at.is_none()))
}

async fn act_in(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    order: &mut Order,
    wanted: &NurseAct,
) -> Result<(Step, String, Value), ApiError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    match wanted {
        NurseAct::Accept => {
            order.stepped(Step::Accept)?;
            Ok((Step::Accept, String::new(), json!({})))
        }
        NurseAct::Decline { reason } => {
            let reason = words("reason", reason, 2, 200)?;
            order.stepped(Step::Decline)?;
            let detail = json!({ "reason": reason });
            Ok((Step::Decline, reason, detail))
        }
        NurseAct::Start { without_recorder } => {
            let equipped = has_recorder(tx, order).await?;
            order.stepped(Step::Start)?;
            order.started_at = Some(now);
            if equipped {
                return Ok((Step::Start, String::new(), json!({ "recorder": true })));
            }
            let why = words("without_recorder", without_recorder, 2, 200)
                .map_err(|_| ApiError::field("without_recorder", "尚未取记录仪：请先取记录仪，或填写不使用的原因"))?;
            let detail = json!({ "recorder": false, "reason": why });
            Ok((Step::Start, format!("未使用记录仪：{why}"), detail))
        }
        NurseAct::Finish { record } if order.record_due() => {
            let record = words("record", record, 2, 4000)?;
            order.stepped(Step::Record)?;
            order.record_sealed = Some(ctx.vault.seal(&tenant, RECORD, record.as_bytes())?);
            Ok((Step::Record, String::new(), json!({})))
        }
        NurseAct::Finish { record } => {
            let record = words("record", record, 2, 4000)?;
            order.stepped(Step::Finish)?;
            order.finished_at = Some(now);
            order.record_sealed = Some(ctx.vault.seal(&tenant, RECORD, record.as_bytes())?);
            let minutes = order.started_at.map(|at| now.since(at).as_secs() / 60);
            Ok((Step::Finish, String::new(), json!({ "minutes": minutes })))
        }
    }
}

/// Accepts, declines, starts or finishes one of the nurse's orders. The same again after a lost answer is answered with the
/// order as it is.
#[utoipa::path(post, path = "/nurse/orders/{id}/acts", tag = "nursing", params(("id" = String, Path)), request_body = NurseAct,
    responses((status = 200, body = OrderView), (status = 404, body = base::error::ErrorBody),
        (status = 409, body = base::error::ErrorBody), (status = 422, body = base::error::ErrorBody)))]
async fn act(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Nurses>,
    Path(id): Path<String>,
    Json(wanted): Json<NurseAct>,
) -> Result<Json<OrderView>, ApiError> {
    let id = OrderId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (deps, nurse, name) = (ctx.clone(), staff.id.to_string(), staff.name.clone());
    let order = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (deps, id, nurse, name) = (deps.clone(), id.clone(), nurse.clone(), name.clone());
            let wanted = wanted.clone();
            Box::pin(async move {
                let mut order = own(tx, &id, &nurse).await?;
                if already(&order, &wanted) {
                    return Ok(order);
                }
                let (step, note, detail) = act_in(tx, &deps, &mut order, &wanted).await?;
                let who = Who {
                    name: &name,
                    note: &note,
                };
                sql::step(tx, &order, step, who, detail).await?;
                Ok::<_, ApiError>(order)
            })
        })
        .await?;
    announce(&ctx, &staff.tenant, &order).await;
    Ok(Json(OrderView::from(&order)))
}

/// Whether a phone that lost the answer asks again for what was done.
fn already(order: &Order, wanted: &NurseAct) -> bool {
    !order.record_due()
        && matches!(
            (order.state, wanted),
            (State::Accepted, NurseAct::Accept)
                | (State::Declined, NurseAct::Decline { .. })
                | (State::Started, NurseAct::Start { .. })
                | (State::Finished, NurseAct::Finish { .. })
        )
}

/// A finished visit: its service, beginning and end.
pub(super) type Done = (String, Timestamp, Timestamp);

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(summary))
        .routes(routes!(show))
        .routes(routes!(act))
}
