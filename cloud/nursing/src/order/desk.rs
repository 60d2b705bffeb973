//! Orders over HTTP, for the hospital's nursing desk (护理台): made, changed, assigned, cancelled.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use base::permission::Dispatches;
use base::{ApiError, Ctx, Json, Page, Paged, Path, Query, Staff, audit, settings};
use records::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Scope, StoreError, Tx};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ending::{self, Said};
use super::search::{found, since, typed, until};
use super::store::{self as sql, Filter, New, Order, Who};
use super::view::{OrderDetail, OrderView, announce, detail, words};
use super::{Facts, OrderId, OrderSettings, Step};
use crate::patient::Marked;
use crate::recorder::serial;

#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// `open`, `over`, or a state.
    state: Option<String>,
    /// Staff id of the nurse.
    nurse: Option<String>,
    /// Number of the order.
    no: Option<String>,
    /// The patient's whole name, or number.
    patient: Option<String>,
    /// First day (`YYYY-MM-DD`).
    from: Option<String>,
    /// Last day.
    to: Option<String>,
    /// From 1.
    page: Option<u32>,
    /// Up to 100.
    size: Option<u32>,
}

/// Orders of the hospital: those still open by their time, then what is over, latest first.
#[utoipa::path(get, path = "/admin/nursing/orders", tag = "nursing", params(Wanted), responses((status = 200, body = Paged<OrderView>)))]
async fn list(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Dispatches>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Paged<OrderView>>, ApiError> {
    let filter = Filter {
        state: typed(wanted.state.as_ref()),
        nurse: typed(wanted.nurse.as_ref()),
        no: typed(wanted.no.as_ref()).to_ascii_uppercase(),
        patient: Marked::wanted(&ctx, &staff.tenant, &typed(wanted.patient.as_ref()))?,
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

/// What the desk orders.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = NursingOrderForm)]
struct OrderForm {
    /// One of the hospital's services.
    service: String,
    /// When the nurse is expected.
    #[schema(value_type = String, format = DateTime)]
    planned_at: Timestamp,
    /// Whom, and where.
    patient: Facts,
    /// Staff id of the nurse; empty: assigned later.
    #[serde(default)]
    nurse: String,
    /// Serial number of the recorder to be used; empty: any that is charged.
    #[serde(default)]
    recorder: String,
}

async fn checked(tx: &mut Tx<'_>, ctx: &Ctx, form: &OrderForm) -> Result<New, ApiError> {
    let known: OrderSettings = settings::get(tx).await?;
    if !known.services.iter().any(|s| s.trim() == form.service.trim()) {
        return Err(ApiError::field("service", "请选择本院开展的护理项目"));
    }
    let recorder = match form.recorder.trim() {
        "" => String::new(),
        text => {
            let number = serial(text).ok_or_else(|| ApiError::field("recorder", "没有这台记录仪"))?;
            let there = crate::recorder::store::get(tx, &number).await?;
            let there = there.filter(|r| r.state != crate::recorder::State::Deleted);
            there
                .ok_or_else(|| ApiError::field("recorder", "没有这台记录仪"))?
                .serial
        }
    };
    let facts = form.patient.checked(tx.now().local_date())?;
    Ok(New {
        service: form.service.trim().to_owned(),
        planned_at: form.planned_at,
        sealed: facts.seal(ctx, tx.tenant())?,
        recorder,
    })
}

async fn assign(tx: &mut Tx<'_>, order: &mut Order, nurse: &str, by: &str, note: &str) -> Result<(), ApiError> {
    let nurses = sql::nurses(tx).await?;
    let named = nurses.into_iter().find(|(id, _, _)| id == nurse);
    let (id, name, _) = named.ok_or_else(|| ApiError::field("nurse", "请选择在职护士"))?;
    order.stepped(Step::Assign)?;
    let before = std::mem::replace(&mut order.nurse_id, id);
    order.nurse_name = name;
    let detail = json!({ "nurse": order.nurse_id, "before": before });
    let words = if note.is_empty() {
        format!("指派给{}", order.nurse_name)
    } else {
        format!("指派给{}：{note}", order.nurse_name)
    };
    let who = Who { name: by, note: &words };
    Ok(sql::step(tx, order, Step::Assign, who, detail).await?)
}

/// A new order (订单), assigned at once when a nurse is named.
#[utoipa::path(post, path = "/admin/nursing/orders", tag = "nursing", request_body = OrderForm,
    responses((status = 201, body = OrderView), (status = 422, body = base::error::ErrorBody)))]
async fn create(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Dispatches>,
    Json(form): Json<OrderForm>,
) -> Result<(StatusCode, Json<OrderView>), ApiError> {
    let (deps, by) = (ctx.clone(), staff.name.clone());
    let order = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (deps, form, by) = (deps.clone(), form.clone(), by.clone());
            Box::pin(async move {
                let new = checked(tx, &deps, &form).await?;
                let id = sql::insert(tx, &deps.ids, &new).await?;
                let mut order = sql::get(tx, &id).await?.ok_or_else(ApiError::not_found)?;
                let detail = json!({ "no": order.no, "service": order.service, "patient": order.patient_masked });
                audit::record(tx, "nursing.create", id.as_str(), detail).await?;
                if !form.nurse.is_empty() {
                    assign(tx, &mut order, &form.nurse, &by, "").await?;
                }
                Ok::<_, ApiError>(order)
            })
        })
        .await?;
    announce(&ctx, &staff.tenant, &order).await;
    Ok((StatusCode::CREATED, Json(OrderView::from(&order))))
}

/// An order whole. The look is audited.
#[utoipa::path(get, path = "/admin/nursing/orders/{id}", tag = "nursing", params(("id" = String, Path)),
    responses((status = 200, body = OrderDetail), (status = 404, body = base::error::ErrorBody)))]
async fn show(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Dispatches>,
    Path(id): Path<String>,
) -> Result<Json<OrderDetail>, ApiError> {
    let deps = ctx.clone();
    let shown = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (deps, id) = (deps.clone(), id.clone());
            Box::pin(async move {
                let order = sql::named(tx, &id).await?.ok_or_else(ApiError::not_found)?;
                audit::record(tx, "nursing.view", order.id.as_str(), json!({})).await?;
                detail(tx, &deps, &order, "").await
            })
        })
        .await?;
    Ok(Json(shown))
}

/// Changes what was ordered, while the visit has not begun.
#[utoipa::path(put, path = "/admin/nursing/orders/{id}", tag = "nursing", params(("id" = String, Path)), request_body = OrderForm,
    responses((status = 200, body = OrderView), (status = 404, body = base::error::ErrorBody),
        (status = 409, body = base::error::ErrorBody), (status = 422, body = base::error::ErrorBody)))]
async fn change(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Dispatches>,
    Path(id): Path<String>,
    Json(form): Json<OrderForm>,
) -> Result<Json<OrderView>, ApiError> {
    let (deps, id) = (ctx.clone(), OrderId::parse(&id).ok_or_else(ApiError::not_found)?);
    let order = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (deps, id, form) = (deps.clone(), id.clone(), form.clone());
            Box::pin(async move {
                let order = sql::get(tx, &id).await?.ok_or_else(ApiError::not_found)?;
                if !order.state.awaits_visit() {
                    return Err(ApiError::conflict("order_state", "服务已开始，不能再修改"));
                }
                let new = checked(tx, &deps, &form).await?;
                sql::change(tx, &id, &new).await?;
                let detail = json!({ "service": new.service, "planned_at": new.planned_at, "recorder": new.recorder });
                audit::record(tx, "nursing.change", id.as_str(), detail).await?;
                sql::get(tx, &id).await?.ok_or_else(ApiError::not_found)
            })
        })
        .await?;
    announce(&ctx, &staff.tenant, &order).await;
    Ok(Json(OrderView::from(&order)))
}

/// What the desk does with an order.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(tag = "act", rename_all = "snake_case")]
enum DeskAct {
    /// 指派, 改派.
    Assign {
        /// Staff id.
        nurse: String,
        /// Why; may be empty.
        #[serde(default)]
        reason: String,
    },
    /// 取消.
    Cancel {
        /// Why.
        reason: String,
    },
    /// 代为结束: the nurse of a visit under way cannot say so herself.
    End {
        /// Why she cannot.
        reason: String,
        /// When the visit ended, as she says.
        #[schema(value_type = String, format = DateTime)]
        ended_at: Timestamp,
    },
    /// 转交: another nurse goes on with a visit under way.
    HandOver {
        /// Staff id.
        nurse: String,
        /// Why.
        reason: String,
        /// When the nurse before stopped, as she says.
        #[schema(value_type = String, format = DateTime)]
        ended_at: Timestamp,
    },
}

async fn act_in(tx: &mut Tx<'_>, id: &OrderId, wanted: &DeskAct, by: &str) -> Result<(Order, String), ApiError> {
    let mut order = sql::get(tx, id).await?.ok_or_else(ApiError::not_found)?;
    let before = order.nurse_id.clone();
    match wanted {
        DeskAct::Assign { nurse, reason } => {
            let reason = words("reason", reason, 0, 200)?;
            assign(tx, &mut order, nurse, by, &reason).await?;
        }
        DeskAct::Cancel { reason } => {
            let reason = words("reason", reason, 2, 200)?;
            order.stepped(Step::Cancel)?;
            let who = Who {
                name: by,
                note: &reason,
            };
            sql::step(tx, &order, Step::Cancel, who, json!({ "reason": reason })).await?;
        }
        DeskAct::End { reason, ended_at } => {
            let said = Said {
                by,
                reason,
                ended_at: *ended_at,
            };
            ending::enter(tx, &mut order, &said, None).await?;
        }
        DeskAct::HandOver {
            nurse,
            reason,
            ended_at,
        } => {
            let said = Said {
                by,
                reason,
                ended_at: *ended_at,
            };
            ending::enter(tx, &mut order, &said, Some(nurse)).await?;
        }
    }
    Ok((order, before))
}

/// Assigns an order to a nurse, or to another; cancels it. Ends a visit under way for its nurse, or hands it over to another.
#[utoipa::path(post, path = "/admin/nursing/orders/{id}/acts", tag = "nursing", params(("id" = String, Path)), request_body = DeskAct,
    responses((status = 200, body = OrderView), (status = 404, body = base::error::ErrorBody),
        (status = 409, body = base::error::ErrorBody), (status = 422, body = base::error::ErrorBody)))]
async fn act(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Dispatches>,
    Path(id): Path<String>,
    Json(wanted): Json<DeskAct>,
) -> Result<Json<OrderView>, ApiError> {
    let id = OrderId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (scope, by): (Scope, String) = (staff.scope(), staff.name.clone());
    let (order, before) = ctx
        .store
        .write(&scope, move |tx| {
            let (id, wanted, by) = (id.clone(), wanted.clone(), by.clone());
            Box::pin(async move { act_in(tx, &id, &wanted, &by).await })
        })
        .await?;
    if before != order.nurse_id {
        let former = Order {
            nurse_id: before,
            ..order.clone()
        };
        announce(&ctx, &staff.tenant, &former).await;
    }
    announce(&ctx, &staff.tenant, &order).await;
    Ok(Json(OrderView::from(&order)))
}

/// A nurse who may be given orders.
#[derive(Debug, Serialize, ToSchema)]
struct NurseView {
    /// Staff id.
    id: String,
    /// Name.
    name: String,
    /// Title.
    title: String,
}

/// What an order may be made of.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NursingChoices)]
struct OrderChoices {
    /// Services of the hospital.
    services: Vec<String>,
    /// Nurses.
    nurses: Vec<NurseView>,
}

/// Services and nurses to choose from.
#[utoipa::path(get, path = "/admin/nursing/choices", tag = "nursing", responses((status = 200, body = OrderChoices)))]
async fn choices(Extract(ctx): Extract<Ctx>, staff: Staff<Dispatches>) -> Result<Json<OrderChoices>, ApiError> {
    let (services, nurses) = ctx
        .store
        .read(&staff.scope(), |tx| {
            Box::pin(async move {
                let known: OrderSettings = settings::get(tx).await?;
                Ok((known.services, sql::nurses(tx).await?))
            })
        })
        .await
        .map_err(|e: StoreError| e)?;
    let view = |(id, name, title)| NurseView { id, name, title };
    Ok(Json(OrderChoices {
        services,
        nurses: nurses.into_iter().map(view).collect(),
    }))
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, change))
        .routes(routes!(act))
        .routes(routes!(choices))
}
