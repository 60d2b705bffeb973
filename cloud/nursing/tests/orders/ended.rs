//! A visit under way whose nurse cannot use her phone: ended for her, or handed over.

use axum::http::StatusCode;
use base::Role;
use records::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use ward::Browser;

use super::super::TABLES;
use super::{at_work, does, recorder_in};

async fn enters(desk: &Browser, order: &str, act: Value) -> (StatusCode, Value) {
    desk.post(&format!("/admin/nursing/orders/{order}/acts"), act).await
}

fn batch(name: &str, sent: Timestamp, at: &[Timestamp]) -> Value {
    let place = |at: &Timestamp| json!({ "at": at, "latitude": 26.42, "longitude": 111.61, "accuracy_m": 12.5 });
    json!({ "batch": name, "sent_at": sent, "positions": at.iter().map(place).collect::<Vec<_>>() })
}

/// The desk ends it by the nurse's word, once, within its time; who entered it stands in the history and the audit. Her record
/// stays due and is written when she can; what her phone still holds of the way is taken as far as the visit went.
#[test]
fn the_desk_ends_a_visit_for_its_nurse_and_her_record_stays_due() {
    ward::on_both(nursing::routes, TABLES, |site| async move {
        let (desk, nurse, nurse_id, id) = at_work(&site).await;
        recorder_in(&site, &desk).await;
        does(&nurse, &id, json!({ "act": "accept" })).await;
        nurse.post(&format!("/nurse/orders/{id}/recorder"), json!({})).await;
        let end = |at: Timestamp| json!({ "act": "end", "reason": "护士手机没电", "ended_at": at });
        let (status, early) = enters(&desk, &id, end(site.ctx.now())).await;
        assert_eq!(
            (status, early["code"].as_str()),
            (StatusCode::CONFLICT, Some("order_state"))
        );
        does(&nurse, &id, json!({ "act": "start" })).await;
        let started = site.ctx.now();
        site.clock.advance(Duration::from_secs(1500));
        let now = site.ctx.now();
        for wrong in [now.plus(Duration::from_secs(1)), started.minus(Duration::from_secs(60))] {
            let (status, refused) = enters(&desk, &id, end(wrong)).await;
            assert_eq!(
                (status, refused["field"].as_str()),
                (StatusCode::UNPROCESSABLE_ENTITY, Some("ended_at"))
            );
        }
        let silent = json!({ "act": "end", "reason": " ", "ended_at": now });
        let (status, refused) = enters(&desk, &id, silent).await;
        assert_eq!(
            (status, refused["field"].as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, Some("reason"))
        );
        assert_eq!(
            enters(&nurse, &id, end(now)).await.0,
            StatusCode::FORBIDDEN,
            "the desk's act"
        );

        let ended = started.plus(Duration::from_secs(1200));
        let (status, done) = enters(&desk, &id, end(ended)).await;
        assert_eq!((status, &done["state"]), (StatusCode::OK, &json!("finished")), "{done}");
        assert_eq!(
            (&done["finished_at"], &done["record_due"]),
            (&json!(ended), &json!(true))
        );
        assert_eq!(enters(&desk, &id, end(ended)).await.0, StatusCode::CONFLICT, "once");
        let (_, shown) = desk.get(&format!("/admin/nursing/orders/{id}")).await;
        let last = shown["trail"].as_array().unwrap().last().unwrap();
        assert_eq!(last["step"], "end");
        let note = last["note"].as_str().unwrap();
        assert!(
            note.starts_with("护理台代录") && note.contains("护士手机没电"),
            "{note}"
        );
        let part = &shown["parts"][0];
        assert_eq!(
            (&part["recorder"], &part["recorder_returned"], &part["entered_by"]),
            (&json!("ZFY0001"), &json!(false), &last["by"])
        );
        let (kept,): (String,) = site
            .look("SELECT detail FROM base_audit WHERE action = 'nursing.end'")
            .await;
        assert!(kept.contains(&nurse_id) && kept.contains("护士手机没电"), "{kept}");

        let total = async |group: &str| nurse.get(&format!("/nurse/orders?state={group}")).await.1["total"].as_u64();
        assert_eq!(
            (total("open").await, total("over").await),
            (Some(1), Some(0)),
            "it waits for her record"
        );
        let late = [ended.minus(Duration::from_secs(5)), ended.plus(Duration::from_secs(5))];
        let path = format!("/nurse/orders/{id}/track");
        assert_eq!(
            nurse.post(&path, batch("b1", now, &late)).await.0,
            StatusCode::NO_CONTENT
        );
        let (_, track) = desk.get(&format!("/admin/nursing/orders/{id}/track")).await;
        assert_eq!(track["positions"].as_array().unwrap().len(), 1, "{track}");
        for text in ["伤口清洁，已换药", "又一次"] {
            let (status, written) = does(&nurse, &id, json!({ "act": "finish", "record": text })).await;
            assert_eq!((status, &written["record_due"]), (StatusCode::OK, &json!(false)));
        }
        let (_, shown) = nurse.get(&format!("/nurse/orders/{id}")).await;
        assert_eq!(
            (&shown["record"], &shown["finished_at"]),
            (&json!("伤口清洁，已换药"), &json!(ended))
        );
        assert_eq!(shown["trail"].as_array().unwrap().last().unwrap()["step"], "record");
        assert_eq!((total("open").await, total("over").await), (Some(0), Some(1)));
        let (_, figures) = nurse.get("/nurse/summary?from=2026-11-24&to=2026-11-24").await;
        assert_eq!(
            (&figures["minutes"], &figures["counts"]),
            (&json!(20), &json!({ "finished": 1 }))
        );
    });
}

/// Another nurse goes on: she accepts and begins anew. What the first did stays hers: her time and her way.
#[test]
fn the_desk_hands_a_visit_under_way_over_to_another_nurse() {
    ward::on_both(nursing::routes, TABLES, |site| async move {
        let (desk, first, first_id, id) = at_work(&site).await;
        let other_id = site.hire("nurse2", &[Role::Nurse]).await.into_string();
        let other = site.sign_in("nurse2").await;
        does(&first, &id, json!({ "act": "accept" })).await;
        does(&first, &id, json!({ "act": "start", "without_recorder": "测试不使用" })).await;
        let started = site.ctx.now();
        site.clock.advance(Duration::from_secs(900));
        let stopped = started.plus(Duration::from_secs(600));
        let over =
            |nurse: &str| json!({ "act": "hand_over", "nurse": nurse, "reason": "护士突发不适", "ended_at": stopped });
        for nobody in [first_id.as_str(), "stf_0", ""] {
            let (status, refused) = enters(&desk, &id, over(nobody)).await;
            assert_eq!(
                (status, refused["field"].as_str()),
                (StatusCode::UNPROCESSABLE_ENTITY, Some("nurse"))
            );
        }
        let (status, handed) = enters(&desk, &id, over(&other_id)).await;
        assert_eq!(
            (status, &handed["state"], &handed["nurse_id"], &handed["started_at"]),
            (StatusCode::OK, &json!("assigned"), &json!(other_id), &Value::Null),
            "{handed}"
        );
        assert_eq!(first.get(&format!("/nurse/orders/{id}")).await.0, StatusCode::NOT_FOUND);
        let now = site.ctx.now();
        let way = [started.plus(Duration::from_secs(60)), now];
        let path = format!("/nurse/orders/{id}/track");
        assert_eq!(
            first.post(&path, batch("b1", now, &way)).await.0,
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            other.post(&path, batch("b2", now, &way)).await.0,
            StatusCode::CONFLICT,
            "she has not begun"
        );
        does(&other, &id, json!({ "act": "accept" })).await;
        does(&other, &id, json!({ "act": "start", "without_recorder": "测试不使用" })).await;
        site.clock.advance(Duration::from_secs(300));
        let (status, done) = does(&other, &id, json!({ "act": "finish", "record": "接手完成换药" })).await;
        assert_eq!((status, &done["record_due"]), (StatusCode::OK, &json!(false)), "{done}");
        let (_, shown) = desk.get(&format!("/admin/nursing/orders/{id}")).await;
        let part = &shown["parts"][0];
        assert_eq!(
            (&part["started_at"], &part["ended_at"], &part["handed_to"]),
            (&json!(started), &json!(stopped), &shown["nurse_name"])
        );
        let steps: Vec<&str> = shown["trail"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["step"].as_str().unwrap())
            .collect();
        assert_eq!(
            steps,
            ["assign", "accept", "start", "hand_over", "accept", "start", "finish"]
        );
        let (_, track) = desk.get(&format!("/admin/nursing/orders/{id}/track")).await;
        assert_eq!(track["positions"].as_array().unwrap().len(), 1, "{track}");
        let minutes = async |nurse: &Browser| {
            nurse.get("/nurse/summary?from=2026-11-24&to=2026-11-24").await.1["minutes"].clone()
        };
        assert_eq!((minutes(&first).await, minutes(&other).await), (json!(10), json!(5)));
    });
}
