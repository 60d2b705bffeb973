//! What breaks, done to a running site.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bench_recorder::Recorder;
use site::LineState;

use super::{Break, Dice, Ward};

/// Has it break; answers whether it did.
pub(super) async fn strike(
    ward: &Ward,
    broke: Break,
    outage: Duration,
    recorders: &mut [Recorder],
    dice: &mut Dice,
) -> Result<bool> {
    let kill = |name: &'static str| async move {
        let mut site = ward.site.lock().await;
        site.processes().kill(name).await?;
        tokio::time::sleep(outage).await;
        site.processes().restart(name).await?;
        anyhow::Ok(true)
    };
    match broke {
        Break::KillEdge => kill("edge").await,
        Break::KillCloud => kill("cloud").await,
        Break::KillSignd => kill("signd").await,
        Break::LineCut => {
            let before = site::line_faults(&ward.addresses).await?;
            site::set_line(&ward.addresses, LineState::Cut).await?;
            tokio::time::sleep(outage).await;
            site::set_line(&ward.addresses, LineState::Whole).await?;
            Ok(site::line_faults(&ward.addresses).await? > before)
        }
        Break::Unplug => {
            let at = usize::try_from(dice.roll(recorders.len() as u64))?;
            let one = recorders.get_mut(at).context("a recorder")?;
            one.pull()?;
            tokio::time::sleep(outage).await;
            one.plug()?;
            Ok(true)
        }
        Break::FullDisk => {
            let ballast = ward.addresses.data.join("edge/footage/ballast");
            let filled = fill(&ballast)?;
            tokio::time::sleep(outage).await;
            std::fs::remove_file(&ballast)?;
            Ok(filled)
        }
        Break::SpoiltCopy => Ok(spoil(&ward.addresses.data.join("edge/footage"))?),
        Break::Grow => {
            // What is gone already cannot grow; then nothing happened.
            for one in recorders.iter_mut() {
                let name = format!("{}_000123_20261121000000_0000.mp4", one.serial());
                if one.grow(name.as_bytes(), 10_000).is_ok() {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Break::BadCard => bail!("a card fails where there is one"),
    }
}

/// Writes until nothing fits any more.
fn fill(ballast: &Path) -> Result<bool> {
    use std::io::Write;
    let mut file = std::fs::File::create(ballast)?;
    let piece = vec![0u8; 64 << 10];
    for _ in 0..(1 << 16) {
        if file.write_all(&piece).is_err() {
            return Ok(true);
        }
    }
    bail!("the disk for footage is not a small one")
}

/// Changes a byte of some copy that the cloud does not have yet, if there is one.
fn spoil(folder: &Path) -> Result<bool> {
    use std::os::unix::fs::FileExt;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("clp_") && !name.ends_with(".part") && path.metadata().is_ok_and(|m| m.len() > 100) {
            // One that was confirmed and removed meanwhile has nothing to change.
            let Ok(file) = std::fs::File::options().read(true).write(true).open(&path) else {
                continue;
            };
            let mut byte = [0u8];
            file.read_exact_at(&mut byte, 50)?;
            file.write_all_at(&[byte[0] ^ 1], 50)?;
            return Ok(true);
        }
    }
    Ok(false)
}
