//! A signature (r, s), as 64 bytes and as DER (GB/T 35276, 7.3: `SEQUENCE { INTEGER, INTEGER }`).

use crate::Refused;
use crate::limbs;
use crate::scalar::Scalar;

/// r and s, each in [1, n−1].
#[derive(Clone, Copy)]
pub struct Signature {
    pub(crate) r: Scalar,
    pub(crate) s: Scalar,
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

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
        let [SEQUENCE, length, body @ ..] = der else {
            return Err(Refused::SignatureForm);
        };
        // Two integers of at most 33 bytes: the length is always one byte.
        if *length >= 0x80 || usize::from(*length) != body.len() {
            return Err(Refused::SignatureForm);
        }
        let mut bytes = [0u8; 64];
        let (r, s) = bytes.split_at_mut(32);
        let rest = read_integer(body, r)?;
        if !read_integer(rest, s)?.is_empty() {
            return Err(Refused::SignatureForm);
        }
        Self::from_bytes(&bytes)
    }

    /// As DER.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(72);
        body.extend([SEQUENCE, 0]);
        for half in [self.r, self.s] {
            let bytes = limbs::to_bytes(half.limbs());
            let start = bytes.iter().take(31).take_while(|byte| **byte == 0).count();
            let shortest = bytes.get(start..).unwrap_or(&bytes);
            let sign = shortest.first().is_some_and(|byte| *byte >= 0x80);
            body.extend([INTEGER, shortest.len() as u8 + u8::from(sign)]);
            body.extend(sign.then_some(0));
            body.extend(shortest);
        }
        let length = body.len() as u8 - 2; // at most 2·35
        if let Some(place) = body.get_mut(1) {
            *place = length;
        }
        body
    }
}

/// Reads an integer into 32 bytes and answers what follows.
fn read_integer<'a>(der: &'a [u8], into: &mut [u8]) -> Result<&'a [u8], Refused> {
    let [INTEGER, length, body @ ..] = der else {
        return Err(Refused::SignatureForm);
    };
    let (value, rest) = body
        .split_at_checked(usize::from(*length))
        .ok_or(Refused::SignatureForm)?;
    let digits = match value {
        [] => return Err(Refused::SignatureForm),
        [first, ..] if *first >= 0x80 => return Err(Refused::SignatureForm), // negative
        [0, next, ..] if *next < 0x80 => return Err(Refused::SignatureForm), // a zero too many
        [0, digits @ ..] if !digits.is_empty() => digits,
        all => all,
    };
    let start = into.len().checked_sub(digits.len()).ok_or(Refused::SignatureRange)?;
    into.iter_mut()
        .skip(start)
        .zip(digits)
        .for_each(|(to, from)| *to = *from);
    Ok(rest)
}
