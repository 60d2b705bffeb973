//! The card that recorders of a shelf keep their recordings on: a real file system in an image behind the kernel's loop
//! device, which can stop to give its bytes from some place on (EIO, as a worn or badly seated card does) and give them
//! again.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Bytes of a card.
const SIZE: u64 = 64 << 20;

/// A card, mounted where recorders are plugged. It is taken out when the value ends.
#[derive(Debug)]
pub struct Card {
    image: PathBuf,
    at: PathBuf,
    device: String,
    /// What the broken part of the image held.
    lost: Option<(u64, Vec<u8>)>,
}

impl Card {
    /// Makes its file system in an image and mounts it at a folder.
    ///
    /// # Errors
    /// When it cannot be made and mounted, which takes root.
    pub fn new(image: &Path, at: &Path) -> Result<Self> {
        fs::create_dir_all(at)?;
        File::create(image)?.set_len(SIZE)?;
        let [file, folder] = [image, at].map(|path| path.to_str().context("a path that is no text"));
        let (file, folder) = (file?, folder?);
        // No journal, and blocks so large that all tables lie before the recordings: only those are lost by a failure.
        run(
            "mkfs.ext4",
            &["-q", "-b", "4096", "-O", "^has_journal", "-m", "0", file],
        )?;
        // Past its end a buffered loop device gives zeros; one with direct I/O gives errors, as a card does.
        let device = run("losetup", &["--find", "--show", "--direct-io=on", file])?;
        let card = Self {
            image: image.to_owned(),
            at: at.to_owned(),
            device,
            lost: None,
        };
        run("mount", &["-t", "ext4", &card.device, folder])?;
        fs::remove_dir(at.join("lost+found")).context("the folder that only a file system's repair needs")?;
        Ok(card)
    }

    /// From now on the kernel gets nothing of the last half of a file on the card, and of what lies behind. Answers whether
    /// the file was (still) there.
    ///
    /// # Errors
    /// When the card is broken already or its image cannot be touched.
    pub fn fail(&mut self, file: &Path) -> Result<bool> {
        ensure!(self.lost.is_none(), "the card is broken already");
        let Ok(content) = fs::read(file) else {
            return Ok(false);
        };
        run("sync", &["-f", self.at.to_str().context("a path that is no text")?])?;
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
        // What the kernel remembers of its files would hide that the card does not give them.
        fs::write("/proc/sys/vm/drop_caches", "1").context("making the kernel forget what it read")?;
        Ok(true)
    }

    /// It gives its bytes again, all as they were.
    ///
    /// # Errors
    /// When its image cannot be touched.
    pub fn mend(&mut self) -> Result<()> {
        if let Some((from, lost)) = self.lost.take() {
            let image = File::options().write(true).open(&self.image)?;
            image.write_all_at(&lost, from)?;
            image.set_len(SIZE)?;
            image.sync_all()?;
        }
        Ok(())
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let _ = self.mend();
        let _ = Command::new("umount").arg("-l").arg(&self.at).output();
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
