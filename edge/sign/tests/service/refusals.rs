//! Bad input: each with its own code, an entry in the log, and no effect.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use gm::certificate::Purpose;
use records::Timestamp;
use serde_json::json;

use crate::site::{Answer, Site, b64};

const SIGN: &str = "/v1/message/sign";

fn now() -> Timestamp {
    let now = Timestamp::from_offset(time::OffsetDateTime::now_utc());
    Timestamp::from_seconds(now.as_seconds())
}

#[tokio::test]
async fn who_is_not_known_or_says_it_wrongly_is_refused_by_name() {
    let mut site = Site::new(&["sm2"]);
    let stranger = crate::site::Authority::new("外人", time::OffsetDateTime::now_utc())
        .client("外人")
        .1;
    let body = json!({"data": b64("x")}).to_string();
    let content = ("content-type", "application/json");
    for caller in [site.caller(None), site.caller(Some(&stranger))] {
        for path in [SIGN, "/svs/SignData", "/svs"] {
            let answer = caller.send(path, &[content], body.clone()).await;
            assert_eq!(answer.status.as_u16(), 401, "{path}");
            site.logged("unauthenticated");
        }
    }
    let line = |nonce: &str, at: Timestamp| site.authorization(SIGN, body.as_bytes(), nonce, at);
    let none = site.caller(None);
    let hour = std::time::Duration::from_secs(3600);
    let good = line("nonce00001", now());
    for (line, code) in [
        (good.replace("app=app_his", "app=app_nobody"), "unauthenticated"),
        (good.replace("nonce00001", "nonce00002"), "unauthenticated"),
        (good.replace("YQ-HMAC-SM3", "Basic"), "unauthenticated"),
        (good.replace("mac=", "mac=00"), "unauthenticated"),
        (good.replace("server=", "box="), "unauthenticated"),
        (good.replace("server=srv_", "server=srv_0"), "unauthenticated"),
        (line("short", now()), "unauthenticated"),
        (line("nonce00003", now().minus(hour)), "request_expired"),
        (line("nonce00004", now().plus(hour)), "request_expired"),
    ] {
        let answer = none
            .send(SIGN, &[content, ("authorization", &line)], body.clone())
            .await;
        assert_eq!(answer.refused(), code, "{line}");
        site.logged(code);
    }
    // The body is what was signed.
    let answer = none
        .send(
            SIGN,
            &[content, ("authorization", &good)],
            json!({"data": b64("y")}).to_string(),
        )
        .await;
    assert_eq!(answer.refused(), "unauthenticated");
    none.send(SIGN, &[content, ("authorization", &good)], body.clone())
        .await
        .done();
    // Disabled, and over its limit.
    site.again("", |engine| {
        let id = sign::application::ApplicationId("app_his".to_owned());
        let policy = sign::application::Policy {
            keys: vec![sign::application::KeyIndex(1)],
            rate_per_second: 1,
            ..Default::default()
        };
        engine
            .change_application("test", &id, "医院信息系统", true, &policy)
            .expect("changed");
    });
    // All at once: one after another they might take a second each.
    let his = site.his();
    let asked = (0..20).map(|_| his.post(SIGN, json!({"data": b64("x")})));
    let answers = futures_util::future::join_all(asked).await.into_iter();
    let refused = answers.filter(|answer| !answer.status.is_success());
    let codes: Vec<String> = refused.map(Answer::refused).collect();
    assert!(
        !codes.is_empty() && codes.iter().all(|code| code == "too_many"),
        "{codes:?}"
    );
    site.again("", |engine| {
        let id = sign::application::ApplicationId("app_his".to_owned());
        engine
            .change_application("test", &id, "医院信息系统", false, &Default::default())
            .expect("changed");
    });
    assert_eq!(
        site.his().post(SIGN, json!({"data": b64("x")})).await.refused(),
        "application_disabled"
    );
    site.logged("application_disabled");
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_by_name_and_entered() {
    let mut site = Site::new(&["sm2", "sm2"]);
    let (other, pem) = site.foreign.client("LIS");
    site.again("", |engine| {
        let id = sign::application::ApplicationId("app_lis".to_owned());
        engine
            .add_application_certificate("test", &id, &other)
            .expect("certificate");
    });
    let (his, lis) = (site.his(), site.caller(Some(&pem)));
    let json = [("content-type", "application/json")];
    for (body, code) in [
        (b"{".to_vec(), "request_rejected"),
        (b"[[[[[[[[".repeat(2000), "request_rejected"),
        ("{\"data\":\"处方\"}".as_bytes().to_vec(), "data_format"),
        (vec![b'{', b'"', 0xb4, 0xa6, b'"', b':', b'1', b'}'], "request_rejected"),
        (b"{\"data\":\"eA==\",\"more\":1}".to_vec(), "request_rejected"),
        (b"{}".to_vec(), "request_rejected"),
        (
            b"{\"data\":\"eA==\",\"algorithm\":\"RSA-PKCS1-SHA1\"}".to_vec(),
            "sign_method",
        ),
        (
            b"{\"data\":\"eA==\",\"algorithm\":\"RSA-PKCS1-SHA256\"}".to_vec(),
            "sign_method",
        ),
        (b"{\"data\":\"eA==\",\"key\":9}".to_vec(), "key_not_permitted"),
        (b"{\"data\":\"eA==\",\"key\":2}".to_vec(), "key_value"),
        (
            b"{\"data\":\"eA==\",\"key\":2,\"access_code\":\"yizhen-2025\"}".to_vec(),
            "key_value",
        ),
        (b"{\"digest\":\"eA==\"}".to_vec(), "data_format"),
    ] {
        let answer = his.send(SIGN, &json, body.clone()).await;
        assert_eq!(
            answer.refused(),
            code,
            "{}",
            String::from_utf8_lossy(&body[..body.len().min(60)])
        );
        site.logged(code);
    }
    let large = json!({"data": b64(vec![0; 17 * 1024 * 1024])});
    assert_eq!(his.post(SIGN, large).await.refused(), "too_large");
    site.logged("too_large");
    // What the policy does not grant.
    assert_eq!(
        lis.post(SIGN, json!({"data": b64("x")})).await.refused(),
        "not_permitted"
    );
    site.logged("not_permitted");
    assert_eq!(
        lis.post("/v1/data/sign", json!({"key": 2, "data": b64("x")}))
            .await
            .refused(),
        "key_not_permitted"
    );
    site.logged("key_not_permitted");
    // A chain that this application does not trust, though another does.
    let (person, key) = site.foreign.person("王医生", Purpose::Documents, (-1, 30));
    site.write("key.pem", key);
    site.write("x", b"x");
    site.must("openssl", &["dgst", "-sha256", "-sign", "key.pem", "-out", "sig", "x"]);
    let asked = json!({"certificate": b64(&person.der), "data": b64("x"), "signature": b64(site.read("sig"))});
    his.post("/v1/data/verify", asked.clone()).await.done();
    assert_eq!(lis.post("/v1/data/verify", asked).await.refused(), "chain_unknown");
    site.logged("chain_unknown");
    // Messages that are cut, or nested without end.
    let made = his.post(SIGN, json!({"data": b64("x"), "attached": true})).await.done();
    let message = crate::site::unb64(&made["message"]);
    let deep: Vec<u8> = [0x30, 0x84, 0x00, 0xff, 0xff, 0xff].repeat(2000);
    for bad in [
        message[..message.len() / 2].to_vec(),
        deep,
        Vec::new(),
        b"not DER".to_vec(),
    ] {
        assert_eq!(
            his.post("/v1/message/verify", json!({"message": b64(bad)}))
                .await
                .refused(),
            "data_format"
        );
        site.logged("data_format");
    }
    assert_eq!(his.post("/v1/nothing", json!({})).await.refused(), "not_found");
    assert_eq!(his.get(SIGN).await.refused(), "method");
    // Every act of the interface is described.
    let document = his.get("/v1/openapi.json").await.done();
    let paths = document["paths"].as_object().expect("paths");
    assert_eq!(paths.len(), 23);
    assert!(paths.values().all(|path| path["post"]["operationId"].is_string()));
    // And how a request is signed with a key.
    let signed = &document["components"]["securitySchemes"]["request_key"];
    assert_eq!(
        (&signed["in"], &signed["name"]),
        (&json!("header"), &json!("authorization"))
    );
    let words = signed["description"].as_str().expect("description");
    assert!(words.contains("server=") && words.contains("sign-for"), "{words}");
    assert_eq!(document["security"].as_array().map(Vec::len), Some(2));
    // No act was entered as done but the one.
    let done = site
        .log()
        .into_iter()
        .filter(|(act, _, detail)| act == "message.signed" && !detail.starts_with("refused"));
    assert_eq!(done.count(), 1);
}

/// Who cannot be an application is told so by the head of the request: nobody waits for a body, or keeps it in memory.
#[tokio::test]
async fn who_cannot_be_an_application_is_refused_before_the_body_has_come() {
    let site = Site::new(&["sm2"]);
    let claim = |application: &str, at: Timestamp| {
        let mac = "00".repeat(32);
        format!("YQ-HMAC-SM3 app={application},server=srv_0,time={at},nonce=0123456789,mac={mac}")
    };
    let before = now().minus(Duration::from_secs(3600));
    for (authorization, code) in [
        ("Basic YTpi".to_owned(), "unauthenticated"),
        (claim("app_nobody", now()), "unauthenticated"),
        (claim("app_his", before), "request_expired"),
    ] {
        let mut client = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &format!("localhost:{}", site.port)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl");
        // The rest never comes, and the line stays open.
        let mut line = client.stdin.take().expect("stdin");
        let head = format!(
            "POST /v1/data/sign HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\nAuthorization: {authorization}\r\n\r\n{{"
        );
        line.write_all(head.as_bytes()).expect("sent");
        let (mut said, mut some) = (Vec::new(), [0; 1024]);
        let mut from = client.stdout.take().expect("stdout");
        while !String::from_utf8_lossy(&said).contains("\"text\"") {
            match from.read(&mut some).expect("read") {
                0 => break,
                bytes => said.extend_from_slice(&some[..bytes]),
            }
        }
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(
            said.starts_with("HTTP/1.1 401") && said.contains(&format!("\"{code}\"")),
            "{said}"
        );
        client.kill().expect("ended");
        client.wait().expect("ended");
    }
}
