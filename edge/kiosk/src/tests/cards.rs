//! The hospital's card: what its bare number opens, and what it does not.

use std::time::Instant;

use records::Fen;
use records::his::{Bill, BillItem, HisOrderState};

use super::{IDLE, around, card, drawn, person, place, visit};
use crate::card::{CardRules, Second, Tail};
use crate::config::Config;
use crate::hospital::{Token, Trouble};
use crate::money::Paying;
use crate::paper::{self, Paper};
use crate::prescription::{PaperCode, Prescribed};
use crate::session::{Act, Answer, Ask, Session, Stage, Task};
use crate::tries::Checked;

fn bare() -> Token {
    Token::HospitalCard("8000000001".to_owned())
}

fn tail() -> Tail {
    Tail::parse("002X").unwrap()
}

/// Somebody whose card was scanned.
fn by_card(now: Instant) -> Session {
    with_rules(CardRules::default(), now)
}

fn with_rules(rules: CardRules, now: Instant) -> Session {
    let mut session = Session::new(IDLE, now).with_cards(rules);
    assert_eq!(session.shown(bare(), now), [Ask::Who(bare())]);
    session.answered(session.turn(), Answer::Who(Ok(Some(person()))), now);
    session
}

fn taps(session: &mut Session, act: Act, now: Instant) -> Vec<Ask> {
    session.tapped(session.number(), act, now)
}

fn hears(session: &mut Session, answer: Answer, now: Instant) -> Vec<Ask> {
    session.answered(session.turn(), answer, now)
}

#[test]
fn a_bare_number_takes_a_place_in_the_queue_and_shows_nobodys_name() {
    let now = Instant::now();
    let mut session = by_card(now);
    let menu = drawn(&session, &around(), now);
    assert_eq!((menu.view, menu.person.as_deref()), ("menu", Some("就诊卡 尾号 0001")));
    assert!(!serde_json::to_string(&menu).unwrap().contains('张'), "{menu:?}");
    assert_eq!(
        taps(&mut session, Act::Task(Task::CheckIn), now),
        [Ask::Visits(person())]
    );
    let visits = vec![visit("G1", HisOrderState::Paid)];
    hears(&mut session, Answer::Visits(Ok(visits)), now);
    taps(&mut session, Act::Visit(0), now);
    let asks = hears(&mut session, Answer::Place(Ok(Some(place()))), now);
    assert!(matches!(asks.as_slice(), [Ask::Print(ticket, false)] if ticket.key == "kiosk.ticket.G1"));
}

#[test]
fn reports_and_prescriptions_ask_for_what_the_card_does_not_carry() {
    let now = Instant::now();
    for task in [Task::Reports, Task::Prescriptions] {
        let mut session = by_card(now);
        assert_eq!(
            taps(&mut session, Act::Task(task), now),
            [],
            "the hospital is not even asked"
        );
        let screen = drawn(&session, &around(), now);
        let entry = screen.entry.unwrap();
        assert_eq!((screen.view, entry.length, entry.letters), ("prove", 4, "X"));
        assert!(screen.title.contains("身份证号的后四位") && screen.lead.contains("手机就诊码"));
        assert_eq!(
            taps(&mut session, Act::Check(tail()), now),
            [Ask::Check(person(), bare(), tail())]
        );
        hears(&mut session, Answer::Checked(Ok(Checked::Wrong { left: 2 })), now);
        let screen = drawn(&session, &around(), now);
        assert!(screen.entry.unwrap().trouble.unwrap().contains("还可以再试 2 次"));
        taps(&mut session, Act::Check(tail()), now);
        let asks = hears(&mut session, Answer::Checked(Ok(Checked::Right)), now);
        assert_eq!(asks, [Ask::Documents(person(), task)]);
        // Asked once: they are known now, with a name.
        taps(&mut session, Act::Back, now);
        assert_eq!(drawn(&session, &around(), now).person.as_deref(), Some("张*三"));
        assert_eq!(
            taps(&mut session, Act::Task(Task::Reports), now),
            [Ask::Documents(person(), Task::Reports)]
        );
        // And only until they go.
        taps(&mut session, Act::Leave, now);
        session.shown(bare(), now);
        hears(&mut session, Answer::Who(Ok(Some(person()))), now);
        assert_eq!(taps(&mut session, Act::Task(task), now), []);
    }
}

#[test]
fn a_lock_is_told_in_plain_words_and_what_harms_nobody_still_goes() {
    let now = Instant::now();
    for (locked, words) in [
        (Checked::CardLocked { minutes: 30 }, "请 30 分钟 后再试"),
        (Checked::CardLocked { minutes: 1_440 }, "请 24 小时 后再试"),
        (Checked::TerminalLocked { minutes: 12 }, "本机暂停用就诊卡核对身份"),
        (Checked::NotOnRecord, "没有登记可以核对的号码"),
    ] {
        let mut session = by_card(now);
        taps(&mut session, Act::Task(Task::Reports), now);
        taps(&mut session, Act::Check(tail()), now);
        hears(&mut session, Answer::Checked(Ok(locked)), now);
        let screen = drawn(&session, &around(), now);
        assert_eq!(screen.view, "problem");
        assert!(
            screen.lead.contains(words) && screen.lead.contains("身份证"),
            "{}",
            screen.lead
        );
        assert_eq!(taps(&mut session, Act::Retry, now), [], "typing helps no more");
        taps(&mut session, Act::Back, now);
        assert_eq!(
            taps(&mut session, Act::Task(Task::CheckIn), now),
            [Ask::Visits(person())]
        );
    }
    // A hospital that does not answer has judged nothing: it is typed again.
    let mut session = by_card(now);
    taps(&mut session, Act::Task(Task::Reports), now);
    taps(&mut session, Act::Check(tail()), now);
    hears(&mut session, Answer::Checked(Err(Trouble::Away)), now);
    let trouble = drawn(&session, &around(), now).entry.unwrap().trouble.unwrap();
    assert!(trouble.contains("没有核对"), "{trouble}");
}

#[test]
fn who_shows_an_identity_card_instead_goes_on_with_what_they_came_for() {
    let now = Instant::now();
    let mut session = by_card(now);
    taps(&mut session, Act::Task(Task::Reports), now);
    session.misread("没有读出身份证，请平放后停留两秒", now);
    let screen = drawn(&session, &around(), now);
    assert!(screen.view == "prove" && screen.entry.unwrap().trouble.unwrap().contains("没有读出"));
    let before = session.number();
    assert_eq!(session.shown(card(), now), [Ask::Who(card())]);
    assert!(session.number() > before, "it may be somebody else");
    let asks = hears(&mut session, Answer::Who(Ok(Some(person()))), now);
    assert_eq!(asks, [Ask::Documents(person(), Task::Reports)]);
    // The same bare card once more proves nothing more.
    let mut session = by_card(now);
    taps(&mut session, Act::Task(Task::Reports), now);
    session.shown(bare(), now);
    assert_eq!(hears(&mut session, Answer::Who(Ok(Some(person()))), now), []);
    assert_eq!(drawn(&session, &around(), now).view, "prove");
}

#[test]
fn a_code_on_a_prescription_and_a_bare_card_do_not_print_it() {
    let now = Instant::now();
    let code = || {
        PaperCode::scanned("https://cloud.example/verify/7k2m9q4x1c8v5b3n")
            .unwrap()
            .unwrap()
    };
    let wanted = |patient: &str| Prescribed {
        his_number: "CF0".to_owned(),
        his_patient_id: patient.to_owned(),
    };
    for (patient, theirs) in [("P000001", true), ("P000002", false)] {
        let mut session = Session::new(IDLE, now);
        session.prescription(code(), now);
        hears(&mut session, Answer::Prescribed(Ok(wanted(patient))), now);
        session.shown(bare(), now);
        assert_eq!(hears(&mut session, Answer::Who(Ok(Some(person()))), now), []);
        // Whether it is theirs is not told either.
        assert_eq!(drawn(&session, &around(), now).view, "prove");
        taps(&mut session, Act::Check(tail()), now);
        let asks = hears(&mut session, Answer::Checked(Ok(Checked::Right)), now);
        match theirs {
            true => assert_eq!(asks, [Ask::Prescription(person(), wanted(patient))]),
            false => assert!(asks.is_empty() && drawn(&session, &around(), now).lead.contains("不是您本人的")),
        }
    }
    // Who turns away leaves no paper to whoever proves themselves later.
    let mut session = by_card(now);
    session.prescription(code(), now);
    hears(&mut session, Answer::Prescribed(Ok(wanted("P000001"))), now);
    taps(&mut session, Act::Back, now);
    assert!(!session.awaits_patient());
}

fn bill() -> Bill {
    Bill {
        bill_id: "F1".to_owned(),
        prescription_number: Some("rx_1".to_owned()),
        total_fen: Fen(6_160),
        items: vec![BillItem {
            name: "苯磺酸氨氯地平片".to_owned(),
            specification: "5mg*28片".to_owned(),
            quantity: "2盒".to_owned(),
            amount_fen: Fen(6_160),
        }],
    }
}

#[test]
fn a_bill_is_paid_by_its_sum_alone_and_its_lines_and_receipt_ask_for_more() {
    let now = Instant::now();
    let paid = records::his::BillPayment {
        order_number: "pay_1".to_owned(),
        his_patient_id: person().his_patient_id,
        bill_ids: vec!["F1".to_owned()],
        channel_number: "4200".to_owned(),
        amount_fen: Fen(6_160),
        paid_at: records::Timestamp::from_seconds(0),
    };
    let receipt = || paper::receipt("医院", &person(), &paid, None, Some(&bill()));
    let mut session = by_card(now);
    assert_eq!(taps(&mut session, Act::Task(Task::Fees), now), [Ask::Bills(person())]);
    hears(&mut session, Answer::Bills(Ok((vec![bill()], vec![receipt()]))), now);
    let list = drawn(&session, &around(), now);
    assert_eq!(list.rows.len(), 1, "no receipts");
    let told = |session: &Session| serde_json::to_string(&drawn(session, &around(), now)).unwrap();
    assert!(told(&session).contains("61.60 元") && !told(&session).contains("氨氯地平"));
    taps(&mut session, Act::Bill(0), now);
    assert!(drawn(&session, &around(), now).qr.is_some(), "anybody may pay it");
    assert!(!told(&session).contains("氨氯地平"));
    // Paid, nothing comes out for a number.
    let news = Answer::Paying("F1".to_owned(), Paying::Paid(Box::new(receipt())));
    assert_eq!(hears(&mut session, news, now), []);
    assert_eq!(drawn(&session, &around(), now).title, "支付成功");
    assert_eq!(taps(&mut session, Act::Receipt(0), now), []);
    assert_eq!(drawn(&session, &around(), now).view, "prove");
    taps(&mut session, Act::Check(tail()), now);
    let asks = hears(&mut session, Answer::Checked(Ok(Checked::Right)), now);
    assert_eq!(
        asks,
        [Ask::Bills(person())],
        "a fresh list, with its lines and receipts"
    );
    let mut again = receipt();
    again.paper = Paper::None;
    hears(&mut session, Answer::Bills(Ok((vec![bill()], vec![again]))), now);
    assert!(told(&session).contains("氨氯地平") && drawn(&session, &around(), now).rows.len() == 2);
    // The button of the list leads there as well.
    let mut session = by_card(now);
    taps(&mut session, Act::Task(Task::Fees), now);
    hears(&mut session, Answer::Bills(Ok((vec![bill()], Vec::new()))), now);
    assert!(
        drawn(&session, &around(), now)
            .buttons
            .iter()
            .any(|b| b.act == "verify")
    );
    taps(&mut session, Act::Verify, now);
    assert_eq!(drawn(&session, &around(), now).view, "prove");
}

#[test]
fn hospitals_differ_in_what_they_ask_and_none_lets_a_number_open_reports() {
    let now = Instant::now();
    let asking = |second| CardRules {
        second,
        ..CardRules::default()
    };
    for (second, words, letters) in [
        (Second::Phone, "手机号的后四位", ""),
        (Second::Either, "身份证号或登记手机号", "X"),
    ] {
        let mut session = with_rules(asking(second), now);
        taps(&mut session, Act::Task(Task::Reports), now);
        let screen = drawn(&session, &around(), now);
        assert!(screen.title.contains(words) && screen.entry.unwrap().letters == letters);
    }
    // Nothing typed will do: a card or code is awaited, and the bare one is forgotten.
    let mut session = with_rules(asking(Second::None), now);
    taps(&mut session, Act::Task(Task::Reports), now);
    let screen = drawn(&session, &around(), now);
    assert_eq!((screen.view, session.person()), ("identify", None));
    assert!(screen.title.contains("凭就诊卡不能办理这项业务"), "{}", screen.title);
    session.shown(card(), now);
    let asks = hears(&mut session, Answer::Who(Ok(Some(person()))), now);
    assert_eq!(asks, [Ask::Documents(person(), Task::Reports)]);
    // A house that wants to be asked even for the queue.
    let mut session = with_rules(
        CardRules {
            alone: Vec::new(),
            ..CardRules::default()
        },
        now,
    );
    for task in Task::ALL {
        assert_eq!(taps(&mut session, Act::Task(task), now), []);
        assert!(matches!(session.stage(), Stage::Prove { .. }), "{task:?}");
        taps(&mut session, Act::Back, now);
    }

    let config = |card: &str| -> Result<Config, String> {
        let text = format!(r#"{{"listen": "127.0.0.1:8093", "hospital": "医院", "card": {card}}}"#);
        let config: Config = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        config.check(std::iter::empty()).map_err(|e| e.to_string())?;
        Ok(config)
    };
    assert_eq!(config("{}").unwrap().card, CardRules::default());
    assert_eq!(
        config(r#"{"second": "either", "tries": 5}"#).unwrap().card.second,
        Second::Either
    );
    for wrong in [
        r#"{"alone": ["reports"]}"#,
        r#"{"alone": ["fees", "prescriptions"]}"#,
        r#"{"tries": 0}"#,
        r#"{"tries": 99}"#,
        r#"{"lock_min": 0}"#,
        r#"{"terminal_tries": 10000}"#,
        r#"{"second": "password"}"#,
        r#"{"third": 1}"#,
    ] {
        assert!(config(wrong).is_err(), "{wrong}");
    }
}
