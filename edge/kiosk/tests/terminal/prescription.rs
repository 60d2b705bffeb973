//! The code on an e-prescription, held against the scanner.

use std::time::Duration;

use his::journal::{self, State};
use records::his::{
    BillConfirm, Operation, PrescriptionReceipt, PrescriptionRevoke, PrescriptionSubmit, PrescriptionWithdrawal,
    SubmittedPrescription,
};
use records::{Fen, HisCommand, LocalDate, Outcome, Timestamp};
use serde_json::{Value, json};
use store::StoreError;

use crate::hall::{Hall, PATIENCE, tail};

fn address(code: &str) -> String {
    format!("https://cloud.example/verify/{code}")
}

fn command<O: Operation>(rx: &str, request: &impl serde::Serialize) -> HisCommand {
    HisCommand {
        key: format!("{rx}.{}", O::METHOD),
        method: O::METHOD.to_owned(),
        subject: rx.to_owned(),
        request: serde_json::to_value(request).unwrap(),
    }
}

/// A prescription as the cloud tells the hospital of it.
fn submitted(rx: &str, code: &str, patient: &str, (signed_at, valid_until): (Timestamp, LocalDate)) -> HisCommand {
    let submitted = SubmittedPrescription {
        prescription_number: rx.to_owned(),
        visit_order_number: "con_1".to_owned(),
        his_patient_id: patient.to_owned(),
        doctor_code: "D0001".to_owned(),
        department_code: "K01".to_owned(),
        diagnoses: Vec::new(),
        kind: "western".to_owned(),
        items: Vec::new(),
        herbal_doses: None,
        herbal_usage: None,
        herbal_decoction: None,
        total_fen: Fen(2_240),
        document_sm3: String::new(),
        signed_at,
        verify_code: Some(code.to_owned()),
        valid_until: Some(valid_until),
    };
    command::<PrescriptionSubmit>(rx, &submitted)
}

fn taken(number: &str) -> Outcome<Value> {
    let receipt = PrescriptionReceipt {
        his_prescription_number: number.to_owned(),
    };
    Outcome::Done(serde_json::to_value(receipt).unwrap())
}

/// A command comes down the line, and the hospital answers this, if it does.
async fn comes(hall: &Hall, command: HisCommand, answer: Option<Outcome<Value>>) {
    let written = hall.store.write(&hall.scope, move |tx| {
        let (command, answer) = (command.clone(), answer.clone());
        Box::pin(async move {
            his::Bridge::accept(tx, &command).await?;
            kiosk::accept_prescription(tx, &command).await?;
            if let Some(answer) = answer {
                let step = journal::write_step(tx, &command.key, "", |mut work, _| {
                    work.state = match answer {
                        Outcome::Done(_) => State::Done,
                        _ => State::Refused,
                    };
                    work.outcome = Some(answer);
                    Ok(work)
                });
                assert!(step.await?.is_ok());
            }
            Ok::<_, StoreError>(())
        })
    });
    written.await.unwrap();
}

/// Each code is told apart in plain words; one that holds is printed for its patient alone, once, with copies on demand,
/// and whoever else shows a card is told nothing but that it is not theirs.
#[tokio::test(flavor = "multi_thread")]
async fn the_code_on_a_prescription_prints_it_for_its_patient_and_for_nobody_else() {
    let hall = Hall::open().await;
    let people = hall.told(format!("{}/demo", hall.his)).await;
    let grown: Vec<&Value> = people["patients"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|p| p["guardian"].is_null() && p["follow_up_within_90_days"] == true)
        .collect();
    let (own, other) = (grown[0], grown[1]);
    let patient = own["pat_id"].as_str().unwrap();
    let now = hall.clock.now();
    let today = now.local_date();
    let question = json!({ "his_patient_id": patient, "from": today.plus_days(-180), "to": today });
    let asked = hall
        .bridge
        .call("visit.prescriptions", None, Duration::from_secs(60), question);
    let Outcome::Done(past) = asked.await else {
        panic!("the hospital lists no prescriptions")
    };
    let number = past[0]["number"].as_str().unwrap();

    let (page, reader) = &hall.other;
    let scan = async |text: String| hall.post(format!("{reader}/code"), json!({ "text": text })).await;
    let told = async |text: String, words: &'static str| {
        scan(text).await;
        hall.until_at(page, words, |s| s["title"].to_string().contains(words))
            .await
    };
    hall.until_at(page, "a terminal in order", |s| {
        s["view"] == "home" && s["notices"] == json!([])
    })
    .await;
    let (soon, over) = ((now, today.plus_days(2)), (now, today.plus_days(-1)));
    let refused = || Some(Outcome::refused("2", "处方已发药，不能撤销"));
    comes(
        &hall,
        submitted("rx_held", "heldheldheldheld", patient, soon),
        Some(taken(number)),
    )
    .await;
    comes(&hall, submitted("rx_way", "waywaywaywayway2", patient, soon), None).await;
    comes(&hall, submitted("rx_no", "nonononononono22", patient, soon), refused()).await;
    comes(
        &hall,
        submitted("rx_over", "overoveroverover", patient, over),
        Some(taken("C0")),
    )
    .await;
    comes(
        &hall,
        submitted("rx_void", "voidvoidvoidvoid", patient, soon),
        Some(taken("C1")),
    )
    .await;
    let withdrawal = |rx: &str| PrescriptionWithdrawal {
        prescription_number: rx.to_owned(),
        reason: "开错了".to_owned(),
    };
    comes(
        &hall,
        command::<PrescriptionRevoke>("rx_void", &withdrawal("rx_void")),
        None,
    )
    .await;

    for (text, words) in [
        ("https://cloud.example/verify/heldheld".to_owned(), "没有读全"),
        (
            "https://other.example/verify/7k2m9q4x1c8v5b3n".to_owned(),
            "不是本院的电子处方",
        ),
        (address("7k2m9q4x1c8v5b3n"), "没有查到这张处方"),
        (address("waywaywaywayway2"), "正在送往医院系统"),
        (address("nonononononono22"), "已作废"),
        (address("overoveroverover"), "已过有效期"),
        (address("voidvoidvoidvoid"), "已作废"),
        (
            "https://cloud.example/patient/prescriptions/rx_held".to_owned(),
            "不认识这个码",
        ),
    ] {
        let screen = told(text, words).await;
        assert_eq!((&screen["view"], &screen["person"]), (&json!("identify"), &Value::Null));
        assert!(!screen.to_string().contains("开错了"), "a reason is not for bystanders");
    }
    // Paid in time it is not outdated, and what the hospital does not take back stays.
    comes(
        &hall,
        command::<BillConfirm>("rx_over", &json!({})),
        Some(Outcome::Done(json!({}))),
    )
    .await;
    comes(
        &hall,
        command::<PrescriptionRevoke>("rx_held", &withdrawal("rx_held")),
        refused(),
    )
    .await;
    let found = |s: &Value| s["view"] == "identify" && s["lead"].to_string().contains("已找到处方");
    scan(address("overoveroverover")).await;
    hall.until_at(page, "the paid one found", found).await;
    hall.tap_at(page, "back").await;
    hall.until_at(page, "the home page", |s| s["view"] == "home").await;

    // Somebody else's card opens nothing.
    scan(address("heldheldheldheld")).await;
    hall.until_at(page, "found", found).await;
    scan(other["card"].as_str().unwrap().to_owned()).await;
    hall.until_at(page, "asked for more than a card", |s| s["view"] == "prove")
        .await;
    hall.tap_at(page, &format!("check:{}", tail(other))).await;
    let refused = hall.until_at(page, "told", |s| s["view"] == "problem").await;
    assert!(refused["lead"].to_string().contains("不是您本人的"), "{refused}");
    assert!(!refused.to_string().contains(number) && hall.papers().await == 0);
    hall.tap_at(page, "leave").await;

    // Its patient's own identity card.
    hall.until_at(page, "the home page", |s| s["view"] == "home").await;
    scan(address("heldheldheldheld")).await;
    hall.until_at(page, "found", found).await;
    let card = json!({ "name": own["name"], "number": own["id_number"] });
    hall.post(format!("{reader}/card"), card).await;
    let printed = |s: &Value| s["rows"][0]["state"] == "已打印";
    let list = hall.until_at(page, "on paper", printed).await;
    assert_eq!(list["rows"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!((hall.papers().await, hall.code_on_paper().await.as_str()), (1, number));
    // Scanned again it is found, and does not come out again by itself; another copy is asked for.
    scan(address("heldheldheldheld")).await;
    let copy = |s: &Value| printed(s) && s["rows"][0]["button"]["label"] == "补打";
    hall.until_at(page, "a copy on offer", copy).await;
    let begun = std::time::Instant::now();
    let mut tapped: Option<std::time::Instant> = None;
    while hall.papers().await < 2 {
        assert!(begun.elapsed() < PATIENCE, "no second copy");
        // A tap on the list that the scan was just replacing is nobody's: who still sees the offer taps again.
        if tapped.is_none_or(|at| at.elapsed() > Duration::from_secs(5)) && copy(&hall.screen_of(page).await) {
            hall.tap_at(page, "print:0").await;
            tapped = Some(std::time::Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    hall.until_at(page, "told", printed).await;
    assert_eq!((hall.papers().await, hall.code_on_paper().await.as_str()), (2, number));
    hall.tap_at(page, "leave").await;
    let home = hall.until_at(page, "the home page", |s| s["view"] == "home").await;
    assert!(!home.to_string().contains(number), "{home}");
    hall.stop.cancel();
}
