//! Recording of one participant: frames go to a thread that writes, so that a slow disk does not stop the call.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::webm::{Film, Track, key_frame};

/// About ten seconds of a call.
const WAITING: usize = 1_000;

struct Frame {
    track: Track,
    at_ms: u64,
    key: bool,
    data: Arc<[u8]>,
    size: (u16, u16),
}

/// Ids of the recordings being written.
pub(crate) type Writing = Arc<Mutex<std::collections::HashSet<String>>>;

/// The near end of a recording.
#[derive(Debug)]
pub(crate) struct Recorder {
    frames: SyncSender<Frame>,
    begun: Instant,
    has_picture: bool,
    lost: u64,
}

impl Recorder {
    /// Begins a file; the thread ends with the recorder.
    pub(crate) fn begin(path: PathBuf, id: String, writing: Writing, now: Instant) -> std::io::Result<Self> {
        let (frames, waiting) = sync_channel(WAITING);
        let file = File::create_new(path)?;
        lock(&writing).insert(id.clone());
        let names = writing.clone();
        let spawned = std::thread::Builder::new().name("recorder".to_owned()).spawn({
            let id = id.clone();
            move || {
                if let Err(error) = write(file, &waiting) {
                    tracing::error!(recording.id = id, %error, "recording cut off");
                }
                lock(&names).remove(&id);
            }
        });
        if let Err(error) = spawned {
            lock(&writing).remove(&id);
            return Err(error);
        }
        Ok(Self {
            frames,
            begun: now,
            has_picture: false,
            lost: 0,
        })
    }

    /// Takes a frame. Pictures before the first key frame cannot be shown and are left out.
    pub(crate) fn frame(&mut self, track: Track, at: Instant, data: Arc<[u8]>) {
        let key = (track == Track::Video).then(|| key_frame(&data)).flatten();
        if track == Track::Video {
            self.has_picture |= key.is_some();
            if !self.has_picture {
                return;
            }
        }
        let at_ms = u64::try_from(at.saturating_duration_since(self.begun).as_millis()).unwrap_or(u64::MAX);
        let frame = Frame {
            track,
            at_ms,
            key: key.is_some(),
            data,
            size: key.unwrap_or((640, 480)),
        };
        if let Err(TrySendError::Full(_)) = self.frames.try_send(frame) {
            self.lost += 1;
            if self.lost.is_power_of_two() {
                tracing::warn!(recording.lost = self.lost, "the disk is too slow for a recording");
            }
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(file: File, frames: &Receiver<Frame>) -> std::io::Result<()> {
    let Ok(first) = frames.recv() else {
        return Ok(());
    };
    let mut film = Film::begin(BufWriter::new(file), first.size.0, first.size.1)?;
    film.frame(first.track, first.at_ms, first.key, &first.data)?;
    while let Ok(frame) = frames.recv() {
        film.frame(frame.track, frame.at_ms, frame.key, &frame.data)?;
    }
    let mut file = film.finish()?;
    file.flush()?;
    file.get_ref().sync_all()
}
