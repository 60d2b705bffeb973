//! What footage says of itself: container, begin, length, and whether it is whole. Own readers of MP4, MPEG-TS and RIFF
//! (AVI, WAV), just enough for that; bytes are hostile until read, every length is bounded, nothing is decoded.
//!
//! The truth about a recording is its content: a name may lie, a container that was cut by an empty battery does not say so
//! in its name.

mod mp4;
mod riff;
mod ts;

use std::io::{self, Read, Seek, SeekFrom};

use crate::Seconds;

/// Kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// ISO base media (MP4, MOV), whole or fragmented.
    Mp4,
    /// MPEG transport stream, also with 192-byte packets.
    Ts,
    /// RIFF AVI.
    Avi,
    /// RIFF WAVE.
    Wav,
    /// A still picture.
    Jpeg,
    /// Something else; taken all the same.
    Other,
}

impl Container {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Ts => "ts",
            Self::Avi => "avi",
            Self::Wav => "wav",
            Self::Jpeg => "jpeg",
            Self::Other => "other",
        }
    }
}

/// Whether a file is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// 完整: as its recorder finished it.
    Complete,
    /// 截断: the end is missing; what is there can be played.
    Truncated,
    /// 损坏: it cannot be played as it is (no index, no sync).
    Damaged,
    /// Not a container we read.
    Unknown,
}

impl Condition {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Truncated => "truncated",
            Self::Damaged => "damaged",
            Self::Unknown => "unknown",
        }
    }
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Kind.
    pub container: Container,
    /// Whether it is whole.
    pub condition: Condition,
    /// Begin by the recorder's clock.
    pub created_at: Option<Seconds>,
    /// Length in milliseconds.
    pub duration_ms: Option<u64>,
}

impl Facts {
    const fn of(container: Container, condition: Condition) -> Self {
        Self {
            container,
            condition,
            created_at: None,
            duration_ms: None,
        }
    }
}

/// Reads what a file says of itself. An empty file is damaged.
///
/// # Errors
/// When the file cannot be read; strange content is no error.
pub fn probe<F: Read + Seek>(file: &mut F) -> io::Result<Facts> {
    let size = file.seek(SeekFrom::End(0))?;
    let mut head = [0u8; 16];
    let got = read_at(file, 0, &mut head)?;
    let head = head.get(..got).unwrap_or_default();
    if size == 0 {
        return Ok(Facts::of(Container::Other, Condition::Damaged));
    }
    let at = |offset: usize, magic: &[u8]| head.get(offset..offset + magic.len()) == Some(magic);
    if at(0, b"RIFF") {
        return riff::probe(file, size);
    }
    let boxes: [&[u8]; 6] = [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"];
    if boxes.iter().any(|name| at(4, name)) {
        return mp4::probe(file, size);
    }
    if at(0, &[0xff, 0xd8, 0xff]) {
        let mut tail = [0u8; 2];
        let whole = size >= 4 && read_at(file, size - 2, &mut tail)? == 2 && tail == [0xff, 0xd9];
        let condition = if whole {
            Condition::Complete
        } else {
            Condition::Truncated
        };
        return Ok(Facts::of(Container::Jpeg, condition));
    }
    if let Some(facts) = ts::probe(file, size)? {
        return Ok(facts);
    }
    Ok(Facts::of(Container::Other, Condition::Unknown))
}

/// Reads as much of the buffer as there is from an offset.
fn read_at<F: Read + Seek>(file: &mut F, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    file.seek(SeekFrom::Start(at))?;
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes)
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn millis(units: u64, per_second: u64) -> Option<u64> {
    let ms = u128::from(units) * 1000 / u128::from(per_second.max(1));
    // Longer than a year is a damaged number.
    u64::try_from(ms)
        .ok()
        .filter(|ms| per_second > 0 && *ms < 366 * 86_400_000)
}

#[cfg(test)]
mod tests;
