//! Integers modulo the order of the base point (GB/T 32918.5, 2), always below it.

use zeroize::Zeroize;

use crate::limbs::{self, Limbs};
use crate::mask::Mask;

/// The order n.
pub(crate) const N: Limbs = [
    0x53bb_f409_39d5_4123,
    0x7203_df6b_21c6_052b,
    0xffff_ffff_ffff_ffff,
    0xffff_fffe_ffff_ffff,
];
/// −n⁻¹ mod 2⁶⁴.
const N_INVERSE: u64 = 0x327f_9e88_7235_0975;
/// 2²⁵⁶ mod n.
const R: Limbs = [
    0xac44_0bf6_c62a_bedd,
    0x8dfc_2094_de39_fad4,
    0x0000_0000_0000_0000,
    0x0000_0001_0000_0000,
];
/// 2⁵¹² mod n.
const R2: Limbs = [
    0x9011_92af_7c11_4f20,
    0x3464_504a_de6f_a2fa,
    0x620f_c84c_3aff_e0d4,
    0x1eb5_e412_a22b_3d3b,
];

/// An integer modulo n.
#[derive(Clone, Copy, Default, Zeroize)]
pub(crate) struct Scalar(Limbs);

impl Scalar {
    pub(crate) const ONE: Self = Self([1, 0, 0, 0]);

    /// From 32 bytes, the highest first; `None` when not below n.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let value = limbs::from_bytes(bytes);
        limbs::below(&value, &N).reveal().then_some(Self(value))
    }

    /// From any number of 256 bits, modulo n: 2²⁵⁶ is below 2n.
    pub(crate) fn reduced(value: &Limbs) -> Self {
        Self(limbs::reduce_once(value, false, &N))
    }

    /// As 32 bytes, the highest first.
    pub(crate) fn to_bytes(self) -> [u8; 32] {
        limbs::to_bytes(&self.0)
    }

    /// The words.
    pub(crate) fn limbs(&self) -> &Limbs {
        &self.0
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        Self(limbs::add_mod(&self.0, &other.0, &N))
    }

    pub(crate) fn sub(&self, other: &Self) -> Self {
        Self(limbs::sub_mod(&self.0, &other.0, &N))
    }

    /// Set when zero.
    pub(crate) fn is_zero(&self) -> Mask {
        limbs::is_zero(&self.0)
    }

    /// The number plus n, when that is still of 256 bits.
    pub(crate) fn plus_order(&self) -> Option<Limbs> {
        let (sum, carry) = limbs::add(&self.0, &N);
        (!carry).then_some(sum)
    }
}

/// A scalar one multiplies by: kept as `a·2²⁵⁶ mod n`, so that one product suffices.
#[derive(Clone, Copy, Default, Zeroize)]
pub(crate) struct Factor(Limbs);

impl Factor {
    /// Of a scalar.
    pub(crate) fn new(scalar: &Scalar) -> Self {
        Self(multiply(&scalar.0, &R2))
    }

    /// `self · scalar mod n`.
    pub(crate) fn times(&self, scalar: &Scalar) -> Scalar {
        Scalar(multiply(&self.0, &scalar.0))
    }

    /// 1/a as a^(n−2), the same steps for every a; 0 for 0.
    pub(crate) fn invert(&self) -> Self {
        let (exponent, _) = limbs::sub(&N, &[2, 0, 0, 0]);
        // Four bits of the (public) exponent at a time.
        let mut powers = [R; 16];
        let mut last = R;
        for power in powers.iter_mut().skip(1) {
            last = multiply(&last, &self.0);
            *power = last;
        }
        let mut result = R;
        for nibble in exponent
            .iter()
            .rev()
            .flat_map(|word| (0..16).rev().map(move |at| (word >> (4 * at)) & 15))
        {
            for _ in 0..4 {
                result = multiply(&result, &result);
            }
            let power = usize::try_from(nibble).ok().and_then(|at| powers.get(at)).unwrap_or(&R);
            result = multiply(&result, power);
        }
        powers.zeroize();
        Self(result)
    }
}

/// `a·b·2⁻²⁵⁶ mod n`, below n; at least one of both is below n.
fn multiply(a: &Limbs, b: &Limbs) -> Limbs {
    let (mut t, mut top) = ([0u64; 4], 0);
    for word in a {
        let (sum, carry) = limbs::add_row(&t, top, &limbs::row(*word, b));
        // m·n makes the lowest word zero; it is dropped.
        let m = sum[0].wrapping_mul(N_INVERSE);
        let [low, t1, t2, t3, t4] = limbs::row(m, &N);
        let (_, c) = sum[0].carrying_add(low, false);
        let (s1, c) = sum[1].carrying_add(t1, c);
        let (s2, c) = sum[2].carrying_add(t2, c);
        let (s3, c) = sum[3].carrying_add(t3, c);
        let (s4, c) = sum[4].carrying_add(t4, c);
        t = [s1, s2, s3, s4];
        top = carry.wrapping_add(u64::from(c));
    }
    limbs::reduce_once(&t, top != 0, &N)
}

#[cfg(test)]
mod tests;
