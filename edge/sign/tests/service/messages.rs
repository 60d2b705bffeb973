//! Raw signatures and signed messages, with openssl at the other end.

use gm::certificate::Purpose;
use serde_json::json;

use crate::site::{CODE, Site, b64, unb64};

const RX: &[u8] = "处方：阿莫西林胶囊 0.25g×24粒".as_bytes();

/// Public key of an answered certificate, for openssl.
fn public_key(site: &Site, certificate: &[u8]) {
    site.write("cert.der", certificate);
    site.must(
        "openssl",
        &[
            "x509", "-inform", "DER", "-in", "cert.der", "-pubkey", "-noout", "-out", "pub.pem",
        ],
    );
}

/// Every algorithm signs; openssl verifies it, and refuses it over other data.
///
/// Rows: AP-223, AP-224, AP-228, AP-229, AP-242, AP-243, AP-253
#[tokio::test]
async fn raw_signatures_of_every_algorithm_are_verified_by_openssl() {
    let site = Site::new(&["sm2", "rsa2048", "p256"]);
    let his = site.his();
    site.write("rx", RX);
    site.write("other", b"other");
    let pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
    let cases: [(u32, &str, &str, &[&str]); 6] = [
        (1, "SM2-SM3", "-sm3", &["-sigopt", "distid:1234567812345678"]),
        (2, "RSA-PKCS1-SHA256", "-sha256", &[]),
        (2, "RSA-PKCS1-SHA512", "-sha512", &[]),
        (2, "RSA-PSS-SHA256", "-sha256", &pss),
        (2, "RSA-PSS-SHA384", "-sha384", &pss),
        (3, "ECDSA-P256-SHA256", "-sha256", &[]),
    ];
    for (key, algorithm, digest, options) in cases {
        let asked = json!({"key": key, "access_code": CODE, "algorithm": algorithm, "data": b64(RX)});
        let signed = his.post("/v1/data/sign", asked).await.done();
        assert_eq!((&signed["key"], &signed["algorithm"]), (&json!(key), &json!(algorithm)));
        public_key(&site, &unb64(&signed["certificate"]));
        site.write("sig", unb64(&signed["signature"]));
        let verify = [&["dgst", digest, "-verify", "pub.pem"], options, &["-signature", "sig"]].concat();
        let said = site.must("openssl", &[&verify[..], &["rx"]].concat());
        assert!(said.contains("Verified OK"), "{algorithm}: {said}");
        assert!(
            !site.run("openssl", &[&verify[..], &["other"]].concat()).0,
            "{algorithm}"
        );

        let mut verify = json!({"certificate": signed["certificate"], "algorithm": algorithm, "data": b64(RX),
            "signature": signed["signature"]});
        let seen = his.post("/v1/data/verify", verify.clone()).await.done();
        assert_eq!(seen["signer"], "签名服务器");
        assert_eq!(seen["path"].as_array().map(Vec::len), Some(3), "leaf, issuing, root");
        verify["data"] = json!(b64("other"));
        assert_eq!(his.post("/v1/data/verify", verify).await.refused(), "signature_invalid");
        site.logged("signature_invalid");
        // The entry names the key, its certificate and the digest of what was signed.
        let entry = site
            .log()
            .into_iter()
            .find(|(act, ..)| act == "data.signed")
            .expect("entry");
        let sm3 = hex::encode(gm::sm3(RX));
        assert!(
            entry.2.starts_with(&format!("key {key} serial ")) && entry.2.contains(&sm3),
            "{entry:?}"
        );
        assert_eq!(entry.1, "app_his");
    }
    // SM2 by digest and under another user id.
    let asked = json!({"data": b64(RX), "signer_id": "doctor@hospital"});
    let signed = his.post("/v1/data/sign", asked).await.done();
    public_key(&site, &unb64(&signed["certificate"]));
    site.write("sig", unb64(&signed["signature"]));
    let verify = [
        "dgst",
        "-sm3",
        "-verify",
        "pub.pem",
        "-sigopt",
        "distid:doctor@hospital",
        "-signature",
        "sig",
        "rx",
    ];
    assert!(site.must("openssl", &verify).contains("Verified OK"));
    let certificate = gm::Certificate::parse(&unb64(&signed["certificate"])).expect("certificate");
    let mut hashing = certificate
        .public_key
        .hashing(gm::Algorithm::Sm2, b"doctor@hospital")
        .expect("z");
    hashing.update(RX);
    let digest = b64(hashing.finish());
    let verify = json!({"certificate": signed["certificate"], "digest": digest, "signature": signed["signature"]});
    his.post("/v1/data/verify", verify).await.done();
    let by_digest = his.post("/v1/data/sign", json!({"digest": digest})).await.done();
    let verify = json!({"certificate": signed["certificate"], "data": b64(RX), "signer_id": "doctor@hospital",
        "signature": by_digest["signature"]});
    his.post("/v1/data/verify", verify).await.done();
}

/// What a person signed with openssl, under another authority's certificate, is verified here.
///
/// Rows: AP-232, AP-233, AP-238, AP-239, AP-254
#[tokio::test]
async fn certificates_of_several_authorities_are_verified_side_by_side() {
    let site = Site::new(&["sm2"]);
    let his = site.his();
    let (certificate, key) = site.foreign.person("王医生", Purpose::Documents, (-1, 365));
    site.write("key.pem", key);
    site.write("rx", RX);
    site.must("openssl", &["dgst", "-sha256", "-sign", "key.pem", "-out", "sig", "rx"]);
    let by_person = json!({"certificate": b64(&certificate.der), "data": b64(RX), "signature": b64(site.read("sig"))});
    let seen = his.post("/v1/data/verify", by_person).await.done();
    assert_eq!(seen["signer"], "王医生");
    let own = his.post("/v1/data/sign", json!({"data": b64(RX)})).await.done();
    let by_server = json!({"certificate": own["certificate"], "data": b64(RX), "signature": own["signature"]});
    assert_eq!(
        his.post("/v1/data/verify", by_server).await.done()["signer"],
        "签名服务器"
    );
}

/// Rows: AP-244, AP-245
#[tokio::test]
async fn messages_with_and_without_content_go_both_ways_with_openssl() {
    let site = Site::new(&["sm2", "rsa2048", "p256"]);
    let his = site.his();
    site.write("rx", RX);
    for key in [2, 3] {
        let attached = json!({"key": key, "access_code": CODE, "data": b64(RX), "attached": true});
        let made = his.post("/v1/message/sign", attached).await.done();
        site.write("attached", unb64(&made["message"]));
        let verify = [
            "cms",
            "-verify",
            "-noverify",
            "-inform",
            "DER",
            "-binary",
            "-out",
            "out",
        ];
        site.must("openssl", &[&verify[..], &["-in", "attached"]].concat());
        assert_eq!(site.read("out"), RX);
        let detached = json!({"key": key, "access_code": CODE, "data": b64(RX), "chain": false});
        let made = his.post("/v1/message/sign", detached).await.done();
        site.write("detached", unb64(&made["message"]));
        site.must(
            "openssl",
            &[&verify[..], &["-in", "detached", "-content", "rx"]].concat(),
        );
        assert_eq!(site.read("out"), RX);
        let asked = json!({"message": made["message"], "data": b64(RX)});
        let seen = his.post("/v1/message/verify", asked).await.done();
        assert_eq!(seen["signers"].as_array().map(Vec::len), Some(1));
        assert!(seen["signed_at"].is_string() && seen["data"].is_null());
        let wrong = json!({"message": made["message"], "data": b64("other")});
        assert_eq!(
            his.post("/v1/message/verify", wrong).await.refused(),
            "signature_invalid"
        );
    }
    // SM2, in the identifiers of GB/T 35275.
    let made = his
        .post("/v1/message/sign", json!({"data": b64(RX), "attached": true}))
        .await
        .done();
    let seen = his
        .post("/v1/message/verify", json!({"message": made["message"]}))
        .await
        .done();
    assert_eq!(unb64(&seen["data"]), RX);
    assert_eq!(seen["signers"][0]["algorithm"], "SM2-SM3");
    site.write("gm", unb64(&made["message"]));
    let shown = site.must("openssl", &["asn1parse", "-inform", "DER", "-in", "gm"]);
    assert!(shown.contains("1.2.156.10197.6.1.4.2.2"), "{shown}");

    // Theirs, verified here.
    let (certificate, key) = site.foreign.person("李医生", Purpose::Documents, (-1, 365));
    site.write("key.pem", key);
    site.write("cert.pem", gm::pem::write("CERTIFICATE", &certificate.der));
    let sign = [
        "cms", "-sign", "-binary", "-signer", "cert.pem", "-inkey", "key.pem", "-outform", "DER", "-in", "rx",
    ];
    site.must("openssl", &[&sign[..], &["-nodetach", "-out", "theirs"]].concat());
    let seen = his
        .post("/v1/message/verify", json!({"message": b64(site.read("theirs"))}))
        .await
        .done();
    assert_eq!((&seen["signer"], unb64(&seen["data"])), (&json!("李医生"), RX.to_vec()));
    site.must("openssl", &[&sign[..], &["-out", "theirs"]].concat());
    let asked = json!({"message": b64(site.read("theirs")), "data": b64(RX)});
    assert_eq!(his.post("/v1/message/verify", asked).await.done()["signer"], "李医生");
}

#[tokio::test]
async fn requests_signed_with_a_key_are_served_over_ipv4_and_ipv6() {
    let site = Site::new(&["sm2"]);
    let body = json!({"data": b64(RX)}).to_string();
    let now = records::Timestamp::from_offset(time::OffsetDateTime::now_utc());
    let now = records::Timestamp::from_seconds(now.as_seconds());
    for (nonce, caller) in [
        ("abcdefgh1", site.caller(None)),
        ("abcdefgh2", site.caller(None).four()),
    ] {
        let line = site.authorization("/v1/message/sign", body.as_bytes(), nonce, now);
        let headers = [("authorization", line.as_str()), ("content-type", "application/json")];
        caller.send("/v1/message/sign", &headers, body.clone()).await.done();
        let again = caller.send("/v1/message/sign", &headers, body.clone()).await;
        assert_eq!(again.refused(), "replayed");
        site.logged("replayed");
    }
}
