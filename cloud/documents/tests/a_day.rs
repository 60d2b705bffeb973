//! Days of a prescription, each on SQLite and on PostgreSQL.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed"
)]

mod by_hand;
mod consilium;
mod ending;
mod herbs;
mod orders;
mod record;
mod record_review;
mod revoked;
mod roots;
mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use documents::{FontFiles, Press};
use records::line::{PrintOutcome, kind};
use records::{Outcome, PrintJob};
use serde_json::{Value, json};
use world::{PIN, World, both};

fn words(rx: &Value) -> Vec<&str> {
    rx["trail"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["state"].as_str().unwrap())
        .collect()
}

/// Rows: AP-062, AP-079, AP-081, BJ-059, BJ-060, BJ-086, BJ-122, FT-027, FT-033, FT-038, FT-040, FT-058, FT-085, FT-086, FT-123
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_goes_from_the_desk_to_the_window_and_anybody_can_verify_it() {
    both(|mut w| async move {
        let (id, confirm) = w.paid(json!({ "kind": "pickup" })).await;
        assert_eq!(confirm.request["bill_ids"], json!(["MZ1"]));
        assert_eq!(confirm.request["amount_fen"], 3250);
        let receipt = json!({ "his_order_number": "B1", "receipt_number": "S1", "collect_at": "1号窗口" });
        w.answer(&confirm, Outcome::Done(receipt.clone())).await;
        // The same result comes again after a reconnect.
        w.answer(&confirm, Outcome::Done(receipt)).await;
        let orders = w.orders().await;
        assert_eq!(orders.len(), 1, "{orders:?}");
        assert_eq!(orders[0].0, kind::PRINT_JOB);
        let job: PrintJob = serde_json::from_value(orders[0].1.clone()).unwrap();
        let rx = w.get("acc_1", &format!("/prescriptions/{id}")).await;
        assert_eq!(job.slip.qr.as_deref(), rx["pickup_code"].as_str());
        assert!(job.slip.fields.contains(&("患者".into(), "陈桂兰".into())));
        w.printed(&job, PrintOutcome::Printed).await;
        let path = format!("/pharmacist/prescriptions/{id}/hand-over");
        let wrong = w
            .refused("stf_li", Method::POST, &path, json!({ "pickup_code": "00000000" }))
            .await;
        assert_eq!(wrong, (422, "invalid".into()));
        w.post("stf_li", &path, json!({ "pickup_code": rx["pickup_code"] }))
            .await;

        let press = Arc::new(Press::load(&FontFiles::default()).unwrap());
        documents::tick(&w.ctx, &press).await;
        documents::tick(&w.ctx, &press).await;
        let rx = w.get("acc_1", &format!("/prescriptions/{id}")).await;
        assert_eq!(
            words(&rx),
            [
                "draft",
                "signed",
                "in_review",
                "approved",
                "sent_to_his",
                "awaiting_payment",
                "paid",
                "dispensing",
                "ready",
                "collected"
            ]
        );
        let (status, pdf) = w
            .raw("acc_1", Method::GET, &format!("/prescriptions/{id}/pdf"), vec![])
            .await;
        assert_eq!(status, StatusCode::OK);
        let (status, _) = w
            .raw("acc_2", Method::GET, &format!("/prescriptions/{id}/pdf"), vec![])
            .await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        let file = w.folder.path().join("rx.pdf");
        std::fs::write(&file, &pdf).unwrap();
        let seen = std::process::Command::new("pdfsig")
            .arg("-nocert")
            .arg(&file)
            .output()
            .unwrap();
        let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
        assert!(seen.contains("Signature is Valid."), "{seen}");
        assert!(seen.contains("ETSI.CAdES.detached"), "{seen}");

        let code = rx["verify_code"].as_str().unwrap();
        let public = w.get("nobody", &format!("/verify/{code}")).await;
        assert_eq!(public["valid"], true, "{public}");
        assert_eq!(public["document"]["patient_name_masked"], "陈*兰");
        assert_eq!(public["document"]["items"][0]["name"], "苯磺酸氨氯地平片");
        let roles: Vec<_> = public["signatures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| &s["role"])
            .collect();
        assert_eq!(roles, ["doctor", "pharmacist"]);
        let upload = format!("/verify/{code}/document");
        let check = |bytes: Vec<u8>| {
            let (w, upload) = (&w, upload.clone());
            async move {
                let (_, answer) = w.raw("nobody", Method::POST, &upload, bytes).await;
                serde_json::from_slice::<Value>(&answer).unwrap()
            }
        };
        let same = check(pdf.clone()).await;
        assert_eq!(
            (&same["valid"], &same["file_is_issued"], &same["file_seal"]),
            (&json!(true), &json!(true), &json!("valid"))
        );
        let stamped = same["file_stamped_at"].as_str().unwrap_or_default();
        assert!(stamped.starts_with("20"), "the time of the seal is proven: {same}");
        let mut forged = pdf.clone();
        let middle = forged.len() / 2;
        forged[middle] ^= 1;
        let other = check(forged).await;
        assert_eq!(
            (&other["valid"], &other["file_is_issued"], &other["file_seal"]),
            (&json!(false), &json!(false), &json!("broken"))
        );
        assert!(other["file_seal_reason"].is_string(), "{other}");
        let none = check(b"%PDF-1.7 nothing".to_vec()).await;
        assert_eq!(none["file_seal"], "absent");
    })
    .await;
}

/// Rows: FT-087, FT-088, FT-111, FT-120, FT-121
#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_prescription_is_appealed_rejected_again_and_revised() {
    both(|mut w| async move {
        let id = w.signed().await;
        let case = w.get("stf_li", &format!("/pharmacist/prescriptions/{id}")).await;
        assert_eq!(case["patient"]["name"], "陈桂兰");
        assert_eq!(case["allergies"], "青霉素过敏");
        assert_eq!(case["hints"], json!([]));
        let reject = format!("/pharmacist/prescriptions/{id}/reject");
        let none = w
            .refused(
                "stf_li",
                Method::POST,
                &reject,
                json!({ "reasons": [], "comment": "", "pin": PIN }),
            )
            .await;
        assert_eq!(none.0, 422);
        let body = json!({ "reasons": ["dose", "duplicate"], "comment": "请核对剂量", "pin": PIN });
        let rx = w.post("stf_li", &reject, body.clone()).await;
        assert_eq!(
            (&rx["state"], &rx["rejections"][0]["reasons"]),
            (&json!("rejected"), &json!(["dose", "duplicate"]))
        );
        let appeal = format!("/doctor/prescriptions/{id}/appeal");
        w.post("stf_wang", &appeal, json!({ "reason": "血压控制不佳，剂量合理" }))
            .await;
        w.post("stf_li", &reject, body).await;
        assert_eq!(w.orders().await, []);
        let new = w
            .post("stf_wang", &format!("/doctor/prescriptions/{id}/revise"), Value::Null)
            .await;
        assert_eq!(
            (&new["state"], &new["revision"], &new["revises"]),
            (&json!("draft"), &json!(2), &json!(id))
        );
        assert_eq!(w.state(&id).await, "revised");
        let sign = format!("/doctor/prescriptions/{}/sign", new["id"].as_str().unwrap());
        assert_eq!(
            w.post("stf_wang", &sign, json!({ "pin": PIN })).await["state"],
            "in_review"
        );
        // A rejected prescription carries a signature too, and the public page says that it does not hold.
        let refused = w
            .refused("nobody", Method::GET, "/verify/2222222222222222", Value::Null)
            .await;
        assert_eq!(refused.0, 404);
    })
    .await;
}

/// Rows: BJ-119
#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_prescribed_is_refused_with_its_line_and_nothing_is_kept() {
    both(|w| async move {
        let path = "/doctor/visits/con_1/prescriptions";
        let (status, answer) = w.call("stf_wang", Method::POST, path, World::draft()).await;
        assert_eq!(
            (status, answer["message"].as_str().unwrap()),
            (StatusCode::UNPROCESSABLE_ENTITY, "请先在病历中填写诊断，再开处方")
        );
        w.diagnose().await;
        let mut draft = World::draft();
        draft["items"][0]["drug_code"] = json!("MOR");
        let (_, answer) = w.call("stf_wang", Method::POST, path, draft).await;
        assert_eq!(
            (&answer["field"], &answer["message"]),
            (&json!("items[0]"), &json!("第1项 吗啡片：麻醉药品不能在线开具"))
        );
        let foreign = w.refused("stf_zhao", Method::POST, path, World::draft()).await;
        assert_eq!(foreign.0, 404, "another doctor's visit is not there");
        assert_eq!(w.refused("stf_li", Method::POST, path, World::draft()).await.0, 403);
        w.finish_visit().await;
        assert_eq!(
            w.refused("stf_wang", Method::POST, path, World::draft()).await,
            (409, "visit_finished".into())
        );
        let record = json!({ "chief_complaint": "改" });
        let frozen = w
            .refused("stf_wang", Method::PUT, "/doctor/visits/con_1/record", record)
            .await;
        assert_eq!(frozen, (409, "visit_finished".into()));
        assert_eq!(w.get("stf_wang", path).await, json!([]));
    })
    .await;
}

/// Rows: AP-060, AP-080, FT-032, FT-084, FT-092, FT-095
#[tokio::test(flavor = "multi_thread")]
async fn the_record_is_kept_in_versions_signed_and_read_by_the_patient() {
    both(|w| async move {
        let empty = w.get("stf_wang", "/doctor/visits/con_1/record").await;
        assert_eq!(
            (&empty["version"], &empty["chief_complaint"]),
            (&json!(0), &json!("头晕3天"))
        );
        let early = w
            .refused("acc_1", Method::GET, "/visits/con_1/record", Value::Null)
            .await;
        assert_eq!(early.1, "no_record");
        w.enrol().await;
        w.diagnose().await;
        w.diagnose().await;
        let view = w
            .post("stf_wang", "/doctor/visits/con_1/record/sign", json!({ "pin": PIN }))
            .await;
        assert_eq!((&view["version"], &view["signed"]), (&json!(1), &json!(true)));
        let read = w.get("acc_1", "/visits/con_1/record").await;
        assert_eq!(
            (&read["diagnoses"][0]["code"], &read["editable"]),
            (&json!("I10.x00"), &json!(false))
        );
        assert_eq!(
            w.refused("acc_2", Method::GET, "/visits/con_1/record", Value::Null)
                .await
                .0,
            404
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_of_the_signature_server_is_settled_by_the_same_key_and_nothing_is_signed_twice() {
    both(|w| async move {
        w.enrol().await;
        w.diagnose().await;
        let rx = w
            .post("stf_wang", "/doctor/visits/con_1/prescriptions", World::draft())
            .await;
        let sign = format!("/doctor/prescriptions/{}/sign", rx["id"].as_str().unwrap());
        let wrong = w
            .refused("stf_wang", Method::POST, &sign, json!({ "pin": "000000" }))
            .await;
        assert_eq!(wrong, (422, "pin_wrong".into()));
        w.appliance.lost.store(3, Ordering::SeqCst);
        let unknown = w.refused("stf_wang", Method::POST, &sign, json!({ "pin": PIN })).await;
        assert_eq!(unknown, (504, "signature_unknown".into()));
        assert_eq!(w.state(rx["id"].as_str().unwrap()).await, "draft");
        assert_eq!(
            w.post("stf_wang", &sign, json!({ "pin": PIN })).await["state"],
            "in_review"
        );
        assert_eq!(w.appliance.signed.load(Ordering::SeqCst), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_over_other_bytes_does_not_count_and_an_absent_hospital_is_named() {
    both(|w| async move {
        w.enrol().await;
        w.diagnose().await;
        let rx = w
            .post("stf_wang", "/doctor/visits/con_1/prescriptions", World::draft())
            .await;
        let sign = format!("/doctor/prescriptions/{}/sign", rx["id"].as_str().unwrap());
        w.appliance.crooked.store(true, Ordering::SeqCst);
        let crooked = w.refused("stf_wang", Method::POST, &sign, json!({ "pin": PIN })).await;
        assert_eq!(crooked, (502, "signature_invalid".into()));
        w.appliance.crooked.store(false, Ordering::SeqCst);
        w.appliance.away.store(true, Ordering::SeqCst);
        let away = w.refused("stf_wang", Method::POST, &sign, json!({ "pin": PIN })).await;
        assert_eq!(away, (503, "hospital_offline".into()));
        w.appliance.away.store(false, Ordering::SeqCst);
        assert_eq!(
            w.post("stf_wang", &sign, json!({ "pin": PIN })).await["state"],
            "in_review"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_his_refuses_and_the_money_goes_back() {
    both(|mut w| async move {
        let (id, confirm) = w.paid(json!({ "kind": "pickup" })).await;
        w.answer(&confirm, Outcome::refused("his_-1", "账单已作废")).await;
        assert_eq!(w.state(&id).await, "revoked");
        let revoke = w.command("prescription.revoke").await;
        w.answer(&revoke, Outcome::Done(json!({}))).await;
        w.cashier.tick().await.unwrap();
        assert_eq!(*w.channel.returned.lock().unwrap(), [records::Fen(3250)]);
        // The HIS never had the payment: nothing is written back.
        assert_eq!(w.orders().await, []);
        let rx = w.get("acc_1", &format!("/prescriptions/{id}")).await;
        assert_eq!(rx["payment"]["state"], "reversed");
        let code = rx["verify_code"].as_str().unwrap();
        let public = w.get("nobody", &format!("/verify/{code}")).await;
        assert_eq!(
            (&public["valid"], &public["reason"]),
            (&json!(false), &json!("处方已撤销"))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prescription_the_his_will_not_take_comes_back_to_the_doctor() {
    both(|mut w| async move {
        let id = w.signed().await;
        w.post(
            "stf_li",
            &format!("/pharmacist/prescriptions/{id}/approve"),
            json!({ "pin": PIN }),
        )
        .await;
        let submit = w.command("prescription.submit").await;
        assert_eq!(submit.request["diagnoses"][0]["code"], "I10.x00");
        w.answer(&submit, Outcome::refused("his_2", "药品已停用")).await;
        let rx = w.get("stf_wang", &format!("/doctor/prescriptions/{id}")).await;
        assert_eq!(
            (&rx["state"], &rx["rejections"][0]["comment"]),
            (&json!("rejected"), &json!("药品已停用"))
        );
        assert_eq!(rx["allowed"], json!(["revise", "appeal", "revoke"]));
    })
    .await;
}

/// Rows: FT-039, FT-041, BJ-076, AP-103
#[tokio::test(flavor = "multi_thread")]
async fn a_parcel_is_sent_followed_and_received() {
    both(|mut w| async move {
        let address = json!({ "name": "陈桂兰", "phone": "13800000000", "region": "湖南省永州市冷水滩区", "detail": "育才路1号" });
        let (id, confirm) = w.paid(json!({ "kind": "delivery", "address": address })).await;
        let receipt = json!({ "his_order_number": "B1", "receipt_number": "S1", "collect_at": "" });
        w.answer(&confirm, Outcome::Done(receipt)).await;
        let orders = w.orders().await;
        assert_eq!(orders[0].1["slip"]["title"], "配送拣药单");
        assert_eq!((&orders[1].1["method"], &orders[1].1["request"]["status"]), (&json!("delivery.push"), &json!("ordered")));
        assert_eq!(orders[1].1["request"]["receiver"], "陈桂兰");
        let ship = format!("/pharmacist/prescriptions/{id}/ship");
        w.post("stf_li", &ship, json!({ "courier": "顺丰", "waybill": "SF123" })).await;
        assert_eq!(w.command("delivery.push").await.request["waybill"], "SF123");
        let rx = w.get("acc_1", &format!("/prescriptions/{id}")).await;
        assert_eq!((&rx["state"], &rx["fulfilment"]["waybill"]), (&json!("shipped"), &json!("SF123")));
        w.post("acc_1", &format!("/prescriptions/{id}/collected"), Value::Null).await;
        assert_eq!(w.command("delivery.push").await.request["status"], "delivered");
        assert_eq!(w.state(&id).await, "collected");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_prescription_expires_only_after_the_channel_was_asked() {
    both(|mut w| async move {
        let id = w.billed().await;
        w.post(
            "acc_1",
            &format!("/prescriptions/{id}/fulfilment"),
            json!({ "kind": "pickup" }),
        )
        .await;
        w.post("acc_1", &format!("/prescriptions/{id}/pay"), Value::Null).await;
        w.clock.advance(Duration::from_secs(4 * 86_400));
        treatment::tick(&w.ctx).await;
        assert_eq!(w.state(&id).await, "awaiting_payment");
        w.cashier.tick().await.unwrap();
        assert_eq!(w.state(&id).await, "expired");
        assert_eq!(w.command("prescription.revoke").await.subject, id);
        treatment::tick(&w.ctx).await;
        assert_eq!(w.orders().await, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_paid_in_time_is_heard_when_the_last_day_ends() {
    both(|mut w| async move {
        let id = w.billed().await;
        w.post(
            "acc_1",
            &format!("/prescriptions/{id}/fulfilment"),
            json!({ "kind": "pickup" }),
        )
        .await;
        w.post("acc_1", &format!("/prescriptions/{id}/pay"), Value::Null).await;
        w.channel.pay_all(w.ctx.now());
        w.clock.advance(Duration::from_secs(4 * 86_400));
        treatment::tick(&w.ctx).await;
        w.cashier.tick().await.unwrap();
        assert_eq!(w.state(&id).await, "paid");
        w.command("bill.confirm_payment").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prescription_revoked_while_drugs_are_picked_is_refunded_and_written_back_before_the_his_drops_it() {
    both(|mut w| async move {
        let (id, confirm) = w.paid(json!({ "kind": "pickup" })).await;
        let early = format!("/doctor/prescriptions/{id}/revoke");
        let while_confirming = w
            .refused("stf_wang", Method::POST, &early, json!({ "reason": "开错" }))
            .await;
        assert_eq!(while_confirming, (409, "prescription_state".into()));
        let receipt = json!({ "his_order_number": "B1", "receipt_number": "S1", "collect_at": "1号窗口" });
        w.answer(&confirm, Outcome::Done(receipt)).await;
        w.orders().await;
        w.post("stf_wang", &early, json!({ "reason": "患者不适，停药" })).await;
        assert_eq!(w.orders().await, [], "first the money");
        w.cashier.tick().await.unwrap();
        let back = w.command("bill.refund").await;
        assert_eq!(
            (&back.request["his_order_number"], &back.request["amount_fen"]),
            (&json!("B1"), &json!(3250))
        );
        w.answer(&back, Outcome::Done(json!({ "his_refund_number": "T1" })))
            .await;
        w.command("prescription.revoke").await;
        let rx = w.get("acc_1", &format!("/prescriptions/{id}")).await;
        assert_eq!(
            (&rx["state"], &rx["payment"]["state"]),
            (&json!("revoked"), &json!("reversed"))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pin_is_nowhere_in_the_database_and_no_name_of_a_patient_is_in_clear() {
    let mut w = World::new(false).await;
    w.paid(
        json!({ "kind": "delivery", "address": { "name": "陈桂兰", "phone": "13800000000", "region": "湖南省永州市",
        "detail": "育才路1号" } }),
    )
    .await;
    let mut read = 0;
    for entry in std::fs::read_dir(w.folder.path())
        .unwrap()
        .flatten()
        .filter(|e| e.path().is_file())
    {
        let bytes = std::fs::read(entry.path()).unwrap();
        read += bytes.len();
        for secret in [PIN, "陈桂兰", "13800000000", "育才路1号"] {
            // The commands for the HIS wait in the outbox in clear: they are what the hospital must get.
            let hits = bytes.windows(secret.len()).filter(|w| *w == secret.as_bytes()).count();
            assert_eq!(hits, 0, "{secret} in {}", entry.path().display());
        }
    }
    assert!(read > 100_000);
}
