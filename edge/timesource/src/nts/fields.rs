use crate::packet::HEADER_LEN;
use crate::reader::Reader;

/// An extension field of NTP (RFC 7822): type, length with its own head, body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) kind: u16,
    pub(super) body: &'a [u8],
    /// Where it begins in the datagram.
    pub(super) begin: usize,
}

impl Field<'_> {
    /// Unique Identifier (RFC 8915, 5.3).
    pub(super) const IDENTIFIER: u16 = 0x0104;
    /// NTS Cookie (5.4).
    pub(super) const COOKIE: u16 = 0x0204;
    /// NTS Cookie Placeholder (5.5).
    pub(super) const PLACEHOLDER: u16 = 0x0304;
    /// NTS Authenticator and Encrypted Extension Fields (5.6).
    pub(super) const SEALED: u16 = 0x0404;
}

/// The fields behind the header of a datagram; `None` when they do not fill it exactly.
pub(super) fn all(datagram: &[u8]) -> Option<Vec<Field<'_>>> {
    list(datagram.get(HEADER_LEN..)?, HEADER_LEN)
}

/// The fields that fill `bytes` exactly; `begin` is where they lie.
pub(super) fn list(bytes: &[u8], begin: usize) -> Option<Vec<Field<'_>>> {
    let mut left = Reader::new(bytes);
    let mut found = Vec::new();
    while !left.is_empty() {
        let begin = begin + (bytes.len() - left.left());
        let kind = left.u16()?;
        let length = usize::from(left.u16()?);
        if !length.is_multiple_of(4) {
            return None;
        }
        let body = left.take(length.checked_sub(4)?)?;
        found.push(Field { kind, body, begin });
    }
    Some(found)
}

/// Appends a field, padded with zeros to a multiple of four.
pub(super) fn append(out: &mut Vec<u8>, kind: u16, body: &[u8]) {
    let length = body.len().next_multiple_of(4) + 4;
    out.extend(kind.to_be_bytes());
    out.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(body);
    out.resize(out.len() + length - 4 - body.len(), 0);
}
