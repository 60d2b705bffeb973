//! The web apps as static files: hashed assets for ever, pages never cached, any path of an app is its page.

use std::path::Path;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use tower_http::services::{ServeDir, ServeFile};
use tower_http::set_header::SetResponseHeaderLayer;

/// The apps, each served below its name.
const APPS: [&str; 4] = ["patient", "doctor", "admin", "verify"];

/// Scripts and connections from our own origin only; nobody may frame us.
const POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob: mediastream:; \
    style-src 'self' 'unsafe-inline'; connect-src 'self'; object-src 'none'; base-uri 'self'; \
    frame-ancestors 'none'; form-action 'self'";

/// The apps found below `folder`.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(folder: &Path) -> Router<S> {
    let mut router = Router::new().route("/", get(|| async { Redirect::temporary("/patient/") }));
    for app in APPS {
        let files = folder.join(app);
        let page = ServeFile::new(files.join("index.html"));
        let served = ServeDir::new(files)
            .append_index_html_on_directories(true)
            .fallback(page);
        let bare = format!("/{app}");
        let home = format!("/{app}/");
        router = router
            .route(&bare, get(move || async move { Redirect::permanent(&home) }))
            .nest_service(&format!("/{app}/"), served);
    }
    let fixed = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    router
        .layer(axum::middleware::from_fn(cache))
        .layer(fixed(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(header::REFERRER_POLICY, "same-origin"))
        .layer(fixed(
            HeaderName::from_static("permissions-policy"),
            "camera=(self), microphone=(self), geolocation=(self)",
        ))
}

/// No page of ours has a longer path; the file system would not even look for it.
const LONGEST_PATH: usize = 1_000;

async fn cache(request: Request, next: Next) -> Response {
    if request.uri().path().len() > LONGEST_PATH {
        return StatusCode::NOT_FOUND.into_response();
    }
    let asset = request.uri().path().contains("/assets/");
    let mut response = next.run(request).await;
    let page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|mime| mime.as_bytes().starts_with(b"text/html"));
    if asset && page {
        // An asset of an older build: a page instead of it would break the app in a puzzling way.
        return StatusCode::NOT_FOUND.into_response();
    }
    let policy = match (response.status().is_success(), asset, page) {
        (false, _, _) => "no-store",
        (true, true, _) => "public, max-age=31536000, immutable",
        (true, false, true) => "no-cache",
        (true, false, false) => "public, max-age=3600",
    };
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static(policy));
    response
}
