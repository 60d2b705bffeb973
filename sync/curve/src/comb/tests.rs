use proptest::prelude::*;

use super::*;
use crate::scalar::N;
use crate::sum::tests::same;
use crate::{masked, wnaf};

/// Where digits turn over, are zero or extreme, and near 0 and n.
pub(crate) fn edges() -> Vec<Scalar> {
    let mut all = Vec::new();
    for small in (1..70).chain([126, 127, 128, 129, 8191, 8192, 8193]) {
        all.push([small, 0, 0, 0]);
        all.push(limbs::sub(&N, &[small, 0, 0, 0]).0);
    }
    for bit in 0..256u32 {
        let mut one = [0u64; 4];
        one[bit as usize / 64] = 1 << (bit % 64);
        all.extend([one, limbs::sub(&one, &[1, 0, 0, 0]).0, limbs::sub(&N, &one).0]);
    }
    for word in [
        0x8102_0408_1020_4081,
        0x7efd_fbf7_efdf_bf7e,
        0x5555_5555_5555_5555,
        0xaaaa_aaaa_aaaa_aaaa,
        u64::MAX,
    ] {
        all.extend([[word; 4], [0, 0, 0, word], [word, 0, 0, 0], [0, word, word, 0]]);
    }
    let scalars = all.iter().map(Scalar::reduced);
    scalars.filter(|k| !k.is_zero().reveal()).collect()
}

#[test]
fn digits_are_the_scalar() {
    for width in 5..=8 {
        for k in edges() {
            let mut digits = Digits::new(&k, width);
            // From the highest: sum = sum·2^w + digit, modulo n.
            let all: Vec<_> = (0..=256 / width).map(|_| digits.next()).collect();
            let mut sum = Scalar::default();
            for (size, negative) in all.into_iter().rev() {
                (0..width).for_each(|_| sum = sum.add(&sum));
                let digit = Scalar::reduced(&[size, 0, 0, 0]);
                sum = if negative.reveal() {
                    sum.sub(&digit)
                } else {
                    sum.add(&digit)
                };
                assert!(size <= 1 << (width - 1));
            }
            assert_eq!(sum.to_bytes(), k.to_bytes(), "width {width}");
            assert_eq!(digits.words, [0; 5]);
        }
    }
}

#[test]
fn all_ways_to_multiply_agree_at_the_edges() {
    let g = Affine::generator();
    let narrow = Comb::new(&g, 6);
    for k in edges() {
        let secret = masked::multiply(&k);
        let jacobian = wnaf::multiply_public(&g, &k);
        let wnaf = Sum::from(jacobian);
        assert!(same(&secret, &wnaf), "{:x?}", k.limbs());
        assert!(same(&secret, &GENERATOR.add_multiple_public(Sum::INFINITY, &k)));
        assert!(same(&secret, &narrow.add_multiple_public(Sum::INFINITY, &k)));
        // With the same and the opposite point to start from: doubling and infinity within.
        let twice = GENERATOR.add_multiple_public(wnaf, &k);
        assert!(same(&twice, &jacobian.double().into()));
        assert!(same(
            &GENERATOR.add_multiple_public(jacobian.neg().into(), &k),
            &Sum::INFINITY
        ));
    }
    assert!(same(
        &Sum::from(wnaf::multiply_public(&g, &Scalar::default())),
        &Sum::INFINITY
    ));
}

proptest! {
    #[test]
    fn any_multiple_agrees(words: [u64; 4], base: [u64; 4]) {
        let (k, base) = (Scalar::reduced(&words), Scalar::reduced(&base));
        prop_assume!(!k.is_zero().reveal() && !base.is_zero().reveal());
        let point = masked::multiply(&base).to_affine();
        let table = Comb::new(&point, 5);
        prop_assert!(same(&Sum::from(wnaf::multiply_public(&point, &k)), &table.add_multiple_public(Sum::INFINITY, &k)));
        let g = Affine::generator();
        prop_assert!(same(&masked::multiply(&k), &Sum::from(wnaf::multiply_public(&g, &k))));
    }
}
