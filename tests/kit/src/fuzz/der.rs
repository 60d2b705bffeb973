//! Changes that keep DER in one piece, so that they are met deep inside and not at the first length.

use super::Changes;

/// What readers of DER trip over: lengths that lie, that have no end, that do not fit; tags of other things; nothing.
pub const WORDS: &[&[u8]] = &[
    b"\x30\x80",
    b"\x00\x00",
    b"\x84\xff\xff\xff\xff",
    b"\x81\x00",
    b"\x82\xff\xff",
    b"\x88\x80\x00\x00\x00\x00\x00\x00\x00",
    b"\x05\x00",
    b"\x02\x01\x00",
    b"\x02\x81\x01\x00",
    b"\x1f\xff\xff\xff\x7f",
    b"\xa0\x00",
    b"\x31\x00",
    b"\x04\x00",
    b"\x03\x01\x08",
    b"\x06\x01\x80",
];

/// An element with its tag: elements within, or bytes.
#[derive(Clone)]
enum Element {
    Within(u8, Vec<Self>),
    Bytes(u8, Vec<u8>),
}

impl Element {
    /// Elements side by side; `None` when the bytes are none.
    fn all(mut bytes: &[u8], depth: usize) -> Option<Vec<Self>> {
        let mut found = Vec::new();
        while let Some((&tag, rest)) = bytes.split_first() {
            let (&first, rest) = rest.split_first()?;
            let (length, rest) = if first < 0x80 {
                (usize::from(first), rest)
            } else {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (
                    digits.iter().fold(0usize, |all, digit| all << 8 | usize::from(*digit)),
                    rest,
                )
            };
            let (content, rest) = rest.split_at_checked(length)?;
            let within = (tag & 0x20 != 0 && depth < 40)
                .then(|| Self::all(content, depth + 1))
                .flatten();
            found.push(within.map_or_else(
                || Self::Bytes(tag, content.to_vec()),
                |within| Self::Within(tag, within),
            ));
            bytes = rest;
        }
        Some(found)
    }

    fn write(&self, out: &mut Vec<u8>) {
        let (tag, content) = match self {
            Self::Bytes(tag, bytes) => (*tag, bytes.clone()),
            Self::Within(tag, within) => {
                let mut content = Vec::new();
                within.iter().for_each(|element| element.write(&mut content));
                (*tag, content)
            }
        };
        out.push(tag);
        let length = content.len().to_be_bytes();
        let digits = &length[length.iter().take_while(|digit| **digit == 0).count()..];
        match content.len() {
            0..=0x7f => out.push(content.len() as u8),
            _ => {
                out.push(0x80 | digits.len() as u8);
                out.extend_from_slice(digits);
            }
        }
        out.extend_from_slice(&content);
    }

    fn count(&self) -> usize {
        match self {
            Self::Bytes(..) => 1,
            Self::Within(_, within) => 1 + within.iter().map(Self::count).sum::<usize>(),
        }
    }

    /// The element of this number, counted from the outside in.
    fn find(&mut self, mut number: usize) -> Option<&mut Self> {
        if number == 0 {
            return Some(self);
        }
        number -= 1;
        let Self::Within(_, within) = self else {
            return None;
        };
        for element in within {
            let count = element.count();
            if number < count {
                return element.find(number);
            }
            number -= count;
        }
        None
    }
}

/// Changes an element and keeps all lengths right, so that the change is met deep inside.
pub fn bend(bytes: &[u8], changes: &mut Changes) -> Vec<u8> {
    let Some(mut all) = Element::all(bytes, 0).filter(|all| all.len() == 1) else {
        return bytes.to_vec();
    };
    let whole = &mut all[0];
    let (from, to) = (changes.below(whole.count()), changes.below(whole.count()));
    let piece = whole.find(from).cloned();
    if let Some(target) = whole.find(to) {
        match (changes.below(6), target) {
            (0, Element::Within(_, within)) if !within.is_empty() => drop(within.remove(changes.below(within.len()))),
            (1, Element::Within(_, within)) => within.extend(piece),
            (2, Element::Within(_, within)) => within.reverse(),
            (3, Element::Within(tag, _) | Element::Bytes(tag, _)) => *tag = changes.any() as u8,
            (4, target) => *target = piece.unwrap_or_else(|| Element::Bytes(5, Vec::new())),
            (_, Element::Bytes(_, bytes)) => changes.change(bytes, WORDS),
            (_, target @ Element::Within(..)) => {
                for _ in 0..changes.below(40) {
                    *target = Element::Within(0x30, vec![target.clone()]);
                }
            }
        }
    }
    let mut out = Vec::new();
    whole.write(&mut out);
    out
}

/// The same, and sometimes more that keeps nothing in one piece.
pub fn bent(bytes: &[u8], changes: &mut Changes) -> Vec<u8> {
    let mut bytes = bend(bytes, changes);
    if changes.below(3) == 0 {
        changes.change(&mut bytes, WORDS);
    }
    bytes
}
