use num_bigint::BigUint;

use crate::limbs;

use super::*;

fn same(a: &Jacobian, b: &Jacobian) -> bool {
    let (zero_a, zero_b) = (a.z.is_zero().reveal(), b.z.is_zero().reveal());
    if zero_a || zero_b {
        return zero_a && zero_b;
    }
    let (a, b) = (a.to_affine(), b.to_affine());
    a.x.equals(&b.x).and(a.y.equals(&b.y)).reveal()
}

/// 1·G … count·G by adding G again and again, each with another Z.
fn multiples(count: usize) -> Vec<Jacobian> {
    let g = Affine::generator();
    let mut all = vec![Jacobian::from(g)];
    for _ in 1..count {
        let next = all[all.len() - 1].add_public(&g);
        all.push(next);
    }
    all
}

#[test]
fn the_base_point_is_on_the_curve_and_of_order_n() {
    let g = Affine::generator();
    assert!(Affine::from_bytes(&g.x.to_bytes(), &g.y.to_bytes()).is_some());
    let less = limbs::sub(&crate::scalar::N, &[1, 0, 0, 0]).0;
    let last = crate::wnaf::multiply_public(&g, &Scalar::reduced(&less));
    assert!(same(&last, &g.negated_if(Mask::SET).into()), "(n-1)·G = -G");
    assert!(last.add_public(&g).z.is_zero().reveal(), "n·G is infinity");
}

#[test]
fn sums_agree_whichever_way_they_are_made() {
    let all = multiples(24);
    for (i, a) in all.iter().enumerate() {
        for (j, b) in all.iter().enumerate() {
            let sum = a.add_jacobian_public(b);
            assert!(same(&sum, &a.add_public(&b.to_affine())), "{i} + {j}");
            if let Some(wanted) = all.get(i + j + 1) {
                assert!(same(&sum, wanted), "{i} + {j}");
            }
            if i != j {
                assert!(same(&sum, &a.add_distinct(&b.to_affine())), "{i} + {j}");
            } else {
                assert!(same(&sum, &a.double()), "2·{i}");
                assert!(
                    a.add_distinct(&b.to_affine()).z.is_zero().reveal(),
                    "the exception shows in Z"
                );
            }
            assert!(same(&sum.add_jacobian_public(&b.neg()), a), "{i} + {j} - {j}");
        }
    }
}

#[test]
fn infinity_is_neutral_and_opposites_cancel() {
    let none = Jacobian::INFINITY;
    for point in multiples(5) {
        let affine = point.to_affine();
        assert!(same(&none.add_public(&affine), &point));
        assert!(same(&none.add_jacobian_public(&point), &point));
        assert!(same(&point.add_jacobian_public(&none), &point));
        assert!(same(&point.add_public(&affine.negated_if(Mask::SET)), &none));
        assert!(same(&point.add_jacobian_public(&point.neg()), &none));
        assert!(same(&point.add_public(&affine), &point.double()));
    }
    assert!(same(&none.double(), &none));
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

#[test]
fn an_x_between_n_and_p_is_compared_modulo_n() {
    // No point with such an x is at hand (they are one in 2¹²⁸): the comparison is shown with a made-up X and Z.
    let n = crate::scalar::N;
    let x = limbs::add(&n, &[5, 0, 0, 0]).0;
    let z = Affine::generator().y;
    let made = Jacobian {
        x: Fp::from_limbs(&x).expect("below p").mul(&z.square()),
        y: Fp::ONE,
        z,
    };
    assert!(made.has_x_public(&Scalar::reduced(&[5, 0, 0, 0])));
    assert!(!made.has_x_public(&Scalar::reduced(&[6, 0, 0, 0])));
    assert!(!Jacobian::INFINITY.has_x_public(&Scalar::default()));
}
