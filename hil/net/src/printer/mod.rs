//! A network printer on a raw port: ESC/POS, TSPL or ZPL, one connection at a time, and it prints only with paper.

mod condition;
mod engine;
mod escpos;
mod label;
mod parse;
mod slip;
mod tspl;
mod zpl;

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use rig::{ControlError, Faults};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use self::engine::{BUFFER, Engine};
pub use self::parse::Tongue;
use self::parse::{Command, Parser};
use self::slip::Slip;
use crate::NetError;

const KINDS: &[&str] = &[
    "mute",
    "reset_after_bytes",
    "power_after_bytes",
    "paper_out_after_rows",
    "slow",
    "nonsense",
];
/// These happen to whoever connects; the others to a job, from its first command on: a question of status is none.
const OF_A_CONNECTION: &[&str] = &["mute", "slow", "nonsense"];

/// Where and how the printer stands.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The raw port, 9100.
    pub port: SocketAddr,
    /// Control and the slip page.
    pub control: SocketAddr,
    /// What it understands.
    pub tongue: Tongue,
    /// Dots across the head.
    pub dots: usize,
    /// Dots an inch.
    pub dpi: usize,
    /// Speed in rows a second; 0 prints at once.
    pub rows_per_s: u64,
    /// Idle connections are closed after this; 0 never.
    pub idle_s: u64,
    /// Whether paper is in it when it is switched on.
    pub paper: bool,
}

/// Serves until a port fails; `serving` learns the raw and control addresses.
pub async fn run(settings: Settings, serving: impl FnOnce(SocketAddr, SocketAddr)) -> Result<(), NetError> {
    let port = TcpListener::bind(settings.port).await?;
    let control = TcpListener::bind(settings.control).await?;
    let addresses = (port.local_addr()?, control.local_addr()?);
    let engine = Arc::new(Engine::new(
        settings.dots,
        settings.rows_per_s,
        settings.tongue != Tongue::Tspl,
        Faults::new(KINDS),
    ));
    if !settings.paper {
        engine.change(|condition| condition.paper = "out".into());
    }
    let routes = Router::new()
        .route("/", get(page))
        .route("/control/state", get(state).post(set_state))
        .route("/control/jobs", get(jobs).delete(forget))
        .route("/control/jobs/{file}", get(picture))
        .with_state(Arc::clone(&engine))
        .merge(rig::fault_routes(Arc::clone(&engine.faults)));
    serving(addresses.0, addresses.1);
    tokio::try_join!(
        accept(Arc::clone(&engine), port, settings.clone()),
        engine.run(),
        rig::serve_control(control, routes),
    )?;
    Ok(())
}

/// One connection at a time, as these printers do: the next one waits in the backlog.
async fn accept(engine: Arc<Engine>, port: TcpListener, settings: Settings) -> io::Result<()> {
    loop {
        let (stream, peer) = port.accept().await?;
        let ended = converse(&engine, stream, &settings).await;
        tracing::debug!(net.peer = %peer, ended = ?ended, "connection");
        engine.hang_up();
    }
}

async fn converse(engine: &Engine, mut stream: TcpStream, settings: &Settings) -> io::Result<()> {
    let (line, mut answers) = mpsc::unbounded_channel::<Vec<u8>>();
    let mut parser = Parser::new(settings.tongue, settings.dpi);
    let mut buffer = vec![0; 8192];
    let draw = |of_a_connection: bool| {
        let wanted = |kind: &str| OF_A_CONNECTION.contains(&kind) == of_a_connection;
        let fired = engine.faults.next_of("job", &engine.clock, wanted);
        fired.map_or((String::new(), 0), |f| {
            (f.kind.clone(), f.number("bytes", f.number("rows", 1_000)))
        })
    };
    let (habit, slow_ms) = draw(true);
    let mut mishap: Option<(String, u64)> = None;
    let idle = Duration::from_secs(if settings.idle_s == 0 { 86_400 } else { settings.idle_s });
    let mut received = 0_u64;
    loop {
        if !engine.condition().power {
            stream.set_zero_linger()?;
            return Ok(());
        }
        let full = engine.waiting_bytes() >= BUFFER;
        let changed = engine.changed.notified();
        let room = engine.room.notified();
        let count = tokio::select! {
            Some(answer) = answers.recv() => {
                stream.write_all(&answer).await?;
                continue;
            }
            () = changed => continue,
            () = room, if full => continue,
            read = tokio::time::timeout(idle, stream.read(&mut buffer)), if !full => match read {
                Ok(count) => count?,
                Err(_) => return Ok(()),
            },
        };
        if count == 0 {
            return Ok(());
        }
        received += count as u64;
        if habit == "slow" {
            tokio::time::sleep(Duration::from_millis(slow_ms.min(5_000))).await;
        }
        parser.feed(buffer.get(..count).unwrap_or_default());
        let mut left = parser.unfinished();
        while let Some(command) = parser.next() {
            let size = left.saturating_sub(parser.unfinished());
            left = parser.unfinished();
            match command {
                Command::Status(_) | Command::Recover(_) | Command::TsplStatus(_) | Command::ZplStatus
                    if habit == "mute" => {}
                Command::Status(_) | Command::TsplStatus(_) | Command::ZplStatus if habit == "nonsense" => {
                    stream.write_all(b"\x41\x7f{\"error\":\"\xff\xc3").await?;
                }
                Command::Status(n) => stream.write_all(&[engine.condition().status(n)]).await?,
                Command::TsplStatus(b'?') => {
                    let busy = engine.busy();
                    stream.write_all(&[engine.condition().tspl_byte(busy)]).await?;
                }
                Command::TsplStatus(b'S') => {
                    let busy = engine.busy();
                    stream.write_all(&engine.condition().tspl_details(busy)).await?;
                }
                Command::TsplStatus(_) => {}
                Command::ZplStatus => {
                    let (left, partial) = (engine.labels_left(), parser.unfinished() > 0);
                    stream.write_all(&engine.condition().zpl_lines(left, partial)).await?;
                }
                Command::Recover(_) => {
                    engine.change(|c| {
                        if c.error == "cutter" {
                            c.error = "none".into();
                        }
                    });
                }
                other => {
                    if mishap.is_none() {
                        let (kind, limit) = draw(false);
                        if kind == "paper_out_after_rows" {
                            engine.run_out_after(limit.max(1));
                        }
                        mishap = Some((kind, limit));
                    }
                    engine.take(other, size.min(BUFFER), &line);
                }
            }
        }
        let (kind, limit) = mishap.as_ref().map_or(("", 0), |(kind, limit)| (kind.as_str(), *limit));
        if received >= limit && kind == "power_after_bytes" {
            engine.change(|c| c.power = false);
        }
        if received >= limit && kind == "reset_after_bytes" {
            stream.set_zero_linger()?;
            return Ok(());
        }
    }
}

async fn state(State(engine): State<Arc<Engine>>) -> Json<Value> {
    let condition = engine.condition();
    Json(
        json!({"condition": condition, "printing": !condition.stopped(), "waiting_bytes": engine.waiting_bytes(),
        "slips": engine.slips().len()}),
    )
}

async fn set_state(State(engine): State<Arc<Engine>>, Json(asked): Json<Value>) -> Result<Json<Value>, ControlError> {
    let text = |name: &str| asked.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    let flag = |name: &str| asked.get(name).and_then(Value::as_bool);
    for (name, allowed) in [
        ("paper", &["ok", "near_end", "out"][..]),
        ("error", &["none", "cutter", "fatal", "hot"]),
    ] {
        if text(name).is_some_and(|value| !allowed.contains(&value.as_str())) {
            return Err(ControlError(format!("{name} is one of {}", allowed.join(" "))));
        }
    }
    engine.change(|condition| {
        if let Some(paper) = text("paper") {
            condition.paper = paper;
        }
        if let Some(error) = text("error") {
            condition.error = error;
        }
        if let Some(open) = flag("cover_open") {
            condition.cover_open = open;
        }
        if let Some(offline) = flag("offline") {
            condition.offline = offline;
        }
        if let Some(power) = flag("power") {
            condition.power = power;
        }
    });
    Ok(state(State(engine)).await)
}

async fn jobs(State(engine): State<Arc<Engine>>) -> Json<Value> {
    Json(json!(engine.slips().iter().map(Slip::about).collect::<Vec<_>>()))
}

async fn forget(State(engine): State<Arc<Engine>>) -> Json<Value> {
    engine.forget_slips();
    Json(json!({}))
}

async fn picture(State(engine): State<Arc<Engine>>, Path(file): Path<String>) -> Response {
    let id = file.strip_suffix(".png").and_then(|id| id.parse::<u64>().ok());
    let png = engine
        .slips()
        .iter()
        .find(|slip| Some(slip.id) == id)
        .and_then(Slip::png);
    match png {
        Some(png) => ([(header::CONTENT_TYPE, "image/png")], png).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn page(State(engine): State<Arc<Engine>>) -> Html<String> {
    let condition = engine.condition();
    let words = if !condition.power {
        "已断电"
    } else if condition.paper == "out" {
        "缺纸"
    } else if condition.cover_open {
        "机盖打开"
    } else if condition.error != "none" {
        "故障"
    } else if condition.offline {
        "脱机"
    } else if condition.paper == "near_end" {
        "纸将尽"
    } else {
        "正常"
    };
    let mut slips = String::new();
    for slip in engine.slips().iter().rev() {
        let _infallible = write!(
            slips,
            "<figure><figcaption>第{}张 {} {}</figcaption><img src=\"/control/jobs/{}.png\" alt=\"第{}张小票\"></figure>",
            slip.id,
            slip.ended_at,
            if slip.ended_by == "cut" { "" } else { "（未切纸）" },
            slip.id,
            slip.id
        );
    }
    if slips.is_empty() {
        slips = "<p>还没有打印</p>".into();
    }
    Html(format!(
        r#"<!doctype html><html lang="zh-CN"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="refresh" content="5"><title>小票打印机</title><style>
body{{margin:0;background:#dfe3e6;color:#1b2126;font:16px/1.6 system-ui,"Noto Sans CJK SC",sans-serif}} main{{max-width:560px;margin:0 auto;padding:20px 16px}}
h1{{font-size:22px;margin:0}} figure{{margin:20px 0;background:#fff;padding:16px;box-shadow:0 1px 4px #0003}} img{{width:100%;image-rendering:auto}} figcaption{{color:#5a646d;font-size:14px}}
</style><main><h1>小票打印机：{words}</h1>{slips}</main></html>"#
    ))
}
