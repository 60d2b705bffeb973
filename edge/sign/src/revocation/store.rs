//! Lists as files: `LIST.crl` the full one, `LIST.delta` the newest delta to it. Each is signed by its authority, so that a
//! changed file is found out when it is read. They are files and not rows because some are tens of megabytes: writing such
//! a row would hold up the log.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use gm::crl::MAX_CRL;

use super::lists::ListId;

pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn path(&self, id: &ListId, kind: &str) -> PathBuf {
        self.folder.join(format!("{id}.{kind}"))
    }

    /// Keeps a list durably, in the place of the one before. A delta to the list before goes with it.
    pub(super) fn put(&self, id: &ListId, delta: bool, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let place = self.path(id, if delta { "delta" } else { "crl" });
        let fresh = place.with_extension("new");
        let mut file = File::create(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, &place)?;
        if !delta {
            match fs::remove_file(self.path(id, "delta")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        File::open(&self.folder)?.sync_all()
    }

    /// Deletes a list and its delta; what is not there is gone already.
    pub(super) fn remove(&self, id: &ListId) -> io::Result<()> {
        for kind in ["delta", "crl"] {
            match fs::remove_file(self.path(id, kind)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        File::open(&self.folder)?.sync_all()
    }

    pub(super) fn get(&self, id: &ListId) -> Option<Vec<u8>> {
        read(&self.path(id, "crl")).ok()
    }

    /// Every list with its delta, one at a time in memory. What is no list is passed over.
    pub(super) fn all(&self) -> impl Iterator<Item = (ListId, Vec<u8>, Option<Vec<u8>>)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let ids: Vec<ListId> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let digits = hex::decode(name.strip_suffix(".crl")?).ok()?;
                Some(ListId(digits.try_into().ok()?))
            })
            .collect();
        ids.into_iter().filter_map(|id| {
            let full = read(&self.path(&id, "crl")).ok()?;
            Some((id, full, read(&self.path(&id, "delta")).ok()))
        })
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_CRL as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
