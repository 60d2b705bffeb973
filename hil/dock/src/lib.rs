//! `hil dock`: runs the dock's firmware in QEMU (board mps2-an386): its boot loader, and the image from an emulated flash
//! that outlives resets and power cuts. The serial line appears as a pseudo-terminal behind a stable link, as a USB serial
//! adapter behind a udev rule would. The bays' mechanics are played.
//!
//! Control (HTTP JSON):
//!
//! | request | does |
//! |---|---|
//! | `POST /control/bays/{0-9} {"present":true,"serial":"R7","draws_ma":500,"jammed":false}` | puts a recorder in or takes it out; what is left out stays |
//! | `POST /control/supply {"mv":4000}` · `POST /control/button {"pressed":true}` | supply, button |
//! | `POST /control/reset` | power off and on |
//! | `POST /control/panic` · `POST /control/hang` | the firmware panics, or hangs until its watchdog bites |
//! | `POST /control/unplug {"seconds":3}` | takes the line away for a while |
//! | `GET /control/world` | bays as they stand and as they are driven, buzzer, starts of the firmware |
//! | `GET /control/health` | `{"ready":true,"resets":n,"unplugged":n}` |

mod cable;
mod factory;
mod player;
mod soak;

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
use player::Player;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, watch};

pub use factory::{footprint, image, signed};
pub use soak::{Soaked, soak};

/// How the dock is started.
#[derive(clap::Args, Debug, Clone)]
pub struct Arguments {
    /// Firmware image (ELF); its boot loader `boot-mps2` lies beside it.
    #[arg(long)]
    pub firmware: PathBuf,
    /// Link to the serial line, made anew at each start of the board.
    #[arg(long)]
    pub tty: PathBuf,
    /// The board's flash; made as by a factory when it is not there. Beside the link by default.
    #[arg(long)]
    pub flash: Option<PathBuf>,
    /// Port of the control API.
    #[arg(long)]
    pub control: u16,
}

struct Board {
    arguments: Arguments,
    player: Player,
    running: Mutex<Option<Running>>,
    resets: AtomicU64,
    unplugged: AtomicU64,
}

struct Running {
    qemu: Child,
    /// The cable is in.
    plug: watch::Sender<bool>,
    tasks: [tokio::task::JoinHandle<()>; 3],
}

/// Runs until killed.
pub async fn run(arguments: Arguments) -> Result<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", arguments.control))
        .await
        .context("control port")?;
    let board = Arc::new(Board {
        player: Player::new(),
        running: Mutex::new(None),
        resets: AtomicU64::new(0),
        unplugged: AtomicU64::new(0),
        arguments,
    });
    board.start().await?;
    let router = Router::new()
        .route("/control/health", get(health))
        .route("/control/world", get(world))
        .route("/control/bays/{bay}", post(bay))
        .route("/control/supply", post(supply))
        .route("/control/button", post(button))
        .route(
            "/control/panic",
            post(async |State(board): State<Arc<Board>>| say(&board, "!")),
        )
        .route(
            "/control/hang",
            post(async |State(board): State<Arc<Board>>| say(&board, "h")),
        )
        .route("/control/reset", post(reset))
        .route("/control/unplug", post(unplug))
        .with_state(board);
    println!("ready");
    axum::serve(listener, router).await.context("control API")
}

/// QEMU's arguments for the board, without its serial lines.
fn machine(firmware: &Path, flash: &Path) -> Result<Vec<String>> {
    let boot = firmware.with_file_name("boot-mps2");
    if !boot.is_file() {
        bail!(
            "the boot loader {} is not built: `cargo xtask test` builds it",
            boot.display()
        );
    }
    factory::make(flash, firmware)?;
    let semihosting = format!("enable=on,target=native,arg=dock,arg={}", flash.display());
    let words = [
        "-M",
        "mps2-an386",
        "-display",
        "none",
        "-monitor",
        "none",
        "-semihosting-config",
    ];
    let mut words: Vec<String> = words.map(str::to_owned).to_vec();
    words.extend([semihosting, "-kernel".to_owned(), boot.display().to_string()]);
    Ok(words)
}

impl Board {
    async fn start(&self) -> Result<()> {
        let flash = self.arguments.flash.clone();
        let flash = flash.unwrap_or_else(|| self.arguments.tty.with_extension("flash"));
        let sockets = ["line", "mechanics"].map(|end| flash.with_extension(end));
        // Killed with us, however we end.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "qemu-system-arm"]);
        command.args(machine(&self.arguments.firmware, &flash)?);
        for socket in &sockets {
            let _ = std::fs::remove_file(socket);
            command.args(["-serial", &format!("unix:{},server=on,wait=off", socket.display())]);
        }
        let mut qemu = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting qemu-system-arm (package qemu-system-arm)")?;
        let mut printed = BufReader::new(qemu.stdout.take().context("stdout is piped")?).lines();
        let [line, mechanics] = &sockets;
        let (line, mechanics) = (soak::connected(line).await?, soak::connected(mechanics).await?);
        let (plug, plugged) = watch::channel(true);
        let relay = tokio::spawn(cable::relay(line, self.arguments.tty.clone(), plugged));
        let (from, to) = tokio::io::split(mechanics);
        let player = self.player.clone();
        let playing = tokio::spawn(async move { player.play(from, to).await });
        // What the firmware prints is told on.
        let printing = tokio::spawn(async move {
            while let Ok(Some(line)) = printed.next_line().await {
                eprintln!("dock firmware: {line}");
            }
        });
        *self.running.lock().await = Some(Running {
            qemu,
            plug,
            tasks: [relay, playing, printing],
        });
        Ok(())
    }
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

async fn world(State(board): State<Arc<Board>>) -> Answer {
    serde_json::to_value(board.player.world()).map(Json).map_err(refused)
}

fn say(board: &Board, line: &str) -> Json<Value> {
    board.player.say(line.to_owned());
    Json(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BayChange {
    present: Option<bool>,
    serial: Option<String>,
    draws_ma: Option<u16>,
    jammed: Option<bool>,
}

async fn bay(State(board): State<Arc<Board>>, UrlPath(bay): UrlPath<usize>, Json(change): Json<BayChange>) -> Answer {
    if bay > 9 {
        return Err(refused("bays are 0 to 9"));
    }
    board.player.change(|world| {
        let Some(place) = world.bays.get_mut(bay) else { return };
        if let Some(present) = change.present {
            place.present = present;
            place.serial = change.serial.clone().filter(|_| present);
        }
        place.draws_ma = change.draws_ma.unwrap_or(place.draws_ma);
        place.jammed = change.jammed.unwrap_or(place.jammed);
    });
    Ok(Json(json!({})))
}

async fn supply(State(board): State<Arc<Board>>, Json(body): Json<Value>) -> Answer {
    let mv = body
        .get("mv")
        .and_then(Value::as_u64)
        .and_then(|mv| u16::try_from(mv).ok());
    let mv = mv.ok_or_else(|| refused("mv: millivolts"))?;
    board.player.change(|world| world.supply_mv = mv);
    Ok(Json(json!({})))
}

async fn button(State(board): State<Arc<Board>>, Json(body): Json<Value>) -> Answer {
    let pressed = body.get("pressed").and_then(Value::as_bool);
    let pressed = pressed.ok_or_else(|| refused("pressed: true or false"))?;
    board.player.change(|world| world.button = pressed);
    Ok(Json(json!({})))
}

async fn reset(State(board): State<Arc<Board>>) -> Answer {
    if let Some(mut running) = board.running.lock().await.take() {
        running.qemu.kill().await.map_err(refused)?;
        for task in &mut running.tasks {
            task.abort();
            // Ended by us.
            let _ = task.await;
        }
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
    let plug = board.running.lock().await.as_ref().map(|r| r.plug.clone());
    let plug = plug.ok_or_else(|| refused("the board is off"))?;
    plug.send_replace(false);
    board.unplugged.fetch_add(1, Ordering::SeqCst);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(seconds.min(600))).await;
        plug.send_replace(true);
    });
    Ok(Json(json!({})))
}
