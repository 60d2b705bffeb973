//! What a walk through damaged data finds, led apart into pictures and sound, with times.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use media::salvage::aac::Sound;
use media::salvage::mp4::Coding;
use media::salvage::nal::{Kind, Piece, Walk};

use crate::Fault;

/// Most that is known of one kind while the other is looked for; only places are kept, no bytes.
const MOST_AHEAD: usize = 4_000_000;
/// Pictures and sound that lie beside each other are so far apart at most: recorders write a second of each in turn.
const BESIDE_NS: u64 = 1_000_000_000;

/// Something found, and when it is to be shown or heard.
struct Timed {
    piece: Piece,
    at_ns: u64,
    lasts_ns: u64,
}

/// The walk, and what it found but nobody asked for yet.
pub(crate) struct Finds {
    walk: Walk<File>,
    bytes: File,
    sound: Option<Sound>,
    frame_ns: u64,
    pictures: VecDeque<Timed>,
    sounds: VecDeque<Timed>,
    /// When the next picture is due.
    seen_ns: u64,
    /// When the next sound is due: this much after the units since then.
    heard: (u64, u64),
    unused: Arc<AtomicU64>,
}

impl Finds {
    pub(crate) fn new(
        file: &File,
        coding: &Coding,
        (begin, end): (u64, u64),
        unused: &Arc<AtomicU64>,
    ) -> Result<Self, Fault> {
        Ok(Self {
            walk: Walk::new(file.try_clone()?, coding, begin, end),
            bytes: file.try_clone()?,
            sound: coding.sound.clone(),
            frame_ns: coding.frame_ns,
            pictures: VecDeque::new(),
            sounds: VecDeque::new(),
            seen_ns: 0,
            heard: (0, 0),
            unused: unused.clone(),
        })
    }

    fn heard_ns(&self) -> u64 {
        let (since, units) = self.heard;
        since + self.sound.as_ref().map_or(0, |s| s.lasts_ns(units))
    }

    /// After damage pictures and sound may have lost unlike much: the one behind catches up.
    fn mend(&mut self) {
        let (seen, heard) = (self.seen_ns, self.heard_ns());
        if self.sound.is_some() && seen.abs_diff(heard) > BESIDE_NS {
            let now = seen.max(heard);
            (self.seen_ns, self.heard) = (now, (now, 0));
        }
    }

    /// Walks on until there is something of a kind.
    fn next(&mut self, picture: bool) -> io::Result<Option<Timed>> {
        loop {
            let (own, other) = if picture {
                (&mut self.pictures, &self.sounds)
            } else {
                (&mut self.sounds, &self.pictures)
            };
            if let Some(found) = own.pop_front() {
                return Ok(Some(found));
            }
            if other.len() >= MOST_AHEAD {
                return Ok(None);
            }
            let piece = self.walk.next_piece()?;
            self.unused.store(self.walk.unused, Ordering::Relaxed);
            let Some(piece) = piece else { return Ok(None) };
            if piece.torn {
                self.mend();
            }
            match piece.kind {
                Kind::Picture { .. } => {
                    let (at_ns, lasts_ns) = (self.seen_ns, self.frame_ns);
                    self.seen_ns = at_ns.saturating_add(lasts_ns);
                    self.pictures.push_back(Timed { piece, at_ns, lasts_ns });
                }
                Kind::Sound => {
                    let at_ns = self.heard_ns();
                    self.heard.1 += 1;
                    let lasts_ns = self.heard_ns() - at_ns;
                    self.sounds.push_back(Timed { piece, at_ns, lasts_ns });
                }
            }
        }
    }

    fn buffer(&mut self, found: &Timed) -> io::Result<gst::Buffer> {
        let mut bytes = vec![0u8; usize::try_from(found.piece.length).unwrap_or(0)];
        self.bytes.seek(SeekFrom::Start(found.piece.at))?;
        self.bytes.read_exact(&mut bytes)?;
        let mut buffer = gst::Buffer::from_slice(bytes);
        if let Some(buffer) = buffer.get_mut() {
            let at = gst::ClockTime::from_nseconds(found.at_ns);
            buffer.set_pts(at);
            buffer.set_dts(at);
            buffer.set_duration(gst::ClockTime::from_nseconds(found.lasts_ns));
            if found.piece.kind == (Kind::Picture { key: false }) {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        Ok(buffer)
    }
}

/// The next picture, or else the next sound: two sources, each in its own thread, ask one walk.
pub(crate) fn next_of(finds: &Mutex<Finds>, picture: bool) -> io::Result<Option<gst::Buffer>> {
    let mut finds = finds.lock().unwrap_or_else(PoisonError::into_inner);
    let found = finds.next(picture)?;
    found.map(|found| finds.buffer(&found)).transpose()
}
