use gm::certificate::{Draft, Identity, Purpose};
use gm::cms::{self, Message, Outcome, Profile, Unsigned};
use gm::der::{self, tag};
use gm::key::{Algorithm, P256Key, RsaKey, Sha2, Signer, Sm2Key};
use gm::{Certificate, Refused, Trust, oid};
use time::{Duration, OffsetDateTime};

pub(crate) const RX: &[u8] = "处方：阿莫西林胶囊 0.5 g，每日三次".as_bytes();

pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// A signer under a root.
pub(crate) struct Desk {
    key: Box<dyn Signer>,
    pub(crate) chain: Vec<Certificate>,
}

impl Desk {
    fn new(name: &str, key: Box<dyn Signer>) -> Self {
        let issue = |common_name: &str, serial, purpose, issuer: Option<&Certificate>| {
            let subject = Identity {
                common_name: common_name.to_owned(),
                ..Identity::default()
            };
            let draft = Draft {
                serial,
                subject: &subject,
                public_key: key.public_key(),
                purpose,
                not_before: now() - Duration::hours(1),
                not_after: now() + Duration::days(30),
            };
            draft.issue(issuer, key.as_ref()).expect("issued")
        };
        let authority = Purpose::Authority { path_length: 0 };
        let root = issue(&format!("{name}的根"), *b"0123456789abcdef", authority, None);
        let leaf = issue(name, *b"fedcba9876543210", Purpose::Documents, Some(&root));
        Self {
            key,
            chain: vec![leaf, root],
        }
    }

    fn sm2(name: &str) -> Self {
        Self::new(name, Box::new(Sm2Key::generate().expect("made")))
    }

    pub(crate) fn p256(name: &str) -> Self {
        let key = P256Key::from_pkcs8(&P256Key::generate().expect("made")).expect("read");
        Self::new(name, Box::new(key))
    }

    fn rsa(name: &str, algorithm: Algorithm) -> Self {
        let key = RsaKey::from_pkcs8(&RsaKey::generate(2048).expect("made")).expect("read");
        Self::new(name, Box::new(key.with_algorithm(algorithm).expect("RSA")))
    }

    fn trust(&self) -> Trust {
        Trust::new([&self.chain[1].der]).expect("root")
    }

    pub(crate) fn key(&self) -> &dyn Signer {
        self.key.as_ref()
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    pub(crate) fn attached(&self) -> Vec<u8> {
        let made = Unsigned::attached(self.algorithm(), RX, Some(now()), &self.chain).expect("prepared");
        made.sign(self.key.as_ref()).expect("signed")
    }

    pub(crate) fn detached(&self) -> Vec<u8> {
        let digest = self.algorithm().hash().digest(RX);
        let made = Unsigned::over_digest(self.algorithm(), &digest, Some(now()), &self.chain).expect("prepared");
        made.sign(self.key.as_ref()).expect("signed")
    }

    pub(crate) fn bare(&self, carried: bool) -> Vec<u8> {
        let made = Unsigned::bare(self.algorithm(), RX, carried, &self.chain).expect("prepared");
        made.sign(self.key.as_ref()).expect("signed")
    }
}

pub(crate) fn every() -> Vec<Desk> {
    vec![
        Desk::sm2("王医生"),
        Desk::p256("李药师"),
        Desk::rsa("张护士", Algorithm::RsaPkcs1(Sha2::Sha256)),
        Desk::rsa("赵主任", Algorithm::RsaPkcs1(Sha2::Sha512)),
        Desk::rsa("医务科", Algorithm::RsaPss(Sha2::Sha384)),
    ]
}

pub(crate) fn in_pieces<'a>(message: &Message<'a>, content: &[u8]) -> Vec<Outcome<'a>> {
    let mut checking = message.check_detached(&[]).expect("started");
    content.chunks(7).for_each(|piece| checking.update(piece));
    checking.finish()
}

pub(crate) fn read(bytes: &[u8]) -> Message<'_> {
    Message::read(bytes, Profile::default()).expect("read")
}

#[test]
fn every_shape_by_every_algorithm_verifies_and_other_content_does_not() {
    for desk in every() {
        let trust = desk.trust();
        let attached = desk.attached();
        let (seen, content) = cms::verify_attached(&attached, &trust, now()).expect("verified");
        assert_eq!((content, seen.algorithm), (RX, desk.algorithm()));
        assert_eq!(seen.signer, desk.chain[0]);

        let detached = desk.detached();
        cms::verify(&detached, cms::Content::Bytes(RX), &trust, now()).expect("verified");
        for message in [&detached, &desk.bare(false)] {
            let message = read(message);
            let found = in_pieces(&message, RX).remove(0).result.expect("sound");
            found.trusted(&trust, &message.certificates, now()).expect("trusted");
            let other = in_pieces(&message, b"other").remove(0).result.expect_err("refused");
            assert!(matches!(other, Refused::DigestMismatch | Refused::SignatureInvalid));
            assert_eq!(message.check_attached(&[]).err(), Some(Refused::Detached));
        }
        let bare = desk.bare(true);
        let message = read(&bare);
        let found = message
            .check_attached(&[])
            .expect("read")
            .remove(0)
            .result
            .expect("sound");
        assert_eq!((found.signing_time, found.attributed), (None, false));
        assert_eq!(message.check_detached(&[]).err(), Some(Refused::NotDetached));
        assert_eq!(
            cms::verify_attached(&bare, &trust, now()).err(),
            Some(Refused::Attribute("signedAttrs")),
            "the strict way wants a signed time"
        );
    }
}

#[test]
fn no_flipped_bit_of_an_attached_message_becomes_another_statement() {
    for desk in [Desk::sm2("王医生"), Desk::p256("李药师")] {
        let (trust, message) = (desk.trust(), desk.attached());
        for at in 0..message.len() {
            let mut bent = message.clone();
            bent[at] ^= 1 << (at % 8);
            if let Ok((seen, content)) = cms::verify_attached(&bent, &trust, now()) {
                assert_eq!((content, &seen.signer), (RX, &desk.chain[0]), "byte {at}");
            }
        }
    }
}

#[test]
fn several_signers_are_each_reported() {
    let (doctor, pharmacist) = (Desk::sm2("王医生"), Desk::sm2("李药师"));
    let both = cms::joined(&doctor.attached(), &pharmacist.attached()).expect("joined");
    let message = read(&both);
    let found = message.check_attached(&[]).expect("read");
    assert_eq!(found.len(), 2);
    for desk in [&doctor, &pharmacist] {
        let one = found
            .iter()
            .find(|one| one.signer.names(&desk.chain[0]))
            .expect("reported");
        let sound = one.result.as_ref().expect("sound");
        sound
            .trusted(&desk.trust(), &message.certificates, now())
            .expect("trusted");
    }
    let refused = cms::verify_attached(&both, &doctor.trust(), now());
    assert_eq!(refused.err(), Some(Refused::ManySigners));

    // One of them over other content: that one is refused, the other stands.
    let forged = Sm2Key::generate().expect("made");
    let stranger = Unsigned::attached(Algorithm::Sm2, RX, Some(now()), &pharmacist.chain).expect("prepared");
    let mixed = cms::joined(&doctor.attached(), &stranger.sign(&forged).expect("signed")).expect("joined");
    let results: Vec<_> = read(&mixed)
        .check_attached(&[])
        .expect("read")
        .into_iter()
        .map(|one| one.result)
        .collect();
    assert_eq!(results.iter().filter(|one| one.is_ok()).count(), 1);
    assert!(results.iter().any(|one| matches!(one, Err(Refused::SignatureInvalid))));

    let other = Unsigned::attached(Algorithm::Sm2, b"other", None, &doctor.chain).expect("prepared");
    let other = other.sign(doctor.key.as_ref()).expect("signed");
    assert_eq!(cms::joined(&doctor.attached(), &other), Err(Refused::DigestMismatch));
}

#[test]
fn certificates_and_lists_may_be_left_out_or_carried() {
    let desk = Desk::sm2("王医生");
    let message = Unsigned::attached(Algorithm::Sm2, RX, Some(now()), &desk.chain[..1]).expect("prepared");
    let list = gm::crl::Draft {
        this_update: now(),
        next_update: now() + Duration::days(1),
        number: gm::crl::Number::from(1),
        base: None,
        entries: &[],
        address: None,
    };
    let lists = vec![list.issue(&desk.chain[1], desk.key.as_ref()).expect("issued")];
    let message = message.with_crls(&lists).sign(desk.key.as_ref()).expect("signed");
    let read = read(&message);
    assert_eq!(read.crls, [lists[0].as_slice()]);
    assert_eq!(read.certificates, desk.chain[..1]);
    let sound = read.check_attached(&[]).expect("read").remove(0).result.expect("sound");
    sound.trusted(&desk.trust(), &[], now()).expect("the root is known");
}

/// Whoever holds a message with signed attributes must not be able to show these as a document signed without any.
#[test]
fn signed_attributes_cannot_be_passed_off_as_a_document() {
    for desk in [
        Desk::sm2("王医生"),
        Desk::rsa("张护士", Algorithm::RsaPkcs1(Sha2::Sha256)),
    ] {
        let made = Unsigned::attached(desk.algorithm(), RX, Some(now()), &desk.chain).expect("prepared");
        let attributes = made.to_be_signed().to_vec();
        let signature = desk.key.sign(&attributes).expect("signed");
        let forged = Unsigned::bare(desk.algorithm(), &attributes, true, &desk.chain).expect("prepared");
        let forged = forged.finish(&signature).expect("made");
        let found = read(&forged).check_attached(&[]).expect("read").remove(0).result;
        assert_eq!(found.err(), Some(Refused::AmbiguousContent));
    }
}

/// e = SM3(encapContentInfo), without Z and attributes: only where the caller asks for this dialect.
#[test]
fn the_dialect_of_gmssl_is_verified_only_when_told() {
    let desk = Desk::sm2("王医生");
    let content = der::sequence(&[
        &der::oid(oid::GM_DATA),
        &der::constructed(tag::context(0), &[&der::octets(RX)]),
    ]);
    let signature = desk.key.sign_digest(&gm::sm3(&content)).expect("signed");
    let message = Unsigned::bare(Algorithm::Sm2, RX, true, &desk.chain).expect("prepared");
    let message = message.finish(&signature).expect("made");
    let judged = |message: &[u8], gmssl_legacy| {
        let profile = Profile {
            gmssl_legacy,
            ..Profile::default()
        };
        let message = Message::read(message, profile).expect("read");
        message.check_attached(&[]).expect("read").remove(0).result.map(|_| ())
    };
    assert_eq!(judged(&message, false), Err(Refused::SignatureInvalid));
    assert_eq!(judged(&message, true), Ok(()));
    assert_eq!(
        judged(&desk.bare(true), true),
        Err(Refused::SignatureInvalid),
        "never both"
    );
    assert_eq!(
        judged(&desk.attached(), true),
        Ok(()),
        "with attributes there is one way"
    );
}

/// SM2 under the identifiers of RFC 5652, as Tongsuo writes it.
#[test]
fn identifiers_of_the_other_family_are_read_only_when_told() {
    let desk = Desk::sm2("王医生");
    let bare = desk.bare(true);
    // Both identifiers are one byte longer or shorter than the other family's: rebuilt from the parts.
    let message = read(&bare);
    let mut outer = der::Reader::new(&bare, "test").sequence("test").expect("ContentInfo");
    outer.oid().expect("type");
    let mut body = outer
        .inside(tag::context(0), "test")
        .expect("[0]")
        .sequence("test")
        .expect("SignedData");
    let (version, digests) = (body.any().expect("version").raw, body.any().expect("digests").raw);
    body.any().expect("content");
    let (certificates, signers) = (body.any().expect("certificates").raw, body.any().expect("signers").raw);
    let content = der::sequence(&[
        &der::oid(oid::PKCS7_DATA),
        &der::constructed(tag::context(0), &[&der::octets(message.content.expect("content"))]),
    ]);
    let body = der::sequence(&[version, digests, &content, certificates, signers]);
    let renamed = der::sequence(&[
        &der::oid(oid::PKCS7_SIGNED_DATA),
        &der::constructed(tag::context(0), &[&body]),
    ]);
    let judged = |profile| {
        let message = Message::read(&renamed, profile)?;
        message
            .check_attached(&[])?
            .remove(0)
            .result
            .map(|sound| sound.certificate)
    };
    assert_eq!(judged(Profile::default()), Err(Refused::MixedAlgorithms));
    let told = Profile {
        mixed_identifiers: true,
        ..Profile::default()
    };
    assert_eq!(judged(told), Ok(desk.chain[0].clone()));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(300))]
    #[test]
    fn mutated_messages_are_refused_or_say_the_same(
        cuts in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), proptest::prelude::any::<u8>(), 0u8..4), 1..6),
    ) {
        static MADE: std::sync::LazyLock<(Vec<u8>, Certificate)> = std::sync::LazyLock::new(|| {
            let (one, two) = (Desk::sm2("王医生"), Desk::sm2("李药师"));
            (cms::joined(&one.attached(), &two.attached()).expect("joined"), one.chain[0].clone())
        });
        let mut bent = MADE.0.clone();
        for (at, byte, act) in cuts {
            let at = at.index(bent.len());
            match act {
                0 => bent[at] = byte,
                1 => bent[at] ^= 1 << (byte % 8),
                2 => { bent.remove(at); }
                _ => bent.insert(at, byte),
            }
        }
        for gmssl_legacy in [false, true] {
            let profile = Profile { gmssl_legacy, mixed_identifiers: gmssl_legacy };
            let Ok(message) = Message::read(&bent, profile) else { continue };
            let Ok(found) = message.check_attached(&[]) else { continue };
            for one in found {
                if one.result.is_ok() {
                    proptest::prop_assert_eq!(message.content, Some(RX));
                }
            }
        }
    }
}
