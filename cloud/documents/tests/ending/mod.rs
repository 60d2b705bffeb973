//! The end of service: everything with one PIN, and what becomes of it when something fails midway.

use std::sync::atomic::Ordering;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{PIN, World, both};

const PATH: &str = "/doctor/visits/con_1/end-of-service";

async fn list(w: &World) -> Value {
    w.get("stf_wang", PATH).await
}

/// The list as the page sends it back.
fn seen(list: &Value) -> Value {
    let papers = list["documents"].as_array().unwrap().iter();
    let left = papers.filter(|d| d["signed"] == false);
    left.map(|d| json!({ "kind": d["kind"], "id": d["id"], "edition": d["edition"] }))
        .collect()
}

async fn end(w: &World, pin: &str, seen: &Value) -> (StatusCode, Value) {
    let body = json!({ "pin": pin, "seen": seen });
    w.call("stf_wang", Method::POST, PATH, body).await
}

async fn prescribed(w: &World) -> String {
    let rx = w
        .post("stf_wang", "/doctor/visits/con_1/prescriptions", World::draft())
        .await;
    rx["id"].as_str().unwrap().to_owned()
}

async fn visit_state(w: &World) -> bool {
    list(w).await["finished"] == true
}

fn kinds(list: &Value, signed: bool) -> Vec<&str> {
    let papers = list["documents"].as_array().unwrap().iter();
    papers
        .filter(|d| d["signed"] == signed)
        .map(|d| d["kind"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pin_signs_record_and_prescriptions_submits_them_and_ends_the_visit() {
    both(|w| async move {
        w.enrol().await;
        w.diagnose().await;
        let (first, second) = (prescribed(&w).await, prescribed(&w).await);
        let before = list(&w).await;
        assert_eq!(
            (&before["finished"], &before["unsigned"], &before["missing"]),
            (&json!(false), &json!(3), &json!([]))
        );
        assert_eq!(kinds(&before, false), ["record", "prescription", "prescription"]);
        // Nobody else ends it, and nobody else sees the list.
        for stranger in ["stf_zhao", "stf_li", "acc_1"] {
            let refused = w.refused(stranger, Method::GET, PATH, Value::Null).await;
            assert!([401, 403, 404].contains(&refused.0), "{stranger} {refused:?}");
        }
        let (status, after) = end(&w, PIN, &seen(&before)).await;
        assert_eq!(status, StatusCode::OK, "{after}");
        assert_eq!((&after["finished"], &after["unsigned"]), (&json!(true), &json!(0)));
        // Each went where its own signature would have taken it.
        for id in [&first, &second] {
            assert_eq!(w.state(id).await, "in_review");
        }
        let record = w.get("stf_wang", "/doctor/visits/con_1/record").await;
        assert_eq!(
            (&record["signed"], &record["review"]["state"], &record["editable"]),
            (&json!(true), &json!("in_review"), &json!(false))
        );
        assert_eq!(w.appliance.signed.load(Ordering::SeqCst), 3);
        // The answer was lost and the page asks again: nothing is signed twice, nothing moves.
        let (status, again) = end(&w, PIN, &seen(&before)).await;
        assert_eq!((status, &again), (StatusCode::OK, &after));
        assert_eq!(w.appliance.signed.load(Ordering::SeqCst), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_midway_leaves_each_document_as_the_list_says_and_the_visit_goes_on() {
    both(|w| async move {
        w.enrol().await;
        w.diagnose().await;
        let id = prescribed(&w).await;
        let before = list(&w).await;
        // A wrong PIN costs one try, not one for each document.
        let (status, answer) = end(&w, "111333", &seen(&before)).await;
        assert_eq!(
            (status, &answer["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("pin"))
        );
        assert!(
            answer["message"].as_str().unwrap().contains("尚未签署任何文书"),
            "{answer}"
        );
        assert_eq!(w.appliance.asked.load(Ordering::SeqCst), 1);
        assert_eq!(list(&w).await, before);
        // The answer to the prescription's signature is lost on each way back: the record is signed, the visit goes on.
        let record = w
            .post("stf_wang", "/doctor/visits/con_1/record/sign", json!({ "pin": PIN }))
            .await;
        assert_eq!(record["signed"], true);
        w.appliance.lost.store(3, Ordering::SeqCst);
        let (status, answer) = end(&w, PIN, &seen(&before)).await;
        assert_eq!(
            (status, &answer["code"]),
            (StatusCode::GATEWAY_TIMEOUT, &json!("signature_unknown"))
        );
        let midway = list(&w).await;
        assert_eq!(midway["finished"], false);
        assert_eq!(
            (kinds(&midway, true), kinds(&midway, false)),
            (vec!["record"], vec!["prescription"])
        );
        assert_eq!(w.state(&id).await, "draft");
        // The same request once more signs what is left, with the signature that was made.
        let (status, after) = end(&w, PIN, &seen(&before)).await;
        assert_eq!(status, StatusCode::OK, "{after}");
        assert_eq!(after["finished"], true);
        assert_eq!(w.state(&id).await, "in_review");
        assert_eq!(w.appliance.signed.load(Ordering::SeqCst), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_of_three_fails_and_the_words_say_how_far_it_went() {
    both(|w| async move {
        w.enrol().await;
        w.diagnose().await;
        let (_, taken) = (prescribed(&w).await, prescribed(&w).await);
        let before = list(&w).await;
        w.appliance.fails_from(2);
        let (status, answer) = end(&w, PIN, &seen(&before)).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
        let words = answer["message"].as_str().unwrap();
        assert!(words.contains("西药处方") && words.contains("已签署1份"), "{words}");
        let midway = list(&w).await;
        assert_eq!(
            (
                &midway["finished"],
                kinds(&midway, true).len(),
                kinds(&midway, false).len()
            ),
            (&json!(false), 1, 2)
        );
        // The appliance is back; meanwhile one draft was thrown away.
        w.appliance.fails_from(u32::MAX);
        let (status, _) = w
            .call(
                "stf_wang",
                Method::DELETE,
                &format!("/doctor/prescriptions/{taken}"),
                Value::Null,
            )
            .await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let (status, after) = end(&w, PIN, &seen(&before)).await;
        assert_eq!((status, &after["finished"]), (StatusCode::OK, &json!(true)), "{after}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_that_the_list_did_not_show_and_no_visit_ends_without_a_record_unsaid() {
    both(|w| async move {
        w.enrol().await;
        let empty = list(&w).await;
        assert_eq!(empty["missing"][0]["code"], "no_record");
        let refused = w.refused("stf_wang", Method::POST, PATH, json!({})).await;
        assert_eq!(refused, (409, "no_record".into()));
        w.diagnose().await;
        let id = prescribed(&w).await;
        let before = list(&w).await;
        // Saved once more in another window, after the list was shown.
        let (status, _) = w
            .call(
                "stf_wang",
                Method::PUT,
                &format!("/doctor/prescriptions/{id}"),
                World::draft(),
            )
            .await;
        assert_eq!(status, StatusCode::OK);
        let refused = w
            .refused(
                "stf_wang",
                Method::POST,
                PATH,
                json!({ "pin": PIN, "seen": seen(&before) }),
            )
            .await;
        assert_eq!(refused, (409, "papers_changed".into()));
        assert_eq!(w.appliance.asked.load(Ordering::SeqCst), 0);
        let pinless = w
            .refused("stf_wang", Method::POST, PATH, json!({ "seen": seen(&list(&w).await) }))
            .await;
        assert_eq!(pinless, (422, "invalid".into()));
        assert!(!visit_state(&w).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_without_a_record_ends_with_a_reason_and_one_the_patient_ended_can_still_be_signed() {
    both(|w| async move {
        let without = json!({ "without_record": "患者未回应" });
        let after = w.post("stf_wang", PATH, without).await;
        assert_eq!((&after["finished"], &after["documents"]), (&json!(true), &json!([])));
    })
    .await;
    both(|w| async move {
        w.enrol().await;
        w.diagnose().await;
        w.finish_visit().await;
        let left = list(&w).await;
        assert_eq!((&left["finished"], &left["unsigned"]), (&json!(true), &json!(1)));
        let (status, after) = end(&w, PIN, &seen(&left)).await;
        assert_eq!((status, &after["unsigned"]), (StatusCode::OK, &json!(0)), "{after}");
    })
    .await;
}
