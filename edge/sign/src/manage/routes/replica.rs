//! Replication: paired appliances, packages.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::ToSchema;

use super::gate::Signed;
use super::{Answer, Asked, Done, Door, file};
use crate::manage::failure::{Failure, Refused};
use crate::replica::{Proposal, Receipt, Replication};

/// Bytes of a package: it comes from somebody who is not signed in.
const MAX_PACKAGE: usize = 16 * 1024 * 1024;
/// It is sent within this time.
const SENDING: Duration = Duration::from_secs(30);

/// This appliance's introduction, and those it is paired with.
#[utoipa::path(get, path = "/manage/v1/replica", tag = "replica",
    responses((status = 200, body = Replication), (status = 503, body = Refused)))]
pub(super) async fn show(State(door): State<Door>) -> Answer<Replication> {
    Ok(Json(door.act(|manage| manage.replica.overview()).await?))
}

/// Takes the introduction of another appliance; somebody must approve it.
#[utoipa::path(post, path = "/manage/v1/replica/peers", tag = "replica", request_body = Proposal,
    responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn propose(State(door): State<Door>, signed: Signed, Asked(asked): Asked<Proposal>) -> Answer<Done> {
    door.act(move |manage| manage.replica.propose(&signed.who.name, &asked))
        .await?;
    Ok(Json(Done {}))
}

/// The fingerprint that a person has read on the other appliance's page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Compared {
    fingerprint: String,
}

/// Approves a proposed appliance. Where no maker's certificate proves its endorsement key, by another administrator than
/// the one who proposed it.
#[utoipa::path(post, path = "/manage/v1/replica/peers/{id}/approve", tag = "replica", params(("id" = String, Path)),
    request_body = Compared, responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn approve(
    State(door): State<Door>,
    signed: Signed,
    Path(id): Path<String>,
    Asked(asked): Asked<Compared>,
) -> Answer<Done> {
    door.act(move |manage| manage.replica.approve(&signed.who.name, &id, &asked.fingerprint))
        .await?;
    Ok(Json(Done {}))
}

/// Ends a pairing, or drops a proposal. What a follower has stays on it.
#[utoipa::path(delete, path = "/manage/v1/replica/peers/{id}", tag = "replica", params(("id" = String, Path)),
    responses((status = 200, body = Done), (status = 404, body = Refused)))]
pub(super) async fn end(State(door): State<Door>, signed: Signed, Path(id): Path<String>) -> Answer<Done> {
    door.act(move |manage| manage.replica.end(&signed.who.name, &id))
        .await?;
    Ok(Json(Done {}))
}

/// A package for a follower, as a file to be carried there.
#[utoipa::path(post, path = "/manage/v1/replica/peers/{id}/package", tag = "replica", params(("id" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = Refused)))]
pub(super) async fn package(
    State(door): State<Door>,
    signed: Signed,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    let made = door
        .act(move |manage| manage.replica.make(&signed.who.name, &id))
        .await?;
    let kind = (header::CONTENT_TYPE, "application/octet-stream".to_owned());
    let name = format!("attachment; filename=\"{}\"", made.file_name);
    Ok(([kind, (header::CONTENT_DISPOSITION, name)], made.file))
}

/// A package that was carried as a file.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Carried {
    /// The file, Base64.
    file: String,
}

/// Takes a package that was carried as a file, whole or not at all.
#[utoipa::path(post, path = "/manage/v1/replica/import", tag = "replica", request_body = Carried,
    responses((status = 200, body = Receipt), (status = 422, body = Refused)))]
pub(super) async fn import(State(door): State<Door>, signed: Signed, Asked(asked): Asked<Carried>) -> Answer<Receipt> {
    let taken = door.change(move |manage| manage.replica.take(Some(&signed.who.name), &file(&asked.file)?));
    Ok(Json(taken.await?))
}

/// Takes a package that the source sent. Nobody signs in: the package says whose it is, and is judged by that alone.
#[utoipa::path(post, path = "/manage/v1/replica/packages", tag = "replica",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Receipt), (status = 422, body = Refused)))]
pub(super) async fn take(State(door): State<Door>, request: Request) -> Answer<Receipt> {
    // A stranger's body is not read where no package is expected, and few of them at a time where one is.
    door.replica.expects()?;
    let Ok(_turn) = door.replica.turns.try_acquire() else {
        return Err(Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "正在接收其他复制包，请稍后重试。",
        ));
    };
    let body = tokio::time::timeout(SENDING, axum::body::to_bytes(request.into_body(), MAX_PACKAGE)).await;
    let Ok(Ok(body)) = body else {
        let text = format!("复制包最多 {} MiB，且须完整发送。", MAX_PACKAGE / 1024 / 1024);
        return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text));
    };
    Ok(Json(door.change(move |manage| manage.replica.take(None, &body)).await?))
}
