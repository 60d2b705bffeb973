//! One person after another, without a hospital.

mod cards;
mod fees;
mod papers;
mod people;

use std::time::{Duration, Instant};

use records::his::{HisOrderState, QueuePlace};
use records::{LocalDate, Timestamp};

use crate::config::{Config, check_all};
use crate::hospital::{Person, Token, Visit};
use crate::paper::{self, Document};
use crate::screen::Screen;
use crate::session::{Act, Answer, Ask, Session, Stage, Task};
use crate::show::{self, Around};

const IDLE: Duration = Duration::from_secs(60);

fn person() -> Person {
    Person {
        his_patient_id: "P000001".to_owned(),
        name: "张建三".to_owned(),
    }
}

fn visit(order: &str, state: HisOrderState) -> Visit {
    Visit {
        order: order.to_owned(),
        state,
        department: "心血管内科".to_owned(),
        doctor: "陈志远".to_owned(),
        time: "08:00-08:15".to_owned(),
        stopped: false,
    }
}

fn card() -> Token {
    Token::IdCard {
        name: "张建三".to_owned(),
        number: "11010519491231002X".to_owned(),
    }
}

fn place() -> (QueuePlace, Box<Document>) {
    let place = QueuePlace {
        queue_number: "A037".to_owned(),
        room: "三楼 306 诊室".to_owned(),
        waiting: Some(5),
        taken_at: None,
    };
    let ticket = paper::ticket(
        "医院",
        &person(),
        &visit("G1", HisOrderState::Paid),
        &place,
        Timestamp::from_seconds(0),
    );
    (place, Box::new(ticket))
}

/// Somebody who has shown a card and wants this.
fn known(session: &mut Session, task: Task, now: Instant) -> Vec<Ask> {
    assert_eq!(session.shown(card(), now), [Ask::Who(card())]);
    session.answered(session.turn(), Answer::Who(Ok(Some(person()))), now);
    assert_eq!(session.stage(), &Stage::Menu);
    session.tapped(session.number(), Act::Task(task), now)
}

fn around() -> Around {
    Around {
        hospital: "永州示范医院".to_owned(),
        card: reader::State::Ready,
        scanner: reader::State::Ready,
        printer: None,
        online: true,
        patient_app: Some("https://cloud.example/patient/".to_owned()),
    }
}

fn drawn(session: &Session, around: &Around, now: Instant) -> Screen {
    show::screen(session, around, LocalDate::parse("2026-11-21").unwrap(), now, "test")
}

#[test]
fn two_terminals_share_nothing() {
    let config = |extra: &str| -> Config {
        let text = format!(r#"{{"listen": "127.0.0.1:8093", "hospital": "医院"{extra}}}"#);
        serde_json::from_str(&text).unwrap()
    };
    let printers = || ["a", "b"].into_iter();
    let one = config(r#", "name": "一", "printer": "a", "card_reader": "/dev/a", "scanner": "/dev/b""#);
    let other = r#", "name": "二", "printer": "b", "card_reader": "/dev/c""#;
    let mut two = config(other);
    two.listen = "127.0.0.1:8094".parse().unwrap();
    assert!(check_all(&[one.clone(), two.clone()], printers()).is_ok());
    type Spoil = (&'static str, fn(&mut Config, &Config));
    let spoil: [Spoil; 5] = [
        ("name", |c, o| c.name.clone_from(&o.name)),
        ("listen", |c, o| c.listen = o.listen),
        ("printer", |c, o| c.printer.clone_from(&o.printer)),
        ("card_reader", |c, o| c.card_reader.clone_from(&o.card_reader)),
        ("scanner", |c, o| c.scanner.clone_from(&o.card_reader)),
    ];
    for (what, spoil) in spoil {
        let mut wrong = two.clone();
        spoil(&mut wrong, &one);
        let refused = check_all(&[one.clone(), wrong], printers()).unwrap_err().to_string();
        assert!(refused.contains(what), "{what}: {refused}");
    }
}

#[test]
fn what_is_out_of_order_is_said_in_plain_words() {
    let now = Instant::now();
    let session = Session::new(IDLE, now);
    let said = |around: Around| drawn(&session, &around, now).notices.join("；");
    assert_eq!(said(around()), "");
    assert!(
        said(Around {
            card: reader::State::Silent,
            ..around()
        })
        .contains("身份证读卡器暂不可用")
    );
    assert!(
        said(Around {
            scanner: reader::State::Missing,
            ..around()
        })
        .contains("扫码器暂不可用")
    );
    let neither = Around {
        card: reader::State::Missing,
        scanner: reader::State::None,
        ..around()
    };
    assert!(said(neither).contains("服务台"));
    let paperless = Around {
        printer: Some("打印机缺纸".to_owned()),
        ..around()
    };
    assert!(said(paperless).contains("打印机缺纸"));
}

#[test]
fn every_act_is_read_back_and_nothing_else_is_one() {
    let acts = [
        Act::Task(Task::CheckIn),
        Act::Back,
        Act::Leave,
        Act::Stay,
        Act::Page(3),
        Act::Visit(0),
        Act::Print(7),
    ];
    for act in acts
        .into_iter()
        .chain([Act::PrintTicket, Act::Bill(1), Act::Receipt(2), Act::Retry, Act::Verify])
    {
        assert_eq!(act.to_string().parse(), Ok(act));
    }
    // What was typed is read, and written nowhere.
    let typed: Act = "check:002x".parse().unwrap();
    assert_eq!(Ok(typed), "check:002X".parse());
    assert!(!format!("{typed} {typed:?}").contains("002"));
    for none in [
        "",
        "check",
        "check:002",
        "check:002XX",
        "task:",
        "task:admin",
        "page:-1",
        "page:99999999999999999999",
        "visit:a",
        "<script>",
    ] {
        assert!(none.parse::<Act>().is_err(), "{none}");
    }
}
