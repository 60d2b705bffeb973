//! SM2 with SM3, judged by openssl.

use gm::key::Algorithm;
use xmldsig::{Canonical, Detached, Draft, Names, Options, Scope, Sm2Value, Work, sign, verify};

use crate::kit::{self, SM2, pem, run};

const RX: &str = "<处方 xmlns=\"urn:rx\" Id=\"rx\">阿莫西林胶囊 0.5 g，每日三次</处方>";

fn signed(work: Work<'_>, draft: &Draft, options: &Options) -> String {
    sign(work, SM2.key.as_ref(), &SM2.chain(), draft, options).expect("signed")
}

#[test]
fn sm2_signatures_of_all_kinds_verify_and_tell_what_they_cover() {
    let plain = Options::default();
    for canonical in [Canonical::EXCLUSIVE, Canonical::INCLUSIVE, Canonical::INCLUSIVE_11] {
        let draft = Draft {
            canonical,
            ..Draft::default()
        };
        let whole = kit::only(&signed(Work::Enveloped { document: RX, id: None }, &draft, &plain));
        assert_eq!(whole.algorithm, Algorithm::Sm2);
        assert_eq!(whole.certificate, SM2.certificate);
        assert_eq!(whole.others, std::slice::from_ref(&SM2.root));
        assert_eq!(whole.covered[0].scope, Scope::Document);
        assert_eq!(whole.covered[0].canonical_bytes, RX.as_bytes());

        let xml = signed(
            Work::Enveloped {
                document: RX,
                id: Some("rx"),
            },
            &draft,
            &plain,
        );
        let part = kit::only(&xml);
        assert_eq!(part.covered[0].canonical_bytes, RX.as_bytes());
        let Scope::Element {
            namespace,
            name,
            range,
            root,
        } = &part.covered[0].scope
        else {
            panic!("an element");
        };
        assert_eq!((namespace.as_str(), name.as_str(), *root), ("urn:rx", "处方", true));
        assert_eq!(*range, 0..xml.len());
        assert!(xml[part.range.clone()].starts_with("<ds:Signature "));

        let inside = kit::only(&signed(Work::Enveloping { document: RX }, &draft, &plain));
        let bytes = String::from_utf8(inside.covered[0].canonical_bytes.clone()).expect("UTF-8");
        assert!(bytes.contains(RX) && bytes.starts_with("<ds:Object "), "{bytes}");

        let xml = signed(Work::EnvelopingBytes { content: &[0, 255] }, &draft, &plain);
        let bytes = String::from_utf8(kit::only(&xml).covered[0].canonical_bytes.clone()).expect("UTF-8");
        assert!(bytes.contains(">AP8=<"), "{bytes}");

        let xml = signed(
            Work::Detached {
                uri: "record.pdf",
                content: b"%PDF",
            },
            &draft,
            &plain,
        );
        let given = [Detached {
            uri: "record.pdf",
            bytes: b"%PDF",
        }];
        let apart = verify(xml.as_bytes(), &given, None, &plain).expect("verified");
        assert_eq!(apart[0].covered[0].canonical_bytes, b"%PDF");
        assert_eq!(apart[0].covered[0].scope, Scope::Detached);
    }
}

#[test]
fn openssl_accepts_the_sm2_signature_over_signed_info() {
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path();
    let der = Options {
        names: Names {
            sm2_value: Sm2Value::Der,
            ..Names::default()
        },
        ..Options::default()
    };
    let xml = signed(Work::Enveloped { document: RX, id: None }, &Draft::default(), &der);
    verify(xml.as_bytes(), &[], None, &der).expect("by ourselves");
    std::fs::write(at.join("signed-info.bin"), kit::signed_info(at, &xml)).expect("written");
    std::fs::write(at.join("value.bin"), kit::value(&xml)).expect("written");
    std::fs::write(at.join("key.pem"), pem("PUBLIC KEY", &SM2.key.public_key().to_spki())).expect("written");
    let arguments = [
        "dgst",
        "-sm3",
        "-sigopt",
        "distid:1234567812345678",
        "-verify",
        "key.pem",
        "-signature",
        "value.bin",
    ];
    let mut all = arguments.to_vec();
    all.push("signed-info.bin");
    run(at, "openssl", &all).expect("verified by openssl");
    // The digest is openssl's as well.
    std::fs::write(at.join("rx.xml"), RX).expect("written");
    let digest = run(at, "openssl", &["dgst", "-sm3", "-binary", "rx.xml"]).expect("digest");
    use base64::Engine as _;
    let expected = base64::engine::general_purpose::STANDARD.encode(digest);
    assert_eq!(kit::between(&xml, "<ds:DigestValue>", "</ds:DigestValue>"), expected);
}

#[test]
fn the_value_is_r_and_s_unless_configured() {
    let plain = Options::default();
    let xml = signed(Work::Enveloped { document: RX, id: None }, &Draft::default(), &plain);
    assert_eq!(kit::value(&xml).len(), 64);
    let mut der = plain.clone();
    der.names.sm2_value = Sm2Value::Der;
    let refused = verify(xml.as_bytes(), &[], None, &der).expect_err("the other shape");
    assert_ne!(refused.code(), "document_changed");
}

#[test]
fn names_of_the_algorithms_are_configuration() {
    let mut own = Options::default();
    own.names.sm2_sm3.insert(0, "urn:hospital:sm2&sm3".to_owned());
    own.names.sm3.insert(0, "urn:hospital:sm3".to_owned());
    let xml = signed(Work::Enveloped { document: RX, id: None }, &Draft::default(), &own);
    assert!(xml.contains("Algorithm=\"urn:hospital:sm2&amp;sm3\""));
    verify(xml.as_bytes(), &[], None, &own).expect("by the same names");
    assert_eq!(kit::verify(&xml).expect_err("unknown name").code(), "unknown_algorithm");
    let usual = signed(
        Work::Enveloped { document: RX, id: None },
        &Draft::default(),
        &Options::default(),
    );
    verify(usual.as_bytes(), &[], None, &own).expect("the usual names are still read");
}

#[test]
fn two_people_sign_two_parts_and_both_hold() {
    let plain = Options::default();
    let document = "<r><a Id=\"a\">一</a><b Id=\"b\">二</b></r>";
    let first = signed(
        Work::Enveloped {
            document,
            id: Some("a"),
        },
        &Draft::default(),
        &plain,
    );
    let second = signed(
        Work::Enveloped {
            document: &first,
            id: Some("b"),
        },
        &Draft::default(),
        &plain,
    );
    let both = signed(
        Work::Enveloped {
            document: &second,
            id: None,
        },
        &Draft::default(),
        &plain,
    );
    let seen = kit::verify(&both).expect("three");
    let uris: Vec<&str> = seen.iter().map(|one| one.covered[0].uri.as_str()).collect();
    assert_eq!(uris, ["#a", "#b", ""]);
    let again = sign(
        Work::Enveloped {
            document: &both,
            id: None,
        },
        SM2.key.as_ref(),
        &SM2.chain(),
        &Draft::default(),
        &plain,
    );
    assert_eq!(again.expect_err("the third would break").code(), "breaks_signature");
}
