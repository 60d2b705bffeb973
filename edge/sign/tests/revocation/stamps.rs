//! Time stamps, and evidence that outlives its authority.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bench_ca::Kind;
use gm::cms::Content;
use gm::stamp::{Imprint, Request, Token};
use gm::trust::{By, Failure, Rule, verify_kept};
use gm::{Certificate, Hash, Trust};
use serde_json::json;
use time::OffsetDateTime;

use crate::ca::Ca;
use crate::site::{HOSPITAL, file};
use crate::works::Works;

async fn stamp(works: &Works, path: &str, query: Vec<u8>) -> Vec<u8> {
    let url = format!("https://127.0.0.1:{}{path}", works.port);
    let request = works
        .app
        .post(url)
        .header("content-type", "application/timestamp-query")
        .body(query);
    let answered = request.send().await.expect("answered");
    assert_eq!(answered.headers()["content-type"], "application/timestamp-reply");
    answered.bytes().await.expect("body").to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn stamps_of_rsa_and_sm2_units_and_evidence_that_outlives_its_authority() {
    let mut ca = Ca::new(Kind::Rsa);
    let works = Works::new(&[&ca]).await;
    works.rule("crl", true).await;
    // A unit of ours with SM2, one of a foreign authority with RSA.
    works
        .admin
        .post("keys", json!({"label": "时间戳", "algorithm": "sm2"}))
        .await
        .done();
    let unit = json!({"organization": HOSPITAL, "name": "时间戳服务"});
    works.admin.post("stamping/keys/2/certify", unit).await.done();
    works.admin.post("keys/2/activate", json!({})).await.done();
    works
        .admin
        .post("keys", json!({"label": "时间戳 RSA", "algorithm": "rsa2048"}))
        .await
        .done();
    let asked = json!({"organization": HOSPITAL, "common_name": "时间戳 RSA"});
    let request = works.admin.post("keys/3/request", asked).await.done();
    let own = ca.certify("unit", "stamps", request["pem"].as_str().expect("request"));
    works
        .admin
        .post(
            "keys/3/certificate",
            json!({"files": [file(&own.der), file(&ca.root.der)]}),
        )
        .await
        .done();
    works.admin.post("keys/3/activate", json!({})).await.done();
    assert_eq!(
        works.admin.put("stamping", json!({"keys": [1]})).await.refused(),
        "certificate_usage"
    );
    works
        .admin
        .put(
            "stamping",
            json!({"keys": [2, 3], "policy": "1.2.3.4.1", "accuracy_ms": 500}),
        )
        .await
        .done();

    // openssl asks and judges.
    let folder = works.site.dir.path();
    let openssl = |arguments: &[&str]| {
        let out = std::process::Command::new("openssl")
            .args(arguments)
            .current_dir(folder)
            .output()
            .expect("openssl");
        let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        assert!(out.status.success(), "{arguments:?}: {said}");
        said
    };
    std::fs::write(folder.join("rx.txt"), "处方").expect("written");
    std::fs::write(folder.join("root.pem"), gm::pem::write("CERTIFICATE", &ca.root.der)).expect("written");
    openssl(&["ts", "-query", "-data", "rx.txt", "-sha256", "-cert", "-out", "rx.tsq"]);
    let query = std::fs::read(folder.join("rx.tsq")).expect("query");
    std::fs::write(folder.join("rx.tsr"), stamp(&works, "/tsa/3", query.clone()).await).expect("written");
    let said = openssl(&[
        "ts",
        "-verify",
        "-queryfile",
        "rx.tsq",
        "-in",
        "rx.tsr",
        "-CAfile",
        "root.pem",
    ]);
    assert!(said.contains("OK"), "{said}");
    let first = openssl(&["ts", "-reply", "-in", "rx.tsr", "-text"]);
    std::fs::write(folder.join("rx.tsr"), stamp(&works, "/tsa/3", query).await).expect("written");
    let second = openssl(&["ts", "-reply", "-in", "rx.tsr", "-text"]);
    let serial = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("Serial number"))
            .map(str::to_owned)
    };
    assert!(
        serial(&first).is_some() && serial(&first) != serial(&second),
        "{first}{second}"
    );
    assert!(first.contains("tsa_policy1"), "openssl's name of 1.2.3.4.1: {first}");

    // The SM2 unit.
    let asked = Request::over(Hash::Sm3, "处方".as_bytes()).with_nonce(&[7; 16]);
    let token = asked
        .accept(&stamp(&works, "/tsa", asked.to_der()).await)
        .expect("a fitting reply");
    let now = OffsetDateTime::now_utc();
    let signed = json!({"data": file("处方"), "stamp": true, "evidence": true});
    let signed = works.ask("/v1/message/sign", signed).await.done();
    let message = STANDARD
        .decode(signed["message"].as_str().expect("message"))
        .expect("Base64");
    let read = gm::cms::Message::read(&message, gm::cms::Profile::default()).expect("message");
    let root: Vec<&Certificate> = read.certificates.iter().filter(|one| one.is_self_issued()).collect();
    let trust = Trust::new(root.iter().map(|one| &one.der)).expect("root");
    let issuing = read
        .certificates
        .iter()
        .filter(|one| one.authority.is_some() && !one.is_self_issued());
    let trust = trust.with_authorities(issuing.map(|one| &one.der)).expect("issuing");
    let stamped = Token::read(&token).expect("token");
    let stamped = stamped
        .verify(&Imprint::of(Hash::Sm3, "处方".as_bytes()), &trust, now)
        .expect("stamped");
    assert_eq!(stamped.unit.subject.common_name, "时间戳服务");

    by_web_service(&works).await;

    // A stamping key signs nothing, and no stamp is made for who may not have one.
    works
        .ask("/v1/data/sign", json!({"data": "AAAA", "key": 2}))
        .await
        .refused();

    // Three years later, everyone gone: the signature with its stamp and its evidence is enough.
    ca.die();
    let rule = Rule {
        by: By::Crl,
        failure: Failure::Hard,
    };
    let later = now + time::Duration::days(1_000);
    let kept = verify_kept(
        &message,
        Content::Bytes("处方".as_bytes()),
        (&trust, &trust),
        rule,
        None,
        later,
    );
    let kept = kept.expect("holds").accepted().expect("not revoked then");
    assert!(kept.stamp.is_some());
    let verify = json!({"message": signed["message"], "data": file("处方"), "evidence": true});
    let seen = works.ask("/v1/message/verify", verify).await.done();
    assert!(
        seen["signers"][0]["stamped_at"].is_string() && seen["evidence"].is_string(),
        "{seen}"
    );
}

/// A hospital's system that knows the web service alone asks for a stamp, has it made and verified, and reads it.
async fn by_web_service(works: &Works) {
    let on = json!({"enabled": true});
    works.operator.put("settings/web-service", on).await.done();
    let call = async |operation: &str, parameters: &[(&str, &str)]| -> Result<String, String> {
        let inside = parameters
            .iter()
            .map(|(name, value)| format!("<{name}>{value}</{name}>"));
        let inside: String = inside.collect();
        let body = format!(
            "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><{operation} xmlns=\"urn:yiqiao:signd:sof\">{inside}</{operation}></e:Body></e:Envelope>"
        );
        let url = format!("https://127.0.0.1:{}/soap", works.port);
        let request = works.app.post(url).header("content-type", "text/xml").body(body);
        let text = request.send().await.expect("answered").text().await.expect("text");
        let between = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            rest.split_once(&format!("</{name}>"))
                .map(|(inside, _)| inside.to_owned())
        };
        between("return").ok_or_else(|| between("code").unwrap_or_else(|| panic!("{operation}: {text}")))
    };
    let done = async |operation: &str, parameters: &[(&str, &str)]| {
        let answered = call(operation, parameters).await;
        answered.unwrap_or_else(|code| panic!("{operation}: {code}"))
    };
    let query = done("SOF_CreateTimeStampRequest", &[("InData", "处方")]).await;
    let asked = Request::read(&STANDARD.decode(&query).expect("Base64")).expect("a request");
    assert_eq!(asked.imprint, Imprint::of(Hash::Sm3, "处方".as_bytes()));
    let reply = done("SOF_CreateTimeStampResponse", &[("TsRequest", &query)]).await;
    let der = STANDARD.decode(&reply).expect("Base64");
    asked.accept(&der).expect("an answer to that request");
    let over = [("InData", "处方"), ("TsResponse", reply.as_str())];
    assert_eq!(done("SOF_VerifyTimeStamp", &over).await, "true");
    let other = [("InData", "处"), ("TsResponse", reply.as_str())];
    let refused = call("SOF_VerifyTimeStamp", &other).await;
    assert_eq!(refused, Err("stamp_invalid".to_owned()));
    let info = async |item: &str| done("SOF_GetTimeStampInfo", &[("TsResponse", &reply), ("Type", item)]).await;
    assert!(info("1").await.starts_with("20"));
    assert_eq!(info("2").await, "时间戳服务");
    let unit = Certificate::parse(&STANDARD.decode(info("3").await).expect("Base64")).expect("certificate");
    assert_eq!(unit.subject.common_name, "时间戳服务");
    assert_eq!(info("4").await, STANDARD.encode(gm::sm3("处方".as_bytes())));
    let five = [("TsResponse", reply.as_str()), ("Type", "5")];
    assert_eq!(call("SOF_GetTimeStampInfo", &five).await, Err("info_type".to_owned()));
    for broken in ["AAAA", &reply[..reply.len() / 2 / 4 * 4]] {
        let refused = call("SOF_VerifyTimeStamp", &[("InData", "处方"), ("TsResponse", broken)]).await;
        assert_eq!(refused, Err("stamp_invalid".to_owned()));
    }
}
