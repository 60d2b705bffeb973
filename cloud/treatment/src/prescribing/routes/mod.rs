//! The doctor's side over HTTP: what is written (`draft`), signed (`sign`), and done afterwards (`after`).

mod after;
mod draft;
mod sign;

pub(crate) use sign::sign_draft;

use axum::extract::State;
use axum::http::StatusCode;
use base::permission::Prescribes;
use base::session::Member;
use base::{ApiError, Audience, Ctx, Event as Notice, Json, Path, Staff};
use records::TenantId;
use records::his::Diagnosis;
use records::id::{PrescriptionId, VisitId};
use store::{Scope, Tx};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::policy::Objection;
use super::store::{self as table, Chart};
use super::view::{self, Eye};
use super::{NotEditable, PrescriptionView, Refusal, State as Stands};
use crate::{medical_record, visit};

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::conflict("prescription_state", refusal.to_string())
    }
}

impl From<NotEditable> for ApiError {
    fn from(refusal: NotEditable) -> Self {
        Self::conflict("prescription_state", refusal.to_string())
    }
}

/// All objections in one message; the field is that of the first line concerned.
pub(crate) fn objected(objections: &[Objection]) -> ApiError {
    let text: Vec<_> = objections.iter().map(ToString::to_string).collect();
    let line = objections.iter().find_map(|o| match o {
        Objection::Line { line, .. } => Some(format!("items[{line}]")),
        _ => None,
    });
    ApiError {
        field: line.map(Into::into),
        ..ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "prescription_refused",
            text.join("；"),
        )
    }
}

/// The diagnoses of the newest version of the record.
pub(crate) async fn diagnoses(tx: &mut Tx<'_>, ctx: &Ctx, visit: &VisitId) -> Result<Vec<Diagnosis>, ApiError> {
    let saved = medical_record::store::latest(tx, &ctx.vault, visit).await?;
    Ok(saved.map(|s| s.record.diagnoses()).unwrap_or_default())
}

/// The doctor's own prescription; anybody else finds nothing.
async fn own(tx: &mut Tx<'_>, member: &Member, id: &PrescriptionId) -> Result<Chart, ApiError> {
    let found = table::find(tx, id).await?.filter(|c| c.doctor_id == member.id);
    found.ok_or_else(ApiError::not_found)
}

async fn shown(tx: &mut Tx<'_>, ctx: &Ctx, chart: &Chart) -> Result<PrescriptionView, ApiError> {
    let diagnoses = diagnoses(tx, ctx, &chart.visit_id).await?;
    Ok(view::of(tx, &ctx.vault, chart, diagnoses, Eye::Doctor).await?)
}

/// Tells everybody whom the prescription concerns; after the commit.
pub(crate) fn announce(ctx: &Ctx, tenant: &TenantId, chart: &Chart) {
    let notice = || Notice::new("prescription.changed", &chart.id);
    let tell = |audience| ctx.events.publish(tenant, audience, notice());
    tell(Audience::Staff(chart.doctor_id.clone()));
    tell(Audience::Visit(chart.visit_id.clone()));
    tell(Audience::Pharmacists);
    if chart.state != Stands::Draft {
        tell(Audience::Patient(chart.account_id.clone()));
    }
}

/// Prescriptions of a visit.
#[utoipa::path(get, path = "/doctor/visits/{id}/prescriptions", tag = "prescription", params(("id" = String, Path)),
    responses((status = 200, body = Vec<PrescriptionView>)))]
async fn list(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
) -> Result<Json<Vec<PrescriptionView>>, ApiError> {
    let id = VisitId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (own_ctx, code) = (ctx.clone(), staff.his_code.clone());
    let views = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let (ctx, id, code) = (own_ctx.clone(), id.clone(), code.clone());
            Box::pin(async move {
                visit::of_doctor(tx, &ctx.vault, &id, &code).await?;
                let mut views = Vec::new();
                for chart in table::of_visit(tx, &id).await? {
                    views.push(shown(tx, &ctx, &chart).await?);
                }
                Ok::<_, ApiError>(views)
            })
        })
        .await?;
    Ok(Json(views))
}

type Acted<'a> = store::BoxFuture<'a, Result<Chart, ApiError>>;

/// Does something to the doctor's own prescription, shows and announces it.
async fn act<F>(ctx: &Ctx, staff: &Staff<Prescribes>, id: &str, f: F) -> Result<Json<PrescriptionView>, ApiError>
where
    F: for<'a, 'c> Fn(&'a mut Tx<'c>, Ctx, Chart) -> Acted<'a> + Send + Sync + 'static,
{
    let id = PrescriptionId::parse(id).ok_or_else(ApiError::not_found)?;
    Ok(Json(act_as(ctx, &staff.scope(), &staff.member, &id, f).await?))
}

/// [`act`], for who comes by another door.
async fn act_as<F>(
    ctx: &Ctx,
    scope: &Scope,
    member: &Member,
    id: &PrescriptionId,
    f: F,
) -> Result<PrescriptionView, ApiError>
where
    F: for<'a, 'c> Fn(&'a mut Tx<'c>, Ctx, Chart) -> Acted<'a> + Send + Sync + 'static,
{
    let (own_ctx, member, id) = (ctx.clone(), member.clone(), id.clone());
    let f = std::sync::Arc::new(f);
    let (chart, view) = ctx
        .store
        .write(scope, move |tx| {
            let (ctx, member, id, f) = (own_ctx.clone(), member.clone(), id.clone(), f.clone());
            Box::pin(async move {
                let chart = own(tx, &member, &id).await?;
                let chart = f(tx, ctx.clone(), chart).await?;
                let view = shown(tx, &ctx, &chart).await?;
                Ok::<_, ApiError>((chart, view))
            })
        })
        .await?;
    announce(ctx, &scope.tenant, &chart);
    Ok(view)
}

/// One's own prescription.
#[utoipa::path(get, path = "/doctor/prescriptions/{id}", tag = "prescription", params(("id" = String, Path)),
    responses((status = 200, body = PrescriptionView)))]
async fn show(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
) -> Result<Json<PrescriptionView>, ApiError> {
    let id = PrescriptionId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (own_ctx, member) = (ctx.clone(), staff.member.clone());
    let view = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let (ctx, member, id) = (own_ctx.clone(), member.clone(), id.clone());
            Box::pin(async move {
                let chart = own(tx, &member, &id).await?;
                shown(tx, &ctx, &chart).await
            })
        })
        .await?;
    Ok(Json(view))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .merge(draft::routes())
        .merge(sign::routes())
        .merge(after::routes())
}
