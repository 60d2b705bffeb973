//! An expert of the hospital is asked, reads, signs and is judged.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{PIN, World, both};

const VISIT: &str = "/doctor/visits/con_1/consilia";

fn wish(key: &str, expert: &str) -> Value {
    json!({ "key": key, "expert_id": expert, "question": "血压控制不佳，是否需要联合用药？", "summary": "女，63岁，高血压10年" })
}

async fn invited(w: &World) -> String {
    let c = w.post("stf_wang", VISIT, wish("k1", "stf_zhao")).await;
    assert_eq!((&c["state"], &c["side"]), (&json!("invited"), &json!("inviter")));
    c["id"].as_str().unwrap().to_owned()
}

async fn act(w: &World, who: &str, id: &str, what: &str, body: Value) -> Value {
    w.post(who, &format!("/doctor/consilia/{id}/{what}"), body).await
}

async fn looks(w: &World, id: &str) -> Vec<(String, String)> {
    let id = id.to_owned();
    w.ctx
        .store
        .read(&store::Scope::system(w.tenant.clone()), move |tx| {
            let id = id.clone();
            Box::pin(async move {
                let sql = "SELECT actor, detail FROM base_audit WHERE tenant_id = 'hos_1' AND action = 'consilium.read' \
                           AND subject = $1 ORDER BY seq";
                tx.all::<(String, String)>(sql, &[&id]).await
            })
        })
        .await
        .map_err(|e: store::StoreError| e)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expert_accepts_reads_signs_the_opinion_and_the_inviter_reads_it_verified_and_judges() {
    both(|w| async move {
        w.enrol().await;
        w.enrolled("stf_zhao").await;
        w.diagnose().await;
        let experts = w.get("stf_wang", "/doctor/experts?q=赵").await;
        assert_eq!(
            (&experts[0]["id"], experts.as_array().unwrap().len()),
            (&json!("stf_zhao"), 1)
        );
        let id = invited(&w).await;
        // The answer was lost: the same request again adds nothing.
        assert_eq!(invited(&w).await, id);
        let again = w.refused("stf_wang", Method::POST, VISIT, wish("k2", "stf_zhao")).await;
        assert_eq!(again, (409, "already_invited".into()));
        assert_eq!(w.get("stf_zhao", "/doctor/consilia/count").await["waiting"], 1);

        // The invitation shows the question and a masked name, nothing of the visit.
        let path = format!("/doctor/consilia/{id}");
        let seen = w.get("stf_zhao", &path).await;
        assert_eq!(
            (&seen["patient_name_masked"], &seen["visit_id"], &seen["readable"]),
            (&json!("陈*兰"), &Value::Null, &json!(false))
        );
        assert_eq!(seen["allowed"], json!(["accept", "decline"]));
        let materials = format!("{path}/materials");
        let early = w.refused("stf_zhao", Method::GET, &materials, Value::Null).await;
        assert_eq!(early, (409, "consilium_closed".into()));
        assert_eq!(act(&w, "stf_zhao", &id, "accept", Value::Null).await["state"], "open");
        let m = w.get("stf_zhao", &materials).await;
        assert_eq!(
            (
                &m["patient_name"],
                &m["statement"]["allergies"],
                &m["record"]["version"]
            ),
            (&json!("陈桂兰"), &json!("青霉素过敏"), &json!(1))
        );
        assert_eq!(
            looks(&w, &id).await,
            [("stf_zhao".to_owned(), r#"{"what":"materials"}"#.to_owned())]
        );
        // Nobody else reads it, the inviter has the visit itself.
        for stranger in ["stf_wang", "stf_li", "stf_admin", "acc_1"] {
            let refused = w.refused(stranger, Method::GET, &materials, Value::Null).await;
            assert!([401, 403, 404].contains(&refused.0), "{stranger} {refused:?}");
        }

        let opinion = json!({ "opinion": "建议加用小剂量利尿剂，两周后复查电解质。", "pin": PIN });
        let wrong = json!({ "opinion": "建议加用小剂量利尿剂，两周后复查电解质。", "pin": "111333" });
        let refused = w
            .refused("stf_zhao", Method::POST, &format!("{path}/opinion"), wrong)
            .await;
        assert_eq!(refused.0, 422);
        let others = w
            .refused("stf_wang", Method::POST, &format!("{path}/opinion"), opinion.clone())
            .await;
        assert_eq!(others, (409, "consilium_state".into()));
        // Each answer of the signature server gets lost once: entered again, it is the same signature.
        w.appliance.lost.store(3, Ordering::SeqCst);
        let lost = w
            .refused("stf_zhao", Method::POST, &format!("{path}/opinion"), opinion.clone())
            .await;
        assert_eq!(lost, (504, "signature_unknown".into()));
        let made = w.appliance.signed.load(Ordering::SeqCst);
        let done = act(&w, "stf_zhao", &id, "opinion", opinion.clone()).await;
        assert_eq!(
            (&done["state"], &done["readable"]),
            (&json!("concluded"), &json!(false))
        );
        assert_eq!(w.appliance.signed.load(Ordering::SeqCst), made);
        let twice = w
            .refused("stf_zhao", Method::POST, &format!("{path}/opinion"), opinion)
            .await;
        assert_eq!(twice, (409, "consilium_state".into()));
        let late = w.refused("stf_zhao", Method::GET, &materials, Value::Null).await;
        assert_eq!(late, (409, "consilium_closed".into()));
        assert_eq!(looks(&w, &id).await.len(), 1, "a look that was refused saw nothing");

        let read = w.get("stf_wang", &path).await;
        let o = &read["opinion"];
        assert_eq!(
            (
                &o["text"],
                &o["record_version"],
                &o["signature"]["valid"],
                &o["signature"]["name"]
            ),
            (
                &json!("建议加用小剂量利尿剂，两周后复查电解质。"),
                &json!(1),
                &json!(true),
                &json!("赵敏")
            )
        );
        let judge = json!({ "score": 5, "comment": "意见明确" });
        let refused = w
            .refused("stf_zhao", Method::POST, &format!("{path}/evaluate"), judge.clone())
            .await;
        assert_eq!(refused.0, 409);
        let none = w
            .refused(
                "stf_wang",
                Method::POST,
                &format!("{path}/evaluate"),
                json!({ "score": 6 }),
            )
            .await;
        assert_eq!(none.0, 422);
        let judged = act(&w, "stf_wang", &id, "evaluate", judge).await;
        assert_eq!(
            (
                &judged["state"],
                &judged["judgement"]["score"],
                &judged["judgement"]["comment"]
            ),
            (&json!("evaluated"), &json!(5), &json!("意见明确"))
        );
        let words: Vec<_> = judged["trail"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["command"].clone())
            .collect();
        assert_eq!(words, ["invite", "accept", "sign", "evaluate"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opinion_whose_bytes_were_changed_is_shown_as_not_valid() {
    both(|w| async move {
        w.enrol().await;
        w.enrolled("stf_zhao").await;
        let id = invited(&w).await;
        act(&w, "stf_zhao", &id, "accept", Value::Null).await;
        // A server that signs something else: nothing is kept.
        w.appliance.crooked.store(true, Ordering::SeqCst);
        let body = json!({ "opinion": "同意目前方案", "pin": PIN });
        let refused = w
            .refused(
                "stf_zhao",
                Method::POST,
                &format!("/doctor/consilia/{id}/opinion"),
                body.clone(),
            )
            .await;
        assert_eq!(refused, (502, "signature_invalid".into()));
        assert_eq!(
            w.get("stf_zhao", &format!("/doctor/consilia/{id}")).await["state"],
            "open"
        );
        w.appliance.crooked.store(false, Ordering::SeqCst);
        act(&w, "stf_zhao", &id, "opinion", body).await;
        w.forge("consilium").await;
        let read = w.get("stf_wang", &format!("/doctor/consilia/{id}")).await;
        assert_eq!(read["opinion"]["signature"]["valid"], false, "{read}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_a_withdrawn_and_a_forgotten_invitation_close_the_access() {
    both(|w| async move {
        let id = invited(&w).await;
        let unsaid = w
            .refused(
                "stf_zhao",
                Method::POST,
                &format!("/doctor/consilia/{id}/decline"),
                json!({ "reason": "" }),
            )
            .await;
        assert_eq!(unsaid.0, 422);
        let declined = act(&w, "stf_zhao", &id, "decline", json!({ "reason": "不属于本专业" })).await;
        assert_eq!(
            (&declined["state"], &declined["allowed"]),
            (&json!("declined"), &json!([]))
        );
        assert_eq!(
            w.get("stf_wang", &format!("/doctor/consilia/{id}")).await["reason"],
            "不属于本专业"
        );

        // Asked anew, accepted, and taken back: the expert reads no more.
        w.clock.advance(Duration::from_secs(1));
        let c = w.post("stf_wang", VISIT, wish("k2", "stf_zhao")).await;
        let id = c["id"].as_str().unwrap().to_owned();
        act(&w, "stf_zhao", &id, "accept", Value::Null).await;
        let materials = format!("/doctor/consilia/{id}/materials");
        w.get("stf_zhao", &materials).await;
        act(&w, "stf_wang", &id, "withdraw", json!({ "reason": "患者已住院" })).await;
        let closed = w.refused("stf_zhao", Method::GET, &materials, Value::Null).await;
        assert_eq!(closed, (409, "consilium_closed".into()));

        w.clock.advance(Duration::from_secs(1));
        let c = w.post("stf_wang", VISIT, wish("k3", "stf_zhao")).await;
        let id = c["id"].as_str().unwrap().to_owned();
        act(&w, "stf_zhao", &id, "accept", Value::Null).await;
        w.clock.advance(Duration::from_secs(7 * 24 * 3600));
        let over = w
            .refused(
                "stf_zhao",
                Method::GET,
                &format!("/doctor/consilia/{id}/materials"),
                Value::Null,
            )
            .await;
        assert_eq!(over, (409, "consilium_closed".into()), "also before the round comes");
        for _ in 0..2 {
            treatment::tick(&w.ctx).await;
        }
        assert_eq!(
            w.get("stf_wang", &format!("/doctor/consilia/{id}")).await["state"],
            "lapsed"
        );
        assert_eq!(w.get("stf_zhao", "/doctor/consilia/count").await["waiting"], 0);
        let all = w.get("stf_wang", VISIT).await;
        let states: Vec<_> = all.as_array().unwrap().iter().map(|c| c["state"].clone()).collect();
        assert_eq!(states, ["lapsed", "withdrawn", "declined"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_doctor_of_the_visit_invites_and_only_a_doctor_of_the_hospital_is_asked() {
    both(|w| async move {
        for stranger in ["stf_zhao", "stf_li", "acc_1"] {
            let refused = w.refused(stranger, Method::POST, VISIT, wish("k", "stf_wang")).await;
            assert!([401, 403, 404].contains(&refused.0), "{stranger} {refused:?}");
        }
        for nobody in ["stf_wang", "stf_li", "stf_none", ""] {
            let refused = w.refused("stf_wang", Method::POST, VISIT, wish("k", nobody)).await;
            assert_eq!(refused.0, 422, "{nobody}");
        }
        let mut mute = wish("k", "stf_zhao");
        mute["question"] = json!("  ");
        assert_eq!(w.refused("stf_wang", Method::POST, VISIT, mute).await.0, 422);
        let id = invited(&w).await;
        for stranger in ["stf_li", "stf_admin", "acc_1"] {
            let path = format!("/doctor/consilia/{id}");
            let refused = w.refused(stranger, Method::GET, &path, Value::Null).await;
            assert!([401, 403, 404].contains(&refused.0), "{stranger} {refused:?}");
        }
        let (status, _) = w
            .call("stf_zhao", Method::GET, "/doctor/consilia/csl_none", Value::Null)
            .await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    })
    .await;
}
