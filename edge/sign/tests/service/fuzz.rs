//! Whatever somebody sends an application's interface: an answer that is no failure of the server, and the next honest
//! request is served. Long runs: `cargo xtask fuzz http`.

use kit::fuzz::{Changes, cases, der};
use serde_json::{Value, json};

use crate::site::{Site, b64, switch};

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const XML: (&str, &str) = ("content-type", "text/xml; charset=utf-8");

/// What JSON, forms, XML and Base64 trip over.
const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"%00",
    b"&",
    b"=",
    b"<!DOCTYPE x [<!ENTITY e \"e\">]>",
    b"&e;",
    b"<![CDATA[",
    b"]]>",
    b"\r\n\r\n",
    b"AAAA",
    b"====",
];

struct Sent {
    path: String,
    kind: (&'static str, &'static str),
    body: Vec<u8>,
}

/// One request to every act, as an application would make it.
fn requests(message: &str) -> Vec<Sent> {
    let rx = b64("处方");
    let post = |path: &str, body: Value| Sent {
        path: path.to_owned(),
        kind: JSON,
        body: body.to_string().into_bytes(),
    };
    let svs = |operation: &str, request: Value| {
        let kind = operation[..1].to_lowercase() + &operation[1..];
        let body = json!({"version": "v1", "reqType": kind, "request": request, "reqTime": "20261121060000Z"});
        post(&format!("/svs/{operation}"), body)
    };
    let form = "keyIndex=1&signMethod=131585&inData=5aSE5pa5&inDataLen=6&keyValue=";
    let soap = "<?xml version=\"1.0\"?><e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><SOF_SignData \
         xmlns=\"urn:yiqiao:signd:sof\"><CertID>1</CertID><InData>rx</InData></SOF_SignData></e:Body></e:Envelope>";
    vec![
        post("/v1/data/sign", json!({"key": 1, "data": rx})),
        post("/v1/data/verify", json!({"data": rx, "signature": message})),
        post("/v1/message/sign", json!({"data": rx, "attached": true})),
        post("/v1/message/verify", json!({"message": message, "data": rx})),
        post("/v1/xml/verify", json!({"document": b64("<a/>")})),
        post("/v1/pdf/verify", json!({"document": b64("%PDF-1.7")})),
        svs(
            "SignData",
            json!({"signMethod": "131585", "keyIndex": "1", "keyValue": "", "inDataLen": "6", "inData": rx}),
        ),
        svs("ParseCert", json!({"infoType": "49", "cert": message})),
        svs(
            "VerifySignedMessage",
            json!({"inData": rx, "signedMessage": message, "originalText": "FALSE"}),
        ),
        Sent {
            path: "/svs/SignData".to_owned(),
            kind: FORM,
            body: form.as_bytes().to_vec(),
        },
        Sent {
            path: "/soap".to_owned(),
            kind: XML,
            body: soap.as_bytes().to_vec(),
        },
    ]
}

#[tokio::test]
async fn no_request_whatever_breaks_the_server() {
    let site = Site::with(&["sm2"], "", |engine| switch(engine, true));
    let his = site.his();
    let sign = json!({"data": b64("处方")});
    let message = his.post("/v1/message/sign", sign.clone()).await.done()["message"]
        .as_str()
        .expect("message")
        .to_owned();
    let signed = crate::site::unb64(&json!(message));
    let (mut answered, mut refused) = (0, 0);
    for number in 0..cases(600) {
        let changes = &mut Changes::of(number);
        // Half of them are sound on the outside and carry a message that is not.
        let message = if changes.below(2) == 0 {
            b64(der::bent(&signed, changes))
        } else {
            message.clone()
        };
        let mut requests = requests(&message);
        let at = changes.below(requests.len());
        let mut sent = requests.swap_remove(at);
        if changes.below(2) == 0 {
            changes.change(&mut sent.body, WORDS);
        }
        let kind = if changes.below(8) == 0 {
            *changes.one(&[JSON, FORM, XML])
        } else {
            sent.kind
        };
        let answer = his.send(&sent.path, &[kind], sent.body.clone()).await;
        // SOAP 1.1 (6.2) wants 500 for whatever it refuses.
        let fault = answer.bytes.windows(12).any(|words| words == b"<soap:Fault>");
        assert!(
            !answer.status.is_server_error() || fault,
            "case {number}: {} {} {}",
            sent.path,
            answer.status,
            String::from_utf8_lossy(&answer.bytes)
        );
        if answer.status.is_success() {
            answered += 1;
        } else {
            refused += 1;
        }
    }
    assert!(answered > 0 && refused > 0, "{answered} {refused}");
    his.post("/v1/message/sign", sign).await.done();
}
