//! The SDF device when it tells the truth.

use custody::sdf::{CipherForm, Code, Coordinate};
use custody::{Cipher, CipherKey, Device, Direction, Fault, Hash, KeyAlgorithm, KeyRef, Mode, Scheme, Unwrap};
use sm3::{Digest, Sm3};

use crate::bench::{Bench, PASSWORD};
use crate::judges::{MESSAGE, e, openssl_encrypts, openssl_verifies, point, sha, sm2_holds, unpadded};

fn key(text: &str) -> KeyRef {
    text.parse().unwrap()
}

#[test]
fn an_sdf_device_signs_what_others_verify() {
    let bench = Bench::new();
    for control in ["", "coordinates 32\n"] {
        bench.control(control);
        let mut config = bench.config();
        if !control.is_empty() {
            config.layout.coordinate = Coordinate::Lite;
        }
        let device = bench.open_with(config);
        for name in ["sdf:1", "sdf:2"] {
            let public = device.public_key(&key(name)).unwrap();
            let signature = device.sign(&key(name), Scheme::Sm2, &e(&public.spki)).unwrap();
            assert!(sm2_holds(&public.spki, &signature), "{name}");
        }
    }
    bench.control("");
    let bare = bench.bare().unwrap();
    let public = bare.public_key(&key("sdf:1")).unwrap();
    let digest = e(&public.spki);
    let der = bare.sign(&key("sdf:1"), Scheme::Sm2, &digest).unwrap();
    let raw = curve::Signature::from_der(&der).unwrap().to_bytes();
    assert_eq!(
        bare.verify(&point(&public.spki), &digest, &raw),
        Ok(true),
        "the device itself"
    );
    assert_eq!(bare.verify(&point(&public.spki), &[1; 32], &raw), Ok(false));
}

#[test]
fn an_sdf_device_opens_what_others_encrypted_in_every_layout() {
    let bench = Bench::new();
    for control in [
        "",
        "coordinates 32\n",
        "decrypt short\n",
        "cipher old\n",
        "coordinates 32\ncipher old\n",
    ] {
        bench.control(control);
        let mut config = bench.config();
        if control.contains("32") {
            config.layout.coordinate = Coordinate::Lite;
        }
        if control.contains("old") {
            config.layout.cipher = CipherForm::Edition2008;
        }
        config.layout.decrypt_names_algorithm = !control.contains("short");
        let device = bench.open_with(config);
        let own = key("sdf:1;use=encrypt");
        let public = device.public_key(&own).unwrap();
        let ciphertext = openssl_encrypts(&public.spki, &[], MESSAGE);
        let plain = device.decrypt(&own, Unwrap::Sm2, &ciphertext).unwrap();
        assert_eq!(*plain, MESSAGE, "{control}");
        let mut bent = ciphertext.clone();
        *bent.last_mut().unwrap() ^= 1;
        assert_eq!(device.decrypt(&own, Unwrap::Sm2, &bent), Err(Fault::Ciphertext));
        let other = key("sdf:2;use=encrypt");
        assert_eq!(device.decrypt(&other, Unwrap::Sm2, &ciphertext), Err(Fault::Ciphertext));
        for length in 0..ciphertext.len() {
            assert_eq!(
                device.decrypt(&own, Unwrap::Sm2, &ciphertext[..length]),
                Err(Fault::Ciphertext)
            );
        }
    }
}

#[test]
fn an_sdf_device_works_with_rsa() {
    let bench = Bench::new();
    let device = bench.open();
    let own = key("sdf:1;algorithm=rsa");
    let public = device.public_key(&own).unwrap();
    assert_eq!(public.algorithm, KeyAlgorithm::Rsa { bits: 2048 });
    for (hash, name, salt) in [
        (Hash::Sha256, "-sha256", "rsa_pss_saltlen:32"),
        (Hash::Sha384, "-sha384", "rsa_pss_saltlen:48"),
        (Hash::Sha512, "-sha512", "rsa_pss_saltlen:64"),
    ] {
        let signature = device.sign(&own, Scheme::RsaPkcs1(hash), &sha(hash)).unwrap();
        assert!(openssl_verifies(&public.spki, name, &[], &signature));
        let signature = device.sign(&own, Scheme::RsaPss(hash), &sha(hash)).unwrap();
        assert!(openssl_verifies(
            &public.spki,
            name,
            &["rsa_padding_mode:pss", salt],
            &signature
        ));
    }
    let own = key("sdf:1;use=encrypt;algorithm=rsa");
    let ciphertext = openssl_encrypts(&public.spki, &[], b"an old envelope");
    assert_eq!(
        *device.decrypt(&own, Unwrap::RsaPkcs1, &ciphertext).unwrap(),
        b"an old envelope"
    );
    assert_eq!(
        device.decrypt(&own, Unwrap::RsaPkcs1, &unpadded(ciphertext.len())),
        Err(Fault::Ciphertext)
    );
    assert_eq!(
        device.decrypt(&own, Unwrap::RsaPkcs1, &[1; 255]),
        Err(Fault::Ciphertext)
    );
    assert_eq!(
        device.decrypt(&own, Unwrap::RsaPkcs1, &[0xFF; 256]),
        Err(Fault::Ciphertext),
        "beyond the modulus"
    );
}

#[test]
fn keys_are_listed_and_wrong_uses_refused() {
    let bench = Bench::new();
    let device = bench.open();
    let names: Vec<String> = device.keys().unwrap().iter().map(|key| key.key.to_string()).collect();
    let wanted = [
        "sdf:1",
        "sdf:1;use=encrypt",
        "sdf:1;algorithm=rsa",
        "sdf:1;use=encrypt;algorithm=rsa",
        "sdf:2",
        "sdf:2;use=encrypt",
    ];
    assert_eq!(names, wanted);
    let fault = |name: &str, scheme| device.sign(&key(name), scheme, &[1; 32]).unwrap_err().code();
    assert_eq!(fault("sdf:3", Scheme::Sm2), "device_no_key");
    assert_eq!(fault("sdf:1;use=encrypt", Scheme::Sm2), "device_wrong_key");
    assert_eq!(fault("sdf:1;algorithm=rsa", Scheme::Sm2), "device_wrong_key");
    assert_eq!(fault("sdf:1", Scheme::RsaPkcs1(Hash::Sha256)), "device_wrong_key");
    assert_eq!(fault("sdf:1", Scheme::EcdsaP256), "device_not_offered");
    assert_eq!(fault("pkcs11:object=seal", Scheme::Sm2), "device_no_key");
    assert_eq!(
        device.sign(&key("sdf:1"), Scheme::Sm2, &[1; 31]).unwrap_err().code(),
        "device_input"
    );
    let made = device.generate("new", KeyAlgorithm::Sm2).unwrap_err();
    assert!(made.person().contains("厂商管理工具"), "{}", made.person());
}

#[test]
fn sm1_is_offered_only_where_the_device_reports_it() {
    let bench = Bench::new();
    let device = bench.open();
    let given = CipherKey::Given(vec![7; 16].into());
    let crypt = |cipher, mode, direction, data: &[u8]| device.cipher(&given, cipher, mode, direction, data);
    assert_eq!(device.info().unwrap().ciphers, [Cipher::Sm4]);
    let refused = crypt(Cipher::Sm1, Mode::Ecb, Direction::Encrypt, &[0; 16]).unwrap_err();
    assert_eq!(refused.code(), "device_not_offered");
    assert!(refused.person().contains("SM1"), "{}", refused.person());

    bench.control("sm1\n");
    let info = device.info().unwrap();
    assert_eq!(
        (info.ciphers.as_slice(), info.maker.as_str()),
        ([Cipher::Sm1, Cipher::Sm4].as_slice(), "Bench")
    );
    let mode = Mode::Cbc([3; 16]);
    let secret = crypt(Cipher::Sm1, mode, Direction::Encrypt, &[0; 64]).unwrap();
    assert_eq!(*crypt(Cipher::Sm1, mode, Direction::Decrypt, &secret).unwrap(), [0; 64]);
    assert_ne!(secret, crypt(Cipher::Sm4, mode, Direction::Encrypt, &[0; 64]).unwrap());
}

#[test]
fn sm4_and_sm3_of_the_device_agree_with_others() {
    use sm4::cipher::{Array, BlockCipherEncrypt, KeyInit};
    let bench = Bench::new();
    let device = bench.open();
    let given = CipherKey::Given(vec![9; 16].into());
    // Longer than one piece, so that chaining over pieces shows.
    let data: Vec<u8> = (0..40_000u32).map(|at| at as u8).collect();
    let mode = Mode::Cbc([5; 16]);
    let secret = device
        .cipher(&given, Cipher::Sm4, mode, Direction::Encrypt, &data)
        .unwrap();
    let other = sm4::Sm4::new(&Array([9; 16]));
    let mut chain = [5u8; 16];
    for (block, got) in data.chunks(16).zip(secret.chunks(16)) {
        let mut work = Array(chain);
        work.iter_mut().zip(block).for_each(|(to, from)| *to ^= from);
        other.encrypt_block(&mut work);
        chain = work.0;
        assert_eq!(got, chain);
    }
    assert_eq!(
        *device
            .cipher(&given, Cipher::Sm4, mode, Direction::Decrypt, &secret)
            .unwrap(),
        data
    );
    assert_eq!(device.sm3(&data).unwrap().as_slice(), Sm3::digest(&data).as_slice());
    let odd = device.cipher(&given, Cipher::Sm4, mode, Direction::Encrypt, &data[..15]);
    assert_eq!(odd.unwrap_err().code(), "device_input");
    let (one, two) = (device.random(5000).unwrap(), device.random(5000).unwrap());
    assert_eq!((one.len(), two.len()), (5000, 5000));
    assert_ne!(one, two);
}

#[test]
fn a_wrong_password_is_tried_once_by_all_threads_together() {
    let bench = Bench::new();
    let mut config = bench.config();
    std::fs::write(config.password_file.take().unwrap(), "wrong").unwrap();
    let device = bench.open_with(config);
    assert_eq!(
        device.sign(&key("sdf:1"), Scheme::Sm2, &[1; 32]),
        Err(Fault::PinMissing)
    );
    device.give_pin("not the password".to_owned().into());
    bench.control("slow SDF_GetPrivateKeyAccessRight 100\n");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let refused = device.sign(&key("sdf:1"), Scheme::Sm2, &[1; 32]);
                    assert!(
                        matches!(refused, Err(Fault::PinWrong | Fault::PinMissing)),
                        "{refused:?}"
                    );
                }
            });
        }
    });
    assert_eq!(bench.wrong_passwords(), 1);
    device.reset().unwrap();
    assert!(device.sign(&key("sdf:1"), Scheme::Sm2, &[1; 32]).is_err());
    assert_eq!(bench.wrong_passwords(), 1, "a reset is no reason to try it again");
    device.give_pin(PASSWORD.to_owned().into());
    assert!(device.sign(&key("sdf:1"), Scheme::Sm2, &[1; 32]).is_ok());
}

#[test]
fn a_wrong_password_in_a_file_is_tried_once() {
    let bench = Bench::new();
    let config = bench.config();
    let file = config.password_file.clone().unwrap();
    std::fs::write(&file, "wrong\n").unwrap();
    let device = bench.open_with(config);
    for _ in 0..5 {
        assert_eq!(device.sign(&key("sdf:1"), Scheme::Sm2, &[1; 32]), Err(Fault::PinWrong));
    }
    device.reset().unwrap();
    assert_eq!(device.sign(&key("sdf:1"), Scheme::Sm2, &[1; 32]), Err(Fault::PinWrong));
    assert_eq!(bench.wrong_passwords(), 1);
    std::fs::write(&file, PASSWORD).unwrap();
    assert!(
        device.sign(&key("sdf:1"), Scheme::Sm2, &[1; 32]).is_ok(),
        "the file was mended"
    );
}

#[test]
fn errors_of_the_standard_are_named_and_told_in_chinese() {
    let bench = Bench::new();
    let device = bench.open();
    device.sign(&key("sdf:1"), Scheme::Sm2, &[1; 32]).unwrap();
    for code in Code::ALL {
        let number = code.number();
        bench.control(&format!("fail SDF_InternalSign_ECC {number:#x}\n"));
        let fault = device.sign(&key("sdf:1"), Scheme::Sm2, &[1; 32]).unwrap_err();
        match code {
            Code::Communication | Code::Hardware | Code::OpenDevice => assert_eq!(fault.code(), "device_gone"),
            Code::NoKey => assert_eq!(fault, Fault::NoKey("sdf:1".into())),
            Code::NoRight => assert_eq!(fault, Fault::NoRight("sdf:1".into())),
            _ => {
                assert!(fault.to_string().contains(code.name()), "{fault}");
                assert!(fault.person().contains(code.words()), "{}", fault.person());
            }
        }
        bench.control("");
        assert!(
            device.sign(&key("sdf:1"), Scheme::Sm2, &[1; 32]).is_ok(),
            "after {}",
            code.name()
        );
    }
    bench.control("fail SDF_InternalSign_ECC 0x01020304\n");
    let fault = device.sign(&key("sdf:1"), Scheme::Sm2, &[1; 32]).unwrap_err();
    assert!(fault.person().contains("0x01020304"), "{}", fault.person());
}

#[test]
fn a_device_that_stumbles_or_is_reset_is_opened_anew() {
    let bench = Bench::new();
    let device = bench.open();
    let sign = || device.sign(&key("sdf:1"), Scheme::Sm2, &[1; 32]);
    sign().unwrap();
    for control in [
        "fail SDF_InternalSign_ECC 0x01000003 1\n",
        "fail SDF_InternalSign_ECC 0x01000004 2\n",
        "reset 1\n",
        "reset 2\ndeny 0x0100001D\n",
        "reset 2\nlapse 1\n",
        "reset 2\nlapse 2\ndeny 0x0100001D\n",
    ] {
        bench.control(control);
        assert!(sign().is_ok(), "{control}");
    }
    bench.control("reset 3\nfail SDF_OpenDevice 0x01000005\n");
    assert_eq!(sign().unwrap_err().code(), "device_gone");
    bench.control("reset 3\n");
    assert!(sign().is_ok(), "the device is back");
}

#[test]
fn sessions_that_run_out_make_callers_wait() {
    let bench = Bench::new();
    bench.control("sessions 2\n");
    let device = bench.open();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    device.sign(&key("sdf:1"), Scheme::Sm2, &[1; 32]).unwrap();
                }
            });
        }
    });
    bench.control("sessions 0\nreset 1\n");
    assert_eq!(device.sign(&key("sdf:1"), Scheme::Sm2, &[1; 32]), Err(Fault::Busy));
}

#[test]
fn a_password_that_is_missing_is_said_whatever_the_device_calls_it() {
    let bench = Bench::new();
    for control in ["", "deny 0x0100001D\n"] {
        bench.control(control);
        let mut config = bench.config();
        config.password_file = None;
        let device = bench.open_with(config);
        assert_eq!(
            device.sign(&key("sdf:1"), Scheme::Sm2, &[1; 32]),
            Err(Fault::PinMissing)
        );
    }
}

#[test]
fn a_pair_for_elsewhere_belongs_together() {
    let bench = Bench::new();
    let device = bench.bare().unwrap();
    let (public, secret) = device.pair_for_elsewhere().unwrap();
    let key = curve::PrivateKey::from_bytes(&secret).unwrap();
    assert_eq!(key.public_key().to_point(), point(&public.spki));
    bench.control("lie SDF_GenerateKeyPair_ECC flip\n");
    assert_eq!(device.pair_for_elsewhere().unwrap_err().code(), "device_bad_reply");
}

#[test]
fn libraries_that_are_none_are_refused() {
    let fault = |path: &str| {
        let config = custody::sdf::Config::new(path);
        custody::open(custody::Config::Sdf(config)).err().unwrap().code()
    };
    assert_eq!(fault("libsdf.so"), "device_library");
    assert_eq!(fault("/nonexistent/libsdf.so"), "device_library");
    assert_eq!(fault("/etc/passwd"), "device_library");
    // A library, but not one of these.
    assert_eq!(fault("/lib/x86_64-linux-gnu/libm.so.6"), "device_library");
}

#[test]
fn configurations_are_read_and_unknown_words_refused() {
    let text = r#"
        kind = "sdf"
        library = "/opt/vendor/libsdf.so"
        sm1 = [0x80000101, 0x80000102]
        [layout]
        coordinate = "32"
        cipher = "2008"
        decrypt_names_algorithm = false
    "#;
    let config: custody::Config = toml::from_str(text).unwrap();
    let custody::Config::Sdf(config) = config else {
        panic!("{config:?}")
    };
    assert_eq!(
        (config.layout.coordinate, config.sm1[0], config.sessions),
        (Coordinate::Lite, 0x8000_0101, 8)
    );
    assert!(toml::from_str::<custody::Config>(&text.replace("sm1", "sm9")).is_err());
    let pkcs11 = "kind = \"pkcs11\"\nmodule = \"/m.so\"\ntoken = \"t\"\n[sm2]\nsign = 0x80000001\n";
    assert!(toml::from_str::<custody::Config>(pkcs11).is_ok());
}
