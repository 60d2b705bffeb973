//! A hospital's day over the bridge, against a hospital information system in a process of its own.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic")]

mod support;

use records::{Clock, SystemClock};
use serde_json::{Value, json};
use support::{Edge, Hospital, quick};
use tokio_util::sync::CancellationToken;

const ENGINE: &[&str] = &[
    "patient.query",
    "patient.create",
    "slot.lock",
    "slot.unlock",
    "prescription.submit",
    "prescription.review.push",
    "prescription.revoke",
];

async fn patient(hospital: &Hospital) -> Value {
    let demo = hospital.get("demo").await;
    demo["patients"]
        .as_array()
        .and_then(|p| p.first())
        .cloned()
        .unwrap_or_else(|| panic!("{demo}"))
}

/// A place that can still be booked, with its department.
async fn free_slot(edge: &Edge) -> Value {
    let today = records::Clock::now(&records::SystemClock).local_date();
    for department in edge.done("dict.department.list", json!({})).await.as_array().unwrap() {
        let question = json!({"department_code": department["code"], "doctor_code": null, "from": today.plus_days(1), "to": today.plus_days(7)});
        let slots = edge.done("slot.list", question).await;
        let free = slots
            .as_array()
            .unwrap()
            .iter()
            .find(|s| s["left"].as_u64().unwrap() > 0 && s["stopped"] == false);
        if let Some(slot) = free {
            return slot.clone();
        }
    }
    panic!("no free slot")
}

fn lock_request(order: &str, patient_id: &str, slot: &Value) -> Value {
    json!({"order_number": order, "his_patient_id": patient_id, "work_id": slot["work_id"], "department_code": slot["department_code"],
        "doctor_code": slot["doctor_code"], "date": slot["date"], "begin": slot["begin"], "end": slot["end"], "fee_fen": slot["fee_fen"]})
}

/// From patient to dispensed bill; `prefix` keeps orders of several runs apart.
async fn whole_day(hospital: &Hospital, edge: &Edge, prefix: &str) {
    let person = patient(hospital).await;
    let key = json!({"name": person["name"].as_str().or(person["patName"].as_str()), "id_number": person["id_number"].as_str().or(person["patIdNo"].as_str())});
    let known = edge.done("patient.query", key.clone()).await;
    let patient_id = known["his_patient_id"].as_str().unwrap().to_owned();
    assert_eq!(known["name"], key["name"]);
    let nobody = json!({"name": "查无此人", "id_number": "110101194901010018"});
    assert_eq!(edge.done("patient.query", nobody).await, Value::Null);

    let slot = free_slot(edge).await;
    let order = format!("con_{prefix}0000000000000000000001");
    let locked = edge
        .write("slot.lock", &order, lock_request(&order, &patient_id, &slot))
        .await
        .done()
        .unwrap();
    let again = edge
        .write("slot.lock", &order, lock_request(&order, &patient_id, &slot))
        .await
        .done()
        .unwrap();
    assert_eq!(locked, again, "a repeat is answered from the journal");
    let state = edge.done("registration.status", json!({"order_number": order})).await;
    assert_eq!(
        (&state["state"], &state["his_order_number"]),
        (&json!("unpaid"), &locked["his_order_number"])
    );

    let before = edge.results().await.len();
    let paid = json!({"order_number": order, "his_order_number": locked["his_order_number"], "channel_number": format!("4200{prefix}1"),
        "amount_fen": locked["fee_fen"], "paid_at": "2026-11-21T03:00:00Z"});
    edge.command(
        &format!("{order}:confirm"),
        "registration.confirm_payment",
        &order,
        paid,
    )
    .await;
    let drugs = edge.done("dict.drug.list", json!({})).await;
    let drug = drugs
        .as_array()
        .unwrap()
        .iter()
        .find(|d| {
            d["control"] == "none" && d["default_route_code"].is_string() && d["default_frequency_code"].is_string()
        })
        .unwrap()
        .clone();
    let diagnosis = edge.done("dict.diagnosis.list", json!({})).await[0].clone();
    let rx = format!("rx_{prefix}0000000000000000000001");
    let price = drug["price_fen"].as_i64().unwrap();
    let submitted = json!({"prescription_number": rx, "visit_order_number": order, "his_patient_id": patient_id,
        "doctor_code": slot["doctor_code"], "department_code": slot["department_code"],
        "diagnoses": [{"code": diagnosis["code"], "name": diagnosis["name"], "main": true}], "kind": "western",
        "items": [{"code": drug["code"], "name": drug["name"], "dose": drug["dose_per_min_unit"], "dose_unit": drug["dose_unit"],
            "route_code": drug["default_route_code"], "frequency_code": drug["default_frequency_code"], "days": 7, "quantity": 2,
            "quantity_unit": drug["pack_unit"], "amount_fen": price * 2}],
        "total_fen": price * 2, "document_sm3": "00", "signed_at": "2026-11-21T03:10:00Z"});
    edge.command(&format!("{rx}:submit"), "prescription.submit", &rx, submitted)
        .await;
    let pharmacist = edge.done("dict.doctor.list", json!({"department_code": null})).await;
    let pharmacist = pharmacist
        .as_array()
        .unwrap()
        .iter()
        .find(|d| d["title"].as_str().unwrap().contains("药师"))
        .unwrap()
        .clone();
    let opinion = json!({"prescription_number": rx, "pharmacist_code": pharmacist["code"], "approved": true, "reason": "", "reviewed_at": "2026-11-21T03:20:00Z"});
    edge.command(&format!("{rx}:review"), "prescription.review.push", &rx, opinion)
        .await;
    let results = edge.wait_results(before + 3).await;
    for result in &results[before..] {
        assert!(result["outcome"]["done"].is_object(), "{result}");
    }
    let review = results[before..]
        .iter()
        .find(|r| r["method"] == "prescription.review.push")
        .unwrap();
    let bill_id = review["outcome"]["done"]["bill_id"].as_str().unwrap().to_owned();

    let bills = edge
        .done(
            "bill.pending.list",
            json!({"his_patient_id": patient_id, "prescription_number": rx}),
        )
        .await;
    assert_eq!(bills.as_array().unwrap().len(), 1);
    assert_eq!(
        (&bills[0]["bill_id"], &bills[0]["total_fen"]),
        (&json!(bill_id), &json!(price * 2))
    );
    assert_eq!(bills[0]["items"].as_array().unwrap().len(), 1);
    let payment = format!("pay_{prefix}0000000000000000000001");
    let paid = json!({"order_number": payment, "his_patient_id": patient_id, "bill_ids": [bill_id], "channel_number": format!("4200{prefix}2"),
        "amount_fen": price * 2, "paid_at": "2026-11-21T03:30:00Z"});
    edge.command(&format!("{payment}:confirm"), "bill.confirm_payment", &rx, paid)
        .await;
    let notice = json!({"prescription_number": rx, "waybill": "SF1000000000001", "company": "SF", "status": "shipped", "receiver": "张三",
        "phone": "13800000000", "address": "滨河市人民路 1 号 <2 单元>"});
    edge.command(&format!("{rx}:delivery"), "delivery.push", &rx, notice)
        .await;
    let results = edge.wait_results(before + 5).await;
    for result in &results[before + 3..] {
        assert!(result["outcome"]["done"].is_object(), "{result}");
    }
    assert_eq!(
        edge.done("bill.status", json!({"order_number": payment})).await["state"],
        "paid"
    );
}

/// Rows: YZ-H-001, YZ-H-025, YZ-H-026, YZ-H-028, YZ-H-029, YZ-H-032, YZ-H-033, YZ-H-034, YZ-H-036, YZ-H-059, YZ-H-071, YZ-H-075, YZ-H-076, YZ-H-078, AP-304, HZ-145, HZ-228
#[tokio::test(flavor = "multi_thread")]
async fn a_day_over_soap() {
    let hospital = Hospital::open(&[]);
    let edge = hospital.bridge(hospital.profile(&[], quick)).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (bridge, stop) = (edge.bridge.clone(), stop.clone());
        async move { bridge.run(stop).await }
    });
    whole_day(&hospital, &edge, "soap").await;
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_over_soap_in_gbk() {
    let hospital = Hospital::open(&["--charset", "gbk"]);
    let gbk = |t: &str| quick(t).replace("charset = \"utf-8\"\naction", "charset = \"gbk\"\naction");
    let edge = hospital.bridge(hospital.profile(&[], gbk)).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (bridge, stop) = (edge.bridge.clone(), stop.clone());
        async move { bridge.run(stop).await }
    });
    whole_day(&hospital, &edge, "gbk0").await;
    stop.cancel();
    running.await.unwrap();
}

/// The same profile with seven operations routed to the integration engine: no code differs.
///
/// Rows: AP-305, HZ-011, HZ-012
#[tokio::test(flavor = "multi_thread")]
async fn a_day_over_hl7() {
    let hospital = Hospital::open(&[]);
    let edge = hospital.bridge(hospital.profile(ENGINE, quick)).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (bridge, stop) = (edge.bridge.clone(), stop.clone());
        async move { bridge.run(stop).await }
    });
    whole_day(&hospital, &edge, "hl70").await;
    stop.cancel();
    running.await.unwrap();
}

/// Rows: YZ-H-002, YZ-H-003, YZ-H-004, YZ-H-005, YZ-H-053, YZ-H-054, YZ-H-055, YZ-H-068, YZ-H-069, YZ-H-070, BJ-149
#[tokio::test(flavor = "multi_thread")]
async fn the_house_and_the_patients_history_are_read() {
    let hospital = Hospital::open(&[]);
    let edge = hospital
        .bridge(hospital.profile(&[], |t| quick(t).replace("per_second = 150", "per_second = 5000")))
        .await;
    for method in [
        "dict.department.list",
        "dict.diagnosis.list",
        "dict.route.list",
        "dict.frequency.list",
        "dict.herb.list",
        "dict.drug.list",
    ] {
        let list = edge.done(method, json!({})).await;
        assert!(list.as_array().unwrap().len() > 3, "{method}: {list}");
    }
    let doctors = edge.done("dict.doctor.list", json!({"department_code": "K01"})).await;
    assert!(
        doctors
            .as_array()
            .unwrap()
            .iter()
            .all(|d| d["department_code"] == "K01")
    );
    // A child is entered with its guardian, twice, and is one patient.
    let child = json!({"name": "周小雨", "id_number": child_number(), "sex": "F", "birth_date": "2021-05-06", "phone": "13900001111",
        "guardian_name": "周伟", "guardian_id_number": "110101198001010010"});
    let created = edge.write("patient.create", "pat_child1", child.clone()).await;
    let created = created.clone().done().unwrap_or_else(|| panic!("{created:?}"));
    let again = edge
        .write("patient.create", "pat_child2", child.clone())
        .await
        .done()
        .unwrap();
    assert_eq!(created["his_patient_id"], again["his_patient_id"]);
    let adult_words = edge.write("patient.create", "pat_child3", json!({"name": "周大雨", "id_number": child["id_number"], "sex": "F",
        "birth_date": "2021-05-06", "phone": "13900001111", "guardian_name": "周伟", "guardian_id_number": "110101198001010010"})).await;
    assert!(
        matches!(adult_words, records::Outcome::Refused { .. }),
        "{adult_words:?}"
    );

    let today = SystemClock.now().local_date();
    let mut seen = [0usize; 4];
    for person in hospital.get("demo").await["patients"].as_array().unwrap() {
        let id = person["patId"]
            .as_str()
            .or(person["his_patient_id"].as_str())
            .or(person["pat_id"].as_str())
            .unwrap();
        let question = json!({"his_patient_id": id, "from": today.plus_days(-1_000), "to": today});
        for (n, method) in [
            "visit.list",
            "visit.prescriptions",
            "report.lab.list",
            "report.exam.list",
        ]
        .into_iter()
        .enumerate()
        {
            seen[n] += edge.done(method, question.clone()).await.as_array().unwrap().len();
        }
        let visit = edge
            .done(
                "visit.followup_check",
                json!({"his_patient_id": id, "department_code": "K01", "within_days": 90}),
            )
            .await;
        assert_eq!(
            visit["eligible"].as_bool().unwrap(),
            visit["reason"].as_str().unwrap().is_empty() || visit["eligible"] == true
        );
    }
    assert!(seen.iter().all(|n| *n > 0), "{seen:?}");
}

/// Prices of herbs are tenths of a fen per gram here and stay exact; an entry that cannot be read exactly is left out, and
/// the others stand.
#[tokio::test(flavor = "multi_thread")]
async fn herbs_are_priced_exactly_and_one_that_does_not_fit_does_not_spoil_the_catalogue() {
    let hospital = Hospital::open(&[]);
    let edge = hospital.bridge(hospital.profile(&[], quick)).await;
    let all = edge.done("dict.herb.list", json!({})).await;
    let all = all.as_array().unwrap();
    let price = |name: &str| all.iter().find(|h| h["name"] == name).unwrap()["price_fen_per_kg"].clone();
    assert_eq!(
        (price("黄芪"), price("甘草"), price("阿胶")),
        (json!(4_500), json!(3_600), json!(128_000))
    );

    // As if the list priced some herbs finer than can be kept: their field cannot be read.
    let finer = |text: &str| {
        let toxic = "toxic = { from = \"toxic\", as = \"bool\", other = \"0\" }";
        assert!(text.contains(toxic));
        quick(text).replace(toxic, &format!("{toxic}\nway = \"decoction\""))
    };
    let other = Edge::open(&hospital.dir.path().join("other.sqlite"), hospital.profile(&[], finer)).await;
    let kept = other.done("dict.herb.list", json!({})).await;
    let kept = kept.as_array().unwrap();
    assert!(
        !kept.is_empty() && kept.len() < all.len(),
        "{} of {}",
        kept.len(),
        all.len()
    );
    assert!(kept.iter().all(|h| h["name"] != "黄芪") && kept.iter().any(|h| h["name"] == "阿胶"));
}

fn child_number() -> String {
    let base = "11010120210506002";
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = base
        .chars()
        .zip(weights)
        .map(|(c, w)| c.to_digit(10).unwrap() * w)
        .sum();
    format!("{base}{}", "10X98765432".chars().nth((sum % 11) as usize).unwrap())
}
