//! RIFF: AVI by its main header and index, WAVE by its rate.

use std::io::{self, Read, Seek};

use super::{Condition, Container, Facts, le32, millis, read_at};

/// Chunks looked at.
const MOST: usize = 10_000;

pub(super) fn probe<F: Read + Seek>(file: &mut F, size: u64) -> io::Result<Facts> {
    let mut head = [0u8; 12];
    let got = read_at(file, 0, &mut head)?;
    let head = head.get(..got).unwrap_or_default();
    let said = le32(head, 4).map_or(0, |n| u64::from(n) + 8);
    match head.get(8..12) {
        Some(b"AVI ") => avi(file, size, said),
        Some(b"WAVE") => wave(file, size, said),
        _ => Ok(Facts::of(Container::Other, Condition::Unknown)),
    }
}

fn avi<F: Read + Seek>(file: &mut F, size: u64, said: u64) -> io::Result<Facts> {
    let mut facts = Facts::of(Container::Avi, Condition::Damaged);
    let (mut index, mut movie, mut cut) = (false, false, said > size);
    let (mut at, mut begun) = (12u64, false);
    for _ in 0..MOST {
        let mut chunk = [0u8; 12];
        let got = read_at(file, at, &mut chunk)?;
        let chunk = chunk.get(..got).unwrap_or_default();
        let (Some(name), Some(length)) = (chunk.get(..4), le32(chunk, 4)) else {
            break;
        };
        match (name, chunk.get(8..12)) {
            (b"LIST", Some(b"hdrl")) => {
                // The main header comes first in its list: 8 bytes of its own chunk, then its fields.
                let mut header = [0u8; 64];
                let got = read_at(file, at + 12, &mut header)?;
                let header = header.get(..got).unwrap_or_default();
                if header.get(..4) == Some(b"avih") {
                    begun = true;
                    let (each, frames) = (le32(header, 8).unwrap_or(0), le32(header, 24).unwrap_or(0));
                    facts.duration_ms = millis(u64::from(each) * u64::from(frames), 1_000_000).filter(|ms| *ms > 0);
                }
            }
            (b"LIST", Some(b"movi")) => movie = true,
            (b"idx1", _) => index = true,
            _ => {}
        }
        let next = at + 8 + u64::from(length) + u64::from(length & 1);
        if next > size + 1 {
            cut = true;
        }
        if next >= size || next <= at {
            break;
        }
        at = next;
    }
    facts.condition = match (begun && movie, index && !cut) {
        (true, true) => Condition::Complete,
        // Players find the frames without the index.
        (true, false) => Condition::Truncated,
        (false, _) => Condition::Damaged,
    };
    Ok(facts)
}

fn wave<F: Read + Seek>(file: &mut F, size: u64, said: u64) -> io::Result<Facts> {
    let mut facts = Facts::of(Container::Wav, Condition::Damaged);
    let (mut at, mut rate) = (12u64, 0u32);
    for _ in 0..MOST {
        let mut chunk = [0u8; 24];
        let got = read_at(file, at, &mut chunk)?;
        let chunk = chunk.get(..got).unwrap_or_default();
        let (Some(name), Some(length)) = (chunk.get(..4), le32(chunk, 4)) else {
            break;
        };
        if name == b"fmt " {
            rate = le32(chunk, 16).unwrap_or(0);
        }
        if name == b"data" {
            let there = u64::from(length).min(size - at - 8);
            facts.duration_ms = millis(there, u64::from(rate));
            let whole = there == u64::from(length) && said <= size;
            facts.condition = if whole {
                Condition::Complete
            } else {
                Condition::Truncated
            };
            break;
        }
        at += 8 + u64::from(length) + u64::from(length & 1);
        if at >= size {
            break;
        }
    }
    Ok(facts)
}
