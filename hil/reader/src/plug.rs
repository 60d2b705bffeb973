//! A serial device behind a link that is there while it is plugged in. Each time it is put in it is another
//! pseudo-terminal, and whoever had the old one open is hung up.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio_serial::{SerialPort, SerialStream};

/// Plays a device for ever. What it does with the line is `act`.
pub(crate) async fn device<F>(link: PathBuf, mut plugged: watch::Receiver<bool>, mut act: F) -> Result<()>
where
    F: AsyncFnMut(SerialStream),
{
    loop {
        if *plugged.borrow_and_update() {
            let (ours, theirs) = SerialStream::pair().context("a pseudo-terminal")?;
            let name = theirs.name().context("a pseudo-terminal without a name")?;
            unlink(&link)?;
            std::os::unix::fs::symlink(&name, &link).with_context(|| format!("linking {}", link.display()))?;
            // The far end is held open as well: between two users the terminal stays, as an adapter does.
            tokio::select! {
                () = act(ours) => anyhow::bail!("the pseudo-terminal broke"),
                changed = plugged.changed() => changed.context("the bench ended")?,
            }
            drop(theirs);
            unlink(&link)?;
        } else {
            plugged.changed().await.context("the bench ended")?;
        }
    }
}

fn unlink(at: &Path) -> Result<()> {
    match std::fs::remove_file(at) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", at.display()))
        }
        _ => Ok(()),
    }
}
