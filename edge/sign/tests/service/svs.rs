//! The messages of GB/T 38629 in their three forms.

use gm::certificate::Purpose;
use gm::der::{self, Reader, tag};
use serde_json::{Value, json};

use crate::site::{App, CODE, Site, b64, unb64};

const RX: &[u8] = "处方".as_bytes();
const SM3_SM2: &str = "131585";
const SHA256_RSA: &str = "65540";

async fn ask(his: &App, operation: &str, request: Value) -> Value {
    let kind = operation[..1].to_lowercase() + &operation[1..];
    let body = json!({"version": "v1", "reqType": kind, "request": request, "reqTime": "20261121060000Z"});
    let answer = his.post(&format!("/svs/{operation}"), body).await;
    let json = answer.json();
    assert_eq!(
        (&json["version"], &json["respType"]),
        (&json!("v1"), &json!(kind)),
        "{json}"
    );
    json["respond"].clone()
}

async fn form(his: &App, operation: &str, pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(pairs);
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("svs-request-version", "v1"),
    ];
    let answer = his.send(&format!("/svs/{operation}"), &headers, body.finish()).await;
    assert_eq!(answer.headers["svs-response-version"], "v1");
    assert!(answer.headers.contains_key("svs-response-time") && answer.headers.contains_key("svs-response-type"));
    form_urlencoded::parse(&answer.bytes).into_owned().collect()
}

/// Every message of the standard, in JSON.
#[tokio::test]
async fn every_message_is_answered_in_json() {
    let site = Site::new(&["sm2", "rsa2048"]);
    let his = site.his();
    let ok = |respond: &Value| assert_eq!(respond["respValue"], "0", "{respond}");
    let number = |code: u32| json!(code.to_string());

    let respond = ask(&his, "ExportCert", json!({"identification": b64("1")})).await;
    ok(&respond);
    let cert = respond["cert"].clone();
    let respond = ask(&his, "ParseCert", json!({"infoType": "49", "cert": cert})).await;
    assert_eq!(unb64(&respond["info"]), "签名服务器".as_bytes());
    let respond = ask(&his, "ValidateCert", json!({"cert": cert, "ocsp": "FALSE"})).await;
    assert_eq!((&respond["respValue"], &respond["state"]), (&json!("0"), &json!("0")));

    let data = json!({"signMethod": SM3_SM2, "keyIndex": "1", "keyValue": "", "inDataLen": RX.len().to_string(), "inData": b64(RX)});
    let signed = ask(&his, "SignData", data.clone()).await;
    ok(&signed);
    let verify = json!({"signMethod": SM3_SM2, "type": "1", "cert": cert, "inDataLen": RX.len().to_string(),
        "inData": b64(RX), "signature": signed["signature"], "verifyLevel": "1"});
    ok(&ask(&his, "VerifySignedData", verify.clone()).await);
    let serial = gm::Certificate::parse(&unb64(&cert)).expect("certificate").serial_hex();
    let mut by_serial = verify.clone();
    by_serial["type"] = json!("2");
    by_serial["certSN"] = json!(b64(serial));
    ok(&ask(&his, "VerifySignedData", by_serial).await);

    let init = json!({"signMethod": SM3_SM2, "inDataLen": "3", "inData": b64("abc")});
    let session = ask(&his, "SignDataInit", init.clone()).await["sessionID"].clone();
    ok(&ask(
        &his,
        "SignDataUpdate",
        json!({"sessionID": session, "inDataLen": "3", "inData": b64("def")}),
    )
    .await);
    let long = ask(
        &his,
        "SignDataFinal",
        json!({"sessionID": session, "keyIndex": "1", "keyValue": ""}),
    )
    .await;
    ok(&long);
    let public_key = gm::Certificate::parse(&unb64(&cert))
        .expect("certificate")
        .public_key
        .to_spki();
    let mut init = init;
    init["signerPublicKey"] = json!(b64(public_key));
    let session = ask(&his, "VerifySignedDataInit", init).await["sessionID"].clone();
    ok(&ask(
        &his,
        "VerifySignedDataUpdate",
        json!({"sessionID": session, "inDataLen": "3", "inData": b64("def")}),
    )
    .await);
    let last =
        json!({"sessionID": session, "type": "1", "cert": cert, "signature": long["signature"], "verifyLevel": "0"});
    ok(&ask(&his, "VerifySignedDataFinal", last).await);

    // RSA by parts: no key is named before the end, where its code is asked for.
    let init = json!({"signMethod": SHA256_RSA, "inDataLen": "3", "inData": b64("abc")});
    let session = ask(&his, "SignDataInit", init).await["sessionID"].clone();
    let more = json!({"sessionID": session, "inDataLen": "3", "inData": b64("def")});
    ok(&ask(&his, "SignDataUpdate", more).await);
    let last = json!({"sessionID": session, "keyIndex": "2", "keyValue": b64(CODE)});
    let signed = ask(&his, "SignDataFinal", last).await;
    ok(&signed);
    let rsa_cert = ask(&his, "ExportCert", json!({"identification": b64("2")})).await["cert"].clone();
    let whole = json!({"signMethod": SHA256_RSA, "type": "1", "cert": rsa_cert, "inDataLen": "6",
        "inData": b64("abcdef"), "signature": signed["signature"], "verifyLevel": "1"});
    ok(&ask(&his, "VerifySignedData", whole).await);
    let init = json!({"signMethod": SHA256_RSA, "inDataLen": "6", "inData": b64("abcdef")});
    let session = ask(&his, "VerifySignedDataInit", init).await["sessionID"].clone();
    let last = json!({"sessionID": session, "type": "1", "cert": rsa_cert, "signature": signed["signature"], "verifyLevel": "1"});
    ok(&ask(&his, "VerifySignedDataFinal", last).await);

    let mut message = data.clone();
    message["originalText"] = json!("TRUE");
    message["certificateChain"] = json!("TRUE");
    let attached = ask(&his, "SignMessage", message).await;
    ok(&attached);
    ok(&ask(
        &his,
        "VerifySignedMessage",
        json!({"signedMessage": attached["signedMessage"]}),
    )
    .await);
    let detached = ask(&his, "SignMessage", data.clone()).await;
    let verify_detached =
        json!({"inDataLen": RX.len().to_string(), "inData": b64(RX), "signedMessage": detached["signedMessage"]});
    ok(&ask(&his, "VerifySignedMessage", verify_detached).await);
    let rsa = json!({"signMethod": SHA256_RSA, "keyIndex": "2", "keyValue": b64(CODE), "inDataLen": RX.len(), "inData": b64(RX)});
    ok(&ask(&his, "SignData", rsa.clone()).await);

    // Each reason has its number.
    let change = |base: &Value, name: &str, value: Value| {
        let mut changed = base.clone();
        changed[name] = value;
        changed
    };
    // The hospital's own authority lists what it revoked; this one's list nobody has.
    ok(&ask(&his, "VerifySignedData", change(&verify, "verifyLevel", json!("2"))).await);
    let (unlisted, _) = site.foreign.person("王医生", Purpose::Documents, (-1, 30));
    for (operation, request, code) in [
        ("ExportCert", json!({"identification": b64("abcdef0123")}), 0x0400_0001),
        ("ParseCert", json!({"infoType": "30583", "cert": cert}), 0x0400_0002),
        (
            "ValidateCert",
            json!({"cert": b64(&unlisted.der), "ocsp": "TRUE"}),
            0x0400_0003,
        ),
        ("SignData", change(&data, "signMethod", json!("1")), 0x0400_0004),
        ("SignData", change(&data, "signMethod", json!(SHA256_RSA)), 0x0400_0004),
        ("SignData", change(&data, "keyIndex", json!("77")), 0x0400_0103),
        (
            "SignData",
            change(&rsa, "keyValue", json!(b64("wrong-code"))),
            0x0400_0006,
        ),
        ("VerifySignedData", change(&verify, "cert", Value::Null), 0x0400_0007),
        (
            "ParseCert",
            json!({"infoType": "1", "cert": b64("not a certificate")}),
            0x0400_0008,
        ),
        (
            "VerifySignedData",
            change(&verify, "inData", json!(b64("处法"))),
            0x0400_000c,
        ),
        ("SignData", change(&data, "inDataLen", json!("7")), 0x0400_000d),
        ("SignData", change(&data, "inData", json!("*")), 0x0400_000d),
        (
            "SignDataUpdate",
            json!({"sessionID": "nobody", "inDataLen": "0", "inData": ""}),
            0x0400_0110,
        ),
        (
            "VerifySignedData",
            change(&verify, "verifyLevel", json!("3")),
            0x0400_000d,
        ),
    ] {
        let respond = ask(&his, operation, request).await;
        assert_eq!(respond["respValue"], number(code), "{operation} {code:#x}");
        assert!(site.newest().2.starts_with("refused "), "{operation} {code:#x}");
    }
}

#[tokio::test]
async fn the_urlencoded_form_and_the_asn1_form_reach_the_same_acts() {
    let site = Site::new(&["sm2"]);
    let his = site.his();
    let length = RX.len().to_string();
    let pairs = [
        ("signMethod", SM3_SM2),
        ("keyIndex", "1"),
        ("keyValue", ""),
        ("inDataLen", length.as_str()),
        ("inData", &b64(RX)),
    ];
    let signed = form(&his, "SignData", &pairs).await;
    assert_eq!(signed[0], ("respValue".to_owned(), "0".to_owned()));
    let cert = form(&his, "ExportCert", &[("identification", &b64("1"))]).await;
    let verify = [
        ("signMethod", SM3_SM2),
        ("type", "1"),
        ("cert", cert[1].1.as_str()),
        ("inData", &b64(RX)),
        ("signature", &signed[1].1),
        ("verifyLevel", "1"),
    ];
    assert_eq!(form(&his, "VerifySignedData", &verify).await[0].1, "0");
    assert_eq!(
        form(&his, "SignData", &[("a", "1"), ("a", "2")]).await[0].1,
        0x0400_000d.to_string()
    );

    // ASN.1, bare and wrapped.
    let number = |n: u32| der::unsigned(&n.to_be_bytes());
    let request = |operation: u8, parts: &[&[u8]], wrapped: bool| {
        let choice = der::constructed(tag::context(operation), parts);
        let choice = if wrapped { der::octets(&choice) } else { choice };
        der::sequence(&[
            &der::unsigned(&[operation]),
            &choice,
            &der::element(0x80, b"20261121060000Z"),
        ])
    };
    let send = async |body: Vec<u8>| {
        let answer = his
            .send("/svs", &[("content-type", "application/octet-stream")], body)
            .await;
        assert_eq!(answer.headers["content-type"], "application/octet-stream");
        answer.bytes
    };
    let respond = |bytes: &[u8], operation: u8, wrapped: bool| -> (Vec<u8>, Option<Vec<u8>>) {
        let mut outer = Reader::new(bytes, "respond").sequence("respond").expect("sequence");
        assert_eq!(outer.small().expect("type"), operation);
        let mut inner = outer.any().expect("respond");
        if wrapped {
            assert_eq!(inner.tag, tag::OCTET_STRING);
            inner = Reader::new(inner.value, "respond").any().expect("respond");
        }
        assert_eq!(inner.tag, tag::context(operation));
        let mut parts = Reader::new(inner.value, "parts");
        let value = parts.unsigned().expect("value").to_vec();
        let payload = (!parts.is_empty()).then(|| parts.any().expect("payload"));
        (
            value,
            payload.map(|e| {
                if e.tag == tag::SEQUENCE {
                    e.raw.to_vec()
                } else {
                    e.value.to_vec()
                }
            }),
        )
    };
    for wrapped in [false, true] {
        let cert = send(request(0, &[&der::octets(b"1")], wrapped)).await;
        let (value, cert) = respond(&cert, 0, wrapped);
        assert_eq!(value, [0]);
        let cert = cert.expect("certificate");
        let data: Vec<u8> = [
            number(0x20201),
            number(1),
            der::octets(b""),
            number(RX.len() as u32),
            der::octets(RX),
        ]
        .concat();
        let (value, signature) = respond(&send(request(3, &[&data], wrapped)).await, 3, wrapped);
        assert_eq!(value, [0]);
        let signature = signature.expect("signature");
        let implicit = der::element(tag::context(0), Reader::new(&cert, "cert").any().expect("cert").value);
        for tagged in [implicit, der::constructed(tag::context(0), &[&cert])] {
            let parts = [
                number(0x20201),
                number(1),
                tagged,
                number(RX.len() as u32),
                der::octets(RX),
                der::octets(&signature),
                number(1),
            ]
            .concat();
            assert_eq!(respond(&send(request(4, &[&parts], wrapped)).await, 4, wrapped).0, [0]);
        }
        let flags = [der::element(0x80, &[0xff]), der::element(0x81, &[0xff])].concat();
        let (value, message) = respond(&send(request(11, &[&data, &flags], wrapped)).await, 11, wrapped);
        assert_eq!(value, [0]);
        let message = message.expect("message");
        for part in [der::octets(&message), message] {
            assert_eq!(respond(&send(request(12, &[&part], wrapped)).await, 12, wrapped).0, [0]);
        }
        // What is cut, lengthened or of another type is refused with the number for its form.
        let good = request(3, &[&data], wrapped);
        let bad = [
            good[..good.len() - 3].to_vec(),
            [&good[..], &[0]].concat(),
            request(3, &[&data, &[5, 0]], wrapped),
            vec![],
        ];
        for bytes in bad {
            assert!(send(bytes).await.windows(4).any(|w| w == [4, 0, 0, 0x0d]));
            site.logged("data_format");
        }
    }
    // A time stamp that does not hold.
    let stamped = der::sequence(&[
        &der::unsigned(&[0]),
        &der::constructed(tag::context(0), &[&der::octets(b"1")]),
        &der::element(0x81, b"no"),
    ]);
    assert!(send(stamped).await.windows(4).any(|w| w == [4, 0, 1, 0x17]));
    site.logged("stamp_invalid");
}
