//! `POST /tsa`, `POST /tsa/{key}`: RFC 3161 3.4. The application signs in as for everything else.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use gm::stamp::MAX_TOKEN;

use crate::application::KeyIndex;
use crate::fault::{Code, Fault};
use crate::http::door::{Door, Early};
use crate::http::refusal;
use crate::service::Caller;

const QUERY: &str = "application/timestamp-query";
const REPLY: &str = "application/timestamp-reply";

pub(crate) fn routes() -> Router<Door> {
    Router::new()
        .route("/tsa", post(first))
        .route("/tsa/{key}", post(named))
}

async fn first(door: State<Door>, caller: Extension<Caller>, headers: HeaderMap, body: Bytes) -> Response {
    stamp(door, caller, None, &headers, body).await
}

async fn named(
    door: State<Door>,
    caller: Extension<Caller>,
    Path(key): Path<u32>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    stamp(door, caller, Some(KeyIndex(key)), &headers, body).await
}

async fn stamp(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    key: Option<KeyIndex>,
    headers: &HeaderMap,
    body: Bytes,
) -> Response {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if !kind.eq_ignore_ascii_case(QUERY) || body.len() > MAX_TOKEN {
        let text = format!("应以 {QUERY} 发送时间戳请求，最长 {MAX_TOKEN} 字节");
        return Early(Fault::new(Code::RequestRejected, text)).into_response();
    }
    match door.service.stamp(&caller, key, body.into()).await {
        Ok(reply) => ([(header::CONTENT_TYPE, REPLY)], reply).into_response(),
        Err(fault) => refusal(&fault),
    }
}
