//! A signature (r, s), as 64 bytes and as DER (GB/T 35276, 7.3: `SEQUENCE { INTEGER, INTEGER }`).

use crate::Refused;
use crate::der::{self, Bad};
use crate::scalar::Scalar;

/// r and s, each in [1, n−1].
#[derive(Clone, Copy)]
pub struct Signature {
    pub(crate) r: Scalar,
    pub(crate) s: Scalar,
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Signature").field(&self.to_bytes()).finish()
    }
}

impl PartialEq for Signature {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl Eq for Signature {}

impl Signature {
    /// From r ‖ s, 32 bytes each. Halves outside [1, n−1] are refused (GB/T 32918.2, 7.1 B1, B2).
    pub fn from_bytes(bytes: &[u8; 64]) -> Result<Self, Refused> {
        let half = |part: Option<&[u8; 32]>| {
            let scalar = part.and_then(Scalar::from_bytes).ok_or(Refused::SignatureRange)?;
            if scalar.is_zero().reveal() {
                Err(Refused::SignatureRange)
            } else {
                Ok(scalar)
            }
        };
        Ok(Self {
            r: half(bytes.first_chunk())?,
            s: half(bytes.last_chunk())?,
        })
    }

    /// r ‖ s.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0u8; 64];
        let (r, s) = bytes.split_at_mut(32);
        r.copy_from_slice(&self.r.to_bytes());
        s.copy_from_slice(&self.s.to_bytes());
        bytes
    }

    /// From DER: minimal lengths, minimal and positive integers, nothing behind.
    pub fn from_der(der: &[u8]) -> Result<Self, Refused> {
        let refused = |bad| match bad {
            Bad::Form => Refused::SignatureForm,
            Bad::Range => Refused::SignatureRange,
        };
        let (body, behind) = der::element(der::SEQUENCE, der).ok_or(Refused::SignatureForm)?;
        let (r, rest) = der::integer(body).map_err(refused)?;
        let (s, rest) = der::integer(rest).map_err(refused)?;
        if !rest.is_empty() || !behind.is_empty() {
            return Err(Refused::SignatureForm);
        }
        let mut bytes = [0u8; 64];
        let (first, second) = bytes.split_at_mut(32);
        first.copy_from_slice(&r);
        second.copy_from_slice(&s);
        Self::from_bytes(&bytes)
    }

    /// As DER.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(70);
        der::put_integer(&mut body, &self.r.to_bytes());
        der::put_integer(&mut body, &self.s.to_bytes());
        let mut out = Vec::with_capacity(72);
        der::put(&mut out, der::SEQUENCE, &body);
        out
    }
}
