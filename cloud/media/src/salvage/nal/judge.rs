//! What a NAL unit is, judged by its head and the parameter sets known so far.

use super::super::mp4::Codec;
use super::super::{h264, h265};
use super::{HEAD, MOST_UNIT, Unit, Walk};

impl<F> Walk<F> {
    /// What begins with these bytes.
    pub(super) fn judge(&self, head: &[u8]) -> Option<(Unit, u64)> {
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
}
