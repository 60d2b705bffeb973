//! Signatures and ciphers by devices.

use serde_json::{Value, json};

use crate::people::HOSPITAL;
use crate::site::{SDF_PASSWORD, Site, b64, unb64};

const RX: &[u8] = "处方：阿莫西林胶囊 0.25g×24粒".as_bytes();
const SM2: [&str; 3] = ["-sm3", "-sigopt", "distid:1234567812345678"];

#[tokio::test]
async fn keys_made_and_adopted_in_devices_sign_what_openssl_verifies() {
    let site = Site::new("", SDF_PASSWORD).await;
    let admin = &site.admin.browser;
    let rsa = json!({"label": "RSA", "algorithm": "rsa2048", "device": "hsm1"});
    let rsa = site.key("keys", rsa).await;
    let p256 = json!({"label": "P-256", "algorithm": "p256", "device": "hsm1"});
    let p256 = site.key("keys", p256).await;
    let adopt = json!({"label": "SM2", "device": "sdf1", "reference": "sdf:1"});
    let sm2 = site.key("keys/adopt", adopt.clone()).await;
    let his = site.application(&[&sm2, &rsa, &p256]).await;

    let sha256 = ["-sha256"];
    for (key, algorithm, how) in [
        (&sm2, "SM2-SM3", &SM2[..]),
        (&rsa, "RSA-PKCS1-SHA256", &sha256),
        (&p256, "ECDSA-P256-SHA256", &sha256),
    ] {
        let signed = his.sign(key, RX).await.done();
        assert_eq!((&signed["key"], &signed["algorithm"]), (key, &json!(algorithm)));
        let said = site.judged(&signed, RX, how);
        assert!(said.contains("Verified OK"), "{algorithm}: {said}");
        let said = site.judged(&signed, b"other", how);
        assert!(!said.contains("Verified OK"), "{algorithm}: {said}");
        // An authority certifies a key in a device by its request.
        let subject = json!({"organization": HOSPITAL, "common_name": "签名服务器"});
        let request = admin.post(&format!("keys/{key}/request"), subject).await.done();
        std::fs::write(site.path("key.csr"), request["pem"].as_str().expect("pem")).expect("written");
        let check = [
            "req",
            "-in",
            "key.csr",
            "-verify",
            "-noout",
            "-vfyopt",
            "distid:1234567812345678",
        ];
        let said = site.openssl(&check[..if *key == sm2 { 7 } else { 5 }]);
        assert!(said.to_lowercase().contains("verify ok"), "{algorithm}: {said}");
    }
    let asked = json!({"key": rsa, "algorithm": "RSA-PSS-SHA384", "data": b64(RX)});
    let signed = his.post("/v1/data/sign", asked).await.done();
    let pss = [
        "-sha384",
        "-sigopt",
        "rsa_padding_mode:pss",
        "-sigopt",
        "rsa_pss_saltlen:digest",
    ];
    assert!(site.judged(&signed, RX, &pss).contains("Verified OK"));
    // Long data by parts, by the algorithm that was asked for.
    for (key, algorithm, how) in [
        (&rsa, "RSA-PKCS1-SHA512", &["-sha512"][..]),
        (&rsa, "RSA-PSS-SHA384", &pss[..]),
        (&p256, "ECDSA-P256-SHA256", &sha256[..]),
    ] {
        let begin = json!({"purpose": "sign-data", "key": key, "algorithm": algorithm, "data": b64(&RX[..7])});
        let begun = his.post("/v1/session", begin).await.done();
        let session = format!("/v1/session/{}", begun["session"].as_str().expect("id"));
        let part = json!({"purpose": "sign-data", "data": b64(&RX[7..])});
        his.post(&format!("{session}/feed"), part).await.done();
        let signed = his
            .post(&format!("{session}/sign-data"), json!({"key": key}))
            .await
            .done();
        let said = site.judged(&signed, RX, how);
        assert!(said.contains("Verified OK"), "{algorithm}: {said}");
    }
    let message = json!({"key": sm2, "data": b64(RX)});
    let message = his.post("/v1/message/sign", message).await.done();
    let verify = json!({"message": message["message"], "data": b64(RX)});
    his.post("/v1/message/verify", verify).await.done();

    // What is there is shown, and taken once; what is not there is not taken.
    let keys = admin.get("devices/sdf1/keys").await.done();
    let first = keys
        .as_array()
        .expect("keys")
        .iter()
        .find(|key| key["reference"] == "sdf:1");
    assert_eq!(first.expect("key")["index"], sm2);
    assert_eq!(admin.post("keys/adopt", adopt).await.refused(), "key_known");
    let absent = json!({"label": "无", "device": "sdf1", "reference": "sdf:4"});
    assert_eq!(admin.post("keys/adopt", absent).await.refused(), "device_no_key");
    let elsewhere = json!({"label": "无", "device": "sdf9", "reference": "sdf:1"});
    assert_eq!(admin.post("keys/adopt", elsewhere).await.refused(), "device_unknown");
    let made = json!({"label": "无", "algorithm": "sm2", "device": "sdf1"});
    assert_eq!(admin.post("keys", made).await.refused(), "device_not_offered");

    // Destroyed in the token; of the other device the record says that it holds the key still.
    for (key, label, held_on) in [(&rsa, "RSA", false), (&sm2, "SM2", true)] {
        admin.post(&format!("keys/{key}/retire"), json!({})).await.done();
        let confirm = json!({"confirm": label});
        admin.post(&format!("keys/{key}/destroy"), confirm).await.done();
        let keys = admin.get("keys").await.done();
        let shown = keys
            .as_array()
            .expect("keys")
            .iter()
            .find(|shown| shown["index"] == *key);
        let shown = shown.expect("key");
        assert_eq!(
            (&shown["state"], &shown["held_on"]),
            (&json!("destroyed"), &json!(held_on))
        );
        assert_eq!(his.sign(key, RX).await.refused(), "key_index");
    }
    let left = admin.get("devices/hsm1/keys").await.done();
    assert_eq!(left.as_array().map(Vec::len), Some(1), "{left}");
}

/// A cipher that a certified device has is offered when the device says so, and otherwise refused as absent.
///
/// Rows: AP-222
#[tokio::test]
async fn sm1_is_offered_where_a_device_reports_it() {
    let key = json!(b64([7; 16]));
    let text: Vec<u8> = (0..40_000u32).map(|n| n as u8).collect();
    let ask = |direction: &str, mode: &str, data: &Value, iv: &Value| {
        let mut asked = json!({"cipher": "sm1", "mode": mode, "key": key, "data": data});
        if !iv.is_null() {
            asked["iv"] = iv.clone();
        }
        (format!("/v1/cipher/{direction}"), asked)
    };
    let site = Site::new("", SDF_PASSWORD).await;
    let sm2 = site.key("keys", json!({"label": "SM2", "algorithm": "sm2"})).await;
    let his = site.application(&[&sm2]).await;
    site.until("sdf1", "ready").await;
    let (path, asked) = ask("encrypt", "cbc", &json!(b64(&text)), &Value::Null);
    assert_eq!(his.post(&path, asked).await.refused(), "algorithm_absent");

    let site = Site::new("sm1\n", SDF_PASSWORD).await;
    let sm2 = site.key("keys", json!({"label": "SM2", "algorithm": "sm2"})).await;
    let his = site.application(&[&sm2]).await;
    let device = site.until("sdf1", "ready").await;
    let algorithms = device["algorithms"].as_array().expect("algorithms");
    assert!(algorithms.contains(&json!("SM1")), "{device}");
    for mode in ["ecb", "cbc"] {
        let (path, asked) = ask("encrypt", mode, &json!(b64(&text)), &Value::Null);
        let sealed = his.post(&path, asked).await.done();
        assert_ne!(unb64(&sealed["data"])[..text.len()], text);
        let (path, asked) = ask("decrypt", mode, &sealed["data"], &sealed["iv"]);
        let opened = his.post(&path, asked).await.done();
        assert_eq!(unb64(&opened["data"]), text, "{mode}");
    }
    let (path, asked) = ask("encrypt", "gcm", &json!(b64(&text)), &Value::Null);
    assert_eq!(his.post(&path, asked).await.refused(), "algorithm_absent");
    site.control("sm1\nfail SDF_Encrypt 0x01000003\n");
    let (path, asked) = ask("encrypt", "ecb", &json!(b64(&text)), &Value::Null);
    let refused = his.post(&path, asked).await.refused();
    assert!(
        ["device_refused", "device_absent"].contains(&refused.as_str()),
        "{refused}"
    );
}
