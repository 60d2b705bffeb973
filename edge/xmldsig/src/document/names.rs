//! Names as XML 1.0 (fifth edition) and Namespaces in XML 1.0 define them, without the colon.

/// `NameStartChar` without the colon.
fn starts(c: char) -> bool {
    matches!(c, 'A'..='Z' | 'a'..='z' | '_')
        || matches!(u32::from(c),
            0xC0..=0xD6 | 0xD8..=0xF6 | 0xF8..=0x2FF | 0x370..=0x37D | 0x37F..=0x1FFF | 0x200C..=0x200D
            | 0x2070..=0x218F | 0x2C00..=0x2FEF | 0x3001..=0xD7FF | 0xF900..=0xFDCF | 0xFDF0..=0xFFFD
            | 0x1_0000..=0xE_FFFF)
}

/// `NameChar` without the colon.
fn continues(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_')
        || starts(c)
        || matches!(u32::from(c), 0xB7 | 0x300..=0x36F | 0x203F..=0x2040)
}

/// Whether all of it is one `NCName`.
pub(crate) fn is_ncname(text: &str) -> bool {
    let length = ncname(text);
    length > 0 && length == text.len()
}

/// Bytes of the `NCName` at the start of `text`; 0 when there is none.
pub(crate) fn ncname(text: &str) -> usize {
    let mut chars = text.char_indices();
    match chars.next() {
        Some((_, first)) if starts(first) => {}
        _ => return 0,
    }
    chars.find(|(_, c)| !continues(*c)).map_or(text.len(), |(at, _)| at)
}

/// Whether XML allows the character at all.
pub(crate) fn is_char(c: u32) -> bool {
    matches!(c, 0x9 | 0xA | 0xD | 0x20..=0xD7FF | 0xE000..=0xFFFD | 0x1_0000..=0x10_FFFF)
}

/// Whether it begins with a scheme. Canonical XML 1.0 demands that relative namespace names are refused.
pub(crate) fn is_absolute(uri: &str) -> bool {
    uri.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}
