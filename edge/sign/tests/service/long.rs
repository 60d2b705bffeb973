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

    // RSA signs long data as a message too, which openssl verifies.
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

/// How openssl is told of an algorithm.
fn spoken(algorithm: &str) -> Vec<&'static str> {
    let mut options = vec![match algorithm {
        name if name.ends_with("SHA384") => "-sha384",
        name if name.ends_with("SHA512") => "-sha512",
        _ => "-sha256",
    }];
    if algorithm.contains("PSS") {
        options.extend(["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]);
    }
    options
}

/// The bytes in parts of these lengths, over and over.
fn cut(whole: &[u8], lengths: &[usize]) -> Vec<Vec<u8>> {
    let (mut parts, mut rest) = (Vec::new(), whole);
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (part, after) = rest.split_at((*length).min(rest.len()));
        parts.push(part.to_vec());
        rest = after;
    }
    parts
}

/// Every kind of key and every algorithm: what is made by parts holds as the whole here and for openssl, and by parts again.
#[tokio::test]
async fn every_algorithm_signs_long_data_by_parts() {
    let site = Site::new(&["p256", "rsa2048", "rsa3072", "rsa4096"]);
    let his = site.his();
    let whole: Vec<u8> = (0..200_003u32).map(|n| ((n * 7) >> 3) as u8).collect();
    site.write("whole", &whole);
    site.write("other", b"other");
    let cuts: [&[usize]; 4] = [
        &[300_000],
        &[1, 63, 64, 65, 90_000],
        &[0, 127, 128, 129, 130_000],
        &[65_536],
    ];
    let rsa =
        ["RSA-PKCS1", "RSA-PSS"].map(|scheme| ["SHA256", "SHA384", "SHA512"].map(|hash| format!("{scheme}-{hash}")));
    let mut asked = vec![(1, "ECDSA-P256-SHA256".to_owned())];
    asked.extend((2..=4).flat_map(|key| rsa.as_flattened().iter().map(move |name| (key, name.clone()))));
    assert_eq!(asked.len(), 1 + 3 * 6);
    for (n, (key, algorithm)) in asked.iter().enumerate() {
        let parts = cut(&whole, cuts[n % cuts.len()]);
        let mut begin = json!({"purpose": "sign-data", "algorithm": algorithm});
        if n % 2 == 0 {
            begin["key"] = json!(key);
        }
        let session = his.post("/v1/session", begin).await.done();
        feed(&his, &session, "sign-data", &parts).await;
        let last = json!({"key": key, "access_code": if *key == 1 { Value::Null } else { json!(CODE) }});
        let signed = finish(&his, &session, "sign-data", last).await.done();
        assert_eq!((&signed["key"], &signed["algorithm"]), (&json!(key), &json!(algorithm)));

        let check = |data: &str| json!({"certificate": signed["certificate"], "algorithm": algorithm, "data": data, "signature": signed["signature"]});
        his.post("/v1/data/verify", check(&b64(&whole))).await.done();
        let refused = his.post("/v1/data/verify", check(&b64("other"))).await;
        assert_eq!(refused.refused(), "signature_invalid", "{algorithm}");
        site.write("cert", unb64(&signed["certificate"]));
        let public = site.must(
            "openssl",
            &["x509", "-inform", "DER", "-in", "cert", "-noout", "-pubkey"],
        );
        site.write("public.pem", public);
        site.write("sig", unb64(&signed["signature"]));
        let judge = [
            &["dgst"],
            &spoken(algorithm)[..],
            &["-verify", "public.pem", "-signature", "sig"],
        ]
        .concat();
        site.must("openssl", &[&judge[..], &["whole"]].concat());
        assert!(
            !site.run("openssl", &[&judge[..], &["other"]].concat()).0,
            "{algorithm}"
        );

        for (parts, holds) in [
            (cut(&whole, cuts[(n + 1) % cuts.len()]), true),
            (cut(b"other", &[2]), false),
        ] {
            let begin = json!({"purpose": "verify-data", "algorithm": algorithm, "certificate": signed["certificate"]});
            let session = his.post("/v1/session", begin).await.done();
            feed(&his, &session, "verify-data", &parts).await;
            let asked = json!({"certificate": signed["certificate"], "signature": signed["signature"]});
            let answer = finish(&his, &session, "verify-data", asked).await;
            if holds {
                answer.done();
            } else {
                assert_eq!(answer.refused(), "signature_invalid", "{algorithm}");
            }
        }
    }
    // A digest that is at hand is signed as what it is the digest of.
    let digest = b64(gm::key::Hash::Sha384.digest(&whole));
    let asked = json!({"key": 3, "access_code": CODE, "algorithm": "RSA-PSS-SHA384", "digest": digest});
    let signed = his.post("/v1/data/sign", asked).await.done();
    let asked = json!({"certificate": signed["certificate"], "algorithm": "RSA-PSS-SHA384", "data": b64(&whole), "signature": signed["signature"]});
    his.post("/v1/data/verify", asked).await.done();
}

#[tokio::test]
async fn what_a_session_is_not_for_is_refused_by_name() {
    let site = Site::new(&["sm2", "rsa2048", "rsa2048"]);
    let his = site.his();
    let (feed_path, sign) = (
        "/v1/session/{}/feed",
        |key: u32| json!({"key": key, "access_code": CODE}),
    );
    let begun = async |key: Option<u32>| {
        let mut begin = json!({"purpose": "sign-data", "algorithm": "RSA-PKCS1-SHA256", "data": b64("处")});
        if let Some(key) = key {
            begin["key"] = json!(key);
        }
        his.post("/v1/session", begin).await.done()
    };
    let fed = async |session: &Value, data: &str| {
        let path = feed_path.replace("{}", session["session"].as_str().expect("id"));
        his.post(&path, json!({"purpose": "sign-data", "data": data})).await
    };
    // After its end there is none.
    let session = begun(None).await;
    fed(&session, &b64("方")).await.done();
    finish(&his, &session, "sign-data", sign(2)).await.done();
    assert_eq!(
        finish(&his, &session, "sign-data", sign(2)).await.refused(),
        "session_unknown"
    );
    site.logged("session_unknown");
    assert_eq!(fed(&session, &b64("再")).await.refused(), "session_unknown");
    site.logged("session_unknown");
    let nobody = json!({"session": "0".repeat(32)});
    assert_eq!(
        finish(&his, &nobody, "sign-data", sign(2)).await.refused(),
        "session_unknown"
    );
    // One part too long, and the session goes on without it.
    let session = begun(Some(2)).await;
    let large = b64(vec![0; sign::service::MAX_DATA + 1]);
    assert_eq!(fed(&session, &large).await.refused(), "too_large");
    site.logged("too_large");
    fed(&session, &b64("方")).await.done();
    // Another key than the one it was begun with; an algorithm that is not the key's; a wrong access code.
    assert_eq!(
        finish(&his, &session, "sign-data", sign(3)).await.refused(),
        "key_index"
    );
    site.logged("key_index");
    let begin = json!({"purpose": "sign-data", "key": 1, "algorithm": "RSA-PSS-SHA256"});
    assert_eq!(his.post("/v1/session", begin).await.refused(), "sign_method");
    site.logged("sign_method");
    let session = begun(None).await;
    assert_eq!(
        finish(&his, &session, "sign-data", json!({"key": 2})).await.refused(),
        "key_value"
    );
    let sm2 = finish(&his, &session, "sign-data", json!({"key": 1, "access_code": CODE})).await;
    assert_eq!(sm2.refused(), "sign_method");
    site.logged("sign_method");
    let named = json!({"purpose": "sign-data", "key": 2, "signer_id": "ALICE"});
    assert_eq!(his.post("/v1/session", named).await.refused(), "sign_method");
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
