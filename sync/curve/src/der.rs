//! The little DER of signatures and cipher texts: definite and minimal lengths, minimal integers that are not negative.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const SEQUENCE: u8 = 0x30;

/// What is wrong with an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    /// Not DER.
    Form,
    /// Of more than 256 bits.
    Range,
}

/// Takes an element with this tag off the front: its content, and what follows.
pub(crate) fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    if *first != tag {
        return None;
    }
    // Up to 2²⁴ − 1 bytes: the longest cipher text is of 1 MiB and little more.
    let (length, rest) = match rest {
        [short @ ..=0x7f, rest @ ..] => (usize::from(*short), rest),
        [0x81, a @ 0x80..=0xff, rest @ ..] => (usize::from(*a), rest),
        [0x82, a @ 1..=0xff, b, rest @ ..] => (join(&[*a, *b]), rest),
        [0x83, a @ 1..=0xff, b, c, rest @ ..] => (join(&[*a, *b, *c]), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// Takes an integer off the front, as 32 bytes; and what follows.
pub(crate) fn integer(der: &[u8]) -> Result<([u8; 32], &[u8]), Bad> {
    let (value, rest) = element(INTEGER, der).ok_or(Bad::Form)?;
    let digits = match value {
        [] | [0x80..=0xff, ..] => return Err(Bad::Form), // nothing, or negative
        [0, ..=0x7f, ..] => return Err(Bad::Form),       // a zero too many
        [0, digits @ ..] if !digits.is_empty() => digits,
        all => all,
    };
    let mut number = [0u8; 32];
    let start = number.len().checked_sub(digits.len()).ok_or(Bad::Range)?;
    let places = number.iter_mut().skip(start);
    places.zip(digits).for_each(|(to, from)| *to = *from);
    Ok((number, rest))
}

/// Writes an element; its content is below 2²⁴ bytes.
pub(crate) fn put(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    match content.len().to_be_bytes() {
        [.., 0, 0, short @ ..=0x7f] => out.push(short),
        [.., 0, 0, a] => out.extend([0x81, a]),
        [.., 0, a, b] => out.extend([0x82, a, b]),
        [.., a, b, c] => out.extend([0x83, a, b, c]),
    }
    out.extend(content);
}

/// Writes a number as an integer, as short as it can be.
pub(crate) fn put_integer(out: &mut Vec<u8>, number: &[u8; 32]) {
    let zeros = number.iter().take(31).take_while(|byte| **byte == 0).count();
    let shortest = number.get(zeros..).unwrap_or(number);
    let sign = shortest.first().is_some_and(|byte| *byte >= 0x80);
    let mut content = Vec::with_capacity(33);
    content.extend(sign.then_some(0));
    content.extend(shortest);
    put(out, INTEGER, &content);
}

fn join(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |all, byte| (all << 8) | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_and_read_the_same_and_only_minimal() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536, 1 << 20] {
            let content = vec![7; length];
            let mut der = Vec::new();
            put(&mut der, OCTET_STRING, &content);
            der.push(9);
            assert_eq!(
                element(OCTET_STRING, &der),
                Some((&content[..], &[9u8][..])),
                "{length}"
            );
            assert_eq!(element(SEQUENCE, &der), None, "another tag");
            assert_eq!(element(OCTET_STRING, &der[..der.len() - 2]), None, "cut");
        }
        let long: [&[u8]; 7] = [
            &[4],
            &[4, 0x80, 0, 0],
            &[4, 0x81, 1, 0],
            &[4, 0x82, 0, 1, 0],
            &[4, 0x83, 0, 1, 0, 0],
            &[4, 0x84, 0, 0, 0, 1, 0],
            &[4, 0xff],
        ];
        for der in long {
            assert_eq!(element(OCTET_STRING, der), None, "{der:x?}");
        }
    }
}
