//! Rescue of damaged recordings, without decoding anything: what a battery swap leaves is turned into a clean stream of
//! bytes or of coded pictures, in which every byte of a picture is the original's.
//!
//! | damage | what is done |
//! |---|---|
//! | MP4 without its index (`moov`) | [`nal`]: pictures are found in the data by their own structure; how they are coded is told by a good file of the same recorder ([`mp4::Coding`]) or by parameter sets among them; [`aac`]: between them sound, where that file tells how it is coded |
//! | MP4 in fragments, or with the index in front, cut short | the demuxer is fed up to the last byte that is not of the zero tail |
//! | MPEG-TS with a zero tail or garbage within | [`ts`]: packets where three sync bytes follow each other |
//! | AVI without its index, with garbage within | [`avi`]: chunks of pictures and sound |
//!
//! All lengths come from the file and are hostile: each is bounded before it is believed, and no reader ever goes backwards.

pub mod aac;
pub mod avi;
mod bits;
mod h264;
mod h265;
pub mod mp4;
pub mod nal;
pub mod ts;

use std::io::{self, Read, Seek, SeekFrom};

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

/// Where a file's content ends: what follows is zeros, the space that a recorder had reserved.
///
/// # Errors
/// When it cannot be read.
pub fn content_end<F: Read + Seek>(file: &mut F) -> io::Result<u64> {
    const STEP: u64 = 1 << 20;
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut buffer = vec![0u8; 1 << 20];
    while end > 0 {
        let begin = end.saturating_sub(STEP);
        let part = buffer
            .get_mut(..usize::try_from(end - begin).unwrap_or(0))
            .unwrap_or_default();
        let got = read_at(file, begin, part)?;
        let read = part.get(..got).unwrap_or_default();
        if let Some(last) = read.iter().rposition(|b| *b != 0) {
            return Ok(begin + last as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at.checked_add(4)?)?
        .try_into()
        .ok()
        .map(u32::from_be_bytes)
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..at.checked_add(8)?)?
        .try_into()
        .ok()
        .map(u64::from_be_bytes)
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at.checked_add(4)?)?
        .try_into()
        .ok()
        .map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests;
