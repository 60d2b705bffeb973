//! Who people are: account holders by phone code, staff by password and second factor.
//!
//! Invariants: a code or password is never stored in clear; five wrong tries lock staff for a quarter of an hour; a
//! login code is good for five minutes, five tries and one use; a second-factor code is good once.

pub mod password;
mod patient_routes;
pub mod staff;
mod staff_admin;
mod staff_routes;
mod store;
pub mod totp;

use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cookies::Kind;
use crate::{Ctx, Json, Role, session};

pub use patient_routes::phone_of;

/// An account holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountView {
    /// Id.
    pub id: String,
    /// `138****0000`.
    pub phone_masked: String,
}

/// A member of staff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StaffView {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Roles.
    pub roles: Vec<Role>,
    /// Title.
    pub title: String,
    /// Department.
    pub department_name: String,
}

impl From<session::Member> for StaffView {
    fn from(member: session::Member) -> Self {
        Self {
            id: member.id.into_string(),
            name: member.name,
            roles: member.roles,
            title: member.title,
            department_name: member.department_name,
        }
    }
}

/// `13800000000` → `138****0000`.
pub fn mask_phone(phone: &str) -> String {
    match (phone.get(..3), phone.get(phone.len().saturating_sub(4)..)) {
        (Some(head), Some(tail)) if phone.len() >= 8 => format!("{head}****{tail}"),
        _ => "****".to_owned(),
    }
}

/// A mainland mobile number.
pub fn is_phone(text: &str) -> bool {
    text.len() == 11
        && text.bytes().all(|b| b.is_ascii_digit())
        && text.starts_with('1')
        && !matches!(text.as_bytes().get(1), Some(b'0'..=b'2') | None)
}

/// A new token's secret half.
fn secret(ctx: &Ctx) -> String {
    URL_SAFE_NO_PAD.encode(ctx.ids.random::<32>())
}

/// An answer that also signs the browser in; a session of the other kind in the same browser goes on.
fn with_cookie(ctx: &Ctx, kind: Kind, token: &str, whole: std::time::Duration, body: impl Serialize) -> Response {
    let secure = if ctx.site.secure_cookies { "; Secure" } else { "" };
    let cookie = format!(
        "{}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{secure}",
        kind.cookie(),
        whole.as_secs()
    );
    let mut headers = HeaderMap::new();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        headers.insert(header::SET_COOKIE, cookie);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    (headers, Json(body)).into_response()
}

/// What the browser calls itself, for the session list.
fn device(headers: &HeaderMap) -> String {
    headers
        .get(header::USER_AGENT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default()
        .chars()
        .take(120)
        .collect()
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(patient_routes::send_code))
        .routes(routes!(patient_routes::login))
        .routes(routes!(staff_routes::login))
        .routes(routes!(staff_routes::second_factor))
        .routes(routes!(staff_routes::me))
        .routes(routes!(staff_routes::logout))
        .routes(routes!(staff_routes::sessions))
        .routes(routes!(staff_routes::end_session))
        .merge(staff_admin::routes())
}
