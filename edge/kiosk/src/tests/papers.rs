//! Reports and prescriptions on paper, and the code on a prescription.

use std::time::Instant;

use records::LocalDate;
use records::his::PastPrescription;

use super::{IDLE, around, card, drawn, known, person};
use crate::hospital::{Content, Person, Token, Trouble};
use crate::paper::{self, Document, Paper};
use crate::prescription::{NotPrinted, PaperCode, Prescribed};
use crate::session::{Act, Answer, Ask, Session, Stage, Task};

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

fn code() -> PaperCode {
    PaperCode::scanned("https://cloud.example/verify/7k2m9q4x1c8v5b3n")
        .unwrap()
        .unwrap()
}

fn prescribed() -> Prescribed {
    Prescribed {
        his_number: "CF0".to_owned(),
        his_patient_id: person().his_patient_id,
    }
}

/// Somebody has scanned the code of a prescription that is there.
fn scanned(session: &mut Session, now: Instant) -> Vec<Ask> {
    assert_eq!(session.prescription(code(), now), [Ask::Prescribed(code())]);
    session.answered(session.turn(), Answer::Prescribed(Ok(prescribed())), now)
}

#[test]
fn a_scanned_prescription_comes_out_for_its_patient_once_and_tells_nobody_anything_before() {
    let now = Instant::now();
    let mut session = Session::new(IDLE, now);
    assert_eq!(scanned(&mut session, now), []);
    let screen = drawn(&session, &around(), now);
    assert_eq!((screen.view, screen.person), ("identify", None));
    assert!(screen.lead.contains("只打印给处方上的患者本人"), "{}", screen.lead);
    assert!(
        screen.rows.is_empty() && screen.lead.contains("身份证"),
        "{}",
        screen.lead
    );
    session.shown(card(), now);
    let asks = session.answered(session.turn(), Answer::Who(Ok(Some(person()))), now);
    assert_eq!(asks, [Ask::Prescription(person(), prescribed())]);
    assert!(!session.awaits_patient());
    let asks = session.answered(session.turn(), Answer::Documents(Ok(prescriptions(1))), now);
    assert!(matches!(asks.as_slice(), [Ask::Print(d, false)] if d.key == "kiosk.prescription.CF0"));
    assert_eq!(drawn(&session, &around(), now).lead, "请在出纸口取走");
    // Scanned again by the same person it is found again, and not printed again by itself.
    assert_eq!(scanned(&mut session, now), [Ask::Prescription(person(), prescribed())]);
    let mut known = prescriptions(1);
    known[0].paper = Paper::Printed(1);
    assert_eq!(session.answered(session.turn(), Answer::Documents(Ok(known)), now), []);
    let row = drawn(&session, &around(), now).rows.remove(0);
    assert_eq!((row.state.as_str(), row.button.unwrap().label), ("已打印", "补打"));
    let asks = session.tapped(session.number(), Act::Print(0), now);
    assert!(matches!(asks.as_slice(), [Ask::Print(_, true)]));
}

#[test]
fn nobody_gets_the_prescription_of_somebody_else() {
    let now = Instant::now();
    let other = Person {
        his_patient_id: "P000002".to_owned(),
        name: "李四".to_owned(),
    };
    let mut session = Session::new(IDLE, now);
    scanned(&mut session, now);
    let voucher = Token::Insurance(format!("431100{:022}", 2));
    session.shown(voucher, now);
    let asks = session.answered(session.turn(), Answer::Who(Ok(Some(other.clone()))), now);
    assert_eq!(asks, [], "the hospital is not even asked");
    let screen = drawn(&session, &around(), now);
    assert_eq!(
        (screen.view, screen.lead),
        ("problem", NotPrinted::NotYours.to_string())
    );
    assert_eq!(session.tapped(session.number(), Act::Retry, now), []);
    // Who is known already may scan it as well, and hears the same.
    session.tapped(session.number(), Act::Back, now);
    assert_eq!((session.stage(), session.person()), (&Stage::Menu, Some(&other)));
    assert_eq!(scanned(&mut session, now), []);
    assert_eq!(drawn(&session, &around(), now).lead, NotPrinted::NotYours.to_string());
    // Its patient comes: a new person, with a paper to scan again.
    let before = session.number();
    session.shown(card(), now);
    session.answered(session.turn(), Answer::Who(Ok(Some(person()))), now);
    assert!(session.number() > before);
    assert_eq!(session.stage(), &Stage::Menu);
}

#[test]
fn what_is_not_printed_is_told_and_the_next_person_is_not_asked_about_it() {
    let now = Instant::now();
    for why in [
        NotPrinted::Foreign,
        NotPrinted::Void,
        NotPrinted::Outdated,
        NotPrinted::UnderWay,
    ] {
        let mut session = Session::new(IDLE, now);
        session.prescription(code(), now);
        let refused = Answer::Prescribed(Err(Trouble::Refused(why.to_string())));
        session.answered(session.turn(), refused, now);
        let screen = drawn(&session, &around(), now);
        assert_eq!((screen.view, screen.title), ("identify", why.to_string()));
        assert!(!session.awaits_patient());
    }
    // Who turns away, or falls silent, leaves no paper to the next one.
    for leave in [Some(Act::Leave), Some(Act::Back), None] {
        let mut session = Session::new(IDLE, now);
        scanned(&mut session, now);
        match leave {
            Some(act) => session.tapped(session.number(), act, now),
            None => session.tick(now + IDLE),
        };
        assert_eq!((session.stage(), session.awaits_patient()), (&Stage::Home, false));
        session.shown(card(), now);
        session.answered(session.turn(), Answer::Who(Ok(Some(person()))), now);
        assert_eq!(session.stage(), &Stage::Menu);
    }
    // While the hospital is asked something else, a scan changes nothing.
    let mut session = Session::new(IDLE, now);
    known(&mut session, Task::Fees, now);
    assert_eq!(session.prescription(code(), now), []);
}
