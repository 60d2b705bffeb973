//! Certificates: found, read, judged.

use gm::Signer as _;
use gm::certificate::Purpose;
use gm::key::Sm2Key;
use serde_json::json;

use crate::site::{Site, b64, keep, unb64};

/// Rows: AP-250
#[tokio::test]
async fn applications_get_kept_certificates_by_serial_number_and_fingerprint() {
    let mut site = Site::new(&["sm2"]);
    let (patient, _) = site.foreign.person("王患者", Purpose::Documents, (-1, 365));
    site.again("", |engine| keep(engine, &patient));
    let his = site.his();
    let fingerprint = hex::encode(gm::key::sha256(&patient.der));
    for id in [patient.serial_hex(), patient.serial_hex().to_uppercase(), fingerprint] {
        let found = his.post("/v1/certificate/find", json!({"id": id})).await.done();
        assert_eq!(unb64(&found[0]["certificate"]), patient.der, "{id}");
    }
    let signed = his.post("/v1/data/sign", json!({"data": b64("x")})).await.done();
    let own = his.post("/v1/certificate/find", json!({"id": "1"})).await.done();
    assert_eq!(own[0]["certificate"], signed["certificate"]);
    // A kept certificate need not be sent to verify under it.
    let by_serial = json!({"serial": own[0]["serial"], "data": b64("x"), "signature": signed["signature"]});
    his.post("/v1/data/verify", by_serial).await.done();
    let unknown = his.post("/v1/certificate/find", json!({"id": "0badc0ffee"})).await;
    assert_eq!(unknown.refused(), "certificate_id");
    site.logged("certificate_id");
    assert_eq!(
        his.post("/v1/certificate/find", json!({"id": "9"})).await.refused(),
        "key_not_permitted"
    );
    assert_eq!(
        his.post("/v1/certificate/find", json!({"id": "x y z"})).await.refused(),
        "certificate_id"
    );
    site.logged("certificate_id");
}

#[tokio::test]
async fn a_certificate_is_read_item_by_item_and_judged_with_its_reason() {
    let site = Site::new(&["sm2"]);
    let his = site.his();
    let (good, _) = site.foreign.person("王医生", Purpose::Documents, (-1, 365));
    let items = his
        .post("/v1/certificate/read", json!({"certificate": b64(&good.der)}))
        .await
        .done();
    assert_eq!(items.as_array().map(Vec::len), Some(gm::certificate::Info::ALL.len()));
    let one = his
        .post(
            "/v1/certificate/read",
            json!({"certificate": b64(&good.der), "item": 0x31}),
        )
        .await
        .done();
    assert_eq!(one, json!([{"item": 0x31, "text": "王医生"}]));
    let unknown = json!({"certificate": b64(&good.der), "item": 0x7777});
    assert_eq!(his.post("/v1/certificate/read", unknown).await.refused(), "info_type");
    let broken = json!({"certificate": b64(&good.der[..100])});
    assert_eq!(
        his.post("/v1/certificate/read", broken).await.refused(),
        "certificate_decode"
    );

    let stranger = crate::site::Authority::new("外人", time::OffsetDateTime::now_utc());
    let (foreign, _) = stranger.person("外人", Purpose::Documents, (-1, 365));
    let (old, _) = site.foreign.person("旧", Purpose::Documents, (-300, -1));
    let (new, _) = site.foreign.person("新", Purpose::Documents, (1, 365));
    for (certificate, level, expected) in [
        (&good, "time", ""),
        (&good, "chain", ""),
        (&good, "policy", ""),
        (&good, "revocation", "revocation_unreachable"),
        (&old, "time", "certificate_expired"),
        (&old, "chain", "certificate_expired"),
        (&new, "time", "certificate_not_yet_valid"),
        (&foreign, "time", ""),
        (&foreign, "chain", "chain_unknown"),
    ] {
        let asked = json!({"certificate": b64(&certificate.der), "level": level});
        let answer = his.post("/v1/certificate/validate", asked).await;
        if expected.is_empty() {
            answer.done();
        } else {
            assert_eq!(answer.refused(), expected, "{level}");
            site.logged(expected);
        }
    }
    // An authority's key may sign certificates, not documents.
    let key = Sm2Key::generate().expect("key");
    let tls = site
        .foreign
        .certify("接口", key.public_key(), Purpose::Encryption, (-1, 30));
    let signature = b64(key.sign(b"x").expect("signed"));
    let asked = json!({"certificate": b64(&tls.der), "data": b64("x"), "signature": signature});
    assert_eq!(his.post("/v1/data/verify", asked).await.refused(), "wrong_usage");
    site.logged("wrong_usage");
}
