//! Orders over HTTP, for the patient: those of the phone signed in with, and the form to be filled in before the visit.

use axum::extract::State as Extract;
use base::{ApiError, Ctx, Json, Path, Patient};
use records::Timestamp;
use records::id::AccountId;
use serde::Serialize;
use serde_json::json;
use store::Tx;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::store::{self as sql, Filter, Order};
use super::view::announce;
use super::{Facts, OrderId};
use crate::form::{self, Answers, FilledView};

/// An order as the patient sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct HomeVisit {
    /// Id.
    id: String,
    /// Its number.
    no: String,
    /// State.
    state: String,
    /// In words.
    state_text: String,
    /// What is done.
    service: String,
    /// When the nurse is expected.
    #[schema(value_type = String, format = DateTime)]
    planned_at: Timestamp,
    /// Who comes; empty until a nurse has accepted.
    nurse_name: String,
    /// Name of the patient, masked.
    patient_masked: String,
    /// A form waits to be filled in.
    form_open: bool,
}

/// An order with its form.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct HomeVisitDetail {
    /// The order.
    #[serde(flatten)]
    visit: HomeVisit,
    /// Where the nurse comes to.
    address: String,
    /// Phone, masked.
    phone_masked: String,
    /// The form for this service, and what was filled in.
    form: Option<FilledView>,
    /// Whether it may still be filled in or changed.
    editable: bool,
    /// When the visit began.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

fn view(order: &Order, form_open: bool) -> HomeVisit {
    use super::State::{Accepted, Finished, Started, Taken};
    let named = matches!(order.state, Accepted | Taken | Started | Finished);
    // That a nurse cannot come, or fetches a recorder, is the desk's matter.
    let state_text = match order.state {
        super::State::Requested | super::State::Assigned | super::State::Declined => "安排护士中",
        Accepted | Taken => "护士已接单",
        other => other.text(),
    };
    HomeVisit {
        id: order.id.to_string(),
        no: order.no.clone(),
        state: order.state.as_str().to_owned(),
        state_text: state_text.to_owned(),
        service: order.service.clone(),
        planned_at: order.planned_at,
        nurse_name: if named { order.nurse_name.clone() } else { String::new() },
        patient_masked: order.patient_masked.clone(),
        form_open: form_open && order.state.awaits_visit(),
    }
}

/// The account's visits at home: open ones by their time, then what is over, latest first.
#[utoipa::path(get, path = "/nursing/orders", tag = "nursing", responses((status = 200, body = Vec<HomeVisit>)))]
async fn list(Extract(ctx): Extract<Ctx>, patient: Patient) -> Result<Json<Vec<HomeVisit>>, ApiError> {
    let (account, deps) = (patient.account.clone(), ctx.clone());
    let all = ctx
        .store
        .read(&patient.scope(), move |tx| {
            let (account, deps) = (account.clone(), deps.clone());
            Box::pin(async move {
                let filter = Filter {
                    phone_index: sql::phone_of(tx, &account).await?,
                    ..Filter::default()
                };
                let (orders, _) = sql::search(tx, &filter, 100, 0).await?;
                let mut all = Vec::new();
                for order in &orders {
                    let form = form::of_order(tx, &deps, &order.service, order.id.as_str()).await?;
                    all.push(view(order, form.is_some_and(|f| f.filled_at.is_none())));
                }
                Ok::<_, ApiError>(all)
            })
        })
        .await?;
    Ok(Json(all))
}

/// The account's own order.
async fn own(tx: &mut Tx<'_>, account: &AccountId, id: &OrderId) -> Result<Order, ApiError> {
    let phone = sql::phone_of(tx, account).await?;
    let order = sql::get(tx, id).await?.filter(|o| o.phone_index == phone);
    order.ok_or_else(ApiError::not_found)
}

async fn whole(tx: &mut Tx<'_>, ctx: &Ctx, order: &Order) -> Result<HomeVisitDetail, ApiError> {
    let tenant = tx.tenant().clone();
    let facts = Facts::open(ctx, &tenant, &order.patient_sealed)?;
    let form = form::of_order(tx, ctx, &order.service, order.id.as_str()).await?;
    Ok(HomeVisitDetail {
        visit: view(order, form.as_ref().is_some_and(|f| f.filled_at.is_none())),
        phone_masked: facts.phone_masked(),
        address: facts.address,
        form,
        editable: order.state.awaits_visit(),
        started_at: order.started_at,
        finished_at: order.finished_at,
    })
}

/// One of the account's visits at home, with its form.
#[utoipa::path(get, path = "/nursing/orders/{id}", tag = "nursing", params(("id" = String, Path)),
    responses((status = 200, body = HomeVisitDetail), (status = 404, body = base::error::ErrorBody)))]
async fn show(
    Extract(ctx): Extract<Ctx>,
    patient: Patient,
    Path(id): Path<String>,
) -> Result<Json<HomeVisitDetail>, ApiError> {
    let id = OrderId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (account, deps) = (patient.account.clone(), ctx.clone());
    let shown = ctx
        .store
        .read(&patient.scope(), move |tx| {
            let (account, deps, id) = (account.clone(), deps.clone(), id.clone());
            Box::pin(async move {
                let order = own(tx, &account, &id).await?;
                whole(tx, &deps, &order).await
            })
        })
        .await?;
    Ok(Json(shown))
}

/// Fills in the form of a visit, or fills it in anew, until the visit begins. Every filling is kept with its version.
#[utoipa::path(post, path = "/nursing/orders/{id}/form", tag = "nursing", params(("id" = String, Path)), request_body = Answers,
    responses((status = 200, body = HomeVisitDetail), (status = 404, body = base::error::ErrorBody),
        (status = 409, body = base::error::ErrorBody), (status = 422, body = base::error::ErrorBody)))]
async fn fill(
    Extract(ctx): Extract<Ctx>,
    patient: Patient,
    Path(id): Path<String>,
    Json(answers): Json<Answers>,
) -> Result<Json<HomeVisitDetail>, ApiError> {
    let id = OrderId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (account, deps) = (patient.account.clone(), ctx.clone());
    let (order, shown) = ctx
        .store
        .write(&patient.scope(), move |tx| {
            let (account, deps, id, answers) = (account.clone(), deps.clone(), id.clone(), answers.clone());
            Box::pin(async move {
                let order = own(tx, &account, &id).await?;
                if !order.state.awaits_visit() {
                    return Err(ApiError::conflict("order_state", "服务已开始，量表不能再修改"));
                }
                let version = form::fill(tx, &deps, &order.service, id.as_str(), &answers).await?;
                let detail = json!({ "form": answers.form, "version": version });
                base::audit::record(tx, "nursing.fill_form", id.as_str(), detail).await?;
                let shown = whole(tx, &deps, &order).await?;
                Ok::<_, ApiError>((order, shown))
            })
        })
        .await
        .map_err(|e: ApiError| e)?;
    announce(&ctx, &patient.tenant, &order).await;
    Ok(Json(shown))
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(fill))
}
