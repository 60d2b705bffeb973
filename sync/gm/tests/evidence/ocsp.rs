//! Answers about the state of certificates.

use gm::evidence::{Kind as What, Moment, Reason, Status, Unfit};
use gm::ocsp::{Answer, NameHash, Question, Response};
use gm::{Certificate, Refused};
use time::Duration;

use crate::site::{Own, Site, each_bent, p256, present, sites};

const NONCE: [u8; 16] = *b"sixteen bytes ok";

/// The reply of openssl as responder to a request of ours.
pub(crate) fn reply(site: &Site, request: &[u8], signer: &str, tag: &str) -> Vec<u8> {
    site.put(&format!("{tag}.req"), request);
    let (hash, option) = (site.hash(), site.sign_option().replace("-sigopt", "-rsigopt"));
    site.run(&format!(
        "ocsp -index index.txt -CA ca.pem -rsigner {signer}.pem -rkey {signer}.key -rmd {hash} {option} -ndays 2 -reqin {tag}.req -respout {tag}.resp"
    ));
    site.get(&format!("{tag}.resp"))
}

pub(crate) fn asked(site: &Site, name: &str, hash: NameHash) -> Vec<u8> {
    let question = Question::new(&site.certificate(name), &site.root(), hash).expect("question");
    question.to_der(Some(&NONCE))
}

fn answer(site: &Site, name: &str, signer: &str, tag: &str) -> Result<Answer, Refused> {
    let bytes = reply(site, &asked(site, name, NameHash::Sha1), signer, tag);
    Response::read(&bytes)?.verify(&site.root())
}

fn unfit<T: std::fmt::Debug>(result: Result<T, Refused>) -> Unfit {
    match result.expect_err("refused") {
        Refused::Evidence(unfit) => unfit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn openssl_answers_our_questions_and_we_read_its_answers() {
    for site in sites() {
        for hash in [NameHash::Sha1, NameHash::Sha256, NameHash::Sm3] {
            let bytes = reply(site, &asked(site, "good", hash), "responder", "hashes");
            let answer = Response::read(&bytes)
                .expect("read")
                .verify(&site.root())
                .expect("verified");
            answer.has_nonce(&NONCE).expect("ours");
            assert!(answer.delegated && !answer.unchecked);
            assert_eq!(answer.responder.subject.common_name, "responder");
            assert_eq!(answer.status(&site.certificate("good"), present()), Ok(Status::Good));
        }
        let now = present();
        for (name, reason) in [("stolen", Reason::KeyCompromise), ("held", Reason::CertificateHold)] {
            let answer = answer(site, name, "ca", "direct").expect("verified");
            assert!(!answer.delegated, "the authority itself");
            match answer.status(&site.certificate(name), now).expect("status") {
                Status::Revoked(revoked) => {
                    assert_eq!(revoked.reason, reason);
                    assert!(revoked.at <= now.now);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn who_is_unknown_is_not_good() {
    for site in sites() {
        // A certificate of the same authority that is not in its books: asked for by a serial it never gave.
        let good = site.certificate("good");
        let mut other = good.clone();
        other.serial = vec![0x11; 16];
        let question = Question::new(&other, &site.root(), NameHash::Sha1).expect("question");
        let bytes = reply(site, &question.to_der(Some(&NONCE)), "responder", "unknown");
        let answer = Response::read(&bytes)
            .expect("read")
            .verify(&site.root())
            .expect("verified");
        assert_eq!(answer.status(&other, present()), Ok(Status::Unknown));
        assert_eq!(unfit(answer.status(&good, present())), Unfit::NotAnswered);
    }
}

#[test]
fn answers_of_strangers_old_answers_and_answers_to_others_are_refused_by_name() {
    for site in sites() {
        let what = What::Ocsp;
        let good = site.certificate("good");
        // A doctor's certificate does not make a responder, nor does that of a time-stamp unit.
        for signer in ["good", "tsa"] {
            let refused = unfit(answer(site, "good", signer, "wrong_signer"));
            assert!(matches!(refused, Unfit::Unauthorised { .. }), "{refused:?}");
        }
        let bytes = reply(site, &asked(site, "good", NameHash::Sha1), "responder", "strangers");
        let stranger = Own::new("Authority", p256()).root;
        let refused = unfit(Response::read(&bytes).expect("read").verify(&stranger));
        assert!(matches!(refused, Unfit::Unauthorised { .. }));
        let answer = Response::read(&bytes)
            .expect("read")
            .verify(&site.root())
            .expect("verified");
        assert_eq!(unfit(answer.has_nonce(b"another nonce...")), Unfit::Nonce { what });
        assert_eq!(
            unfit(answer.status(&stranger, present())),
            Unfit::NotAnswered,
            "a namesake's"
        );
        let other = Own::new("Others", p256()).root;
        assert_eq!(unfit(answer.status(&other, present())), Unfit::WrongIssuer { what });
        let now = present().now;
        let later = Moment::present(now + Duration::days(3));
        assert!(matches!(unfit(answer.status(&good, later)), Unfit::Stale { .. }));
        let earlier = Moment::present(now - Duration::hours(1));
        assert_eq!(unfit(answer.status(&good, earlier)), Unfit::FromFuture { what });
        // Years later it still speaks for the day of the signature, and not for the day after its end.
        let then = Moment {
            at: now,
            now: now + Duration::days(3000),
        };
        assert_eq!(answer.status(&good, then), Ok(Status::Good));
    }
}

#[test]
fn a_question_without_nonce_has_an_answer_without() {
    let site = &sites()[1];
    let question = Question::new(&site.certificate("good"), &site.root(), NameHash::Sha1).expect("question");
    let bytes = reply(site, &question.to_der(None), "responder", "no_nonce");
    let answer = Response::read(&bytes)
        .expect("read")
        .verify(&site.root())
        .expect("verified");
    assert!(matches!(unfit(answer.has_nonce(&NONCE)), Unfit::Nonce { .. }));
}

#[test]
fn a_responder_that_cannot_answer_says_so() {
    for (status, words) in [
        (1u8, "the request is malformed"),
        (2, "internal error"),
        (3, "try later"),
        (5, "the request must be signed"),
        (6, "not authorised to ask"),
        (9, "unknown status"),
    ] {
        let bytes = [0x30, 3, 0x0a, 1, status];
        assert_eq!(unfit(Response::read(&bytes)), Unfit::Responder(words));
    }
    assert!(matches!(
        Response::read(&[0x30, 3, 0x0a, 1, 0]).expect_err("nothing in it"),
        Refused::Malformed { .. }
    ));
}

#[test]
fn no_changed_byte_of_an_answer_verifies() {
    for site in sites() {
        let (root, good) = (site.root(), site.certificate("good"));
        let bytes = reply(site, &asked(site, "good", NameHash::Sha1), "responder", "bent_answer");
        let whole = Response::read(&bytes).expect("read").verify(&root).expect("verified");
        each_bent(&bytes, |at, bent| {
            let Ok(seen) = Response::read(bent).and_then(|r| r.verify(&root)) else {
                return;
            };
            // The responder's own certificate is signed, too, and nothing else may be free.
            assert_eq!(seen.responder.der, whole.responder.der, "byte {at}");
            assert_eq!(seen.status(&good, present()), Ok(Status::Good), "byte {at}");
            panic!("byte {at} is free");
        });
        for length in 0..bytes.len() {
            assert!(Response::read(&bytes[..length]).is_err(), "{length}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_refused(bytes: Vec<u8>) {
        proptest::prop_assert!(Response::read(&bytes).is_err());
        proptest::prop_assert!(Certificate::parse(&bytes).is_err());
    }
}
