//! Who stands there, for how long, and what is left of them.

use std::time::{Duration, Instant};

use records::his::HisOrderState;

use super::{IDLE, around, card, drawn, known, person, place, visit};
use crate::hospital::{Token, Trouble};
use crate::session::{Act, Answer, Ask, Session, Stage, Task};

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
