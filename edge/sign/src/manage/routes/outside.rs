//! Signature servers of others, and the signers bound to them. Which there are stands in the settings file alone.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;

use super::gate::Signed;
use super::{Answer, Asked, Done, Door};
use crate::manage::failure::Refused;
use crate::outside::{Bind, BindingView, Found, ServerView};

/// The outside servers as they are now, with their use.
#[utoipa::path(get, path = "/manage/v1/outside", tag = "outside", responses((status = 200, body = Vec<ServerView>)))]
pub(super) async fn list(State(door): State<Door>) -> Answer<Vec<ServerView>> {
    Ok(Json(door.act(|manage| manage.engine().outside_servers()).await?))
}

/// The signers bound to one.
#[utoipa::path(get, path = "/manage/v1/outside/{name}/signers", tag = "outside", params(("name" = String, Path)),
    responses((status = 200, body = Vec<BindingView>), (status = 422, body = Refused)))]
pub(super) async fn signers(State(door): State<Door>, Path(name): Path<String>) -> Answer<Vec<BindingView>> {
    Ok(Json(
        door.act(move |manage| manage.engine().outside_signers(&name)).await?,
    ))
}

/// By which name a certificate is exported.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OutsideName {
    identification: String,
}

/// A certificate that the server exports, asked now and led to the configured roots.
#[utoipa::path(post, path = "/manage/v1/outside/{name}/certificate", tag = "outside", params(("name" = String, Path)),
    request_body = OutsideName, responses((status = 200, body = Found), (status = 422, body = Refused)))]
pub(super) async fn certificate(
    State(door): State<Door>,
    Path(name): Path<String>,
    Asked(asked): Asked<OutsideName>,
) -> Answer<Found> {
    let found = door.act(move |manage| manage.engine().outside_certificate(&name, &asked.identification));
    Ok(Json(found.await?))
}

/// Binds a signer to a key there: used from when the signer sets up the signature with the PIN.
#[utoipa::path(post, path = "/manage/v1/outside/{name}/signers", tag = "outside", params(("name" = String, Path)),
    request_body = Bind, responses((status = 200, body = BindingView), (status = 422, body = Refused)))]
pub(super) async fn bind(
    State(door): State<Door>,
    signed: Signed,
    Path(name): Path<String>,
    Asked(asked): Asked<Bind>,
) -> Answer<BindingView> {
    let bound = door.act(move |manage| manage.engine().bind_outside(&signed.who.name, &name, asked));
    let bound = bound.await?;
    // The lists of its authority are wanted from now on.
    door.service.revocation.wake();
    Ok(Json(bound))
}

/// Which certificate was looked at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OutsideSeen {
    fingerprint: String,
}

/// Takes the certificate that the server has now in the place of the accepted one.
#[utoipa::path(post, path = "/manage/v1/outside/{name}/signers/{signer}/accept", tag = "outside",
    params(("name" = String, Path), ("signer" = String, Path)),
    request_body = OutsideSeen, responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn accept(
    State(door): State<Door>,
    signed: Signed,
    Path((name, signer)): Path<(String, String)>,
    Asked(asked): Asked<OutsideSeen>,
) -> Answer<Done> {
    door.act(move |manage| {
        let engine = manage.engine();
        engine.accept_outside(&signed.who.name, &name, &signer, &asked.fingerprint)
    })
    .await?;
    Ok(Json(Done {}))
}

/// Unbinds a signer.
#[utoipa::path(delete, path = "/manage/v1/outside/{name}/signers/{signer}", tag = "outside",
    params(("name" = String, Path), ("signer" = String, Path)),
    responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn unbind(
    State(door): State<Door>,
    signed: Signed,
    Path((name, signer)): Path<(String, String)>,
) -> Answer<Done> {
    door.act(move |manage| manage.engine().unbind_outside(&signed.who.name, &name, &signer))
        .await?;
    Ok(Json(Done {}))
}

/// Has a server tried now, and its certificates looked at.
#[utoipa::path(post, path = "/manage/v1/outside/{name}/retry", tag = "outside", params(("name" = String, Path)),
    responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn retry(State(door): State<Door>, signed: Signed, Path(name): Path<String>) -> Answer<Done> {
    door.act(move |manage| manage.engine().retry_outside(&signed.who.name, &name))
        .await?;
    Ok(Json(Done {}))
}
