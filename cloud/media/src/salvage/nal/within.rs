//! Parameter sets that a recorder wrote among the pictures.

use std::io::{self, Read, Seek};

use super::super::mp4::Coding;
use super::super::{be32, h264, read_at};

/// Bytes in which parameter sets are looked for.
const SETS_WITHIN: u64 = 4 << 20;

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
