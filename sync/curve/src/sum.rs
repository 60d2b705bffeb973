//! A running sum of affine points.

use zeroize::Zeroize;

use crate::field::Fp;
use crate::mask::Mask;
use crate::point::{Affine, Jacobian};
use crate::scalar::Scalar;

/// A point as (X/ZZ, Y/ZZZ) with ZZ³ = ZZZ²; infinity has ZZ = 0. An affine point is added with one squaring less than to
/// Jacobian coordinates, and a sum over a table is never doubled.
#[derive(Clone, Copy, Zeroize)]
pub(crate) struct Sum {
    pub(crate) x: Fp,
    y: Fp,
    pub(crate) zz: Fp,
    zzz: Fp,
}

impl From<Affine> for Sum {
    #[inline(always)]
    fn from(point: Affine) -> Self {
        Self {
            x: point.x,
            y: point.y,
            zz: Fp::ONE,
            zzz: Fp::ONE,
        }
    }
}

impl From<Jacobian> for Sum {
    fn from(point: Jacobian) -> Self {
        let zz = point.z.square();
        Self {
            x: point.x,
            y: point.y,
            zz,
            zzz: zz.mul(&point.z),
        }
    }
}

impl Sum {
    pub(crate) const INFINITY: Self = Self {
        x: Fp::ONE,
        y: Fp::ONE,
        zz: Fp::ZERO,
        zzz: Fp::ZERO,
    };

    /// self + other, neither infinity nor the same nor each other's negative: the caller shows that it cannot be, or
    /// looks at ZZ, which becomes 0 for both of the latter. Eight products and two squares, no branch.
    #[inline(always)]
    pub(crate) fn add_distinct(&self, other: &Affine) -> Self {
        let h = other.x.mul(&self.zz).sub(&self.x);
        let r = other.y.mul(&self.zzz).sub(&self.y);
        let hh = h.square();
        let hhh = hh.mul(&h);
        let v = hh.mul(&self.x);
        let x = r.square().sub(&hhh).sub(&v.double());
        let y = r.mul(&v.sub(&x)).sub(&self.y.mul(&hhh));
        Self {
            x,
            y,
            zz: self.zz.mul(&hh),
            zzz: self.zzz.mul(&hhh),
        }
    }

    /// self + other for public points, in all cases.
    #[inline(never)]
    pub(crate) fn add_public(&self, other: &Affine) -> Self {
        if self.zz.is_zero().reveal() {
            return (*other).into();
        }
        let sum = self.add_distinct(other);
        if !sum.zz.is_zero().reveal() {
            return sum;
        }
        // The same x: twice the point, or infinity.
        if other.y.mul(&self.zzz).equals(&self.y).reveal() {
            Jacobian::from(*other).double().into()
        } else {
            Self::INFINITY
        }
    }

    /// `yes` where the mask is set, `no` where not.
    #[inline(always)]
    pub(crate) fn pick(mask: Mask, yes: &Self, no: &Self) -> Self {
        Self {
            x: Fp::pick(mask, &yes.x, &no.x),
            y: Fp::pick(mask, &yes.y, &no.y),
            zz: Fp::pick(mask, &yes.zz, &no.zz),
            zzz: Fp::pick(mask, &yes.zzz, &no.zzz),
        }
    }

    /// The point itself; it is not infinity. No branch.
    pub(crate) fn to_affine(self) -> Affine {
        let inverse = self.zzz.invert();
        // ZZ³ = ZZZ², so 1/ZZ = (ZZ/ZZZ)².
        let x = self.x.mul(&self.zz.mul(&inverse).square());
        Affine {
            x,
            y: self.y.mul(&inverse),
        }
    }

    /// Whether the point's x, modulo n, is `wanted` (GB/T 32918.2, 7.1 B7), without an inversion: X = x·ZZ.
    pub(crate) fn has_x_public(&self, wanted: &Scalar) -> bool {
        if self.zz.is_zero().reveal() {
            return false;
        }
        let is = |candidate: Option<Fp>| candidate.is_some_and(|x| x.mul(&self.zz).equals(&self.x).reveal());
        // x may be in [n, p) as well.
        is(Fp::from_limbs(wanted.limbs())) || is(wanted.plus_order().and_then(|x| Fp::from_limbs(&x)))
    }
}

/// The number of an affine x, modulo n.
pub(crate) fn x_modulo_order(x: &Fp) -> Scalar {
    Scalar::reduced(&x.to_limbs())
}

#[cfg(test)]
pub(crate) mod tests;
