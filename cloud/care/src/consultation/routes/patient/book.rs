//! A visit is booked, and the account's visits are shown.

use axum::extract::State;
use axum::http::StatusCode;
use base::{ApiError, Ctx, Json, Page, Paged, Path, Patient, Query};
use serde::Deserialize;
use utoipa::IntoParams;

use super::own;
use crate::CareError;
use crate::consultation::booking::{self, NewVisit};
use crate::consultation::lists;
use crate::consultation::routes::{MaybeExtras, extras, views, visit_id};
use crate::consultation::view::{Eyes, VisitView};

/// Books a visit: the place is locked in the hospital, to be paid within the time.
#[utoipa::path(post, path = "/visits", tag = "visits", request_body = NewVisit,
    responses((status = 201, body = VisitView), (status = 409, body = base::error::ErrorBody), (status = 422, body = base::error::ErrorBody)))]
pub(super) async fn book(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    patient: Patient,
    Json(new): Json<NewVisit>,
) -> Result<(StatusCode, Json<VisitView>), ApiError> {
    // Goes on when the browser does not wait: what was begun is brought to its end.
    let (deps, who) = (ctx.clone(), patient.clone());
    let booked = tokio::spawn(async move { booking::book(&deps, &who, new).await });
    let id = booked.await.map_err(ApiError::internal)??;
    Ok((StatusCode::CREATED, Json(own(&ctx, &patient, given, &id).await?)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// State.
    state: Option<String>,
    /// From 1.
    page: Option<u32>,
    /// Up to 100.
    size: Option<u32>,
}

/// Visits of the account, newest first.
#[utoipa::path(get, path = "/visits", tag = "visits", params(Wanted), responses((status = 200, body = Paged<VisitView>)))]
pub(super) async fn list(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    patient: Patient,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Paged<VisitView>>, ApiError> {
    let page = Page {
        page: wanted.page.unwrap_or(1),
        size: wanted.size.unwrap_or(20),
    };
    let state = wanted.state.unwrap_or_default();
    let (deps, extras, account) = (ctx.clone(), extras(given), patient.account.clone());
    let (items, total) = ctx
        .store
        .read(&patient.scope(), move |tx| {
            let (deps, extras, account, state) = (deps.clone(), extras.clone(), account.clone(), state.clone());
            Box::pin(async move {
                let (rows, total) = lists::of_account(tx, &account, &state, page).await?;
                Ok::<_, CareError>((views(tx, &deps, &extras, &rows, Eyes::Patient).await?, total))
            })
        })
        .await?;
    Ok(Json(page.of(items, total)))
}

/// One's own visit.
#[utoipa::path(get, path = "/visits/{id}", tag = "visits", params(("id" = String, Path)), responses((status = 200, body = VisitView)))]
pub(super) async fn show(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    patient: Patient,
    Path(id): Path<String>,
) -> Result<Json<VisitView>, ApiError> {
    Ok(Json(own(&ctx, &patient, given, &visit_id(&id)?).await?))
}
