//! Secret multiples of the base point: the whole table is read for each of them.
//!
//! # Why the additions cannot meet an exception
//! `add_distinct` is wrong only for infinity and for points with the same x. With windows of w = 7 bits let s be the sum of
//! the digits below row i, each times its power of 2^w: |s| ≤ 2^(w−1)·(2^(wi)−1)/(2^w−1) < 0.51·2^(wi). The sum so far has
//! the same x as the row's point d·2^(wi)·G, d ≠ 0, only if s ≡ ±d·2^(wi) mod n. Below the last row all of this is less
//! than n/2 in size, so the congruence would be an equality, and |s| is too small for that. In the last row (2²⁵²) d ≥ 0 and
//! s + d·2²⁵² = k:
//! * s ≡ −d·2²⁵² means k ≡ 0, and k is in [1, n−1];
//! * s ≡ d·2²⁵² means that d·2²⁵² − s is 0 (s is too small) or n (it is positive and below 2n). Then |d·2²⁵² − n| <
//!   0.51·2²⁵²; only d = 16 is so near, 2²⁵⁶ − n being about 2²²⁴; but then k = 2·2²⁵⁶ − n > n.
//!
//! Infinity, before the first digit that is not zero and as the point of the digit zero, is chosen around by masks.

use std::hint::black_box;
use std::sync::LazyLock;

use crate::comb::{self, Digits, GENERATOR_WIDTH};
use crate::field::Fp;
use crate::mask::Mask;
use crate::point::Affine;
use crate::scalar::Scalar;
use crate::sum::Sum;

/// Points of a row.
const POINTS: usize = 1 << (GENERATOR_WIDTH - 1);
/// Half words of a point.
const HALVES: usize = 16;

/// A row by columns: the first half words of all its points, then the second … So the compiler gathers four at a time.
pub(crate) type Row<const N: usize> = [[u32; N]; HALVES];

/// The table of `comb::GENERATOR` in this order: 37 rows, 148 KiB.
static TABLE: LazyLock<Box<[Row<POINTS>]>> = LazyLock::new(|| comb::GENERATOR.rows().map(columns).collect());

/// A row of these points.
pub(crate) fn columns<const N: usize>(points: &[Affine]) -> Row<N> {
    let mut row = [[0; N]; HALVES];
    for (at, point) in points.iter().enumerate() {
        let words = point.x.words().into_iter().chain(point.y.words());
        let halves = words.flat_map(|word| [word as u32, (word >> 32) as u32]);
        for (column, half) in row.iter_mut().zip(halves) {
            if let Some(place) = column.get_mut(at) {
                *place = half;
            }
        }
    }
    row
}

/// k·G for a secret k in [1, n−1]. Every point of the table is read whatever k is; no branch depends on k.
pub(crate) fn multiply(k: &Scalar) -> Sum {
    let mut digits = Digits::new(k, GENERATOR_WIDTH);
    let mut sum = Sum::INFINITY;
    let mut empty = Mask::SET;
    for row in TABLE.iter() {
        let (size, negative) = digits.next();
        let point = scan(row, size).negated_if(negative);
        let more = sum.add_distinct(&point);
        let none = Mask::is_zero(size).hidden();
        let next = Sum::pick(empty, &point.into(), &more);
        sum = Sum::pick(none, &sum, &next);
        empty = empty.and(none).hidden();
    }
    sum
}

/// The point number `size` of a row (from 1), zeros for 0. Reads the whole row.
#[inline(never)]
pub(crate) fn scan<const N: usize>(row: &Row<N>, size: u64) -> Affine {
    // All ones for the wanted point. Made first and hidden from the optimiser together: it was seen to turn masks it
    // knows into jumps around the loads.
    let mut masks = [0u32; N];
    for (at, mask) in (1u32..).zip(&mut masks) {
        // Both are at most 64: only for equal ones the difference less one is negative.
        *mask = 0u32.wrapping_sub((at ^ size as u32).wrapping_sub(1) >> 31);
    }
    let masks = black_box(&masks);
    let mut found = [0u32; HALVES];
    for (half, column) in found.iter_mut().zip(row) {
        *half = column
            .iter()
            .zip(masks)
            .fold(0, |all, (half, mask)| all | (half & mask));
    }
    let word = |at: usize| {
        let half = |at: usize| u64::from(found.get(at).copied().unwrap_or_default());
        half(2 * at) | (half(2 * at + 1) << 32)
    };
    Affine {
        x: Fp::from_words([word(0), word(1), word(2), word(3)]),
        y: Fp::from_words([word(4), word(5), word(6), word(7)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_gives_the_wanted_point_and_nothing_for_zero() {
        for (points, row) in comb::GENERATOR.rows().zip(TABLE.iter()) {
            for (wanted, point) in (1..).zip(points) {
                let found = scan(row, wanted);
                assert_eq!(found.x.to_bytes(), point.x.to_bytes());
                assert_eq!(found.y.to_bytes(), point.y.to_bytes());
            }
            assert!(scan(row, 0).x.is_zero().and(scan(row, 0).y.is_zero()).reveal());
        }
    }
}
