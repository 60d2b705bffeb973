//! Reads the seal of a PDF: its byte range and the message in the hole. Nothing else of the file is parsed, and nothing
//! but our own shape is accepted: one range from the first byte to the last, around one hole.

use gm::cms::Content;
use gm::{Trust, cms};
use records::Timestamp;
use sha2::{Digest, Sha256};

/// What a file says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    /// The hospital's seal holds over every byte.
    Valid,
    /// There is a seal, and the file was changed after it.
    Broken,
    /// No seal of our shape.
    Absent,
}

/// Checks the seal of a file.
pub(crate) fn check(file: &[u8], trust: &Trust, now: Timestamp) -> Seal {
    let Some((digest, message)) = read(file) else {
        return Seal::Absent;
    };
    match cms::verify(&message, Content::Digest(&digest), trust, now.offset()) {
        Ok(_) => Seal::Valid,
        Err(_) => Seal::Broken,
    }
}

/// The digest of the covered bytes, and the message.
fn read(file: &[u8]) -> Option<([u8; 32], Vec<u8>)> {
    const MARK: &[u8] = b"/ByteRange";
    let at = file.windows(MARK.len()).rposition(|w| w == MARK)?;
    let rest = file.get(at + MARK.len()..)?;
    let open = rest.iter().position(|b| *b == b'[')?;
    let close = rest.iter().position(|b| *b == b']').filter(|c| *c < 100)?;
    let text = std::str::from_utf8(rest.get(open + 1..close)?).ok()?;
    let figures: Vec<usize> = text
        .split_ascii_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let [0, before, after, tail] = figures.as_slice() else {
        return None;
    };
    if *before >= *after || after.checked_add(*tail)? != file.len() {
        return None;
    }
    let hole = file.get(*before..*after)?;
    let digits = hole.strip_prefix(b"<")?.strip_suffix(b">")?;
    let padded = hex::decode(digits).ok()?;
    let mut digest = Sha256::new();
    digest.update(file.get(..*before)?);
    digest.update(file.get(*after..)?);
    Some((digest.finalize().into(), unpadded(&padded)?))
}

/// The message without the zeros that fill its place: the length of a DER element is in its head.
fn unpadded(bytes: &[u8]) -> Option<Vec<u8>> {
    let [0x30, first, rest @ ..] = bytes else { return None };
    let (head, length) = match first {
        short @ 0..=0x7f => (2, usize::from(*short)),
        0x81 => (3, usize::from(*rest.first()?)),
        0x82 => (4, usize::from(*rest.first()?) << 8 | usize::from(*rest.get(1)?)),
        _ => return None,
    };
    bytes.get(..head + length).map(<[u8]>::to_vec)
}
