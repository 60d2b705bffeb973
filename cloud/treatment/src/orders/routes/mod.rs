//! Orders over HTTP: what can be ordered (`catalogue`), what is written (`draft`), signed (`sign`), done afterwards
//! (`after`), and what the patient sees.

mod after;
mod catalogue;
mod draft;
mod sign;

pub(crate) use sign::sign_draft;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use base::permission::Prescribes;
use base::session::Member;
use base::{ApiError, Ctx, Json, Path, Patient, Staff};
use records::id::{OrderId, VisitId};
use store::Tx;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::effects;
use super::policy::Objection;
use super::store::{self as table, Sheet};
use super::view::{self, Eye};
use super::{NotEditable, OrderView, Refusal, State as Stands};
use crate::visit;

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::conflict("order_state", refusal.to_string())
    }
}

impl From<NotEditable> for ApiError {
    fn from(refusal: NotEditable) -> Self {
        Self::conflict("order_state", refusal.to_string())
    }
}

/// All objections in one message; the field is that of the first line concerned.
fn objected(objections: &[Objection]) -> ApiError {
    let text: Vec<_> = objections.iter().map(ToString::to_string).collect();
    let line = objections.iter().find_map(|o| match o {
        Objection::Line { line, .. } => Some(format!("items[{line}]")),
        _ => None,
    });
    ApiError {
        field: line.map(Into::into),
        ..ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "order_refused", text.join("；"))
    }
}

/// The doctor's own order; anybody else finds nothing.
async fn own(tx: &mut Tx<'_>, member: &Member, id: &OrderId) -> Result<Sheet, ApiError> {
    let found = table::find(tx, id).await?.filter(|s| s.doctor_id == member.id);
    found.ok_or_else(ApiError::not_found)
}

/// Orders of a visit.
#[utoipa::path(get, path = "/doctor/visits/{id}/orders", tag = "order",
    params(("id" = String, Path)), responses((status = 200, body = Vec<OrderView>)))]
async fn list(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
) -> Result<Json<Vec<OrderView>>, ApiError> {
    let id = VisitId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (own_ctx, code) = (ctx.clone(), staff.his_code.clone());
    let views = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let (ctx, id, code) = (own_ctx.clone(), id.clone(), code.clone());
            Box::pin(async move {
                visit::of_doctor(tx, &ctx.vault, &id, &code).await?;
                let mut views = Vec::new();
                for sheet in table::of_visit(tx, &id).await? {
                    views.push(view::of(tx, &ctx, &sheet, Eye::Doctor).await?);
                }
                Ok::<_, ApiError>(views)
            })
        })
        .await?;
    Ok(Json(views))
}

/// Orders of one's own visit, as far as they were signed.
#[utoipa::path(get, path = "/visits/{id}/orders", tag = "order",
    params(("id" = String, Path)), responses((status = 200, body = Vec<OrderView>)))]
async fn of_patient(
    State(ctx): State<Ctx>,
    patient: Patient,
    Path(id): Path<String>,
) -> Result<Json<Vec<OrderView>>, ApiError> {
    let id = VisitId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (own_ctx, account) = (ctx.clone(), patient.account.clone());
    let views = ctx
        .store
        .read(&patient.scope(), move |tx| {
            let (ctx, id, account) = (own_ctx.clone(), id.clone(), account.clone());
            Box::pin(async move {
                let parties = visit::of(tx, &ctx.vault, &id).await?;
                if parties.visit.account_id != account {
                    return Err(ApiError::not_found());
                }
                let mut views = Vec::new();
                for sheet in table::of_visit(tx, &id).await? {
                    if sheet.state != Stands::Draft {
                        views.push(view::of(tx, &ctx, &sheet, Eye::Patient).await?);
                    }
                }
                Ok::<_, ApiError>(views)
            })
        })
        .await?;
    Ok(Json(views))
}

type Acted<'a> = store::BoxFuture<'a, Result<Sheet, ApiError>>;

/// Does something to the doctor's own order, shows and announces it.
async fn act<F>(ctx: &Ctx, staff: &Staff<Prescribes>, id: &str, f: F) -> Result<Json<OrderView>, ApiError>
where
    F: for<'a, 'c> Fn(&'a mut Tx<'c>, Ctx, Sheet) -> Acted<'a> + Send + Sync + 'static,
{
    let id = OrderId::parse(id).ok_or_else(ApiError::not_found)?;
    let (own_ctx, member) = (ctx.clone(), staff.member.clone());
    let f = Arc::new(f);
    let (sheet, view) = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (ctx, member, id, f) = (own_ctx.clone(), member.clone(), id.clone(), f.clone());
            Box::pin(async move {
                let sheet = own(tx, &member, &id).await?;
                let sheet = f(tx, ctx.clone(), sheet).await?;
                let view = view::of(tx, &ctx, &sheet, Eye::Doctor).await?;
                Ok::<_, ApiError>((sheet, view))
            })
        })
        .await?;
    effects::tell(ctx, &staff.tenant, &sheet);
    Ok(Json(view))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(of_patient))
        .merge(catalogue::routes())
        .merge(draft::routes())
        .merge(sign::routes())
        .merge(after::routes())
}
