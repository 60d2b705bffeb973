//! Our own lists: for everyone, without sign-in.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::OWN_LISTS;
use crate::engine::Engine;
use crate::fault::Code;
use crate::http::refusal;

pub(crate) fn routes<S>(engine: Arc<Engine>) -> Router<S> {
    Router::new().route(OWN_LISTS, get(list)).with_state(engine)
}

/// The lists and nothing else, for plain HTTP.
pub fn published(engine: Arc<Engine>) -> Router {
    routes(engine).fallback(async || refusal(&Code::NotFound.into()))
}

async fn list(State(engine): State<Arc<Engine>>, Path(name): Path<String>) -> Response {
    let found = tokio::task::spawn_blocking(move || engine.own_list(&name)).await;
    match found {
        Ok(Ok(Some(bytes))) => ([(header::CONTENT_TYPE, "application/pkix-crl")], bytes).into_response(),
        Ok(Ok(None)) => refusal(&Code::NotFound.into()),
        Ok(Err(refused)) => refusal(&refused.into()),
        Err(_) => refusal(&Code::Internal.into()),
    }
}
