//! Cipher texts, both ways.

use curve::{Ciphertext, MAX_PLAIN, Nonces, PrivateKey};
use proptest::prelude::*;
use sm2::pke::{DecryptingKey, EncryptingKey, Mode};

use super::{openssl, openssl_key, private};

fn encrypt(key: &PrivateKey, plain: &[u8]) -> Ciphertext {
    let text = key.public_key().encrypt(plain, &mut Nonces::new()).expect("encrypted");
    // Whatever form it travels in, it is the same.
    assert_eq!(Ciphertext::from_bytes(&text.to_bytes()).as_ref(), Ok(&text));
    assert_eq!(Ciphertext::from_der(&text.to_der()).as_ref(), Ok(&text));
    text
}

fn decrypt(key: &PrivateKey, text: Result<Ciphertext, curve::Refused>) -> Vec<u8> {
    key.decrypt(&text.expect("well formed")).expect("whole").to_vec()
}

/// C1 ‖ C2 ‖ C3 of C1 ‖ C3 ‖ C2.
fn old_order(text: &[u8]) -> Vec<u8> {
    [&text[..65], &text[97..], &text[65..97]].concat()
}

fn rustcrypto(secret: &[u8; 32], mode: Mode) -> (EncryptingKey, DecryptingKey) {
    let secret = sm2::SecretKey::from_slice(secret).expect("in range");
    (
        EncryptingKey::new_with_mode(secret.public_key(), mode),
        DecryptingKey::new_with_mode(secret.to_nonzero_scalar(), mode),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn rustcrypto_agrees(secret: [u8; 32], plain in prop::collection::vec(any::<u8>(), 1..300)) {
        let Some(key) = private(&secret) else { return Ok(()) };
        let ours = encrypt(&key, &plain).to_bytes();
        let (new, decrypting) = rustcrypto(&secret, Mode::C1C3C2);
        prop_assert_eq!(&decrypting.decrypt(&ours).expect("decrypted"), &plain);
        let theirs = new.encrypt(&mut getrandom::SysRng, &plain).expect("encrypted");
        prop_assert_eq!(&decrypt(&key, Ciphertext::from_bytes(&theirs)), &plain);

        let (old, decrypting) = rustcrypto(&secret, Mode::C1C2C3);
        prop_assert_eq!(&decrypting.decrypt(&old_order(&ours)).expect("decrypted"), &plain);
        let theirs = old.encrypt(&mut getrandom::SysRng, &plain).expect("encrypted");
        prop_assert_eq!(&decrypt(&key, Ciphertext::from_old_bytes(&theirs)), &plain);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn libsm_agrees(secret: [u8; 32], plain in prop::collection::vec(any::<u8>(), 1..100)) {
        let Some(key) = private(&secret) else { return Ok(()) };
        let keys = libsm::sm2::signature::SigCtx::new();
        let public = keys.load_pubkey(&key.public_key().to_point()).expect("point");
        let secret = keys.load_seckey(&secret).expect("in range");

        let theirs = libsm::sm2::encrypt::EncryptCtx::new(plain.len(), public).encrypt(&plain).expect("encrypted");
        prop_assert_eq!(&decrypt(&key, Ciphertext::from_old_bytes(&theirs)), &plain);
        let ours = old_order(&encrypt(&key, &plain).to_bytes());
        let decrypting = libsm::sm2::encrypt::DecryptCtx::new(plain.len(), secret);
        prop_assert_eq!(&decrypting.decrypt(&ours).expect("decrypted"), &plain);
    }

    /// It computes with numbers: a first byte of zero would be lost on its side, and it writes C1 without its first byte 4.
    #[test]
    fn sm_crypto_agrees(secret: [u8; 32], first in 1u8.., rest in prop::collection::vec(any::<u8>(), 0..100)) {
        let Some(key) = private(&secret) else { return Ok(()) };
        let plain = [&[first], &rest[..]].concat();
        let public = hex::encode(key.public_key().to_point()).split_off(2);
        let secret = hex::encode(secret);
        let theirs = sm_crypto::sm2::Decrypt::new(&secret);
        let ours = encrypt(&key, &plain);
        prop_assert_eq!(&theirs.decrypt(&ours.to_bytes()[1..]), &plain);
        prop_assert_eq!(&theirs.decrypt_asna1(&ours.to_der()), &plain);

        let made = sm_crypto::sm2::Encrypt::new(&public).encrypt(&plain);
        // For one byte in 256 it makes nothing, where the standard draws another k.
        if !made.is_empty() {
            prop_assert_eq!(&decrypt(&key, Ciphertext::from_bytes(&[&[4], &made[..]].concat())), &plain);
        }
    }
}

#[test]
fn openssl_agrees() {
    let folder = tempfile::tempdir().expect("folder");
    let dir = folder.path();
    let key = openssl_key(dir);
    // Lengths at which the DER changes its form, and a message of the largest length.
    for length in [2, 16, 19, 31, 32, 33, 100, 127, 128, 255, 256, 4_000, 70_000, MAX_PLAIN] {
        let plain: Vec<u8> = (0..length).map(|at| (at * 7) as u8).collect();
        std::fs::write(dir.join("plain"), &plain).expect("written");
        std::fs::write(dir.join("ours"), encrypt(&key, &plain).to_der()).expect("written");
        let read = [
            "pkeyutl",
            "-decrypt",
            "-inkey",
            "key.pem",
            "-in",
            "ours",
            "-out",
            "read",
            "-pkeyopt",
            "digest:sm3",
        ];
        assert!(openssl(dir, &read), "OpenSSL decrypts ours of {length} bytes");
        assert!(std::fs::read(dir.join("read")).expect("read") == plain, "{length}");

        let make = [
            "pkeyutl",
            "-encrypt",
            "-pubin",
            "-inkey",
            "public.pem",
            "-in",
            "plain",
            "-out",
            "theirs",
        ];
        assert!(openssl(dir, &make));
        let theirs = std::fs::read(dir.join("theirs")).expect("made");
        assert!(decrypt(&key, Ciphertext::from_der(&theirs)) == plain, "{length}");
        assert_eq!(Ciphertext::from_der(&theirs).expect("read").to_der(), theirs);

        // What is changed, neither reads.
        let mut changed = theirs;
        *changed.last_mut().expect("some") ^= 1;
        std::fs::write(dir.join("ours"), &changed).expect("written");
        assert!(!openssl(dir, &read), "OpenSSL refuses a changed text");
        let text = Ciphertext::from_der(&changed).expect("well formed");
        assert_eq!(key.decrypt(&text).map(|_| ()), Err(curve::Refused::Decryption));
    }
}
