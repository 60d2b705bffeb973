//! What a person settles when the HIS has not told.

use axum::http::Method;
use records::Outcome;
use records::id::RefundId;
use serde_json::{Value, json};

use crate::world::{PIN, World, both};

const LIST: &str = "/admin/prescriptions/by-hand";

async fn audited(w: &World, action: &'static str) -> usize {
    let (n,): (u32,) = w
        .ctx
        .store
        .read(&store::Scope::system(w.tenant.clone()), move |tx| {
            let sql = "SELECT COUNT(*) FROM base_audit WHERE tenant_id = 'hos_1' AND action = $1";
            Box::pin(async move { tx.one(sql, &[&action]).await })
        })
        .await
        .unwrap();
    n as usize
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_without_answer_is_told_again_and_never_twice_at_once() {
    both(|mut w| async move {
        let id = w.signed().await;
        let approve = format!("/pharmacist/prescriptions/{id}/approve");
        w.post("stf_li", &approve, json!({ "pin": PIN })).await;
        let submit = w.command("prescription.submit").await;
        w.unanswered(&submit).await;
        let listed = w.get("stf_admin", LIST).await;
        assert_eq!(
            (&listed[0]["needs_hand"], &listed[0]["allowed"]),
            (
                &json!("提交处方的结果未知，请与医院系统核对"),
                &json!(["retry", "settle"])
            )
        );
        let retry = format!("/admin/prescriptions/{id}/by-hand/retry");
        assert_eq!(w.refused("stf_wang", Method::POST, &retry, Value::Null).await.0, 403);
        w.post("stf_admin", &retry, Value::Null).await;
        let again = w.refused("stf_admin", Method::POST, &retry, Value::Null).await;
        assert_eq!(again, (409, "settled".into()), "one click, one command");
        let second = w.command("prescription.submit").await;
        assert_ne!(second.key, submit.key);
        assert_eq!(second.request, submit.request);
        let done = Outcome::Done(json!({ "his_prescription_number": "R1" }));
        w.answer(&second, done.clone()).await;
        w.command("prescription.review.push").await;
        // The first one is answered after all: nothing moves.
        w.answer(&submit, done).await;
        assert_eq!(w.orders().await, []);
        assert_eq!(w.state(&id).await, "sent_to_his");
        assert_eq!(audited(&w, "prescription.retry").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_without_answer_is_settled_by_what_the_hospital_has_in_its_books() {
    both(|mut w| async move {
        let (id, confirm) = w.paid(json!({ "kind": "pickup" })).await;
        w.unanswered(&confirm).await;
        let listed = w.get("stf_admin", LIST).await;
        assert_eq!(listed[0]["allowed"], json!(["retry", "settle_taken", "settle_refund"]));
        let settle = format!("/admin/prescriptions/{id}/by-hand/settle");
        for (body, field) in [
            (json!({ "note": " " }), "note"),
            (json!({ "note": "已核对" }), "payment"),
            (json!({ "note": "已核对", "payment": "taken" }), "his_order_number"),
        ] {
            let (status, answer) = w.call("stf_admin", Method::POST, &settle, body).await;
            assert_eq!((status.as_u16(), answer["field"].as_str().unwrap()), (422, field));
        }
        let body = json!({ "note": "收费处已入账", "payment": "taken", "his_order_number": "B7" });
        let rx = w.post("stf_admin", &settle, body.clone()).await;
        assert_eq!(
            (&rx["state"], &rx["payment"]["state"]),
            (&json!("dispensing"), &json!("done"))
        );
        let twice = w.refused("stf_admin", Method::POST, &settle, body).await;
        assert_eq!(twice, (409, "settled".into()));
        let orders = w.orders().await;
        assert_eq!((orders.len(), &orders[0].1["subject"]), (1, &json!(id)), "one slip");
        assert_eq!(audited(&w, "prescription.settle").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_the_hospital_has_not_taken_goes_back() {
    both(|mut w| async move {
        let (id, confirm) = w.paid(json!({ "kind": "pickup" })).await;
        w.unanswered(&confirm).await;
        let settle = format!("/admin/prescriptions/{id}/by-hand/settle");
        w.post(
            "stf_admin",
            &settle,
            json!({ "note": "收费处无此单", "payment": "not_taken" }),
        )
        .await;
        assert_eq!(w.state(&id).await, "revoked");
        w.cashier.tick().await.unwrap();
        assert_eq!(*w.channel.returned.lock().unwrap(), [records::Fen(3250)]);
        w.command("prescription.revoke").await;
    })
    .await;
}

/// A refund of which the HIS does not tell whether it booked it: the number of the refund.
async fn hanging(w: &mut World) -> (String, RefundId) {
    let (id, confirm) = w.paid(json!({ "kind": "pickup" })).await;
    let receipt = json!({ "his_order_number": "B1", "receipt_number": "S1", "collect_at": "1号窗口" });
    w.answer(&confirm, Outcome::Done(receipt)).await;
    w.orders().await;
    let revoke = format!("/doctor/prescriptions/{id}/revoke");
    w.post("stf_wang", &revoke, json!({ "reason": "停药" })).await;
    w.cashier.tick().await.unwrap();
    let back = w.command("bill.refund").await;
    let refund = RefundId::parse(back.request["refund_number"].as_str().unwrap()).unwrap();
    w.unanswered(&back).await;
    (id, refund)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_back_without_answer_is_told_again_with_the_number_of_the_refund() {
    both(|mut w| async move {
        let (id, refund) = hanging(&mut w).await;
        let (cashier, number) = (w.cashier.clone(), refund.clone());
        w.ctx
            .store
            .write(&store::Scope::system(w.tenant.clone()), move |tx| {
                let (cashier, number) = (cashier.clone(), number.clone());
                Box::pin(async move { cashier.retry_refund(tx, &number).await })
            })
            .await
            .unwrap();
        assert_eq!(w.get("stf_admin", LIST).await, json!([]));
        let second = w.command("bill.refund").await;
        assert_eq!(second.request["refund_number"], refund.as_str());
        assert_eq!(audited(&w, "prescription.write_back_retry").await, 1);
        w.answer(&second, Outcome::Done(json!({ "his_refund_number": "T1" })))
            .await;
        w.command("prescription.revoke").await;
        let rx = w.get("acc_1", &format!("/prescriptions/{id}")).await;
        assert_eq!(rx["payment"]["state"], "reversed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_settled_with_the_hospital_is_over_in_all_books_and_settling_again_changes_nothing() {
    both(|mut w| async move {
        let (id, refund) = hanging(&mut w).await;
        let mut keys = Vec::new();
        for _ in 0..2 {
            let (cashier, number) = (w.cashier.clone(), refund.clone());
            w.ctx
                .store
                .write(&store::Scope::system(w.tenant.clone()), move |tx| {
                    let (cashier, number) = (cashier.clone(), number.clone());
                    Box::pin(async move { cashier.settle_refund(tx, &number).await })
                })
                .await
                .unwrap();
            keys.push(w.command("prescription.revoke").await.key);
        }
        assert_eq!(keys[0], keys[1], "the appliance does it once");
        assert_eq!(w.get("stf_admin", LIST).await, json!([]));
        let rx = w.get("acc_1", &format!("/prescriptions/{id}")).await;
        assert_eq!(
            (&rx["state"], &rx["payment"]["state"]),
            (&json!("revoked"), &json!("reversed"))
        );
        assert!(audited(&w, "prescription.refund_settled_by_hand").await >= 1);
    })
    .await;
}
