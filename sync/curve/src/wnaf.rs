//! t·P for a public t and a point seen for the first time: non-adjacent form with windows (GB/T 32918.1, annex A.3.4).

use crate::limbs;
use crate::point::{Affine, Jacobian};
use crate::scalar::Scalar;

/// Digits are odd and below 2^(WIDTH−1) in size.
const WIDTH: u32 = 5;
/// Odd multiples of the point: 1, 3 … 15.
const ODD: usize = 1 << (WIDTH - 2);

/// t·P in time that depends on t.
pub(crate) fn multiply_public(point: &Affine, t: &Scalar) -> Jacobian {
    let first = Jacobian::from(*point);
    let twice = first.double();
    let mut odd = [first; ODD];
    let mut last = first;
    for multiple in odd.iter_mut().skip(1) {
        last = last.add_public(&twice);
        *multiple = last;
    }
    let mut sum = Jacobian::INFINITY;
    for digit in digits(t).into_iter().rev().skip_while(|digit| *digit == 0) {
        sum = sum.double();
        if digit == 0 {
            continue;
        }
        let Some(multiple) = odd.get(usize::from(digit.unsigned_abs() / 2)) else {
            continue; // digits are below 16 in size
        };
        sum = if digit < 0 {
            sum.add_public(&multiple.neg())
        } else {
            sum.add_public(multiple)
        };
    }
    sum
}

/// The digits, the lowest first: each zero, or odd and followed by four zeros at least.
fn digits(t: &Scalar) -> [i8; 257] {
    let mut digits = [0i8; 257];
    let mut rest = *t.limbs();
    let mut carry = false; // bit 256, when a negative digit was taken from near 2²⁵⁶
    for digit in &mut digits {
        if rest[0] & 1 == 1 {
            let window = (rest[0] & ((1 << WIDTH) - 1)) as i8;
            let signed = if window >= 1 << (WIDTH - 1) {
                window - (1 << WIDTH)
            } else {
                window
            };
            let size = [u64::from(signed.unsigned_abs()), 0, 0, 0];
            if signed < 0 {
                let (sum, over) = limbs::add(&rest, &size);
                (rest, carry) = (sum, carry ^ over);
            } else {
                (rest, _) = limbs::sub(&rest, &size);
            }
            *digit = signed;
        }
        let [r0, r1, r2, r3] = rest;
        rest = [
            (r0 >> 1) | (r1 << 63),
            (r1 >> 1) | (r2 << 63),
            (r2 >> 1) | (r3 << 63),
            (r3 >> 1) | (u64::from(carry) << 63),
        ];
        carry = false;
    }
    digits
}

#[cfg(test)]
mod tests;
