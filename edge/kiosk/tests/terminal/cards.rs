//! The hospital's card, whose number anybody may photograph.

use records::line::CardCheckOutcome::{Passed, Wrong};
use serde_json::{Value, json};

use crate::hall::{Hall, tail};

/// Four that are not these.
fn other_than(tail: &str) -> &'static str {
    if tail == "1111" { "2222" } else { "1111" }
}

fn view(name: &'static str) -> impl Fn(&Value) -> bool {
    move |s: &Value| s["view"] == name
}

struct Bearer<'a> {
    hall: &'a Hall,
    who: &'a Value,
}

impl Bearer<'_> {
    /// Holds the barcode against the scanner of a terminal and wants reports.
    async fn wants_reports(&self, (page, reader): &(String, String)) {
        let hall = self.hall;
        hall.until_at(page, "a free terminal", |s| {
            s["view"] == "home" && s["notices"] == json!([])
        })
        .await;
        hall.post(format!("{reader}/code"), json!({ "text": self.who["card"] }))
            .await;
        let menu = hall.until_at(page, "the menu", view("menu")).await;
        assert!(menu["person"].to_string().contains("就诊卡 尾号"), "{menu}");
        assert!(!menu.to_string().contains(self.who["name"].as_str().unwrap()), "{menu}");
        hall.tap_at(page, "task:reports").await;
        hall.until_at(page, "asked for more", view("prove")).await;
    }

    async fn types(&self, page: &str, text: &str, words: &'static str) -> Value {
        self.hall.tap_at(page, &format!("check:{text}")).await;
        let told = self
            .hall
            .until_at(page, words, |s| s["view"] != "wait" && s.to_string().contains(words))
            .await;
        // How long nobody has touched it may have the same digits.
        let mut shown = told.clone();
        shown["idle_ms"] = Value::Null;
        assert!(
            !shown.to_string().contains(text),
            "what was typed is on no screen: {told}"
        );
        told
    }
}

/// Somebody has photographed a card. They may take a number and see a sum; reports they get only with the owner's own
/// number, which they guess three times, at whichever terminal, and then no more. The owner's identity card works all the
/// while, another patient is not hindered, and the hospital's audit has each try.
#[tokio::test(flavor = "multi_thread")]
async fn a_photographed_card_opens_no_reports_and_guessing_ends_at_every_terminal() {
    let hall = Hall::open().await;
    let people = hall.told(format!("{}/demo", hall.his)).await;
    let grown: Vec<&Value> = people["patients"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|p| p["guardian"].is_null() && p["follow_up_within_90_days"] == true)
        .collect();
    let (owner, neighbour) = (grown[0], grown[1]);
    let one = (hall.page.clone(), hall.reader.clone());
    let two = hall.other.clone();
    let right = tail(owner);
    let wrong = other_than(&right);
    let stranger = Bearer {
        hall: &hall,
        who: owner,
    };

    // While the hospital does not answer nothing is judged, and no try is lost.
    stranger.wants_reports(&one).await;
    let away = json!({ "op": "getMZPatient", "kind": "fault", "times": 4 });
    let rule = hall.post(format!("{}/faults", hall.his), away).await;
    stranger.types(&one.0, wrong, "没有核对").await;
    let url = format!("{}/faults/{}", hall.his, rule["id"]);
    let ended = hall.http.delete(url).send().await.unwrap();
    assert!(ended.status().is_success());
    assert_eq!(hall.card_checks().await, []);

    stranger.types(&one.0, wrong, "还可以再试 2 次").await;
    stranger.types(&one.0, wrong, "还可以再试 1 次").await;
    hall.tap_at(&one.0, "leave").await;
    // The next terminal gives no more tries, and the right answer comes too late.
    stranger.wants_reports(&two).await;
    stranger.types(&two.0, wrong, "请 30 分钟 后再试").await;
    hall.tap_at(&two.0, "leave").await;
    stranger.wants_reports(&one).await;
    stranger.types(&one.0, &right, "次数过多").await;
    assert_eq!(hall.asked("getInspectList").await, 0, "no report was even asked for");

    // What harms nobody still goes by the card.
    hall.tap_at(&one.0, "back").await;
    hall.until("the menu", view("menu")).await;
    hall.tap("task:fees").await;
    hall.until("the sums", |s| s["title"] == "待缴费用").await;
    hall.tap("leave").await;

    // Its owner puts the identity card there.
    hall.until("home", view("home")).await;
    hall.tap("task:reports").await;
    hall.until("asked who", view("identify")).await;
    let card = json!({ "name": owner["name"], "number": owner["id_number"] });
    hall.post(format!("{}/card", one.1), card).await;
    hall.until("their reports", |s| s["rows"][0]["button"]["act"] == "print:0")
        .await;
    hall.tap("leave").await;
    assert!(
        hall.http
            .delete(format!("{}/card", one.1))
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );

    // Another patient's card with their own number.
    let patient = Bearer {
        hall: &hall,
        who: neighbour,
    };
    patient.wants_reports(&two).await;
    hall.tap_at(&two.0, &format!("check:{}", tail(neighbour))).await;
    hall.until_at(&two.0, "their reports", view("list")).await;
    hall.tap_at(&two.0, "leave").await;

    let checks = hall.card_checks().await;
    let told: Vec<_> = checks
        .iter()
        .map(|c| (c.terminal.as_str(), c.outcome, c.wrong, c.card_locked_until.is_some()))
        .collect();
    assert_eq!(
        told,
        [
            ("0 号机", Wrong, 1, false),
            ("0 号机", Wrong, 2, false),
            ("1 号机", Wrong, 3, true),
            ("1 号机", Passed, 0, false)
        ]
    );
    assert!(
        checks[..3]
            .iter()
            .all(|c| c.his_patient_id == owner["pat_id"].as_str().unwrap())
    );
    hall.stop.cancel();
}
