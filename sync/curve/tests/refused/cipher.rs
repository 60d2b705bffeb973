//! Cipher texts that must not be read, and those that must come back unchanged.

use curve::{Ciphertext, MAX_PLAIN, Nonces, PrivateKey, Refused};
use proptest::prelude::*;

struct Sealed {
    key: PrivateKey,
    text: Ciphertext,
}

const PLAIN: &[u8] = b"a key of SM4 in it";

fn sealed() -> Sealed {
    let mut nonces = Nonces::new();
    let key = PrivateKey::generate(&mut nonces).expect("key");
    let text = key.public_key().encrypt(PLAIN, &mut nonces).expect("encrypted");
    Sealed { key, text }
}

fn opened(key: &PrivateKey, text: Result<Ciphertext, Refused>) -> Result<Vec<u8>, Refused> {
    key.decrypt(&text?).map(|plain| plain.to_vec())
}

#[test]
fn every_changed_bit_is_refused_in_every_form() {
    let Sealed { key, text } = sealed();
    let bytes = text.to_bytes();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        // C1 with a changed bit is hardly ever on the curve; the rest shows in C3.
        let wanted = if bit < 65 * 8 {
            Refused::CipherPoint
        } else {
            Refused::Decryption
        };
        assert_eq!(opened(&key, Ciphertext::from_bytes(&changed)), Err(wanted), "bit {bit}");
    }
    let der = text.to_der();
    for bit in 0..der.len() * 8 {
        let mut changed = der.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(opened(&key, Ciphertext::from_der(&changed)).is_err(), "bit {bit}");
    }
    assert_eq!(opened(&key, Ok(text)), Ok(PLAIN.to_vec()));
}

#[test]
fn another_key_does_not_open_it() {
    let Sealed { text, .. } = sealed();
    assert_eq!(opened(&sealed().key, Ok(text)), Err(Refused::Decryption));
}

#[test]
fn an_opposite_point_has_the_same_x_and_is_refused() {
    // C1 = −C1: x2 stays, y2 does not.
    let Sealed { key, text } = sealed();
    let p = num_bigint::BigUint::parse_bytes(b"FFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF", 16)
        .expect("hex");
    let mut bytes = text.to_bytes();
    let y = num_bigint::BigUint::from_bytes_be(&bytes[33..65]);
    bytes[33..65].copy_from_slice(&super::bytes(&(p - y)));
    assert_eq!(opened(&key, Ciphertext::from_bytes(&bytes)), Err(Refused::Decryption));
}

#[test]
fn infinity_and_points_off_the_curve_are_refused() {
    let bytes = sealed().text.to_bytes();
    let with = |point: &[u8]| Ciphertext::from_bytes(&[point, &bytes[65..]].concat());
    let mut zero = [0; 65];
    assert_eq!(with(&zero), Err(Refused::CipherPoint), "65 zeros");
    zero[0] = 4;
    assert_eq!(with(&zero), Err(Refused::CipherPoint), "(0, 0)");
    let mut large = [0xff; 65];
    large[0] = 4;
    assert_eq!(with(&large), Err(Refused::CipherPoint), "coordinates above p");
    let mut hybrid = bytes[..65].to_vec();
    hybrid[0] = 6 + (hybrid[64] & 1);
    assert_eq!(with(&hybrid), Err(Refused::CipherPoint), "another form");
    // In DER: x and y of zero, and of 33 bytes.
    let der = |x: &[u8], y: &[u8]| {
        let integer = |digits: &[u8]| [&[2, digits.len() as u8], digits].concat();
        let inner = [integer(x), integer(y), vec![4, 32], vec![7; 32], vec![4, 1, 7]].concat();
        Ciphertext::from_der(&[&[0x30, inner.len() as u8], &inner[..]].concat())
    };
    assert_eq!(der(&[0], &[0]), Err(Refused::CipherPoint));
    assert_eq!(der(&[1; 33], &[1]), Err(Refused::CipherPoint));
    assert_eq!(der(&[0x80], &[1]), Err(Refused::CipherForm), "negative");
    assert_eq!(der(&[], &[1]), Err(Refused::CipherForm), "no digits");
    assert_eq!(der(&[0, 1], &[1]), Err(Refused::CipherForm), "a zero too many");
}

#[test]
fn empty_and_oversized_texts_are_refused() {
    let Sealed { key, text } = sealed();
    let mut nonces = Nonces::new();
    let long = vec![0; MAX_PLAIN + 1];
    for plain in [&[][..], &long] {
        assert_eq!(key.public_key().encrypt(plain, &mut nonces), Err(Refused::PlainLength));
    }
    let head = &text.to_bytes()[..97];
    assert_eq!(Ciphertext::from_bytes(head), Err(Refused::PlainLength), "no C2");
    assert_eq!(Ciphertext::from_old_bytes(head), Err(Refused::PlainLength), "no C2");
    assert_eq!(
        Ciphertext::from_bytes(&[head, &long[..]].concat()),
        Err(Refused::PlainLength)
    );
    for end in 0..97 {
        assert_eq!(
            Ciphertext::from_bytes(&head[..end]),
            Err(Refused::CipherForm),
            "cut at {end}"
        );
        assert_eq!(
            Ciphertext::from_old_bytes(&head[..end]),
            Err(Refused::CipherForm),
            "cut at {end}"
        );
    }
}

#[test]
fn der_is_minimal_and_whole() {
    let Sealed { text, .. } = sealed();
    let der = text.to_der();
    let form = Err(Refused::CipherForm);
    for end in 0..der.len() {
        assert_eq!(Ciphertext::from_der(&der[..end]), form, "cut at {end}");
    }
    assert_eq!(Ciphertext::from_der(&[&der[..], &[0]].concat()), form, "a byte behind");
    let mut inside = [&der[..], &[5, 0]].concat();
    inside[1] += 2;
    assert_eq!(Ciphertext::from_der(&inside), form, "an element more");
    let long = [&[0x30, 0x81, der[1]], &der[2..]].concat();
    assert_eq!(
        Ciphertext::from_der(&long),
        form,
        "a long length where a short one does"
    );
    let indefinite = [&[0x30, 0x80], &der[2..], &[0, 0]].concat();
    assert_eq!(Ciphertext::from_der(&indefinite), form, "indefinite");
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_the_same(bytes: Vec<u8>) {
        if let Ok(read) = Ciphertext::from_der(&bytes) {
            prop_assert_eq!(read.to_der(), &bytes[..]);
        }
        if let Ok(read) = Ciphertext::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    /// A text with a piece replaced, cut out or put in: refused or read as it is, and never opened.
    #[test]
    fn mangled_texts_are_refused(at in 0usize..160, cut in 0usize..40, put in prop::collection::vec(any::<u8>(), 0..40)) {
        let Sealed { key, text } = sealed();
        for whole in [text.to_der(), text.to_bytes()] {
            let (start, end) = (at.min(whole.len()), (at + cut).min(whole.len()));
            let mangled = [&whole[..start], &put, &whole[end..]].concat();
            if mangled == whole {
                continue;
            }
            if let Ok(read) = Ciphertext::from_der(&mangled) {
                prop_assert_eq!(read.to_der(), &mangled[..]);
                prop_assert_eq!(opened(&key, Ok(read)), Err(Refused::Decryption));
            }
            prop_assert!(opened(&key, Ciphertext::from_bytes(&mangled)).is_err());
            prop_assert!(opened(&key, Ciphertext::from_old_bytes(&mangled)).is_err());
        }
    }
}
