//! Orders over HTTP: what can be ordered (`catalogue`), what is written (`draft`), signed (`sign`), done afterwards
//! (`after`), and what the patient sees.

mod after;
mod catalogue;
mod draft;
mod sign;

pub(crate) use sign::sign_draft;

use async_trait::async_trait;
use axum::extract::State;
use base::permission::Prescribes;
use base::session::Member;
use base::{ApiError, Audience, Ctx, Event as Notice, Json, Path, Patient, Staff};
use records::TenantId;
use records::id::{OrderId, VisitId};
use store::{StoreError, Tx};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::policy::Objection;
use super::store::{self as table, Sheet};
use super::view::{self, Eye};
use super::{NotEditable, OrderView, Refusal, State as Stands};
use crate::signed::{self, Document};
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

fn objected(objections: &[Objection]) -> ApiError {
    signed::objected("order_refused", objections, |o| match o {
        Objection::Line { line, .. } => Some(*line),
        _ => None,
    })
}

#[async_trait]
impl Document for Sheet {
    type Id = OrderId;
    type View = OrderView;

    fn number(text: &str) -> Option<OrderId> {
        OrderId::parse(text)
    }

    async fn find(tx: &mut Tx<'_>, id: &OrderId) -> Result<Option<Self>, StoreError> {
        table::find(tx, id).await
    }

    async fn of_visit(tx: &mut Tx<'_>, visit: &VisitId) -> Result<Vec<Self>, StoreError> {
        table::of_visit(tx, visit).await
    }

    fn is_of(&self, member: &Member) -> bool {
        self.doctor_id == member.id
    }

    async fn shown(&self, tx: &mut Tx<'_>, ctx: &Ctx, _: &Member) -> Result<OrderView, ApiError> {
        Ok(view::of(tx, ctx, self, Eye::Doctor).await?)
    }

    fn announce(&self, ctx: &Ctx, tenant: &TenantId) {
        let notice = || Notice::new("order.changed", &self.id);
        let tell = |audience| ctx.events.publish(tenant, audience, notice());
        tell(Audience::Staff(self.doctor_id.clone()));
        tell(Audience::Visit(self.visit_id.clone()));
        if self.state != Stands::Draft {
            tell(Audience::Patient(self.account_id.clone()));
        }
    }
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
    let views = signed::of_visit::<Sheet>(&ctx, &staff.scope(), &staff.member, &id).await?;
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

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(of_patient))
        .merge(catalogue::routes())
        .merge(draft::routes())
        .merge(sign::routes())
        .merge(after::routes())
}
