//! MPEG-2 transport streams (ISO 13818-1): length by the clock references (PCR) of the first and the last megabytes.

use std::io::{self, Read, Seek};

use super::{Condition, Container, Facts, millis, read_at};

/// What is looked at of each end.
const WINDOW: usize = 2 << 20;
/// Packets that must follow each other in step.
const PROOF: usize = 5;
/// The clock runs over after so many units of 90 kHz.
const WRAP: u64 = 1 << 33;

pub(super) fn probe<F: Read + Seek>(file: &mut F, size: u64) -> io::Result<Option<Facts>> {
    let mut head = vec![0u8; WINDOW.min(usize::try_from(size).unwrap_or(WINDOW))];
    let got = read_at(file, 0, &mut head)?;
    head.truncate(got);
    let Some((begin, step)) = in_step(&head) else {
        return Ok(None);
    };
    let mut facts = Facts::of(Container::Ts, Condition::Complete);
    let tail_at = size.saturating_sub(WINDOW as u64);
    let mut tail = vec![0u8; head.len()];
    let got = read_at(file, tail_at, &mut tail)?;
    tail.truncate(got);
    let first = clocks(&head, begin, step).next();
    let last = match in_step(&tail) {
        Some((at, step)) => clocks(&tail, at, step).last(),
        None => None,
    };
    // What was reserved and not written is zeros at the end.
    let out_of_step = tail.last_chunk::<188>().is_some_and(|end| end.iter().all(|b| *b == 0));
    let torn = !(size - begin as u64).is_multiple_of(step as u64);
    if out_of_step || torn || last.is_none() {
        facts.condition = Condition::Truncated;
    }
    if let (Some(first), Some(last)) = (first, last) {
        facts.duration_ms = millis((last + WRAP - first) % WRAP, 90_000);
    }
    Ok(Some(facts))
}

/// Where packets begin, and how far they are apart: 188 bytes, or 192 with a time before each.
fn in_step(bytes: &[u8]) -> Option<(usize, usize)> {
    for step in [188, 192] {
        for begin in 0..step {
            let mut sync = (0..PROOF).map(|n| bytes.get(begin + n * step));
            if sync.all(|byte| byte == Some(&0x47)) {
                return Some((begin, step));
            }
        }
    }
    None
}

/// The clock references, in units of 90 kHz.
fn clocks(bytes: &[u8], begin: usize, step: usize) -> impl Iterator<Item = u64> {
    let packets = bytes.get(begin..).unwrap_or_default().chunks(step);
    packets.filter_map(|packet| {
        let [0x47, _, _, control, length, flags, clock @ ..] = packet else {
            return None;
        };
        if control & 0x20 == 0 || *length < 7 || flags & 0x10 == 0 {
            return None;
        }
        let [a, b, c, d, e, ..] = clock else { return None };
        let high = u64::from(u32::from_be_bytes([*a, *b, *c, *d]));
        Some(high << 1 | u64::from(e >> 7))
    })
}
