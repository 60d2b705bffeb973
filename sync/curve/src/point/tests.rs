use num_bigint::BigUint;

use super::*;
use crate::limbs;
use crate::scalar::Scalar;

#[test]
fn the_base_point_is_on_the_curve_and_of_order_n() {
    let g = Affine::generator();
    assert!(Affine::from_bytes(&g.x.to_bytes(), &g.y.to_bytes()).is_some());
    let less = limbs::sub(&crate::scalar::N, &[1, 0, 0, 0]).0;
    let last = crate::wnaf::multiply_public(&g, &Scalar::reduced(&less));
    let back = to_affine_all(&[last]);
    let opposite = g.negated_if(Mask::SET);
    assert!(
        back[0]
            .x
            .equals(&opposite.x)
            .and(back[0].y.equals(&opposite.y))
            .reveal(),
        "(n-1)·G = -G"
    );
    assert!(last.add_public(&g.into()).z.is_zero().reveal(), "n·G is infinity");
}

#[test]
fn coordinates_of_p_and_more_are_refused_even_when_their_remainder_is_on_the_curve() {
    let p = BigUint::parse_bytes(b"FFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF", 16).expect("hex");
    let limit = (BigUint::from(1u8) << 256u32) - &p;
    // The point with the least x there is: x + p still fits 32 bytes.
    let three = BigUint::from(3u8);
    let b = BigUint::from_bytes_be(&Fp::B.to_bytes());
    let (x, y) = (0u32..)
        .map(BigUint::from)
        .find_map(|x| {
            let right = (x.modpow(&three, &p) + &p * 3u8 - &x * 3u8 + &b) % &p;
            let y = right.modpow(&((&p + 1u8) >> 2u32), &p);
            (y.modpow(&BigUint::from(2u8), &p) == right).then_some((x, y))
        })
        .expect("half of all x");
    assert!(x < limit);
    let bytes = |n: &BigUint| -> [u8; 32] {
        let digits = n.to_bytes_be();
        let mut bytes = [0; 32];
        bytes[32 - digits.len()..].copy_from_slice(&digits);
        bytes
    };
    assert!(Affine::from_bytes(&bytes(&x), &bytes(&y)).is_some());
    assert!(Affine::from_bytes(&bytes(&(x + &p)), &bytes(&y)).is_none());
    assert!(
        Affine::from_bytes(&[0; 32], &[0; 32]).is_none(),
        "infinity has no coordinates"
    );
}
