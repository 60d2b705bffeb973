//! What must not be accepted, and what must come back unchanged.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what a test cannot set up fails the test"
)]

mod cipher;

use curve::{Bound, DEFAULT_ID, KnownKey, Nonces, PrivateKey, PublicKey, Refused, Signature, z};
use num_bigint::BigUint;
use proptest::prelude::*;

const N: &str = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123";

fn n() -> BigUint {
    BigUint::parse_bytes(N.as_bytes(), 16).expect("hex")
}

fn bytes(number: &BigUint) -> [u8; 32] {
    let digits = number.to_bytes_be();
    let mut bytes = [0; 32];
    bytes[32 - digits.len()..].copy_from_slice(&digits);
    bytes
}

fn pair(r: &[u8; 32], s: &[u8; 32]) -> [u8; 64] {
    [*r, *s].concat().try_into().expect("64 bytes")
}

struct Signed {
    key: PrivateKey,
    e: [u8; 32],
    signature: Signature,
}

fn signed() -> Signed {
    let mut nonces = Nonces::new();
    let key = PrivateKey::generate(&mut nonces).expect("key");
    let e = Bound::new(DEFAULT_ID, key.public_key()).expect("bound").digest(b"rx");
    let signature = key.sign(&e, &mut nonces).expect("signed");
    Signed { key, e, signature }
}

#[test]
fn points_off_the_curve_infinity_and_other_forms_are_refused() {
    let point = signed().key.public_key().to_point();
    assert_eq!(PublicKey::from_point(&point).expect("good").to_point(), point);
    for at in [1, 32, 33, 64] {
        let mut off = point;
        off[at] ^= 1;
        assert_eq!(PublicKey::from_point(&off), Err(Refused::PublicKey), "byte {at}");
    }
    let mut zero = [0; 65];
    zero[0] = 4;
    let mut large = [0xff; 65];
    large[0] = 4;
    let mut hybrid = point;
    hybrid[0] = 6 + (point[64] & 1);
    let mut compressed = point[..33].to_vec();
    compressed[0] = 2 + (point[64] & 1);
    let longer = [&point[..], &[0]].concat();
    let others: [&[u8]; 8] = [&[], &[0], &[4], &zero, &large, &hybrid, &compressed, &longer];
    for other in others {
        assert_eq!(PublicKey::from_point(other), Err(Refused::PublicKey), "{other:x?}");
    }
}

#[test]
fn r_and_s_outside_1_to_n_less_1_are_refused() {
    let good = bytes(&BigUint::from(5u8));
    let last = bytes(&(n() - 1u8));
    for bad in [[0; 32], bytes(&n()), bytes(&(n() + 1u8)), [0xff; 32]] {
        assert_eq!(Signature::from_bytes(&pair(&bad, &good)), Err(Refused::SignatureRange));
        assert_eq!(Signature::from_bytes(&pair(&good, &bad)), Err(Refused::SignatureRange));
    }
    let both = pair(&last, &last);
    assert_eq!(Signature::from_bytes(&both).expect("in range").to_bytes(), both);
}

#[test]
fn r_and_s_that_sum_to_n_are_refused() {
    let Signed { key, e, signature } = signed();
    let r: [u8; 32] = signature.to_bytes()[..32].try_into().expect("half");
    let s = bytes(&(n() - BigUint::from_bytes_be(&r)));
    let made = Signature::from_bytes(&pair(&r, &s)).expect("each in range");
    assert_eq!(key.public_key().verify(&e, &made), Err(Refused::Signature));
    assert_eq!(
        KnownKey::new(key.public_key()).verify(&e, &made),
        Err(Refused::Signature)
    );
}

#[test]
fn a_signature_that_leads_to_infinity_is_refused() {
    // s·G + t·P with P = d·G is infinity for s + (r + s)·d = 0: r = −s·(1 + d)/d.
    let Signed { key, .. } = signed();
    let (n, d) = (n(), BigUint::from_bytes_be(&*key.to_bytes()));
    let s = BigUint::from(12_345u32);
    let r = (&n - &s) * (&d + 1u8) * d.modinv(&n).expect("prime") % &n;
    let made = Signature::from_bytes(&pair(&bytes(&r), &bytes(&s))).expect("in range");
    // With e = r the x of infinity, were it taken as 0, would be right.
    let e = bytes(&r);
    assert_eq!(key.public_key().verify(&e, &made), Err(Refused::Signature));
    assert_eq!(
        KnownKey::new(key.public_key()).verify(&e, &made),
        Err(Refused::Signature)
    );
}

#[test]
fn equal_and_opposite_points_within_a_verification_are_added_rightly() {
    // d = 1 and d = n−2 make P = G and P = −2G: the windows of both halves meet each other's points.
    for d in [BigUint::from(1u8), BigUint::from(2u8), n() - 2u8, n() - 3u8] {
        let key = PrivateKey::from_bytes(&bytes(&d)).expect("in range");
        let known = KnownKey::new(key.public_key());
        let mut nonces = Nonces::new();
        for number in 0..50u8 {
            let e = [number; 32];
            let signature = key.sign(&e, &mut nonces).expect("signed");
            assert_eq!(key.public_key().verify(&e, &signature), Ok(()));
            assert_eq!(known.verify(&e, &signature), Ok(()));
            assert_eq!(known.verify(&[number ^ 1; 32], &signature), Err(Refused::Signature));
        }
    }
}

#[test]
fn der_is_minimal_and_whole() {
    let der = |r: &[u8], s: &[u8]| {
        let mut out = vec![0x30, (4 + r.len() + s.len()) as u8, 2, r.len() as u8];
        out.extend(r);
        out.extend([2, s.len() as u8]);
        out.extend(s);
        out
    };
    let five = [5u8];
    assert_eq!(
        Signature::from_der(&der(&five, &[0, 0x80])).expect("minimal").to_der(),
        der(&five, &[0, 0x80])
    );
    let form = Err(Refused::SignatureForm);
    let range = Err(Refused::SignatureRange);
    assert_eq!(Signature::from_der(&der(&[0, 5], &five)), form, "a zero too many");
    assert_eq!(Signature::from_der(&der(&five, &[0, 0, 0x80])), form, "zeros too many");
    assert_eq!(Signature::from_der(&der(&[0x85], &five)), form, "negative");
    assert_eq!(Signature::from_der(&der(&[], &five)), form, "no digits");
    assert_eq!(Signature::from_der(&der(&[0], &five)), range, "zero");
    assert_eq!(Signature::from_der(&der(&[1; 33], &five)), range, "33 bytes");
    let n: Vec<u8> = [&[0], &bytes(&n())[..]].concat();
    assert_eq!(Signature::from_der(&der(&n, &five)), range, "n");

    let good = signed().signature;
    let whole = good.to_der();
    assert_eq!(Signature::from_der(&whole), Ok(good));
    for end in 0..whole.len() {
        assert_eq!(Signature::from_der(&whole[..end]), form, "cut at {end}");
    }
    assert_eq!(Signature::from_der(&[&whole[..], &[0]].concat()), form, "a byte behind");
    let mut inside = [&whole[..], &[5, 0]].concat();
    inside[1] += 2;
    assert_eq!(Signature::from_der(&inside), form, "an element more");
    let long = [&[0x30, 0x81, whole[1]], &whole[2..]].concat();
    assert_eq!(Signature::from_der(&long), form, "a long length where a short one does");
    let indefinite = [&[0x30, 0x80], &whole[2..], &[0, 0]].concat();
    assert_eq!(Signature::from_der(&indefinite), form, "indefinite");
    for (at, tag) in [(0, 0x31), (2, 3)] {
        let mut other = whole.clone();
        other[at] = tag;
        assert_eq!(Signature::from_der(&other), form, "tag {tag}");
    }
}

#[test]
fn ids_that_do_not_fit_are_refused_and_an_empty_one_is_not_the_default() {
    let key = *signed().key.public_key();
    assert!(z(&[b'a'; 8191], &key).is_ok());
    assert_eq!(z(&[b'a'; 8192], &key), Err(Refused::IdTooLong));
    assert_ne!(z(b"", &key), z(DEFAULT_ID, &key));
}

#[test]
fn private_parts_are_not_printed() {
    let key = signed().key;
    let secret = hex::encode(*key.to_bytes());
    let shown = format!("{key:?} {:?}", Nonces::new());
    let numbers: Vec<String> = key.to_bytes().iter().map(u8::to_string).collect();
    assert!(
        !shown.contains(&secret) && !shown.contains(&numbers.join(", ")),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_the_same(bytes: Vec<u8>, r: [u8; 32], s: [u8; 32]) {
        if let Ok(read) = Signature::from_der(&bytes) {
            prop_assert_eq!(read.to_der(), bytes);
        }
        if let Ok(read) = Signature::from_bytes(&pair(&r, &s)) {
            prop_assert_eq!(Signature::from_der(&read.to_der()), Ok(read));
        }
    }
}
