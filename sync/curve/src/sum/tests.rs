use super::*;
use crate::limbs;

pub(crate) fn same(a: &Sum, b: &Sum) -> bool {
    let (zero_a, zero_b) = (a.zz.is_zero().reveal(), b.zz.is_zero().reveal());
    if zero_a || zero_b {
        return zero_a && zero_b;
    }
    let (a, b) = (a.to_affine(), b.to_affine());
    a.x.equals(&b.x).and(a.y.equals(&b.y)).reveal()
}

fn affine(point: Jacobian) -> Affine {
    Sum::from(point).to_affine()
}

/// 1·G … count·G by adding G again and again, each with another Z.
fn multiples(count: usize) -> Vec<Jacobian> {
    let g = Jacobian::from(Affine::generator());
    let mut all = vec![g];
    for _ in 1..count {
        all.push(all[all.len() - 1].add_public(&g));
    }
    all
}

#[test]
fn sums_agree_whichever_way_they_are_made() {
    let all = multiples(24);
    for (i, a) in all.iter().enumerate() {
        for (j, b) in all.iter().enumerate() {
            let jacobian = a.add_public(b);
            let sum = Sum::from(jacobian);
            assert!(same(&sum, &Sum::from(*a).add_public(&affine(*b))), "{i} + {j}");
            if let Some(wanted) = all.get(i + j + 1) {
                assert!(same(&sum, &(*wanted).into()), "{i} + {j}");
            }
            let distinct = Sum::from(*a).add_distinct(&affine(*b));
            if i != j {
                assert!(same(&sum, &distinct), "{i} + {j}");
            } else {
                assert!(same(&sum, &a.double().into()), "2·{i}");
                assert!(distinct.zz.is_zero().reveal(), "the exception shows in ZZ");
            }
            assert!(
                same(&jacobian.add_public(&b.neg()).into(), &(*a).into()),
                "{i} + {j} - {j}"
            );
            assert!(same(&sum.add_public(&affine(b.neg())), &(*a).into()), "{i} + {j} - {j}");
        }
    }
}

#[test]
fn infinity_is_neutral_and_opposites_cancel() {
    let (none, nothing) = (Jacobian::INFINITY, Sum::INFINITY);
    for point in multiples(5) {
        let sum = Sum::from(point);
        assert!(same(&nothing.add_public(&affine(point)), &sum));
        assert!(same(&none.add_public(&point).into(), &sum));
        assert!(same(&point.add_public(&none).into(), &sum));
        assert!(same(&sum.add_public(&affine(point.neg())), &nothing));
        assert!(same(&point.add_public(&point.neg()).into(), &nothing));
        assert!(same(&sum.add_public(&affine(point)), &point.double().into()));
    }
    assert!(same(&none.double().into(), &nothing));
}

#[test]
fn an_x_between_n_and_p_is_compared_modulo_n() {
    // No point with such an x is at hand (they are one in 2¹²⁸): the comparison is shown with a made-up X and Z.
    let n = crate::scalar::N;
    let x = limbs::add(&n, &[5, 0, 0, 0]).0;
    let z = Affine::generator().y;
    let made = Sum::from(Jacobian {
        x: Fp::from_limbs(&x).expect("below p").mul(&z.square()),
        y: Fp::ONE,
        z,
    });
    assert!(made.has_x_public(&Scalar::reduced(&[5, 0, 0, 0])));
    assert!(!made.has_x_public(&Scalar::reduced(&[6, 0, 0, 0])));
    assert!(!Sum::INFINITY.has_x_public(&Scalar::default()));
}
