//! TSPL (TSPL2), as spoken by TSC's printers and most other four-inch engines.
//!
//! A page is drawn whole into the image buffer and then printed: `SIZE`, `GAP`, `DIRECTION 1` (upright), `CLS`, `BITMAP`
//! bands, `PRINT 1,1`. In `BITMAP` a 0 is a black dot.

use crate::language::Found;
use crate::raster::Raster;
use crate::sheet::Sheet;
use crate::status::Status;

/// Asks for one byte; answered at any time, also in trouble.
pub const QUESTION: [u8; 3] = *b"\x1b!?";

/// Asks for four bytes between STX and ETX; firmware from 6.29 on.
pub const DETAILS: [u8; 3] = *b"\x1b!S";

/// Rows in one `BITMAP`.
const BAND_ROWS: usize = 256;

/// The answer to [`QUESTION`]: bits that add up.
pub fn status(answer: &[u8]) -> Option<Found<Status>> {
    let byte = *answer.first()?;
    let bit = |mask: u8| byte & mask != 0;
    let value = if bit(0x40) {
        Status::Unknown
    } else if bit(0x04 | 0x08) {
        Status::PaperOut
    } else if bit(0x01) {
        Status::CoverOpen
    } else if bit(0x02 | 0x80) {
        Status::Fault
    } else if bit(0x10) {
        Status::Offline
    } else if bit(0x20) {
        Status::Busy
    } else {
        Status::Ready
    };
    Some(Found { value, used: 1 })
}

/// The answer to [`DETAILS`]: message, warning and two bytes of errors, each counted from 0x40.
pub fn details(answer: &[u8]) -> Option<Found<Status>> {
    let start = answer.iter().position(|b| *b == 0x02)?;
    let rest = answer.get(start + 1..)?;
    let [message, warning, fault, trouble, 0x03, ..] = rest else {
        return None;
    };
    if [message, warning, fault, trouble].iter().any(|b| **b & 0x40 == 0) {
        return Some(Found {
            value: Status::Unknown,
            used: start + 6,
        });
    }
    let value = if trouble & 0x05 != 0 {
        Status::PaperOut
    } else if trouble & 0x20 != 0 {
        Status::CoverOpen
    } else if fault & 0x03 != 0 {
        Status::HeadHot
    } else if fault & 0x08 != 0 {
        Status::Cutter
    } else if fault & 0x3F != 0 || trouble & 0x3F != 0 {
        Status::Fault
    } else if *message == 0x60 {
        Status::Offline
    } else if matches!(message, b'P' | b'W' | b'F' | b'C') {
        Status::Busy
    } else if warning & 0x01 != 0 {
        Status::PaperLow
    } else {
        Status::Ready
    };
    Some(Found { value, used: start + 6 })
}

/// `OUT`: the printer sends the words back when it has come so far.
pub fn fence(tag: &str) -> Vec<u8> {
    format!("OUT \"{tag}\"\r\n").into_bytes()
}

/// The words of [`fence`], wherever they stand.
pub fn fenced(answer: &[u8], tag: &str) -> Option<Found<()>> {
    let at = answer.windows(tag.len().max(1)).position(|w| w == tag.as_bytes())?;
    let rest = answer.get(at + tag.len()..).unwrap_or_default();
    let line_end = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    Some(Found {
        value: (),
        used: at + tag.len() + line_end,
    })
}

/// A page as commands. The first empty line ends whatever half command another sender left.
pub fn encode(page: &Raster, sheet: &Sheet) -> Vec<Vec<u8>> {
    let height = sheet.to_mm(sheet.height.unwrap_or(page.height()));
    let width = sheet.to_mm(sheet.width);
    let mut parts = vec![
        format!(
            "\r\nSIZE {width} mm,{height} mm\r\nGAP {} mm,0 mm\r\nDIRECTION 1\r\nREFERENCE 0,0\r\nSET CUTTER {}\r\nCLS\r\n",
            sheet.gap_mm,
            if sheet.cutter { "1" } else { "OFF" }
        )
        .into_bytes(),
    ];
    let mut y = 0;
    for band in page.bands(BAND_ROWS) {
        let rows = band.len().checked_div(page.stride()).unwrap_or(0);
        let mut part = format!("BITMAP 0,{y},{},{rows},0,", page.stride()).into_bytes();
        part.extend(band.iter().map(|byte| !byte));
        part.extend_from_slice(b"\r\n");
        parts.push(part);
        y += rows;
    }
    parts.push(b"PRINT 1,1\r\n".to_vec());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::Media;

    #[test]
    fn a_page_is_drawn_whole_and_black_is_zero() {
        let mut page = Raster::new(864, 300);
        page.set(0, 0);
        let parts = encode(&page, &Sheet::roll(Media::Mm108, 203));
        let words = |n: usize| String::from_utf8_lossy(&parts[n]).into_owned();
        assert!(
            words(0).starts_with("\r\nSIZE 109 mm,38 mm\r\nGAP 0 mm,0 mm\r\nDIRECTION 1\r\n"),
            "{}",
            words(0)
        );
        assert_eq!(&parts[1][..21], b"BITMAP 0,0,108,256,0,");
        assert_eq!(
            (parts[1][21], parts[1][22], parts[1].len()),
            (0x7F, 0xFF, 21 + 108 * 256 + 2)
        );
        assert!(words(2).starts_with("BITMAP 0,256,108,44,0,"));
        assert_eq!(parts.last().unwrap(), b"PRINT 1,1\r\n");
    }

    #[test]
    fn status_bytes_have_their_meaning() {
        for (byte, status) in [
            (0x00, Status::Ready),
            (0x01, Status::CoverOpen),
            (0x02, Status::Fault),
            (0x04, Status::PaperOut),
            (0x05, Status::PaperOut),
            (0x08, Status::PaperOut),
            (0x10, Status::Offline),
            (0x20, Status::Busy),
            (0x80, Status::Fault),
            (0x41, Status::Unknown),
        ] {
            assert_eq!(super::status(&[byte]).unwrap().value, status, "{byte:x}");
        }
        for (bytes, status) in [
            (*b"@@@@", Status::Ready),
            (*b"@A@@", Status::PaperLow),
            (*b"E@A@", Status::HeadHot),
            (*b"E@H@", Status::Cutter),
            (*b"E@@A", Status::PaperOut),
            (*b"E@@`", Status::CoverOpen),
            (*b"E@@B", Status::Fault),
            (*b"`@@@", Status::Offline),
            (*b"P@@@", Status::Busy),
            (*b"1234", Status::Unknown),
        ] {
            let answer = [&[0x02], bytes.as_slice(), b"\x03\r\n"].concat();
            assert_eq!(details(&answer).unwrap().value, status, "{bytes:?}");
        }
        assert_eq!(details(b"\x02@@"), None);
    }

    #[test]
    fn the_fence_is_found_behind_other_bytes_and_an_old_one_is_not() {
        assert_eq!(fenced(b"\x20YQ17\r\n\x00", "YQ17").unwrap().used, 7);
        assert_eq!(fenced(b"YQ16\r\n", "YQ17"), None);
    }
}
