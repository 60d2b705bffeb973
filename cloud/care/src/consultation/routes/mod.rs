//! Visits over HTTP: the patient's, the doctor's, the administrator's.

mod admin;
mod doctor;
mod manual;
mod patient;

use axum::Extension;
use base::{ApiError, Ctx};
use records::id::VisitId;
use store::{Scope, Tx};
use utoipa_axum::router::OpenApiRouter;

use super::view::{Extras, Eyes, VisitView, view};
use super::{ConsultationSettings, Visit, store as sql};
use crate::CareError;

/// The extras, when the application registered some.
type MaybeExtras = Option<Extension<Extras>>;

fn extras(given: MaybeExtras) -> Extras {
    given.map(|Extension(extras)| extras).unwrap_or_default()
}

fn visit_id(text: &str) -> Result<VisitId, ApiError> {
    VisitId::parse(text).ok_or_else(ApiError::not_found)
}

/// Reads a visit for some eyes; `admits` says whether they may.
async fn read(
    ctx: &Ctx,
    scope: &Scope,
    extras: &Extras,
    id: &VisitId,
    eyes: Eyes,
    admits: impl Fn(&Visit) -> bool + Clone + Send + Sync + 'static,
) -> Result<VisitView, ApiError> {
    let (id, deps, extras) = (id.clone(), ctx.clone(), extras.clone());
    let view = ctx
        .store
        .read(scope, move |tx| {
            let (id, deps, extras, admits) = (id.clone(), deps.clone(), extras.clone(), admits.clone());
            Box::pin(async move {
                let visit = sql::get(tx, &id).await?;
                if !admits(&visit) {
                    return Err(CareError::Absent);
                }
                let rules: ConsultationSettings = base::settings::get(tx).await?;
                view(tx, &deps, &extras, &rules, &visit, eyes).await
            })
        })
        .await?;
    Ok(view)
}

/// The views of a list.
async fn views(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    extras: &Extras,
    visits: &[Visit],
    eyes: Eyes,
) -> Result<Vec<VisitView>, CareError> {
    let rules: ConsultationSettings = base::settings::get(tx).await?;
    let mut out = Vec::with_capacity(visits.len());
    for visit in visits {
        out.push(view(tx, ctx, extras, &rules, visit, eyes).await?);
    }
    Ok(out)
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    patient::routes()
        .merge(doctor::routes())
        .merge(admin::routes())
        .merge(manual::routes())
}
