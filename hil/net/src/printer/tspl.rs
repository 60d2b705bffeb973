//! TSPL bytes into commands: lines of words, `BITMAP` with bytes behind its last comma, and `<ESC>!` at any time.

use super::parse::{Command, Found};

/// A label is not longer than this, whatever `SIZE` says.
const LONGEST_MM: f64 = 2_500.0;

pub(super) fn read(bytes: &[u8], dpi: usize) -> Found {
    match bytes {
        [] => Found::Need,
        [0x1b, b'!', kind, ..] => Found::Take(3, Command::TsplStatus(*kind)),
        [0x1b] | [0x1b, b'!'] => Found::Need,
        [0x1b, ..] => Found::Take(1, Command::Unknown(vec![0x1b])),
        [b'\r' | b'\n' | b' ' | 0, ..] => Found::Take(1, Command::Setting),
        _ if starts(bytes, "BITMAP ") => bitmap(bytes),
        _ if "BITMAP ".as_bytes().starts_with(bytes) => Found::Need,
        _ => match bytes.iter().position(|b| *b == b'\n') {
            Some(end) => {
                let line = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
                Found::Take(end + 1, command(line.trim(), dpi))
            }
            None if bytes.len() > 4_096 => Found::Take(bytes.len(), Command::Unknown(bytes.to_vec())),
            None => Found::Need,
        },
    }
}

fn starts(bytes: &[u8], word: &str) -> bool {
    bytes
        .get(..word.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
}

/// `BITMAP x,y,width in bytes,rows,mode,bytes`; a 0 is black.
fn bitmap(bytes: &[u8]) -> Found {
    let (mut at, mut numbers) = (7, Vec::new());
    while numbers.len() < 5 {
        let Some(length) = bytes.get(at..).and_then(|rest| rest.iter().position(|b| *b == b',')) else {
            return if bytes.len() > 64 && numbers.len() < 5 && at + 64 < bytes.len() {
                Found::Take(bytes.len(), Command::Unknown(b"BITMAP".to_vec()))
            } else {
                Found::Need
            };
        };
        let text = String::from_utf8_lossy(bytes.get(at..at + length).unwrap_or_default());
        numbers.push(text.trim().parse::<usize>().unwrap_or(0));
        at += length + 1;
    }
    let [x, y, width_bytes, rows, mode] = numbers.as_slice() else {
        return Found::Need;
    };
    let length = width_bytes * rows;
    let Some(data) = bytes.get(at..at + length) else {
        return Found::Need;
    };
    let draw = Command::Draw {
        x: *x,
        y: *y,
        width_bytes: *width_bytes,
        data: data.iter().map(|byte| !byte).collect(),
        over: *mode == 0,
    };
    Found::Take(at + length, draw)
}

fn command(line: &str, dpi: usize) -> Command {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let arguments: Vec<&str> = rest.split(',').map(str::trim).collect();
    let argument = |n: usize| arguments.get(n).copied().unwrap_or_default();
    match word.to_ascii_uppercase().as_str() {
        "" => Command::Setting,
        "SIZE" => match rows(argument(1), dpi) {
            Some(rows) => Command::Tall(rows),
            None => Command::Unknown(line.as_bytes().to_vec()),
        },
        "CLS" => Command::Clear,
        "DIRECTION" => Command::Upright(argument(0) == "1"),
        "PRINT" => Command::Emit {
            copies: argument(0).parse::<usize>().unwrap_or(1) * argument(1).parse::<usize>().unwrap_or(1).max(1),
        },
        "OUT" => Command::Say(format!("{}\r\n", rest.trim().trim_matches('"')).into_bytes()),
        "GAP" | "SET" | "REFERENCE" | "DENSITY" | "SPEED" | "OFFSET" | "SHIFT" | "CODEPAGE" => Command::Setting,
        _ => Command::Unknown(line.as_bytes().to_vec()),
    }
}

/// `97 mm`, `780 dot`, or inches.
fn rows(text: &str, dpi: usize) -> Option<usize> {
    let number: f64 = text
        .split_whitespace()
        .next()?
        .trim_end_matches(|c: char| c.is_ascii_alphabetic())
        .parse()
        .ok()?;
    let mm = if text.ends_with("dot") {
        number * 25.4 / f64::from(u32::try_from(dpi).ok()?)
    } else if text.ends_with("mm") {
        number
    } else {
        number * 25.4
    };
    let mm = mm.clamp(0.0, LONGEST_MM);
    // Whole dots that fit.
    let tenths = format!("{:.0}", mm * f64::from(u32::try_from(dpi).ok()?) / 25.4 - 0.5 + 1e-6);
    tenths.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printer::parse::{Parser, Tongue};

    #[test]
    fn a_label_is_read_however_it_is_cut_up() {
        let mut bytes = b"\r\nSIZE 109 mm,2 mm\r\nGAP 0 mm,0 mm\r\nDIRECTION 1\r\nCLS\r\nBITMAP 8,1,2,2,0,".to_vec();
        bytes.extend([0x0a, 0x1b, 0x21, 0x3f]);
        bytes.extend(b"\r\nPRINT 1,1\r\nOUT \"YQ1\"\r\n\x1b!?");
        let expected = [
            Command::Tall(15),
            Command::Upright(true),
            Command::Clear,
            Command::Draw {
                x: 8,
                y: 1,
                width_bytes: 2,
                data: vec![!0x0a, !0x1b, !0x21, !0x3f],
                over: true,
            },
            Command::Emit { copies: 1 },
            Command::Say(b"YQ1\r\n".to_vec()),
            Command::TsplStatus(b'?'),
        ];
        for step in [1, 7, bytes.len()] {
            let mut parser = Parser::new(Tongue::Tspl, 203);
            let mut found = Vec::new();
            for part in bytes.chunks(step) {
                parser.feed(part);
                found.extend(std::iter::from_fn(|| parser.next()).filter(|c| *c != Command::Setting));
            }
            assert_eq!(found, expected, "by {step}");
        }
    }
}
