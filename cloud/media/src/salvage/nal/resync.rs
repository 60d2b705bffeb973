//! After damage: the next unit that can be believed.

use std::io::{self, Read, Seek};

use super::super::{h264, read_at};
use super::{HEAD, SOON, Unit, Walk};

impl<F: Read + Seek> Walk<F> {
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
    pub(super) fn resync(&mut self) -> io::Result<u64> {
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
