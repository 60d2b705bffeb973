//! Keys, certificates and the programs that judge.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::certificate::{Draft, Purpose};
use gm::key::{Algorithm, P256Key, RsaKey, Sha2, Signer, Sm2Key};
use gm::{Certificate, Identity};
use time::{Duration, OffsetDateTime};
use xmldsig::{Options, Refused, Verified};

/// A time at which all certificates here are valid.
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_795_305_600).expect("2026-11-22")
}

/// Someone who signs.
pub(crate) struct Person {
    pub(crate) key: Box<dyn Signer + Send + Sync>,
    /// PKCS#8 where another program shall sign with it.
    pub(crate) pkcs8: Vec<u8>,
    pub(crate) certificate: Certificate,
    pub(crate) root: Certificate,
}

impl Person {
    fn new(key: Box<dyn Signer + Send + Sync>, pkcs8: &[u8]) -> Self {
        let named = |name: &str| Identity {
            organization: "永州市中心医院".to_owned(),
            common_name: name.to_owned(),
            ..Identity::default()
        };
        let issue = |name: &str, purpose, issuer: Option<&Certificate>| {
            let draft = Draft {
                serial: *b"0123456789abcdef",
                subject: &named(name),
                public_key: key.public_key(),
                purpose,
                not_before: now() - Duration::days(100),
                not_after: now() + Duration::days(100),
            };
            draft.issue(issuer, key.as_ref()).expect("issued")
        };
        let root = issue("根", Purpose::Authority { path_length: 1 }, None);
        let certificate = issue("张医生", Purpose::Documents, Some(&root));
        Self {
            pkcs8: pkcs8.to_vec(),
            certificate,
            root,
            key,
        }
    }

    pub(crate) fn chain(&self) -> Vec<Certificate> {
        vec![self.certificate.clone(), self.root.clone()]
    }
}

pub(crate) static SM2: LazyLock<Person> =
    LazyLock::new(|| Person::new(Box::new(Sm2Key::generate().expect("key")), &[]));

pub(crate) static P256: LazyLock<Person> = LazyLock::new(|| {
    let pkcs8 = P256Key::generate().expect("key");
    Person::new(Box::new(P256Key::from_pkcs8(&pkcs8).expect("key")), &pkcs8)
});

static RSA_PKCS8: LazyLock<Vec<u8>> = LazyLock::new(|| RsaKey::generate(2048).expect("key").to_vec());

pub(crate) fn rsa(algorithm: Algorithm) -> Person {
    let key = RsaKey::from_pkcs8(&RSA_PKCS8).expect("key");
    Person::new(Box::new(key.with_algorithm(algorithm).expect("RSA")), &RSA_PKCS8)
}

pub(crate) static RSA: LazyLock<Person> = LazyLock::new(|| rsa(Algorithm::RsaPkcs1(Sha2::Sha256)));

/// Verifies with nothing but the document.
pub(crate) fn verify(xml: &str) -> Result<Vec<Verified>, Refused> {
    xmldsig::verify(xml.as_bytes(), &[], None, &Options::default())
}

/// The one signature of a document that must be valid.
pub(crate) fn only(xml: &str) -> Verified {
    let mut seen = verify(xml).unwrap_or_else(|refused| panic!("{refused}\n{xml}"));
    assert_eq!(seen.len(), 1);
    seen.remove(0)
}

/// The text between two marks.
pub(crate) fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).expect(from) + from.len();
    let length = text[start..].find(to).expect(to);
    &text[start..start + length]
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("ASCII"))
        .collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Runs a program in a folder; its output when it succeeded, what it said when not.
pub(crate) fn run(folder: &Path, program: &str, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// What is signed, made by xmllint from the text of `SignedInfo`; the exclusive form needs no more of the document.
pub(crate) fn signed_info(folder: &Path, xml: &str) -> Vec<u8> {
    let inner = between(xml, "<ds:SignedInfo>", "</ds:SignedInfo>");
    let alone = format!("<ds:SignedInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">{inner}</ds:SignedInfo>");
    std::fs::write(folder.join("signed-info.xml"), alone).expect("written");
    run(folder, "xmllint", &["--exc-c14n", "signed-info.xml"]).expect("canonical")
}

/// The value of a signature.
pub(crate) fn value(xml: &str) -> Vec<u8> {
    let text = between(xml, "<ds:SignatureValue>", "</ds:SignatureValue>");
    STANDARD.decode(text).expect("Base64")
}

impl Person {
    /// Someone whose certificate has nothing to do with the others.
    pub(crate) fn stranger() -> Self {
        let mut person = Self::new(Box::new(Sm2Key::generate().expect("key")), &[]);
        let subject = Identity {
            common_name: "路人".to_owned(),
            ..Identity::default()
        };
        let draft = Draft {
            serial: *b"fedcba9876543210",
            subject: &subject,
            public_key: person.key.public_key(),
            purpose: Purpose::Documents,
            not_before: now(),
            not_after: now() + Duration::days(1),
        };
        person.certificate = draft.issue(None, person.key.as_ref()).expect("issued");
        person
    }
}
