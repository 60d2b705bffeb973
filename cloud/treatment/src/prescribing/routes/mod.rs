//! The doctor's side over HTTP: what is written (`draft`), signed (`sign`), and done afterwards (`after`).

mod after;
mod draft;
mod sign;

pub(crate) use sign::sign_draft;

use async_trait::async_trait;
use axum::extract::State;
use base::permission::Prescribes;
use base::session::Member;
use base::{ApiError, Audience, Ctx, Event as Notice, Json, Path, Staff};
use records::TenantId;
use records::his::Diagnosis;
use records::id::{PrescriptionId, VisitId};
use store::{StoreError, Tx};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::objection::Objection;
use super::store::{self as table, Chart};
use super::view::{Eye, shown};
use super::{NotEditable, PrescriptionView, Refusal, State as Stands};
use crate::medical_record;
use crate::signed::{self, Document};

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

fn objected(objections: &[Objection]) -> ApiError {
    signed::objected("prescription_refused", objections, |o| match o {
        Objection::Line { line, .. } => Some(*line),
        _ => None,
    })
}

/// The diagnoses of the newest version of the record.
pub(crate) async fn diagnoses(tx: &mut Tx<'_>, ctx: &Ctx, visit: &VisitId) -> Result<Vec<Diagnosis>, ApiError> {
    let saved = medical_record::store::latest(tx, &ctx.vault, visit).await?;
    Ok(saved.map(|s| s.record.diagnoses()).unwrap_or_default())
}

#[async_trait]
impl Document for Chart {
    type Id = PrescriptionId;
    type View = PrescriptionView;

    fn number(text: &str) -> Option<PrescriptionId> {
        PrescriptionId::parse(text)
    }

    async fn find(tx: &mut Tx<'_>, id: &PrescriptionId) -> Result<Option<Self>, StoreError> {
        table::find(tx, id).await
    }

    async fn of_visit(tx: &mut Tx<'_>, visit: &VisitId) -> Result<Vec<Self>, StoreError> {
        table::of_visit(tx, visit).await
    }

    fn is_of(&self, member: &Member) -> bool {
        self.doctor_id == member.id
    }

    async fn shown(&self, tx: &mut Tx<'_>, ctx: &Ctx, _: &Member) -> Result<PrescriptionView, ApiError> {
        shown(tx, ctx, self, Eye::Doctor).await
    }

    fn announce(&self, ctx: &Ctx, tenant: &TenantId) {
        let notice = || Notice::new("prescription.changed", &self.id);
        let tell = |audience| ctx.events.publish(tenant, audience, notice());
        tell(Audience::Staff(self.doctor_id.clone()));
        tell(Audience::Visit(self.visit_id.clone()));
        tell(Audience::Pharmacists);
        if self.state != Stands::Draft {
            tell(Audience::Patient(self.account_id.clone()));
        }
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
    let views = signed::of_visit::<Chart>(&ctx, &staff.scope(), &staff.member, &id).await?;
    Ok(Json(views))
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
    let view = signed::show::<Chart>(&ctx, &staff.scope(), &staff.member, &id).await?;
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
