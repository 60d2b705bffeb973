//! xmlsec1 verifies ours, we verify xmlsec1's.

use std::path::Path;

use gm::Trust;
use gm::key::{Algorithm, Sha2};
use xmldsig::{Canonical, Detached, Draft, Options, Scope, Work, sign, verify};

use crate::kit::{self, P256, Person, RSA, now, pem, run};

/// Chinese, CDATA, namespaces, line ends, references, comments.
const DOCUMENT: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<!-- 前 -->\r\n<rx:处方 xmlns:rx=\"urn:rx\" \
    xmlns:ds=\"urn:other\" Id='whole' xml:lang=\"zh\" xml:space=\"preserve\" xml:id=\"w\" 备注=\"一&#10;二\t三\">\r\n  <药品 xmlns=\"urn:drug\" Id=\"drug\">阿莫西林<![CDATA[ <0.5 g> & ]]>\
    &#13;<!-- 注 --><用法 xmlns=\"\">每日三次</用法></药品>\r\n  <ds:x xml:lang=\"zh\"/>\r\n</rx:处方>\r\n<?after all?>";

fn methods() -> [Canonical; 4] {
    [
        Canonical::EXCLUSIVE,
        Canonical::INCLUSIVE,
        Canonical::INCLUSIVE_11.with_comments(),
        Canonical {
            prefixes: vec!["rx".to_owned(), String::new()],
            ..Canonical::EXCLUSIVE
        },
    ]
}

fn people() -> Vec<Person> {
    let mut all: Vec<Person> = Sha2::ALL
        .iter()
        .map(|sha2| kit::rsa(Algorithm::RsaPkcs1(*sha2)))
        .collect();
    all.push(Person {
        key: Box::new(gm::key::P256Key::from_pkcs8(&P256.pkcs8).expect("key")),
        pkcs8: P256.pkcs8.clone(),
        certificate: P256.certificate.clone(),
        root: P256.root.clone(),
    });
    all
}

fn draft(canonical: &Canonical) -> Draft {
    Draft {
        canonical: canonical.clone(),
        id: Some("signature".to_owned()),
        signing_time: None,
    }
}

/// Whether xmlsec1 accepts a file under this root.
fn xmlsec(folder: &Path, file: &str, person: &Person) -> Result<Vec<u8>, String> {
    std::fs::write(folder.join("root.pem"), pem("CERTIFICATE", &person.root.der)).expect("written");
    let mut arguments = vec![
        "--verify",
        "--trusted-pem",
        "root.pem",
        "--verification-time",
        "2026-11-22 12:00:00",
    ];
    arguments.extend(["--id-attr:Id", "urn:rx:处方", "--id-attr:Id", "urn:drug:药品", file]);
    run(folder, "xmlsec1", &arguments)
}

#[test]
fn xmlsec1_accepts_ours_of_all_kinds() {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("content.bin"), [0, 1, 2, 255]).expect("written");
    for person in people() {
        for method in methods() {
            let works = [
                Work::Enveloped {
                    document: DOCUMENT,
                    id: None,
                },
                Work::Enveloped {
                    document: DOCUMENT,
                    id: Some("whole"),
                },
                Work::Enveloped {
                    document: DOCUMENT,
                    id: Some("drug"),
                },
                Work::Enveloped {
                    document: "<a b='c'/>",
                    id: None,
                },
                Work::Enveloping { document: DOCUMENT },
                Work::EnvelopingBytes {
                    content: &[0, 1, 2, 255],
                },
                Work::Detached {
                    uri: "content.bin",
                    content: &[0, 1, 2, 255],
                },
            ];
            for work in works {
                let signed = sign(
                    work,
                    person.key.as_ref(),
                    &person.chain(),
                    &draft(&method),
                    &Options::default(),
                )
                .unwrap_or_else(|refused| panic!("{work:?}: {refused}"));
                std::fs::write(folder.path().join("signed.xml"), &signed).expect("written");
                let what = format!("{:?} {method:?} {work:?}", person.key.algorithm());
                xmlsec(folder.path(), "signed.xml", &person).unwrap_or_else(|said| panic!("{what}\n{said}\n{signed}"));
                let detached = [Detached {
                    uri: "content.bin",
                    bytes: &[0, 1, 2, 255],
                }];
                let seen = verify(signed.as_bytes(), &detached, None, &Options::default())
                    .unwrap_or_else(|refused| panic!("{what}: {refused}"));
                assert_eq!(seen[0].certificate, person.certificate);
                assert_eq!(seen[0].algorithm, person.key.algorithm());
                assert_eq!(seen[0].id.as_deref(), Some("signature"));
                Trust::new([&person.root.der])
                    .expect("root")
                    .path(&seen[0].certificate, &seen[0].others, now())
                    .expect("trusted");
            }
        }
    }
}

#[test]
fn xmlsec1_refuses_ours_when_changed_so_its_acceptance_means_something() {
    let folder = tempfile::tempdir().expect("folder");
    let work = Work::Enveloped {
        document: DOCUMENT,
        id: None,
    };
    let signed = sign(
        work,
        RSA.key.as_ref(),
        &RSA.chain(),
        &Draft::default(),
        &Options::default(),
    )
    .expect("signed");
    std::fs::write(folder.path().join("signed.xml"), signed.replace("每日三次", "每日二次")).expect("written");
    xmlsec(folder.path(), "signed.xml", &RSA).expect_err("changed");
}

/// A signature to be filled in by xmlsec1.
fn template(method: &Canonical, algorithm: &str, digest: &str, reference: &str, object: &str) -> String {
    let uri = method.uri();
    format!(
        "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\">\n<SignedInfo>\n<CanonicalizationMethod Algorithm=\"{uri}\"/>\n\
         <SignatureMethod Algorithm=\"{algorithm}\"/>\n{reference}<DigestMethod Algorithm=\"{digest}\"/><DigestValue/>\
         </Reference></SignedInfo>\n<SignatureValue/>\n<KeyInfo><X509Data/></KeyInfo>{object}</Signature>"
    )
}

#[test]
fn xmlsec1_s_are_accepted_by_us_in_all_kinds() {
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path();
    let content = "附件\r\n".as_bytes();
    std::fs::write(at.join("content.bin"), content).expect("written");
    const MORE: &str = "http://www.w3.org/2001/04/xmldsig-more#";
    const ENC: &str = "http://www.w3.org/2001/04/xmlenc#";
    let algorithms = [
        (&*RSA, "rsa-sha256", format!("{ENC}sha256")),
        (&*RSA, "rsa-sha384", format!("{MORE}sha384")),
        (&*RSA, "rsa-sha512", format!("{ENC}sha512")),
        (&*P256, "ecdsa-sha256", format!("{ENC}sha256")),
    ];
    for (person, algorithm, digest) in algorithms {
        std::fs::write(at.join("key.pem"), pem("PRIVATE KEY", &person.pkcs8)).expect("written");
        std::fs::write(at.join("leaf.pem"), pem("CERTIFICATE", &person.certificate.der)).expect("written");
        for method in [
            Canonical::EXCLUSIVE,
            Canonical::INCLUSIVE,
            Canonical::INCLUSIVE_11,
            Canonical::INCLUSIVE.with_comments(),
        ] {
            let transform = format!("<Transform Algorithm=\"{}\"/>", method.uri());
            let enveloped = "<Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>";
            let make = |reference: String, object: &str| {
                template(&method, &format!("{MORE}{algorithm}"), &digest, &reference, object)
            };
            let within =
                |reference: String| DOCUMENT.replace("</rx:处方>", &format!("{}</rx:处方>", make(reference, "")));
            let transforms = |list: &str| format!("<Transforms>{list}</Transforms>");
            let all = [
                within(format!(
                    "<Reference URI=\"\">{}",
                    transforms(&format!("{enveloped}{transform}"))
                )),
                within(format!("<Reference URI=\"\">{}", transforms(enveloped))),
                within(format!("<Reference URI=\"#drug\">{}", transforms(&transform))),
                within("<Reference URI=\"#drug\">".to_owned()),
                make(
                    "<Reference URI=\"#object\">".to_owned(),
                    "<Object Id=\"object\"><p:a xmlns:p=\"urn:p\" b=\"c\">中<!-- d -->文</p:a></Object>",
                ),
                make("<Reference URI=\"content.bin\">".to_owned(), ""),
            ];
            for unsigned in all {
                std::fs::write(at.join("template.xml"), &unsigned).expect("written");
                let mut arguments = vec!["--sign", "--privkey-pem", "key.pem,leaf.pem", "--output", "signed.xml"];
                arguments.extend(["--id-attr:Id", "urn:drug:药品", "template.xml"]);
                run(at, "xmlsec1", &arguments).unwrap_or_else(|said| panic!("{said}\n{unsigned}"));
                let signed = std::fs::read_to_string(at.join("signed.xml")).expect("signed");
                let detached = [Detached {
                    uri: "content.bin",
                    bytes: content,
                }];
                let seen = verify(signed.as_bytes(), &detached, None, &Options::default())
                    .unwrap_or_else(|refused| panic!("{refused}\n{signed}"));
                assert_eq!(seen[0].certificate, person.certificate);
                if let Scope::Element { range, name, .. } = &seen[0].covered[0].scope {
                    assert!(signed[range.clone()].contains(name.as_str()));
                }
                let changed = signed.replace("阿莫西林", "阿莫西琳").replace("b=\"c\"", "b=\"d\"");
                let changed_content = [Detached {
                    uri: "content.bin",
                    bytes: b"other",
                }];
                verify(changed.as_bytes(), &changed_content, None, &Options::default()).expect_err("changed");
            }
        }
    }
}

#[test]
fn openssl_accepts_our_rsa_pss() {
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path();
    for sha2 in Sha2::ALL {
        let person = kit::rsa(Algorithm::RsaPss(sha2));
        let work = Work::Enveloped {
            document: DOCUMENT,
            id: None,
        };
        let signed = sign(
            work,
            person.key.as_ref(),
            &person.chain(),
            &Draft::default(),
            &Options::default(),
        )
        .expect("signed");
        assert_eq!(kit::only(&signed).algorithm, Algorithm::RsaPss(sha2));
        std::fs::write(at.join("signed-info.bin"), kit::signed_info(at, &signed)).expect("written");
        std::fs::write(at.join("value.bin"), kit::value(&signed)).expect("written");
        std::fs::write(
            at.join("key.pem"),
            pem("PUBLIC KEY", &person.key.public_key().to_spki()),
        )
        .expect("written");
        let hash = match sha2 {
            Sha2::Sha256 => "-sha256",
            Sha2::Sha384 => "-sha384",
            Sha2::Sha512 => "-sha512",
        };
        let options = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
        let mut arguments = vec!["dgst", hash, "-verify", "key.pem", "-signature", "value.bin"];
        arguments.extend(options);
        arguments.push("signed-info.bin");
        run(at, "openssl", &arguments).expect("verified");
    }
}

#[test]
fn several_references_are_reported_in_order_and_each_counts() {
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path();
    std::fs::write(at.join("key.pem"), pem("PRIVATE KEY", &P256.pkcs8)).expect("written");
    std::fs::write(at.join("leaf.pem"), pem("CERTIFICATE", &P256.certificate.der)).expect("written");
    let digest = "http://www.w3.org/2001/04/xmlenc#sha256";
    let references = format!(
        "<Reference URI=\"#drug\"><DigestMethod Algorithm=\"{digest}\"/><DigestValue/></Reference><Reference URI=\"#note\">"
    );
    let algorithm = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
    let note = "<Object Id=\"note\">8 am</Object>";
    let signature = template(&Canonical::INCLUSIVE, algorithm, digest, &references, note);
    let unsigned = DOCUMENT.replace("</rx:处方>", &format!("{signature}</rx:处方>"));
    std::fs::write(at.join("template.xml"), unsigned).expect("written");
    let mut arguments = vec!["--sign", "--privkey-pem", "key.pem,leaf.pem", "--output", "signed.xml"];
    arguments.extend(["--id-attr:Id", "urn:drug:药品", "template.xml"]);
    run(at, "xmlsec1", &arguments).expect("signed");
    let signed = std::fs::read_to_string(at.join("signed.xml")).expect("signed");
    let seen = kit::only(&signed);
    let uris: Vec<&str> = seen.covered.iter().map(|covered| covered.uri.as_str()).collect();
    assert_eq!(uris, ["#drug", "#note"]);
    for (from, to, uri) in [("每日三次", "每日二次", "#drug"), ("8 am", "9 am", "#note")] {
        let refused = kit::verify(&signed.replace(from, to)).expect_err("changed");
        assert_eq!(refused, xmldsig::Refused::DigestMismatch(uri.to_owned()));
    }
    // Not covered by either, and so nobody's word.
    kit::only(&signed.replace("备注", "备忘"));
}

#[test]
fn a_stated_time_and_certificate_are_signed_with_the_rest() {
    let folder = tempfile::tempdir().expect("folder");
    let draft = Draft {
        signing_time: Some(now()),
        ..Draft::default()
    };
    let works = [
        Work::Enveloped {
            document: DOCUMENT,
            id: None,
        },
        Work::Enveloping { document: DOCUMENT },
    ];
    for work in works {
        let signed = sign(work, P256.key.as_ref(), &P256.chain(), &draft, &Options::default()).expect("signed");
        let seen = kit::only(&signed);
        assert_eq!(seen.signing_time, Some(now()));
        assert_eq!(seen.covered.len(), 2);
        std::fs::write(folder.path().join("signed.xml"), &signed).expect("written");
        let mut arguments = vec![
            "--verify",
            "--pubkey-cert-pem",
            "leaf.pem",
            "--enabled-key-data",
            "key-name",
        ];
        arguments.extend([
            "--id-attr:Id",
            "http://uri.etsi.org/01903/v1.3.2#:SignedProperties",
            "signed.xml",
        ]);
        std::fs::write(
            folder.path().join("leaf.pem"),
            pem("CERTIFICATE", &P256.certificate.der),
        )
        .expect("written");
        run(folder.path(), "xmlsec1", &arguments).unwrap_or_else(|said| panic!("{said}\n{signed}"));
        let later = signed.replace("SigningTime>2026", "SigningTime>2027");
        assert_eq!(
            kit::verify(&later).expect_err("another time").code(),
            "document_changed"
        );
        // The root here has the same key: its certificate in the place of the signer's is found out.
        let refused = verify(signed.as_bytes(), &[], Some(&P256.root), &Options::default());
        assert_eq!(
            refused.expect_err("another certificate").code(),
            "signer_certificate_other"
        );
    }
    let document = signed_by_two(&draft);
    assert_eq!(kit::verify(&document).expect("both").len(), 2);
}

/// A document that two have signed, part by part, each with a time.
fn signed_by_two(draft: &Draft) -> String {
    let mut document = "<r><a Id=\"a\">一</a><b Id=\"b\">二</b></r>".to_owned();
    for (id, person) in [("a", &*P256), ("b", &*RSA)] {
        let work = Work::Enveloped {
            document: &document,
            id: Some(id),
        };
        document = sign(work, person.key.as_ref(), &person.chain(), draft, &Options::default()).expect("signed");
    }
    document
}
