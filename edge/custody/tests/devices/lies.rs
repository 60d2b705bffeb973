//! An SDF device that lies. Whatever it answers: no signature that does not verify, no memory but the guard space touched, no
//! panic.

use custody::{Cipher, CipherKey, Device, Direction, Fault, KeyRef, Mode, Scheme, Unwrap};

use crate::bench::Bench;
use crate::judges::{e, openssl_encrypts, rustcrypto_verifies};

fn key(text: &str) -> KeyRef {
    text.parse().unwrap()
}

#[test]
fn a_wrong_signature_does_not_leave() {
    let bench = Bench::new();
    let device = bench.open();
    let rsa = key("sdf:1;algorithm=rsa");
    for lie in ["flip", "garbage", "short", "overrun 1", "overrun 128", "overrun 4000"] {
        bench.control(&format!(
            "lie SDF_InternalSign_ECC {lie}\nlie SDF_InternalPrivateKeyOperation_RSA {lie}\n"
        ));
        for (key, scheme) in [
            (&key("sdf:1"), Scheme::Sm2),
            (&rsa, Scheme::RsaPkcs1(custody::Hash::Sha256)),
        ] {
            let fault = device.sign(key, scheme, &[1; 32]).unwrap_err();
            assert!(matches!(fault, Fault::BadReply { .. }), "{lie}: {fault}");
        }
        bench.control("");
        assert!(device.sign(&key("sdf:1"), Scheme::Sm2, &[1; 32]).is_ok(), "after {lie}");
    }
}

#[test]
fn keys_off_the_curve_and_counts_beyond_buffers_are_refused() {
    let bench = Bench::new();
    let device = bench.open();
    let own = key("sdf:1;use=encrypt");
    let public = device.public_key(&own).unwrap();
    let ciphertext = openssl_encrypts(&public.spki, &[], &[7; 40]);
    let given = CipherKey::Given(vec![7; 16].into());
    for count in ["0", "39", "41", "4096", "0x7FFFFFFF", "0xFFFFFFFF"] {
        bench.control(&format!(
            "lie SDF_InternalDecrypt_ECC count {count}\nlie SDF_Encrypt count {count}\nlie SDF_HashFinal count {count}\n"
        ));
        let bad = |fault: Fault| assert!(matches!(fault, Fault::BadReply { .. }), "{count}: {fault}");
        bad(device.decrypt(&own, Unwrap::Sm2, &ciphertext).unwrap_err());
        bad(device
            .cipher(&given, Cipher::Sm4, Mode::Ecb, Direction::Encrypt, &[0; 64])
            .unwrap_err());
        bad(device.sm3(b"abc").unwrap_err());
    }
    for lie in ["flip", "garbage", "overrun 8"] {
        bench.control(&format!("lie SDF_ExportSignPublicKey_ECC {lie}\n"));
        let fault = device.public_key(&key("sdf:2")).unwrap_err();
        assert!(matches!(fault, Fault::BadReply { .. }), "{lie}: {fault}");
        assert!(device.keys().is_err());
    }
    bench.control("");
    assert!(device.public_key(&key("sdf:2")).is_ok());
    assert_eq!(*device.decrypt(&own, Unwrap::Sm2, &ciphertext).unwrap(), [7; 40]);
}

/// 60 seeds and more in `cargo xtask fuzz`, each some hundred replies. A failure names its seed.
#[test]
fn no_reply_whatever_breaks_the_caller() {
    let seeds = kit::fuzz::cases(60);
    let bench = Bench::new();
    let device = bench.open();
    let (own, rsa, opener) = (key("sdf:1"), key("sdf:1;algorithm=rsa"), key("sdf:1;use=encrypt"));
    let public = device.public_key(&own).unwrap();
    let digest = e(&public.spki);
    let ciphertext = openssl_encrypts(&device.public_key(&opener).unwrap().spki, &[], b"fuzz");
    let given = CipherKey::Given(vec![7; 16].into());
    let mut signed = 0;
    for seed in 1..=seeds {
        bench.control(&format!("fuzz {seed}\n"));
        for _ in 0..4 {
            if let Ok(signature) = device.sign(&own, Scheme::Sm2, &digest) {
                assert!(rustcrypto_verifies(&public.spki, &signature), "seed {seed}");
                signed += 1;
            }
            let _ = device.sign(&rsa, Scheme::RsaPss(custody::Hash::Sha256), &[2; 32]);
            let _ = device.decrypt(&opener, Unwrap::Sm2, &ciphertext);
            let _ = device.decrypt(&key("sdf:1;use=encrypt;algorithm=rsa"), Unwrap::RsaPkcs1, &[1; 256]);
            let _ = device.cipher(
                &given,
                Cipher::Sm4,
                Mode::Cbc([1; 16]),
                Direction::Encrypt,
                &[0; 20_000],
            );
            let _ = device.sm3(&[0; 100]);
            let _ = device.info();
            let _ = device.keys();
            if let Ok(bytes) = device.random(300) {
                assert_eq!(bytes.len(), 300);
            }
        }
        assert!(!device.is_silent(), "seed {seed}");
    }
    bench.control("");
    let signature = device.sign(&own, Scheme::Sm2, &digest).unwrap();
    assert!(rustcrypto_verifies(&public.spki, &signature));
    assert!(signed > 0, "some replies were true");
}
