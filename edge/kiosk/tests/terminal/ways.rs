//! Every way to show who one is, for everything the terminal does, with no line to the cloud at all.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::hall::{Hall, PATIENCE, tail};
use crate::phone::Phone;

/// How somebody shows who they are.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// 身份证.
    IdCard,
    /// 就诊卡条码.
    HospitalCard,
    /// 医保电子凭证.
    Insurance,
    /// 手机就诊码.
    PatientCode,
}

const WAYS: [Way; 4] = [Way::IdCard, Way::HospitalCard, Way::Insurance, Way::PatientCode];

struct Visitor<'a> {
    hall: &'a Hall,
    who: Value,
    phone: Phone,
    shown: u8,
}

impl Visitor<'_> {
    /// Taps what they came for and shows who they are.
    async fn comes_for(&mut self, task: &str, way: Way) {
        let (hall, (page, reader)) = (self.hall, &self.hall.other);
        hall.until_at(page, "a free terminal", |s| s["view"] == "home").await;
        hall.tap_at(page, &format!("task:{task}")).await;
        hall.until_at(page, "asked who", |s| s["view"] == "identify").await;
        self.shown += 1;
        let code = match way {
            Way::IdCard => {
                let card = json!({ "name": self.who["name"], "number": self.who["id_number"] });
                hall.post(format!("{reader}/card"), card).await;
                None
            }
            Way::HospitalCard => Some(self.who["card"].clone()),
            Way::Insurance => {
                let of = json!({ "patId": self.who["pat_id"] });
                Some(hall.post(format!("{}/voucher", hall.his), of).await["token"].clone())
            }
            Way::PatientCode => Some(json!(self.phone.code(hall, self.shown))),
        };
        if let Some(code) = code {
            hall.post(format!("{reader}/code"), json!({ "text": code })).await;
        }
        if matches!(way, Way::HospitalCard) && matches!(task, "reports" | "prescriptions") {
            hall.until_at(page, "asked for more than a card", |s| s["view"] == "prove")
                .await;
            hall.tap_at(page, &format!("check:{}", tail(&self.who))).await;
        }
        let list = hall.until_at(page, "a list", |s| s["view"] == "list").await;
        assert!(!list.to_string().contains(self.who["name"].as_str().unwrap()), "{list}");
    }

    async fn goes(&self) {
        let (page, reader) = &self.hall.other;
        self.hall.tap_at(page, "leave").await;
        let taken = self.hall.http.delete(format!("{reader}/card")).send().await.unwrap();
        assert!(taken.status().is_success());
    }

    async fn until(&self, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        self.hall.until_at(&self.hall.other.0, what, so).await
    }

    async fn has_papers(&self, count: usize) {
        let begun = Instant::now();
        while self.hall.papers().await < count {
            assert!(begun.elapsed() < PATIENCE, "paper {count} did not come");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(self.hall.papers().await, count);
    }
}

/// A number, a report, a prescription and the fees, each by identity card, by the hospital's card, by the insurance's
/// code and by the code on the phone. One person takes one number; a document comes out once, then as copies that are
/// asked for, and no fourth time.
#[tokio::test(flavor = "multi_thread")]
async fn everything_is_done_with_every_card_and_code_without_the_internet() {
    let hall = Hall::open().await;
    let people = hall.told(format!("{}/demo", hall.his)).await;
    let who = people["patients"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["guardian"].is_null() && p["follow_up_within_90_days"] == true)
        .unwrap()
        .clone();
    let phone = Phone::of(who["pat_id"].as_str().unwrap(), who["name"].as_str().unwrap());
    phone.opens(&hall).await;
    let walk_in = json!({ "patId": who["pat_id"], "doctorCode": "D0001" });
    let order = hall.post(format!("{}/walk-in", hall.his), walk_in).await["hisOrdNum"].clone();
    let page = hall.other.0.clone();
    let mut visitor = Visitor {
        hall: &hall,
        who,
        phone,
        shown: 0,
    };
    visitor
        .until("a terminal in order", |s| {
            s["view"] == "home" && s["notices"] == json!([])
        })
        .await;

    let (mut papers, mut numbers) = (0, Vec::new());
    for way in WAYS {
        visitor.comes_for("check_in", way).await;
        hall.tap_at(&page, "visit:0").await;
        let ticket = visitor
            .until("a number on paper", |s| {
                s["view"] == "ticket" && s["lead"].to_string().contains("已打印")
            })
            .await;
        numbers.push(ticket["big"].clone());
        papers = 1;
        visitor.has_papers(papers).await;
        assert_eq!(hall.code_on_paper().await, order.as_str().unwrap());
        visitor.goes().await;
    }
    assert_eq!(hall.taken().await, 1);
    assert!(numbers.iter().all(|n| n == &numbers[0]), "{numbers:?}");

    for task in ["reports", "prescriptions"] {
        let mut codes = Vec::new();
        for (n, way) in WAYS.into_iter().enumerate() {
            visitor.comes_for(task, way).await;
            let list = visitor.until("a document", |s| s["rows"][0]["title"].is_string()).await;
            let label = &list["rows"][0]["button"]["label"];
            match n {
                0 => assert_eq!(label, "打印"),
                1 | 2 => assert_eq!(label, "补打"),
                _ => assert_eq!(label, &Value::Null, "enough copies: {list}"),
            }
            if n < 3 {
                hall.tap_at(&page, "print:0").await;
                papers += 1;
                visitor.has_papers(papers).await;
                visitor
                    .until("told", |s| s["rows"][0]["state"].to_string().contains("已打印"))
                    .await;
                codes.push(hall.code_on_paper().await);
            }
            visitor.goes().await;
        }
        assert!(
            !codes[0].is_empty() && codes.iter().all(|c| c == &codes[0]),
            "{codes:?}"
        );
    }

    for way in WAYS {
        visitor.comes_for("fees", way).await;
        let fees = visitor.until("the fees", |s| s["title"] == "待缴费用").await;
        let lead = fees["lead"].as_str().unwrap();
        assert!(lead.starts_with("没有待缴的费用"), "{way:?}: {lead}");
        assert_eq!(lead.contains("核对身份"), matches!(way, Way::HospitalCard), "{lead}");
        visitor.goes().await;
    }
    visitor.has_papers(papers).await;
    hall.stop.cancel();
}
