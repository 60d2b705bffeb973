//! Time stamps.

use gm::certificate::Purpose;
use gm::der::{Reader, element, tag};
use gm::evidence::{Kind as What, Unfit};
use gm::stamp::{Failure, Imprint, Info, Request, Stamped, Token, Unit, Unsigned, attach};
use gm::{Certificate, Hash, Refused, Signer, Trust};
use time::{Duration, OffsetDateTime};

use crate::site::{Kind, Own, Site, dgst_verifies, each_bent, p256, present, sites, sm2};

/// 1.2.3.4.1
const POLICY: &[u8] = &[0x2a, 3, 4, 1];
const DOCUMENT: &[u8] = "处方".as_bytes();

fn unfit<T: std::fmt::Debug>(result: Result<T, Refused>) -> Unfit {
    match result.expect_err("refused") {
        Refused::Evidence(unfit) => unfit,
        other => panic!("{other:?}"),
    }
}

/// openssl as time-stamp authority; SM2 it cannot.
pub(crate) fn stampers() -> impl Iterator<Item = &'static Site> {
    sites().iter().filter(|site| site.kind != Kind::Sm2)
}

pub(crate) fn reply(site: &Site, request: &[u8], section: &str, tag: &str) -> Vec<u8> {
    site.put(&format!("{tag}.tsq"), request);
    site.run(&format!(
        "ts -reply -config ca.cnf -section {section} -chain ca.pem -queryfile {tag}.tsq -out {tag}.tsr"
    ));
    site.get(&format!("{tag}.tsr"))
}

fn trusting(root: &Certificate) -> Trust {
    Trust::new([&root.der]).expect("trust")
}

#[test]
fn stamps_of_openssl_are_accepted_and_verified() {
    for site in stampers() {
        let trust = trusting(&site.root());
        for (hash, section) in [
            (Hash::Sha256, "unit"),
            (Hash::Sha512, "unit"),
            (Hash::Sha256, "unit_old"),
        ] {
            let asked = Request::over(hash, DOCUMENT).with_nonce(b"nonce 16 bytes..");
            let token = asked
                .accept(&reply(site, &asked.to_der(), section, "theirs"))
                .expect("accepted");
            let now = present().now;
            let imprint = Imprint::of(hash, DOCUMENT);
            let stamped = Token::read(&token)
                .expect("read")
                .verify(&imprint, &trust, now)
                .expect("verified");
            assert!((stamped.info.at - now).abs() < Duration::minutes(1));
            assert_eq!(stamped.info.policy, POLICY);
            assert_eq!(stamped.unit.subject.common_name, "tsa");
            if section == "unit" {
                assert_eq!(stamped.info.accuracy, Some(Duration::milliseconds(1500)));
                assert!(stamped.info.ordering);
                assert_eq!(stamped.latest(), stamped.info.at + Duration::milliseconds(1500));
            }
        }
    }
}

#[test]
fn replies_to_others_and_refusals_are_refused_by_name() {
    for site in stampers() {
        let asked = Request::over(Hash::Sha256, DOCUMENT).with_nonce(b"one");
        let bytes = reply(site, &asked.to_der(), "unit", "others");
        let other = Request::over(Hash::Sha256, b"other").with_nonce(b"one");
        assert_eq!(unfit(other.accept(&bytes)), Unfit::Imprint);
        let other = Request::over(Hash::Sha256, DOCUMENT).with_nonce(b"two");
        assert_eq!(unfit(other.accept(&bytes)), Unfit::Nonce { what: What::Stamp });
        let mut other = asked.clone();
        other.policy = Some(vec![0x2a, 3]);
        assert_eq!(unfit(other.accept(&bytes)), Unfit::Policy("1.2.3.4.1".to_owned()));
        let refused = unfit(other.accept(&reply(site, &other.to_der(), "unit", "refused")));
        assert!(
            matches!(&refused, Unfit::StampRefused(words) if words.contains("status 2") && words.contains("failure 15")),
            "{refused:?}"
        );
    }
}

fn unit<'a>(key: &'a dyn Signer, chain: &'a [Certificate]) -> Unit<'a> {
    Unit::new(key, chain, POLICY, Some(Duration::milliseconds(250))).expect("unit")
}

struct Ours {
    own: Own,
    key: Box<dyn Signer>,
    chain: Vec<Certificate>,
}

fn ours(make: fn() -> Box<dyn Signer>) -> Ours {
    let (own, key) = (Own::new("Stamps", make()), make());
    let chain = vec![
        own.issue("unit", key.as_ref(), Purpose::TimeStamping, 6),
        own.root.clone(),
    ];
    Ours { own, key, chain }
}

#[test]
fn openssl_accepts_the_stamps_of_our_unit() {
    let site = &sites()[1];
    let ours = ours(p256);
    let unit = unit(ours.key.as_ref(), &ours.chain);
    site.put("u_root.der", &ours.own.root.der);
    site.run("x509 -inform DER -in u_root.der -out u_root.pem");
    site.put("u_doc", DOCUMENT);
    for (number, hash) in ["sha256", "sha384", "sha512", "sm3"].iter().enumerate() {
        site.run(&format!("ts -query -data u_doc -{hash} -cert -out u.tsq"));
        let serial = [1, number as u8];
        let reply = unit
            .answer(&site.get("u.tsq"), &serial, present().now)
            .expect("answered");
        site.put("u.tsr", &reply);
        let text = site.run("ts -reply -in u.tsr -text");
        assert!(
            text.contains("Status: Granted") && text.contains("0xFA millis"),
            "{text}"
        );
        let said = site.run("ts -verify -queryfile u.tsq -in u.tsr -CAfile u_root.pem");
        assert!(said.contains("Verification: OK"), "{said}");
        site.put("u_other", b"other");
        let (well, _) = site.tried("ts -verify -data u_other -in u.tsr -CAfile u_root.pem");
        assert!(!well, "over something else");
    }
}

#[test]
fn our_sm2_stamps_verify_here_and_their_signature_by_openssl() {
    let ours = ours(sm2);
    let unit = unit(ours.key.as_ref(), &ours.chain);
    let imprint = Imprint::of(Hash::Sm3, DOCUMENT);
    let at = OffsetDateTime::now_utc();
    let token = unit.stamp(&imprint, &[9], at).expect("stamped");
    let trust = trusting(&ours.own.root);
    let stamped = Token::read(&token)
        .expect("read")
        .verify(&imprint, &trust, at)
        .expect("verified");
    assert_eq!((stamped.info.at, stamped.info.serial), (at, vec![9]));
    assert_eq!(stamped.path.len(), 2);

    // The signature over the signed attributes, by openssl.
    let mut outer = Reader::new(&token, "token").sequence("info").expect("info");
    outer.oid().expect("kind");
    let mut body = outer
        .inside(tag::context(0), "x")
        .expect("x")
        .sequence("body")
        .expect("body");
    let parts: Vec<_> = std::iter::from_fn(|| body.any().ok()).collect();
    let mut signer = Reader::new(parts[parts.len() - 1].value, "signers")
        .sequence("signer")
        .expect("signer");
    let parts: Vec<_> = std::iter::from_fn(|| signer.any().ok()).collect();
    let attributes = element(tag::SET, parts[3].value);
    dgst_verifies(
        &sites()[2],
        &ours.key.public_key().to_spki(),
        &attributes,
        parts[5].value,
        "sm2_stamp",
    );
}

#[test]
fn no_changed_byte_of_a_token_verifies() {
    for make in [p256, sm2] {
        let ours = ours(make);
        let unit = unit(ours.key.as_ref(), &ours.chain);
        let imprint = Imprint::of(Hash::Sm3, DOCUMENT);
        let at = OffsetDateTime::now_utc().replace_nanosecond(0).expect("time");
        let token = unit.stamp(&imprint, &[1, 2, 3], at).expect("stamped");
        let trust = trusting(&ours.own.root);
        let verify = |bytes: &[u8]| -> Result<Stamped, Refused> { Token::read(bytes)?.verify(&imprint, &trust, at) };
        let whole = verify(&token).expect("verified");
        let mut free = 0;
        each_bent(&token, |position, bent| {
            if let Ok(seen) = verify(bent) {
                free += 1;
                assert_eq!(seen.info, whole.info, "byte {position}");
                assert_eq!(seen.unit.der, whole.unit.der, "byte {position}");
            }
        });
        // Free are the copy of the root (the trusted one is used instead), the version figures and the outer digest set.
        assert!(free < ours.own.root.der.len() + 32, "{free} of {}", token.len());
        for length in 0..token.len() {
            assert!(verify(&token[..length]).is_err());
        }
    }
}

#[test]
fn stamps_by_other_certificates_and_other_times_are_refused_by_name() {
    let ours = ours(sm2);
    let person = sm2();
    let doctor = [ours.own.issue("doctor", person.as_ref(), Purpose::Documents, 7)];
    assert_eq!(
        Unit::new(person.as_ref(), &doctor, POLICY, None).err(),
        Some(Refused::WrongUsage)
    );
    assert_eq!(
        Unit::new(person.as_ref(), &ours.chain, POLICY, None).err(),
        Some(Refused::WrongUsage),
        "another key"
    );
    let unit = unit(ours.key.as_ref(), &ours.chain);
    let imprint = Imprint::of(Hash::Sm3, DOCUMENT);
    let now = OffsetDateTime::now_utc();
    let trust = trusting(&ours.own.root);
    let token = unit.stamp(&imprint, &[1], now + Duration::hours(1)).expect("stamped");
    let early = Token::read(&token).expect("read").verify(&imprint, &trust, now);
    assert_eq!(unfit(early), Unfit::FromFuture { what: What::Stamp });
    assert!(matches!(
        unit.stamp(&imprint, &[1], now + Duration::days(400)),
        Err(Refused::Expired { .. })
    ));
    let token = unit.stamp(&imprint, &[1], now).expect("stamped");
    let read = Token::read(&token).expect("read");
    assert_eq!(
        read.verify(&imprint, &Trust::default(), now).err(),
        Some(Refused::Untrusted)
    );
    assert_eq!(
        unfit(read.verify(&Imprint::of(Hash::Sm3, b"other"), &trust, now)),
        Unfit::Imprint
    );
    // Years later it still proves its time.
    read.verify(&imprint, &trust, now + Duration::days(3000)).expect("then");
}

#[test]
fn requests_that_cannot_be_served_are_refused_in_their_own_language() {
    let ours = ours(p256);
    let unit = unit(ours.key.as_ref(), &ours.chain);
    let now = OffsetDateTime::now_utc();
    let site = &sites()[1];
    site.put("r_doc", DOCUMENT);
    site.run("ts -query -data r_doc -sha1 -out r.tsq");
    let mut policy = Request::over(Hash::Sm3, DOCUMENT);
    policy.policy = Some(vec![0x2a, 9]);
    for (request, words) in [
        (site.get("r.tsq"), "unrecognized or unsupported algorithm"),
        (policy.to_der(), "the requested TSA policy is not supported"),
        (b"nonsense".to_vec(), "the data submitted has the wrong format"),
    ] {
        site.put("r.tsr", unit.answer(&request, &[1], now).expect("answered"));
        let text = site.run("ts -reply -in r.tsr -text");
        assert!(text.contains("Status: Rejected") && text.contains(words), "{text}");
    }
    site.put("r.tsr", Unit::refuse(Failure::TimeNotAvailable));
    let text = site.run("ts -reply -in r.tsr -text");
    assert!(text.contains("the TSA's time source is not available"), "{text}");
}

#[test]
fn a_stamp_is_attached_to_a_message_and_changes_nothing_of_it() {
    let ours = ours(sm2);
    let unit = unit(ours.key.as_ref(), &ours.chain);
    let (person, now) = (sm2(), OffsetDateTime::now_utc());
    let chain = [
        ours.own.issue("doctor", person.as_ref(), Purpose::Documents, 7),
        ours.own.root.clone(),
    ];
    let message = gm::cms::Unsigned::new(&gm::sm3(DOCUMENT), now, &chain)
        .expect("prepared")
        .sign(person.as_ref())
        .expect("signed");
    let before = Unsigned::read(&message).expect("read");
    assert!(before.stamps.is_empty() && before.evidence.is_none());
    let imprint = Imprint::of(Hash::Sm3, &before.signature);
    let mut stamped = message.clone();
    for serial in [1u8, 2] {
        let token = unit.stamp(&imprint, &[serial], now).expect("stamped");
        stamped = attach(&stamped, &token).expect("attached");
    }
    let after = Unsigned::read(&stamped).expect("read");
    assert_eq!((after.stamps.len(), &after.signature), (2, &before.signature));
    let trust = trusting(&ours.own.root);
    gm::cms::verify(&stamped, gm::cms::Content::Bytes(DOCUMENT), &trust, now).expect("still verifies");
    let serials = after.stamps.iter().map(|token| {
        let stamped = Token::read(token).expect("read").verify(&imprint, &trust, now);
        stamped.expect("verified").info.serial
    });
    // A SET OF stands in the order of its bytes, which nobody chooses.
    let mut serials: Vec<_> = serials.collect();
    serials.sort();
    assert_eq!(serials.concat(), [1, 2]);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_refused(bytes: Vec<u8>) {
        proptest::prop_assert!(Token::read(&bytes).is_err());
        proptest::prop_assert!(Request::read(&bytes).is_err());
        proptest::prop_assert!(Unsigned::read(&bytes).is_err());
        proptest::prop_assert!(attach(&bytes, &bytes).is_err());
    }

    #[test]
    fn requests_are_read_as_they_are_written(nonce in proptest::collection::vec(proptest::num::u8::ANY, 1..32), certificates: bool) {
        let mut request = Request::over(Hash::Sm3, &nonce).with_nonce(&nonce);
        request.certificates = certificates;
        proptest::prop_assert_eq!(Request::read(&request.to_der()), Ok(request));
    }
}

#[test]
fn an_info_says_what_it_says() {
    // What openssl shows of a token agrees with what is read here.
    let site = stampers().next().expect("site");
    let asked = Request::over(Hash::Sha256, DOCUMENT);
    let token = asked
        .accept(&reply(site, &asked.to_der(), "unit", "info"))
        .expect("accepted");
    let info: Info = Token::read(&token).expect("read").info;
    site.put("info.token", &token);
    let text = site.run("ts -reply -in info.token -token_in -token_out -text");
    let serial: String = info.serial.iter().map(|b| format!("{b:02X}")).collect();
    assert!(text.contains(&format!("Serial number: 0x{serial}")), "{text}");
    assert!(
        text.contains("0x01 seconds, 0x01F4 millis") && text.contains("Ordering: yes"),
        "{text}"
    );
}
