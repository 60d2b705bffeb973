//! `hil dock`: runs the dock's firmware image in QEMU (board mps2-an386). The serial line appears as a pseudo-terminal
//! behind a stable link, as a USB serial adapter behind a udev rule would.
//!
//! Control (HTTP JSON): `POST /control/bays/{0-9} {"present":true}` puts a recorder in or takes it out,
//! `POST /control/reset` resets the board, `POST /control/unplug {"seconds":3}` takes the line away for a while,
//! `GET /control/health` answers `{"ready":true,"resets":n,"unplugged":n}`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

/// How the dock is started.
#[derive(clap::Args, Debug, Clone)]
pub struct Arguments {
    /// Firmware image (ELF).
    #[arg(long)]
    pub firmware: PathBuf,
    /// Link to the serial line, made anew at each start of the board.
    #[arg(long)]
    pub tty: PathBuf,
    /// Port of the control API.
    #[arg(long)]
    pub control: u16,
}

struct Board {
    arguments: Arguments,
    running: Mutex<Option<Running>>,
    resets: AtomicU64,
    unplugged: AtomicU64,
}

struct Running {
    qemu: Child,
    line: PathBuf,
    /// Kept open: QEMU stops reading a pseudo-terminal that nobody holds.
    switches: tokio::fs::File,
    /// Ends when QEMU has ended and its line is gone.
    ended: tokio::task::JoinHandle<()>,
}

/// Runs until killed.
pub async fn run(arguments: Arguments) -> Result<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", arguments.control))
        .await
        .context("control port")?;
    let board = Arc::new(Board {
        running: Mutex::new(None),
        resets: AtomicU64::new(0),
        unplugged: AtomicU64::new(0),
        arguments,
    });
    board.start().await?;
    let router = Router::new()
        .route("/control/health", get(health))
        .route("/control/bays/{bay}", post(switch))
        .route("/control/reset", post(reset))
        .route("/control/unplug", post(unplug))
        .with_state(board);
    println!("ready");
    axum::serve(listener, router).await.context("control API")
}

impl Board {
    async fn start(&self) -> Result<()> {
        let mut qemu = Command::new("qemu-system-arm")
            .args([
                "-M",
                "mps2-an386",
                "-display",
                "none",
                "-monitor",
                "none",
                "-serial",
                "pty",
                "-serial",
                "pty",
            ])
            .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
            .arg(&self.arguments.firmware)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting qemu-system-arm (package qemu-system-arm)")?;
        let mut lines = BufReader::new(qemu.stdout.take().context("stdout is piped")?).lines();
        let mut ptys = Vec::new();
        while ptys.len() < 2 {
            let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line())
                .await
                .context("QEMU is silent")??;
            let Some(line) = line else { bail!("QEMU ended at once") };
            ptys.extend(
                line.split_whitespace()
                    .find(|w| w.starts_with("/dev/pts/"))
                    .map(PathBuf::from),
            );
        }
        let switches = ptys.pop().context("the second serial line")?;
        let switches = tokio::fs::File::options()
            .write(true)
            .open(&switches)
            .await
            .context("opening the switches")?;
        let line = ptys.pop().context("the first serial line")?;
        let at = self.arguments.tty.clone();
        link(&line, &at)?;
        // A board that died is unplugged: its pseudo-terminal's number soon belongs to somebody else.
        let ended = tokio::spawn(async move {
            while let Ok(Some(_)) = lines.next_line().await {}
            let _ = std::fs::remove_file(at);
        });
        *self.running.lock().await = Some(Running {
            qemu,
            line,
            switches,
            ended,
        });
        Ok(())
    }
}

fn link(target: &Path, at: &Path) -> Result<()> {
    match std::fs::remove_file(at) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).context("removing the old link");
        }
        _ => {}
    }
    std::os::unix::fs::symlink(target, at).with_context(|| format!("linking {}", at.display()))
}

type Answer = Result<Json<Value>, (StatusCode, Json<Value>)>;

fn refused(error: impl std::fmt::Display) -> (StatusCode, Json<Value>) {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error.to_string() })))
}

async fn health(State(board): State<Arc<Board>>) -> Json<Value> {
    let ready = board.running.lock().await.is_some();
    Json(
        json!({ "ready": ready, "resets": board.resets.load(Ordering::SeqCst), "unplugged": board.unplugged.load(Ordering::SeqCst) }),
    )
}

async fn switch(State(board): State<Arc<Board>>, UrlPath(bay): UrlPath<u8>, Json(body): Json<Value>) -> Answer {
    let present = body
        .get("present")
        .and_then(Value::as_bool)
        .ok_or_else(|| refused("present: true or false"))?;
    if bay > 9 {
        return Err(refused("bays are 0 to 9"));
    }
    let mut running = board.running.lock().await;
    let running = running.as_mut().ok_or_else(|| refused("the board is off"))?;
    let letter = if present { b'A' + bay } else { b'a' + bay };
    running.switches.write_all(&[letter]).await.map_err(refused)?;
    running.switches.flush().await.map_err(refused)?;
    Ok(Json(json!({})))
}

async fn reset(State(board): State<Arc<Board>>) -> Answer {
    if let Some(mut running) = board.running.lock().await.take() {
        running.qemu.kill().await.map_err(refused)?;
        running.ended.await.map_err(refused)?;
    }
    board.start().await.map_err(refused)?;
    board.resets.fetch_add(1, Ordering::SeqCst);
    Ok(Json(json!({})))
}

async fn unplug(State(board): State<Arc<Board>>, Json(body): Json<Value>) -> Answer {
    let seconds = body
        .get("seconds")
        .and_then(Value::as_u64)
        .ok_or_else(|| refused("seconds: a number"))?;
    // An open pseudo-terminal outlives its link, so the board falls silent as well, as an unplugged one does.
    let pid = board
        .running
        .lock()
        .await
        .as_ref()
        .and_then(|r| r.qemu.id())
        .ok_or_else(|| refused("the board is off"))?;
    std::fs::remove_file(&board.arguments.tty).map_err(refused)?;
    signal(pid, "-STOP").await.map_err(refused)?;
    board.unplugged.fetch_add(1, Ordering::SeqCst);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(seconds.min(600))).await;
        let _ = signal(pid, "-CONT").await;
        if let Some(running) = board.running.lock().await.as_ref() {
            let _ = link(&running.line, &board.arguments.tty);
        }
    });
    Ok(Json(json!({})))
}

async fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").args([name, &pid.to_string()]).status().await?;
    if status.success() {
        Ok(())
    } else {
        bail!("kill {name} {pid} failed")
    }
}
