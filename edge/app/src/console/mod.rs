//! The local console: pages in Chinese for the hospital's own staff, on the loopback address only. Rows show keys,
//! states and reasons, never what a request says about a patient.

mod commands;
mod docking;
mod failure;
mod overview;
mod page;
mod printing;
mod rejected;
mod words;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use records::Ids;
use serde::Deserialize;

use crate::site::{Shown, Site};
use failure::Failure;
use page::escape;

#[derive(Clone)]
struct Console {
    shown: Shown,
    /// Every form carries it, so that no other page in the same browser can act here.
    token: String,
    hosts: [String; 2],
}

/// The console's pages.
pub(crate) fn router(shown: Shown, ids: &Ids, listen: SocketAddr) -> Router {
    let console = Console {
        shown,
        token: hex::encode(ids.random::<16>()),
        hosts: [listen.to_string(), format!("localhost:{}", listen.port())],
    };
    Router::new()
        .route("/", get(overview::overview))
        .route("/commands", get(commands::commands))
        .route("/commands/one", get(commands::command))
        .route("/commands/act", post(commands::act_command))
        .route("/printing", get(printing::printing))
        .route("/printing/act", post(printing::act_print))
        .route("/docking", get(docking::show))
        .route("/docking/firmware", post(docking::renew))
        .route("/docking/act", post(docking::act))
        .route("/rejected", get(rejected::rejected))
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, "没有这个页面"))
        .method_not_allowed_fallback(async || Failure::new(StatusCode::METHOD_NOT_ALLOWED, "不支持这种操作"))
        .layer(middleware::from_fn_with_state(console.clone(), guard))
        .with_state(console)
}

/// Only under the console's own name, so that a name pointed at the loopback address cannot reach it.
async fn guard(State(console): State<Console>, request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .unwrap_or_default();
    if !console.hosts.iter().any(|h| h == host) {
        return (StatusCode::FORBIDDEN, "只能从本机地址访问").into_response();
    }
    let mut answer = next.run(request).await;
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";
    answer
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    answer
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

type Answer = Result<Html<String>, Failure>;

fn site(console: &Console) -> Result<&Site, Failure> {
    console
        .shown
        .site
        .get()
        .ok_or_else(|| Failure::conflict("本机尚未入网，院内业务尚未启用".to_owned()))
}

fn hidden(token: &str, key: &str) -> String {
    format!(
        "<input type=hidden name=token value={token}><input type=hidden name=key value=\"{}\">",
        escape(key)
    )
}

#[derive(Deserialize)]
struct Act {
    token: String,
    key: String,
    act: String,
    #[serde(default)]
    note: String,
}

type Sent = Result<Form<Act>, FormRejection>;

fn checked(console: &Console, form: &Act) -> Result<(), Failure> {
    if form.token == console.token {
        Ok(())
    } else {
        Err(Failure::conflict("页面已过期，请刷新后重试".to_owned()))
    }
}
