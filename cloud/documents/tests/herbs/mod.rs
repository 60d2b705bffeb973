//! Herbs priced finer than a fen, decoction, and the dictionaries they come from.

use std::sync::atomic::Ordering;

use axum::http::{Method, StatusCode};
use records::{Outcome, PrintJob};
use serde_json::{Value, json};

use crate::world::{PIN, World, both};

fn herbal(decoction: bool) -> Value {
    json!({ "kind": "herbal", "items": [{ "drug_code": "HQ", "dose_g": 15, "note": "" }],
        "herbal": { "doses": 7, "decoction": decoction, "usage": "水煎服" } })
}

const PATH: &str = "/doctor/visits/con_1/prescriptions";

/// 105 g at 3.65 fen are 383.25 fen; 7 doses are decocted for 3 yuan each.
#[tokio::test(flavor = "multi_thread")]
async fn decoction_is_signed_submitted_and_printed_as_a_line_of_its_own() {
    both(|mut w| async move {
        w.enrol().await;
        w.diagnose().await;
        assert_eq!(w.get("stf_wang", "/doctor/decoction").await["offered"], false);
        let (_, none) = w.call("stf_wang", Method::POST, PATH, herbal(true)).await;
        assert_eq!(none["message"], "本院未开通代煎，请改为自煎");
        w.decocts(300).await;
        let rx = w.post("stf_wang", PATH, herbal(true)).await;
        assert_eq!(
            (
                &rx["items"][0]["amount_fen"],
                &rx["items"][0]["price_fen_per_kg"],
                &rx["herbal"]["decoction_fee_fen"]
            ),
            (&json!(383), &json!(3650), &json!(2100))
        );
        assert_eq!(rx["total_fen"], 2483);
        let id = rx["id"].as_str().unwrap().to_owned();
        let sign = format!("/doctor/prescriptions/{id}/sign");
        // A fee that changes between writing and signing is seen before the signature.
        w.decocts(400).await;
        let changed = w.refused("stf_wang", Method::POST, &sign, json!({ "pin": PIN })).await;
        assert_eq!(changed, (409, "prices_changed".into()));
        w.decocts(300).await;
        w.post("stf_wang", &sign, json!({ "pin": PIN })).await;
        let approve = format!("/pharmacist/prescriptions/{id}/approve");
        w.post("stf_li", &approve, json!({ "pin": PIN })).await;
        let submit = w.command("prescription.submit").await;
        assert_eq!(
            (&submit.request["herbal_decoction"], &submit.request["total_fen"]),
            (&json!(true), &json!(2483))
        );
        w.answer(&submit, Outcome::Done(json!({ "his_prescription_number": "R1" })))
            .await;
        let review = w.command("prescription.review.push").await;
        w.answer(&review, Outcome::Done(json!({ "bill_id": "MZ1", "total_fen": 2483 })))
            .await;
        assert_eq!(w.get("stf_admin", "/admin/prescriptions/by-hand").await, json!([]));
        let confirm = w.pays(&id, json!({ "kind": "pickup" })).await;
        let receipt = json!({ "his_order_number": "B1", "receipt_number": "S1", "collect_at": "2号窗口" });
        w.answer(&confirm, Outcome::Done(receipt)).await;
        let orders = w.orders().await;
        let job: PrintJob = serde_json::from_value(orders[0].1.clone()).unwrap();
        let lines: Vec<_> = job
            .slip
            .items
            .iter()
            .map(|i| (i.name.as_str(), i.amount_fen.unwrap().0))
            .collect();
        assert_eq!(lines, [("黄芪", 383), ("代煎费", 2100)]);
    })
    .await;
}

/// The HIS's bill stands; both sums are told, and a person at the hospital is asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_bill_that_differs_from_the_signed_sum_is_told_to_both() {
    both(|mut w| async move {
        let id = w.signed().await;
        let approve = format!("/pharmacist/prescriptions/{id}/approve");
        w.post("stf_li", &approve, json!({ "pin": PIN })).await;
        let submit = w.command("prescription.submit").await;
        w.answer(&submit, Outcome::Done(json!({ "his_prescription_number": "R1" })))
            .await;
        let review = w.command("prescription.review.push").await;
        w.answer(&review, Outcome::Done(json!({ "bill_id": "MZ1", "total_fen": 3300 })))
            .await;
        let rx = w.get("acc_1", &format!("/prescriptions/{id}")).await;
        assert_eq!((&rx["written_fen"], &rx["total_fen"]), (&json!(3250), &json!(3300)));
        let note = rx["trail"].as_array().unwrap().last().unwrap()["note"]
            .as_str()
            .unwrap();
        assert_eq!(note, "应付 33.00 元（开方时 32.50 元，以医院账单为准）");
        let listed = w.get("stf_admin", "/admin/prescriptions/by-hand").await;
        let words = listed[0]["needs_hand"].as_str().unwrap();
        assert!(
            words.contains("医院账单 33.00 元与医师签名的处方 32.50 元不一致"),
            "{words}"
        );
        assert_eq!(listed[0]["allowed"], json!(["settle"]));
        let settle = format!("/admin/prescriptions/{id}/by-hand/settle");
        w.post("stf_admin", &settle, json!({ "note": "价目已更新" })).await;
        assert_eq!(w.get("stf_admin", "/admin/prescriptions/by-hand").await, json!([]));
        // The patient pays what the HIS bills.
        let confirm = w.pays(&id, json!({ "kind": "pickup" })).await;
        assert_eq!(confirm.request["amount_fen"], 3300);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dictionaries_that_are_not_here_yet_are_asked_for_and_said_to_be_on_their_way() {
    both(|w| async move {
        w.enrol().await;
        w.diagnose().await;
        w.forget_dictionaries().await;
        w.appliance.away.store(true, Ordering::SeqCst);
        let (status, answer) = w.call("stf_wang", Method::POST, PATH, World::draft()).await;
        assert_eq!(
            (
                status,
                answer["code"].as_str().unwrap(),
                answer["message"].as_str().unwrap()
            ),
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "catalogue_pending",
                "正在从医院获取药品、用法和诊断目录，请稍后再试"
            )
        );
        w.appliance.away.store(false, Ordering::SeqCst);
        w.post("stf_wang", PATH, World::draft()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diagnosis_has_the_name_of_the_dictionary_and_a_code_outside_it_is_refused() {
    both(|w| async move {
        let path = "/doctor/visits/con_1/record";
        let record = |code: &str| json!({ "chief_complaint": "头晕", "diagnoses": [{ "code": code, "name": "感冒" }] });
        let (status, view) = w.call("stf_wang", Method::PUT, path, record("I10.x00")).await;
        assert_eq!(status, StatusCode::OK, "{view}");
        assert_eq!(view["diagnoses"][0]["name"], "高血压病", "not what the browser sent");
        let (status, answer) = w.call("stf_wang", Method::PUT, path, record("J00.x00")).await;
        assert_eq!(
            (status, &answer["field"], answer["message"].as_str().unwrap()),
            (
                StatusCode::UNPROCESSABLE_ENTITY,
                &json!("diagnoses[0].code"),
                "诊断编码 J00.x00 不在本院诊断目录中，请从目录中选择"
            )
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_digits_are_a_pin_and_what_is_none_is_said_before_the_signature_server_is_asked() {
    let w = World::new(false).await;
    let image = format!("data:image/png;base64,{}", crate::world::drawn());
    for (pin, words) in [
        ("739", "签名密码应为4到12位数字"),
        ("1234", "签名密码过于简单（如1111、1234），请换一个"),
        ("1111", "签名密码过于简单（如1111、1234），请换一个"),
    ] {
        let body = json!({ "image": image, "pin": pin });
        let (_, answer) = w.call("stf_wang", Method::POST, "/doctor/signature", body).await;
        assert_eq!(
            (&answer["field"], answer["message"].as_str().unwrap()),
            (&json!("pin"), words)
        );
    }
    let body = json!({ "image": image, "pin": "7392" });
    assert_eq!(w.post("stf_wang", "/doctor/signature", body).await["enrolled"], true);
    w.diagnose().await;
    let rx = w.post("stf_wang", PATH, World::draft()).await;
    let sign = format!("/doctor/prescriptions/{}/sign", rx["id"].as_str().unwrap());
    let (status, answer) = w.call("stf_wang", Method::POST, &sign, json!({ "pin": "" })).await;
    assert_eq!((status.as_u16(), &answer["field"]), (422, &json!("pin")));
    assert_eq!(w.appliance.asked.load(Ordering::SeqCst), 0, "an empty PIN is no try");
    w.post("stf_wang", &sign, json!({ "pin": "7392" })).await;
}
