//! The page and its three calls: what is on the screen (server-sent events), a tap, and that it draws.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::Stream;
use gate::{Crowd, Times};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::desk::Kiosk;
use crate::guests::{self, Guests};

/// Which page fits this program.
pub(crate) const BUILD: &str = env!("CARGO_PKG_VERSION");

const PAGE: &str = include_str!("page/kiosk.html");
const STYLE: &str = include_str!("page/kiosk.css");
const SCRIPT: &str = include_str!("page/kiosk.js");

/// The page asks something every four seconds; whoever has nothing to ask goes, and the browser comes again by itself.
const TIMES: Times = Times {
    headers: Duration::from_secs(10),
    body: Duration::from_secs(10),
};

impl Kiosk {
    /// Serves the page until stopped.
    ///
    /// # Errors
    /// When the listener is none any more.
    pub async fn serve_page(&self, listener: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
        tracing::info!(kiosk.page = %listener.local_addr()?, "the terminal's page is served");
        let (guests, router) = (Guests::new(&self.inner.config.allow), self.router());
        let meet = |stream, address: SocketAddr| {
            let talk = gate::talk(stream, ConnectInfo(address), router.clone(), TIMES);
            let stop = stop.clone();
            async move {
                tokio::select! {
                    // Screens are open for hours: they are cut off, the page comes again by itself.
                    () = stop.cancelled() => {}
                    ended = talk => {
                        if let Err(error) = ended {
                            tracing::debug!(%error, kiosk.from = %address, "a connection ended early");
                        }
                    }
                }
            }
        };
        gate::accept(
            listener,
            &Crowd::of(guests::MOST),
            |from| guests.admit(from),
            &stop,
            meet,
        )
        .await;
        Ok(())
    }

    fn router(&self) -> Router {
        Router::new()
            .route("/", get(async || typed("text/html; charset=utf-8", PAGE)))
            .route("/kiosk.css", get(async || typed("text/css; charset=utf-8", STYLE)))
            .route(
                "/kiosk.js",
                get(async || typed("text/javascript; charset=utf-8", SCRIPT)),
            )
            .route("/api/screen", get(screens))
            .route("/api/tap", post(tap))
            .route("/api/drawn", post(drawn))
            .route("/health", get(health))
            .layer(middleware::from_fn_with_state(self.clone(), guard))
            .with_state(self.clone())
    }
}

fn typed(kind: &'static str, body: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Only the terminal, and only under the page's own name: a name pointed at this address cannot reach it.
async fn guard(
    State(kiosk): State<Kiosk>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let config = &kiosk.inner.config;
    let address = from.ip().to_canonical();
    if !guests::is_terminal(&config.allow, address) {
        tracing::warn!(from = %address, "the terminal's page was asked for by a host that is not a terminal");
        return (StatusCode::FORBIDDEN, "这台设备不是登记的自助机").into_response();
    }
    let (host, site) = (named(&request, "host"), named(&request, "sec-fetch-site"));
    let own = [
        config.listen.to_string(),
        format!("localhost:{}", config.listen.port()),
        format!("127.0.0.1:{}", config.listen.port()),
    ];
    if !own.contains(&host) && !config.names.contains(&host) {
        return (StatusCode::FORBIDDEN, "请用登记的地址打开").into_response();
    }
    // Old browsers say nothing of it; what they say must be right.
    if !matches!(site.as_str(), "" | "same-origin" | "none") {
        return (StatusCode::FORBIDDEN, "请从自助机页面操作").into_response();
    }
    let mut answer = next.run(request).await;
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; form-action 'none'; base-uri 'none'";
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn named(request: &Request, header: &str) -> String {
    let value = request.headers().get(header);
    value.and_then(|h| h.to_str().ok()).unwrap_or_default().to_owned()
}

async fn screens(State(kiosk): State<Kiosk>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut seen = kiosk.inner.screen.subscribe();
    seen.mark_changed();
    let stream = futures_util::stream::unfold(seen, |mut seen| async move {
        seen.changed().await.ok()?;
        let screen = seen.borrow_and_update().clone();
        let event = Event::default().json_data(&screen).ok()?;
        Some((Ok(event), seen))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(5)))
}

#[derive(Deserialize)]
struct Tap {
    session: u64,
    act: String,
}

async fn tap(State(kiosk): State<Kiosk>, tap: Result<Json<Tap>, JsonRejection>) -> Response {
    let Ok(Json(tap)) = tap else {
        return (StatusCode::BAD_REQUEST, "请求有误").into_response();
    };
    let Ok(act) = tap.act.parse() else {
        return (StatusCode::BAD_REQUEST, "没有这项操作").into_response();
    };
    kiosk.tapped(tap.session, act).await;
    Json(json!({})).into_response()
}

async fn drawn(State(kiosk): State<Kiosk>) -> Json<serde_json::Value> {
    kiosk.page_drew();
    Json(json!({}))
}

/// For the terminal's watchdog: seconds since its page was known to draw.
async fn health(State(kiosk): State<Kiosk>) -> Json<serde_json::Value> {
    Json(json!({ "page_silent_s": kiosk.page_silent_s() }))
}
