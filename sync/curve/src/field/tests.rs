use num_bigint::BigUint;
use proptest::prelude::*;

use super::*;

fn big(limbs: &Limbs) -> BigUint {
    BigUint::from_bytes_be(&limbs::to_bytes(limbs))
}

fn p() -> BigUint {
    big(&P)
}

/// 2⁻²⁵⁶ mod p.
fn r_inverse() -> BigUint {
    (BigUint::from(1u8) << 256u32).modinv(&p()).expect("p is prime")
}

fn small(value: u64) -> Limbs {
    [value, 0, 0, 0]
}

/// Words where carries, borrows and the conditional subtraction turn over.
fn edges() -> Vec<Limbs> {
    let mut all = vec![small(0), small(1), small(2), Fp::ONE.0, Fp::B.0, R2];
    for less in [1, 2, 3, 0xffff_ffff, 1 << 63] {
        all.push(limbs::sub(&P, &small(less)).0);
    }
    for at in 0..4 {
        for word in [1, 0xffff_ffff, 1 << 32, 1 << 63, u64::MAX] {
            let mut one = [0; 4];
            one[at] = word;
            let mut others = [u64::MAX; 4];
            others[at] ^= word;
            all.extend([one, others]);
        }
    }
    let (half, _) = limbs::add(&P, &small(1));
    all.push([
        (half[0] >> 1) | (half[1] << 63),
        (half[1] >> 1) | (half[2] << 63),
        (half[2] >> 1) | (half[3] << 63),
        half[3] >> 1,
    ]);
    all.retain(|limbs| limbs::below(limbs, &P).reveal());
    all
}

fn check(a: Limbs, b: Limbs) {
    let (fa, fb) = (Fp(a), Fp(b));
    let (ba, bb, p) = (big(&a), big(&b), p());
    assert_eq!(big(&fa.mul(&fb).0), &ba * &bb * r_inverse() % &p, "{a:x?} · {b:x?}");
    assert_eq!(big(&fa.add(&fb).0), (&ba + &bb) % &p, "{a:x?} + {b:x?}");
    assert_eq!(big(&fa.sub(&fb).0), (&ba + &p - &bb) % &p, "{a:x?} - {b:x?}");
    assert_eq!(fa.equals(&fb).reveal(), a == b);
}

fn check_one(a: Limbs) {
    let (fa, ba, p) = (Fp(a), big(&a), p());
    assert_eq!(big(&fa.square().0), &ba * &ba * r_inverse() % &p);
    assert_eq!(big(&fa.double().0), &ba * 2u8 % &p);
    assert_eq!(big(&fa.triple().0), &ba * 3u8 % &p);
    assert_eq!(big(&fa.neg().0), (&p - &ba) % &p);
    assert_eq!(big(&fa.half().0) * 2u8 % &p, ba, "{a:x?} / 2");
    assert!(limbs::below(&fa.half().0, &P).reveal());
    assert_eq!(big(&fa.to_limbs()), &ba * r_inverse() % &p);
    assert_eq!(Fp::from_limbs(&fa.to_limbs()).expect("below p").0, a);
    assert_eq!(fa.is_zero().reveal(), a == [0; 4]);
    let inverse = fa.invert();
    let one = if a == [0; 4] { [0; 4] } else { Fp::ONE.0 };
    assert_eq!(fa.mul(&inverse).0, one, "1 / {a:x?}");
}

#[test]
fn constants_are_the_standards() {
    let hex = |text: &str| BigUint::parse_bytes(text.as_bytes(), 16).expect("hex");
    assert_eq!(
        p(),
        hex("FFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF")
    );
    let b = BigUint::from_bytes_be(&Fp::B.to_bytes());
    assert_eq!(
        b,
        hex("28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93")
    );
    assert_eq!(big(&Fp::ONE.to_limbs()), BigUint::from(1u8));
    assert_eq!(big(&R2), (BigUint::from(1u8) << 512u32) % p());
}

#[test]
fn every_pair_of_edges_agrees_with_big_integers() {
    let edges = edges();
    assert!(edges.len() > 30);
    for a in &edges {
        check_one(*a);
        for b in &edges {
            check(*a, *b);
        }
    }
}

#[test]
fn products_may_have_one_factor_of_p_or_more() {
    // As when a number enters the form.
    for over in [P, [u64::MAX; 4], limbs::add(&P, &small(1)).0] {
        for b in edges() {
            let product = big(&multiply(&over, &b));
            assert_eq!(product, big(&over) * big(&b) * r_inverse() % p());
            assert_eq!(big(&multiply(&b, &over)), product);
        }
        assert!(Fp::from_limbs(&over).is_none(), "p and more are refused");
    }
}

#[test]
fn many_inverses_are_single_ones() {
    let mut values: Vec<Fp> = edges().into_iter().filter(|a| *a != [0; 4]).map(Fp).collect();
    let single: Vec<Limbs> = values.iter().map(|value| value.invert().0).collect();
    let mut scratch = vec![Fp::ZERO; values.len()];
    invert_all(&mut values, &mut scratch);
    assert_eq!(values.iter().map(|value| value.0).collect::<Vec<_>>(), single);
}

proptest! {
    #[test]
    fn any_pair_agrees_with_big_integers(a: [u64; 4], b: [u64; 4]) {
        let (a, b) = (limbs::reduce_once(&a, false, &P), limbs::reduce_once(&b, false, &P));
        check(a, b);
        check_one(a);
    }
}
