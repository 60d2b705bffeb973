//! Long data by parts.

use serde_json::{Value, json};

use crate::site::{App, CODE, Site, b64, unb64};

async fn feed(his: &App, session: &Value, purpose: &str, parts: &[Vec<u8>]) {
    let path = format!("/v1/session/{}/feed", session["session"].as_str().expect("id"));
    for part in parts {
        his.post(&path, json!({"purpose": purpose, "data": b64(part)}))
            .await
            .done();
    }
}

async fn finish(his: &App, session: &Value, how: &str, body: Value) -> crate::site::Answer {
    let path = format!("/v1/session/{}/{how}", session["session"].as_str().expect("id"));
    his.post(&path, body).await
}

#[tokio::test]
async fn data_fed_in_parts_is_signed_and_verified_like_the_whole() {
    let site = Site::new(&["sm2", "rsa2048"]);
    let his = site.his();
    let parts: Vec<Vec<u8>> = (0..5u8).map(|n| vec![n; 300_000]).collect();
    let whole = parts.concat();
    site.write("whole", &whole);

    let session = his.post("/v1/session", json!({"purpose": "sign-data"})).await.done();
    feed(&his, &session, "sign-data", &parts).await;
    let signed = finish(&his, &session, "sign-data", json!({})).await.done();
    let asked = json!({"certificate": signed["certificate"], "data": b64(&whole), "signature": signed["signature"]});
    his.post("/v1/data/verify", asked).await.done();
    assert_eq!(
        finish(&his, &session, "sign-data", json!({})).await.refused(),
        "session_unknown"
    );
    site.logged("session_unknown");

    let begin = json!({"purpose": "verify-data", "certificate": signed["certificate"]});
    for (parts, holds) in [(&parts[..], true), (&parts[..4], false)] {
        let session = his.post("/v1/session", begin.clone()).await.done();
        feed(&his, &session, "verify-data", parts).await;
        let asked = json!({"certificate": signed["certificate"], "signature": signed["signature"]});
        let answer = finish(&his, &session, "verify-data", asked).await;
        if holds {
            answer.done();
        } else {
            assert_eq!(answer.refused(), "signature_invalid");
        }
    }

    // RSA signs long data as a message, which openssl verifies.
    let refused = his.post("/v1/session", json!({"purpose": "sign-data", "key": 2})).await;
    assert_eq!(refused.refused(), "sign_method");
    let session = his
        .post("/v1/session", json!({"purpose": "sign-message", "key": 2}))
        .await
        .done();
    feed(&his, &session, "sign-message", &parts).await;
    let made = finish(&his, &session, "sign-message", json!({"key": 2, "access_code": CODE}))
        .await
        .done();
    site.write("message", unb64(&made["message"]));
    let verify = [
        "cms",
        "-verify",
        "-noverify",
        "-inform",
        "DER",
        "-binary",
        "-in",
        "message",
        "-content",
        "whole",
    ];
    site.must("openssl", &[&verify[..], &["-out", "out"]].concat());
    let begin = json!({"purpose": "verify-message", "algorithm": "RSA-PKCS1-SHA256", "key": 2});
    let session = his.post("/v1/session", begin).await.done();
    feed(&his, &session, "verify-message", &parts).await;
    let seen = finish(&his, &session, "verify-message", json!({"message": made["message"]}))
        .await
        .done();
    assert_eq!(seen["signer"], "签名服务器");
}

#[tokio::test]
async fn sessions_are_bounded_and_belong_to_their_application() {
    let mut site = Site::new(&["sm2"]);
    let (other, pem) = site.foreign.client("LIS");
    site.again("", |engine| {
        let id = sign::application::ApplicationId("app_lis".to_owned());
        engine
            .add_application_certificate("test", &id, &other)
            .expect("certificate");
    });
    let (his, lis) = (site.his(), site.caller(Some(&pem)));
    let session = his.post("/v1/session", json!({"purpose": "sign-data"})).await.done();
    assert_eq!(
        finish(&lis, &session, "sign-data", json!({})).await.refused(),
        "session_unknown"
    );
    let path = format!("/v1/session/{}/feed", session["session"].as_str().expect("id"));
    let wrong = his
        .post(&path, json!({"purpose": "verify-data", "data": b64("x")}))
        .await;
    assert_eq!(wrong.refused(), "session_unknown");
    for _ in 1..sign::service::SESSIONS {
        his.post("/v1/session", json!({"purpose": "sign-data"})).await.done();
    }
    let more = his.post("/v1/session", json!({"purpose": "sign-data"})).await;
    assert_eq!(more.refused(), "too_many_sessions");
    site.logged("too_many_sessions");
    // The other one is not held up, and what was begun still ends.
    lis.post("/v1/session", json!({"purpose": "sign-data"})).await.done();
    finish(&his, &session, "sign-data", json!({})).await.done();
}
