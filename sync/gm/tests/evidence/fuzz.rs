//! Whatever somebody makes of a certificate, a list, an answer or a time stamp: the reader answers, and what verifies says
//! what it said before. Long runs: `cargo xtask fuzz`.

use gm::crl::Crl;
use gm::ocsp::Response;
use gm::stamp::{Imprint, Request, Token};
use gm::{Certificate, Hash, Trust, evidence::Status};
use kit::fuzz::{Changes, cases, der};

use crate::site::{Site, present, sites};
use crate::{ocsp, stamp};

const DOCUMENT: &[u8] = "处方".as_bytes();

#[test]
fn every_certificate_is_answered_and_what_is_trusted_was_issued() {
    let roots: Vec<Certificate> = sites().iter().map(Site::root).collect();
    let issued: Vec<Certificate> = sites().iter().map(|site| site.certificate("good")).collect();
    let trust = Trust::new(roots.iter().map(|root| &root.der)).expect("trust");
    for number in 0..cases(4_000) {
        let changes = &mut Changes::of(number);
        let bytes = der::bent(&changes.one(&issued).der, changes);
        let Ok(certificate) = Certificate::parse(&bytes) else {
            continue;
        };
        if trust.path(&certificate, &[], present().now).is_ok() {
            let same = issued
                .iter()
                .any(|one| one.public_key == certificate.public_key && one.serial == certificate.serial);
            assert!(same, "case {number}");
        }
    }
}

#[test]
fn a_changed_list_or_answer_is_refused_or_says_what_it_said() {
    for site in sites() {
        let (root, good, stolen) = (site.root(), site.certificate("good"), site.certificate("stolen"));
        let list = site.list(Some("full"), "fuzzed");
        let question = ocsp::asked(site, "stolen", gm::ocsp::NameHash::Sha256);
        let answer = ocsp::reply(site, &question, "ca", "fuzzed");
        let now = present();
        for number in 0..cases(700) {
            let changes = &mut Changes::of(number);
            let bytes = der::bent(&list, changes);
            if let Ok(read) = Crl::read(&bytes, std::slice::from_ref(&root)) {
                assert!(!matches!(read.status(&stolen, now), Ok(Status::Good)), "case {number}");
                assert!(
                    !matches!(read.status(&good, now), Ok(Status::Revoked(_))),
                    "case {number}"
                );
            }
            let bytes = der::bent(&answer, changes);
            if let Ok(Ok(read)) = Response::read(&bytes).map(|response| response.verify(&root)) {
                assert!(!matches!(read.status(&stolen, now), Ok(Status::Good)), "case {number}");
            }
        }
    }
}

#[test]
fn a_changed_time_stamp_is_refused_or_says_what_it_said() {
    for site in stamp::stampers() {
        let trust = Trust::new([&site.root().der]).expect("trust");
        let asked = Request::over(Hash::Sha256, DOCUMENT).with_nonce(b"nonce");
        let reply = stamp::reply(site, &asked.to_der(), "unit", "fuzzed");
        let token = asked.accept(&reply).expect("accepted");
        let (imprint, now) = (Imprint::of(Hash::Sha256, DOCUMENT), present().now);
        let stamped = |bytes: &[u8]| Token::read(bytes).and_then(|token| token.verify(&imprint, &trust, now));
        let at = stamped(&token).expect("verified").info.at;
        for number in 0..cases(700) {
            let changes = &mut Changes::of(number);
            let _ = Request::read(&der::bent(&asked.to_der(), changes));
            let _ = asked.accept(&der::bent(&reply, changes));
            if let Ok(said) = stamped(&der::bent(&token, changes)) {
                assert_eq!(said.info.at, at, "case {number}");
            }
        }
    }
}
