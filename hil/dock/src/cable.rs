//! The cable between the board and the appliance: each time it is put in, a new pseudo-terminal appears behind the same
//! link; pulled out, both are gone and whoever had it open is hung up, as with a USB serial adapter. What the board says
//! meanwhile is lost.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio_serial::{SerialPort, SerialStream};

/// Carries bytes until the board is gone.
pub(crate) async fn relay(board: UnixStream, tty: PathBuf, mut plugged: watch::Receiver<bool>) {
    let (mut from, mut to) = tokio::io::split(board);
    loop {
        let ended = if *plugged.borrow_and_update() {
            carry(&mut from, &mut to, &tty, &mut plugged).await
        } else {
            drain(&mut from, &mut plugged).await
        };
        let _ = std::fs::remove_file(&tty);
        if let Err(error) = ended {
            eprintln!("dock cable: {error:#}");
            return;
        }
    }
}

async fn drain(from: &mut (impl AsyncRead + Unpin), plugged: &mut watch::Receiver<bool>) -> Result<()> {
    let mut lost = [0u8; 512];
    loop {
        tokio::select! {
            changed = plugged.changed() => return changed.context("the board was switched off"),
            read = from.read(&mut lost) => if read.context("the board")? == 0 {
                anyhow::bail!("the board is gone");
            }
        }
    }
}

async fn carry(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    tty: &Path,
    plugged: &mut watch::Receiver<bool>,
) -> Result<()> {
    // The near end is held open as well: between two clients the terminal stays, as an adapter does.
    let (mut ours, theirs) = SerialStream::pair().context("a pseudo-terminal")?;
    let name = theirs.name().context("a pseudo-terminal without a name")?;
    link(Path::new(&name), tty)?;
    let (mut up, mut down) = ([0u8; 512], [0u8; 512]);
    loop {
        tokio::select! {
            changed = plugged.changed() => return changed.context("the board was switched off"),
            read = from.read(&mut up) => {
                let count = read.context("the board")?;
                if count == 0 {
                    anyhow::bail!("the board is gone");
                }
                // Nobody reads at the other end: the terminal is full, and what comes is lost.
                let _ = ours.try_write(up.get(..count).unwrap_or_default());
            }
            read = ours.read(&mut down) => {
                let count = read.context("the pseudo-terminal")?;
                to.write_all(down.get(..count).unwrap_or_default()).await.context("the board")?;
            }
        }
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
