//! Points of the curve y² = x³ − 3x + b (GB/T 32918.1, 3.2.3; formulas in Jacobian coordinates: annex A.1.2.3.2).

use zeroize::Zeroize;

use crate::field::{self, Fp};
use crate::limbs::Limbs;
use crate::mask::Mask;

/// A point other than infinity.
#[derive(Clone, Copy, Default, Zeroize)]
pub(crate) struct Affine {
    pub(crate) x: Fp,
    pub(crate) y: Fp,
}

/// The base point's coordinates (GB/T 32918.5, 2), the lowest word first.
const GX: Limbs = [
    0x715a_4589_334c_74c7,
    0x8fe3_0bbf_f266_0be1,
    0x5f99_0446_6a39_c994,
    0x32c4_ae2c_1f19_8119,
];
/// See [`GX`].
const GY: Limbs = [
    0x02df_32e5_2139_f0a0,
    0xd0a9_877c_c62a_4740,
    0x59bd_cee3_6b69_2153,
    0xbc37_36a2_f4f6_779c,
];

impl Affine {
    /// From coordinates; `None` when not below p or not on the curve. The curve's order is prime, so every such point
    /// is of order n and none is refused for its order.
    pub(crate) fn from_bytes(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        let (x, y) = (Fp::from_bytes(x)?, Fp::from_bytes(y)?);
        let right = x.square().mul(&x).sub(&x.triple()).add(&Fp::B);
        y.square().equals(&right).reveal().then_some(Self { x, y })
    }

    /// The base point G.
    pub(crate) fn generator() -> Self {
        // Both are below p.
        Self {
            x: Fp::from_limbs(&GX).unwrap_or_default(),
            y: Fp::from_limbs(&GY).unwrap_or_default(),
        }
    }

    /// `−self` where the mask is set.
    #[inline(always)]
    pub(crate) fn negated_if(&self, mask: Mask) -> Self {
        Self {
            x: self.x,
            y: Fp::pick(mask, &self.y.neg(), &self.y),
        }
    }
}

/// A point as (X/Z², Y/Z³); infinity has Z = 0.
#[derive(Clone, Copy, Zeroize)]
pub(crate) struct Jacobian {
    pub(crate) x: Fp,
    pub(crate) y: Fp,
    pub(crate) z: Fp,
}

impl From<Affine> for Jacobian {
    #[inline(always)]
    fn from(point: Affine) -> Self {
        Self {
            x: point.x,
            y: point.y,
            z: Fp::ONE,
        }
    }
}

impl Jacobian {
    pub(crate) const INFINITY: Self = Self {
        x: Fp::ONE,
        y: Fp::ONE,
        z: Fp::ZERO,
    };

    /// 2·self; right for infinity too. Four products and four squares.
    #[inline(never)]
    pub(crate) fn double(&self) -> Self {
        let y2 = self.y.double();
        let zz = self.z.square();
        let z = y2.mul(&self.z);
        let y2_squared = y2.square();
        let slope = self.x.add(&zz).mul(&self.x.sub(&zz)).triple();
        let s = y2_squared.mul(&self.x);
        let x = slope.square().sub(&s.double());
        let y = slope.mul(&s.sub(&x)).sub(&y2_squared.square().half());
        Self { x, y, z }
    }

    /// self + other for public points, in all cases.
    #[inline(never)]
    pub(crate) fn add_public(&self, other: &Self) -> Self {
        if self.z.is_zero().reveal() {
            return *other;
        }
        if other.z.is_zero().reveal() {
            return *self;
        }
        let (zz1, zz2) = (self.z.square(), other.z.square());
        let u1 = self.x.mul(&zz2);
        let s1 = self.y.mul(&zz2.mul(&other.z));
        let h = other.x.mul(&zz1).sub(&u1);
        if h.is_zero().reveal() {
            return self.add_same_x(other);
        }
        let r = other.y.mul(&zz1.mul(&self.z)).sub(&s1);
        let z = self.z.mul(&other.z).mul(&h);
        let hh = h.square();
        let hhh = hh.mul(&h);
        let v = hh.mul(&u1);
        let x = r.square().sub(&hhh).sub(&v.double());
        let y = r.mul(&v.sub(&x)).sub(&s1.mul(&hhh));
        Self { x, y, z }
    }

    /// The sum of two points with the same x: twice one of them, or infinity.
    fn add_same_x(&self, other: &Self) -> Self {
        let own = self.y.mul(&other.z.square().mul(&other.z));
        let others = other.y.mul(&self.z.square().mul(&self.z));
        if own.equals(&others).reveal() {
            self.double()
        } else {
            Self::INFINITY
        }
    }

    /// −self.
    pub(crate) fn neg(&self) -> Self {
        Self {
            x: self.x,
            y: self.y.neg(),
            z: self.z,
        }
    }

    /// The point itself; it is not infinity. No branch.
    pub(crate) fn to_affine(self) -> Affine {
        self.with_inverse(&self.z.invert())
    }

    /// With the inverse of Z at hand.
    fn with_inverse(&self, inverse: &Fp) -> Affine {
        let square = inverse.square();
        Affine {
            x: self.x.mul(&square),
            y: self.y.mul(&square).mul(inverse),
        }
    }
}

/// All with Z = 1, by one inversion; none is infinity.
pub(crate) fn to_affine_all(points: &[Jacobian]) -> Vec<Affine> {
    let mut inverses: Vec<Fp> = points.iter().map(|point| point.z).collect();
    field::invert_all(&mut inverses, &mut vec![Fp::ZERO; points.len()]);
    let pairs = points.iter().zip(&inverses);
    pairs.map(|(point, inverse)| point.with_inverse(inverse)).collect()
}

#[cfg(test)]
mod tests;
