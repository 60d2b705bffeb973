//! The hospital over SOAP, as a stranger sees it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::hospital::{Hospital, between, read};
use serde_json::json;

fn fee(said: &crate::hospital::Said) -> i64 {
    said.get("regFee").parse::<i64>().unwrap() + said.get("treatFee").parse::<i64>().unwrap()
}

#[test]
fn a_patient_books_pays_is_prescribed_and_refunded_and_the_ledger_is_even() {
    let house = Hospital::open();
    let patient = house.patient(2);
    let id = patient["pat_id"].as_str().unwrap();
    let found = house.call(
        "getMZPatient",
        &[("patIdType", "1"), ("patIdNo", patient["id_number"].as_str().unwrap())],
    );
    assert_eq!((found.code.as_str(), found.get("patId").as_str()), ("0", id));
    let again = house.call("checkRevisit", &[("patId", id), ("deptCode", "K01"), ("days", "90")]);
    assert_eq!((again.get("isFollowUp").as_str(), again.count("code") > 0), ("1", true));
    let elsewhere = house.call("checkRevisit", &[("patId", id), ("deptCode", "K08")]);
    assert_eq!(elsewhere.get("isFollowUp"), "0");

    let lock = house.lock("con_1", id, &house.slot("D0001", 1));
    assert_eq!(lock.code, "0", "{}", lock.message);
    let order = lock.get("hisOrdNum");
    let sum = fee(&lock).to_string();
    let short = house.call(
        "payNetReg",
        &[("hisOrdNum", &order), ("agtOrdNum", "wx1"), ("payAmout", "1")],
    );
    assert_eq!(short.code, "2");
    let paid = house.call(
        "payNetReg",
        &[("hisOrdNum", &order), ("agtOrdNum", "wx1"), ("payAmout", &sum)],
    );
    assert_eq!(paid.code, "0", "{}", paid.message);

    let recipe = format!(
        "<rxNo>rx_1</rxNo><visitId>{}</visitId><patId>{id}</patId><recipeType>1</recipeType><doctorCode>D0001</doctorCode>\
         <diagnosis><item><code>I25.100</code><name>冠心病</name><main>1</main></item></diagnosis><items><item>\
         <drugCode>W0001</drugCode><dose>80</dose><doseUnit>mg</doseUnit><routeCode>PO</routeCode><freqCode>QD</freqCode>\
         <days>14</days><qty>2</qty><qtyUnit>盒</qtyUnit></item></items>",
        paid.get("serialNum")
    );
    let made = read(&house.try_call("addRecipe", &recipe).unwrap().text());
    assert_eq!(made.code, "0", "{}", made.message);
    let bill = made.get("mzFeeId");
    assert_eq!(
        house.call("getMZFeeList", &[("patId", id)]).code,
        "1",
        "not payable before review"
    );
    house.call(
        "auditRecipe",
        &[("rxNo", "rx_1"), ("pharmacistCode", "Y0001"), ("auditResult", "1")],
    );
    let open = house.call("getMZFeeList", &[("patId", id)]);
    assert_eq!(
        (open.get("mzFeeId"), open.get("payAmout")),
        (bill.clone(), "5700".into())
    );
    let money = [
        ("patId", id),
        ("mzFeeIdList", &bill),
        ("payAmout", "5700"),
        ("psOrdNum", "pay_1"),
        ("agtOrdNum", "wx2"),
    ];
    assert_eq!(house.call("ackPayOrder", &money).code, "0");
    assert_eq!(house.call("ackPayOrder", &money).message, "费用已缴");
    let back = [("psOrdNum", "pay_1"), ("psRefOrdNum", "ref_1"), ("refundAmout", "5700")];
    assert_eq!(house.call("refundMZFee", &back).code, "0");
    assert_eq!(house.call("refundMZFee", &back).message, "超过可退金额");
    let back = [
        ("hisOrdNum", order.as_str()),
        ("psRefOrdNum", "ref_2"),
        ("refundAmout", &sum),
    ];
    assert_eq!(house.call("refundNetReg", &back).code, "0");
    assert_eq!(
        house.call("getNetRegStatus", &[("psOrdNum", "con_1")]).get("status"),
        "8"
    );
    let ledger = house.control("/control/ledger", None);
    assert_eq!(ledger["movements"].as_array().unwrap().len(), 4);
    assert_eq!(
        (&ledger["balance_fen"], &ledger["paid_fen"]),
        (&json!(0), &json!(5700 + fee(&lock)))
    );
}

#[test]
fn the_last_number_is_never_sold_twice() {
    let house = Hospital::open();
    let slot = house.slot("D0001", 2);
    let ids: Vec<String> = (0..8)
        .map(|n| house.patient(n)["pat_id"].as_str().unwrap().to_owned())
        .collect();
    let (house, slot) = (&house, &slot);
    let won = std::thread::scope(|scope| {
        let tries: Vec<_> = ids
            .iter()
            .map(|id| scope.spawn(move || house.lock(&format!("con_{id}"), id, slot).code == "0"))
            .collect();
        tries.into_iter().map(|t| t.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(won, 2, "the slot holds two");
    let full = house.lock("con_late", house.patient(9)["pat_id"].as_str().unwrap(), slot);
    assert_eq!(full.message, "号源已满");
}

#[test]
fn a_lock_expires_and_the_number_is_free_again() {
    let house = Hospital::open();
    let slot = house.slot("D0001", 1);
    let order = house.lock("con_1", "P000003", &slot).get("hisOrdNum");
    house.control("/control/clock", Some(json!({"advance_s": 16 * 60})));
    assert_eq!(
        house.call("getNetRegStatus", &[("psOrdNum", "con_1")]).get("status"),
        "4"
    );
    let late = house.call(
        "payNetReg",
        &[("hisOrdNum", &order), ("agtOrdNum", "wx"), ("payAmout", "5000")],
    );
    assert_eq!(late.message, "锁号已过期");
    assert_eq!(house.call("unlockNetReg", &[("hisOrdNum", &order)]).code, "0");
    assert_eq!(house.lock("con_2", "P000003", &slot).code, "0");
}

#[test]
fn keys_count_only_when_told_to_honour_them() {
    let house = Hospital::open();
    let slot = house.slot("D0001", 1);
    assert_eq!(house.lock("con_1", "P000003", &slot).code, "0");
    assert_eq!(house.lock("con_1", "P000003", &slot).code, "2");
    house.control("/control/options", Some(json!({"keys": "honour"})));
    let again = house.lock("con_1", "P000003", &slot);
    assert_eq!(again.code, "0");
    assert_eq!(
        house.control("/control/books", None)["registrations"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_timeout_before_the_work_leaves_nothing_and_one_after_it_leaves_an_order() {
    let house = Hospital::open();
    let slot = house.slot("D0001", 1);
    let params = |key: &str| {
        format!(
            "<psOrdNum>{key}</psOrdNum><patId>P000003</patId><workId>{}</workId><beginTime>{}</beginTime>",
            slot.0, slot.1
        )
    };
    for (kind, key, expected) in [
        ("timeout_before_commit", "con_1", "1"),
        ("timeout_after_commit", "con_2", "0"),
    ] {
        house.control(
            "/control/faults",
            Some(json!({"op": "orderNetReg", "kind": kind, "ms": 50})),
        );
        assert!(house.try_call("orderNetReg", &params(key)).is_err(), "{kind}");
        assert_eq!(
            house.call("getNetRegStatus", &[("psOrdNum", key)]).code,
            expected,
            "{kind}"
        );
    }
    house.control("/control/faults", Some(json!({"op": "unlockNetReg", "kind": "lie"})));
    assert_eq!(house.call("unlockNetReg", &[("psOrdNum", "con_2")]).code, "0");
    assert_eq!(
        house.call("getNetRegStatus", &[("psOrdNum", "con_2")]).get("status"),
        "1"
    );
    let firings = house.control("/control/faults", None)["firings"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(firings, 3);
}

#[test]
fn every_fault_of_the_wire_is_seen_on_the_wire() {
    let house = Hospital::open();
    let seen = |rule: serde_json::Value| {
        house.control("/control/faults", Some(rule));
        house.try_call("getDepts", "")
    };
    assert_eq!(
        read(&seen(json!({"kind": "result", "code": "-100"})).unwrap().text()).code,
        "-100"
    );
    assert_eq!(seen(json!({"kind": "http", "status": 503})).unwrap().status, 503);
    assert_eq!(seen(json!({"kind": "fault"})).unwrap().status, 500);
    assert!(seen(json!({"kind": "empty"})).unwrap().body.is_empty());
    assert!(seen(json!({"kind": "reset"})).is_err());
    let cut = seen(json!({"kind": "truncate"})).unwrap();
    assert!(cut.header("content-length").unwrap().parse::<usize>().unwrap() > cut.body.len());
    let cut = seen(json!({"kind": "truncate", "length": "honest"})).unwrap();
    assert_eq!(
        cut.header("content-length").unwrap().parse::<usize>().unwrap(),
        cut.body.len()
    );
    assert!(!cut.text().contains("Envelope>\n") && !cut.text().ends_with("Envelope>"));
    let wrong = seen(json!({"kind": "wrong_charset"})).unwrap();
    assert!(wrong.header("content-type").unwrap().contains("utf-8"));
    assert!(String::from_utf8(wrong.body).is_err());
    let twice = seen(json!({"kind": "answer_twice"})).unwrap();
    assert_eq!(
        twice.text().matches("HTTP/1.1 200").count(),
        1,
        "a second answer follows the first"
    );
    let refused = house.try_call("noSuchThing", "").unwrap();
    assert_eq!((refused.status, refused.text().contains("Fault")), (500, true));
}

#[test]
fn a_gbk_hospital_says_so_and_is() {
    let house = Hospital::open();
    house.control("/control/options", Some(json!({"charset": "gbk"})));
    let answered = house.try_call("getDepts", "").unwrap();
    assert!(answered.header("content-type").unwrap().contains("gbk"));
    assert!(String::from_utf8(answered.body.clone()).is_err());
    // 心血管内科 in GBK.
    let heart = [0xd0, 0xc4, 0xd1, 0xaa, 0xb9, 0xdc, 0xc4, 0xda, 0xbf, 0xc6];
    assert!(answered.body.windows(heart.len()).any(|w| w == heart));
}

#[test]
fn narcotics_are_not_prescribed_over_the_internet() {
    let house = Hospital::open();
    let lock = house.lock("con_1", "P000003", &house.slot("D0001", 1));
    let sum = fee(&lock).to_string();
    house.call(
        "payNetReg",
        &[("psOrdNum", "con_1"), ("agtOrdNum", "wx"), ("payAmout", &sum)],
    );
    let code = house.call("getDrugs", &[("keyword", "吗啡")]).get("drugCode");
    let recipe = format!(
        "<rxNo>rx_1</rxNo><visitId>con_1</visitId><patId>P000003</patId><doctorCode>D0001</doctorCode><diagnosis><item>\
         <code>I10.x00</code></item></diagnosis><items><item><drugCode>{code}</drugCode><routeCode>PO</routeCode>\
         <freqCode>QD</freqCode><qty>1</qty><qtyUnit>盒</qtyUnit></item></items>"
    );
    let said = read(&house.try_call("addRecipe", &recipe).unwrap().text());
    assert!(said.code == "2" && said.message.contains("麻醉"), "{}", said.message);
}

#[test]
fn a_stopped_clinic_is_told_until_it_is_accepted() {
    let house = Hospital::open();
    let slot = house.slot("D0001", 1);
    assert_eq!(house.lock("con_1", "P000003", &slot).code, "0");
    let platform = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/cb", platform.local_addr().unwrap());
    house.control("/control/options", Some(json!({"callback_soap": url})));
    house.control(
        "/control/stop-clinic",
        Some(json!({"workId": slot.0, "reason": "会诊"})),
    );
    let mut heard = Vec::new();
    for code in ["-1", "0"] {
        let (mut stream, _) = platform.accept().unwrap();
        let mut bytes = [0; 8192];
        let mut text = String::new();
        while !text.contains("Envelope>") || !text.ends_with('>') {
            let count = stream.read(&mut bytes).unwrap();
            text += &String::from_utf8_lossy(&bytes[..count]);
        }
        heard.push(text);
        let body = format!(
            "<s:Envelope xmlns:s=\"x\"><s:Body><stopRegResponse><stopRegResult>&lt;response&gt;&lt;resultCode&gt;{code}&lt;/resultCode&gt;&lt;/response&gt;</stopRegResult></stopRegResponse></s:Body></s:Envelope>"
        );
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
    }
    let notice = |text: &str| between(text, "&lt;noticeId&gt;", "&lt;/noticeId&gt;");
    assert_eq!(notice(&heard[0]), notice(&heard[1]));
    assert!(heard[1].contains("&lt;orderList&gt;con_1&lt;/orderList&gt;"));
    let until = Instant::now() + Duration::from_secs(60);
    while house.control("/control/books", None)["notices"][0]["soap_state"] != "accepted" {
        assert!(Instant::now() < until, "never settled");
    }
    assert_eq!(
        house.lock("con_2", "P000004", &slot).message,
        "医生已停诊，请选择其他时间"
    );
}

#[test]
fn the_wsdl_names_every_operation_of_the_document() {
    let house = Hospital::open();
    let wsdl = rig::probe::ask(house.at.soap, "GET", "/services/InternetHospital?wsdl", &[], b"")
        .unwrap()
        .text();
    let document = include_str!("../../README.md");
    for op in [
        "getMZPatient",
        "orderNetReg",
        "ackPayOrder",
        "addRecipe",
        "getInspectDetail",
        "getDrugStock",
    ] {
        assert!(
            wsdl.contains(&format!("<wsdl:operation name=\"{op}\">")) && document.contains(op),
            "{op}"
        );
    }
}
