//! One person after another, without a hospital.

use std::time::{Duration, Instant};

use records::his::{Bill, BillItem, BillPayment, BillReceipt, HisOrderState, PastPrescription, QueuePlace};
use records::{Fen, LocalDate, Timestamp};

use crate::config::{Config, check_all};
use crate::hospital::{Content, Person, Token, Trouble, Visit};
use crate::money::Paying;
use crate::paper::{self, Document, Paper};
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
fn a_card_a_visit_a_number_and_nothing_is_left_of_it() {
    let now = Instant::now();
    let mut session = Session::new(IDLE, now);
    assert_eq!(known(&mut session, Task::CheckIn, now), [Ask::Visits(person())]);
    let visits = vec![visit("G1", HisOrderState::Paid), visit("G2", HisOrderState::CheckedIn)];
    session.answered(session.turn(), Answer::Visits(Ok(visits)), now);
    let asks = session.tapped(session.number(), Act::Visit(0), now);
    assert!(matches!(asks.as_slice(), [Ask::CheckIn(_, v)] if v.order == "G1"));
    // The finger was twice on it, and then on everything else.
    for act in [Act::Visit(0), Act::Visit(0), Act::Back, Act::Task(Task::Fees)] {
        assert_eq!(session.tapped(session.number(), act, now), []);
    }
    let asks = session.answered(session.turn(), Answer::Place(Ok(Some(place()))), now);
    assert!(matches!(asks.as_slice(), [Ask::Print(ticket, false)] if ticket.key == "kiosk.ticket.G1"));
    let screen = drawn(&session, &around(), now);
    assert_eq!((screen.view, screen.big.as_deref()), ("ticket", Some("A037")));
    assert_eq!(screen.person.as_deref(), Some("张*三"));
    let asks = session.tapped(session.number(), Act::Leave, now);
    assert_eq!(asks, [Ask::Withdraw("kiosk.ticket.G1".to_owned())]);
    assert!(session.person().is_none() && session.papers().is_empty());
    let left = serde_json::to_string(&drawn(&session, &around(), now)).unwrap();
    assert!(!left.contains('张') && !left.contains("A037"), "{left}");
}

#[test]
fn silence_ends_it_and_what_comes_late_belongs_to_nobody() {
    let now = Instant::now();
    let mut session = Session::new(IDLE, now);
    known(&mut session, Task::Reports, now);
    let (late_turn, late_number) = (session.turn(), session.number());
    assert_eq!(session.tick(now + IDLE - Duration::from_secs(1)), []);
    assert!(session.person().is_some());
    session.tick(now + IDLE);
    assert_eq!((session.stage(), session.person()), (&Stage::Home, None));
    session.answered(late_turn, Answer::Who(Ok(Some(person()))), now + IDLE);
    session.answered(late_turn, Answer::Documents(Ok(Vec::new())), now + IDLE);
    session.tapped(late_number, Act::Task(Task::Fees), now + IDLE);
    assert_eq!((session.stage(), session.person()), (&Stage::Home, None));
    // The next one is asked for the hospital with a late answer to the last one's question on its way.
    session.shown(card(), now + IDLE);
    session.answered(late_turn, Answer::Who(Ok(Some(person()))), now + IDLE);
    assert!(session.person().is_none());
}

#[test]
fn a_touch_gives_time_and_a_check_in_on_its_way_is_waited_for() {
    let now = Instant::now();
    let mut session = Session::new(IDLE, now);
    known(&mut session, Task::CheckIn, now);
    let later = now + Duration::from_secs(50);
    session.tapped(session.number(), Act::Stay, later);
    session.tick(now + IDLE);
    assert!(session.person().is_some(), "the touch counted");
    session.answered(
        session.turn(),
        Answer::Visits(Ok(vec![visit("G1", HisOrderState::Paid)])),
        later,
    );
    session.tapped(session.number(), Act::Visit(0), later);
    session.tick(later + 3 * IDLE);
    assert!(session.person().is_some(), "its number must be shown to somebody");
    session.answered(session.turn(), Answer::Place(Err(Trouble::Unsure)), later + 3 * IDLE);
    let screen = drawn(&session, &around(), later + 3 * IDLE);
    assert!(
        screen.lead.contains("服务台") && screen.lead.contains("不会重复取号"),
        "{}",
        screen.lead
    );
    let again = session.tapped(session.number(), Act::Retry, later + 3 * IDLE);
    assert!(
        matches!(again.as_slice(), [Ask::CheckIn(_, v)] if v.order == "G1"),
        "the same question, the same key"
    );
}

#[test]
fn another_card_in_the_midst_is_another_person() {
    let now = Instant::now();
    let mut session = Session::new(IDLE, now);
    known(&mut session, Task::Fees, now);
    session.answered(session.turn(), Answer::Bills(Ok((Vec::new(), Vec::new()))), now);
    let first = session.number();
    let asks = session.shown(Token::HospitalCard("8000000002".to_owned()), now);
    assert!(session.person().is_none() && session.number() > first);
    assert_eq!(asks, [Ask::Who(Token::HospitalCard("8000000002".to_owned()))]);
}

#[test]
fn who_is_not_known_is_told_what_to_do() {
    let now = Instant::now();
    let mut session = Session::new(IDLE, now);
    session.tapped(session.number(), Act::Task(Task::Reports), now);
    session.misread("没有读出身份证，请平放后停留两秒", now);
    assert!(drawn(&session, &around(), now).title.contains("没有读出"));
    session.shown(card(), now);
    session.answered(session.turn(), Answer::Who(Ok(None)), now);
    let screen = drawn(&session, &around(), now);
    assert_eq!((screen.view, screen.title.contains("建档")), ("identify", true));
    assert_eq!(
        screen.big.as_deref(),
        Some("打印报告"),
        "and what they came for is kept"
    );
    session.shown(card(), now);
    session.answered(session.turn(), Answer::Who(Err(Trouble::Away)), now);
    assert_eq!(drawn(&session, &around(), now).title, "医院系统暂时连接不上");
}

fn prescriptions(count: usize) -> Vec<Document> {
    let one = |n: usize| {
        let content = Content::Prescription(PastPrescription {
            number: format!("CF{n}"),
            date: LocalDate::parse("2026-11-20").unwrap(),
            department_name: "心血管内科".to_owned(),
            doctor_name: "陈志远".to_owned(),
            items: Vec::new(),
        });
        paper::document("医院", &person(), content)
    };
    (0..count).map(one).collect()
}

#[test]
fn more_than_fit_is_paged_and_a_printed_one_says_so() {
    let now = Instant::now();
    let mut session = Session::new(IDLE, now);
    known(&mut session, Task::Prescriptions, now);
    session.answered(session.turn(), Answer::Documents(Ok(prescriptions(9))), now);
    assert_eq!(drawn(&session, &around(), now).pages, Some((1, 3)));
    session.tapped(session.number(), Act::Page(99), now);
    let screen = drawn(&session, &around(), now);
    assert_eq!((screen.pages, screen.rows.len()), (Some((3, 3)), 1));
    let asks = session.tapped(session.number(), Act::Print(8), now);
    assert!(matches!(asks.as_slice(), [Ask::Print(d, false)] if d.key == "kiosk.prescription.CF8"));
    assert_eq!(
        session.tapped(session.number(), Act::Print(8), now),
        [],
        "it is on its way"
    );
    session.answered(
        0,
        Answer::Paper("kiosk.prescription.CF8".to_owned(), Paper::Printed(1)),
        now,
    );
    let row = drawn(&session, &around(), now).rows.remove(0);
    assert_eq!((row.state.as_str(), row.button.unwrap().label), ("已打印", "补打"));
    let asks = session.tapped(session.number(), Act::Print(8), now);
    assert!(matches!(asks.as_slice(), [Ask::Print(_, true)]));
    session.answered(
        0,
        Answer::Paper("kiosk.prescription.CF8".to_owned(), Paper::Printed(3)),
        now,
    );
    assert_eq!(
        drawn(&session, &around(), now).rows.remove(0).button,
        None,
        "enough copies"
    );
    assert_eq!(session.tapped(session.number(), Act::Print(99), now), []);
}

fn bill(number: Option<&str>) -> Bill {
    Bill {
        bill_id: "F1".to_owned(),
        prescription_number: number.map(str::to_owned),
        total_fen: Fen(6_160),
        items: vec![BillItem {
            name: "苯磺酸氨氯地平片".to_owned(),
            specification: "5mg*28片".to_owned(),
            quantity: "2盒".to_owned(),
            amount_fen: Fen(6_160),
        }],
    }
}

fn paid() -> Paying {
    let paid = BillPayment {
        order_number: "pay_1".to_owned(),
        his_patient_id: person().his_patient_id,
        bill_ids: vec!["F1".to_owned()],
        channel_number: "4200".to_owned(),
        amount_fen: Fen(6_160),
        paid_at: Timestamp::from_seconds(0),
    };
    let receipt = BillReceipt {
        his_order_number: "B1".to_owned(),
        receipt_number: "S00000001".to_owned(),
        collect_at: "西药房 3 号窗口".to_owned(),
    };
    let document = paper::receipt("医院", &person(), &paid, Some(&receipt), Some(&bill(Some("rx_1"))));
    Paying::Paid(Box::new(document))
}

/// A person at a bill that can be paid.
fn at_a_bill(now: Instant) -> Session {
    let mut session = Session::new(IDLE, now);
    known(&mut session, Task::Fees, now);
    let bills = (vec![bill(Some("rx_1"))], Vec::new());
    session.answered(session.turn(), Answer::Bills(Ok(bills)), now);
    session.tapped(session.number(), Act::Bill(0), now);
    session
}

fn hears(session: &mut Session, paying: Paying, now: Instant) -> Vec<Ask> {
    session.answered(session.turn(), Answer::Paying("F1".to_owned(), paying), now)
}

#[test]
fn a_payment_is_told_as_it_goes_and_its_receipt_comes_out_once() {
    let now = Instant::now();
    let mut session = at_a_bill(now);
    assert!(session.watched().is_some() && drawn(&session, &around(), now).qr.is_some());
    // Paying takes its time.
    session.tick(now + 2 * IDLE);
    assert!(session.person().is_some(), "the phone is still busy");
    for (news, words) in [
        (Paying::Arrived, "正在入账"),
        (Paying::Asking, "正在与医院核对"),
        (Paying::Arrived, "正在入账"),
    ] {
        assert_eq!(hears(&mut session, news, now), []);
        let screen = drawn(&session, &around(), now);
        assert!(screen.title.contains(words) && screen.qr.is_none(), "{screen:?}");
        assert!(screen.lead.contains("勿重复支付"), "{}", screen.lead);
    }
    let asks = hears(&mut session, paid(), now);
    assert!(matches!(asks.as_slice(), [Ask::Print(d, false)] if d.key == "kiosk.receipt.pay_1"));
    assert_eq!(hears(&mut session, paid(), now), [], "told once");
    assert_eq!(session.watched(), None, "nothing more will come");
    assert_eq!(drawn(&session, &around(), now).title, "支付成功");
    let printed = Answer::Paper("kiosk.receipt.pay_1".to_owned(), Paper::Printed(1));
    session.answered(0, printed, now);
    assert!(drawn(&session, &around(), now).lead.contains("已打印"));
    let asks = session.tapped(session.number(), Act::Receipt(0), now);
    assert!(
        matches!(asks.as_slice(), [Ask::Print(_, true)]),
        "another copy is asked for"
    );
    // Back is a fresh list: the bill is not to be paid any more.
    let asks = session.tapped(session.number(), Act::Back, now);
    assert_eq!(asks, [Ask::Bills(person())]);
}

#[test]
fn what_the_hospital_refuses_or_leaves_open_is_told_and_whoever_left_is_told_nothing() {
    let now = Instant::now();
    let mut session = at_a_bill(now);
    hears(&mut session, Paying::Refused("费用单已作废".to_owned()), now);
    let screen = drawn(&session, &around(), now);
    assert!(screen.title.contains("原路退回") && screen.lead.contains("费用单已作废"));
    let mut session = at_a_bill(now);
    hears(&mut session, Paying::Hand, now);
    assert!(drawn(&session, &around(), now).lead.contains("收费窗口"));
    let mut session = at_a_bill(now);
    session.tapped(session.number(), Act::Leave, now);
    assert_eq!(hears(&mut session, paid(), now), []);
    assert_eq!((session.stage(), session.watched()), (&Stage::Home, None));
    // Another bill's payment is not this one's.
    let mut session = at_a_bill(now);
    let other = Answer::Paying("F2".to_owned(), Paying::Arrived);
    session.answered(session.turn(), other, now);
    assert!(drawn(&session, &around(), now).qr.is_some());
}

#[test]
fn a_receipt_of_before_is_offered_after_the_bills() {
    let now = Instant::now();
    let mut session = Session::new(IDLE, now);
    known(&mut session, Task::Fees, now);
    let Paying::Paid(receipt) = paid() else { unreachable!() };
    session.answered(session.turn(), Answer::Bills(Ok((Vec::new(), vec![*receipt]))), now);
    let screen = drawn(&session, &around(), now);
    assert!(screen.lead.contains("打印凭条"), "{}", screen.lead);
    assert_eq!(screen.rows[0].button.as_ref().unwrap().act, "receipt:0");
    let asks = session.tapped(session.number(), Act::Receipt(0), now);
    assert!(matches!(asks.as_slice(), [Ask::Print(d, false)] if d.key == "kiosk.receipt.pay_1"));
    assert_eq!(session.tapped(session.number(), Act::Receipt(9), now), []);
}

#[test]
fn a_patient_code_opens_what_it_was_made_for() {
    let now = Instant::now();
    let mut session = Session::new(IDLE, now);
    let code = Token::PatientCode("YQP1".to_owned());
    assert_eq!(session.shown(code.clone(), now), [Ask::Who(code.clone())]);
    let asks = session.answered(session.turn(), Answer::Bearer(person(), Some(Task::Reports)), now);
    assert_eq!(asks, [Ask::Documents(person(), Task::Reports)]);
    // What was tapped first goes before; without either there is the menu.
    let mut session = Session::new(IDLE, now);
    session.tapped(session.number(), Act::Task(Task::Fees), now);
    session.shown(code.clone(), now);
    let asks = session.answered(session.turn(), Answer::Bearer(person(), Some(Task::Reports)), now);
    assert_eq!(asks, [Ask::Bills(person())]);
    let mut session = Session::new(IDLE, now);
    session.shown(code, now);
    session.answered(session.turn(), Answer::Bearer(person(), None), now);
    assert_eq!(session.stage(), &Stage::Menu);
    let refused = Trouble::Refused(crate::Refused::Used.to_string());
    let mut session = Session::new(IDLE, now);
    session.shown(Token::PatientCode("YQP1".to_owned()), now);
    session.answered(session.turn(), Answer::Who(Err(refused)), now);
    assert!(drawn(&session, &around(), now).title.contains("已经用过"));
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
fn a_fee_leads_to_the_patients_own_app_and_without_the_line_to_the_window() {
    let now = Instant::now();
    let mut session = Session::new(IDLE, now);
    known(&mut session, Task::Fees, now);
    let bills = vec![bill(Some("rx_1")), bill(None)];
    session.answered(session.turn(), Answer::Bills(Ok((bills, Vec::new()))), now);
    assert!(drawn(&session, &around(), now).lead.contains("123.20 元"));
    session.tapped(session.number(), Act::Bill(0), now);
    let screen = drawn(&session, &around(), now);
    let symbol = screen.qr.unwrap();
    assert_eq!(symbol.modules.len(), symbol.side * symbol.side);
    let cut = drawn(
        &session,
        &Around {
            online: false,
            ..around()
        },
        now,
    );
    assert!(cut.qr.is_none() && cut.lead.contains("收费窗口"), "{}", cut.lead);
    session.tapped(session.number(), Act::Back, now);
    session.tapped(session.number(), Act::Bill(1), now);
    let window = drawn(&session, &around(), now);
    assert!(
        window.qr.is_none() && window.lead.contains("收费窗口"),
        "not one of ours"
    );
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
        .chain([Act::PrintTicket, Act::Bill(1), Act::Receipt(2), Act::Retry])
    {
        assert_eq!(act.to_string().parse(), Ok(act));
    }
    for none in [
        "",
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
