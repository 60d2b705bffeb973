use gm::certificate::{AlternativeName, Draft, Extras, Identity, Info, Purpose};
use gm::csr::Request;
use gm::key::{Algorithm, Hash, P256Key, PrivateKey, RsaKey, Signer, Sm2Key};
use gm::{Certificate, Refused, Trust, pem};
use time::{Duration, OffsetDateTime};

use crate::{Bench, KINDS};

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn keys() -> [PrivateKey; 3] {
    let rsa = RsaKey::from_pkcs8(&RsaKey::generate(2048).expect("made")).expect("read");
    let p256 = P256Key::from_pkcs8(&P256Key::generate().expect("made")).expect("read");
    [
        PrivateKey::Rsa(Box::new(rsa)),
        PrivateKey::P256(Box::new(p256)),
        PrivateKey::Sm2(Box::new(Sm2Key::generate().expect("made"))),
    ]
}

fn wang() -> Identity {
    Identity {
        country: "CN".to_owned(),
        organization: "永州市中心医院".to_owned(),
        unit: "doctor".to_owned(),
        common_name: "王医生, 主任".to_owned(),
        serial_number: "sta_1".to_owned(),
    }
}

#[test]
fn requests_of_ours_satisfy_openssl_and_theirs_are_read_here() {
    let bench = Bench::new();
    let extras = Extras {
        names: vec![
            AlternativeName::Dns("signd.hospital.cn".to_owned()),
            AlternativeName::Ip("2001:db8::1".parse().expect("address")),
        ],
        ..Extras::default()
    };
    for key in &keys() {
        let made = Request::make(&wang(), key, Purpose::TlsServer, &extras).expect("made");
        bench.put("ours.pem", made.to_pem());
        let id = if key.algorithm() == Algorithm::Sm2 {
            "-vfyopt distid:1234567812345678"
        } else {
            ""
        };
        let said = bench.run(&format!("req -in ours.pem -verify -noout -text -nameopt utf8 {id}"));
        for wanted in [
            "verify OK",
            "DNS:signd.hospital.cn",
            "2001:DB8:0:0:0:0:0:1",
            "TLS Web Server",
        ] {
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
        let read = Request::from_file(made.to_pem().as_bytes()).expect("read");
        assert_eq!((&read, &read.alternative_names), (&made, &extras.names));
        assert_eq!(read.subject, wang());
        for at in 0..made.der.len() {
            let mut bent = made.der.clone();
            bent[at] ^= 1;
            assert!(Request::parse(&bent).is_err(), "byte {at}");
        }
    }
    for kind in KINDS {
        bench.run(&format!("genpkey {kind} -out key.pem"));
        let sm2 = if kind.contains("SM2") {
            "-sm3 -sigopt distid:1234567812345678"
        } else {
            "-sha256"
        };
        bench.run(&format!(
            "req -new -key key.pem {sm2} -utf8 -subj /C=CN/CN=李药师 -addext subjectAltName=email:a@b.cn -out theirs.pem"
        ));
        let read = Request::from_file(&bench.get("theirs.pem")).expect("read");
        assert_eq!(read.subject.common_name, "李药师");
        assert_eq!(read.alternative_names, [AlternativeName::Email("a@b.cn".to_owned())]);
    }
    // Signed under openssl's own default id, the empty one: proof of nothing here.
    bench.run("req -new -key key.pem -sm3 -subj /CN=x -out theirs.pem");
    assert_eq!(
        Request::from_file(&bench.get("theirs.pem")).expect_err("refused"),
        Refused::SignatureInvalid
    );
}

/// Every purpose by every kind of key: openssl verifies the chain for that purpose.
#[test]
fn certificates_of_every_purpose_satisfy_openssl() {
    let bench = Bench::new();
    let extras = Extras {
        names: vec![AlternativeName::Dns("signd.hospital.cn".to_owned())],
        crls: vec!["http://ca.hospital.cn/1.crl".to_owned()],
        responders: vec!["http://ca.hospital.cn/ocsp".to_owned()],
        issuers: vec!["http://ca.hospital.cn/ca.cer".to_owned()],
    };
    for key in &keys() {
        let draft = |subject, purpose| Draft {
            serial: *b"0123456789abcdef",
            subject,
            public_key: key.public_key(),
            purpose,
            not_before: now() - Duration::hours(1),
            not_after: now() + Duration::days(30),
        };
        let root_name = Identity {
            common_name: "根".to_owned(),
            ..Identity::default()
        };
        let root_draft = draft(&root_name, Purpose::Authority { path_length: 0 });
        let root = root_draft.issue(None, key).expect("issued");
        bench.put("root.pem", pem::write_chain(std::slice::from_ref(&root)));
        let name = wang();
        for (purpose, theirs) in [
            (Purpose::Documents, "smimesign"),
            (Purpose::TlsServer, "sslserver"),
            (Purpose::TlsClient, "sslclient"),
            (Purpose::TimeStamping, "timestampsign"),
            (Purpose::OcspSigning, "ocsphelper"),
            (Purpose::Encryption, "smimeencrypt"),
        ] {
            let made = draft(&name, purpose)
                .issue_with(Some(&root), key, &extras)
                .expect("issued");
            bench.put("leaf.pem", pem::write_chain(std::slice::from_ref(&made)));
            let id = if key.algorithm() == Algorithm::Sm2 {
                "-vfyopt distid:1234567812345678"
            } else {
                ""
            };
            bench.run(&format!("verify -CAfile root.pem -purpose {theirs} {id} leaf.pem"));
            made.is_issued_by(&root).expect("ours agrees");
            assert_eq!(
                made.may_sign_documents().is_ok(),
                matches!(purpose, Purpose::Documents | Purpose::TlsClient)
            );
            let print = bench
                .run("x509 -in leaf.pem -noout -fingerprint -sha256")
                .replace(':', "")
                .to_lowercase();
            assert!(print.contains(&made.fingerprint(Hash::Sha256)), "{print}");
        }
        assert_eq!(root.may_sign_documents(), Err(Refused::WrongUsage));
        for at in 0..root.der.len() {
            let mut bent = root.der.clone();
            bent[at] ^= 1 << (at % 8);
            let held = Certificate::parse(&bent).and_then(|bent| bent.is_issued_by(&root));
            assert!(held.is_err(), "byte {at}");
        }
    }
}

#[test]
fn certificates_of_openssl_are_shown_item_by_item() {
    let bench = Bench::new();
    bench.put(
        "c.cnf",
        "[req]\ndistinguished_name=dn\nprompt=no\nutf8=yes\nstring_mask=default\n[dn]\nC=CN\nST=湖南\nL=永州\nO=中心医院\n\
         CN=王,医生\nemailAddress=wang@hospital.cn\n[v3]\nbasicConstraints=critical,CA:FALSE\n\
         keyUsage=critical,digitalSignature,nonRepudiation,decipherOnly\nextendedKeyUsage=clientAuth,1.2.3.4\n\
         subjectKeyIdentifier=hash\ncrlDistributionPoints=URI:http://a/1.crl,URI:http://b/2.crl\n\
         certificatePolicies=critical,1.2.3,1.2.4\n1.2.156.1=ASN1:FORMAT:UTF8,UTF8String:自有\n",
    );
    bench.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:SM2 -out key.pem");
    bench.run(
        "req -x509 -new -key key.pem -sm3 -sigopt distid:1234567812345678 -config c.cnf -extensions v3 -set_serial 0x1234 -days 9 -out c.pem",
    );
    let read = pem::read_bundle(&bench.get("c.pem"))
        .expect("read")
        .certificates
        .remove(0);
    let info = |item| read.info(item).expect("shown");
    for (item, text) in [
        (Info::Version, "3"),
        (Info::Serial, "1234"),
        (
            Info::Subject,
            "emailAddress=wang@hospital.cn,CN=王\\,医生,O=中心医院,L=永州,ST=湖南,C=CN",
        ),
        (Info::KeyUsage, "digitalSignature,nonRepudiation,decipherOnly"),
        (Info::ExtendedKeyUsage, "clientAuth,1.2.3.4"),
        (Info::BasicConstraints, "CA:FALSE"),
        (Info::CrlPoints, "http://a/1.crl,http://b/2.crl"),
        (Info::Policies, "1.2.3,1.2.4"),
        (Info::OwnExtensions, "1.2.156.1=自有"),
        (Info::SubjectCommonName, "王,医生"),
        (Info::IssuerOrganization, "中心医院"),
        (Info::SubjectEmail, "wang@hospital.cn"),
    ] {
        assert_eq!(info(item).as_deref(), Some(text), "{item:?}");
    }
    assert_eq!(info(Info::NetscapeType), None);
    assert_eq!(info(Info::Validity).expect("times").len(), 31);
    assert_eq!(read.info_by_oid("1.2.156.1").expect("shown").as_deref(), Some("自有"));
    assert_eq!(read.info_by_oid("1.2.156.2").expect("shown"), None);
    for item in Info::ALL {
        assert_eq!(Info::from_code(item as u32), Some(item));
        info(item);
    }
    read.is_issued_by(&read).expect("self-signed");

    // version 1: read, never an authority, never a signer of documents
    bench.run("req -new -key key.pem -sm3 -sigopt distid:1234567812345678 -config c.cnf -out r.pem");
    bench.run(
        "x509 -req -in r.pem -signkey key.pem -sm3 -sigopt distid:1234567812345678 -vfyopt distid:1234567812345678 -days 9 -out v1.pem",
    );
    let old = pem::read_bundle(&bench.get("v1.pem"))
        .expect("read")
        .certificates
        .remove(0);
    assert_eq!((old.version, old.may_sign_documents()), (1, Err(Refused::WrongUsage)));
    assert!(matches!(old.may_issue(0), Err(Refused::NotAnAuthority { .. })));
}

#[test]
fn bundles_go_both_ways() {
    let bench = Bench::new();
    for (n, kind) in KINDS.iter().enumerate() {
        bench.run(&format!("genpkey {kind} -out key.pem"));
        let digest = if n == 2 {
            "-sm3 -sigopt distid:1234567812345678"
        } else {
            "-sha384"
        };
        let digest = if n == 1 { "-sha256" } else { digest };
        bench.run(&format!(
            "req -x509 -new -key key.pem {digest} -subj /CN=c{n} -days 9 -out c{n}.pem"
        ));
    }
    let all = [bench.get("c0.pem"), bench.get("c1.pem"), bench.get("c2.pem")].concat();
    bench.put("all.pem", &all);
    bench.run("crl2pkcs7 -nocrl -certfile all.pem -out all.p7b");
    bench.run("crl2pkcs7 -nocrl -certfile all.pem -outform DER -out all.der");
    bench.run("x509 -in c0.pem -outform DER -out c0.der");
    let names = |file: &[u8]| -> Vec<String> {
        let read = pem::read_bundle(file).expect("read");
        read.certificates
            .iter()
            .map(|c| c.subject.common_name.clone())
            .collect()
    };
    let mut one_marked = b"\xef\xbb\xbf".to_vec();
    one_marked.extend_from_slice(&all);
    for file in [all.clone(), bench.get("all.p7b"), bench.get("all.der"), one_marked] {
        assert_eq!(names(&file), ["c0", "c1", "c2"]);
    }
    let der = bench.get("c0.der");
    assert_eq!(names(&der), ["c0"]);
    let text = String::from_utf8(bench.get("c0.pem")).expect("text");
    let bare: String = text
        .lines()
        .filter(|line| !line.starts_with('-'))
        .map(|line| format!("{line}\r\n"))
        .collect();
    assert_eq!(names(bare.as_bytes()), ["c0"]);
    let ours = pem::read_bundle(&all).expect("read").to_p7b();
    bench.put("ours.p7b", &ours);
    let said = bench.run("pkcs7 -inform DER -in ours.p7b -print_certs -noout");
    assert!(
        said.contains("c0") && said.contains("c1") && said.contains("c2"),
        "{said}"
    );
    assert_eq!(names(&ours), ["c0", "c1", "c2"]);
    bench.run("genpkey -algorithm ED25519 -out key.pem");
    assert_eq!(
        pem::read_bundle(&[all, bench.get("key.pem")].concat()).err(),
        Some(Refused::UnexpectedKey)
    );
    let _: &Certificate = &pem::read_bundle(&der).expect("read").certificates[0];
}

/// Roots of old authorities sign themselves with SHA-1: they can be trusted all the same, but nothing else signed so is.
#[test]
fn an_old_root_is_trusted_and_what_is_signed_with_sha1_is_refused_by_name() {
    let bench = Bench::new();
    bench.run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out root.key");
    bench.run("req -x509 -new -key root.key -sha1 -subj /CN=root -days 9 -addext keyUsage=keyCertSign -out root.pem");
    bench.run("req -new -key root.key -subj /CN=leaf -addext keyUsage=digitalSignature -out leaf.csr");
    for (digest, holds) in [("-sha256", true), ("-sha1", false)] {
        bench.run(&format!(
            "x509 -req -in leaf.csr -CA root.pem -CAkey root.key {digest} -copy_extensions copy -days 5 -out leaf.pem"
        ));
        let read = |name: &str| pem::read_bundle(&bench.get(name)).expect("read").certificates.remove(0);
        let (root, leaf) = (read("root.pem"), read("leaf.pem"));
        assert_eq!(root.algorithm().name(), "1.2.840.113549.1.1.5");
        let found = Trust::new([&root.der]).expect("trusted").path(&leaf, &[], now());
        match found {
            Ok(path) => assert_eq!((holds, path.len()), (true, 2)),
            Err(why) => {
                assert_eq!(why, Refused::UnknownSignature("1.2.840.113549.1.1.5".to_owned()));
                assert!(!holds);
            }
        }
        assert!(matches!(root.is_issued_by(&root), Err(Refused::UnknownSignature(_))));
    }
}
