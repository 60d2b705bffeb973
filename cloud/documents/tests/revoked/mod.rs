//! Whether the certificate of a seal was revoked, as anybody who compares a file is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::Method;
use documents::{FontFiles, Press};
use gm::evidence::{Reason, Revoked};
use records::Clock;
use serde_json::{Value, json};

use crate::world::{World, both};

async fn compared(w: &World, code: &str, pdf: &[u8]) -> Value {
    let path = format!("/verify/{code}/document");
    let (status, answer) = w.raw("nobody", Method::POST, &path, pdf.to_vec()).await;
    assert!(status.is_success(), "{status}");
    serde_json::from_slice(&answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_compares_a_file_is_told_whether_the_seal_was_revoked_and_by_what_that_is_known() {
    both(|mut w| async move {
        let (id, _) = w.paid(json!({ "kind": "pickup" })).await;
        let press = Arc::new(Press::load(&FontFiles::default()).unwrap());
        documents::tick(&w.ctx, &press).await;
        let rx = w.get("acc_1", &format!("/prescriptions/{id}")).await;
        let code = rx["verify_code"].as_str().unwrap().to_owned();
        let path = format!("/prescriptions/{id}/pdf");
        let (_, pdf) = w.raw("acc_1", Method::GET, &path, vec![]).await;

        // An appliance of before that tells no lists.
        let seen = compared(&w, &code, &pdf).await;
        assert_eq!((&seen["valid"], &seen["file_seal"]), (&json!(true), &json!("valid")));
        assert_eq!(seen["file_seal_revocation"]["state"], "unproven", "{seen}");
        let words = seen["file_seal_revocation"]["text"].as_str().unwrap();
        assert!(words.contains("未能核对"), "{words}");

        *w.appliance.lists.lock().unwrap() = Some(None);
        let seen = compared(&w, &code, &pdf).await;
        assert_eq!(seen["file_seal_revocation"]["state"], "good", "{seen}");
        let words = seen["file_seal_revocation"]["text"].as_str().unwrap();
        assert!(words.contains(&w.clock.now().local_text()), "{words}");

        // It was right when it was set, whatever becomes of the certificate later...
        let revoke = |reason| {
            let at = w.clock.now().offset();
            *w.appliance.lists.lock().unwrap() = Some(Some(Revoked { at, reason }));
            w.clock.advance(Duration::from_secs(3600));
        };
        w.clock.advance(Duration::from_secs(3600));
        revoke(Reason::Superseded);
        let seen = compared(&w, &code, &pdf).await;
        assert_eq!(seen["file_seal_revocation"]["state"], "good", "{seen}");

        // ...unless others may have had the key.
        let since = w.clock.now().local_text();
        revoke(Reason::KeyCompromise);
        for away in [false, true] {
            // What came once is known as well when the appliance is away.
            w.appliance.away.store(away, Ordering::SeqCst);
            w.clock.advance(Duration::from_secs(3600));
            let seen = compared(&w, &code, &pdf).await;
            assert_eq!(
                (&seen["valid"], &seen["file_is_issued"], &seen["file_seal"]),
                (&json!(false), &json!(true), &json!("broken")),
                "{seen}"
            );
            assert_eq!(seen["file_seal_revocation"]["state"], "revoked");
            for words in [&seen["reason"], &seen["file_seal_reason"]] {
                let words = words.as_str().unwrap();
                assert!(words.contains(&since) && words.contains("吊销"), "{words}");
            }
        }
    })
    .await;
}
