//! How the time and the sending of the log stand.

use std::sync::PoisonError;

use axum::Json;
use axum::extract::State;
use timesource::{Point, Status};

use super::{Answer, Door};
use crate::Refusal;
use crate::manage::failure::Refused;
use crate::syslog::Progress;

/// The clock: its state, and each source with stratum, offset and last trouble.
#[utoipa::path(get, path = "/manage/v1/time", tag = "time", responses((status = 200, body = Status)))]
pub(super) async fn status(State(door): State<Door>) -> Answer<Status> {
    Ok(Json(door.engine().time()?.status()))
}

/// Offsets since the start, oldest first, for the graph.
#[utoipa::path(get, path = "/manage/v1/time/history", tag = "time", responses((status = 200, body = Vec<Point>)))]
pub(super) async fn history(State(door): State<Door>) -> Answer<Vec<Point>> {
    Ok(Json(door.engine().time()?.history()))
}

/// Asks the sources now (立即校时) and waits for what they say.
#[utoipa::path(post, path = "/manage/v1/time/poll", tag = "time",
    responses((status = 200, body = Status), (status = 422, body = Refused)))]
pub(super) async fn poll(State(door): State<Door>) -> Answer<Status> {
    let asked = door.engine().time()?.poll_now().await;
    let status = asked.map_err(|refused| Refusal::no("time_poll", format!("{refused}。")))?;
    Ok(Json(status))
}

/// How the sending of the log stands.
#[utoipa::path(get, path = "/manage/v1/syslog", tag = "log", responses((status = 200, body = Progress)))]
pub(super) async fn syslog(State(door): State<Door>) -> Answer<Progress> {
    let sending = &door.service.log_sending;
    Ok(Json(sending.lock().unwrap_or_else(PoisonError::into_inner).clone()))
}
