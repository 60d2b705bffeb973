//! Shapes shared by all routes: request ids, bodies, queries and pages.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use records::Ids;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{ApiError, Ctx};

tokio::task_local! {
    static REQUEST_ID: String;
}

/// The id of the request being served; empty outside of one.
pub fn request_id() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

/// Bodies from this size on are read to their end even when they were refused.
const LONG: u64 = 32 << 10;
/// What is read of a refused body, and for how long.
const LISTEN: usize = 64 << 20;
const LISTEN_FOR: Duration = Duration::from_secs(20);

/// Gives each request an id, for the error body, the log and the header `x-request-id`; refusals made below us (unknown
/// method, form that is none) get the house's shape, and whoever sends too much hears so.
pub async fn with_request_id(
    axum::extract::State(ctx): axum::extract::State<Ctx>,
    request: Request,
    next: Next,
) -> Response {
    let id = Ids::next(&ctx.ids, "req", ctx.now());
    let header = HeaderValue::from_str(&id).ok();
    let mut response = REQUEST_ID
        .scope(id, async move { worded(next.run(heard_out(request)).await) })
        .await;
    let headers = response.headers_mut();
    if let Some(header) = header {
        headers.insert("x-request-id", header);
    }
    // What people ask of us is about their health: no browser and no proxy keeps it, unless a route says so.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(header::X_CONTENT_TYPE_OPTIONS)
        .or_insert(HeaderValue::from_static("nosniff"));
    response
}

/// Puts a refusal without our words into words.
fn worded(response: Response) -> Response {
    let status = response.status();
    let json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|mime| mime.as_bytes().starts_with(b"application/json"));
    if json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (code, message) = match status {
        StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "不支持这种操作"),
        StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "提交的内容过大"),
        StatusCode::NOT_FOUND => ("not_found", "没有找到相关内容"),
        StatusCode::RANGE_NOT_SATISFIABLE => ("invalid_range", "请求的范围超出文件大小"),
        status if status.is_server_error() => ("internal", "系统出现问题，请稍后再试"),
        _ => ("invalid_request", "提交的内容有误，请检查后重试"),
    };
    let mut ours = ApiError::new(status, code, message).into_response();
    if let Some(allow) = response.headers().get(header::ALLOW) {
        ours.headers_mut().insert(header::ALLOW, allow.clone());
    }
    ours
}

/// A client that is still sending does not read: a long body that nobody wants is taken in and thrown away, or its
/// sender would meet a broken connection instead of the refusal.
fn heard_out(request: Request) -> Request {
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length < LONG) || axum::body::HttpBody::is_end_stream(request.body()) {
        return request;
    }
    let upgrade = request.headers().contains_key(header::UPGRADE);
    if upgrade {
        return request;
    }
    request.map(|body| Body::from_stream(HeardOut(Some(body.into_data_stream()))))
}

/// A body that is read to its end when it is dropped early.
struct HeardOut(Option<BodyDataStream>);

impl Stream for HeardOut {
    type Item = Result<Bytes, axum::Error>;
    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let Some(body) = self.0.as_mut() else {
            return std::task::Poll::Ready(None);
        };
        let item = std::task::ready!(body.poll_next_unpin(context));
        if !matches!(item, Some(Ok(_))) {
            self.0 = None;
        }
        std::task::Poll::Ready(item)
    }
}

impl Drop for HeardOut {
    fn drop(&mut self) {
        let (Some(mut body), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        runtime.spawn(tokio::time::timeout(LISTEN_FOR, async move {
            let mut heard = 0;
            while let Some(Ok(part)) = body.next().await {
                heard += part.len();
                if heard > LISTEN {
                    break;
                }
            }
        }));
    }
}

/// A JSON body; unreadable ones are refused in the house's shape. Characters nobody sees are left out of its texts.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let refusal = |status, error: String| {
            tracing::debug!(%error, "unreadable body");
            match status {
                StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(status, "too_large", "提交的内容过大"),
                _ => ApiError::new(status, "invalid_body", "提交的内容有误，请检查后重试"),
            }
        };
        let (parts, body) = request.into_parts();
        let bytes = Bytes::from_request(Request::from_parts(parts.clone(), body), state)
            .await
            .map_err(|refused| refusal(refused.status(), refused.body_text()))?;
        if has_nul(&bytes) {
            return Err(refusal(StatusCode::UNPROCESSABLE_ENTITY, "character U+0000".to_owned()));
        }
        let bytes = seen(bytes);
        axum::Json::<T>::from_request(Request::from_parts(parts, Body::from(bytes)), state)
            .await
            .map(|axum::Json(body)| Self(body))
            .map_err(|refused| refusal(refused.status(), refused.body_text()))
    }
}

/// Whether a JSON text names the character U+0000, which no text of a person holds and no database column keeps.
fn has_nul(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let escape = rest.get(at + 1..).unwrap_or_default();
        if escape.starts_with(b"u0000") {
            return true;
        }
        rest = escape.get(1..).unwrap_or_default();
    }
    false
}

/// Whether a character neither shows nor sets text: controls, which no XML towards a hospital can carry (pasted out of
/// office documents), and marks that turn the direction of everything after them (a patient's allergies would turn
/// around the doctor's words beside them).
fn unseen(c: char) -> bool {
    let control = c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    control || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// The body without characters nobody sees, so that what is signed, shown, printed and sent on is the same text. A body
/// that is no JSON stays as it is, for its refusal.
fn seen(bytes: Bytes) -> Bytes {
    use serde_json::Value;
    fn clean(value: &mut Value) -> bool {
        match value {
            Value::String(text) => {
                let odd = text.contains(unseen);
                if odd {
                    text.retain(|c| !unseen(c));
                }
                odd
            }
            Value::Array(items) => items.iter_mut().fold(false, |odd, item| clean(item) | odd),
            Value::Object(fields) => fields.values_mut().fold(false, |odd, field| clean(field) | odd),
            _ => false,
        }
    }
    // Most bodies have no sign of such a character and are not parsed twice.
    let sign = |pair: &[u8]| {
        matches!(
            pair,
            [b'\\', b'u'] | [0x7f, _] | [0xc2, 0x80..=0x9f] | [0xe2, 0x80 | 0x81] | [0xef, 0xbb | 0xbf]
        )
    };
    if !bytes.windows(2).any(sign) {
        return bytes;
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(&bytes) else {
        return bytes;
    };
    if !clean(&mut value) {
        return bytes;
    }
    serde_json::to_vec(&value).map_or(bytes, Bytes::from)
}

/// Whether a path or query names the character U+0000.
fn names_nul(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.contains("%00"))
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A query string.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if names_nul(parts.uri.query()) {
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", "查询条件有误"));
        }
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(refused) => Err(ApiError::new(refused.status(), "invalid_query", "查询条件有误")),
        }
    }
}

/// A path parameter; one that cannot be read names nothing.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if names_nul(Some(parts.uri.path())) {
            return Err(ApiError::not_found());
        }
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(path)| Self(path))
            .map_err(|_| ApiError::not_found())
    }
}

/// `?page=1&size=20`.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// From 1.
    #[serde(default = "first_page")]
    pub page: u32,
    /// Up to 100.
    #[serde(default = "page_size")]
    pub size: u32,
}

const fn first_page() -> u32 {
    1
}

const fn page_size() -> u32 {
    20
}

impl Default for Page {
    fn default() -> Self {
        Self {
            page: first_page(),
            size: page_size(),
        }
    }
}

impl Page {
    /// For `LIMIT`.
    pub fn limit(self) -> u32 {
        self.size.clamp(1, 100)
    }

    /// For `OFFSET`.
    pub fn offset(self) -> u64 {
        u64::from(self.page.max(1) - 1) * u64::from(self.limit())
    }

    /// The answer for this page.
    pub fn of<T>(self, items: Vec<T>, total: u64) -> Paged<T> {
        Paged {
            items,
            total,
            page: self.page.max(1),
            size: self.limit(),
        }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Paged<T> {
    /// This page.
    pub items: Vec<T>,
    /// Items on all pages.
    pub total: u64,
    /// From 1.
    pub page: u32,
    /// Items per page.
    pub size: u32,
}

#[cfg(test)]
mod tests {
    use super::{has_nul, seen};
    use bytes::Bytes;

    #[test]
    fn the_character_nul_is_found_however_it_is_escaped() {
        for (json, nul) in [
            (r#"{"a":"\u0000"}"#, true),
            (r#"{"a":"x\n\\\u0000"}"#, true),
            (r#"{"a":"\\u0000"}"#, false),
            (r#"{"a":"\u4f60"}"#, false),
            (r#"{"a":"\"#, false),
        ] {
            assert_eq!(has_nul(json.as_bytes()), nul, "{json}");
        }
    }

    #[test]
    fn characters_nobody_sees_are_left_out_and_all_others_stay() {
        for (sent, kept) in [
            ("{\"a\":\"青霉素\\u202e过敏\"}", "{\"a\":\"青霉素过敏\"}"),
            (
                "{\"a\":[{\"b\":\"x\u{2066}y\u{feff}\"}],\"n\":7}",
                "{\"a\":[{\"b\":\"xy\"}],\"n\":7}",
            ),
            ("{\"a\":\"1\\u000b2\\u007f3\\u00854\"}", "{\"a\":\"1234\"}"),
            (
                "{\"a\":\"𠮷 😀\\t\\n\\r买买提·艾力\u{200d}\"}",
                "{\"a\":\"𠮷 😀\\t\\n\\r买买提·艾力\u{200d}\"}",
            ),
            ("{\"a\":\"\\u202e", "{\"a\":\"\\u202e"),
        ] {
            assert_eq!(seen(Bytes::from(sent)), Bytes::from(kept), "{sent}");
        }
    }
}
