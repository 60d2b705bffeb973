//! Bills, their payment, receipts.

use std::time::Instant;

use records::his::{Bill, BillItem, BillPayment, BillReceipt};
use records::{Fen, Timestamp};

use super::{IDLE, around, drawn, known, person};
use crate::money::Paying;
use crate::paper::{self, Paper};
use crate::session::{Act, Answer, Ask, Session, Stage, Task};
use crate::show::Around;

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
fn a_code_nobody_pays_is_taken_away_and_what_is_paid_later_waits_for_its_patient() {
    let now = Instant::now();
    let mut session = at_a_bill(now);
    let paying = std::time::Duration::from_secs(180);
    session.tick(now + paying - std::time::Duration::from_secs(1));
    assert!(drawn(&session, &around(), now).qr.is_some());
    session.tick(now + paying);
    let home = drawn(&session, &around(), now);
    assert_eq!(
        (session.stage(), session.watched(), home.qr),
        (&Stage::Home, None, None)
    );
    assert_eq!(hears(&mut session, paid(), now), [], "nothing comes out for nobody");
    // The time is that of the last touch: whoever says so has it anew.
    let mut session = at_a_bill(now);
    session.tapped(session.number(), Act::Stay, now + paying / 2);
    session.tick(now + paying);
    assert!(session.watched().is_some());
}
