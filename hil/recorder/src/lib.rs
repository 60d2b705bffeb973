//! Work recorders of the bench: each a folder that appears on a shelf when it is plugged and vanishes when it is pulled. A
//! recorder remembers every file it ever recorded, so that afterwards nothing can be lost unnoticed.
//!
//! Misbehaviour on command: files that grow while they are read, names that are hostile, links to elsewhere, a pull at any
//! moment, a card that stops to give its bytes. Shares no code with the product.

mod card;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

pub use card::{Card, Weakness};

/// A recorder.
#[derive(Debug)]
pub struct Recorder {
    serial: String,
    shelf: PathBuf,
    recorded: Vec<Recorded>,
    plugs: u32,
    plugged: Option<PathBuf>,
    random: u64,
}

/// SHA-256 of some bytes, hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A file as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Path on the recorder.
    pub path: PathBuf,
    /// SHA-256 of its content, hex.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

impl Recorder {
    /// A new recorder whose storage lies beside the shelf while it is not plugged.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn new(shelf: &Path, serial: &str, seed: u64) -> Result<Self> {
        let own = Self {
            serial: serial.to_owned(),
            shelf: shelf.to_owned(),
            recorded: Vec::new(),
            plugs: 0,
            plugged: None,
            random: seed | 1,
        };
        fs::create_dir_all(own.storage().join("DCIM"))?;
        own.write_info("2020-01-01 00:00:00")?;
        Ok(own)
    }

    /// Its serial number.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    fn out(&self) -> PathBuf {
        self.shelf.join(format!(".out-{}", self.serial))
    }

    /// Where its storage is now.
    pub fn storage(&self) -> PathBuf {
        self.plugged.clone().unwrap_or_else(|| self.out())
    }

    /// What it says of itself; `clock` is `YYYY-MM-DD hh:mm:ss`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_info(&self, clock: &str) -> Result<()> {
        let text = format!("serial={}\nmodel=BENCH-R1\nbattery=73%\ntime={clock}\n", self.serial);
        fs::write(self.storage().join("DEVICE.INF"), text).context("info file of a recorder")
    }

    /// Records a file of random content; a small MP4 header makes it a video.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn record(&mut self, name: &[u8], bytes: usize) -> Result<Recorded> {
        let path = PathBuf::from("DCIM").join(std::ffi::OsStr::from_bytes(name));
        let content = self.content(bytes);
        fs::write(self.storage().join(&path), &content)?;
        let recorded = Recorded {
            path,
            sha256: hex::encode(Sha256::digest(&content)),
            size: content.len() as u64,
        };
        self.recorded.push(recorded.clone());
        Ok(recorded)
    }

    /// Goes on recording a file, as one that is read too early does; what it was before is not a recording of its own.
    ///
    /// # Errors
    /// When it is not there (any more) or cannot be written.
    pub fn grow(&mut self, name: &[u8], bytes: usize) -> Result<()> {
        let path = PathBuf::from("DCIM").join(std::ffi::OsStr::from_bytes(name));
        let full = self.storage().join(&path);
        let more = self.content(bytes);
        fs::OpenOptions::new().append(true).open(&full)?.write_all(&more)?;
        let content = fs::read(&full)?;
        self.recorded.retain(|r| r.path != path);
        self.recorded.push(Recorded {
            path,
            sha256: hex::encode(Sha256::digest(&content)),
            size: content.len() as u64,
        });
        Ok(())
    }

    /// A link to elsewhere, as no honest recorder has.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn link(&self, name: &str, to: &Path) -> Result<()> {
        std::os::unix::fs::symlink(to, self.storage().join(name)).context("a link on a recorder")
    }

    /// Puts it in; each time it is another folder on the shelf.
    ///
    /// # Errors
    /// When it is in already.
    pub fn plug(&mut self) -> Result<()> {
        anyhow::ensure!(self.plugged.is_none(), "{} is plugged", self.serial);
        self.plugs += 1;
        let to = self.shelf.join(format!("{}-{}", self.serial, self.plugs));
        fs::rename(self.out(), &to)?;
        self.plugged = Some(to);
        Ok(())
    }

    /// Pulls it.
    ///
    /// # Errors
    /// When it is not in.
    pub fn pull(&mut self) -> Result<()> {
        let from = self
            .plugged
            .take()
            .with_context(|| format!("{} is not plugged", self.serial))?;
        fs::rename(from, self.out()).context("pulling a recorder")
    }

    /// Every file it recorded.
    pub fn recorded(&self) -> &[Recorded] {
        &self.recorded
    }

    /// What of that it still holds, by hash.
    ///
    /// # Errors
    /// When its storage cannot be read.
    pub fn held(&self) -> Result<BTreeMap<String, PathBuf>> {
        let mut held = BTreeMap::new();
        for recorded in &self.recorded {
            if let Ok(content) = fs::read(self.storage().join(&recorded.path)) {
                held.insert(hex::encode(Sha256::digest(&content)), recorded.path.clone());
            }
        }
        Ok(held)
    }

    /// The time that was set, if it was.
    pub fn clock_set(&self) -> Option<String> {
        fs::read_to_string(self.storage().join("SETTIME.TXT")).ok()
    }

    fn content(&mut self, bytes: usize) -> Vec<u8> {
        let mut content = Vec::with_capacity(bytes);
        if bytes >= 32 {
            content.extend([0, 0, 0, 16]);
            content.extend(b"ftypisom\0\0\0\0");
        }
        while content.len() < bytes {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            content.extend(self.random.to_le_bytes());
        }
        content.truncate(bytes);
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorder_remembers_what_it_recorded_wherever_it_is() {
        let shelf = tempfile::tempdir().unwrap();
        let mut one = Recorder::new(shelf.path(), "ZFY0001", 7).unwrap();
        one.record(b"a.mp4", 1000).unwrap();
        one.record(b"b\n.mp4", 0).unwrap();
        one.plug().unwrap();
        assert!(one.plug().is_err());
        assert_eq!(one.held().unwrap().len(), 2);
        one.grow(b"a.mp4", 10).unwrap();
        assert_eq!(one.recorded().len(), 2);
        fs::remove_file(one.storage().join("DCIM/a.mp4")).unwrap();
        one.pull().unwrap();
        assert_eq!(one.held().unwrap().len(), 1);
        assert_eq!(one.recorded().iter().map(|r| r.size).sum::<u64>(), 1010);
    }

    fn run_sync(folder: &Path) {
        let done = std::process::Command::new("sync").arg("-f").arg(folder).status();
        assert!(done.unwrap().success());
    }

    /// Half of a recording cannot be read while the card fails; then it is whole again. The card goes with its value.
    #[test]
    fn a_card_fails_in_the_middle_of_a_recording_and_is_mended() {
        let (shelf, images) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut card = Card::new(&images.path().join("card"), shelf.path()).unwrap();
        let mut one = Recorder::new(shelf.path(), "ZFY0002", 9).unwrap();
        let (first, second) = (
            one.record(b"a.mp4", 900_000).unwrap(),
            one.record(b"b.mp4", 2_000_000).unwrap(),
        );
        one.plug().unwrap();
        assert_eq!(one.held().unwrap().len(), 2);
        let path = one.storage().join(&second.path);
        let short = one.record(b"c.mp4", 100).unwrap();
        assert!(card.weakness(&one.storage().join(&short.path)).is_err());
        let middle = card.weakness(&path).unwrap();
        card.fail(middle).unwrap();
        let error = fs::read(&path).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(5));
        assert_eq!(one.held().unwrap().get(&first.sha256), Some(&first.path));
        // What is written to it meanwhile does not make it whole, and is not lost when it is mended.
        fs::write(one.storage().join("later"), [7; 9000]).unwrap();
        run_sync(shelf.path());
        card.hold().unwrap();
        fs::write("/proc/sys/vm/drop_caches", "1").unwrap();
        assert_eq!(fs::read(&path).unwrap_err().raw_os_error(), Some(5));
        card.mend().unwrap();
        fs::write("/proc/sys/vm/drop_caches", "1").unwrap();
        assert_eq!(one.held().unwrap().len(), 3);
        assert_eq!(fs::read(one.storage().join("later")).unwrap(), [7; 9000]);
        let mounted = || {
            fs::read_to_string("/proc/mounts")
                .unwrap()
                .contains(shelf.path().to_str().unwrap())
        };
        assert!(mounted());
        drop(card);
        assert!(!mounted());
    }
}
