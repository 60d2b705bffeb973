//! Who asks, and whether they may: before anything else is looked at.

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;

use super::Door;
use crate::manage::account::{ACTIVE, Who, present};
use crate::manage::failure::Failure;
use crate::manage::permission::{Access, access, is_from_source};
use crate::manage::session::COOKIE;

/// The header that a page of another site cannot send without being asked first, and is never allowed to.
const HEADER: &str = "x-signd";

/// Bytes of a request of somebody who is not signed in.
const MAX_OPEN: u64 = 16 * 1024;

/// The session behind a request.
#[derive(Debug, Clone)]
pub(super) struct Signed {
    pub(super) who: Who,
    pub(super) token: String,
}

impl<S: Sync> FromRequestParts<S> for Signed {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get().cloned().ok_or_else(Failure::signed_out)
    }
}

pub(super) async fn admit(State(door): State<Door>, request: Request, next: Next) -> Response {
    match judge(&door, request).await {
        Ok(request) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

async fn judge(door: &Door, mut request: Request) -> Result<Request, Failure> {
    same_site(request.method(), request.headers())?;
    let path = request.extensions().get::<MatchedPath>();
    let path = path.map(|path| path.as_str().to_owned()).ok_or_else(super::not_found)?;
    let method = request.method().as_str().to_owned();
    let access = access(&method, &path).ok_or_else(super::not_found)?;
    let signed = signed(door, request.headers()).await?;
    match (access, &signed) {
        (Access::Open, _) => short(request.headers(), request.method())?,
        (Access::Peer, _) => {}
        (_, None) => return Err(Failure::signed_out()),
        (access, Some(signed)) if access.grants(signed.who.role) => {}
        (_, Some(signed)) => {
            let (name, detail) = (signed.who.name.clone(), format!("{method} {}", request.uri().path()));
            door.act(move |manage| {
                let engine = manage.engine();
                let now = engine.clock.now();
                engine
                    .vault
                    .write(|unit| unit.log(now, "manage.refused", &name, &detail))
            })
            .await?;
            return Err(Failure::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "您的角色无权进行此操作。",
            ));
        }
    }
    if is_from_source(&method, &path) && door.replica.follows() {
        return Err(Failure::new(
            StatusCode::CONFLICT,
            "replica_follows",
            "本设备跟随主设备，这项内容请在主设备上修改；主设备不再使用时，先在“多机互备”页解除配对。",
        ));
    }
    if let Some(signed) = signed {
        request.extensions_mut().insert(signed);
    }
    Ok(request)
}

/// The session of a request, with the account as it is now: who was disabled is out at once.
async fn signed(door: &Door, headers: &HeaderMap) -> Result<Option<Signed>, Failure> {
    let jar = CookieJar::from_headers(headers);
    let Some(token) = jar.get(COOKIE).map(|cookie| cookie.value().to_owned()) else {
        return Ok(None);
    };
    let Some(account) = door.sessions.account(&token) else {
        return Ok(None);
    };
    let found = door
        .act(move |manage| {
            manage.engine().vault.read(|unit| match present(unit, &account) {
                Ok(row) if row.state == ACTIVE => Who::of(&row).map(Some),
                Ok(_) | Err(crate::Refusal::No { .. }) => Ok(None),
                Err(refusal) => Err(refusal),
            })
        })
        .await?;
    match found {
        Some(who) => Ok(Some(Signed { who, token })),
        None => {
            door.sessions.close(&token);
            Ok(None)
        }
    }
}

/// Who is not signed in sends little, and says so first.
fn short(headers: &HeaderMap, method: &Method) -> Result<(), Failure> {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let length = length.and_then(|text| text.parse::<u64>().ok());
    let chunked = headers.contains_key(header::TRANSFER_ENCODING);
    if *method == Method::GET || (!chunked && length.unwrap_or_default() <= MAX_OPEN) {
        return Ok(());
    }
    Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "请求过长。"))
}

/// What changes something comes from our own page.
fn same_site(method: &Method, headers: &HeaderMap) -> Result<(), Failure> {
    let refuse = || {
        Err(Failure::new(
            StatusCode::FORBIDDEN,
            "cross_site",
            "请求不是由管理页面发出的，已拒绝。",
        ))
    };
    let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return refuse();
    }
    if *method != Method::GET && *method != Method::HEAD && headers.get(HEADER).is_none() {
        return refuse();
    }
    Ok(())
}
