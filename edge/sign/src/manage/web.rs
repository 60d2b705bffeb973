//! The page's files, and what every answer carries.

use std::path::Path;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::services::{ServeDir, ServeFile};

/// Scripts, styles and pictures from this server only; no frames around the page, nothing sent elsewhere. Styles may be
/// inline because the component library sets them so.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
                      font-src 'self' data:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";

/// Serves the folder; a path without a file is the page itself, which has routes of its own.
pub(crate) fn page(folder: Option<&Path>) -> Router {
    match folder {
        Some(folder) => {
            let page = ServeFile::new(folder.join("index.html"));
            Router::new().fallback_service(ServeDir::new(folder).fallback(page))
        }
        None => Router::new().fallback(async || {
            let text = "没有安装管理页面（配置项 manage.web）。";
            (axum::http::StatusCode::NOT_FOUND, text)
        }),
    }
}

/// Hashed files are kept by the browser, everything else is asked for again, and what the interface answers is kept
/// nowhere.
pub(crate) async fn harden(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let caching = if path.starts_with("/manage/") {
        "no-store"
    } else if path.starts_with("/assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let mut response = next.run(request).await;
    let missing = !response.status().is_success();
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::CACHE_CONTROL, if missing { "no-store" } else { caching });
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    response
}
