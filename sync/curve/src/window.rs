//! Secret multiples of a public point that is not known beforehand: signed windows of five bits, the highest first, over a
//! table of 1·P … 16·P that is read whole for each of them.
//!
//! # Why the additions cannot meet an exception but one
//! `add_distinct` is wrong only for infinity and for points with the same x. Let s be what the windows above window i say,
//! in units of 2^(5i): the sum so far is 32·s·P after five doublings, and d·P with −16 ≤ d < 16 is added. All windows below
//! together are less than 0.52·2^(5i) in size, so s ≥ 0 and 32·s + d < k/2^(5i) + 0.52.
//! * s = 0 (infinity) and d = 0 are chosen around by masks. Otherwise 32·s ± d is positive, being at least 16.
//! * For i ≥ 1, 32·s ± d < n/32 + 33 < n: neither is 0 modulo n.
//! * For i = 0, 32·s + d = k is in [1, n−1], so the points are not opposite. They are the same if 32·s − d = k − 2·d is
//!   0 modulo n, which means k = n + 2·d: this *happens*, for k = n − 6 and d = −3 only. There the sum is 2·d·P. So in
//!   the last window that double is computed as well, always, and chosen by a mask.

use zeroize::Zeroizing;

use crate::comb::Digits;
use crate::field::Fp;
use crate::mask::Mask;
use crate::masked::{Row, columns, scan};
use crate::point::{Affine, Jacobian, to_affine_all};
use crate::scalar::Scalar;

/// Bits of a window.
const WIDTH: u32 = 5;
/// Points of the table.
const POINTS: usize = 1 << (WIDTH - 1);
/// Windows of 257 bits.
const WINDOWS: usize = 256 / WIDTH as usize + 1;

/// k·P for a secret k in [1, n−1]. Neither a branch nor an address depends on k. The result is as secret as its use makes it.
pub(crate) fn multiply(point: &Affine, k: &Scalar) -> Affine {
    let table = table(point);
    let mut digits = Digits::new(k, WIDTH);
    // The lowest bit is the sign.
    let mut windows = Zeroizing::new([0u64; WINDOWS]);
    for window in windows.iter_mut() {
        let (size, negative) = digits.next();
        *window = (size << 1) | negative.keep(1);
    }
    let mut sum = Zeroizing::new(Jacobian::INFINITY);
    let mut empty = Mask::SET;
    for (at, window) in windows.iter().enumerate().rev() {
        for _ in 0..WIDTH {
            *sum = sum.double();
        }
        let size = window >> 1;
        let negative = Mask::from_bit(window & 1).hidden();
        let point = scan(&table, size).negated_if(negative);
        let (mut more, same) = sum.add_distinct(&point);
        if at == 0 {
            more = Jacobian::pick(same, &Jacobian::from(point).double(), &more);
        }
        let none = Mask::is_zero(size).hidden();
        let next = Jacobian::pick(empty, &point.into(), &more);
        *sum = Jacobian::pick(none, &sum, &next);
        empty = empty.and(none).hidden();
    }
    sum.to_affine()
}

/// 1·P … 16·P; the point is public.
fn table(point: &Affine) -> Row<POINTS> {
    let first = Jacobian::from(*point);
    let mut multiples = [first; POINTS];
    let mut last = first;
    for multiple in multiples.iter_mut().skip(1) {
        last = last.add_public(&first);
        *multiple = last;
    }
    columns(&to_affine_all(&multiples))
}

impl Jacobian {
    /// self + other, and a mask that is set when both have the same x (then the sum is wrong). Neither is infinity. Eight
    /// products and three squares, no branch.
    #[inline(always)]
    fn add_distinct(&self, other: &Affine) -> (Self, Mask) {
        let zz = self.z.square();
        let h = other.x.mul(&zz).sub(&self.x);
        let r = other.y.mul(&zz.mul(&self.z)).sub(&self.y);
        let hh = h.square();
        let hhh = hh.mul(&h);
        let v = hh.mul(&self.x);
        let x = r.square().sub(&hhh).sub(&v.double());
        let y = r.mul(&v.sub(&x)).sub(&self.y.mul(&hhh));
        let z = self.z.mul(&h);
        (Self { x, y, z }, h.is_zero().hidden())
    }

    /// `yes` where the mask is set, `no` where not.
    #[inline(always)]
    fn pick(mask: Mask, yes: &Self, no: &Self) -> Self {
        Self {
            x: Fp::pick(mask, &yes.x, &no.x),
            y: Fp::pick(mask, &yes.y, &no.y),
            z: Fp::pick(mask, &yes.z, &no.z),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limbs::{self, Limbs};
    use crate::scalar::N;
    use crate::{masked, wnaf};

    fn same(a: &Affine, b: &Affine) -> bool {
        a.x.equals(&b.x).and(a.y.equals(&b.y)).reveal()
    }

    /// Against the multiplication for public values, which handles every case by branches.
    fn holds(point: &Affine, k: &Limbs) {
        let k = Scalar::from_bytes(&limbs::to_bytes(k)).expect("below n");
        let wanted = wnaf::multiply_public(point, &k).to_affine();
        assert!(same(&multiply(point, &k), &wanted), "{:x?}", k.limbs());
    }

    fn points() -> [Affine; 3] {
        let g = Affine::generator();
        let other = wnaf::multiply_public(&g, &Scalar::reduced(&[7, 9, 11, 13])).to_affine();
        [g, g.negated_if(Mask::SET), other]
    }

    #[test]
    fn small_and_large_multiples_are_right_the_exception_among_them() {
        for point in points() {
            for small in 1..=600u64 {
                holds(&point, &[small, 0, 0, 0]);
                holds(&point, &limbs::sub(&N, &[small, 0, 0, 0]).0);
            }
        }
    }

    #[test]
    fn the_one_exception_is_where_the_proof_says() {
        // Without the choice in the last window k = n − 6 goes wrong, and only it: there both points are −3·P.
        let g = Affine::generator();
        for small in 1..=600u64 {
            let k = Scalar::reduced(&limbs::sub(&N, &[small, 0, 0, 0]).0);
            let mut digits = Digits::new(&k, WIDTH);
            let (size, negative) = digits.next();
            let digit = Scalar::reduced(&[size, 0, 0, 0]);
            let digit = if negative.reveal() {
                Scalar::default().sub(&digit)
            } else {
                digit
            };
            let before = wnaf::multiply_public(&g, &k.sub(&digit)).to_affine();
            let added = wnaf::multiply_public(&g, &digit);
            let meets = !added.z.is_zero().reveal() && before.x.equals(&added.to_affine().x).reveal();
            assert_eq!(meets, small == 6, "n - {small}");
        }
    }

    #[test]
    fn edges_of_windows_and_words_are_right() {
        for point in points() {
            for bit in 0..255 {
                let mut one = [0u64; 4];
                one[bit / 64] = 1 << (bit % 64);
                holds(&point, &one);
                holds(&point, &limbs::sub(&N, &one).0);
                // Ones below: every digit is carried into.
                let less = limbs::sub(&one, &[1, 0, 0, 0]).0;
                if bit > 0 {
                    holds(&point, &less);
                }
            }
        }
    }

    #[test]
    fn random_multiples_are_what_the_table_of_the_base_point_says() {
        for _ in 0..200 {
            let mut bytes = [0u8; 32];
            getrandom::fill(&mut bytes).expect("random");
            bytes[0] &= 0x7f;
            let k = Scalar::from_bytes(&bytes).expect("below n");
            let wanted = masked::multiply(&k).to_affine();
            assert!(same(&multiply(&Affine::generator(), &k), &wanted));
        }
    }
}
