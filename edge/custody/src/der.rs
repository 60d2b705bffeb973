//! The few DER shapes devices need: `SubjectPublicKeyInfo`, ECDSA signatures, SM2 ciphertexts.

use crate::{Fault, KeyAlgorithm, PublicKey};

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

const EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
/// The curve P-256, as DER of its OID: `CKA_EC_PARAMS`.
pub(crate) const P256: &[u8] = &[0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
/// The curve of SM2 (1.2.156.10197.1.301).
pub(crate) const SM2: &[u8] = &[0x06, 0x08, 0x2A, 0x81, 0x1C, 0xCF, 0x55, 0x01, 0x82, 0x2D];
/// rsaEncryption with NULL parameters.
const RSA: &[u8] = &[
    0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00,
];

fn wrap(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = vec![tag];
    if length < 0x80 {
        bytes.push(length as u8);
    } else {
        let digits = length.to_be_bytes();
        let start = digits.iter().take_while(|digit| **digit == 0).count();
        let digits = digits.get(start..).unwrap_or_default();
        bytes.push(0x80 | digits.len() as u8);
        bytes.extend(digits);
    }
    parts.iter().for_each(|part| bytes.extend(*part));
    bytes
}

/// A positive integer from big-endian bytes.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let bytes = strip(bytes);
    if bytes.first().is_none_or(|first| *first >= 0x80) {
        wrap(INTEGER, &[&[0], bytes])
    } else {
        wrap(INTEGER, &[bytes])
    }
}

/// Without leading zeros.
pub(crate) fn strip(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(start..).unwrap_or_default()
}

/// The key of an uncompressed point `04 ‖ x ‖ y`.
pub(crate) fn of_point(algorithm: KeyAlgorithm, point: &[u8]) -> PublicKey {
    let curve = if algorithm == KeyAlgorithm::Sm2 { SM2 } else { P256 };
    let algorithm_id = wrap(SEQUENCE, &[EC_PUBLIC_KEY, curve]);
    let spki = wrap(SEQUENCE, &[&algorithm_id, &wrap(BIT_STRING, &[&[0], point])]);
    PublicKey { algorithm, spki }
}

/// The key of a modulus and a public exponent.
pub(crate) fn of_rsa(modulus: &[u8], exponent: &[u8]) -> PublicKey {
    let modulus = strip(modulus);
    let numbers = wrap(SEQUENCE, &[&integer(modulus), &integer(exponent)]);
    let spki = wrap(
        SEQUENCE,
        &[&wrap(SEQUENCE, &[RSA]), &wrap(BIT_STRING, &[&[0], &numbers])],
    );
    let zeros = modulus.first().map_or(0, |first| first.leading_zeros());
    let bits = modulus.len() as u32 * 8 - zeros;
    PublicKey {
        algorithm: KeyAlgorithm::Rsa { bits },
        spki,
    }
}

/// `SEQUENCE { r, s }` from r ‖ s.
pub(crate) fn signature(raw: &[u8; 64]) -> Vec<u8> {
    let (r, s) = raw.split_at(32);
    wrap(SEQUENCE, &[&integer(r), &integer(s)])
}

/// Takes one element off the front: its content, and what follows.
fn take(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    if *first != tag {
        return None;
    }
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match *length {
        short @ 0..=0x7F => (usize::from(short), rest),
        long @ 0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7F))?;
            let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            // DER: as few digits as possible.
            let short = length < 0x80 || digits.first() == Some(&0);
            (if short { usize::MAX } else { length }, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// A positive integer of at most 32 bytes, padded to 32.
fn take_number(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let (bytes, rest) = take(INTEGER, der)?;
    if bytes.is_empty() || bytes.first().is_some_and(|first| *first >= 0x80) {
        return None;
    }
    let bytes = strip(bytes);
    let mut number = [0; 32];
    let (_, place) = number.split_at_mut(32usize.checked_sub(bytes.len())?);
    place.copy_from_slice(bytes);
    Some((number, rest))
}

/// An SM2 ciphertext (GB/T 35276, 7.2): point, hash, encrypted bytes.
#[derive(Debug)]
pub(crate) struct Sm2Cipher<'a> {
    pub(crate) x: [u8; 32],
    pub(crate) y: [u8; 32],
    pub(crate) hash: [u8; 32],
    pub(crate) text: &'a [u8],
}

impl<'a> Sm2Cipher<'a> {
    /// Reads it; the point must lie on the curve, so that no device is asked to work with one that does not.
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, Fault> {
        let cipher = Self::parse(der).ok_or(Fault::Ciphertext)?;
        let mut point = vec![4];
        point.extend(cipher.x);
        point.extend(cipher.y);
        curve::PublicKey::from_point(&point).map_err(|_| Fault::Ciphertext)?;
        Ok(cipher)
    }

    fn parse(der: &'a [u8]) -> Option<Self> {
        let (body, behind) = take(SEQUENCE, der)?;
        let (x, rest) = take_number(body)?;
        let (y, rest) = take_number(rest)?;
        let (hash, rest) = take(OCTET_STRING, rest)?;
        let (text, rest) = take(OCTET_STRING, rest)?;
        let whole = behind.is_empty() && rest.is_empty() && !text.is_empty();
        let hash = hash.try_into().ok()?;
        whole.then_some(Self { x, y, hash, text })
    }
}

/// The point in `CKA_EC_POINT`: an OCTET STRING by the standard, bare in some modules.
pub(crate) fn point(attribute: &[u8]) -> Option<&[u8]> {
    match take(OCTET_STRING, attribute) {
        Some((point, [])) if point.len() == 65 => Some(point),
        _ => (attribute.len() == 65).then_some(attribute),
    }
}

#[cfg(test)]
mod tests {
    use super::Sm2Cipher;

    #[test]
    fn ciphertexts_that_are_not_whole_are_refused() {
        let mut whole = vec![0x30, 0x0D, 2, 1, 1, 2, 1, 1, 4, 1, 9, 4, 2, 7, 7];
        assert!(Sm2Cipher::parse(&whole).is_none(), "the hash is of one byte");
        for length in 0..whole.len() {
            assert!(Sm2Cipher::parse(whole.get(..length).unwrap_or_default()).is_none());
        }
        whole[1] = 0x84;
        assert!(Sm2Cipher::parse(&whole).is_none());
        assert!(Sm2Cipher::read(&[0x30, 0x83, 0xFF, 0xFF, 0xFF]).is_err());
    }
}
