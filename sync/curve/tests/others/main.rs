//! Signatures made here are judged by four other implementations and theirs here: RustCrypto `sm2`, `libsm`, `sm-crypto`
//! and Debian's OpenSSL, each with the user id given explicitly. Likewise cipher texts; exchanged keys by those that can.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what a test cannot set up fails the test"
)]

mod encryption;
mod exchange;

use std::path::Path;
use std::process::Command;

use curve::{Bound, DEFAULT_ID, KnownKey, Nonces, PrivateKey, PublicKey, Refused, Signature};
use proptest::prelude::*;
use sm2::dsa::signature::{Signer as _, Verifier as _};

/// The id of TLS 1.3 (RFC 8998, 3.2.1): another one than the default.
const TLS_ID: &str = "TLSv1.3+GM+Cipher+Suite";

fn default_id() -> &'static str {
    std::str::from_utf8(DEFAULT_ID).expect("text")
}

/// Both ways to verify must agree.
fn verify(key: &PublicKey, id: &str, message: &[u8], signature: &Signature) -> Result<(), Refused> {
    let e = Bound::new(id.as_bytes(), key)?.digest(message);
    let verdict = key.verify(&e, signature);
    assert_eq!(
        verdict,
        KnownKey::new(key).verify(&e, signature),
        "a table changes nothing"
    );
    verdict
}

fn sign(key: &PrivateKey, id: &str, message: &[u8]) -> Signature {
    let bound = Bound::new(id.as_bytes(), key.public_key()).expect("bound");
    key.sign(&bound.digest(message), &mut Nonces::new()).expect("signed")
}

fn private(bytes: &[u8; 32]) -> Option<PrivateKey> {
    PrivateKey::from_bytes(bytes).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rustcrypto_agrees(secret: [u8; 32], message: Vec<u8>, id in "[ -~]{0,40}", flip in 0usize..64 * 8) {
        let Some(key) = private(&secret) else { return Ok(()) };
        let theirs = sm2::dsa::SigningKey::from_slice(&id, &secret).expect("in range");
        prop_assert_eq!(&theirs.verifying_key().to_sec1_bytes()[..], &key.public_key().to_point()[..]);

        let ours = sign(&key, &id, &message);
        let signature = sm2::dsa::Signature::from_slice(&ours.to_bytes()).expect("in range");
        prop_assert!(theirs.verifying_key().verify(&message, &signature).is_ok());

        let made = Signature::from_bytes(&theirs.sign(&message).to_bytes().into()).expect("in range");
        prop_assert_eq!(verify(key.public_key(), &id, &message, &made), Ok(()));

        // One bit changed: both refuse, for r and s in range or not.
        let mut bytes = made.to_bytes();
        bytes[flip / 8] ^= 1 << (flip % 8);
        let here = Signature::from_bytes(&bytes).and_then(|changed| verify(key.public_key(), &id, &message, &changed));
        let there = sm2::dsa::Signature::from_slice(&bytes)
            .and_then(|changed| theirs.verifying_key().verify(&message, &changed));
        prop_assert!(here.is_err() && there.is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn libsm_agrees(secret: [u8; 32], message: Vec<u8>) {
        let Some(key) = private(&secret) else { return Ok(()) };
        let theirs = libsm::sm2::signature::SigCtx::new();
        let public = theirs.load_pubkey(&key.public_key().to_point()).expect("point");
        let private = theirs.load_seckey(&secret).expect("in range");

        let ours = libsm::sm2::signature::Signature::der_decode(&sign(&key, default_id(), &message).to_der()).expect("DER");
        prop_assert!(theirs.verify(&message, &public, &ours).expect("judged"));

        let made = theirs.sign(&message, &private, &public).expect("signed").der_encode();
        prop_assert_eq!(verify(key.public_key(), default_id(), &message, &Signature::from_der(&made).expect("DER")), Ok(()));
    }

    #[test]
    fn sm_crypto_agrees(secret: [u8; 32], message: Vec<u8>, id in "[ -~]{1,40}") {
        let Some(key) = private(&secret) else { return Ok(()) };
        let public = hex::encode(key.public_key().to_point()).split_off(2);
        let ours = sign(&key, &id, &message).to_der();
        let theirs = sm_crypto::sm2::Verify::new_with_id(id.as_bytes(), &public);
        prop_assert!(theirs.verify_der(&message, &ours, true));
        prop_assert!(!theirs.verify_der(b"another message altogether", &ours, true));

        let secret = hex::encode(secret);
        let made = sm_crypto::sm2::Sign::new_with_id(id.as_bytes(), &secret).sign_der(&message, true);
        prop_assert_eq!(verify(key.public_key(), &id, &message, &Signature::from_der(&made).expect("DER")), Ok(()));
    }
}

fn openssl(dir: &Path, arguments: &[&str]) -> bool {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(dir)
        .output()
        .expect("openssl runs");
    output.status.success()
}

/// OpenSSL's key, read from its PKCS#8 (which holds `version 1, OCTET STRING of 32 bytes`).
fn openssl_key(dir: &Path) -> PrivateKey {
    assert!(openssl(dir, &["genpkey", "-algorithm", "SM2", "-out", "key.pem"]));
    assert!(openssl(
        dir,
        &["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"]
    ));
    assert!(openssl(
        dir,
        &["pkey", "-in", "key.pem", "-outform", "DER", "-out", "key.der"]
    ));
    let der = std::fs::read(dir.join("key.der")).expect("key");
    let marker = [2, 1, 1, 4, 32];
    let at = der
        .windows(5)
        .position(|window| window == marker)
        .expect("a private key")
        + 5;
    let key = PrivateKey::from_bytes(der[at..at + 32].try_into().expect("32 bytes")).expect("in range");
    assert!(
        der.ends_with(&key.public_key().to_point()),
        "OpenSSL's public key is ours"
    );
    key
}

#[test]
fn openssl_agrees() {
    let folder = tempfile::tempdir().expect("folder");
    let dir = folder.path();
    for round in 0..3 {
        let key = openssl_key(dir);
        let message: Vec<u8> = (0..round * 700).map(|at| at as u8).collect();
        std::fs::write(dir.join("message"), &message).expect("written");
        for (id, other) in [(default_id(), TLS_ID), (TLS_ID, default_id())] {
            let option = format!("distid:{id}");
            let judge = |id: &str| {
                let option = format!("distid:{id}");
                openssl(
                    dir,
                    &[
                        "dgst",
                        "-sm3",
                        "-verify",
                        "public.pem",
                        "-signature",
                        "ours",
                        "-sigopt",
                        &option,
                        "message",
                    ],
                )
            };
            std::fs::write(dir.join("ours"), sign(&key, id, &message).to_der()).expect("written");
            assert!(judge(id), "OpenSSL verifies ours");
            assert!(!judge(other), "and not under another id");

            let make = [
                "dgst", "-sm3", "-sign", "key.pem", "-sigopt", &option, "-out", "theirs", "message",
            ];
            assert!(openssl(dir, &make));
            let theirs = Signature::from_der(&std::fs::read(dir.join("theirs")).expect("made")).expect("DER");
            assert_eq!(verify(key.public_key(), id, &message, &theirs), Ok(()));
            assert_eq!(
                verify(key.public_key(), other, &message, &theirs),
                Err(Refused::Signature)
            );
        }
    }
}
