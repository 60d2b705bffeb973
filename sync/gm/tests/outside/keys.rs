use gm::key::{Algorithm, Hash, P256Key, PublicKey, RsaKey, Sha2, Signer, Sm2Key};
use gm::{Refused, der::Reader};

use crate::Bench;

const RX: &[u8] = "处方：阿莫西林胶囊 0.5 g，每日三次".as_bytes();

fn public(bench: &Bench, key: &str) -> PublicKey {
    bench.run(&format!("pkey -in {key} -pubout -outform DER -out public.der"));
    let spki = bench.get("public.der");
    let mut reader = Reader::new(&spki, "test");
    let read = PublicKey::read_spki(&mut reader).expect("their public key");
    reader.finish().expect("nothing left");
    assert_eq!(read.to_spki(), spki, "written as it was read");
    read
}

fn options(algorithm: Algorithm) -> String {
    let hash = match algorithm.hash() {
        Hash::Sm3 => "-sm3",
        Hash::Sha256 => "-sha256",
        Hash::Sha384 => "-sha384",
        Hash::Sha512 => "-sha512",
    };
    match algorithm {
        Algorithm::Sm2 => format!("{hash} -sigopt distid:1234567812345678"),
        Algorithm::RsaPss(_) => format!("{hash} -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"),
        _ => hash.to_owned(),
    }
}

/// Both ways, whole and over the digest, bent and whole.
fn agree(bench: &Bench, key: &dyn Signer, pem: &str) {
    let algorithm = key.algorithm();
    let public = public(bench, pem);
    assert_eq!(&public, key.public_key());
    bench.put("rx", RX);
    let options = options(algorithm);
    bench.run(&format!("dgst {options} -sign {pem} -out theirs.sig rx"));
    let ours = key.sign(RX).expect("signed");
    bench.put("ours.sig", &ours);
    bench.run(&format!("dgst {options} -prverify {pem} -signature ours.sig rx"));
    let digest = |message: &[u8]| {
        let mut hashing = public.hashing(algorithm, gm::USER_ID.as_bytes()).expect("started");
        message.chunks(5).for_each(|piece| hashing.update(piece));
        hashing.finish()
    };
    let by_parts = key.sign_digest(&digest(RX)).expect("signed by digest");
    bench.put("parts.sig", &by_parts);
    bench.run(&format!("dgst {options} -prverify {pem} -signature parts.sig rx"));
    match algorithm {
        Algorithm::RsaPkcs1(_) => assert_eq!(by_parts, ours, "PKCS#1 v1.5 leaves nothing to chance"),
        _ => assert_ne!(by_parts, ours, "each with its own chance"),
    }
    assert_eq!(key.sign_digest(&digest(RX)[1..]), Err(Refused::InvalidDigest));

    for signature in [bench.get("theirs.sig"), ours, by_parts] {
        public.verify(algorithm, RX, &signature).expect("verifies");
        public
            .verify_digest(algorithm, &digest(RX), &signature)
            .expect("verifies by digest");
        assert_eq!(
            public.verify(algorithm, b"other", &signature),
            Err(Refused::SignatureInvalid)
        );
        assert_eq!(
            public.verify_digest(algorithm, &digest(b"other"), &signature),
            Err(Refused::SignatureInvalid)
        );
        for at in [0, signature.len() / 3, signature.len() / 2, signature.len() - 1] {
            let mut bent = signature.clone();
            bent[at] ^= 1;
            assert!(public.verify(algorithm, RX, &bent).is_err(), "byte {at}");
            assert!(
                public.verify_digest(algorithm, &digest(RX), &bent).is_err(),
                "byte {at}"
            );
        }
        for length in [0, 1, signature.len() - 1] {
            assert!(public.verify(algorithm, RX, &signature[..length]).is_err());
            assert!(
                public
                    .verify_digest(algorithm, &digest(RX), &signature[..length])
                    .is_err()
            );
        }
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            assert!(public.verify(other, RX, &signature).is_err(), "{other:?}");
            let digest = other.hash().digest(RX);
            assert!(public.verify_digest(other, &digest, &signature).is_err(), "{other:?}");
        }
    }
}

#[test]
fn rsa_of_every_size_and_scheme_agrees_with_openssl_in_both_directions() {
    let bench = Bench::new();
    for bits in [2048, 3072, 4096] {
        // Theirs loaded here; then one of ours loaded there.
        bench.run(&format!(
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{bits} -out key.pem"
        ));
        bench.run("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der");
        for pkcs8 in [bench.get("key.der"), RsaKey::generate(bits).expect("made").to_vec()] {
            bench.put("key.der", &pkcs8);
            bench.run("pkey -inform DER -in key.der -out key.pem");
            let said = bench.run("pkey -in key.pem -check -noout");
            assert!(said.contains("Key is valid"), "{said}");
            for scheme in [Algorithm::RsaPkcs1, Algorithm::RsaPss] {
                for sha2 in Sha2::ALL {
                    let key = RsaKey::from_pkcs8(&pkcs8).expect("read");
                    let key = key.with_algorithm(scheme(sha2)).expect("RSA");
                    agree(&bench, &key, "key.pem");
                }
            }
        }
    }
}

#[test]
fn p256_agrees_with_openssl_in_both_directions() {
    let bench = Bench::new();
    bench.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out theirs.pem");
    bench.run("pkcs8 -topk8 -nocrypt -in theirs.pem -outform DER -out theirs.der");
    agree(
        &bench,
        &P256Key::from_pkcs8(&bench.get("theirs.der")).expect("read"),
        "theirs.pem",
    );
    let ours = P256Key::generate().expect("made");
    bench.put("ours.der", &ours);
    bench.run("pkey -inform DER -in ours.der -out ours.pem");
    agree(&bench, &P256Key::from_pkcs8(&ours).expect("read"), "ours.pem");
}

#[test]
fn keys_that_are_too_small_too_large_or_of_another_kind_are_refused() {
    let bench = Bench::new();
    let read = |make: &str| {
        bench.run(&format!("genpkey {make} -out key.pem"));
        bench.run("pkey -in key.pem -pubout -outform DER -out public.der");
        PublicKey::read_spki(&mut Reader::new(&bench.get("public.der"), "test"))
    };
    let rsa = "-algorithm RSA -pkeyopt rsa_keygen_bits";
    assert_eq!(read(&format!("{rsa}:1024")), Err(Refused::InvalidKey));
    assert_eq!(
        read(&format!("{rsa}:2048 -pkeyopt rsa_keygen_pubexp:3")),
        Err(Refused::InvalidKey)
    );
    for other in [
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        "-algorithm ED25519",
        "-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048",
    ] {
        assert!(matches!(read(other), Err(Refused::UnknownKey(_))), "{other}");
    }
    assert!(RsaKey::generate(1024).is_err());
    let fit = gm::key::RsaPublic::new(&[0xff; 512], &[1, 0, 1]).expect("4096 bits");
    assert_eq!(fit.bits(), 4096);
    for (modulus, exponent) in [
        (vec![0xff; 513], &[1, 0, 1][..]),
        ([&[0xff; 511][..], &[0xfe]].concat(), &[1, 0, 1]),
        (vec![0xff; 512], &[1, 0, 0]),
        (vec![0xff; 512], &[2, 0, 0, 0, 1]),
        (vec![0xff; 512], &[]),
        (vec![], &[1, 0, 1]),
    ] {
        assert_eq!(gm::key::RsaPublic::new(&modulus, exponent), Err(Refused::InvalidKey));
    }
}

/// The id is part of what is signed; openssl's own default is the empty one.
#[test]
fn sm2_agrees_with_openssl_under_every_id() {
    let bench = Bench::new();
    bench.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:SM2 -out key.pem");
    let public = public(&bench, "key.pem");
    bench.put("rx", RX);
    for id in ["", "1234567812345678", "TLSv1.3+GM+Cipher+Suite", "王医生"] {
        bench.run(&format!(
            "dgst -sm3 -sigopt distid:{id} -sign key.pem -out theirs.sig rx"
        ));
        let signature = bench.get("theirs.sig");
        public.verify_with_id(id.as_bytes(), RX, &signature).expect("verifies");
        assert_eq!(
            public.verify_with_id(b"another", RX, &signature),
            Err(Refused::SignatureInvalid)
        );
    }
    let key = Sm2Key::generate().expect("made");
    let signature = key.sign_with_id(b"ALICE123@YAHOO.COM", RX).expect("signed");
    bench.put("ours.sig", &signature);
    let spki = key.public_key().to_spki();
    bench.put("ours.der", &spki);
    bench.run("pkey -pubin -inform DER -in ours.der -pubout -out ours.pem");
    bench.run("dgst -sm3 -sigopt distid:ALICE123@YAHOO.COM -verify ours.pem -signature ours.sig rx");
    let (well, _) = bench.tried("dgst -sm3 -sigopt distid:1234567812345678 -verify ours.pem -signature ours.sig rx");
    assert!(!well);
}

#[test]
fn keys_sign_digests_as_they_sign_messages() {
    let rsa = RsaKey::from_pkcs8(&RsaKey::generate(2048).expect("made")).expect("read");
    for algorithm in Algorithm::ALL {
        let digest = algorithm.hash().digest(RX);
        match rsa.sign_digest_as(algorithm, &digest) {
            Ok(signature) => rsa
                .public_key()
                .verify(algorithm, RX, &signature)
                .expect("holds as a message"),
            Err(refused) => assert_eq!(
                (algorithm.kind() == gm::key::Kind::Rsa, refused),
                (false, Refused::WrongAlgorithm)
            ),
        }
    }
    assert!(rsa.with_algorithm(Algorithm::Sm2).is_err());
    let p256 = P256Key::from_pkcs8(&P256Key::generate().expect("made")).expect("read");
    let digest = Hash::Sha256.digest(RX);
    let signature = p256.sign_digest(&digest).expect("signed");
    p256.public_key()
        .verify(Algorithm::EcdsaP256, RX, &signature)
        .expect("verifies as a message");
    assert_eq!(p256.sign_digest(&digest[1..]), Err(Refused::InvalidDigest));
    let sm2 = Sm2Key::generate().expect("made");
    let mut hashing = sm2.public_key().hashing(Algorithm::Sm2, b"id").expect("started");
    RX.chunks(3).for_each(|piece| hashing.update(piece));
    let signature = sm2.sign_digest(&hashing.finish()).expect("signed");
    sm2.public_key()
        .verify_with_id(b"id", RX, &signature)
        .expect("verifies");
    assert_eq!(sm2.sign_digest(&[0; 31]), Err(Refused::InvalidDigest));
    assert_eq!(sm2.sign_with_id(&[0; 8192], RX), Err(Refused::InvalidUserId));
}
