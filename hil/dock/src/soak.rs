//! The real image in instruction-counted time: the emulator's clock moves with instructions and jumps over idleness, so
//! that a day of the board passes in seconds.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use dock_link::{Deframer, Up};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::time::Instant;

/// A board that says nothing for so long of our time has stopped.
const SILENT: Duration = Duration::from_secs(30);

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Soaked {
    /// Signs of life.
    pub alive: u64,
    /// Frames that did not arrive whole.
    pub bad: u32,
    /// Starts of the board.
    pub boots: u32,
    /// Number of the last event.
    pub events: u32,
}

/// Runs the board for so many of its seconds, a recorder put in and taken out all the while.
///
/// What it says goes into a file: a socket that its reader empties a moment late would hold the board up, and in this
/// time a moment of ours is hours of the board, in which its watchdog would bite.
pub async fn soak(firmware: &Path, folder: &Path, seconds: u64) -> Result<Soaked> {
    let (line, mechanics) = (folder.join("soak.line"), folder.join("soak.mechanics"));
    let said = format!("file:{}", line.display());
    let played = format!("unix:{},server=on,wait=off", mechanics.display());
    let mut qemu = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "qemu-system-arm"])
        .args(crate::machine(firmware, &folder.join("soak.flash"))?)
        .args(["-icount", "shift=3,sleep=off", "-serial", &said, "-serial", &played])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("starting qemu-system-arm")?;
    let (mut hears, mut mechanics) = tokio::io::split(connected(&mechanics).await?);
    let ignoring = tokio::spawn(async move { tokio::io::copy(&mut hears, &mut tokio::io::sink()).await });
    mechanics.write_all(b".\n").await.context("the mechanics' line")?;
    let mut line = tokio::fs::File::open(&line).await.context("what the board says")?;
    let mut deframer = Deframer::new();
    let mut soaked = Soaked {
        alive: 0,
        bad: 0,
        boots: 0,
        events: 0,
    };
    let mut bytes = [0u8; 4096];
    let (mut boot, mut heard) = (None, Instant::now());
    while soaked.alive < seconds {
        let count = line.read(&mut bytes).await.context("what the board says")?;
        if count == 0 {
            if heard.elapsed() > SILENT {
                bail!("the board fell silent after {} s of its time", soaked.alive);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        heard = Instant::now();
        for byte in bytes.iter().take(count) {
            let Some(Ok(Up::Alive(alive))) = deframer.push::<Up>(*byte) else {
                continue;
            };
            soaked.alive += 1;
            if boot != Some(alive.boot) {
                boot = Some(alive.boot);
                soaked.boots += 1;
            }
            soaked.events = alive.last_event;
        }
        play(&mut mechanics, soaked.alive).await?;
    }
    soaked.bad = deframer.frames().bad;
    qemu.kill().await.context("ending the emulator")?;
    ignoring.abort();
    Ok(soaked)
}

/// Out and in again, both long enough to rest; the board's time between them is whatever passes meanwhile.
async fn play(mechanics: &mut (impl AsyncWrite + Unpin), second: u64) -> Result<()> {
    let line = if second.is_multiple_of(2) { "s3=1\n" } else { "s3=0\n" };
    mechanics
        .write_all(line.as_bytes())
        .await
        .context("the mechanics' line")
}

pub(crate) async fn connected(path: &Path) -> Result<UnixStream> {
    let end = tokio::time::Instant::now() + Duration::from_secs(120);
    loop {
        match UnixStream::connect(path).await {
            Ok(stream) => return Ok(stream),
            Err(error) if tokio::time::Instant::now() > end => return Err(error).context("the emulator's line"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
