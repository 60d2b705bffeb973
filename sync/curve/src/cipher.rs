//! A cipher text (C1, C3, C2) as bytes in the standard's order, as bytes in the order of the drafts of 2010, and as DER
//! (GM/T 0009, 7.2; GB/T 35276: `SM2Cipher ::= SEQUENCE { INTEGER x, INTEGER y, OCTET STRING C3, OCTET STRING C2 }`).

use crate::der::{self, Bad};
use crate::{PublicKey, Refused};

/// The longest plain text, in bytes. The standard's limit is 2³⁷ bytes; what is longer than this belongs into an envelope,
/// under a key of SM4 that is encrypted here.
pub const MAX_PLAIN: usize = 1 << 20;

/// Bytes of C1: `04 ‖ x ‖ y`.
const POINT: usize = 65;
/// Bytes of C3.
const HASH: usize = 32;

/// An encrypted message. Its C1 is a point of the curve and its C2 has an allowed length; whether it is whole shows when it
/// is decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ciphertext {
    /// C1.
    pub(crate) point: PublicKey,
    /// C3.
    pub(crate) hash: [u8; HASH],
    /// C2, as long as the plain text.
    pub(crate) body: Vec<u8>,
}

impl Ciphertext {
    /// From C1 ‖ C3 ‖ C2, the order of GB/T 32918.4, 6.1 A8. C1 is uncompressed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Refused> {
        let (point, rest) = bytes.split_at_checked(POINT).ok_or(Refused::CipherForm)?;
        let (hash, body) = rest.split_first_chunk().ok_or(Refused::CipherForm)?;
        Self::new(point, hash, body)
    }

    /// From C1 ‖ C2 ‖ C3, the order before GM/T 0003-2012. Bytes do not tell their order: ask for this only where the
    /// other side is known to write it.
    pub fn from_old_bytes(bytes: &[u8]) -> Result<Self, Refused> {
        let (point, rest) = bytes.split_at_checked(POINT).ok_or(Refused::CipherForm)?;
        let (body, hash) = rest.split_last_chunk().ok_or(Refused::CipherForm)?;
        Self::new(point, hash, body)
    }

    /// From DER: minimal lengths, minimal integers that are not negative, nothing behind.
    pub fn from_der(bytes: &[u8]) -> Result<Self, Refused> {
        let refused = |bad| match bad {
            Bad::Form => Refused::CipherForm,
            Bad::Range => Refused::CipherPoint,
        };
        let (inner, behind) = der::element(der::SEQUENCE, bytes).ok_or(Refused::CipherForm)?;
        let (x, rest) = der::integer(inner).map_err(refused)?;
        let (y, rest) = der::integer(rest).map_err(refused)?;
        let (hash, rest) = der::element(der::OCTET_STRING, rest).ok_or(Refused::CipherForm)?;
        let (body, rest) = der::element(der::OCTET_STRING, rest).ok_or(Refused::CipherForm)?;
        if !rest.is_empty() || !behind.is_empty() {
            return Err(Refused::CipherForm);
        }
        let hash = hash.try_into().map_err(|_| Refused::CipherForm)?;
        Self::new(&[&[4], &x[..], &y[..]].concat(), hash, body)
    }

    fn new(point: &[u8], hash: &[u8; HASH], body: &[u8]) -> Result<Self, Refused> {
        check_length(body)?;
        let point = PublicKey::from_point(point).map_err(|_| Refused::CipherPoint)?;
        Ok(Self {
            point,
            hash: *hash,
            body: body.to_vec(),
        })
    }

    /// C1 ‖ C3 ‖ C2.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.point.to_point()[..], &self.hash, &self.body].concat()
    }

    /// As DER.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        let mut inner = Vec::with_capacity(self.body.len() + 110);
        let (x, y) = self.point.halves();
        der::put_integer(&mut inner, &x);
        der::put_integer(&mut inner, &y);
        der::put(&mut inner, der::OCTET_STRING, &self.hash);
        der::put(&mut inner, der::OCTET_STRING, &self.body);
        let mut out = Vec::with_capacity(inner.len() + 4);
        der::put(&mut out, der::SEQUENCE, &inner);
        out
    }
}

/// Refuses the empty text (its key stream would be all of no zeros) and what is longer than [`MAX_PLAIN`].
pub(crate) fn check_length(text: &[u8]) -> Result<(), Refused> {
    if text.is_empty() || text.len() > MAX_PLAIN {
        return Err(Refused::PlainLength);
    }
    Ok(())
}
