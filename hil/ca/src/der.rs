//! As much of DER as it takes to bend what openssl made.

/// One element: its tag, its content, and all of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) value: &'a [u8],
    pub(crate) raw: &'a [u8],
}

/// The elements that stand in some bytes.
pub(crate) fn elements(mut bytes: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (tag, first) = (*bytes.first()?, *bytes.get(1)?);
        let (head, length) = if first < 0x80 {
            (2, usize::from(first))
        } else {
            let count = usize::from(first & 0x7f);
            let digits = bytes.get(2..2 + count).filter(|digits| digits.len() <= 4)?;
            (2 + count, digits.iter().fold(0, |sum, b| sum << 8 | usize::from(*b)))
        };
        let raw = bytes.get(..head.checked_add(length)?)?;
        all.push(Element {
            tag,
            value: raw.get(head..)?,
            raw,
        });
        bytes = bytes.get(raw.len()..)?;
    }
    Some(all)
}

/// The only element.
pub(crate) fn only(bytes: &[u8]) -> Option<Element<'_>> {
    match elements(bytes)?.as_slice() {
        [one] => Some(*one),
        _ => None,
    }
}

/// An element around some content.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=0x7f => out.push(short as u8),
        long => {
            let digits = long.to_be_bytes();
            let digits: Vec<u8> = digits.into_iter().skip_while(|b| *b == 0).collect();
            out.push(0x80 | digits.len() as u8);
            out.extend(digits);
        }
    }
    out.extend_from_slice(content);
    out
}

/// SEQUENCE.
pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, &parts.concat())
}
