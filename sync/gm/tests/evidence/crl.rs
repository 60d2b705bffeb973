//! Lists.

use gm::crl::{Crl, Draft, Entry, Head, Number};
use gm::der::{Reader, tag};
use gm::evidence::{Kind as What, Moment, Reason, Revoked, Status, Unfit};
use gm::{Certificate, Refused};
use time::{Duration, OffsetDateTime};

use crate::site::{Kind, Own, dgst_verifies, each_bent, p256, present, sites, sm2};

fn reason(status: Result<Status, Refused>) -> Reason {
    match status.expect("status") {
        Status::Revoked(revoked) => revoked.reason,
        other => panic!("{other:?}"),
    }
}

fn unfit<T: std::fmt::Debug>(result: Result<T, Refused>) -> Unfit {
    match result.expect_err("refused") {
        Refused::Evidence(unfit) => unfit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn lists_of_openssl_are_read_and_say_who_is_revoked_and_why() {
    for site in sites() {
        let root = site.root();
        let bytes = site.list(Some("full"), "full");
        let crl = Crl::read(&bytes, &[site.certificate("good"), root.clone()]).expect("read");
        assert_eq!((crl.len(), crl.head().version), (3, 2));
        assert!(crl.head().number.is_some());
        let now = present();
        assert_eq!(crl.status(&site.certificate("good"), now), Ok(Status::Good));
        for (name, expected) in [
            ("stolen", Reason::KeyCompromise),
            ("replaced", Reason::Superseded),
            ("held", Reason::CertificateHold),
        ] {
            assert_eq!(reason(crl.status(&site.certificate(name), now)), expected);
        }
        // A week later it should have been replaced: only what was revoked for good is still known.
        let later = Moment::present(now.now + Duration::days(9));
        assert!(crl.is_stale(later.now));
        for name in ["good", "held"] {
            let refused = unfit(crl.status(&site.certificate(name), later));
            assert!(matches!(refused, Unfit::Stale { what: What::Crl, .. }));
        }
        assert_eq!(
            reason(crl.status(&site.certificate("replaced"), later)),
            Reason::Superseded
        );
        // What was signed before the revocation stands, unless the key was stolen.
        let before = Moment {
            at: now.at - Duration::minutes(30),
            now: now.now,
        };
        assert_eq!(crl.status(&site.certificate("replaced"), before), Ok(Status::Good));
        assert_eq!(
            reason(crl.status(&site.certificate("stolen"), before)),
            Reason::KeyCompromise
        );
        // It is dated in the future for who lives yesterday.
        let yesterday = Moment::present(now.now - Duration::DAY);
        assert_eq!(
            unfit(crl.status(&site.certificate("good"), yesterday)),
            Unfit::FromFuture { what: What::Crl }
        );
        assert_eq!(
            unfit(crl.status(&root_of_others(), now)),
            Unfit::WrongIssuer { what: What::Crl }
        );
    }
}

fn root_of_others() -> Certificate {
    Own::new("Others", p256()).root
}

#[test]
fn lists_of_version_1_are_read() {
    for site in sites() {
        // Without reasons and extensions openssl writes version 1: an empty book of its own.
        let bytes = site.list(Some("full"), "for_v1");
        let v1 = as_version_1(&bytes);
        let refused = unfit(Crl::read(&v1, &[site.root()]));
        assert_eq!(refused, Unfit::Signature { what: What::Crl }, "another body");
        let head = Head::read(&v1).expect("head");
        assert_eq!((head.version, head.number), (1, None));
    }
    let site = &sites()[0];
    let folder = tempfile::TempDir::new().expect("folder");
    let at = folder.path().display();
    site.put(
        "v1.cnf",
        format!("[ca]\ndefault_ca=b\n[b]\ndatabase={at}/index.txt\ndefault_crl_days=7\ndefault_md=sha256\n"),
    );
    std::fs::write(
        folder.path().join("index.txt"),
        "R\t301122000000Z\t260101000000Z\t0A1B2C\tunknown\t/CN=old\n",
    )
    .expect("written");
    site.run("ca -gencrl -config v1.cnf -cert ca.pem -keyfile ca.key -out v1.pem");
    site.run("crl -in v1.pem -outform DER -out v1.der");
    let crl = Crl::read(&site.get("v1.der"), &[site.root()]).expect("read");
    assert_eq!((crl.head().version, crl.len()), (1, 1));
    assert_eq!(
        crl.find(&[0x0a, 0x1b, 0x2c]).map(|r| r.at.unix_timestamp()),
        Some(1_767_225_600)
    );
}

/// The same list without version, reasons and extensions.
fn as_version_1(bytes: &[u8]) -> Vec<u8> {
    use gm::der;
    let mut whole = Reader::new(bytes, "list").sequence("list").expect("list");
    let mut body = whole.sequence("body").expect("body");
    let rest: Vec<&[u8]> = std::iter::from_fn(|| whole.any().ok()).map(|e| e.raw).collect();
    body.small().expect("version");
    let parts: Vec<&[u8]> = std::iter::from_fn(|| body.any().ok())
        .filter(|e| e.tag != tag::context(0))
        .map(|e| e.raw)
        .take(4)
        .collect();
    der::sequence(&[&der::sequence(&[&parts.concat()]), &rest.concat()])
}

#[test]
fn what_a_list_covers_is_honoured_or_refused_by_name() {
    for site in sites() {
        let (root, good) = (site.root(), site.certificate("good"));
        let issuers = [root.clone()];
        let status = |section: &str| {
            let bytes = site.list(Some(section), section);
            Crl::read(&bytes, &issuers)?.status(&good, present())
        };
        assert_eq!(status("people_only"), Ok(Status::Good));
        assert_eq!(status("point_here"), Ok(Status::Good));
        assert!(matches!(unfit(status("authorities_only")), Unfit::OutOfScope(_)));
        assert!(matches!(unfit(status("point_elsewhere")), Unfit::OutOfScope(_)));
        assert!(matches!(unfit(status("indirect")), Unfit::Unsupported(_)));
        assert!(matches!(unfit(status("some_reasons")), Unfit::Unsupported(_)));
        assert!(matches!(
            unfit(status("unknown_critical")),
            Unfit::UnknownCritical { id, .. } if id == "1.2.3.4"
        ));
    }
}

#[test]
fn no_changed_byte_of_a_list_verifies() {
    for site in sites() {
        let (root, good) = (site.root(), site.certificate("good"));
        let bytes = site.list(Some("full"), "bent");
        each_bent(&bytes, |at, bent| {
            if let Ok(crl) = Crl::read(bent, std::slice::from_ref(&root)) {
                panic!("byte {at} is free: {:?}", crl.head());
            }
        });
        for length in 0..bytes.len() {
            assert!(
                Crl::read(&bytes[..length], std::slice::from_ref(&root)).is_err(),
                "{length}"
            );
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(matches!(
            Crl::read(&longer, std::slice::from_ref(&root)),
            Err(Refused::Malformed { .. })
        ));
        assert_eq!(unfit(Crl::read(&bytes, &[])), Unfit::WrongIssuer { what: What::Crl });
        assert_eq!(
            unfit(Crl::read(&bytes, &[good])),
            Unfit::WrongIssuer { what: What::Crl }
        );
    }
}

fn entry(serial: u8, days: i64, reason: Reason) -> Entry {
    let at = OffsetDateTime::now_utc() + Duration::days(days);
    Entry {
        serial: Certificate::parse(&dummy(serial).der).expect("certificate").serial,
        revoked: Revoked { at, reason },
    }
}

fn dummy(serial: u8) -> Certificate {
    let key = p256();
    crate::site::issue(
        "dummy",
        key.as_ref(),
        gm::certificate::Purpose::Documents,
        serial,
        (None, key.as_ref()),
    )
}

fn draft<'a>(number: u64, base: Option<u64>, entries: &'a [Entry]) -> Draft<'a> {
    let now = OffsetDateTime::now_utc();
    Draft {
        this_update: now,
        next_update: now + Duration::DAY,
        number: number.into(),
        base: base.map(Number::from),
        entries,
        address: None,
    }
}

#[test]
fn our_lists_are_accepted_by_openssl() {
    let entries = [entry(7, -1, Reason::Superseded), entry(9, -2, Reason::Unspecified)];
    for (site, key) in [(&sites()[1], p256()), (&sites()[2], sm2())] {
        let own = Own::new("Ours", key);
        let list = draft(5, None, &entries)
            .issue(&own.root, own.key.as_ref())
            .expect("list");
        let tag = "ours_list";
        site.put(&format!("{tag}.crl"), &list);
        let text = site.run(&format!("crl -inform DER -in {tag}.crl -noout -text"));
        assert!(text.contains("Superseded") && text.contains("CRL Number"), "{text}");
        // The signature, by openssl with the id where it is needed.
        let mut whole = Reader::new(&list, "list").sequence("list").expect("list");
        let body = whole.any().expect("body").raw;
        whole.any().expect("algorithm");
        let signature = whole.bits().expect("signature");
        dgst_verifies(site, &own.key.public_key().to_spki(), body, signature, tag);
        if site.kind == Kind::P256 {
            let person = p256();
            let (good, bad) = (
                own.issue("good", person.as_ref(), gm::certificate::Purpose::Documents, 8),
                own.issue("bad", person.as_ref(), gm::certificate::Purpose::Documents, 7),
            );
            for (name, der) in [("o_root", &own.root.der), ("o_good", &good.der), ("o_bad", &bad.der)] {
                site.put(&format!("{name}.der"), der);
                site.run(&format!("x509 -inform DER -in {name}.der -out {name}.pem"));
            }
            site.run(&format!("crl -inform DER -in {tag}.crl -out {tag}.pem"));
            let verify = |name: &str| {
                site.tried(&format!(
                    "verify -CAfile o_root.pem -crl_check -CRLfile {tag}.pem {name}.pem"
                ))
            };
            let (well, said) = verify("o_good");
            assert!(well, "{said}");
            let (well, said) = verify("o_bad");
            assert!(!well && said.contains("certificate revoked"), "{said}");
        }
    }
}

#[test]
fn a_delta_brings_a_list_up_to_date() {
    for key in [p256(), sm2()] {
        let own = Own::new("Ours", key);
        let read = |number, base, entries: &[Entry]| {
            let bytes = draft(number, base, entries).issue(&own.root, own.key.as_ref())?;
            Crl::read(&bytes, std::slice::from_ref(&own.root))
        };
        let [one, two, three] = [1u8, 2, 3].map(|n| entry(n, -1, Reason::CertificateHold));
        let full = read(10, None, &[one.clone(), two.clone()]).expect("full");
        let mut back = one.clone();
        back.revoked.reason = Reason::RemoveFromCrl;
        let mut hard = two.clone();
        hard.revoked.reason = Reason::KeyCompromise;
        let delta = read(12, Some(10), &[back.clone(), hard, three.clone()]).expect("delta");
        let new = full.apply(&delta).expect("applied");
        assert_eq!((full.len(), new.len()), (2, 2));
        assert_eq!(new.head().number, Some(Number::from(12)));
        assert_eq!(new.head().base, None);
        assert_eq!(new.find(&one.serial), None);
        assert_eq!(new.find(&two.serial).map(|r| r.reason), Some(Reason::KeyCompromise));
        assert_eq!(new.find(&three.serial).map(|r| r.reason), Some(Reason::CertificateHold));

        let why = |base: &Crl, delta: &Crl| unfit(base.apply(delta).map(|crl| crl.len()));
        assert!(matches!(why(&full, &new), Unfit::Delta("it is a full list")));
        assert!(matches!(
            why(&delta, &delta),
            Unfit::Delta("the base is a delta itself")
        ));
        let later = read(13, Some(11), &[]).expect("delta");
        assert!(matches!(
            why(&full, &later),
            Unfit::Delta("its base is newer than the list")
        ));
        let earlier = read(9, Some(8), &[]).expect("delta");
        assert!(matches!(
            why(&full, &earlier),
            Unfit::Delta("it is older than the list")
        ));
        let stranger = Own::new("Ours", p256());
        let bytes = draft(12, Some(10), &[])
            .issue(&stranger.root, stranger.key.as_ref())
            .expect("delta");
        let theirs = Crl::read(&bytes, std::slice::from_ref(&stranger.root)).expect("delta");
        assert!(matches!(why(&full, &theirs), Unfit::Delta("another issuer")));
        // A delta alone says nothing, and what only a delta may say is refused elsewhere.
        let somebody = own.issue("x", own.key.as_ref(), gm::certificate::Purpose::Documents, 3);
        assert!(matches!(unfit(delta.status(&somebody, present())), Unfit::Delta(_)));
        assert!(read(14, None, &[back]).is_err());
    }
}

#[test]
fn a_list_with_an_address_covers_who_names_it() {
    let own = Own::new("Ours", sm2());
    let address = "http://ca.example/part1.crl";
    let mut draft = draft(1, None, &[]);
    draft.address = Some(address);
    let bytes = draft.issue(&own.root, own.key.as_ref()).expect("list");
    let crl = Crl::read(&bytes, std::slice::from_ref(&own.root)).expect("read");
    let person = p256();
    let here = own.issue_with_list(person.as_ref(), 5, address);
    let elsewhere = own.issue_with_list(person.as_ref(), 6, "http://ca.example/part2.crl");
    assert_eq!(crl.status(&here, present()), Ok(Status::Good));
    assert!(matches!(unfit(crl.status(&elsewhere, present())), Unfit::OutOfScope(_)));
}

#[test]
fn who_may_not_sign_lists_does_not() {
    let own = Own::new("Ours", p256());
    let person = p256();
    let doctor = own.issue("doctor", person.as_ref(), gm::certificate::Purpose::Documents, 4);
    let refused = draft(1, None, &[]).issue(&doctor, person.as_ref());
    assert!(matches!(refused, Err(Refused::NotAnAuthority { .. })));
    let refused = draft(1, None, &[]).issue(&own.root, person.as_ref());
    assert!(matches!(refused, Err(Refused::NotAnAuthority { .. })), "another key");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_refused(bytes: Vec<u8>) {
        proptest::prop_assert!(Crl::read(&bytes, &[]).is_err());
        proptest::prop_assert!(Head::read(&bytes).is_err());
    }
}
