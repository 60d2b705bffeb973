//! Settings.

use axum::Json;
use axum::extract::State;

use super::gate::Signed;
use super::{Answer, Asked, Done, Door};
use crate::manage::failure::Refused;
use crate::settings::{LogKeeping, OwnLists, Settings, Syslog, WebService};

/// All settings.
#[utoipa::path(get, path = "/manage/v1/settings", tag = "settings", responses((status = 200, body = Settings)))]
pub(super) async fn all(State(door): State<Door>) -> Answer<Settings> {
    Ok(Json(door.act(|manage| manage.engine().settings()).await?))
}

/// Switches the web service on or off.
#[utoipa::path(put, path = "/manage/v1/settings/web-service", tag = "settings", request_body = WebService,
    responses((status = 200, body = Done)))]
pub(super) async fn set_web_service(
    State(door): State<Door>,
    signed: Signed,
    Asked(asked): Asked<WebService>,
) -> Answer<Done> {
    door.change(move |manage| manage.engine().set_web_service(&signed.who.name, &asked))
        .await?;
    Ok(Json(Done {}))
}

/// Names the receiver of the log.
#[utoipa::path(put, path = "/manage/v1/settings/syslog", tag = "settings", request_body = Syslog,
    responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn set_syslog(State(door): State<Door>, signed: Signed, Asked(asked): Asked<Syslog>) -> Answer<Done> {
    door.change(move |manage| manage.engine().set_syslog(&signed.who.name, &asked))
        .await?;
    Ok(Json(Done {}))
}

/// Sets how long the log is kept.
#[utoipa::path(put, path = "/manage/v1/settings/log", tag = "settings", request_body = LogKeeping,
    responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn set_log_keeping(
    State(door): State<Door>,
    signed: Signed,
    Asked(asked): Asked<LogKeeping>,
) -> Answer<Done> {
    door.change(move |manage| manage.engine().set_log_keeping(&signed.who.name, asked))
        .await?;
    Ok(Json(Done {}))
}

/// Sets how the time is kept: sources, schedule, bounds, on or off.
#[utoipa::path(put, path = "/manage/v1/settings/time", tag = "settings", request_body = timesource::Policy,
    responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn set_time(
    State(door): State<Door>,
    signed: Signed,
    Asked(asked): Asked<timesource::Policy>,
) -> Answer<Done> {
    door.change(move |manage| manage.engine().set_time(&signed.who.name, &asked))
        .await?;
    Ok(Json(Done {}))
}

/// Says where the lists of our own authority are published; without an address, what the settings of the start say.
#[utoipa::path(put, path = "/manage/v1/settings/own-lists", tag = "settings", request_body = OwnLists,
    responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn set_own_lists(
    State(door): State<Door>,
    signed: Signed,
    Asked(asked): Asked<OwnLists>,
) -> Answer<Done> {
    door.change(move |manage| manage.engine().set_own_lists(&signed.who.name, &asked))
        .await?;
    Ok(Json(Done {}))
}
