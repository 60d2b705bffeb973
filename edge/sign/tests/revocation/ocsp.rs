//! OCSP.

use std::sync::atomic::{AtomicBool, Ordering};

use bench_ca::Kind;
use serde_json::json;

use crate::ca::Ca;
use crate::works::Works;

/// Good, revoked, unknown to nobody's harm; wrong on every line, dead: by the hard rule and by the soft one.
///
/// Rows: AP-241, AP-255
#[tokio::test(flavor = "multi_thread")]
async fn responders_are_asked_and_every_misbehaviour_is_refused_or_forgiven_by_the_rule() {
    for kind in [Kind::Sm2, Kind::Rsa] {
        let mut ca = Ca::new(kind);
        let works = Works::new(&[&ca]).await;
        works.rule("ocsp", true).await;
        let good = ca.person("good");
        let seen = works.accepts(&good).await;
        assert_eq!(
            (&seen[0]["state"], &seen[0]["by"]),
            (&json!("good"), &json!("ocsp")),
            "{seen}"
        );
        assert_eq!(seen[0]["source"], "responder", "a delegated one");
        let revoked = ca.person("revoked");
        ca.revoke(&revoked, "keyCompromise");
        assert_eq!(works.refuses(&revoked).await, "certificate_revoked");

        let faults = [
            "wrong_nonce",
            "no_nonce",
            "unauthorised",
            "wrong_signature",
            "stale",
            "future",
            "refuse",
            "garbage",
            "error",
            "huge",
        ];
        for (number, fault) in faults.iter().enumerate() {
            // One that nobody asked about before: no answer is kept.
            let fresh = ca.person(&format!("p{number}"));
            ca.fault("ocsp", fault, json!({"times": 100}));
            let (code, text) = works.judge(&fresh.certificate).await.refused();
            assert_eq!(code, "revocation_unreachable", "{fault}: {text}");
            assert!(text.contains("/ocsp"), "{fault}: who did not answer is said: {text}");
            works.rule("ocsp", false).await;
            let seen = works.accepts(&fresh).await;
            assert_eq!(seen[0]["state"], "unproven", "{fault}: {seen}");
            works.rule("ocsp", true).await;
            ca.behave();
            works.accepts(&fresh).await;
        }
        slow(&ca, &works).await;

        // Dead: what was answered is known until a newer answer is due, the rest is not.
        let never = ca.person("never");
        ca.die();
        works.accepts(&good).await;
        assert_eq!(works.refuses(&revoked).await, "certificate_revoked");
        assert_eq!(works.refuses(&never).await, "revocation_unreachable");
        works.rule("ocsp", false).await;
        assert_eq!(works.accepts(&never).await[0]["state"], "unproven");
        assert_eq!(
            works.refuses(&revoked).await,
            "certificate_revoked",
            "soft is not blind"
        );
    }
}

/// A responder that answers in an hour: refused at the deadline, and nobody else waits so long.
async fn slow(ca: &Ca, works: &Works) {
    ca.fault("ocsp", "delay", json!({"ms": 3_600_000, "times": 100}));
    // Signatures made while the question was open. On a busy machine there may be none before the deadline; and a responder
    // that was slow is left alone for some seconds, when nothing is open.
    let mut meanwhile = 0;
    for number in 0..60 {
        let card = ca.person(&format!("slow{number}"));
        let open = AtomicBool::new(true);
        let (judged, ()) = tokio::join!(
            async {
                let judged = works.judge(&card.certificate).await;
                open.store(false, Ordering::SeqCst);
                judged
            },
            async {
                while open.load(Ordering::SeqCst) {
                    works.ask("/v1/data/sign", json!({"data": "AAAA"})).await.done();
                    meanwhile += u32::from(open.load(Ordering::SeqCst));
                }
            }
        );
        assert_eq!(judged.refused().0, "revocation_unreachable");
        if meanwhile > 0 {
            return;
        }
    }
    panic!("nobody was signed for while a responder was asked");
}

/// Not knowing a certificate of its own authority is no accident of a responder: the soft rule refuses as well.
#[tokio::test(flavor = "multi_thread")]
async fn who_the_responder_does_not_know_is_refused_by_every_rule() {
    let ca = Ca::new(Kind::Sm2);
    let works = Works::new(&[&ca]).await;
    let stranger = ca.off_the_books("stranger");
    for must_be_known in [true, false] {
        works.rule("ocsp", must_be_known).await;
        works.accepts(&ca.person(&format!("known-{must_be_known}"))).await;
        let (code, text) = works.judge(&stranger.certificate).await.refused();
        assert_eq!(code, "revocation_unreachable", "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_stands_first_and_the_chains_responder_before_the_certificates() {
    let ca = Ca::new(Kind::P256);
    let works = Works::new(&[&ca]).await;
    works.rule("crl-or-ocsp", true).await;
    let stranger = Ca::new(Kind::P256).person("somebody");
    assert_eq!(works.refuses(&stranger).await, "chain_unknown");
    let card = ca.person("card");
    // The list stands first; nobody needs to be asked.
    ca.fault("ocsp", "error", json!({}));
    assert_eq!(works.accepts(&card).await[0]["by"], "crl");
    // The chain's responder instead of the certificate's.
    works.rule("ocsp", true).await;
    works.chain(json!({"responder": "http://127.0.0.1:9/ocsp"})).await;
    assert_eq!(works.refuses(&ca.person("other")).await, "revocation_unreachable");
}
