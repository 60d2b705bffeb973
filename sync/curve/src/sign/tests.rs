use super::*;
use crate::{Bound, DEFAULT_ID, z};

fn bytes(hex_digits: &str) -> [u8; 32] {
    hex::decode(hex_digits).expect("hex").try_into().expect("32 bytes")
}

const D: &str = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8";
const X: &str = "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020";
const Y: &str = "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13";
const Z: &str = "b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3";
const E: &str = "f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640";
const K: &str = "59276e27d506861a16680f3ad9c02dccef3cc1fa3cdbe4ce6d54b80deac1bc21";
const X1: &str = "04ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73";
const R: &str = "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3";
const S: &str = "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa";

fn nonce(k: &[u8; 32]) -> Nonce {
    let k = Scalar::from_bytes(k).expect("below n");
    Nonce {
        k,
        x: crate::sum::x_modulo_order(&masked::multiply(&k).to_affine().x),
    }
}

#[test]
fn the_example_of_gbt_32918_5_annex_a_2_comes_out_to_the_byte() {
    let key = PrivateKey::from_bytes(&bytes(D)).expect("key");
    assert_eq!(hex::encode(key.public_key().to_point()), format!("04{X}{Y}"));
    assert_eq!(hex::encode(z(DEFAULT_ID, key.public_key()).expect("z")), Z);
    let bound = Bound::new(DEFAULT_ID, key.public_key()).expect("bound");
    let e = bound.digest(b"message digest");
    assert_eq!(hex::encode(e), E);
    let nonce = nonce(&bytes(K));
    assert_eq!(hex::encode(nonce.x.to_bytes()), X1);
    let signature = key.sign_with(&e, &nonce).expect("signature");
    assert_eq!(hex::encode(signature.to_bytes()), format!("{R}{S}"));
    assert_eq!(key.public_key().verify(&e, &signature), Ok(()));
}

#[test]
fn nonces_the_standard_forbids_are_drawn_again() {
    let key = PrivateKey::from_bytes(&bytes(D)).expect("key");
    let nonce = nonce(&bytes(K));
    // e = −x1: r = 0. e = −x1 − k: r + k = n.
    let zero = Scalar::default();
    for e in [zero.sub(&nonce.x), zero.sub(&nonce.x).sub(&nonce.k)] {
        assert_eq!(key.sign_with(&e.to_bytes(), &nonce), None);
        // One more is allowed.
        assert!(key.sign_with(&e.add(&Scalar::ONE).to_bytes(), &nonce).is_some());
    }
    // k = r·d gives s = 0: r = k/d, e = r − x1.
    let r = Factor::new(&key.d).invert().times(&nonce.k);
    assert_eq!(key.sign_with(&r.sub(&nonce.x).to_bytes(), &nonce), None);
}

#[test]
fn digests_of_n_and_more_are_signed_modulo_n() {
    let mut nonces = Nonces::new();
    let key = PrivateKey::generate(&mut nonces).expect("key");
    for e in [[0xff; 32], [0; 32], limbs::to_bytes(&crate::scalar::N)] {
        let signature = key.sign(&e, &mut nonces).expect("signature");
        assert_eq!(key.public_key().verify(&e, &signature), Ok(()));
    }
}

#[test]
fn private_keys_are_between_1_and_n_less_2() {
    let key = |words: limbs::Limbs| PrivateKey::from_bytes(&limbs::to_bytes(&words));
    let less = |by: u64| limbs::sub(&crate::scalar::N, &[by, 0, 0, 0]).0;
    for refused in [[0; 4], less(1), less(0), [u64::MAX; 4]] {
        assert_eq!(
            key(refused).map(|_| ()).expect_err("out of range"),
            Refused::PrivateKeyRange
        );
    }
    let mut nonces = Nonces::new();
    for taken in [[1, 0, 0, 0], less(2)] {
        let key = key(taken).expect("in range");
        assert_eq!(*key.to_bytes(), limbs::to_bytes(&taken));
        let signature = key.sign(&[7; 32], &mut nonces).expect("signature");
        assert_eq!(key.public_key().verify(&[7; 32], &signature), Ok(()));
    }
}
