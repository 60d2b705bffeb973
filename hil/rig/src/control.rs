use std::io::{self, Write};
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Faults;

/// What a control call answers when it cannot be done.
#[derive(Debug)]
pub struct ControlError(pub String);

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(json!({"error": self.0}))).into_response()
    }
}

/// `/control/faults` and `/control/health`, the same on every peer.
pub fn fault_routes(faults: Arc<Faults>) -> Router {
    Router::new()
        .route("/control/health", get(async || Json(json!({"ready": true}))))
        .route("/control/faults", get(list).post(add).delete(clear))
        .route("/control/faults/{id}", delete(remove))
        .with_state(faults)
}

async fn list(State(faults): State<Arc<Faults>>) -> Json<Value> {
    Json(faults.list())
}

async fn add(State(faults): State<Arc<Faults>>, Json(rule): Json<Value>) -> Result<Json<Value>, ControlError> {
    let id = faults.add(&rule).map_err(ControlError)?;
    Ok(Json(json!({"id": id})))
}

async fn clear(State(faults): State<Arc<Faults>>) -> Json<Value> {
    faults.remove(None);
    Json(json!({}))
}

async fn remove(State(faults): State<Arc<Faults>>, Path(id): Path<u64>) -> Json<Value> {
    faults.remove(Some(id));
    Json(json!({}))
}

/// Serves a control router until the process ends.
pub async fn serve_control(listener: TcpListener, router: Router) -> io::Result<()> {
    axum::serve(listener, router).await
}

/// JSON log lines on stderr; `RUST_LOG` selects.
pub fn logs() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let _already_set = tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .try_init();
}

/// The one line on stdout that says a peer is serving.
pub fn announce_ready() {
    let mut out = io::stdout().lock();
    let _closed = writeln!(out, "ready").and_then(|()| out.flush());
}
