//! Our own lists: for everyone, without sign-in.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::OWN_LISTS;
use crate::fault::Code;
use crate::http::door::Door;
use crate::http::refusal;

pub(crate) fn routes() -> Router<Door> {
    Router::new().route(OWN_LISTS, get(list))
}

async fn list(State(door): State<Door>, Path(name): Path<String>) -> Response {
    let engine = std::sync::Arc::clone(&door.service.engine);
    let found = tokio::task::spawn_blocking(move || engine.own_list(&name)).await;
    match found {
        Ok(Ok(Some(bytes))) => ([(header::CONTENT_TYPE, "application/pkix-crl")], bytes).into_response(),
        Ok(Ok(None)) => refusal(&Code::NotFound.into()),
        Ok(Err(refused)) => refusal(&refused.into()),
        Err(_) => refusal(&Code::Internal.into()),
    }
}
