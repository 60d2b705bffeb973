//! Public keys and verifying (GB/T 32918.1, 6.2; GB/T 32918.2, 7.1). All of this is public: time may tell.

use crate::comb::{Comb, GENERATOR};
use crate::limbs;
use crate::point::Affine;
use crate::scalar::Scalar;
use crate::sum::Sum;
use crate::{Refused, Signature, wnaf};

/// Width of the windows over a known key: 43 rows of 32 points, 86 KiB.
const KNOWN_WIDTH: u32 = 6;

/// A public key: a point of the curve other than infinity.
#[derive(Clone, Copy)]
pub struct PublicKey {
    point: Affine,
    coordinates: [u8; 64],
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PublicKey").field(&self.coordinates).finish()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.coordinates == other.coordinates
    }
}

impl Eq for PublicKey {}

impl PublicKey {
    pub(crate) fn of(point: Affine) -> Self {
        let mut coordinates = [0u8; 64];
        let (x, y) = coordinates.split_at_mut(32);
        x.copy_from_slice(&point.x.to_bytes());
        y.copy_from_slice(&point.y.to_bytes());
        Self { point, coordinates }
    }

    /// From an uncompressed point `04 ‖ x ‖ y` (GB/T 32918.1, 4.2.9). Other forms, infinity, coordinates of p or more and
    /// points off the curve are refused.
    pub fn from_point(bytes: &[u8]) -> Result<Self, Refused> {
        let [4, coordinates @ ..] = bytes else {
            return Err(Refused::PublicKey);
        };
        let coordinates: [u8; 64] = coordinates.try_into().map_err(|_| Refused::PublicKey)?;
        let (x, y) = coordinates
            .first_chunk()
            .zip(coordinates.last_chunk())
            .ok_or(Refused::PublicKey)?;
        let point = Affine::from_bytes(x, y).ok_or(Refused::PublicKey)?;
        Ok(Self { point, coordinates })
    }

    /// The uncompressed point.
    #[must_use]
    pub fn to_point(&self) -> [u8; 65] {
        let mut point = [4; 65];
        point
            .iter_mut()
            .skip(1)
            .zip(self.coordinates)
            .for_each(|(to, from)| *to = from);
        point
    }

    /// The point.
    pub(crate) fn point(&self) -> &Affine {
        &self.point
    }

    /// x and y.
    pub(crate) fn halves(&self) -> ([u8; 32], [u8; 32]) {
        let half = |part: Option<&[u8; 32]>| part.copied().unwrap_or_default(); // both are there
        (
            half(self.coordinates.first_chunk()),
            half(self.coordinates.last_chunk()),
        )
    }

    /// x ‖ y.
    pub(crate) fn coordinates(&self) -> &[u8; 64] {
        &self.coordinates
    }

    /// Verifies a signature over e (see [`crate::Bound`]).
    pub fn verify(&self, e: &[u8; 32], signature: &Signature) -> Result<(), Refused> {
        judge(e, signature, |t| wnaf::multiply_public(&self.point, t).into())
    }
}

/// A public key with a table of its multiples: several times as fast from the second signature on. Making one costs about
/// as much as ten verifications.
pub struct KnownKey {
    key: PublicKey,
    table: Comb,
}

impl std::fmt::Debug for KnownKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("KnownKey").field(&self.key).finish()
    }
}

impl KnownKey {
    /// Computes the table.
    #[must_use]
    pub fn new(key: &PublicKey) -> Self {
        Self {
            key: *key,
            table: Comb::new(&key.point, KNOWN_WIDTH),
        }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Bytes of the table.
    #[must_use]
    pub fn size(&self) -> usize {
        self.table.size()
    }

    /// Verifies a signature over e.
    pub fn verify(&self, e: &[u8; 32], signature: &Signature) -> Result<(), Refused> {
        judge(e, signature, |t| self.table.add_multiple_public(Sum::INFINITY, t))
    }
}

/// B3 to B7: t = r + s must not be zero, and r = e + x of s·G + t·P.
fn judge(e: &[u8; 32], signature: &Signature, multiple: impl FnOnce(&Scalar) -> Sum) -> Result<(), Refused> {
    let Signature { r, s } = signature;
    let t = r.add(s);
    if t.is_zero().reveal() {
        return Err(Refused::Signature);
    }
    let sum = GENERATOR.add_multiple_public(multiple(&t), s);
    let e = Scalar::reduced(&limbs::from_bytes(e));
    if sum.has_x_public(&r.sub(&e)) {
        Ok(())
    } else {
        Err(Refused::Signature)
    }
}
