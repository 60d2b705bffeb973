//! The payment's table of states, and what must hold for any order of events.

use proptest::prelude::*;

use super::*;

fn payment(state: PaymentState) -> Payment {
    let paid = matches!(
        state,
        PaymentState::Paid
            | PaymentState::HisConfirming
            | PaymentState::Done
            | PaymentState::Reversing
            | PaymentState::Reversed
            | PaymentState::Manual
    );
    Payment {
        id: PaymentId::parse("pay_1").unwrap(),
        subject_kind: "visit".to_owned(),
        subject_id: "con_1".to_owned(),
        account_id: "acc_1".to_owned(),
        description: "线上复诊".to_owned(),
        amount_fen: Fen(2500),
        state,
        pay_url: None,
        channel_number: paid.then(|| "wx1".to_owned()),
        charged_fen: (state == PaymentState::Manual).then_some(Fen(2400)),
        paid_at: paid.then(|| Timestamp::from_seconds(1)),
        expires_at: Timestamp::from_seconds(900),
        created_at: Timestamp::from_seconds(0),
    }
}

type Command = (&'static str, fn(Payment) -> Moved);

fn charge(p: Payment) -> (Payment, PaymentEvent) {
    p.charged(Some(Fen(2500)), Some("wx1".to_owned()), Timestamp::from_seconds(5))
}

const COMMANDS: &[Command] = &[
    ("pages", |p| p.pages("https://pay".to_owned())),
    ("charged", |p| Ok(charge(p))),
    ("charged otherwise", |p| {
        Ok(p.charged(Some(Fen(1)), None, Timestamp::from_seconds(5)))
    }),
    ("close", Payment::close),
    ("closed", |p| Ok(p.closed())),
    ("confirming", Payment::confirming),
    ("done", Payment::done),
    ("reverse", Payment::reverse),
    ("reversed", Payment::reversed),
    ("hold", |p| Ok(p.hold())),
    ("accept", Payment::accept),
    ("give back", Payment::give_back),
];

fn table() -> String {
    let mut out = String::from(
        "# Payment: state × command\n\n`·` stays, `–` is refused. Made by the test of this folder.\n\n| state |",
    );
    for (name, _) in COMMANDS {
        out.push_str(&format!(" {name} |"));
    }
    out.push_str("\n|--|");
    out.push_str(&"--|".repeat(COMMANDS.len()));
    out.push('\n');
    for state in PaymentState::ALL {
        out.push_str(&format!("| {} {} |", state.as_str(), state.text()));
        for (_, command) in COMMANDS {
            match command(payment(state)) {
                Ok((after, PaymentEvent::Nothing)) => {
                    assert_eq!(after.state, state);
                    out.push_str(" · |");
                }
                Ok((after, event)) => out.push_str(&format!(" → {} ({}) |", after.state.as_str(), event.word())),
                Err(refusal) => {
                    assert_eq!(refusal.state, state);
                    out.push_str(" – |");
                }
            }
        }
        out.push('\n');
    }
    out
}

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/payments/states.md");
    let now = table();
    if std::env::var_os("YIQIAO_GOLDEN").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        kept, now,
        "the table changed: look at it, then run with YIQIAO_GOLDEN=write"
    );
}

fn any_command() -> impl Strategy<Value = usize> {
    0..COMMANDS.len()
}

proptest! {
    /// Money that arrived is never forgotten, and a payment is charged at most once, whatever comes in which order.
    #[test]
    fn money_that_arrived_is_never_forgotten(acts in prop::collection::vec(any_command(), 0..30)) {
        let mut p = payment(PaymentState::Created);
        let mut charges = 0;
        for act in acts {
            let before = p.clone();
            match (COMMANDS[act].1)(p.clone()) {
                Ok((after, event)) => {
                    if matches!(event, PaymentEvent::Charged | PaymentEvent::ChargedAfterClose | PaymentEvent::AmountDiffers) {
                        charges += 1;
                    }
                    p = after;
                }
                Err(_) => p = before.clone(),
            }
            if before.paid_at.is_some() {
                prop_assert_eq!(p.paid_at, before.paid_at, "the time of the charge never changes");
                let kept = p.state.holds_money() || matches!(p.state, PaymentState::Reversed | PaymentState::Manual);
                prop_assert!(kept, "charged, and then {:?}", p.state);
            }
            prop_assert!(p.pay_url.is_none() || p.state == PaymentState::Pending, "a page only while it may be paid");
        }
        prop_assert!(charges <= 1);
    }

    /// Notice, query and the answer to closing may come in any order and any number: the end is the same.
    #[test]
    fn what_is_said_twice_changes_nothing(again in 1usize..5) {
        for state in PaymentState::ALL {
            let (once, _) = charge(payment(state));
            let mut many = once.clone();
            for _ in 0..again {
                let (next, event) = charge(many);
                prop_assert_eq!(event, PaymentEvent::Nothing);
                many = next;
            }
            prop_assert_eq!(&many, &once);
            let (closed_later, _) = many.closed();
            prop_assert_eq!(closed_later, once, "closing after a charge changes nothing");
        }
    }
}
