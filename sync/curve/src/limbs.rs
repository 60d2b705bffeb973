//! Numbers of 256 bits as four words, the lowest first. Nothing here branches on a value: carries become masks, and the
//! masks are hidden from the optimiser, which was seen to make jumps of those it understood.

use crate::mask::Mask;

/// Four words, the lowest first.
pub(crate) type Limbs = [u64; 4];

/// `a + b` and the carry.
#[inline(always)]
pub(crate) fn add(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let (r0, c) = a[0].carrying_add(b[0], false);
    let (r1, c) = a[1].carrying_add(b[1], c);
    let (r2, c) = a[2].carrying_add(b[2], c);
    let (r3, c) = a[3].carrying_add(b[3], c);
    ([r0, r1, r2, r3], c)
}

/// `a - b` and the borrow.
#[inline(always)]
pub(crate) fn sub(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let (r0, w) = a[0].borrowing_sub(b[0], false);
    let (r1, w) = a[1].borrowing_sub(b[1], w);
    let (r2, w) = a[2].borrowing_sub(b[2], w);
    let (r3, w) = a[3].borrowing_sub(b[3], w);
    ([r0, r1, r2, r3], w)
}

/// `yes` where the mask is set, `no` where not.
#[inline(always)]
pub(crate) fn pick(mask: Mask, yes: &Limbs, no: &Limbs) -> Limbs {
    [
        mask.pick(yes[0], no[0]),
        mask.pick(yes[1], no[1]),
        mask.pick(yes[2], no[2]),
        mask.pick(yes[3], no[3]),
    ]
}

/// `value - modulus` once, when `value` (with `carry` as its bit 256) is not below `modulus`.
#[inline(always)]
pub(crate) fn reduce_once(value: &Limbs, carry: bool, modulus: &Limbs) -> Limbs {
    let (less, borrow) = sub(value, modulus);
    // Below the modulus: there was a borrow and no bit 256 to pay it.
    let below = Mask::from_bit(u64::from(borrow) & (u64::from(carry) ^ 1)).hidden();
    pick(below, value, &less)
}

/// `a + b mod modulus`; both below it.
#[inline(always)]
pub(crate) fn add_mod(a: &Limbs, b: &Limbs, modulus: &Limbs) -> Limbs {
    let (sum, carry) = add(a, b);
    reduce_once(&sum, carry, modulus)
}

/// `a - b mod modulus`; both below it.
#[inline(always)]
pub(crate) fn sub_mod(a: &Limbs, b: &Limbs, modulus: &Limbs) -> Limbs {
    let (difference, borrow) = sub(a, b);
    let mask = Mask::from_bit(u64::from(borrow)).hidden();
    let back = [
        mask.keep(modulus[0]),
        mask.keep(modulus[1]),
        mask.keep(modulus[2]),
        mask.keep(modulus[3]),
    ];
    add(&difference, &back).0
}

/// Set when zero.
#[inline(always)]
pub(crate) fn is_zero(a: &Limbs) -> Mask {
    Mask::is_zero(a[0] | a[1] | a[2] | a[3])
}

/// Set when `a` is below `b`.
#[inline(always)]
pub(crate) fn below(a: &Limbs, b: &Limbs) -> Mask {
    // Hidden, so that all words are compared and not the highest first.
    Mask::from_bit(u64::from(sub(a, b).1)).hidden()
}

/// `x * b` as five words.
#[inline(always)]
pub(crate) fn row(x: u64, b: &Limbs) -> [u64; 5] {
    let (l0, h0) = x.carrying_mul(b[0], 0);
    let (l1, h1) = x.carrying_mul(b[1], 0);
    let (l2, h2) = x.carrying_mul(b[2], 0);
    let (l3, h3) = x.carrying_mul(b[3], 0);
    let (r1, c) = l1.carrying_add(h0, false);
    let (r2, c) = l2.carrying_add(h1, c);
    let (r3, c) = l3.carrying_add(h2, c);
    // The product is below 2^320: its highest word takes the carry.
    [l0, r1, r2, r3, h3.wrapping_add(u64::from(c))]
}

/// `t + (top << 256) + r` as five words and the carry.
#[inline(always)]
pub(crate) fn add_row(t: &Limbs, top: u64, r: &[u64; 5]) -> ([u64; 5], u64) {
    let (t0, c) = t[0].carrying_add(r[0], false);
    let (t1, c) = t[1].carrying_add(r[1], c);
    let (t2, c) = t[2].carrying_add(r[2], c);
    let (t3, c) = t[3].carrying_add(r[3], c);
    let (t4, c) = r[4].carrying_add(top, c);
    ([t0, t1, t2, t3, t4], u64::from(c))
}

/// From 32 bytes, the highest first.
pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Limbs {
    let mut limbs = [0u64; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        *limb = chunk.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
    }
    limbs
}

/// As 32 bytes, the highest first.
pub(crate) fn to_bytes(limbs: &Limbs) -> [u8; 32] {
    let mut bytes = [0u8; 32];
    for (chunk, limb) in bytes.chunks_exact_mut(8).zip(limbs.iter().rev()) {
        chunk.copy_from_slice(&limb.to_be_bytes());
    }
    bytes
}
