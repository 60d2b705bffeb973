//! A recorder's card: a real file system in an image behind the kernel's loop device, which can stop to give its bytes from
//! some place on (EIO, as a worn or badly seated card does) and give them again.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Bytes of a card.
const SIZE: u64 = 64 << 20;

/// A card. It is taken out when the value ends.
#[derive(Debug)]
pub(crate) struct Card {
    image: PathBuf,
    device: String,
    /// What the broken part of the image held.
    lost: Option<(u64, Vec<u8>)>,
}

impl Card {
    /// Makes its file system and mounts it at a folder.
    pub(crate) fn new(image: PathBuf, at: &Path) -> Result<Self> {
        File::create(&image)?.set_len(SIZE)?;
        let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is no text");
        // No journal, and blocks so large that all tables lie before the recordings: only those are lost by a failure.
        let form = ["-q", "-b", "4096", "-O", "^has_journal", "-m", "0", &text(&image)?];
        run("mkfs.ext4", &form)?;
        // Past its end a buffered loop device gives zeros; one with direct I/O gives errors, as a card does.
        let device = run("losetup", &["--find", "--show", "--direct-io=on", &text(&image)?])?;
        let card = Self {
            image,
            device,
            lost: None,
        };
        card.mount(at)?;
        fs::remove_dir(at.join("lost+found")).context("the folder that only a file system's repair needs")?;
        Ok(card)
    }

    fn mount(&self, at: &Path) -> Result<()> {
        let at = at.to_str().context("a path that is no text")?;
        run("mount", &["-t", "ext4", &self.device, at]).map(|_| ())
    }

    /// From now on the kernel gets nothing of the last half of `content`, which lies on the card, and of what lies behind.
    /// Answers whether it could be found there.
    pub(crate) fn fail(&mut self, content: &[u8], at: &Path) -> Result<bool> {
        ensure!(self.lost.is_none(), "the card is broken already");
        // What the kernel remembers of its files would hide that the card does not give them.
        run("sync", &["-f", at.to_str().context("a path that is no text")?])?;
        let whole = fs::read(&self.image)?;
        let Some(tail) = content.len().checked_sub(64).and_then(|from| content.get(from..)) else {
            return Ok(false);
        };
        let Some(end) = whole.windows(tail.len()).rposition(|window| window == tail) else {
            return Ok(false);
        };
        let from = (end - (content.len() / 2).min(end)) / 4096 * 4096;
        let lost = whole.get(from..).unwrap_or_default().to_vec();
        File::options().write(true).open(&self.image)?.set_len(from as u64)?;
        self.lost = Some((from as u64, lost));
        fs::write("/proc/sys/vm/drop_caches", "1").context("making the kernel forget what it read")?;
        Ok(true)
    }

    /// It gives its bytes again, all as they were.
    pub(crate) fn mend(&mut self) -> Result<()> {
        if let Some((from, lost)) = self.lost.take() {
            let image = File::options().write(true).open(&self.image)?;
            image.write_all_at(&lost, from)?;
            image.set_len(SIZE)?;
            image.sync_all()?;
        }
        Ok(())
    }
}

/// Takes a card out: where it was is an ordinary folder again.
pub(crate) fn unmount(at: &Path) {
    let _ = Command::new("umount").arg("-l").arg(at).output();
}

impl Drop for Card {
    fn drop(&mut self) {
        let _ = self.mend();
        let _ = Command::new("losetup").args(["--detach", &self.device]).output();
        let _ = fs::remove_file(&self.image);
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let out = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| program.to_owned())?;
    if !out.status.success() {
        bail!(
            "{program}: {} (root is needed)",
            String::from_utf8_lossy(&out.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
