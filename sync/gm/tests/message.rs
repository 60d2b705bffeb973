//! Signed messages: what is accepted, and every reason for a refusal.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what a test cannot set up fails the test"
)]

use gm::certificate::{Draft, Purpose};
use gm::cms::{self, Content, Unsigned};
use gm::der::{self, tag};
use gm::key::{Algorithm, Family, P256Key, Signer};
use gm::{Certificate, Identity, PublicKey, Refused, Sm2Key, Trust, oid};
use time::{Duration, OffsetDateTime};

const RX: &[u8] = "处方：阿莫西林胶囊 0.5 g，每日三次".as_bytes();

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_795_305_600).expect("2026-11-22")
}

fn named(name: &str) -> Identity {
    Identity {
        organization: "永州市中心医院".to_owned(),
        common_name: name.to_owned(),
        ..Identity::default()
    }
}

struct Site {
    root: Certificate,
    issuing: Certificate,
    issuing_key: Sm2Key,
    doctor: Certificate,
    doctor_key: Sm2Key,
}

fn issue(
    name: &str,
    key: &PublicKey,
    purpose: Purpose,
    days: i64,
    by: (Option<&Certificate>, &dyn Signer),
) -> Certificate {
    let draft = Draft {
        serial: *b"0123456789abcdef",
        subject: &named(name),
        public_key: key,
        purpose,
        not_before: now(),
        not_after: now() + Duration::days(days),
    };
    draft.issue(by.0, by.1).expect("issued")
}

fn site() -> Site {
    let (root_key, issuing_key, doctor_key) = (
        Sm2Key::generate().expect("key"),
        Sm2Key::generate().expect("key"),
        Sm2Key::generate().expect("key"),
    );
    let authority = |n| Purpose::Authority { path_length: n };
    let root = issue("根", root_key.public_key(), authority(1), 7300, (None, &root_key));
    let issuing = issue(
        "签发",
        issuing_key.public_key(),
        authority(0),
        3650,
        (Some(&root), &root_key),
    );
    let by = (Some(&issuing), &issuing_key as &dyn Signer);
    let doctor = issue("王医生", doctor_key.public_key(), Purpose::Documents, 365, by);
    Site {
        root,
        issuing,
        issuing_key,
        doctor,
        doctor_key,
    }
}

impl Site {
    fn chain(&self) -> Vec<Certificate> {
        vec![self.doctor.clone(), self.issuing.clone(), self.root.clone()]
    }
    fn trust(&self) -> Trust {
        Trust::new([&self.root.der]).expect("root")
    }
    fn sign_with(&self, chain: &[Certificate], key: &dyn Signer, at: OffsetDateTime) -> Vec<u8> {
        Unsigned::new(&gm::sm3(RX), at, chain)
            .expect("prepared")
            .sign(key)
            .expect("signed")
    }
    fn sign(&self) -> Vec<u8> {
        self.sign_with(&self.chain(), &self.doctor_key, now() + Duration::hours(1))
    }
    fn refusal(&self, message: &[u8]) -> Refused {
        verify(message, &self.trust()).expect_err("must be refused")
    }
}

fn verify(message: &[u8], trust: &Trust) -> Result<cms::Verified, Refused> {
    cms::verify(message, Content::Bytes(RX), trust, now() + Duration::hours(2))
}

/// Replaces the only occurrence of some bytes by as many others.
fn replaced(message: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = message.windows(from.len()).position(|w| w == from).expect("found");
    [&message[..at], to, &message[at + from.len()..]].concat()
}

#[test]
fn a_signed_prescription_verifies_and_names_its_signer() {
    let site = site();
    let seen = verify(&site.sign(), &site.trust()).expect("verified");
    assert_eq!(seen.signer.subject.common_name, "王医生");
    assert_eq!(seen.signing_time, now() + Duration::hours(1));
    assert_eq!((seen.path.len(), seen.family), (3, Family::Gm));
    let by_digest = cms::verify(
        &site.sign(),
        Content::Digest(&gm::sm3(RX)),
        &site.trust(),
        now() + Duration::hours(2),
    );
    by_digest.expect("verified by digest");
}

/// Every byte of the message matters, but for those that nobody signs or reads.
#[test]
fn no_flipped_bit_turns_into_another_valid_statement() {
    let site = site();
    let (message, trust) = (site.sign(), site.trust());
    let whole = verify(&message, &trust).expect("verified");
    let mut survivors = 0;
    for at in 0..message.len() {
        let mut bent = message.clone();
        bent[at] ^= 1 << (at % 8);
        if let Ok(seen) = verify(&bent, &trust) {
            survivors += 1;
            assert_eq!(seen.signer.der, whole.signer.der, "byte {at}");
            assert_eq!(seen.signing_time, whole.signing_time, "byte {at}");
        }
    }
    // The trusted root's copy in the message is not used (about 500 bytes of it), nothing else is free.
    assert!(
        survivors < site.root.der.len(),
        "{survivors} of {} bytes are free",
        message.len()
    );
}

#[test]
fn truncated_and_extended_messages_are_refused() {
    let site = site();
    let message = site.sign();
    for length in 0..message.len() {
        assert!(
            matches!(site.refusal(&message[..length]), Refused::Malformed { .. }),
            "{length}"
        );
    }
    assert!(matches!(
        site.refusal(&[&message[..], &[0]].concat()),
        Refused::Malformed { .. }
    ));
    assert!(matches!(
        site.refusal(&vec![0x30; cms::MAX_MESSAGE + 1]),
        Refused::TooLarge { .. }
    ));
    let deep: Vec<u8> = (0..50_000).flat_map(|_| [0x30, 0x80]).collect();
    assert!(matches!(site.refusal(&deep), Refused::Malformed { .. }));
}

#[test]
fn another_document_another_time_and_another_trust_are_refused_by_name() {
    let site = site();
    let message = site.sign();
    let other = cms::verify(
        &message,
        Content::Bytes(b"other"),
        &site.trust(),
        now() + Duration::hours(2),
    );
    assert_eq!(other.err(), Some(Refused::DigestMismatch));
    let early = cms::verify(&message, Content::Bytes(RX), &site.trust(), now());
    assert_eq!(early.err(), Some(Refused::SignedInFuture));
    assert_eq!(verify(&message, &Trust::default()).err(), Some(Refused::Untrusted));
    assert_eq!(
        verify(&message, &self::site().trust()).err(),
        Some(Refused::Untrusted),
        "same names, another key"
    );

    let before = site.sign_with(&site.chain(), &site.doctor_key, now() - Duration::hours(1));
    assert!(matches!(site.refusal(&before), Refused::NotYetValid { .. }));
    let late = now() + Duration::days(366);
    let after = site.sign_with(&site.chain(), &site.doctor_key, late);
    let after = cms::verify(&after, Content::Bytes(RX), &site.trust(), late + Duration::hours(1));
    assert!(matches!(after.err(), Some(Refused::Expired { .. })));
}

#[test]
fn years_later_an_old_signature_still_verifies() {
    let site = site();
    let much_later = now() + Duration::days(3000);
    cms::verify(&site.sign(), Content::Bytes(RX), &site.trust(), much_later).expect("judged at its signing time");
}

#[test]
fn strangers_keys_and_wrong_certificates_are_refused_by_name() {
    let site = site();
    let stranger = Sm2Key::generate().expect("key");
    let at = now() + Duration::hours(1);
    let forged = site.sign_with(&site.chain(), &stranger, at);
    assert_eq!(site.refusal(&forged), Refused::SignatureInvalid);

    let without = site.sign_with(&[site.doctor.clone(), site.root.clone()], &site.doctor_key, at);
    assert_eq!(
        site.refusal(&without),
        Refused::Untrusted,
        "the issuing authority is missing"
    );

    let by_authority = site.sign_with(&[site.issuing.clone(), site.root.clone()], &site.issuing_key, at);
    assert_eq!(site.refusal(&by_authority), Refused::WrongUsage);

    // a doctor who issues a certificate to a friend
    let documents = Purpose::Documents;
    let by = (Some(&site.doctor), &site.doctor_key as &dyn Signer);
    let friend = issue("朋友", stranger.public_key(), documents, 30, by);
    let chain = [friend, site.doctor.clone(), site.issuing.clone(), site.root.clone()];
    let refused = site.refusal(&site.sign_with(&chain, &stranger, at));
    assert!(matches!(refused, Refused::NotAnAuthority { .. }));

    // an authority below an authority that may have none
    let below_key = Sm2Key::generate().expect("key");
    let by = (Some(&site.issuing), &site.issuing_key as &dyn Signer);
    let below = issue(
        "下级",
        below_key.public_key(),
        Purpose::Authority { path_length: 0 },
        30,
        by,
    );
    let leaf = issue(
        "远方医生",
        stranger.public_key(),
        documents,
        30,
        (Some(&below), &below_key),
    );
    let chain = [leaf, below, site.issuing.clone(), site.root.clone()];
    let refused = site.refusal(&site.sign_with(&chain, &stranger, at));
    assert!(matches!(refused, Refused::NotAnAuthority { .. }));

    // the right names under a key that is not the authority's
    let fake = issue(
        "王医生",
        stranger.public_key(),
        documents,
        30,
        (Some(&site.issuing), &stranger),
    );
    let chain = [fake, site.issuing.clone(), site.root.clone()];
    let refused = site.refusal(&site.sign_with(&chain, &stranger, at));
    assert!(matches!(refused, Refused::CertificateSignature { .. }));
}

#[test]
fn other_algorithms_and_shapes_are_refused_by_name() {
    let site = site();
    let message = site.sign();
    let renamed = replaced(
        &message,
        oid::GM_SIGNED_DATA,
        &[&oid::GM_SIGNED_DATA[..9], &[3]].concat(),
    );
    assert_eq!(
        site.refusal(&renamed),
        Refused::UnknownContentType("1.2.156.10197.6.1.4.2.3".to_owned())
    );
    let classic = classic();
    let mixed = site.sign_with(std::slice::from_ref(&classic.0), &classic.1, now());
    assert_eq!(
        cms::verify(&mixed, Content::Digest(&gm::sm3(RX)), &site.trust(), now()).err(),
        Some(Refused::Untrusted),
        "a P-256 signer is of another family and has no path here"
    );

    // SM3(content) signed without Z and without attributes, as some tools do: no signed attributes at all
    let body = |parts: &[&[u8]]| {
        der::sequence(&[
            &der::oid(oid::GM_SIGNED_DATA),
            &der::constructed(tag::context(0), parts),
        ])
    };
    let digest = der::sequence(&[&der::oid(oid::SM3)]);
    let signer = der::sequence(&[
        &der::unsigned(&[1]),
        &der::sequence(&[&site.doctor.issuer_der, &der::unsigned(&site.doctor.serial)]),
        &digest,
        &Algorithm::Sm2.to_der(),
        &der::octets(&site.doctor_key.sign(RX).expect("signed")),
    ]);
    let with = |infos: &[u8], content: &[u8]| {
        body(&[&der::sequence(&[
            &der::unsigned(&[1]),
            &der::element(tag::SET, &digest),
            &der::sequence(&[&der::oid(oid::GM_DATA), content]),
            &der::constructed(tag::context(0), &[&site.doctor.der]),
            &der::element(tag::SET, infos),
        ])])
    };
    assert_eq!(site.refusal(&with(&signer, &[])), Refused::Attribute("signedAttrs"));
    assert_eq!(site.refusal(&with(&[], &[])), Refused::NoSigner);
    assert_eq!(
        site.refusal(&with(&[&signer[..], &signer[..]].concat(), &[])),
        Refused::ManySigners
    );
    let attached = der::constructed(tag::context(0), &[&der::octets(RX)]);
    assert_eq!(site.refusal(&with(&signer, &attached)), Refused::NotDetached);
}

fn classic() -> (Certificate, P256Key) {
    let key = P256Key::from_pkcs8(&P256Key::generate().expect("key")).expect("key");
    let certificate = issue("印章", key.public_key(), Purpose::Documents, 30, (None, &key));
    (certificate, key)
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_refused_and_nothing_breaks(bytes: Vec<u8>) {
        proptest::prop_assert!(verify(&bytes, &Trust::default()).is_err());
        proptest::prop_assert!(Certificate::parse(&bytes).is_err());
    }
}
