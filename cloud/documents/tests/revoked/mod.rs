//! Whether the certificates of a seal and of people's signatures were revoked, as anybody who looks is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::Method;
use documents::{FontFiles, Press};
use gm::evidence::{Reason, Revoked};
use records::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::world::{PIN, World, both};

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
        w.clock.advance(Duration::from_secs(61));
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
        let words = seen["file_seal_revocation"]["text"].as_str().unwrap();
        assert!(words.contains("仍然有效"), "{words}");

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

/// The signature of a role, as anybody with the code sees it.
fn of_role(seen: &Value, role: &str) -> Value {
    let all = seen["signatures"].as_array().unwrap();
    all.iter().find(|one| one["role"] == role).unwrap().clone()
}

fn words(signature: &Value) -> String {
    signature["revocation"]["text"].as_str().unwrap_or_default().to_owned()
}

/// A prescription that the doctor signed and the pharmacist approved; its code.
async fn approved(w: &World) -> String {
    let id = w.signed().await;
    let path = format!("/pharmacist/prescriptions/{id}/approve");
    w.post("stf_li", &path, json!({ "pin": PIN })).await;
    let rx = w.get("acc_1", &format!("/prescriptions/{id}")).await;
    rx["verify_code"].as_str().unwrap().to_owned()
}

/// Looks again, after what was told before is no longer fresh.
async fn looked(w: &World, code: &str) -> Value {
    w.clock.advance(Duration::from_secs(3600));
    w.get("nobody", &format!("/verify/{code}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_signature_says_whether_its_certificate_was_revoked_before_or_after_it_was_made() {
    both(|w| async move {
        let made = w.clock.now();
        let code = approved(&w).await;
        let states =
            |seen: &Value| ["doctor", "pharmacist"].map(|role| of_role(seen, role)["revocation"]["state"].clone());

        // No lists, too old ones, new ones.
        let seen = w.get("nobody", &format!("/verify/{code}")).await;
        assert_eq!(
            (&seen["valid"], states(&seen)),
            (&json!(true), ["unproven", "unproven"].map(Value::from))
        );
        assert!(
            words(&of_role(&seen, "pharmacist")).starts_with("没有可用的吊销列表"),
            "{seen}"
        );
        *w.appliance.lists.lock().unwrap() = Some(None);
        *w.appliance.aged.lock().unwrap() = Duration::from_secs(5 * 86_400);
        let seen = looked(&w, &code).await;
        assert_eq!(
            (&seen["valid"], states(&seen)),
            (&json!(true), ["unproven", "unproven"].map(Value::from))
        );
        assert!(words(&of_role(&seen, "doctor")).starts_with("吊销列表已过期"), "{seen}");
        *w.appliance.aged.lock().unwrap() = Duration::ZERO;
        let seen = looked(&w, &code).await;
        assert_eq!(states(&seen), ["good", "good"].map(Value::from), "{seen}");
        for (role, whose) in [("doctor", "医师证书"), ("pharmacist", "药师证书")] {
            let signature = of_role(&seen, role);
            assert!(words(&signature).contains(whose), "{signature}");
            let stamped = Timestamp::parse(signature["stamped_at"].as_str().unwrap()).unwrap();
            assert_eq!(stamped, made, "{signature}");
        }

        // Revoked afterwards, the key still the doctor's own: the time stamp proves that it was signed before.
        let revoke = |who: &str, reason, at: Timestamp| {
            let (serial, at) = (w.appliance.serial_of(who), at.offset());
            w.appliance
                .revoked
                .lock()
                .unwrap()
                .insert(serial, Revoked { at, reason });
        };
        let later = w.clock.now();
        revoke("stf_wang", Reason::CessationOfOperation, later);
        let seen = looked(&w, &code).await;
        let doctor = of_role(&seen, "doctor");
        assert_eq!(
            (&seen["valid"], states(&seen)),
            (&json!(true), ["good", "good"].map(Value::from))
        );
        let said = words(&doctor);
        assert!(
            said.contains(&later.local_text()) && said.contains("时间戳证明") && said.contains("仍然有效"),
            "{said}"
        );

        // The pharmacist's key may have been another's, whenever it signed.
        revoke("stf_li", Reason::KeyCompromise, later);
        let seen = looked(&w, &code).await;
        assert_eq!(
            (&seen["valid"], states(&seen)),
            (&json!(false), ["good", "revoked"].map(Value::from))
        );
        let reason = seen["reason"].as_str().unwrap();
        assert!(
            reason.starts_with("药师签名未通过验证：药师证书已于") && reason.contains("他人掌握"),
            "{reason}"
        );
        assert_eq!(of_role(&seen, "pharmacist")["valid"], false);

        // The doctor's was no longer one when it signed.
        revoke(
            "stf_wang",
            Reason::CessationOfOperation,
            made.minus(Duration::from_secs(60)),
        );
        let seen = looked(&w, &code).await;
        assert_eq!(states(&seen), ["revoked", "revoked"].map(Value::from), "{seen}");
        let reason = seen["reason"].as_str().unwrap();
        assert!(
            reason.starts_with("医师签名未通过验证：医师证书已于") && reason.contains("早于签名时间"),
            "{reason}"
        );
    })
    .await;
}

/// Signatures of before have no time stamp, and an outside server's doctors are in that authority's list.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_time_stamp_a_later_revocation_is_told_as_unproven_and_the_provinces_list_counts_for_its_doctors() {
    both(|w| async move {
        w.appliance.unstamped.store(true, Ordering::SeqCst);
        w.appliance.at_province.store(true, Ordering::SeqCst);
        w.enrolled("stf_wang").await;
        w.appliance.at_province.store(false, Ordering::SeqCst);
        *w.appliance.lists.lock().unwrap() = Some(None);
        crate::roots::add(&w, &w.appliance.province).await;
        let code = approved(&w).await;
        let seen = looked(&w, &code).await;
        let doctor = of_role(&seen, "doctor");
        assert_eq!((&doctor["valid"], &doctor["stamped_at"]), (&json!(true), &Value::Null));
        assert_eq!(doctor["revocation"]["state"], "good", "{seen}");
        let serial = w.appliance.serial_of("stf_wang");
        let at = w.clock.now().offset();
        let reason = Reason::Superseded;
        w.appliance
            .revoked
            .lock()
            .unwrap()
            .insert(serial, Revoked { at, reason });
        let seen = looked(&w, &code).await;
        let doctor = of_role(&seen, "doctor");
        assert_eq!(
            (&seen["valid"], &doctor["revocation"]["state"]),
            (&json!(true), &json!("unproven")),
            "{seen}"
        );
        assert!(words(&doctor).contains("没有时间戳证明"), "{doctor}");
        assert_eq!(of_role(&seen, "pharmacist")["revocation"]["state"], "good", "{seen}");
    })
    .await;
}
