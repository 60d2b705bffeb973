//! The field of the curve (GB/T 32918.5, 2): integers modulo p = 2²⁵⁶ − 2²²⁴ − 2⁹⁶ + 2⁶⁴ − 1.
//!
//! Elements are kept as `a·2²⁵⁶ mod p` (Montgomery), always below p. Since −p⁻¹ mod 2⁶⁴ is 1, the factor of each
//! reduction step is the lowest word itself, and its product with p is four additions and subtractions of that word,
//! shifted: the reduction multiplies nothing.

use zeroize::Zeroize;

use crate::limbs::{self, Limbs};
use crate::mask::Mask;

/// p.
const P: Limbs = [
    0xffff_ffff_ffff_ffff,
    0xffff_ffff_0000_0000,
    0xffff_ffff_ffff_ffff,
    0xffff_fffe_ffff_ffff,
];
/// 2⁵¹² mod p: multiplied by it, a number enters the form.
const R2: Limbs = [
    0x0000_0002_0000_0003,
    0x0000_0002_ffff_ffff,
    0x0000_0001_0000_0001,
    0x0000_0004_0000_0002,
];

/// An element of the field.
#[derive(Clone, Copy, Default, Zeroize)]
pub(crate) struct Fp(Limbs);

impl Fp {
    /// 0.
    pub(crate) const ZERO: Self = Self([0; 4]);
    /// 1, that is 2²⁵⁶ mod p.
    pub(crate) const ONE: Self = Self([
        0x0000_0000_0000_0001,
        0x0000_0000_ffff_ffff,
        0x0000_0000_0000_0000,
        0x0000_0001_0000_0000,
    ]);
    /// The coefficient b of the curve.
    pub(crate) const B: Self = Self([
        0x90d2_3063_2bc0_dd42,
        0x71cf_379a_e9b5_37ab,
        0x5279_8150_5ea5_1c3c,
        0x240f_e188_ba20_e2c8,
    ]);

    /// From 32 bytes, the highest first; `None` when not below p.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        Self::from_limbs(&limbs::from_bytes(bytes))
    }

    /// From a number; `None` when not below p.
    pub(crate) fn from_limbs(value: &Limbs) -> Option<Self> {
        limbs::below(value, &P).reveal().then(|| Self(multiply(value, &R2)))
    }

    /// The number.
    pub(crate) fn to_limbs(self) -> Limbs {
        multiply(&self.0, &[1, 0, 0, 0])
    }

    /// As 32 bytes, the highest first.
    pub(crate) fn to_bytes(self) -> [u8; 32] {
        limbs::to_bytes(&self.to_limbs())
    }

    #[inline(always)]
    pub(crate) fn add(&self, other: &Self) -> Self {
        Self(limbs::add_mod(&self.0, &other.0, &P))
    }

    #[inline(always)]
    pub(crate) fn sub(&self, other: &Self) -> Self {
        Self(limbs::sub_mod(&self.0, &other.0, &P))
    }

    #[inline(always)]
    pub(crate) fn neg(&self) -> Self {
        Self::ZERO.sub(self)
    }

    #[inline(always)]
    pub(crate) fn double(&self) -> Self {
        self.add(self)
    }

    #[inline(always)]
    pub(crate) fn triple(&self) -> Self {
        self.double().add(self)
    }

    /// Half of it.
    #[inline(always)]
    pub(crate) fn half(&self) -> Self {
        let odd = Mask::from_bit(self.0[0] & 1).hidden();
        let (even, carry) = limbs::add(
            &self.0,
            &[odd.keep(P[0]), odd.keep(P[1]), odd.keep(P[2]), odd.keep(P[3])],
        );
        Self([
            (even[0] >> 1) | (even[1] << 63),
            (even[1] >> 1) | (even[2] << 63),
            (even[2] >> 1) | (even[3] << 63),
            (even[3] >> 1) | (u64::from(carry) << 63),
        ])
    }

    #[inline(always)]
    pub(crate) fn mul(&self, other: &Self) -> Self {
        Self(multiply(&self.0, &other.0))
    }

    #[inline(always)]
    pub(crate) fn square(&self) -> Self {
        // A squaring of its own was measured: it gains nothing over the product with itself.
        self.mul(self)
    }

    /// Squared `times` times.
    fn squared(mut self, times: u32) -> Self {
        for _ in 0..times {
            self = self.square();
        }
        self
    }

    /// 1/a as a^(p−2), the same steps for every a; 0 for 0.
    pub(crate) fn invert(&self) -> Self {
        // p−2 in words of 32 bits: fffffffe, ffffffff four times, 00000000, ffffffff, fffffffd.
        let x2 = self.square().mul(self);
        let x3 = x2.square().mul(self);
        let x6 = x3.squared(3).mul(&x3);
        let x12 = x6.squared(6).mul(&x6);
        let x15 = x12.squared(3).mul(&x3);
        let x30 = x15.squared(15).mul(&x15);
        let x31 = x30.square().mul(self);
        let x32 = x31.square().mul(self);
        let mut power = x31.square();
        for _ in 0..4 {
            power = power.squared(32).mul(&x32);
        }
        power = power.squared(64).mul(&x32);
        power.squared(30).mul(&x30).squared(2).mul(self)
    }

    /// Set when zero.
    #[inline(always)]
    pub(crate) fn is_zero(&self) -> Mask {
        limbs::is_zero(&self.0)
    }

    /// Set when the same: elements are always below p, so each has one form.
    pub(crate) fn equals(&self, other: &Self) -> Mask {
        self.sub(other).is_zero()
    }

    /// `yes` where the mask is set, `no` where not.
    #[inline(always)]
    pub(crate) fn pick(mask: Mask, yes: &Self, no: &Self) -> Self {
        Self(limbs::pick(mask, &yes.0, &no.0))
    }

    /// The words as they are kept.
    #[inline(always)]
    pub(crate) fn words(&self) -> Limbs {
        self.0
    }

    /// From the words of an element.
    #[inline(always)]
    pub(crate) fn from_words(words: Limbs) -> Self {
        Self(words)
    }
}

/// Inverts all with one inversion (Montgomery's trick). None may be zero; `scratch` is as long.
pub(crate) fn invert_all(values: &mut [Fp], scratch: &mut [Fp]) {
    let mut product = Fp::ONE;
    for (value, before) in values.iter().zip(scratch.iter_mut()) {
        *before = product;
        product = product.mul(value);
    }
    let mut rest = product.invert();
    for (value, before) in values.iter_mut().zip(scratch.iter()).rev() {
        let inverse = rest.mul(before);
        rest = rest.mul(value);
        *value = inverse;
    }
}

/// `a·b·2⁻²⁵⁶ mod p`, below p; at least one of both is below p.
#[inline(always)]
fn multiply(a: &Limbs, b: &Limbs) -> Limbs {
    let (t, top) = reduce(&limbs::row(a[0], b), 0);
    let (t, top) = limbs::add_row(&t, top, &limbs::row(a[1], b));
    let (t, top) = reduce(&t, top);
    let (t, top) = limbs::add_row(&t, top, &limbs::row(a[2], b));
    let (t, top) = reduce(&t, top);
    let (t, top) = limbs::add_row(&t, top, &limbs::row(a[3], b));
    let (t, top) = reduce(&t, top);
    limbs::reduce_once(&t, top != 0, &P)
}

/// Adds `m·p` for the lowest word `m`, which makes that word zero, and drops it.
#[inline(always)]
fn reduce(t: &[u64; 5], top: u64) -> (Limbs, u64) {
    // m·p + m = m·2²⁵⁶ + m·2⁶⁴ − m·2²²⁴ − m·2⁹⁶, without its lowest word (zero): [m, 0, 0, m] − [low, high, low, high].
    let m = t[0];
    let (low, high) = (m << 32, m >> 32);
    let (d1, w) = m.borrowing_sub(low, false);
    let (d2, w) = 0u64.borrowing_sub(high, w);
    let (d3, w) = 0u64.borrowing_sub(low, w);
    let (d4, _) = m.borrowing_sub(high, w);
    let (t1, c) = t[1].carrying_add(d1, false);
    let (t2, c) = t[2].carrying_add(d2, c);
    let (t3, c) = t[3].carrying_add(d3, c);
    let (t4, c) = t[4].carrying_add(d4, c);
    ([t1, t2, t3, t4], top.wrapping_add(u64::from(c)))
}

#[cfg(test)]
mod tests;
