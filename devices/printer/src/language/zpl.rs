//! ZPL II. A page is one format with one `^GFA` picture, its rows compressed by ZPL's own run lengths: letters before a
//! digit repeat it (`G`…`Y` 1…19, `g`…`z` 20…400), `,` fills a row with white, `!` with black, `:` repeats the row above.

use crate::language::Found;
use crate::raster::Raster;
use crate::sheet::Sheet;
use crate::status::Status;

/// `~HS`, answered at any time with three lines.
pub const QUESTION: [u8; 3] = *b"~HS";

/// The three lines of [`QUESTION`]: paper out, pause, formats and a partial one, temperatures; head open, ribbon out,
/// labels remaining; the third only ends the answer.
pub fn status(answer: &[u8]) -> Option<Found<Status>> {
    let mut lines = Vec::new();
    let mut used = 0;
    while lines.len() < 3 {
        let rest = answer.get(used..)?;
        let start = rest.iter().position(|b| *b == 0x02)?;
        let length = rest.get(start + 1..)?.iter().position(|b| *b == 0x03)?;
        lines.push(String::from_utf8_lossy(rest.get(start + 1..start + 1 + length)?).into_owned());
        used += start + length + 2;
    }
    let fields: Vec<Vec<&str>> = lines.iter().map(|l| l.split(',').map(str::trim).collect()).collect();
    Some(Found {
        value: meaning(&fields).unwrap_or(Status::Unknown),
        used,
    })
}

fn meaning(lines: &[Vec<&str>]) -> Option<Status> {
    let [first, second, ..] = lines else { return None };
    let number = |line: &[&str], at: usize| line.get(at).and_then(|t| t.parse::<u64>().ok());
    let (first_at, second_at) = (|at| number(first, at), |at| number(second, at));
    let flag = |value: Option<u64>| value.map(|v| v != 0);
    let (paper, pause, formats) = (flag(first_at(1))?, flag(first_at(2))?, first_at(4)?);
    let (partial, corrupt, hot) = (flag(first_at(7))?, flag(first_at(9))?, flag(first_at(11))?);
    let (head, ribbon, remaining) = (flag(second_at(2))?, flag(second_at(3))?, second_at(8)?);
    Some(if paper || ribbon {
        Status::PaperOut
    } else if head {
        Status::CoverOpen
    } else if hot {
        Status::HeadHot
    } else if corrupt {
        Status::Fault
    } else if pause {
        Status::Offline
    } else if formats > 0 || partial || remaining > 0 {
        Status::Busy
    } else {
        Status::Ready
    })
}

/// A page as one format.
pub fn encode(page: &Raster, sheet: &Sheet) -> Vec<u8> {
    let height = sheet.height.unwrap_or(page.height());
    let media = if sheet.height.is_some() { "^MNY" } else { "^MNN" };
    let mode = if sheet.cutter { "^MMC" } else { "^MMT" };
    let bytes = page.stride() * usize::try_from(page.height()).unwrap_or(0);
    let mut out = format!(
        "^XA{media}{mode}^PW{}^LL{height}^LH0,0^FO0,0^GFA,{bytes},{bytes},{},",
        sheet.width,
        page.stride()
    )
    .into_bytes();
    let (mut above, mut digits): (Option<&[u8]>, _) = (None, Vec::with_capacity(2 * page.stride()));
    for row in page.rows() {
        if above == Some(row) {
            out.push(b':');
        } else {
            compress(row, &mut digits, &mut out);
        }
        above = Some(row);
    }
    out.extend_from_slice(b"^FS^PQ1^XZ\r\n");
    out
}

/// A row; `digits` is room that is used again for the next one.
fn compress(row: &[u8], digits: &mut Vec<u8>, out: &mut Vec<u8>) {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    digits.clear();
    digits.extend(row.iter().flat_map(|b| [b >> 4, b & 15]));
    let mut rest = digits.as_slice();
    while let Some(digit) = rest.first().copied() {
        let run = rest.iter().position(|d| *d != digit).unwrap_or(rest.len());
        rest = rest.get(run..).unwrap_or_default();
        if rest.is_empty() && (digit == 0 || digit == 15) {
            out.push(if digit == 0 { b',' } else { b'!' });
            return;
        }
        count(run, out);
        out.extend(HEX.get(usize::from(digit)));
    }
}

/// Repeat letters for a run; a single digit has none.
fn count(mut run: usize, out: &mut Vec<u8>) {
    if run == 1 {
        return;
    }
    while run >= 400 {
        out.push(b'z');
        run -= 400;
    }
    if let Ok(twenties) = u8::try_from(run / 20)
        && twenties > 0
    {
        out.push(b'f' + twenties);
    }
    if let Ok(ones) = u8::try_from(run % 20)
        && ones > 0
    {
        out.push(b'F' + ones);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::Media;

    #[test]
    fn rows_are_compressed_by_runs() {
        let set = |row: &[u8]| {
            let mut out = Vec::new();
            compress(row, &mut Vec::new(), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(set(&[0, 0, 0]), ",");
        assert_eq!(set(&[0xFF; 3]), "!");
        assert_eq!(set(&[0x00, 0x00, 0x18, 0x00]), "J018,");
        assert_eq!(set(&[0xAB, 0xCD]), "ABCD");
        let mut long = vec![0xAA; 210];
        long.push(0x01);
        assert_eq!(set(&long), "zgA01");
    }

    #[test]
    fn a_page_is_one_format() {
        let mut page = Raster::new(16, 3);
        page.fill(0, 0, 16, 1);
        let sheet = Sheet {
            width: 16,
            ..Sheet::roll(Media::Mm108, 203)
        };
        assert_eq!(
            String::from_utf8(encode(&page, &sheet)).unwrap(),
            "^XA^MNN^MMC^PW16^LL3^LH0,0^FO0,0^GFA,6,6,2,!,:^FS^PQ1^XZ\r\n"
        );
    }

    #[test]
    fn status_lines_have_their_meaning() {
        let answer = |first: &str, second: &str| {
            format!("\x02{first}\x03\r\n\x02{second}\x03\r\n\x021234,0\x03\r\n").into_bytes()
        };
        let (calm, shut) = ("030,0,0,1245,000,0,0,0,000,0,0,0", "000,0,0,0,0,2,4,0,00000000,1,000");
        for (first, second, status) in [
            (calm, shut, Status::Ready),
            ("030,1,0,1245,000,0,0,0,000,0,0,0", shut, Status::PaperOut),
            ("030,0,1,1245,000,0,0,0,000,0,0,0", shut, Status::Offline),
            ("030,0,0,1245,002,0,0,0,000,0,0,0", shut, Status::Busy),
            ("030,0,0,1245,000,0,0,1,000,0,0,0", shut, Status::Busy),
            ("030,0,0,1245,000,0,0,0,000,0,0,1", shut, Status::HeadHot),
            (calm, "000,0,1,0,0,2,4,0,00000000,1,000", Status::CoverOpen),
            (calm, "000,0,0,1,0,2,4,0,00000000,1,000", Status::PaperOut),
            (calm, "000,0,0,0,0,2,4,0,00000003,1,000", Status::Busy),
            ("030", "ok", Status::Unknown),
        ] {
            assert_eq!(
                super::status(&answer(first, second)).unwrap().value,
                status,
                "{first} {second}"
            );
        }
        let whole = answer(calm, shut);
        assert_eq!(super::status(&whole[..whole.len() - 4]), None);
    }
}
