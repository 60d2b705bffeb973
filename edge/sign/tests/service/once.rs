//! Requests that are sent again: signed, logged and answered once.

use serde_json::{Value, json};

use crate::site::{Answer, App, Site, b64};

async fn sign(app: &App, key: &str, data: &str) -> Answer {
    let body = json!({"data": b64(data)}).to_string();
    app.send("/v1/data/sign", &[("idempotency-key", key)], body).await
}

fn signed(site: &Site) -> usize {
    site.log().iter().filter(|(act, ..)| act == "data.signed").count()
}

#[tokio::test]
async fn a_request_that_is_sent_again_is_signed_and_logged_once() {
    let mut site = Site::new(&["sm2"]);
    let his = site.his();
    let first = sign(&his, "order-2026-0001", "处方一").await;
    assert!(!first.headers.contains_key("idempotency-replayed"));
    let first = first.done();
    let again = sign(&his, "\"order-2026-0001\"", "处方一").await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(
        again.done(),
        first,
        "SM2 signs with a fresh nonce: only the same signature is the same"
    );
    assert_eq!(signed(&site), 1);

    assert_ne!(sign(&his, "order-2026-0002", "处方一").await.done(), first);
    assert_eq!(sign(&his, "order-2026-0001", "处方二").await.refused(), "key_reused");
    site.logged("key_reused");
    assert_eq!(sign(&his, "short", "处方一").await.refused(), "request_rejected");
    assert_eq!(signed(&site), 2);

    // The power goes between the answer and its second asking.
    site.again("", |_| {});
    let his = site.his();
    assert_eq!(sign(&his, "order-2026-0001", "处方一").await.done(), first);
    assert_eq!(signed(&site), 2);
}

#[tokio::test]
async fn equal_requests_at_the_same_time_get_one_signature_and_one_entry() {
    let site = Site::new(&["sm2"]);
    let all: Vec<App> = (0..12).map(|_| site.his()).collect();
    let answers = futures_util::future::join_all(all.iter().map(|app| sign(app, "order-2026-0003", "处方"))).await;
    let mut answers: Vec<Value> = answers.into_iter().map(Answer::done).collect();
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(signed(&site), 1);
}

#[tokio::test]
async fn a_refused_request_may_be_asked_again_under_its_key() {
    let site = Site::new(&["sm2"]);
    let his = site.his();
    let body = json!({"data": b64("处方"), "key": 7}).to_string();
    let headers = [("idempotency-key", "order-2026-0004")];
    assert_eq!(
        his.send("/v1/data/sign", &headers, body).await.refused(),
        "key_not_permitted"
    );
    sign(&his, "order-2026-0004", "处方").await.done();
    assert_eq!(signed(&site), 2, "the refusal has its entry as well");
}
