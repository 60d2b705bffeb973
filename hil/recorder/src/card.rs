//! The card that recorders of a shelf keep their recordings on: a real file system in an image behind the kernel's loop
//! device, which can stop to give its bytes from some place on (EIO, as a worn or badly seated card does) and give them
//! again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Bytes of a card.
const SIZE: u64 = 64 << 20;
/// Bytes of a block of its file system.
const BLOCK: usize = 4096;

/// A card, mounted where recorders are plugged. It is taken out when the value ends.
#[derive(Debug)]
pub struct Card {
    image: PathBuf,
    at: PathBuf,
    device: String,
    broken: Option<Broken>,
}

/// Where a card is to fail: the middle of a recording.
#[derive(Debug)]
pub struct Weakness {
    from: u64,
    /// What it will not give.
    lost: Vec<u8>,
}

/// A failed card.
#[derive(Debug)]
struct Broken {
    at: Weakness,
    /// What was written behind that place since, by its place.
    written: BTreeMap<u64, Vec<u8>>,
}

impl Card {
    /// Makes its file system in an image and mounts it at a folder.
    ///
    /// # Errors
    /// When it cannot be made and mounted, which takes root.
    pub fn new(image: &Path, at: &Path) -> Result<Self> {
        fs::create_dir_all(at)?;
        let [file, folder] = [image, at].map(|path| path.to_str().context("a path that is no text"));
        let (file, folder) = (file?, folder?);
        // What a killed run left of it.
        let _ = Command::new("umount").args(["-l", folder]).output();
        for device in run("losetup", &["--noheadings", "--output", "NAME", "--associated", file])?.lines() {
            run("losetup", &["--detach", device.trim()])?;
        }
        File::create(image)?.set_len(SIZE)?;
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
            broken: None,
        };
        run("mount", &["-t", "ext4", &card.device, folder])?;
        fs::remove_dir(at.join("lost+found")).context("the folder that only a file system's repair needs")?;
        Ok(card)
    }

    /// The middle of a recording on the card, found before it is needed: looking for it takes its time.
    ///
    /// # Errors
    /// When the recording is not there, is too short to have a middle, or the card cannot be read.
    pub fn weakness(&self, file: &Path) -> Result<Weakness> {
        let content = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        run("sync", &["-f", self.at.to_str().context("a path that is no text")?])?;
        let image = fs::read(&self.image)?;
        let middle = content.len() / 2 / BLOCK * BLOCK;
        let block = content.get(middle..middle + 64).filter(|_| middle > 0);
        let block = block.with_context(|| format!("{} has no middle", file.display()))?;
        // A file's blocks are blocks of the card.
        drop_caches()?;
        let at = image.chunks(BLOCK).position(|there| there.starts_with(block));
        let from = at.context("the recording is not on the card")? * BLOCK;
        Ok(Weakness {
            from: from as u64,
            lost: image.get(from..).unwrap_or_default().to_vec(),
        })
    }

    /// From now on the kernel gets nothing of the last half of that recording, and of what lies behind.
    ///
    /// # Errors
    /// When the card is broken already or its image cannot be touched.
    pub fn fail(&mut self, at: Weakness) -> Result<()> {
        ensure!(self.broken.is_none(), "the card is broken already");
        File::options().write(true).open(&self.image)?.set_len(at.from)?;
        let written = BTreeMap::new();
        self.broken = Some(Broken { at, written });
        drop_caches()
    }

    /// Stays broken: what was written behind the place meanwhile would let the card give zeros where it is to fail, and is put
    /// aside until it is mended. To be called again and again.
    ///
    /// # Errors
    /// When its image cannot be touched.
    pub fn hold(&mut self) -> Result<()> {
        let Some(broken) = &mut self.broken else { return Ok(()) };
        let from = broken.at.from;
        if fs::metadata(&self.image)?.len() <= from {
            return Ok(());
        }
        let image = File::options().read(true).write(true).open(&self.image)?;
        let mut more = vec![0u8; usize::try_from(image.metadata()?.len().saturating_sub(from))?];
        image.read_exact_at(&mut more, from)?;
        image.set_len(from)?;
        for (n, block) in more
            .chunks(BLOCK)
            .enumerate()
            .filter(|(_, b)| b.iter().any(|b| *b != 0))
        {
            broken.written.insert(from + (n * BLOCK) as u64, block.to_vec());
        }
        Ok(())
    }

    /// It gives its bytes again, all as they were or as they were written since.
    ///
    /// # Errors
    /// When its image cannot be touched.
    pub fn mend(&mut self) -> Result<()> {
        self.hold()?;
        if let Some(Broken { at, written }) = self.broken.take() {
            let image = File::options().write(true).open(&self.image)?;
            image.write_all_at(&at.lost, at.from)?;
            for (place, block) in written {
                image.write_all_at(&block, place)?;
            }
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

/// What the kernel remembers of its files would hide that the card does not give them.
fn drop_caches() -> Result<()> {
    fs::write("/proc/sys/vm/drop_caches", "1").context("making the kernel forget what it read")
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
