//! Medical affairs review what the doctor signed.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{PIN, World, both};

const RECORD: &str = "/doctor/visits/con_1/record";

async fn saved(w: &World, advice: &str, based_on: u32) -> Value {
    let wish = json!({ "chief_complaint": "头晕3天", "diagnoses": [{ "code": "I10.x00" }], "advice": advice,
        "based_on": based_on });
    let (status, view) = w.call("stf_wang", Method::PUT, RECORD, wish).await;
    assert_eq!(status, StatusCode::OK, "{view}");
    view
}

async fn signed(w: &World, version: u32) -> Value {
    let body = json!({ "pin": PIN, "version": version });
    w.post("stf_wang", &format!("{RECORD}/sign"), body).await
}

async fn queue(w: &World, state: &str) -> Vec<u64> {
    let listed = w.get("stf_sun", &format!("/record-reviews?state={state}")).await;
    let rows = listed["items"].as_array().unwrap().iter();
    rows.map(|r| r["version"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_record_is_returned_with_a_reason_written_anew_signed_again_and_approved() {
    both(|w| async move {
        w.enrol().await;
        saved(&w, "低盐饮食", 0).await;
        assert!(
            queue(&w, "in_review").await.is_empty(),
            "what is not signed is not reviewed"
        );
        assert_eq!(signed(&w, 1).await["review"]["state"], "in_review");
        w.finish_visit().await;
        assert_eq!(w.get("stf_wang", RECORD).await["editable"], false);
        assert_eq!(queue(&w, "in_review").await, [1]);
        let case = w.get("stf_sun", "/record-reviews/con_1/1").await;
        assert_eq!(
            (
                &case["patient_name"],
                &case["record"]["advice"],
                &case["signature"]["valid"]
            ),
            (&json!("陈桂兰"), &json!("低盐饮食"), &json!(true))
        );
        assert_eq!(case["allowed"], json!(["approve", "return"]));

        let unsaid = json!({ "reason": " " });
        let refused = w
            .refused("stf_sun", Method::POST, "/record-reviews/con_1/1/return", unsaid)
            .await;
        assert_eq!(refused.0, 422);
        let reason = json!({ "reason": "现病史未描述，请补充" });
        let case = w
            .post("stf_sun", "/record-reviews/con_1/1/return", reason.clone())
            .await;
        assert_eq!((&case["state"], &case["allowed"]), (&json!("returned"), &json!([])));
        let refused = w
            .refused("stf_sun", Method::POST, "/record-reviews/con_1/1/approve", Value::Null)
            .await;
        assert_eq!(refused, (409, "record_review_state".into()));

        // The doctor is told why, and may write although the visit is over; the patient reads what was signed.
        let returned = w.get("stf_wang", "/doctor/records/returned").await;
        assert_eq!(
            (&returned[0]["visit_id"], &returned[0]["reason"]),
            (&json!("con_1"), &json!("现病史未描述，请补充"))
        );
        let mine = w.get("stf_wang", RECORD).await;
        assert_eq!(
            (&mine["editable"], &mine["review"]["reason"]),
            (&json!(true), &reason["reason"])
        );
        saved(&w, "低盐饮食，监测血压", 1).await;
        let read = w.get("acc_1", "/visits/con_1/record").await;
        assert_eq!(
            (&read["version"], &read["advice"], &read["review"]),
            (&json!(1), &json!("低盐饮食"), &Value::Null)
        );
        let mine = signed(&w, 2).await;
        assert_eq!(
            (&mine["review"]["state"], &mine["editable"]),
            (&json!("in_review"), &json!(false))
        );
        assert_eq!(
            (queue(&w, "in_review").await, queue(&w, "superseded").await),
            (vec![2], vec![1])
        );
        assert_eq!(w.get("stf_wang", "/doctor/records/returned").await, json!([]));

        let case = w.post("stf_sun", "/record-reviews/con_1/2/approve", Value::Null).await;
        assert_eq!(
            (&case["state"], &case["others"][0]["reason"]),
            (&json!("approved"), &reason["reason"])
        );
        assert_eq!(w.get("acc_1", "/visits/con_1/record").await["version"], 2);
        let over = w
            .refused(
                "stf_wang",
                Method::PUT,
                RECORD,
                json!({ "chief_complaint": "改", "based_on": 2 }),
            )
            .await;
        assert_eq!(over, (409, "visit_finished".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reviews_their_own_record_and_only_reviewers_see_the_queue() {
    both(|w| async move {
        w.enrol().await;
        saved(&w, "低盐饮食", 0).await;
        signed(&w, 1).await;
        for stranger in ["stf_zhao", "stf_li", "stf_admin", "acc_1"] {
            for path in ["/record-reviews", "/record-reviews/con_1/1"] {
                let refused = w.refused(stranger, Method::GET, path, Value::Null).await;
                assert!([401, 403].contains(&refused.0), "{stranger} {path} {refused:?}");
            }
        }
        // The doctor joins medical affairs: still not for their own.
        w.roles("stf_wang", "doctor,medical_affairs").await;
        let case = w.get("stf_wang", "/record-reviews/con_1/1").await;
        assert_eq!((&case["own"], &case["allowed"]), (&json!(true), &json!([])));
        for act in ["approve", "return"] {
            let path = format!("/record-reviews/con_1/1/{act}");
            let refused = w
                .refused("stf_wang", Method::POST, &path, json!({ "reason": "自己退回" }))
                .await;
            assert_eq!(refused, (409, "record_review_state".into()), "{act}");
        }
        assert_eq!(queue(&w, "in_review").await, [1]);
        let refused = w
            .refused("stf_sun", Method::GET, "/record-reviews/con_1/7", Value::Null)
            .await;
        assert_eq!(refused.0, 404);
    })
    .await;
}
