//! `hil reader`: what stands in front of a self-service terminal. An identity card reader (SAM-V module, serial line) and
//! a code scanner (serial CDC), each behind a stable link as behind a udev rule; people are played by control.
//!
//! Control (HTTP JSON):
//!
//! | request | does |
//! |---|---|
//! | `POST /control/card {"name":"张三","number":"…","until":"20361231"}` | puts a card on the reader; it lies there until it is taken away |
//! | `DELETE /control/card` | takes it away |
//! | `POST /control/code {"text":"8000000001","end":"\r"}` | shows a code to the scanner; `end` is what the scanner ends it with, CR by default |
//! | `POST /control/trouble {"kind":"checksum","times":2}` | the next answers of the card reader are wrong: `checksum`, `half`, `garbage`, `noise` (garbage, then the right answer), `silent`, `length`, `refuse` (an error status), `short` (a card of half the bytes) |
//! | `POST /control/noise {"bytes":[0,255]}` | the scanner sends these bytes |
//! | `POST /control/unplug {"device":"card"}` · `POST /control/plug {"device":"card"}` | pulls a device (`card`, `scanner`), puts it back |
//! | `GET /control/health` | `{"ready":true,"asked":n,"read":n,"troubled":n}`: commands taken, cards read out, wrong answers given |

mod module;
mod plug;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Mutex, mpsc, watch};

pub use module::{Card, Module, Trouble};

/// Where the devices appear.
#[derive(clap::Args, Debug, Clone)]
pub struct Arguments {
    /// Link to the card reader's serial line.
    #[arg(long)]
    pub card: PathBuf,
    /// Link to the scanner's serial line.
    #[arg(long)]
    pub scanner: PathBuf,
    /// Port of the control API.
    #[arg(long)]
    pub control: u16,
}

struct Front {
    module: Arc<Mutex<Module>>,
    card: watch::Sender<bool>,
    scanner: watch::Sender<bool>,
    shown: mpsc::Sender<Vec<u8>>,
}

/// Runs until stopped; `ready` is told once the devices are there.
///
/// # Errors
/// When a pseudo-terminal or the control port cannot be had.
pub async fn run(arguments: Arguments, ready: impl FnOnce()) -> Result<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", arguments.control))
        .await
        .context("control port")?;
    let module = Arc::new(Mutex::new(Module::default()));
    let (card, card_plugged) = watch::channel(true);
    let (scanner, scanner_plugged) = watch::channel(true);
    let (shown, mut show) = mpsc::channel::<Vec<u8>>(16);
    let answering = Arc::clone(&module);
    let reader = plug::device(arguments.card.clone(), card_plugged, async move |mut line| {
        use tokio::io::AsyncReadExt;
        let mut bytes = [0u8; 256];
        let mut kept = Vec::new();
        while let Ok(count @ 1..) = line.read(&mut bytes).await {
            kept.extend_from_slice(bytes.get(..count).unwrap_or_default());
            let answers = answering.lock().await.take(&mut kept);
            for answer in answers {
                // As over 115200 baud: in pieces, with the line's own pauses left out.
                for piece in answer.chunks(61) {
                    if line.write_all(piece).await.is_err() {
                        return;
                    }
                }
            }
        }
    });
    let scan = plug::device(arguments.scanner.clone(), scanner_plugged, async move |mut line| {
        while let Some(bytes) = show.recv().await {
            if line.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let front = Arc::new(Front {
        module,
        card,
        scanner,
        shown,
    });
    let router = Router::new()
        .route("/control/health", get(health))
        .route("/control/card", post(put).delete(take))
        .route("/control/code", post(code))
        .route("/control/noise", post(noise))
        .route("/control/trouble", post(trouble))
        .route(
            "/control/unplug",
            post(async |s: State<Arc<Front>>, b: Json<Value>| plugged(&s, &b, false)),
        )
        .route(
            "/control/plug",
            post(async |s: State<Arc<Front>>, b: Json<Value>| plugged(&s, &b, true)),
        )
        .with_state(front);
    let serving = async {
        // The devices' tasks have linked their lines before anything else of this process runs.
        tokio::task::yield_now().await;
        while !(arguments.card.exists() && arguments.scanner.exists()) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        ready();
        axum::serve(listener, router).await.context("control API")
    };
    tokio::select! {
        ended = reader => ended,
        ended = scan => ended,
        ended = serving => ended,
    }
}

type Answer = Result<Json<Value>, (StatusCode, Json<Value>)>;

fn refused(words: &str) -> (StatusCode, Json<Value>) {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": words })))
}

async fn health(State(front): State<Arc<Front>>) -> Json<Value> {
    let module = front.module.lock().await;
    Json(json!({ "ready": true, "asked": module.asked, "read": module.read, "troubled": module.troubled }))
}

async fn put(State(front): State<Arc<Front>>, Json(card): Json<Card>) -> Json<Value> {
    front.module.lock().await.put(Some(card));
    Json(json!({}))
}

async fn take(State(front): State<Arc<Front>>) -> Json<Value> {
    front.module.lock().await.put(None);
    Json(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    text: String,
    end: Option<String>,
}

async fn code(State(front): State<Arc<Front>>, Json(shown): Json<Shown>) -> Answer {
    let end = shown.end.unwrap_or_else(|| "\r".to_owned());
    let bytes = format!("{}{end}", shown.text).into_bytes();
    front.shown.send(bytes).await.map_err(|_| refused("no scanner"))?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Noise {
    bytes: Vec<u8>,
}

async fn noise(State(front): State<Arc<Front>>, Json(noise): Json<Noise>) -> Answer {
    front.shown.send(noise.bytes).await.map_err(|_| refused("no scanner"))?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Troubled {
    kind: Trouble,
    #[serde(default = "once")]
    times: u32,
}

const fn once() -> u32 {
    1
}

async fn trouble(State(front): State<Arc<Front>>, Json(troubled): Json<Troubled>) -> Json<Value> {
    front.module.lock().await.trouble(troubled.kind, troubled.times);
    Json(json!({}))
}

fn plugged(front: &Front, body: &Value, is: bool) -> Answer {
    let device = match body.get("device").and_then(Value::as_str) {
        Some("card") => &front.card,
        Some("scanner") => &front.scanner,
        _ => return Err(refused("device: card or scanner")),
    };
    device.send_replace(is);
    Ok(Json(json!({})))
}
