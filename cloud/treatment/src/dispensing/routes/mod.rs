//! Dispensing over HTTP: the patient's side (`patient`) and the pharmacy's (`pharmacy`).

mod patient;
mod pharmacy;

use std::sync::Arc;

use ::store::{BoxFuture, Scope, Tx};
use base::{ApiError, Ctx, Json};
use records::id::PrescriptionId;
use utoipa_axum::router::OpenApiRouter;

use crate::prescribing::PrescriptionView;
use crate::prescribing::store::{self as table, Chart};
use crate::prescribing::view::{Eye, shown};
use crate::signed::Document as _;

/// Does something to any prescription of the hospital in one unit of work, shows and announces it.
pub(super) async fn act<F>(
    ctx: &Ctx,
    scope: &Scope,
    id: &str,
    eye: Eye,
    f: F,
) -> Result<Json<PrescriptionView>, ApiError>
where
    F: for<'a, 'c> Fn(&'a mut Tx<'c>, Ctx, &'a mut Chart) -> BoxFuture<'a, Result<(), ApiError>>
        + Send
        + Sync
        + 'static,
{
    let id = PrescriptionId::parse(id).ok_or_else(ApiError::not_found)?;
    let (own, f) = (ctx.clone(), Arc::new(f));
    let (chart, view) = ctx
        .store
        .write(scope, move |tx| {
            let (ctx, id, f) = (own.clone(), id.clone(), f.clone());
            Box::pin(async move {
                let mut chart = table::find(tx, &id).await?.ok_or_else(ApiError::not_found)?;
                f(tx, ctx.clone(), &mut chart).await?;
                let view = shown(tx, &ctx, &chart, eye).await?;
                Ok::<_, ApiError>((chart, view))
            })
        })
        .await?;
    chart.announce(ctx, &scope.tenant);
    Ok(Json(view))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    patient::routes().merge(pharmacy::routes())
}
