use num_bigint::BigUint;
use proptest::prelude::*;

use super::*;

fn big(limbs: &Limbs) -> BigUint {
    BigUint::from_bytes_be(&limbs::to_bytes(limbs))
}

fn n() -> BigUint {
    big(&N)
}

fn edges() -> Vec<Limbs> {
    let mut all = vec![R, R2];
    for small in 0..4 {
        all.push([small, 0, 0, 0]);
        all.push(limbs::sub(&N, &[small + 1, 0, 0, 0]).0);
    }
    for at in 0..4 {
        for word in [1, 0xffff_ffff, 1 << 63, u64::MAX] {
            let mut one = [0; 4];
            one[at] = word;
            let mut others = [u64::MAX; 4];
            others[at] ^= word;
            all.extend([one, others]);
        }
    }
    all.retain(|limbs| limbs::below(limbs, &N).reveal());
    all
}

fn check(a: Limbs, b: Limbs) {
    let (sa, sb, n) = (Scalar(a), Scalar(b), n());
    let (ba, bb) = (big(&a), big(&b));
    assert_eq!(big(&Factor::new(&sa).times(&sb).0), &ba * &bb % &n, "{a:x?} · {b:x?}");
    assert_eq!(big(&sa.add(&sb).0), (&ba + &bb) % &n, "{a:x?} + {b:x?}");
    assert_eq!(big(&sa.sub(&sb).0), (&ba + &n - &bb) % &n, "{a:x?} - {b:x?}");
}

fn check_inverse(a: Limbs) {
    let scalar = Scalar(a);
    let product = Factor::new(&scalar).invert().times(&scalar);
    assert_eq!(
        product.0,
        if a == [0; 4] { [0; 4] } else { Scalar::ONE.0 },
        "1 / {a:x?}"
    );
}

#[test]
fn constants_are_the_standards() {
    let wanted = b"FFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123";
    assert_eq!(n(), BigUint::parse_bytes(wanted, 16).expect("hex"));
    assert_eq!(N[0].wrapping_mul(N_INVERSE), u64::MAX);
    assert_eq!(big(&R), (BigUint::from(1u8) << 256u32) % n());
    assert_eq!(big(&R2), (BigUint::from(1u8) << 512u32) % n());
}

#[test]
fn every_pair_of_edges_agrees_with_big_integers() {
    let edges = edges();
    assert!(edges.len() > 25);
    for a in &edges {
        check_inverse(*a);
        for b in &edges {
            check(*a, *b);
        }
    }
}

#[test]
fn numbers_of_n_and_more_are_refused_or_reduced() {
    for more in 0..3u64 {
        let over = limbs::add(&N, &[more, 0, 0, 0]).0;
        assert!(Scalar::from_bytes(&limbs::to_bytes(&over)).is_none());
        assert_eq!(Scalar::reduced(&over).0, [more, 0, 0, 0]);
    }
    assert_eq!(big(&Scalar::reduced(&[u64::MAX; 4]).0), big(&[u64::MAX; 4]) % n());
    let last = limbs::sub(&N, &[1, 0, 0, 0]).0;
    assert_eq!(Scalar::from_bytes(&limbs::to_bytes(&last)).expect("below n").0, last);
    assert_eq!(Scalar::reduced(&last).0, last);
    assert!(Scalar(last).plus_order().is_none());
    assert_eq!(Scalar::ONE.plus_order(), Some(limbs::add(&N, &[1, 0, 0, 0]).0));
}

proptest! {
    #[test]
    fn any_pair_agrees_with_big_integers(a: [u64; 4], b: [u64; 4]) {
        let (a, b) = (Scalar::reduced(&a), Scalar::reduced(&b));
        check(a.0, b.0);
        check_inverse(a.0);
    }
}
