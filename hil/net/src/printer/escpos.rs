//! ESC/POS bytes into commands.

use super::parse::{Command, Found};

const LINE_DOTS: usize = 30;

pub(super) fn read(bytes: &[u8]) -> Found {
    let at = |n: usize| bytes.get(n).copied();
    let Some(first) = at(0) else {
        return Found::Need;
    };
    match first {
        0x0a | 0x0c => Found::Take(1, Command::Line),
        0x10 => real_time(bytes),
        0x1b => escape(bytes),
        0x1c => kanji(bytes),
        0x1d => group(bytes),
        control if control < 0x20 => Found::Take(1, Command::Setting),
        _ => {
            let length = bytes.iter().position(|b| *b < 0x20).unwrap_or(bytes.len());
            Found::Take(length, Command::Text(bytes.get(..length).unwrap_or_default().to_vec()))
        }
    }
}

/// A command of fixed length.
fn fixed(bytes: &[u8], length: usize, command: Command) -> Found {
    if bytes.len() < length {
        Found::Need
    } else {
        Found::Take(length, command)
    }
}

fn unknown(bytes: &[u8], length: usize) -> Found {
    fixed(
        bytes,
        length,
        Command::Unknown(bytes.get(..length).unwrap_or_default().to_vec()),
    )
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(*bytes.get(at)?) + 256 * usize::from(*bytes.get(at + 1)?))
}

fn real_time(bytes: &[u8]) -> Found {
    let (Some(kind), Some(n)) = (bytes.get(1), bytes.get(2)) else {
        return Found::Need;
    };
    match (kind, n) {
        (0x04, n) => Found::Take(3, Command::Status(*n)),
        (0x05, n) => Found::Take(3, Command::Recover(*n)),
        (0x14, 8) => fixed(bytes, 10, Command::Setting),
        (0x14, _) => fixed(bytes, 5, Command::Setting),
        _ => unknown(bytes, 2),
    }
}

fn escape(bytes: &[u8]) -> Found {
    let Some(kind) = bytes.get(1) else {
        return Found::Need;
    };
    let n = bytes.get(2).copied();
    match kind {
        b'@' => Found::Take(2, Command::Initialise),
        b'2' | b'L' | b'S' | 0x0c | b'<' => Found::Take(2, Command::Setting),
        b'i' | b'm' => Found::Take(2, Command::Cut),
        b'v' => Found::Take(2, Command::Ordered(1)),
        b'd' => n.map_or(Found::Need, |n| {
            Found::Take(3, Command::Feed(usize::from(n) * LINE_DOTS))
        }),
        b'J' => n.map_or(Found::Need, |n| Found::Take(3, Command::Feed(usize::from(n)))),
        b'$' | b'\\' | b'c' => fixed(bytes, 4, Command::Setting),
        b'p' => fixed(bytes, 5, Command::Setting),
        b'W' => fixed(bytes, 10, Command::Setting),
        b'D' => match bytes.iter().skip(2).position(|b| *b == 0) {
            Some(end) => Found::Take(end + 3, Command::Setting),
            None => Found::Need,
        },
        b'*' => column_image(bytes),
        b' ' | b'!' | b'%' | b'-' | b'3' | b'=' | b'?' | b'E' | b'G' | b'M' | b'R' | b'T' | b'V' | b'a' | b'r'
        | b't' | b'u' | b'{' => fixed(bytes, 3, Command::Setting),
        _ => unknown(bytes, 2),
    }
}

/// `ESC * m nL nH d…`: columns of 8 or 24 dots become rows.
fn column_image(bytes: &[u8]) -> Found {
    let (Some(mode), Some(columns)) = (bytes.get(2), word(bytes, 3)) else {
        return Found::Need;
    };
    let tall = if *mode >= 32 { 3 } else { 1 };
    let length = 5 + columns * tall;
    let Some(data) = bytes.get(5..length) else {
        return Found::Need;
    };
    let width_bytes = columns.div_ceil(8);
    let mut out = vec![0_u8; width_bytes * tall * 8];
    for (n, byte) in data.iter().enumerate() {
        let (column, block) = (n / tall, n % tall);
        for bit in 0..8 {
            let row = block * 8 + bit;
            if byte & (0x80 >> bit) != 0
                && let Some(target) = out.get_mut(row * width_bytes + column / 8)
            {
                *target |= 0x80 >> (column % 8);
            }
        }
    }
    Found::Take(
        length,
        Command::Raster {
            width_bytes,
            rows: tall * 8,
            data: out,
        },
    )
}

fn kanji(bytes: &[u8]) -> Found {
    let Some(kind) = bytes.get(1) else {
        return Found::Need;
    };
    match kind {
        b'&' | b'.' => Found::Take(2, Command::Setting),
        b'!' | b'-' | b'W' | b'C' => fixed(bytes, 3, Command::Setting),
        b'S' | b'p' => fixed(bytes, 4, Command::Setting),
        b'(' => match word(bytes, 3) {
            Some(length) => fixed(bytes, 5 + length, Command::Setting),
            None => Found::Need,
        },
        _ => unknown(bytes, 2),
    }
}

fn group(bytes: &[u8]) -> Found {
    let Some(kind) = bytes.get(1) else {
        return Found::Need;
    };
    let n = bytes.get(2).copied();
    match kind {
        b'v' => raster(bytes),
        b'V' => match n {
            None => Found::Need,
            Some(65 | 66 | 97 | 98 | 103 | 104) => fixed(bytes, 4, Command::Cut),
            Some(_) => Found::Take(3, Command::Cut),
        },
        b'r' => n.map_or(Found::Need, |n| Found::Take(3, Command::Ordered(n))),
        b'a' => n.map_or(Found::Need, |n| Found::Take(3, Command::AutoStatus(n))),
        b'I' => n.map_or(Found::Need, |n| Found::Take(3, Command::Identity(n))),
        b'!' | b'B' | b'H' | b'b' | b'f' | b'h' | b'w' | b'/' => fixed(bytes, 3, Command::Setting),
        b'L' | b'W' | b'P' | b'$' | b'\\' => fixed(bytes, 4, Command::Setting),
        b':' => Found::Take(2, Command::Setting),
        b'^' => fixed(bytes, 5, Command::Setting),
        b'k' => barcode(bytes),
        b'(' => match word(bytes, 3) {
            Some(length) => function(bytes, 5, length),
            None => Found::Need,
        },
        b'8' => match (word(bytes, 3), word(bytes, 5)) {
            (Some(low), Some(high)) => function(bytes, 7, low + 65_536 * high),
            _ => Found::Need,
        },
        _ => unknown(bytes, 2),
    }
}

/// `GS v 0 m xL xH yL yH d…`
fn raster(bytes: &[u8]) -> Found {
    let (Some(mode), Some(width_bytes), Some(rows)) = (bytes.get(3), word(bytes, 4), word(bytes, 6)) else {
        return Found::Need;
    };
    let length = 8 + width_bytes * rows;
    let Some(data) = bytes.get(8..length) else {
        return Found::Need;
    };
    let (wide, tall) = (mode & 1 == 1, mode & 2 == 2);
    let mut out = Vec::with_capacity(data.len());
    for row in data.chunks(width_bytes.max(1)) {
        let row: Vec<u8> = if wide {
            row.iter().flat_map(|b| doubled(*b)).collect()
        } else {
            row.to_vec()
        };
        out.extend_from_slice(&row);
        if tall {
            out.extend_from_slice(&row);
        }
    }
    let width_bytes = if wide { width_bytes * 2 } else { width_bytes };
    let rows = if tall { rows * 2 } else { rows };
    Found::Take(
        length,
        Command::Raster {
            width_bytes,
            rows,
            data: out,
        },
    )
}

fn doubled(byte: u8) -> [u8; 2] {
    let mut out: u16 = 0;
    for bit in 0..8 {
        if byte & (0x80 >> bit) != 0 {
            out |= 0xc000 >> (2 * bit);
        }
    }
    out.to_be_bytes()
}

fn barcode(bytes: &[u8]) -> Found {
    match (bytes.get(2), bytes.get(3)) {
        (Some(0..=6), _) => match bytes.iter().skip(3).position(|b| *b == 0) {
            Some(end) => Found::Take(end + 4, Command::Setting),
            None => Found::Need,
        },
        (Some(_), Some(n)) => fixed(bytes, 4 + usize::from(*n), Command::Setting),
        _ => Found::Need,
    }
}

/// `GS ( X` and `GS 8 X`: the parameters begin at `from`.
fn function(bytes: &[u8], from: usize, length: usize) -> Found {
    let end = from + length;
    let Some(body) = bytes.get(from..end) else {
        return Found::Need;
    };
    let command = match (bytes.get(2), body) {
        (Some(b'H'), [48, 48, a, b, c, d]) => Command::Process([*a, *b, *c, *d]),
        (Some(b'L'), [48, 50, ..]) => Command::PrintGraphics,
        (Some(b'L'), [48, 112, _, _, _, _, xl, xh, yl, yh, data @ ..]) => {
            let dots = usize::from(*xl) + 256 * usize::from(*xh);
            let rows = usize::from(*yl) + 256 * usize::from(*yh);
            Command::StoreGraphics {
                width_bytes: dots.div_ceil(8),
                rows,
                data: data.to_vec(),
            }
        }
        (Some(b'V'), _) => Command::Cut,
        _ => Command::Setting,
    };
    Found::Take(end, command)
}

#[cfg(test)]
mod tests {
    use crate::printer::parse::{Command, Parser, Tongue};

    fn all(bytes: &[u8]) -> Vec<Command> {
        let mut parser = Parser::new(Tongue::Escpos, 203);
        parser.feed(bytes);
        std::iter::from_fn(|| parser.next()).collect()
    }

    #[test]
    fn a_picture_is_read_however_it_is_cut_up() {
        let mut bytes = b"\x1b@\x1dv0\x00\x02\x00\x03\x00".to_vec();
        bytes.extend([0x10, 0x04, 0x01, 0xff, 0x00, 0x0a]);
        bytes.extend(b"\x1dV\x00\x10\x04\x01");
        let whole = all(&bytes);
        assert_eq!(
            whole,
            [
                Command::Initialise,
                Command::Raster {
                    width_bytes: 2,
                    rows: 3,
                    data: vec![0x10, 0x04, 0x01, 0xff, 0x00, 0x0a]
                },
                Command::Cut,
                Command::Status(1),
            ]
        );
        let mut parser = Parser::new(Tongue::Escpos, 203);
        let mut dripped = Vec::new();
        for byte in bytes {
            parser.feed(&[byte]);
            dripped.extend(std::iter::from_fn(|| parser.next()));
        }
        assert_eq!(dripped, whole);
    }

    #[test]
    fn columns_become_rows() {
        let found = all(b"\x1b*\x00\x02\x00\x80\x01");
        let Command::Raster {
            width_bytes,
            rows,
            data,
        } = &found[0]
        else {
            panic!("{found:?}");
        };
        assert_eq!((*width_bytes, *rows), (1, 8));
        assert_eq!(data, &[0x80, 0, 0, 0, 0, 0, 0, 0x40]);
    }

    #[test]
    fn graphics_and_process_ids_are_understood() {
        let found = all(b"\x1d(L\x0b\x00\x30\x70\x30\x01\x01\x31\x08\x00\x01\x00\xaa\x1d(L\x02\x00\x30\x32\x1d(H\x06\x00\x30\x30ABCD");
        assert_eq!(
            found,
            [
                Command::StoreGraphics {
                    width_bytes: 1,
                    rows: 1,
                    data: vec![0xaa]
                },
                Command::PrintGraphics,
                Command::Process(*b"ABCD"),
            ]
        );
    }
}
