//! The driver of recorders that show files: what every mass-storage recorder and every network recorder has in common. How
//! the files come to be visible is a [`Medium`]: a block device that is mounted ([`crate::block`]), or a folder.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::profile::{Info, serial};
use crate::{Fault, Found, Identity, Listing, Plugged, Profile, RecorderDriver, Seconds, Source, index, names};

/// How files come to be visible.
pub trait Medium: Send {
    /// Makes them visible for reading; answers where. May be repeated.
    ///
    /// # Errors
    /// See [`Fault`].
    fn open(&mut self) -> Result<PathBuf, Fault>;

    /// Makes them writable.
    ///
    /// # Errors
    /// See [`Fault`].
    fn allow_writing(&mut self) -> Result<(), Fault>;

    /// Ends it.
    ///
    /// # Errors
    /// See [`Fault`].
    fn close(&mut self) -> Result<(), Fault>;

    /// Whether it is still there.
    fn present(&self) -> bool;

    /// Identifier of the volume, perhaps empty.
    fn volume(&self) -> String;

    /// Whether files may come while it is open.
    fn is_live(&self) -> bool {
        false
    }
}

/// A recorder that shows files.
#[derive(Debug)]
pub struct Storage<M> {
    medium: M,
    profile: Profile,
    root: Option<PathBuf>,
}

impl<M: Medium> Storage<M> {
    /// On this medium.
    pub const fn new(medium: M, profile: Profile) -> Self {
        Self {
            medium,
            profile,
            root: None,
        }
    }

    fn root(&mut self) -> Result<PathBuf, Fault> {
        if !self.medium.present() {
            return Err(Fault::Gone);
        }
        if let Some(root) = &self.root {
            return Ok(root.clone());
        }
        let root = self.medium.open()?;
        self.root = Some(root.clone());
        Ok(root)
    }

    fn info(&mut self) -> Result<Info, Fault> {
        let root = self.root()?;
        let entry = std::fs::read_dir(&root)
            .map_err(Fault::Card)?
            .filter_map(Result::ok)
            .find(|e| {
                e.file_name()
                    .to_str()
                    .is_some_and(|n| n.eq_ignore_ascii_case(&self.profile.info_file))
            })
            .filter(|e| e.file_type().is_ok_and(|t| t.is_file()));
        let Some(entry) = entry else {
            return Ok(Info::default());
        };
        let mut bytes = Vec::new();
        let opened = File::open(entry.path()).map_err(Fault::Card)?;
        opened.take(Info::MOST).read_to_end(&mut bytes).map_err(Fault::Card)?;
        Ok(Info::parse(&bytes))
    }

    /// A card error of a recorder that is gone is that it is gone.
    fn judged<T>(&self, done: Result<T, Fault>) -> Result<T, Fault> {
        match done {
            Err(Fault::Card(_)) if !self.medium.present() => Err(Fault::Gone),
            other => other,
        }
    }
}

impl<M: Medium> RecorderDriver for Storage<M> {
    fn unlock(&mut self) -> Result<(), Fault> {
        self.root().map(drop)
    }

    fn identify(&mut self) -> Result<Identity, Fault> {
        let info = self.info();
        let info = self.judged(info)?;
        let said = info.get(&self.profile.serial_keys);
        let Some(number) = said.and_then(serial) else {
            return Err(Fault::Nameless(match said {
                Some(_) => format!("{} 中的序列号不合规", self.profile.info_file),
                None => format!("缺少 {} 或其中没有序列号", self.profile.info_file),
            }));
        };
        Ok(Identity {
            serial: number,
            model: info.get(&self.profile.model_keys).unwrap_or_default().to_owned(),
            volume: self.medium.volume(),
        })
    }

    fn battery(&mut self) -> Result<Option<u8>, Fault> {
        let info = self.info();
        let percent = self.judged(info)?;
        let percent = percent.get(&self.profile.battery_keys).and_then(|t| {
            let digits = t.trim_end_matches('%').trim();
            digits.parse::<u8>().ok()
        });
        Ok(percent.filter(|p| *p <= 100))
    }

    fn clock(&mut self) -> Result<Option<i64>, Fault> {
        let info = self.info();
        let info = self.judged(info)?;
        let told = info.get(&self.profile.clock_keys).and_then(names::clock_text);
        Ok(told.map(|seconds| seconds.saturating_mul(1000)))
    }

    fn list(&mut self, now: Seconds) -> Result<Listing, Fault> {
        let root = self.root()?;
        let listed = index::walk(&root, &self.profile, now).map_err(Fault::Card);
        self.judged(listed)
    }

    fn open(&mut self, file: &Found) -> Result<Box<dyn Read + Send>, Fault> {
        let root = self.root()?;
        let opened = index::open(&root, file);
        Ok(Box::new(self.judged(opened)?))
    }

    fn allow_clearing(&mut self) -> Result<(), Fault> {
        self.root()?;
        let allowed = self.medium.allow_writing();
        self.judged(allowed)
    }

    fn clear(&mut self, file: &Found) -> Result<(), Fault> {
        let root = self.root()?;
        let cleared = index::delete(&root, file);
        self.judged(cleared)
    }

    fn set_clock(&mut self, now: Seconds) -> Result<(), Fault> {
        if self.profile.clock_file.is_empty() {
            return Err(Fault::Unable("校时"));
        }
        let path = self.root()?.join(&self.profile.clock_file);
        let text = names::as_clock_text(now).ok_or(Fault::Unable("校时"))?;
        let written = write_small(&path, &text).map_err(Fault::Card);
        self.judged(written)
    }

    fn eject(&mut self) -> Result<(), Fault> {
        self.root = None;
        self.medium.close()
    }

    fn present(&self) -> bool {
        self.medium.present()
    }

    fn is_live(&self) -> bool {
        self.medium.is_live()
    }
}

/// Replaces a small file of the recorder; never through a link.
fn write_small(path: &Path, text: &str) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A folder as medium.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The folder that was there at first: another one of the same name is another recorder.
    own: Option<(u64, u64)>,
}

impl Folder {
    /// This folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let own = identity(&path);
        Self { path, own }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path).ok().filter(std::fs::Metadata::is_dir)?;
    Some((metadata.dev(), metadata.ino()))
}

impl Medium for Folder {
    fn open(&mut self) -> Result<PathBuf, Fault> {
        if self.present() {
            Ok(self.path.clone())
        } else {
            Err(Fault::Gone)
        }
    }
    fn allow_writing(&mut self) -> Result<(), Fault> {
        Ok(())
    }
    fn close(&mut self) -> Result<(), Fault> {
        Ok(())
    }
    fn present(&self) -> bool {
        self.own.is_some() && identity(&self.path) == self.own
    }
    fn volume(&self) -> String {
        String::new()
    }
    fn is_live(&self) -> bool {
        true
    }
}

/// A folder in which each subfolder is a recorder: where network recorders upload to (directory watch), or where somebody
/// else mounts what is plugged.
#[derive(Debug)]
pub struct Folders {
    root: PathBuf,
    profile: Profile,
}

impl Folders {
    /// Below this folder.
    pub fn new(root: impl Into<PathBuf>, profile: Profile) -> Self {
        Self {
            root: root.into(),
            profile,
        }
    }
}

impl Source for Folders {
    fn plugged(&mut self) -> io::Result<Vec<Plugged>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.root)? {
            let path = entry?.path();
            let Some((device, inode)) = identity(&path) else {
                continue;
            };
            let name = path.file_name().map(|n| names::shown(Path::new(n))).unwrap_or_default();
            if name.starts_with('.') {
                continue;
            }
            found.push(Plugged {
                key: format!("{}/{device}/{inode}", path.display()),
                port: name.clone(),
                place: name,
                controller: self.root.display().to_string(),
                path,
            });
        }
        found.sort();
        Ok(found)
    }

    fn driver(&self, plugged: &Plugged) -> Result<Box<dyn RecorderDriver>, Fault> {
        Ok(Box::new(Storage::new(Folder::new(&plugged.path), self.profile.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder(root: &Path, name: &str, info: &str) -> PathBuf {
        let path = root.join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("device.inf"), info).unwrap();
        std::fs::write(path.join("a.mp4"), "footage").unwrap();
        path
    }

    #[test]
    fn a_recorder_is_identified_read_cleared_and_given_the_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = recorder(
            folder.path(),
            "1",
            "serial=zfy0001\nmodel=DSJ-A9\nbattery=87%\ntime=2026-11-21 15:04:05\n",
        );
        let mut source = Folders::new(folder.path(), Profile::default());
        let plugged = source.plugged().unwrap();
        assert_eq!((plugged.len(), plugged[0].place.as_str()), (1, "1"));
        let mut driver = source.driver(&plugged[0]).unwrap();
        driver.unlock().unwrap();
        let identity = driver.identify().unwrap();
        assert_eq!(
            (identity.serial.as_str(), identity.model.as_str()),
            ("ZFY0001", "DSJ-A9")
        );
        assert_eq!(driver.battery().unwrap(), Some(87));
        assert_eq!(driver.clock().unwrap(), Some(1_795_244_645_000));
        let listing = driver.list(0).unwrap();
        assert_eq!(listing.files.len(), 1);
        let mut text = String::new();
        driver
            .open(&listing.files[0])
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "footage");
        driver.allow_clearing().unwrap();
        driver.clear(&listing.files[0]).unwrap();
        driver.set_clock(1_795_244_645).unwrap();
        assert_eq!(
            std::fs::read_to_string(path.join("SETTIME.TXT")).unwrap(),
            "2026-11-21 15:04:05"
        );
        assert!(driver.list(0).unwrap().files.is_empty());
        driver.eject().unwrap();
    }

    #[test]
    fn a_pulled_recorder_is_gone_and_one_in_its_place_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = recorder(folder.path(), "1", "sn=ZFY0001");
        let mut source = Folders::new(folder.path(), Profile::default());
        let first = source.plugged().unwrap();
        let mut driver = source.driver(&first[0]).unwrap();
        driver.unlock().unwrap();
        std::fs::rename(&path, folder.path().join(".pulled")).unwrap();
        assert!(!driver.present());
        assert!(matches!(driver.list(0), Err(Fault::Gone)));
        recorder(folder.path(), "1", "sn=ZFY0002");
        assert!(!driver.present());
        assert_ne!(source.plugged().unwrap()[0].key, first[0].key);
    }

    #[test]
    fn a_recorder_that_does_not_say_who_it_is_is_not_guessed() {
        let folder = tempfile::tempdir().unwrap();
        for (name, info) in [("1", "model=X"), ("2", "serial=../../etc"), ("3", "")] {
            let path = recorder(folder.path(), name, info);
            let mut driver = Storage::new(Folder::new(path), Profile::default());
            assert!(matches!(driver.identify(), Err(Fault::Nameless(_))), "{info}");
        }
        let path = recorder(folder.path(), "4", "serial=ZFY0004\nbattery=900\ntime=soon");
        let mut driver = Storage::new(Folder::new(path), Profile::default());
        assert_eq!((driver.battery().unwrap(), driver.clock().unwrap()), (None, None));
    }
}
