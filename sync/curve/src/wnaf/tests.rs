use super::*;
use crate::comb::tests::edges;

#[test]
fn digits_are_the_scalar_and_odd_and_far_apart() {
    for t in edges() {
        let digits = digits(&t);
        let mut sum = Scalar::default();
        for digit in digits.iter().rev() {
            sum = sum.add(&sum);
            let size = Scalar::reduced(&[u64::from(digit.unsigned_abs()), 0, 0, 0]);
            sum = if *digit < 0 { sum.sub(&size) } else { sum.add(&size) };
        }
        assert_eq!(sum.to_bytes(), t.to_bytes());
        for window in digits.windows(WIDTH as usize) {
            assert!(window.iter().filter(|digit| **digit != 0).count() <= 1, "{window:?}");
        }
        assert!(
            digits
                .iter()
                .all(|digit| *digit == 0 || (digit % 2 != 0 && digit.abs() < 16))
        );
    }
}
