//! The hospital stops a clinic, and others send what is not understood.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic")]

mod support;

use std::time::Duration;

use his::Callbacks;
use serde_json::{Value, json};
use support::{Edge, Hospital, quick};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

struct Servers {
    callbacks: Callbacks,
    soap: String,
    mllp: String,
    stop: CancellationToken,
}

async fn serve(edge: &Edge, [soap, mllp]: [u16; 2]) -> Servers {
    let callbacks = Callbacks::new(edge.bridge.clone());
    let stop = CancellationToken::new();
    let router = callbacks.soap_router().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", soap)).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let listener = TcpListener::bind(("127.0.0.1", mllp)).await.unwrap();
    let (own, token) = (callbacks.clone(), stop.clone());
    tokio::spawn(async move { own.serve_mllp(listener, token).await });
    Servers {
        callbacks,
        soap: format!("http://127.0.0.1:{soap}/services/platform"),
        mllp: format!("127.0.0.1:{mllp}"),
        stop,
    }
}

async fn stopped(edge: &Edge) -> Vec<Value> {
    edge.outbox("his.stopclinic").await
}

async fn book(hospital: &Hospital, edge: &Edge, order: &str) -> Value {
    let today = records::Clock::now(&records::SystemClock).local_date();
    let patient = hospital.get("demo").await["patients"][0]["pat_id"].clone();
    for department in edge.done("dict.department.list", json!({})).await.as_array().unwrap() {
        let question = json!({"department_code": department["code"], "doctor_code": null, "from": today.plus_days(1), "to": today.plus_days(10)});
        let slots = edge.done("slot.list", question).await;
        let Some(slot) = slots
            .as_array()
            .unwrap()
            .iter()
            .find(|s| s["left"].as_u64().unwrap() > 0 && s["stopped"] == false)
        else {
            continue;
        };
        let request = json!({"order_number": order, "his_patient_id": patient, "work_id": slot["work_id"], "department_code": slot["department_code"],
            "doctor_code": slot["doctor_code"], "date": slot["date"], "begin": slot["begin"], "end": slot["end"], "fee_fen": slot["fee_fen"]});
        edge.write("slot.lock", order, request).await.done().unwrap();
        return slot.clone();
    }
    panic!("no free slot")
}

async fn wait_until(mut holds: impl AsyncFnMut() -> bool) {
    let until = tokio::time::Instant::now() + Duration::from_secs(120);
    while !holds().await {
        assert!(tokio::time::Instant::now() < until, "never happens");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Rows: YZ-H-080
#[tokio::test(flavor = "multi_thread")]
async fn the_hospital_stops_a_clinic_by_soap_and_by_hl7() {
    let ports = kit::ports::free_ports::<2>();
    let (soap, mllp) = (
        format!("http://127.0.0.1:{}/services/platform", ports[0]),
        format!("127.0.0.1:{}", ports[1]),
    );
    let hospital = Hospital::open(&["--callback-soap", &soap, "--callback-mllp", &mllp]);
    let edge = hospital.bridge(hospital.profile(&[], quick)).await;
    let slot = book(&hospital, &edge, "con_stop1").await;
    // The hospital calls before anybody listens, and again until somebody does.
    let answer = hospital
        .post(
            "stop-clinic",
            json!({"workId": slot["work_id"], "reason": "医生临时会诊"}),
        )
        .await;
    let servers = serve(&edge, ports).await;
    wait_until(async || stopped(&edge).await.len() >= 3).await;
    let notices = stopped(&edge).await;
    assert!(
        notices.iter().all(|n| n["work_id"] == slot["work_id"]
            && n["doctor_code"] == slot["doctor_code"]
            && n["date"] == slot["date"]),
        "{notices:?}"
    );
    let by_soap = notices
        .iter()
        .find(|n| n["notice_id"] == answer["noticeId"])
        .unwrap_or_else(|| panic!("{notices:?}"));
    assert_eq!(
        (&by_soap["order_numbers"], &by_soap["reason"]),
        (&json!(["con_stop1"]), &json!("医生临时会诊"))
    );
    assert!(
        notices
            .iter()
            .any(|n| n["notice_id"] != answer["noticeId"] && n["order_numbers"] == json!(["con_stop1"])),
        "SIU^S15"
    );
    assert!(
        notices
            .iter()
            .any(|n| n["notice_id"] != answer["noticeId"] && n["order_numbers"] == json!([])),
        "SIU^S23"
    );
    // An old notice once more is accepted and changes nothing.
    let before = notices.len();
    hospital.post("stop-clinic", json!({"again": answer["noticeId"]})).await;
    let calls = async |transport: &str, code: &str| {
        let all = hospital.calls().await;
        let of = |c: &&Value| c["transport"] == transport && c["code"] == code && c["key"] == answer["noticeId"];
        all.iter().filter(of).count()
    };
    wait_until(async || calls("soap-out", "1").await >= 1 && calls("mllp-out", "AA").await >= 2).await;
    assert!(
        stopped(&edge)
            .await
            .iter()
            .filter(|n| n["notice_id"] == answer["noticeId"])
            .count()
            == 1
    );
    assert_eq!(stopped(&edge).await.len(), before);
    assert!(servers.callbacks.rejected(9).await.unwrap().is_empty());
    servers.stop.cancel();
}

fn envelope(method: &str, inner: &str) -> String {
    let escaped = his::xml::escape(inner).into_owned();
    format!(
        "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><{method} xmlns=\"http://tempuri.org/\"><requestXml>{escaped}</requestXml></{method}></s:Body></s:Envelope>"
    )
}

const GOOD: &str = "<request><params><noticeId>T9</noticeId><deptCode>K01</deptCode><doctorCode>D0001</doctorCode><scheduleDate>2026-11-23</scheduleDate><orderList></orderList></params></request>";

/// Rows: YZ-H-080
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_answered_kept_and_changes_nothing() {
    let hospital = Hospital::open(&[]);
    let edge = hospital.bridge(hospital.profile(&[], quick)).await;
    let servers = serve(&edge, kit::ports::free_ports::<2>()).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = async |body: Vec<u8>, content_type: &str| {
        let answer = http
            .post(&servers.soap)
            .header("content-type", content_type)
            .body(body)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let wsdl = http
        .get(format!("{}?wsdl", servers.soap))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let wsdl = his::xml::parse(&wsdl).unwrap();
    assert!(wsdl.find("portType").is_some_and(|p| p.child("operation").is_some()));

    let deep = "<a>".repeat(100);
    let missing = GOOD.replace("<doctorCode>D0001</doctorCode>", "");
    let nonsense = GOOD.replace("2026-11-23", "morgen");
    let table: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("not XML", b"hello".to_vec(), 500, "Fault"),
        (
            "cut off",
            envelope("stopReg", GOOD).into_bytes()[..200].to_vec(),
            500,
            "Fault",
        ),
        (
            "document type",
            b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>".to_vec(),
            500,
            "Fault",
        ),
        ("too deep", deep.into_bytes(), 500, "Fault"),
        ("no text at all", vec![0xff, 0xfe, 0xff, 0x00, 0x80], 500, "Fault"),
        (
            "other operation",
            envelope("dropTables", GOOD).into_bytes(),
            500,
            "Fault",
        ),
        (
            "inner is not XML",
            envelope("stopReg", "停诊").into_bytes(),
            200,
            "resultCode&gt;-1",
        ),
        (
            "missing doctor",
            envelope("stopReg", &missing).into_bytes(),
            200,
            "resultCode&gt;-1",
        ),
        (
            "no date",
            envelope("stopReg", &nonsense).into_bytes(),
            200,
            "resultCode&gt;-1",
        ),
    ];
    let wrong = table.len();
    for (name, body, status, words) in table {
        let (got, text) = post(body, "text/xml; charset=utf-8").await;
        assert!(got == status && text.contains(words), "{name}: {got} {text}");
    }
    let (status, text) = post(vec![b'a'; 2 * 1024 * 1024], "text/xml").await;
    assert!(status == 500 && text.contains("Fault"), "{status} {text}");
    assert!(stopped(&edge).await.is_empty());
    let rejected = servers.callbacks.rejected(99).await.unwrap();
    assert_eq!(rejected.len(), wrong + 1, "the oversized one is kept too");
    // In another charset than declared, twice: accepted, then accepted before.
    let gbk = encoding_rs::GBK
        .encode(&envelope(
            "stopReg",
            &GOOD.replace("<orderList>", "<reason>临时会诊</reason><orderList>"),
        ))
        .0
        .into_owned();
    assert!(
        post(gbk.clone(), "text/xml; charset=utf-8")
            .await
            .1
            .contains("resultCode&gt;0")
    );
    assert!(post(gbk, "text/xml; charset=utf-8").await.1.contains("resultCode&gt;1"));
    assert_eq!(stopped(&edge).await.len(), 1);
    assert_eq!(stopped(&edge).await[0]["reason"], "临时会诊");
    servers.stop.cancel();
}

/// Says all there is to say; the answer is whole when the other side closes, too.
async fn say(address: &str, frames: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(frames).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut all = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut all)).await;
    ended.unwrap().unwrap();
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn hl7_that_is_not_understood_is_answered_by_its_rules() {
    let hospital = Hospital::open(&[]);
    let edge = hospital.bridge(hospital.profile(&[], quick)).await;
    let servers = serve(&edge, kit::ports::free_ports::<2>()).await;
    let siu = |id: &str, kind: &str, version: &str, modes: &str, rest: &str| {
        his::hl7::frame(
            format!("MSH|^~\\&|HIS|H01|YIQIAO|H01|20261121||{kind}|{id}|P|{version}|||{modes}||UNICODE UTF-8\r{rest}")
                .as_bytes(),
        )
    };
    let good =
        "SCH|con_1|H1||||STOP^会诊|||||^^^202611230800^202611231200\rRGS|1\rAIS|1||W1\rAIP|1||D0001^张\rAIL|1||K01\r";
    let kind = "SIU^S15^SIU_S12";
    let table = [
        (
            "unknown event",
            siu("1", "SIU^S99^X", "2.5", "|", good),
            vec!["MSA|AR|1", "ERR|||201"],
        ),
        (
            "unknown type",
            siu("2", "ORU^R01", "2.5", "|", good),
            vec!["MSA|AR|2", "ERR|||200"],
        ),
        (
            "other version",
            siu("3", kind, "9.9", "|", good),
            vec!["MSA|AR|3", "ERR|||203"],
        ),
        (
            "missing doctor",
            siu("4", kind, "2.5", "|", "SCH|con_1\rAIL|1||K01\r"),
            vec!["MSA|AE|4", "ERR|||101"],
        ),
        (
            "missing doctor, enhanced",
            siu("5", kind, "2.5", "AL|AL", "SCH|con_1\r"),
            vec!["MSA|CA|5", "MSA|AE|5"],
        ),
        (
            "unknown event, enhanced",
            siu("6", "SIU^S99", "2.5", "AL|AL", good),
            vec!["MSA|CR|6"],
        ),
        ("no message", his::hl7::frame(b"PID|1|2"), vec!["MSA|AR"]),
    ];
    let wrong = table.len();
    for (name, frame, expected) in table {
        let answer = say(&servers.mllp, &frame).await;
        assert!(expected.iter().all(|e| answer.contains(e)), "{name}: {answer:?}");
        assert_eq!(
            answer.matches("MSA|").count(),
            expected.iter().filter(|e| e.starts_with("MSA")).count(),
            "{name}: {answer:?}"
        );
    }
    assert!(stopped(&edge).await.is_empty());
    assert_eq!(servers.callbacks.rejected(99).await.unwrap().len(), wrong);
    // Two in one packet, one of them again on a new connection, and quiet modes.
    let both = [siu("7", kind, "2.5", "|", good), siu("8", kind, "2.4", "AL|NE", good)].concat();
    let answer = say(&servers.mllp, &both).await;
    assert!(
        answer.contains("MSA|AA|7") && answer.contains("MSA|CA|8") && !answer.contains("MSA|AA|8"),
        "{answer:?}"
    );
    assert!(
        say(&servers.mllp, &siu("7", kind, "2.5", "|", good))
            .await
            .contains("MSA|AA|7")
    );
    assert_eq!(stopped(&edge).await.len(), 2);
    servers.stop.cancel();
}
