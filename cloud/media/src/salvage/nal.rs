//! Pictures of H.264 and H.265 found in an MP4's data by their own structure (ISO 14496-15: NAL units behind their lengths).
//!
//! Between them lies sound ([`super::aac`]), and what a recorder or an accident left. A unit that follows another directly is
//! believed when its head can be one; after a gap, only when something that can be its successor follows soon. What is found
//! is told by its place: every byte of it lies so in the file.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek};

use super::aac::Units;
use super::mp4::{Codec, Coding};
use super::{be32, h264, h265, read_at};

/// Largest NAL unit believed: a key frame of 1080p has some hundred kilobytes.
const MOST_UNIT: u64 = 4 << 20;
/// Bytes of a unit's head that are looked at.
pub(super) const HEAD: usize = 48;
/// How far after a unit its successor may begin: sound lies between.
const SOON: u64 = 64 << 10;
/// Bytes in which parameter sets are looked for.
const SETS_WITHIN: u64 = 4 << 20;

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

    /// What begins with these bytes.
    fn judge(&self, head: &[u8]) -> Option<(Unit, u64)> {
        let prefix = head.get(..self.length_size)?;
        let length = prefix.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
        let unit = head.get(self.length_size..)?;
        if !(2..=MOST_UNIT).contains(&length) {
            return None;
        }
        let unit = unit.get(..usize::try_from(length).unwrap_or(HEAD).min(unit.len()))?;
        let seen = match self.codec {
            Codec::H264 => self.judge_h264(unit, length),
            Codec::H265 => self.judge_h265(unit, length),
        }?;
        Some((seen, length + self.length_size as u64))
    }

    fn judge_h264(&self, unit: &[u8], length: u64) -> Option<Unit> {
        let header = *unit.first()?;
        let (referred, kind) = (header >> 5 & 3, header & 0x1f);
        if header & 0x80 != 0 {
            return None;
        }
        match (kind, referred) {
            (1, _) | (5, 1..) => {
                // Which sequence it belongs to stands behind what the sequence says how to read: there is one, nearly always.
                let slice = self.sets.sequences.values().find_map(|sequence| {
                    h264::Slice::read(unit, sequence).filter(|s| self.sets.pictures.contains_key(&s.picture_set))
                })?;
                Some(Unit::Slice {
                    first: slice.first,
                    key: slice.key,
                    number: Some(slice.frame_num),
                })
            }
            (6, 0) if length < 64 << 10 => Some(Unit::Before),
            (7, 1..) if length < 1024 && h264::Sequence::read(unit).is_some() => Some(Unit::Before),
            (8, 1..) if length < 1024 && h264::picture_set(unit).is_some_and(|(id, _)| id <= 255) => Some(Unit::Before),
            (9, 0) if length == 2 => Some(Unit::Before),
            (12, 0) => Some(Unit::Within),
            _ => None,
        }
    }

    fn judge_h265(&self, unit: &[u8], length: u64) -> Option<Unit> {
        let kind = h265::kind(unit)?;
        if h265::is_slice(kind) {
            let (first, set) = h265::slice(unit, kind)?;
            let known = self.sets.pictures.contains_key(&set);
            return known.then_some(Unit::Slice {
                first,
                key: h265::is_key(kind),
                number: None,
            });
        }
        match kind {
            32..=34 if length < 2048 => Some(Unit::Before),
            35 if length == 3 => Some(Unit::Before),
            39 if length < 64 << 10 => Some(Unit::Before),
            36..=38 | 40 if length < 64 << 10 => Some(Unit::Within),
            _ => None,
        }
    }

    /// Whether a unit seen after a gap can go on from what was there before it.
    fn goes_on(&self, unit: Unit, before: Option<u32>) -> bool {
        let Unit::Slice {
            key,
            number: Some(number),
            ..
        } = unit
        else {
            return true;
        };
        let Some(before) = before else { return true };
        let slice = h264::Slice {
            first: true,
            picture_set: 0,
            frame_num: number,
            key,
        };
        // Whole pictures may be missing in the gap, so some are allowed to be.
        let near = |sequence: &h264::Sequence| slice.follows(before, sequence);
        self.sets.sequences.values().any(near)
    }

    /// Goes to the next believable unit; answers how far that was.
    fn resync(&mut self) -> io::Result<u64> {
        let from = self.at;
        // What follows directly counts on; after long damage, whatever can begin anew does.
        let begin = from + 1;
        let mut window = vec![0u8; 64 << 10];
        let mut at = begin;
        while at < self.end {
            let most = usize::try_from(self.end - at).unwrap_or(window.len()).min(window.len());
            let got = read_at(&mut self.file, at, window.get_mut(..most).unwrap_or_default())?;
            if got == 0 {
                break;
            }
            // Heads near the window's end are seen in the next one.
            let last = at + got as u64 >= self.end;
            let sure = if last { got } else { got.saturating_sub(HEAD).max(1) };
            for offset in 0..sure {
                let head = window.get(offset..got.min(offset + HEAD)).unwrap_or_default();
                let Some((unit, length)) = self.judge(head) else {
                    continue;
                };
                let place = at + offset as u64;
                let before = if place - from < SOON { self.number } else { None };
                if self.goes_on(unit, before) && self.confirmed(place + length, unit)? {
                    self.at = place;
                    return Ok(place - from);
                }
            }
            at += sure as u64;
        }
        self.at = self.end;
        Ok(self.end - from)
    }

    /// Whether something that can be the successor of a unit follows it, directly or soon.
    fn confirmed(&mut self, after: u64, unit: Unit) -> io::Result<bool> {
        if after > self.end {
            return Ok(false);
        }
        if self.look(after)?.is_some() {
            return Ok(true);
        }
        let Unit::Slice { number, .. } = unit else {
            return Ok(false);
        };
        if self.end - after < HEAD as u64 {
            return Ok(true);
        }
        let mut window = vec![0u8; usize::try_from(SOON.min(self.end - after)).unwrap_or(0)];
        let got = read_at(&mut self.file, after, &mut window)?;
        let read = window.get(..got).unwrap_or_default();
        Ok((0..read.len()).any(|offset| {
            let head = read.get(offset..read.len().min(offset + HEAD)).unwrap_or_default();
            let next = self.judge(head);
            next.is_some_and(|(next, _)| matches!(next, Unit::Slice { .. }) && self.goes_on(next, number))
        }))
    }
}

/// `seq_parameter_set_id`.
fn sequence_number(set: &[u8]) -> Option<u32> {
    let mut bits = super::bits::Bits::new(set.get(4..)?);
    bits.ue().filter(|id| *id <= 31)
}

/// How H.264 pictures are coded, from the parameter sets that some recorders write among them; `None` when there are none.
///
/// # Errors
/// When the file cannot be read.
pub fn coding_within<F: Read + Seek>(file: &mut F, begin: u64, end: u64) -> io::Result<Option<Coding>> {
    let mut data = vec![0u8; usize::try_from(SETS_WITHIN.min(end.saturating_sub(begin))).unwrap_or(0)];
    let got = read_at(file, begin, &mut data)?;
    let data = data.get(..got).unwrap_or_default();
    let unit = |at: usize, kind: u8| {
        let length = usize::try_from(be32(data, at)?)
            .ok()
            .filter(|l| (4..1024).contains(l))?;
        let unit = data.get(at + 4..at + 4 + length)?;
        let header = unit.first()?;
        (header & 0x9f == kind && header & 0x60 != 0).then_some(unit)
    };
    Ok((0..data.len()).find_map(|at| {
        let sequence = unit(at, 7).filter(|s| h264::Sequence::read(s).is_some())?;
        let picture = unit(at + 4 + sequence.len(), 8)?;
        // Its time is not told here; 25 a second is the recorders' usual.
        Coding::from_avc_sets(sequence, picture, 40_000_000)
    }))
}
