use gm::key::{PrivateKey, Signer, Sm2Key};
use gm::{Refused, der, envelope, oid, pfx, pkcs8};

use crate::{Bench, KINDS};

#[test]
fn private_keys_of_openssl_are_read_encrypted_or_not_and_a_wrong_password_is_named() {
    let bench = Bench::new();
    bench.put("rx", b"rx");
    for kind in KINDS {
        bench.run(&format!("genpkey {kind} -out key.pem"));
        bench.run("pkey -in key.pem -pubout -outform DER -out public.der");
        let mut plain = vec!["key.pem", "key.der"];
        if !kind.contains("SM2") {
            // openssl has no older form of SM2 keys.
            bench.run("pkey -in key.pem -traditional -out old.pem");
            plain.push("old.pem");
        }
        bench.run("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der");
        let public = bench.get("public.der");
        for plain in plain {
            let key = PrivateKey::from_file(&bench.get(plain), None).expect("read");
            assert_eq!(key.public_key().to_spki(), public, "{kind} {plain}");
            let signature = key.sign(b"rx").expect("signed");
            key.public_key()
                .verify(key.algorithm(), b"rx", &signature)
                .expect("verifies");
        }
        for cipher in [
            "-v2 aes-256-cbc",
            "-v2 aes-192-cbc -v2prf hmacWithSHA512",
            "-v2 aes-128-cbc -v2prf hmacWithSHA1",
            "-v2 sm4-cbc -v2prf hmacWithSHA256 -iter 100000",
        ] {
            bench.run(&format!(
                "pkcs8 -topk8 -in key.pem {cipher} -passout pass:secret -out locked.pem"
            ));
            let file = bench.get("locked.pem");
            let key = PrivateKey::from_file(&file, Some(b"secret")).expect("opened");
            assert_eq!(key.public_key().to_spki(), public, "{kind} {cipher}");
            for password in [None, Some(&b"secreT"[..]), Some(b"")] {
                let refused = PrivateKey::from_file(&file, password).expect_err("refused");
                assert_eq!(refused, Refused::WrongPassword, "{cipher}");
            }
        }
    }
    bench.run("pkcs8 -topk8 -in key.pem -v2 des3 -passout pass:secret -out locked.pem");
    let refused = PrivateKey::from_file(&bench.get("locked.pem"), Some(b"secret"));
    assert!(matches!(
        refused,
        Err(Refused::UnknownEncryption(_) | Refused::Malformed { .. })
    ));
    bench.run("pkcs8 -topk8 -in key.pem -v1 PBE-SHA1-3DES -passout pass:secret -out locked.pem");
    let refused = PrivateKey::from_file(&bench.get("locked.pem"), Some(b"secret"));
    assert!(matches!(refused, Err(Refused::UnknownEncryption(_))));
}

/// HMAC-SM3 is what GmSSL writes; this openssl derives it with `kdf`, which judges ours.
#[test]
fn what_is_encrypted_here_opens_here_and_its_key_is_the_one_openssl_derives() {
    let key = Sm2Key::generate().expect("made");
    let file = pkcs8::encrypt(&key.to_pkcs8(), "口令 1".as_bytes()).expect("encrypted");
    let opened = PrivateKey::from_encrypted(&file, "口令 1".as_bytes()).expect("opened");
    assert_eq!(opened.public_key(), key.public_key());
    assert_eq!(
        PrivateKey::from_encrypted(&file, b"other").expect_err("refused"),
        Refused::WrongPassword
    );
    // Salt and iv stand where this file's fixed layout has them.
    let find = |what: &[u8]| file.windows(what.len()).position(|w| w == what).expect("found") + what.len();
    let hex = |bytes: &[u8]| hex::encode(bytes);
    let salt = find(&[0x04, 0x10]);
    let cipher = find(gm::oid::SM4_CBC) + 2;
    let bench = Bench::new();
    let said = bench.run(&format!(
        "kdf -keylen 16 -kdfopt digest:SM3 -kdfopt hexpass:{} -kdfopt hexsalt:{} -kdfopt iter:600000 PBKDF2",
        hex("口令 1".as_bytes()),
        hex(&file[salt..salt + 16]),
    ));
    let derived = said.trim().replace(':', "").to_lowercase();
    let sealed = find(&file[cipher..cipher + 16]) + 2;
    let sealed = if file[sealed - 1] >= 0x80 { sealed + 1 } else { sealed };
    bench.put("sealed", &file[sealed..]);
    bench.run(&format!(
        "enc -d -sm4-cbc -K {derived} -iv {} -in sealed -out plain",
        hex(&file[cipher..cipher + 16])
    ));
    assert_eq!(bench.get("plain"), key.to_pkcs8().as_slice());
    bench.run("pkey -inform DER -in plain -check -noout");
}

#[test]
fn a_key_envelope_opens_for_its_device_alone() {
    let (device, pair, other) = (
        Sm2Key::generate().expect("made"),
        Sm2Key::generate().expect("made"),
        Sm2Key::generate().expect("made"),
    );
    let sealed = envelope::seal(&pair, device.public_key()).expect("sealed");
    let opened = envelope::open(&sealed, &device).expect("opened");
    assert_eq!(opened.secret(), pair.secret());
    assert_eq!(envelope::open(&sealed, &other).expect_err("refused"), Refused::Envelope);
    for at in 0..sealed.len() {
        let mut bent = sealed.clone();
        bent[at] ^= 0x10;
        assert!(envelope::open(&bent, &device).is_err(), "byte {at}");
    }
    for length in 0..sealed.len() {
        assert!(envelope::open(&sealed[..length], &device).is_err());
    }
}

/// Both halves by openssl: the SM4 key under SM2, the scalar under SM4.
#[test]
fn key_envelopes_agree_with_openssl_in_both_directions() {
    let bench = Bench::new();
    let (device, pair) = (Sm2Key::generate().expect("made"), Sm2Key::generate().expect("made"));
    bench.put("device.der", device.to_pkcs8());
    bench.run("pkey -inform DER -in device.der -out device.pem");
    bench.run("pkey -in device.pem -pubout -out public.pem");
    let symmetric = *b"0123456789abcdef";
    bench.put("sm4", symmetric);
    bench.put("scalar", pair.secret());
    bench.put("long", [&[0; 32], &pair.secret()[..]].concat());
    bench.run("pkeyutl -encrypt -pubin -inkey public.pem -in sm4 -out sm4.der");
    for (file, cipher) in [("scalar", oid::SM4), ("long", oid::SM4_ECB)] {
        bench.run(&format!(
            "enc -sm4-ecb -nopad -K {} -in {file} -out sealed",
            hex::encode(symmetric)
        ));
        let theirs = der::sequence(&[
            &der::sequence(&[&der::oid(cipher), der::NULL]),
            &bench.get("sm4.der"),
            &der::bits(pair.public_key().bytes()),
            &der::bits(&bench.get("sealed")),
        ]);
        let opened = envelope::open(&theirs, &device).expect("opened");
        assert_eq!(opened.secret(), pair.secret());
    }
    let ours = envelope::seal(&pair, device.public_key()).expect("sealed");
    let mut parts = der::Reader::new(&ours, "test").sequence("test").expect("envelope");
    parts.any().expect("algorithm");
    bench.put("sm4.der", parts.any().expect("key").raw);
    parts.bits().expect("public key");
    bench.put("sealed", parts.bits().expect("scalar"));
    bench.run("pkeyutl -decrypt -inkey device.pem -in sm4.der -out sm4");
    bench.run(&format!(
        "enc -d -sm4-ecb -nopad -K {} -in sealed -out scalar",
        hex::encode(bench.get("sm4"))
    ));
    assert_eq!(bench.get("scalar"), pair.secret());
    // What else SM4 could be: another mode.
    let other = der::sequence(&[&der::sequence(&[&der::oid(oid::SM4_CBC)])]);
    assert!(matches!(
        envelope::open(&other, &device).err(),
        Some(Refused::UnknownEncryption(_))
    ));
}

#[test]
fn key_files_with_certificates_of_openssl_are_opened() {
    let bench = Bench::new();
    for (n, kind) in KINDS.iter().enumerate() {
        let digest = ["-sha256", "-sha256", "-sm3 -sigopt distid:1234567812345678"][n];
        bench.run(&format!("genpkey {kind} -out root.key"));
        bench.run(&format!(
            "req -x509 -new -key root.key {digest} -subj /CN=root -days 9 -out root.pem"
        ));
        bench.run(&format!("genpkey {kind} -out key.pem"));
        bench.run(&format!(
            "req -x509 -new -key key.pem {digest} -subj /CN=mine -days 9 -out c.pem"
        ));
        let export = "pkcs12 -export -inkey key.pem -in c.pem -certfile root.pem -out all.pfx -passout";
        for more in [
            "",
            "-macalg sha512 -certpbe AES-128-CBC -iter 5000",
            "-macalg sha1 -certpbe NONE",
        ] {
            bench.run(&format!("{export} pass:密码secret {more}"));
            let file = bench.get("all.pfx");
            let opened = pfx::open(&file, "密码secret").expect("opened");
            let mine = opened.certificate.expect("its certificate");
            assert_eq!(mine.subject.common_name, "mine");
            assert_eq!(&mine.public_key, opened.key.public_key());
            assert_eq!(opened.others.len(), 1);
            assert_eq!(pfx::open(&file, "other").err(), Some(Refused::WrongPassword));
            let mut bent = file.clone();
            let middle = file.len() / 2;
            bent[middle] ^= 1;
            assert!(pfx::open(&bent, "密码secret").is_err());
        }
    }
    let export = "pkcs12 -export -inkey key.pem -in c.pem -out all.pfx -passout pass:x";
    bench.run(&format!("{export} -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES"));
    assert!(matches!(
        pfx::open(&bench.get("all.pfx"), "x").err(),
        Some(Refused::UnknownEncryption(_))
    ));
    bench.run(&format!("{export} -nomac"));
    assert!(matches!(
        pfx::open(&bench.get("all.pfx"), "x").err(),
        Some(Refused::Malformed { .. })
    ));
    bench.run("pkcs12 -export -nokeys -in c.pem -out all.pfx -passout pass:x");
    assert!(matches!(
        pfx::open(&bench.get("all.pfx"), "x").err(),
        Some(Refused::NotFound { .. })
    ));
}
