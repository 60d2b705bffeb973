//! Orders of examinations and laboratory tests: chosen from the usual, all or found items, signed, told to the HIS, taken
//! back, and what each of them knows when nobody answers.

use std::sync::atomic::Ordering;

use axum::http::{Method, StatusCode};
use records::{HisCommand, HisCommandResult, Outcome};
use serde_json::{Value, json};

use crate::world::{PIN, World, both};

const PATH: &str = "/doctor/visits/con_1/orders";

fn exam() -> Value {
    json!({ "kind": "exam", "purpose": "腹胀1周", "items": [
        { "code": "US", "department_code": "U2", "note": "" }, { "code": "ECG", "department_code": "U3", "note": "加做" }] })
}

fn lab() -> Value {
    json!({ "kind": "lab", "items": [{ "code": "LIP", "department_code": "C1", "specimen_code": "S03", "note": "" }] })
}

/// The HIS's answer comes up the line, or nobody can find it out.
async fn told(w: &World, command: &HisCommand, outcome: Outcome<Value>) {
    let result = HisCommandResult {
        key: command.key.clone(),
        method: command.method.clone(),
        subject: command.subject.clone(),
        needs_hand: outcome == Outcome::Unknown,
        outcome,
        at: w.ctx.now(),
    };
    w.ctx
        .store
        .write(&store::Scope::new(w.tenant.clone(), records::Actor::His), move |tx| {
            let result = result.clone();
            Box::pin(async move { treatment::orders::on_command_result(tx, &result).await })
        })
        .await
        .unwrap()
        .expect("a result about an order");
}

async fn seen(w: &World, id: &str) -> Value {
    let list = w.get("stf_wang", PATH).await;
    let found = list.as_array().unwrap().iter().find(|o| o["id"] == id);
    found.cloned().unwrap_or_else(|| panic!("{id} is not in {list}"))
}

/// What the patient sees of it.
async fn shown(w: &World) -> Value {
    let list = w.get("acc_1", "/visits/con_1/orders").await;
    list[0].clone()
}

async fn draft(w: &World, body: Value) -> String {
    let made = w.post("stf_wang", PATH, body).await;
    assert_eq!(made["state"], "draft");
    made["id"].as_str().unwrap().to_owned()
}

/// A signed one and the command that left.
async fn signed(w: &mut World, body: Value) -> (String, HisCommand) {
    let method = format!("order.{}.submit", body["kind"].as_str().unwrap());
    let id = draft(w, body).await;
    w.post("stf_wang", &format!("/doctor/orders/{id}/sign"), json!({ "pin": PIN }))
        .await;
    let submit = w.command(&method).await;
    (id, submit)
}

fn receipt(number: &str, total: i64) -> Outcome<Value> {
    Outcome::Done(json!({ "his_order_number": number, "bill_id": "MZ9", "total_fen": total }))
}

fn codes(list: &Value) -> Vec<&str> {
    let items = list.as_array().unwrap().iter();
    items.map(|i| i["code"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_chosen_from_the_usual_ones_from_all_and_by_search() {
    both(|mut w| async move {
        w.enrol().await;
        w.diagnose().await;
        let list = |kind: &str, list: &str, q: &str| format!("/doctor/orderables?kind={kind}&list={list}&q={q}");
        assert_eq!(codes(&w.get("stf_wang", &list("exam", "all", "")).await), ["US", "ECG"]);
        assert_eq!(codes(&w.get("stf_wang", &list("exam", "all", "fb")).await), ["US"]);
        assert_eq!(codes(&w.get("stf_wang", &list("lab", "all", "xzsx")).await), ["LIP"]);
        assert_eq!(w.get("stf_wang", &list("exam", "usual", "")).await, json!([]));
        let (_, submit) = signed(&mut w, exam()).await;
        told(&w, &submit, receipt("J1", 11_500)).await;
        let star = "/doctor/orderables/lab/LIP/star";
        let (status, _) = w.call("stf_wang", Method::PUT, star, json!({ "starred": true })).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let unknown = w
            .refused(
                "stf_wang",
                Method::PUT,
                "/doctor/orderables/lab/X/star",
                json!({ "starred": true }),
            )
            .await;
        assert_eq!(unknown.0, 404);
        // What was ordered once is usual from now on; what is starred without being ordered as well. Each doctor has their own.
        let usual = w.get("stf_wang", &list("exam", "usual", "")).await;
        assert_eq!((codes(&usual).len(), &usual[0]["times"]), (2, &json!(1)));
        let starred = w.get("stf_wang", &list("lab", "usual", "")).await;
        assert_eq!((codes(&starred), &starred[0]["starred"]), (vec!["LIP"], &json!(true)));
        assert_eq!(w.get("stf_zhao", &list("lab", "usual", "")).await, json!([]));
        w.call("stf_wang", Method::PUT, star, json!({ "starred": false })).await;
        assert_eq!(w.get("stf_wang", &list("lab", "usual", "")).await, json!([]));
        assert_eq!(codes(&w.get("stf_wang", "/doctor/specimens").await), ["S02", "S03"]);
        assert_eq!(
            w.refused("acc_1", Method::GET, &list("lab", "all", ""), Value::Null)
                .await
                .0,
            403
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_examination_is_signed_told_to_the_his_and_stands_for_everybody_to_verify() {
    both(|mut w| async move {
        w.enrol().await;
        let path = "/doctor/visits/con_1/orders";
        let undiagnosed = w.refused("stf_wang", Method::POST, path, exam()).await;
        assert_eq!(undiagnosed, (422, "order_refused".into()));
        w.diagnose().await;
        let mut elsewhere = exam();
        elsewhere["items"][0]["department_code"] = json!("U3");
        let (_, answer) = w.call("stf_wang", Method::POST, path, elsewhere).await;
        assert_eq!(
            answer["message"],
            "第1项 腹部超声：请确认执行科室（超声医学科、体检中心）"
        );
        assert_eq!(answer["field"], "items[0]");
        assert_eq!(
            w.refused("stf_zhao", Method::POST, path, exam()).await.0,
            404,
            "not their visit"
        );

        let id = draft(&w, exam()).await;
        assert_eq!(
            w.get("acc_1", "/visits/con_1/orders").await,
            json!([]),
            "nothing is open yet"
        );
        let sign = format!("/doctor/orders/{id}/sign");
        let wrong = w
            .refused("stf_wang", Method::POST, &sign, json!({ "pin": "1357" }))
            .await;
        assert_eq!(wrong, (422, "pin_wrong".into()));
        assert_eq!(seen(&w, &id).await["state"], "draft");
        assert_eq!(w.orders().await, [], "nothing leaves for the hospital");
        assert_eq!(
            w.refused("stf_zhao", Method::POST, &sign, json!({ "pin": PIN }))
                .await
                .0,
            404
        );

        // The answer of the signature server gets lost, for longer than the page waits: the same PIN again goes on.
        w.appliance.lost.store(4, Ordering::SeqCst);
        let lost = w.refused("stf_wang", Method::POST, &sign, json!({ "pin": PIN })).await;
        assert_eq!(lost, (504, "signature_unknown".into()));
        let order = w.post("stf_wang", &sign, json!({ "pin": PIN })).await;
        assert_eq!(
            (&order["state"], &order["total_fen"]),
            (&json!("signed"), &json!(11_500))
        );
        assert_eq!(w.appliance.signed.load(Ordering::SeqCst), 1, "signed once");
        let again = w.refused("stf_wang", Method::POST, &sign, json!({ "pin": PIN })).await;
        assert_eq!(again, (409, "order_state".into()));

        let submit = w.command("order.exam.submit").await;
        assert_eq!(submit.request["items"][0]["department_code"], "U2");
        assert_eq!(submit.request["diagnoses"][0]["code"], "I10.x00");
        assert_eq!(submit.request["purpose"], "腹胀1周");
        assert!(shown(&w).await["next_step"].as_str().unwrap().contains("正在提交医院"));
        // The HIS's sum is what the patient is told; the same result comes again after a reconnect.
        for _ in 0..2 {
            told(&w, &submit, receipt("J1", 11_000)).await;
        }
        let open = shown(&w).await;
        assert_eq!((&open["state"], &open["total_fen"]), (&json!("open"), &json!(11_000)));
        assert_eq!(
            open["next_step"],
            "请到院在收费窗口或自助机缴费（110.00 元），凭就诊卡或身份证到体检中心、心电图室检查"
        );
        assert!(open["trail"].as_array().unwrap().is_empty() && open["words"].is_null());
        assert_eq!(
            w.refused("acc_2", Method::GET, "/visits/con_1/orders", Value::Null)
                .await
                .0,
            404
        );
        assert_eq!(w.orders().await, []);

        let code = open["verify_code"].as_str().unwrap().to_owned();
        let public = w.get("nobody", &format!("/verify/{code}")).await;
        assert_eq!(
            (&public["valid"], &public["document"]["kind"]),
            (&json!(true), &json!("exam_order")),
            "{public}"
        );
        assert_eq!(public["document"]["patient_name_masked"], "陈*兰");
        assert_eq!(public["document"]["items"][1]["name"], "心电图");
        assert_eq!(public["signatures"][0]["role"], "doctor");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_is_taken_back_with_a_reason_and_the_hospital_may_say_no() {
    both(|mut w| async move {
        w.enrol().await;
        w.diagnose().await;
        let (id, submit) = signed(&mut w, lab()).await;
        assert_eq!(submit.request["items"][0]["specimen_code"], "S03");
        told(&w, &submit, receipt("Y1", 6_800)).await;
        let revoke = format!("/doctor/orders/{id}/revoke");
        let silent = w
            .refused("stf_wang", Method::POST, &revoke, json!({ "reason": " " }))
            .await;
        assert_eq!(silent.0, 422);
        let reason = json!({ "reason": "近期已查" });
        w.post("stf_wang", &revoke, reason.clone()).await;
        let withdrawal = w.command("order.lab.revoke").await;
        assert_eq!(
            (&withdrawal.request["his_order_number"], &withdrawal.request["reason"]),
            (&json!("Y1"), &json!("近期已查"))
        );
        assert!(shown(&w).await["next_step"].as_str().unwrap().contains("请不要缴费"));
        told(
            &w,
            &withdrawal,
            Outcome::refused("his_2", "申请单已缴费，请先到收费处退费"),
        )
        .await;
        let kept = seen(&w, &id).await;
        assert_eq!(kept["state"], "open");
        assert_eq!(kept["words"], "医院不同意撤回：申请单已缴费，请先到收费处退费");

        // Once more, and this time nobody can find out; asked again under a key of its own.
        w.post("stf_wang", &revoke, reason).await;
        let second = w.command("order.lab.revoke").await;
        assert_ne!(second.key, withdrawal.key);
        told(&w, &second, Outcome::Unknown).await;
        let unknown = seen(&w, &id).await;
        assert_eq!(
            (&unknown["state"], &unknown["allowed"]),
            (&json!("revoke_unknown"), &json!(["retry"]))
        );
        w.post("stf_wang", &format!("/doctor/orders/{id}/retry"), Value::Null)
            .await;
        let third = w.command("order.lab.revoke").await;
        assert!(third.key != second.key && third.request == second.request);
        let code = shown(&w).await["verify_code"].as_str().unwrap().to_owned();
        told(&w, &third, Outcome::Done(json!({}))).await;
        assert_eq!(seen(&w, &id).await["state"], "revoked");
        assert!(shown(&w).await["verify_code"].is_null());
        let public = w.get("nobody", &format!("/verify/{code}")).await;
        assert_eq!(
            (&public["valid"], &public["reason"]),
            (&json!(false), &json!("检验单已撤回"))
        );
        let gone = w
            .refused("stf_wang", Method::POST, &revoke, json!({ "reason": "x" }))
            .await;
        assert_eq!(gone, (409, "order_state".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_the_hospital_refuses_or_does_not_answer_is_seen_by_the_doctor() {
    both(|mut w| async move {
        w.enrol().await;
        w.diagnose().await;
        let (refused, submit) = signed(&mut w, exam()).await;
        told(&w, &submit, Outcome::refused("his_2", "腹部超声已停用")).await;
        let order = seen(&w, &refused).await;
        assert_eq!(
            (&order["state"], &order["words"], &order["allowed"]),
            (&json!("refused"), &json!("腹部超声已停用"), &json!([]))
        );
        assert!(
            shown(&w).await["next_step"]
                .as_str()
                .unwrap()
                .contains("请不要凭此到院")
        );

        let (id, submit) = signed(&mut w, exam()).await;
        told(&w, &submit, Outcome::Unknown).await;
        let order = seen(&w, &id).await;
        assert_eq!(
            (&order["state"], &order["allowed"]),
            (&json!("unknown"), &json!(["retry"]))
        );
        w.post("stf_wang", &format!("/doctor/orders/{id}/retry"), Value::Null)
            .await;
        let again = w.command("order.exam.submit").await;
        assert!(again.key != submit.key && again.request == submit.request);
        // While it is on its way again the doctor takes it back; the answer leads to the withdrawal.
        w.post(
            "stf_wang",
            &format!("/doctor/orders/{id}/revoke"),
            json!({ "reason": "患者改期" }),
        )
        .await;
        assert_eq!(w.orders().await, [], "there is no number to take back yet");
        told(&w, &again, receipt("J7", 11_500)).await;
        let withdrawal = w.command("order.exam.revoke").await;
        assert_eq!(withdrawal.request["his_order_number"], "J7");
        // The first one is answered after all: nothing moves.
        told(&w, &submit, receipt("J7", 11_500)).await;
        assert_eq!(w.orders().await, []);
        told(&w, &withdrawal, Outcome::Done(json!({}))).await;
        assert_eq!(seen(&w, &id).await["state"], "revoked");

        // Refused while being taken back: there is nothing to take back.
        let (third, submit) = signed(&mut w, lab()).await;
        w.post(
            "stf_wang",
            &format!("/doctor/orders/{third}/revoke"),
            json!({ "reason": "开错" }),
        )
        .await;
        told(&w, &submit, Outcome::refused("his_2", "就诊不存在")).await;
        assert_eq!(seen(&w, &third).await["state"], "revoked");
        assert_eq!(w.orders().await, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_can_be_changed_and_thrown_away_and_ends_with_the_visit() {
    both(|mut w| async move {
        w.enrol().await;
        w.diagnose().await;
        let id = draft(&w, exam()).await;
        let path = format!("/doctor/orders/{id}");
        let mut less = exam();
        less["items"].as_array_mut().unwrap().pop();
        let (status, changed) = w.call("stf_wang", Method::PUT, &path, less).await;
        assert_eq!((status, &changed["total_fen"]), (StatusCode::OK, &json!(9_000)));
        assert_eq!(w.refused("stf_zhao", Method::DELETE, &path, Value::Null).await.0, 404);
        let (status, _) = w.call("stf_wang", Method::DELETE, &path, Value::Null).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(w.get("stf_wang", PATH).await, json!([]));
        let (id, submit) = signed(&mut w, lab()).await;
        let path = format!("/doctor/orders/{id}");
        assert_eq!(
            w.refused("stf_wang", Method::PUT, &path, lab()).await,
            (409, "order_state".into())
        );
        assert_eq!(
            w.refused("stf_wang", Method::DELETE, &path, Value::Null).await,
            (409, "order_state".into())
        );
        told(&w, &submit, receipt("Y1", 6_800)).await;
        w.finish_visit().await;
        let late = w.refused("stf_wang", Method::POST, PATH, exam()).await;
        assert_eq!(late, (409, "visit_finished".into()));
        // What was opened can still be taken back.
        w.post(
            "stf_wang",
            &format!("/doctor/orders/{id}/revoke"),
            json!({ "reason": "患者要求" }),
        )
        .await;
        w.command("order.lab.revoke").await;
    })
    .await;
}
