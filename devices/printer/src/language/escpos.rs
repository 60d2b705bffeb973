//! ESC/POS.

use crate::language::Found;
use crate::raster::Raster;
use crate::sheet::Sheet;
use crate::status::Status;

/// Rows sent as one picture command; small buffers take this.
const BAND_ROWS: usize = 128;

/// `GS r 1`, answered in order.
pub const FENCE: [u8; 3] = [0x1D, 0x72, 0x01];

/// Kinds of real-time status that are asked for.
pub const QUESTIONS: [u8; 4] = [1, 2, 3, 4];

/// Bytes of an automatic status (`GS a`).
const AUTOMATIC: usize = 4;

/// Bytes of others among the answers: those of an automatic status. More is another language.
const MOST_FOREIGN: usize = AUTOMATIC;

/// `DLE EOT n`.
pub const fn question(n: u8) -> [u8; 3] {
    [0x10, 0x04, n]
}

const fn is_realtime(byte: u8) -> bool {
    byte & 0b1001_0011 == 0b0001_0010
}

/// Reads answers to [`QUESTIONS`], in order. Bytes that are no real-time status are passed over.
pub fn status(answer: &[u8]) -> Option<Found<Status>> {
    let mut bytes = answer.iter().enumerate().filter(|(_, b)| is_realtime(**b));
    let mut next = || bytes.next().map(|(at, b)| (at, *b));
    let ((_, online), (_, cause), (_, error), (last, paper)) = (next()?, next()?, next()?, next()?);
    let bit = |byte: u8, n: u8| byte & (1 << n) != 0;
    let value = if last + 1 > QUESTIONS.len() + MOST_FOREIGN {
        Status::Unknown
    } else if bit(cause, 5) || bit(paper, 5) || bit(paper, 6) {
        Status::PaperOut
    } else if bit(cause, 2) {
        Status::CoverOpen
    } else if bit(error, 3) {
        Status::Cutter
    } else if bit(error, 6) {
        // Recovers by itself: the head cools.
        Status::HeadHot
    } else if bit(cause, 6) || bit(error, 5) || bit(error, 2) {
        Status::Fault
    } else if bit(online, 3) {
        Status::Offline
    } else if bit(paper, 2) || bit(paper, 3) {
        Status::PaperLow
    } else {
        Status::Ready
    };
    Some(Found { value, used: last + 1 })
}

/// The answer to [`FENCE`]. An automatic status is passed over whole: some printers send it without being asked, e.g. when
/// the roll runs low in the midst of a job, and three of its four bytes look like an answer.
pub fn fenced(answer: &[u8]) -> Option<Found<()>> {
    let mut at = 0;
    loop {
        let byte = *answer.get(at)?;
        if byte & 0b1001_0011 == 0b0001_0000 {
            at += AUTOMATIC;
        } else if byte & 0b1001_0000 == 0 {
            return Some(Found {
                value: (),
                used: at + 1,
            });
        } else {
            at += 1;
        }
    }
}

/// A page as commands: initialise, bands, feed, cut.
pub fn encode(page: &Raster, sheet: &Sheet) -> Vec<Vec<u8>> {
    let mut parts = vec![vec![0x1B, 0x40]];
    let [wide_low, wide_high, ..] = u32::try_from(page.stride()).unwrap_or(0).to_le_bytes();
    for band in page.bands(BAND_ROWS) {
        let rows = band.len().checked_div(page.stride()).unwrap_or(0);
        let [low, high, ..] = u32::try_from(rows).unwrap_or(0).to_le_bytes();
        let mut part = vec![0x1D, 0x76, 0x30, 0x00, wide_low, wide_high, low, high];
        part.extend_from_slice(band);
        parts.push(part);
    }
    parts.push(if sheet.cutter {
        vec![0x1B, 0x64, 0x04, 0x1D, 0x56, 0x42, 0x00]
    } else {
        vec![0x1B, 0x64, 0x04]
    });
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_bytes_have_their_meaning() {
        for (bytes, status) in [
            ([0x12, 0x12, 0x12, 0x12], Status::Ready),
            ([0x1A, 0x16, 0x12, 0x12], Status::CoverOpen),
            ([0x1A, 0x52, 0x1A, 0x12], Status::Cutter),
            ([0x1A, 0x52, 0x32, 0x12], Status::Fault),
            ([0x1A, 0x52, 0x52, 0x12], Status::HeadHot),
            ([0x12, 0x12, 0x12, 0x72], Status::PaperOut),
            ([0x12, 0x12, 0x12, 0x1E], Status::PaperLow),
            ([0x1A, 0x12, 0x12, 0x12], Status::Offline),
        ] {
            assert_eq!(super::status(&bytes).unwrap().value, status, "{bytes:x?}");
        }
        assert_eq!(super::status(&[0x12, 0x12, 0x12]), None);
        let nonsense = b"{\"error\":\"no such command\"} retry, printer error";
        assert_eq!(super::status(nonsense).unwrap().value, Status::Unknown);
        assert_eq!(super::status(&[0xFF, 0x12, 0x00, 0x12, 0x12, 0x12]).unwrap().used, 6);
    }

    #[test]
    fn an_automatic_status_in_the_midst_of_a_job_is_not_its_end() {
        let low = [0x10, 0x00, 0x00, 0x03];
        for cut in 0..=low.len() {
            assert_eq!(fenced(&low[..cut]), None);
        }
        assert_eq!(fenced(&[&low[..], &low, &[0x00]].concat()).unwrap().used, 9);
        assert_eq!(fenced(&[0x00]).unwrap().used, 1);
    }
}
