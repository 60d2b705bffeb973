//! What a person decides over HTTP about a charge that is not the order's; and notices that nobody signed.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request};
use records::Fen;
use records::his::HisOrderState;
use records::id::PaymentId;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::testing::{Day, on_each};

/// A visit whose payer was charged another amount than was ordered.
async fn charged_otherwise(day: &Day, charged: Fen) -> (String, PaymentId) {
    let visit = day.book().await;
    let payment = day.open_payment(&visit).await;
    assert!(day.till.payer_pays(&payment));
    if let Some(entry) = day.till.books().orders.get_mut(&payment) {
        entry.amount = charged;
    }
    assert_eq!(day.notify(&payment, "good").await, 200);
    assert_eq!(
        day.state(&visit).await,
        "awaiting_payment",
        "nobody knows what was bought"
    );
    (visit, payment)
}

async fn held(day: &Day) -> Value {
    day.get(&day.admin, "/admin/manual").await.ok()
}

fn decision(outcome: &str) -> Value {
    json!({ "note": "已与渠道账单核对", "outcome": outcome })
}

#[test]
fn a_charge_that_a_person_accepts_pays_the_visit_once() {
    on_each(|day| async move {
        let (visit, payment) = charged_otherwise(&day, Fen(2400)).await;
        let items = held(&day).await;
        assert_eq!(
            (
                &items[0]["id"],
                &items[0]["kind"],
                &items[0]["allowed"],
                &items[0]["amount_fen"]
            ),
            (
                &json!(payment.as_str()),
                &json!("payment"),
                &json!(["accept", "refund"]),
                &json!(2400)
            )
        );
        let path = format!("/admin/manual/{payment}/settle");
        for _ in 0..2 {
            let left = day.post(&day.admin, &path, decision("accept")).await.ok();
            assert_eq!(left, json!([]), "nothing waits any more");
        }
        let opposite = day.post(&day.admin, &path, decision("refund")).await.refused();
        assert_eq!(opposite, (409, "payment_state".to_owned()));
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("waiting".to_owned(), Some(HisOrderState::Paid), 2400)
        );
    });
}

#[test]
fn a_charge_that_a_person_refuses_goes_back_as_it_came_once() {
    on_each(|day| async move {
        let (visit, payment) = charged_otherwise(&day, Fen(9900)).await;
        let path = format!("/admin/manual/{payment}/settle");
        for _ in 0..2 {
            day.post(&day.admin, &path, decision("refund")).await.ok();
        }
        let opposite = day.post(&day.admin, &path, decision("accept")).await.refused();
        assert_eq!(opposite, (409, "payment_state".to_owned()));
        day.settle().await;
        assert_eq!(day.till.books().refunds.len(), 1, "given back once");
        assert_eq!(
            day.books(&visit).await,
            ("expired".to_owned(), Some(HisOrderState::Cancelled), 0)
        );
    });
}

#[test]
fn who_may_not_decide_decides_nothing() {
    on_each(|day| async move {
        let (visit, payment) = charged_otherwise(&day, Fen(2400)).await;
        let path = format!("/admin/manual/{payment}/settle");
        let mut elsewhere = day.admin.clone();
        elsewhere.tenant = records::TenantId::parse("hos_second").unwrap();
        for (who, body, status) in [
            (&elsewhere, decision("accept"), 404),
            (&day.doctor, decision("accept"), 403),
            (&day.patient, decision("accept"), 403),
            (&day.admin, decision("keep"), 422),
            (&day.admin, json!({ "note": "已核对" }), 422),
            (&day.admin, json!({ "note": " ", "outcome": "accept" }), 422),
        ] {
            let refused = day.post(who, &path, body.clone()).await.refused();
            assert_eq!(refused.0, status, "{body}");
        }
        let unknown = "/admin/manual/pay_00000000000000000000000000/settle";
        assert_eq!(day.post(&day.admin, unknown, decision("accept")).await.refused().0, 404);
        assert_eq!(day.get(&elsewhere, "/admin/manual").await.ok(), json!([]));
        assert_eq!(held(&day).await[0]["id"], payment.as_str(), "it still waits");
        assert_eq!(day.state(&visit).await, "awaiting_payment");
    });
}

/// Sends a notice with a signature that is not the channel's.
async fn forge(day: &Day, payment: &PaymentId, from: &str, forwarded: Option<&str>) -> u16 {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri("/callbacks/wechat-pay/1900000001")
        .header(
            "wechatpay-timestamp",
            records::Clock::now(&*day.clock).as_seconds().to_string(),
        )
        .header("wechatpay-nonce", "n")
        .header("wechatpay-signature", "forged")
        .header("wechatpay-serial", "PUB_KEY_ID_1");
    if let Some(claimed) = forwarded {
        request = request.header("x-forwarded-for", claimed);
    }
    let mut request = request.body(Body::from(day.till.notice(payment))).unwrap();
    let peer: SocketAddr = from.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    day.app.clone().oneshot(request).await.unwrap().status().as_u16()
}

async fn audited(day: &Day, action: &'static str) -> Vec<Value> {
    let rows: Vec<(String,)> = day
        .write(move |tx| {
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                let sql = "SELECT detail FROM base_audit WHERE tenant_id = $1 AND action = $2";
                Ok(tx.all(sql, &[&tenant, &action]).await?)
            })
        })
        .await;
    rows.iter().map(|(text,)| serde_json::from_str(text).unwrap()).collect()
}

#[test]
fn of_a_flood_of_forged_notices_the_first_are_written_down_and_the_rest_are_a_number() {
    on_each(|day| async move {
        let visit = day.book().await;
        let payment = day.open_payment(&visit).await;
        for n in 0..40 {
            // A stranger may claim any address; only our own proxy is believed.
            let claimed = format!("198.51.100.{n}");
            assert_eq!(forge(&day, &payment, "203.0.113.9:5000", Some(&claimed)).await, 401);
        }
        assert_eq!(forge(&day, &payment, "10.0.0.2:443", Some("198.51.100.77")).await, 401);
        let refused = audited(&day, "payment.notice_refused").await;
        let of = |source: &str| refused.iter().filter(|d| d["source"] == source).count();
        assert_eq!((of("203.0.113.9"), of("198.51.100.77"), refused.len()), (5, 1, 6));
        day.clock.advance(Duration::from_secs(60));
        base::tick(&day.ctx).await;
        let floods = audited(&day, "payment.notice_refused.flood").await;
        assert_eq!(floods.len(), 1);
        assert_eq!(
            (&floods[0]["times"], &floods[0]["sources"]),
            (&json!(41), &json!({ "203.0.113.9": 40 }))
        );
        assert_eq!(day.state(&visit).await, "awaiting_payment");
    });
}
