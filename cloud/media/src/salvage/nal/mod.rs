//! Pictures of H.264 and H.265 found in an MP4's data by their own structure (ISO 14496-15: NAL units behind their lengths).
//!
//! Between them lies sound ([`super::aac`]), and what a recorder or an accident left. A unit that follows another directly is
//! believed when its head can be one; after a gap, only when something that can be its successor follows soon. What is found
//! is told by its place: every byte of it lies so in the file.

mod judge;
mod resync;
mod within;

use std::collections::BTreeMap;
use std::io::{self, Read, Seek};

use super::aac::Units;
use super::mp4::{Codec, Coding};
use super::{h264, h265, read_at};

pub use within::coding_within;

/// Largest NAL unit believed: a key frame of 1080p has some hundred kilobytes.
const MOST_UNIT: u64 = 4 << 20;
/// Bytes of a unit's head that are looked at.
pub(super) const HEAD: usize = 48;
/// How far after a unit its successor may begin: sound lies between.
const SOON: u64 = 64 << 10;

/// What a piece of the data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A picture (access unit): NAL units behind their lengths.
    Picture {
        /// Decoding can begin here.
        key: bool,
    },
    /// A unit of sound.
    Sound,
}

/// Something that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it is.
    pub kind: Kind,
    /// Where it begins.
    pub at: u64,
    /// Bytes of it.
    pub length: u64,
    /// Bytes that nobody understands lie before it.
    pub torn: bool,
}

/// The picture being gathered.
#[derive(Clone, Copy, Debug, Default)]
struct Gathered {
    at: u64,
    length: u64,
    key: bool,
    /// There is a slice of it.
    whole: bool,
}

/// What a unit is to a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Comes before a picture's first slice.
    Before,
    /// A slice.
    Slice {
        first: bool,
        key: bool,
        number: Option<u32>,
    },
    /// Belongs to the picture before.
    Within,
}

/// Parameter sets known so far.
#[derive(Clone, Debug, Default)]
struct Sets {
    sequences: BTreeMap<u32, h264::Sequence>,
    /// Picture parameter set → sequence (of H.264).
    pictures: BTreeMap<u32, u32>,
}

/// Walks the data.
pub struct Walk<F> {
    file: F,
    codec: Codec,
    length_size: usize,
    at: u64,
    end: u64,
    sets: Sets,
    number: Option<u32>,
    waiting: Gathered,
    sound: Option<Units>,
    torn: bool,
    /// Bytes that belonged to nothing: damage, and sound that is not understood.
    pub unused: u64,
}

impl<F: Read + Seek> Walk<F> {
    /// From `begin` to `end`.
    pub fn new(file: F, coding: &Coding, begin: u64, end: u64) -> Self {
        let mut own = Self {
            file,
            codec: coding.codec,
            length_size: coding.length_size(),
            at: begin,
            end,
            sets: Sets::default(),
            number: None,
            waiting: Gathered::default(),
            sound: coding.sound.as_ref().and_then(Units::new),
            torn: false,
            unused: 0,
        };
        for set in coding.sets() {
            own.learn(&set);
        }
        own
    }

    /// The next picture or unit of sound.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_piece(&mut self) -> io::Result<Option<Piece>> {
        while self.at < self.end {
            let Some((unit, length)) = self.look(self.at)? else {
                // Whatever comes, the picture before it is complete.
                if let Some(done) = self.take() {
                    return Ok(Some(done));
                }
                if let Some(sound) = self.hear()? {
                    return Ok(Some(sound));
                }
                self.unused += self.resync()?;
                self.torn = true;
                continue;
            };
            if self.at + length > self.end {
                // The last one was being written.
                break;
            }
            let begins = match unit {
                Unit::Before => true,
                Unit::Slice { first, .. } => first,
                Unit::Within => false,
            };
            let done = if begins && self.waiting.whole {
                self.take()
            } else {
                None
            };
            self.keep(unit, length)?;
            if done.is_some() {
                return Ok(done);
            }
        }
        self.unused += self.end.saturating_sub(self.at);
        self.at = self.end;
        Ok(self.take())
    }

    fn take(&mut self) -> Option<Piece> {
        let Gathered { at, length, key, whole } = std::mem::take(&mut self.waiting);
        if !whole {
            self.unused += length;
            return None;
        }
        Some(Piece {
            kind: Kind::Picture { key },
            at,
            length,
            torn: std::mem::take(&mut self.torn),
        })
    }

    /// The unit of sound at this place.
    fn hear(&mut self) -> io::Result<Option<Piece>> {
        let Some(mut units) = self.sound.take() else {
            return Ok(None);
        };
        let rest = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let mut window = vec![0u8; units.window().min(rest)];
        let got = read_at(&mut self.file, self.at, &mut window)?;
        let read = window.get(..got).unwrap_or_default();
        let length = units.length(read, got == rest, &|bytes| self.judge(bytes).is_some());
        self.sound = Some(units);
        Ok(length.map(|length| {
            let (at, length) = (self.at, length as u64);
            self.at += length;
            Piece {
                kind: Kind::Sound,
                at,
                length,
                torn: std::mem::take(&mut self.torn),
            }
        }))
    }

    /// Adds the unit at this place to the picture being gathered.
    fn keep(&mut self, unit: Unit, length: u64) -> io::Result<()> {
        if self.waiting.length == 0 {
            self.waiting.at = self.at;
        }
        match unit {
            Unit::Before => {
                let mut bytes = vec![0u8; usize::try_from(length).unwrap_or(0)];
                read_at(&mut self.file, self.at, &mut bytes)?;
                self.learn(bytes.get(self.length_size..).unwrap_or_default());
            }
            Unit::Slice { key, number, .. } => {
                self.waiting.whole = true;
                self.waiting.key |= key;
                self.number = number.or(self.number);
            }
            Unit::Within => {}
        }
        self.waiting.length += length;
        self.at += length;
        Ok(())
    }

    fn learn(&mut self, set: &[u8]) {
        match self.codec {
            Codec::H264 => match set.first().map(|b| b & 0x1f) {
                Some(7) => {
                    if let Some(sequence) = h264::Sequence::read(set) {
                        let number = sequence_number(set).unwrap_or(0);
                        self.sets.sequences.insert(number, sequence);
                    }
                }
                Some(8) => self.sets.pictures.extend(h264::picture_set(set)),
                _ => {}
            },
            Codec::H265 => {
                if h265::kind(set) == Some(34) {
                    self.sets.pictures.extend(h265::picture_set(set).map(|id| (id, 0)));
                }
            }
        }
    }

    /// What is at a place, with the bytes it takes.
    fn look(&mut self, at: u64) -> io::Result<Option<(Unit, u64)>> {
        let mut head = [0u8; HEAD];
        let most = usize::try_from(self.end.saturating_sub(at)).unwrap_or(HEAD).min(HEAD);
        let got = read_at(&mut self.file, at, head.get_mut(..most).unwrap_or_default())?;
        Ok(self.judge(head.get(..got).unwrap_or_default()))
    }
}

/// `seq_parameter_set_id`.
fn sequence_number(set: &[u8]) -> Option<u32> {
    let mut bits = super::bits::Bits::new(set.get(4..)?);
    bits.ue().filter(|id| *id <= 31)
}
