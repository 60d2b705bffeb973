//! ZPL II bytes into commands: `^` and `~` words; `~HS` is answered at once.

use super::parse::{Command, Found};

/// What later words of a format refer to.
#[derive(Debug, Default)]
pub(super) struct Field {
    x: usize,
    y: usize,
    copies: usize,
}

pub(super) fn read(bytes: &[u8], field: &mut Field) -> Found {
    let Some(first) = bytes.first() else {
        return Found::Need;
    };
    if !matches!(first, b'^' | b'~') {
        return Found::Take(1, Command::Setting);
    }
    let Some(name) = bytes.get(1..3) else {
        return Found::Need;
    };
    let name = String::from_utf8_lossy(name).to_uppercase();
    match (first, name.as_str()) {
        (b'~', "HS") => return Found::Take(3, Command::ZplStatus),
        (b'^', "XA") => {
            *field = Field {
                copies: 1,
                ..Field::default()
            };
            return Found::Take(3, Command::Clear);
        }
        (b'^', "XZ") => {
            return Found::Take(
                3,
                Command::Emit {
                    copies: field.copies.max(1),
                },
            );
        }
        (b'^', "FS") => return Found::Take(3, Command::Setting),
        _ => {}
    }
    let Some(end) = bytes.iter().skip(3).position(|b| matches!(b, b'^' | b'~')) else {
        return Found::Need;
    };
    let rest = String::from_utf8_lossy(bytes.get(3..3 + end).unwrap_or_default()).into_owned();
    let number = |n: usize| rest.split(',').nth(n).and_then(|t| t.trim().parse::<usize>().ok());
    let command = match name.as_str() {
        "FO" => {
            (field.x, field.y) = (number(0).unwrap_or(0), number(1).unwrap_or(0));
            Command::Setting
        }
        "PQ" => {
            field.copies = number(0).unwrap_or(1);
            Command::Setting
        }
        "LL" => number(0).map_or(Command::Setting, Command::Tall),
        "GF" => graphic(&rest, field).unwrap_or_else(|| Command::Unknown(b"^GF".to_vec())),
        "PW" | "LH" | "MN" | "MM" | "MT" | "PO" | "PR" | "CI" => Command::Setting,
        _ => Command::Unknown(bytes.get(..3 + end).unwrap_or_default().to_vec()),
    };
    Found::Take(3 + end, command)
}

/// `A,bytes,bytes,bytes in a row,digits`
fn graphic(rest: &str, field: &Field) -> Option<Command> {
    let mut parts = rest.splitn(5, ',');
    if parts.next()?.trim() != "A" {
        return None;
    }
    let (_, total, width): (usize, usize, usize) = (
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    );
    let data = unpack(parts.next()?, width)?;
    (data.len() == total).then_some(Command::Draw {
        x: field.x,
        y: field.y,
        width_bytes: width,
        data,
        over: false,
    })
}

/// Digits with counts before them; `,` and `!` end a row in white or black, `:` repeats one.
fn unpack(text: &str, width: usize) -> Option<Vec<u8>> {
    let row = width * 2;
    let (mut digits, mut count) = (Vec::<u8>::new(), 0_usize);
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        match c {
            'G'..='Y' => count += usize::try_from(u32::from(c) - u32::from('F')).ok()?,
            'g'..='z' => count += 20 * usize::try_from(u32::from(c) - u32::from('f')).ok()?,
            ',' | '!' => {
                let fill = if c == ',' { 0 } else { 15 };
                let length = digits.len() + row - digits.len() % row.max(1);
                digits.resize(length, fill);
            }
            ':' => {
                let from = digits.len().checked_sub(row)?;
                digits.extend_from_within(from..);
            }
            _ => {
                let digit = u8::try_from(c.to_digit(16)?).ok()?;
                digits.extend(std::iter::repeat_n(digit, count.max(1)));
                count = 0;
            }
        }
    }
    Some(
        digits
            .chunks(2)
            .map(|pair| pair.first().copied().unwrap_or(0) * 16 + pair.get(1).copied().unwrap_or(0))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printer::parse::{Parser, Tongue};

    #[test]
    fn a_compressed_picture_is_unpacked() {
        assert_eq!(unpack("J018,", 4).unwrap(), [0, 0, 0x18, 0]);
        assert_eq!(unpack("!:,", 2).unwrap(), [0xff, 0xff, 0xff, 0xff, 0, 0]);
        assert_eq!(
            unpack("gGA!", 16).unwrap()[..11],
            [0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaf]
        );
    }

    #[test]
    fn a_format_is_read_and_status_is_asked_between() {
        let mut parser = Parser::new(Tongue::Zpl, 203);
        parser.feed(b"~HS^XA^MNN^PW16^LL3^LH0,0^FO0,0^GFA,6,6,2,!,:^FS^PQ2^XZ\r\n~HS");
        let found: Vec<Command> = std::iter::from_fn(|| parser.next())
            .filter(|c| *c != Command::Setting)
            .collect();
        assert_eq!(
            found,
            [
                Command::ZplStatus,
                Command::Clear,
                Command::Tall(3),
                Command::Draw {
                    x: 0,
                    y: 0,
                    width_bytes: 2,
                    data: vec![0xff, 0xff, 0, 0, 0, 0],
                    over: false
                },
                Command::Emit { copies: 2 },
                Command::ZplStatus,
            ]
        );
    }
}
