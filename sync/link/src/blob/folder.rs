//! A sink in a folder.
//!
//! On disk: `partial/{edge}/{hex}` holds the bytes, `partial/{edge}/{hex}.at` their durable number and the length in
//! all (`offset length`), written after the bytes were synced and renamed into place. `done/{xx}/{hex}` is a whole blob.
//! An upload that nobody went on with is forgotten by [`FolderSink::expire`]; begun again, it starts at nothing.
//! Recovery: bytes beyond the number in `.at` were not durable; they are cut off before the next part.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::body::Bytes;
use records::Timestamp;
use records::id::EdgeId;
use sha2::{Digest as _, Sha256};

use super::{Digest, Progress, Sink, SinkError};

type Locks = Arc<Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>>;

/// Keeps blobs in a folder of this machine.
#[derive(Clone, Debug)]
pub struct FolderSink {
    root: PathBuf,
    max_bytes: u64,
    locks: Locks,
}

impl FolderSink {
    /// Keeps blobs of at most `max_bytes` each under `root`.
    pub fn new(root: impl Into<PathBuf>, max_bytes: u64) -> Self {
        Self {
            root: root.into(),
            max_bytes,
            locks: Arc::default(),
        }
    }

    /// Where a whole blob is (or would be).
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.root.join("done").join(hex.get(..2).unwrap_or("xx")).join(hex)
    }

    /// Forgets half-finished uploads to which nothing was added since `before`; answers which.
    ///
    /// # Errors
    /// When the folder cannot be read. An upload that cannot be removed is left for the next time.
    pub async fn expire(&self, before: Timestamp) -> Result<Vec<Expired>, SinkError> {
        let folder = self.root.join("partial");
        let listed = tokio::task::spawn_blocking(move || list(&folder)).await;
        let mut gone = Vec::new();
        for (edge, digest) in listed.map_err(|e| SinkError::Failed(e.to_string()))?? {
            match self.on(&edge, &digest, move |upload| upload.expire(before)).await {
                Ok(Some(bytes)) => gone.push(Expired { edge, digest, bytes }),
                Ok(None) => {}
                Err(error) => tracing::warn!(blob.edge = %edge, blob.digest = %digest, %error, "a stale upload stays"),
            }
        }
        Ok(gone)
    }

    /// Removes whole blobs that lay here since before that moment: whoever asked for them never took them away. What is
    /// meant to stay is moved to its own place when it is taken.
    ///
    /// # Errors
    /// When the folder cannot be read. A blob that cannot be removed is left for the next time.
    pub async fn expire_whole(&self, before: Timestamp) -> Result<Vec<(Digest, u64)>, SinkError> {
        let folder = self.root.join("done");
        let gone = tokio::task::spawn_blocking(move || remove_untaken(&folder, before)).await;
        gone.map_err(|e| SinkError::Failed(e.to_string()))?
    }

    fn upload(&self, from: &EdgeId, digest: &Digest) -> Upload {
        let bytes = self.root.join("partial").join(from.as_str()).join(digest.hex());
        Upload {
            at: bytes.with_extension("at"),
            bytes,
            done: self.path(digest),
        }
    }

    /// Runs blocking work on one upload, one at a time.
    async fn on<T, F>(&self, from: &EdgeId, digest: &Digest, work: F) -> Result<T, SinkError>
    where
        T: Send + 'static,
        F: FnOnce(&Upload) -> Result<T, SinkError> + Send + 'static,
    {
        let upload = self.upload(from, digest);
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            locks.entry(upload.bytes.clone()).or_default().clone()
        };
        let _one_at_a_time = lock.lock().await;
        let done = tokio::task::spawn_blocking(move || work(&upload)).await;
        done.map_err(|e| SinkError::Failed(e.to_string()))?
    }
}

/// A half-finished upload that was forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Who began it.
    pub edge: EdgeId,
    /// What it was to become.
    pub digest: Digest,
    /// Bytes that were there.
    pub bytes: u64,
}

/// Every upload that is under way.
fn list(folder: &Path) -> Result<Vec<(EdgeId, Digest)>, SinkError> {
    let mut found = std::collections::BTreeSet::new();
    for edge in entries(folder)? {
        let Some(id) = edge.file_name().and_then(|n| EdgeId::parse(n.to_str()?)) else {
            continue;
        };
        for file in entries(&edge)? {
            let digest = file
                .file_stem()
                .and_then(|hex| Digest::parse(&format!("sha256:{}", hex.to_str()?)));
            found.extend(digest.map(|digest| (id.clone(), digest)));
        }
    }
    Ok(found.into_iter().collect())
}

fn remove_untaken(folder: &Path, before: Timestamp) -> Result<Vec<(Digest, u64)>, SinkError> {
    let mut gone = Vec::new();
    for shelf in entries(folder)? {
        for path in entries(&shelf)? {
            let name = path.file_name().and_then(|hex| hex.to_str());
            let digest = name.and_then(|hex| Digest::parse(&format!("sha256:{hex}")));
            let (Some(digest), Ok(metadata)) = (digest, path.metadata()) else {
                continue; // taken meanwhile, or not a blob
            };
            if modified(&metadata)? >= before.as_micros() {
                continue;
            }
            match std::fs::remove_file(&path) {
                Ok(()) => gone.push((digest, metadata.len())),
                Err(error) => tracing::warn!(blob.digest = %digest, %error, "a blob that nobody took stays"),
            }
        }
    }
    Ok(gone)
}

/// Microseconds since 1970.
fn modified(metadata: &std::fs::Metadata) -> Result<i64, SinkError> {
    let since = metadata.modified()?.duration_since(std::time::UNIX_EPOCH);
    Ok(i64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(i64::MAX))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, SinkError> {
    match std::fs::read_dir(folder) {
        Ok(read) => Ok(read.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e.into()),
    }
}

struct Upload {
    bytes: PathBuf,
    at: PathBuf,
    done: PathBuf,
}

impl From<std::io::Error> for SinkError {
    fn from(e: std::io::Error) -> Self {
        match e.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Failed(e.to_string()),
        }
    }
}

impl Upload {
    fn progress(&self) -> Result<Progress, SinkError> {
        if self.done.exists() {
            return Ok(Progress::Complete);
        }
        let text = match std::fs::read_to_string(&self.at) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(SinkError::Missing),
            Err(e) => return Err(e.into()),
        };
        let numbers = text
            .split_once(' ')
            .and_then(|(a, b)| Some((a.parse().ok()?, b.trim().parse().ok()?)));
        numbers
            .map(|(offset, length)| Progress::Partial { offset, length })
            .ok_or(SinkError::Missing)
    }

    fn note(&self, offset: u64, length: u64) -> Result<(), SinkError> {
        let new = self.at.with_extension("new");
        let mut file = std::fs::File::create(&new)?;
        write!(file, "{offset} {length}")?;
        file.sync_all()?;
        std::fs::rename(&new, &self.at)?;
        sync_folder(&self.at)
    }

    fn begin(&self, length: u64) -> Result<Progress, SinkError> {
        match self.progress() {
            Ok(Progress::Partial { length: known, .. }) if known != length => Err(SinkError::Mismatch),
            Err(SinkError::Missing) => {
                if let Some(folder) = self.bytes.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                self.note(0, length)?;
                if length == 0 {
                    self.finish()
                } else {
                    Ok(Progress::Partial { offset: 0, length })
                }
            }
            known => known,
        }
    }

    /// Removes everything of an upload last touched before that; answers its size.
    fn expire(&self, before: Timestamp) -> Result<Option<u64>, SinkError> {
        // `.at` goes first: without it the bytes count for nothing.
        let files = [&self.at, &self.at.with_extension("new"), &self.bytes]
            .map(|path| path.metadata().ok().map(|m| (path.clone(), m)));
        let mut touched = None;
        for (_, metadata) in files.iter().flatten() {
            touched = touched.max(Some(modified(metadata)?));
        }
        if touched.is_none_or(|at| at >= before.as_micros()) {
            return Ok(None);
        }
        let bytes = self.bytes.metadata().map_or(0, |m| m.len());
        for (path, _) in files.iter().flatten() {
            std::fs::remove_file(path)?;
        }
        sync_folder(&self.at)?;
        Ok(Some(bytes))
    }

    fn append(&self, offset: u64, part: &[u8]) -> Result<Progress, SinkError> {
        let (at, length) = match self.progress()? {
            Progress::Complete => return Ok(Progress::Complete),
            Progress::Partial { offset, length } => (offset, length),
        };
        if offset != at || at + part.len() as u64 > length {
            return Err(SinkError::Conflict { offset: at });
        }
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.bytes)?;
        file.set_len(at)?;
        file.seek(SeekFrom::Start(at))?;
        file.write_all(part)?;
        file.sync_all()?;
        let now = at + part.len() as u64;
        self.note(now, length)?;
        if now == length {
            self.finish()
        } else {
            Ok(Progress::Partial { offset: now, length })
        }
    }

    /// Checks the whole and gives it its name.
    fn finish(&self) -> Result<Progress, SinkError> {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&self.bytes)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0u8; 1 << 20];
        loop {
            let n = file.read(&mut buffer)?;
            let Some(read) = buffer.get(..n).filter(|read| !read.is_empty()) else {
                break;
            };
            hash.update(read);
        }
        let named = self.done.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if Digest::finish(hash).hex() != named {
            std::fs::remove_file(&self.bytes)?;
            std::fs::remove_file(&self.at)?;
            return Err(SinkError::Mismatch);
        }
        if let Some(folder) = self.done.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::rename(&self.bytes, &self.done)?;
        sync_folder(&self.done)?;
        std::fs::remove_file(&self.at)?;
        Ok(Progress::Complete)
    }
}

/// Makes a rename durable.
fn sync_folder(of: &Path) -> Result<(), SinkError> {
    if let Some(folder) = of.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[async_trait]
impl Sink for FolderSink {
    async fn begin(&self, from: &EdgeId, digest: &Digest, length: u64) -> Result<Progress, SinkError> {
        if length > self.max_bytes {
            return Err(SinkError::Full);
        }
        self.on(from, digest, move |upload| upload.begin(length)).await
    }

    async fn progress(&self, from: &EdgeId, digest: &Digest) -> Result<Progress, SinkError> {
        self.on(from, digest, Upload::progress).await
    }

    async fn append(&self, from: &EdgeId, digest: &Digest, offset: u64, part: Bytes) -> Result<Progress, SinkError> {
        self.on(from, digest, move |upload| upload.append(offset, &part)).await
    }
}
