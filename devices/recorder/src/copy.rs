//! Copying footage with its hashes on the way, read back from the disk behind the writing.
//!
//! On disk: `NAME.part` while bytes come; every [`SYNC`] bytes what was written is made durable (`fdatasync`), dropped from
//! the cache and read again from the disk, while reading and writing go on; cut to what was read, `fsync`, compared with what
//! was read from the recorder, renamed to `NAME`, folder synced. Recovery: a `.part` counts for nothing, whatever its length;
//! the file is copied anew. A `NAME` found after a start is read again by [`read_back`].
//!
//! Memory is constant: [`AHEAD`] pieces of [`PIECE`] bytes per copy; reading, each hash, writing and reading back go on
//! beside each other, and the slowest of them (SM3, or the disk) sets the pace.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};
use sha2::{Digest as _, Sha256};
use sm3::Sm3;

use crate::Fault;

/// Bytes read at once.
pub const PIECE: usize = 1 << 20;
/// Pieces that may be read but not yet hashed or written.
pub const AHEAD: usize = 8;
/// Bytes after which what was written is made durable and read back.
const SYNC: u64 = 32 << 20;

/// A finished copy: durable, and equal to what the disk gave when it was read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Bytes.
    pub size: u64,
    /// SM3 (GB/T 32905) of what the recorder gave.
    pub sm3: [u8; 32],
    /// SHA-256 of the same.
    pub sha256: [u8; 32],
}

/// Told while a copy goes on, and asked whether it shall.
#[derive(Debug, Default)]
pub struct Control {
    /// Bytes written so far.
    pub done: AtomicU64,
    /// Set to end the copy.
    pub stop: AtomicBool,
}

/// Where a copy lies while it is not whole.
pub fn part(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// Copies exactly `size` bytes from `from` to the file `to`, which exists only when all of it is durable.
///
/// # Errors
/// [`Fault::Card`] from reading, [`Fault::Full`] and [`Fault::Disk`] from writing, [`Fault::Changed`] when there are fewer
/// bytes or more, [`Fault::ReadBack`] when the disk gives something else than was written. Nothing is left but perhaps the
/// `.part`.
pub fn copy(from: Box<dyn Read + Send>, size: u64, to: &Path, control: &Control) -> Result<Copied, Fault> {
    let unfinished = part(to);
    let copied = pump(from, size, &unfinished, control)?;
    std::fs::rename(&unfinished, to).map_err(disk)?;
    sync_folder(to)?;
    Ok(copied)
}

/// Removes what an unfinished copy left.
///
/// # Errors
/// When our disk does not work.
pub fn forget(to: &Path) -> Result<(), Fault> {
    match std::fs::remove_file(part(to)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Fault::Disk(error)),
        _ => Ok(()),
    }
}

fn pump(from: Box<dyn Read + Send>, size: u64, to: &Path, control: &Control) -> Result<Copied, Fault> {
    control.done.store(0, Ordering::Relaxed);
    let mut file = File::create(to).map_err(disk)?;
    if size > 0 {
        match fallocate(&file, FallocateFlags::empty(), 0, size) {
            Ok(()) => {}
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(disk(error.into())),
        }
    }
    std::thread::scope(|scope| {
        let (to_sm3, sm3_in) = sync_channel::<Arc<Vec<u8>>>(AHEAD);
        let (to_sha, sha_in) = sync_channel::<Arc<Vec<u8>>>(AHEAD);
        let (to_disk, disk_in) = sync_channel::<Arc<Vec<u8>>>(AHEAD);
        let (spare, spares) = sync_channel::<Vec<u8>>(AHEAD * 2);
        // One more than the one being made durable: the writer runs ahead of the disk by so much and no further.
        let (to_check, check_in) = sync_channel::<u64>(1);
        let reading = scope.spawn(move || read(from, size, &[to_disk, to_sm3, to_sha], &spares, control));
        let sm3 = scope.spawn(move || {
            let mut hash = Sm3::default();
            sm3_in
                .iter()
                .for_each(|piece| sm3::Digest::update(&mut hash, piece.as_slice()));
            <[u8; 32]>::from(sm3::Digest::finalize(hash))
        });
        let sha256 = scope.spawn(move || {
            let mut hash = Sha256::new();
            sha_in.iter().for_each(|piece| hash.update(piece.as_slice()));
            <[u8; 32]>::from(hash.finalize())
        });
        let checking = scope.spawn(move || follow(to, &check_in));
        let written = write(&mut file, &disk_in, &spare, to_check, control);
        // Whoever still reads ends at the closed channel.
        drop(disk_in);
        let died = |_| Fault::Disk(io::Error::other("a copying thread died"));
        let read = reading.join().map_err(died)?;
        let (sm3, sha256) = (sm3.join().map_err(died)?, sha256.join().map_err(died)?);
        let checked = checking.join().map_err(died)?;
        let (written, checked, read) = (written?, checked?, read?);
        if read != size || written != size {
            return Err(Fault::Changed);
        }
        if checked != sha256 {
            return Err(Fault::ReadBack);
        }
        file.set_len(size).map_err(disk)?;
        file.sync_all().map_err(disk)?;
        Ok(Copied { size, sm3, sha256 })
    })
}

/// Reads up to one byte more than `size` and hands each piece to everybody.
fn read(
    mut from: Box<dyn Read + Send>,
    size: u64,
    to: &[SyncSender<Arc<Vec<u8>>>],
    spares: &Receiver<Vec<u8>>,
    control: &Control,
) -> Result<u64, Fault> {
    let mut total = 0u64;
    loop {
        if control.stop.load(Ordering::Relaxed) {
            return Err(Fault::Stopped);
        }
        let left = size.saturating_sub(total).min(PIECE as u64);
        // At the end one byte more is asked for: a file that grew is not the one that was listed.
        let wanted = usize::try_from(left).unwrap_or(PIECE).max(1);
        let mut piece = spares.try_recv().unwrap_or_default();
        piece.resize(wanted, 0);
        let mut filled = 0;
        while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match from.read(rest) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Card(error)),
            }
        }
        piece.truncate(filled);
        total += filled as u64;
        if total > size {
            return Err(Fault::Changed);
        }
        if filled > 0 {
            let piece = Arc::new(piece);
            for one in to {
                if one.send(Arc::clone(&piece)).is_err() {
                    // The writer gave up and says why itself.
                    return Ok(total);
                }
            }
        }
        if filled < wanted || left == 0 {
            return Ok(total);
        }
    }
}

fn write(
    file: &mut File,
    pieces: &Receiver<Arc<Vec<u8>>>,
    spare: &SyncSender<Vec<u8>>,
    to_check: SyncSender<u64>,
    control: &Control,
) -> Result<u64, Fault> {
    let (mut total, mut handed) = (0u64, 0u64);
    for piece in pieces {
        file.write_all(&piece).map_err(disk)?;
        total += piece.len() as u64;
        control.done.store(total, Ordering::Relaxed);
        // The buffer is used again when the hashes are through with it already.
        if let Some(buffer) = Arc::into_inner(piece) {
            let _ = spare.try_send(buffer);
        }
        if total - handed >= SYNC {
            handed = total;
            if to_check.send(total).is_err() {
                // Whoever follows gave up and says why itself.
                return Ok(total);
            }
        }
    }
    if total > handed {
        let _ = to_check.send(total);
    }
    Ok(total)
}

/// Follows the writer: makes durable what it wrote, and reads it again from the disk. Answers the SHA-256 of what the disk
/// gave.
fn follow(path: &Path, written: &Receiver<u64>) -> Result<[u8; 32], Fault> {
    let mut file = File::open(path).map_err(disk)?;
    let (mut hash, mut at, mut buffer) = (Sha256::new(), 0u64, vec![0u8; PIECE]);
    for end in written {
        file.sync_data().map_err(disk)?;
        // Clean now, so it can be dropped: the disk answers, not the memory.
        drop_cached(&file, at, end - at);
        file.seek(SeekFrom::Start(at)).map_err(disk)?;
        let mut range = (&file).take(end - at);
        loop {
            let n = match range.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(disk)?,
            };
            match buffer.get(..n) {
                Some(read) if n > 0 => hash.update(read),
                _ => break,
            }
        }
        // Footage is not read again soon: leave the cache to others.
        drop_cached(&file, at, end - at);
        at = end;
    }
    Ok(hash.finalize().into())
}

/// Drops what is durable from the cache; without effect where the system does not do that.
fn drop_cached(file: &File, at: u64, length: u64) {
    let _ = fadvise(file, at, std::num::NonZeroU64::new(length), Advice::DontNeed);
}

/// Reads a copy of before from the disk itself and compares it with what was read from the recorder.
///
/// # Errors
/// [`Fault::ReadBack`] when they differ, [`Fault::Disk`] when the disk does not give it.
pub fn read_back(path: &Path, expected: &Copied, control: &Control) -> Result<(), Fault> {
    let file = File::open(path).map_err(disk)?;
    if file.metadata().map_err(disk)?.len() != expected.size {
        return Err(Fault::ReadBack);
    }
    drop_cached(&file, 0, 0);
    let hash = sha256(&file, control, Fault::Disk)?;
    drop_cached(&file, 0, 0);
    if hash == (expected.sha256, expected.size) {
        Ok(())
    } else {
        Err(Fault::ReadBack)
    }
}

/// SHA-256 and length of all that `from` gives; `blame` says whose fault a failed read is.
///
/// # Errors
/// What `blame` makes of a failed read; [`Fault::Stopped`].
pub fn sha256(
    mut from: impl Read,
    control: &Control,
    blame: impl Fn(io::Error) -> Fault,
) -> Result<([u8; 32], u64), Fault> {
    let mut buffer = vec![0u8; PIECE];
    let (mut hash, mut total) = (Sha256::new(), 0u64);
    loop {
        if control.stop.load(Ordering::Relaxed) {
            return Err(Fault::Stopped);
        }
        let n = match from.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other.map_err(&blame)?,
        };
        let Some(read) = buffer.get(..n).filter(|read| !read.is_empty()) else {
            return Ok((hash.finalize().into(), total));
        };
        hash.update(read);
        total += n as u64;
    }
}

fn disk(error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Fault::Full,
        _ => Fault::Disk(error),
    }
}

fn sync_folder(of: &Path) -> Result<(), Fault> {
    let Some(folder) = of.parent() else { return Ok(()) };
    File::open(folder).and_then(|f| f.sync_all()).map_err(disk)
}

#[cfg(test)]
mod tests;
