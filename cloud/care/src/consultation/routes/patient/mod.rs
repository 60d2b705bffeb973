//! The patient's side of a visit.

mod attend;
mod book;
mod cancel;
mod eligibility;
mod pay;
mod rate;

use base::{ApiError, Ctx, Patient};
use records::id::VisitId;
use store::Tx;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::view::{Eyes, VisitView};
use super::super::{Visit, store as sql};
use super::{MaybeExtras, extras, read};
use crate::CareError;

async fn own(ctx: &Ctx, patient: &Patient, given: MaybeExtras, id: &VisitId) -> Result<VisitView, ApiError> {
    let account = patient.account.clone();
    read(ctx, &patient.scope(), &extras(given), id, Eyes::Patient, move |v| {
        v.account_id == account
    })
    .await
}

async fn own_in(tx: &mut Tx<'_>, patient: &Patient, id: &VisitId) -> Result<Visit, CareError> {
    let visit = sql::get(tx, id).await?;
    if visit.account_id != patient.account {
        return Err(CareError::Absent);
    }
    Ok(visit)
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(eligibility::eligibility))
        .routes(routes!(book::book, book::list))
        .routes(routes!(book::show))
        .routes(routes!(pay::pay))
        .routes(routes!(cancel::cancel))
        .routes(routes!(attend::check_in))
        .routes(routes!(attend::finish))
        .routes(routes!(rate::rate))
}
