//! Multiples of a point known beforehand: signed windows over a table of its multiples (GB/T 32918.1, annex A.3; the
//! digits are signed to halve the table).
//!
//! Row i holds 1·2^(wi)·P … 2^(w−1)·2^(wi)·P. A scalar is the sum of digits d·2^(wi) with −2^(w−1) ≤ d < 2^(w−1), so
//! that k·P is one addition a row and no doubling.

use std::sync::LazyLock;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::limbs;
use crate::mask::Mask;
use crate::point::{Affine, Jacobian, to_affine_all};
use crate::scalar::Scalar;
use crate::sum::Sum;

/// Width of the windows over the base point: 37 rows of 64 points, 148 KiB.
pub(crate) const GENERATOR_WIDTH: u32 = 7;

/// The table of the base point, computed at its first use (about a millisecond). For public multiples; the one for secrets
/// is in `masked`.
pub(crate) static GENERATOR: LazyLock<Comb> = LazyLock::new(|| Comb::new(&Affine::generator(), GENERATOR_WIDTH));

/// The table of a point.
pub(crate) struct Comb {
    width: u32,
    /// Points of a row.
    row: usize,
    points: Box<[Affine]>,
}

impl Comb {
    /// Of a public point.
    pub(crate) fn new(point: &Affine, width: u32) -> Self {
        let row = 1usize << (width - 1);
        let rows = 256 / width as usize + 1;
        let mut points = Vec::with_capacity(row * rows);
        let mut base = Jacobian::from(*point);
        for _ in 0..rows {
            let mut multiple = base;
            points.push(multiple);
            for _ in 1..row {
                multiple = multiple.add_public(&base);
                points.push(multiple);
            }
            base = multiple.double(); // 2^(w−1)·2
        }
        Self {
            width,
            row,
            points: to_affine_all(&points).into(),
        }
    }

    /// The rows, the lowest first.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[Affine]> {
        self.points.chunks_exact(self.row)
    }

    /// Bytes of the table.
    pub(crate) fn size(&self) -> usize {
        std::mem::size_of_val(&*self.points)
    }

    /// start + k·P for public values, in all cases.
    pub(crate) fn add_multiple_public(&self, start: Sum, k: &Scalar) -> Sum {
        let mut digits = Digits::new(k, self.width);
        let mut sum = start;
        for row in self.rows() {
            let (size, negative) = digits.next();
            let index = usize::try_from(size).unwrap_or(0).checked_sub(1);
            if let Some(point) = index.and_then(|at| row.get(at)) {
                sum = sum.add_public(&point.negated_if(negative));
            }
        }
        sum
    }
}

/// The digits of a scalar, the lowest first. Neither a branch nor an address depends on them; wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Digits {
    words: [u64; 5],
    width: u32,
}

impl Digits {
    pub(crate) fn new(k: &Scalar, width: u32) -> Self {
        // Half a window is added to every window, so that each digit is its window less that half.
        let mut bias = [0u64; 5];
        for at in 0..=256 / width {
            let bit = at * width + width - 1;
            if let Some(word) = bias.get_mut(bit as usize / 64) {
                *word |= 1 << (bit % 64);
            }
        }
        let [b0, b1, b2, b3, b4] = bias;
        let ([w0, w1, w2, w3], carry) = limbs::add(k.limbs(), &[b0, b1, b2, b3]);
        Self {
            words: [w0, w1, w2, w3, b4.wrapping_add(u64::from(carry))],
            width,
        }
    }

    /// The next digit's size and sign.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> (u64, Mask) {
        let [w0, w1, w2, w3, w4] = self.words;
        let (down, up) = (self.width, 64 - self.width);
        let window = w0 & ((1 << down) - 1);
        self.words = [
            (w0 >> down) | (w1 << up),
            (w1 >> down) | (w2 << up),
            (w2 >> down) | (w3 << up),
            (w3 >> down) | (w4 << up),
            w4 >> down,
        ];
        let digit = window.wrapping_sub(1 << (down - 1));
        let sign = digit >> 63;
        // Two's complement: the negative of a negative digit, itself otherwise.
        let size = (digit ^ 0u64.wrapping_sub(sign)).wrapping_add(sign);
        (size, Mask::from_bit(sign).hidden())
    }
}

#[cfg(test)]
pub(crate) mod tests;
