//! The product by integer multiplication, with holes between the bits so that carries fall into them (as in BearSSL's
//! `ghash_ctmul64`, Thomas Pornin).

use crate::Block;

/// See [`super::HashKey::absorb`].
pub(super) fn absorb(powers: &[u128], y: u128, blocks: &[Block]) -> u128 {
    let h = powers.last().copied().unwrap_or_default();
    blocks
        .iter()
        .fold(y, |y, block| dot(y ^ u128::from_be_bytes(*block), h))
}

/// a·b·x⁻¹²⁸
fn dot(a: u128, b: u128) -> u128 {
    let [(a1, a0), (b1, b0)] = [a, b].map(|v| ((v >> 64) as u64, v as u64));
    let (low, high) = (product(a0, b0), product(a1, b1));
    let middle = product(a0 ^ a1, b0 ^ b1) ^ low ^ high;
    let (low, high) = (low ^ middle << 64, high ^ middle >> 64);
    high ^ reduced(low)
}

/// low·x⁻¹²⁸, with low·x⁻⁶⁴ = (low >> 64) + (its lower half)·(1 + x⁻¹ + x⁻² + x⁻⁷ …) twice.
fn reduced(low: u128) -> u128 {
    let once = |v: u128| {
        let half = v << 64 >> 64;
        // half · (x⁶³ + x⁶² + x⁵⁷), and half again above it: what makes the lower 64 bits zero.
        v >> 64 ^ half << 64 ^ half << 63 ^ half << 62 ^ half << 57
    };
    once(once(low))
}

/// The product without carries of two polynomials of 64 bits.
fn product(a: u64, b: u64) -> u128 {
    let low = lower(a, b);
    let high = lower(a.reverse_bits(), b.reverse_bits()).reverse_bits() >> 1;
    u128::from(high) << 64 | u128::from(low)
}

/// Its lower half. Each of the sixteen integer products has at most 16 ones in a column, and three free bits hold the
/// carries of 15; the sixteenth only occurs where it is cut off.
fn lower(a: u64, b: u64) -> u64 {
    const EVERY_FOURTH: u64 = 0x1111_1111_1111_1111;
    let [a0, a1, a2, a3] = [0, 1, 2, 3].map(|shift| a & EVERY_FOURTH << shift);
    let [b0, b1, b2, b3] = [0, 1, 2, 3].map(|shift| b & EVERY_FOURTH << shift);
    let times = u64::wrapping_mul;
    let c0 = times(a0, b0) ^ times(a1, b3) ^ times(a2, b2) ^ times(a3, b1);
    let c1 = times(a0, b1) ^ times(a1, b0) ^ times(a2, b3) ^ times(a3, b2);
    let c2 = times(a0, b2) ^ times(a1, b1) ^ times(a2, b0) ^ times(a3, b3);
    let c3 = times(a0, b3) ^ times(a1, b2) ^ times(a2, b1) ^ times(a3, b0);
    c0 & EVERY_FOURTH | c1 & EVERY_FOURTH << 1 | c2 & EVERY_FOURTH << 2 | c3 & EVERY_FOURTH << 3
}
