//! The visit's table of states. The stories of whole visits are beside it, told on both databases; after each the three
//! books (ours, the HIS's, the channel's) must agree.

mod doors;
mod endings;
mod manual;
mod privacy;
mod way;

use records::{Actor, Timestamp};

use super::*;

fn hand() -> Hand {
    Hand {
        by: Actor::System,
        at: Timestamp::from_seconds(1),
    }
}

/// What the HIS knows in a state reached on the usual way.
fn usual(state: VisitState) -> Progress {
    use VisitState as S;
    let his = match state {
        S::Locking | S::LockUnknown | S::Expired => HisSide::Nothing,
        S::AwaitingPayment => HisSide::Locked,
        S::Confirming | S::Manual => HisSide::Telling,
        _ => HisSide::Confirmed,
    };
    Progress {
        state,
        his,
        ..Progress::begin()
    }
}

type Command = (&'static str, fn(Progress) -> Moved);

const COMMANDS: &[Command] = &[
    ("lock", |p| p.lock(&hand())),
    ("lose_lock", |p| p.lose_lock(&hand())),
    ("refuse_lock", |p| p.refuse_lock("号源已满", &hand())),
    ("pay", |p| Ok(p.pay(&hand()))),
    ("let_go", |p| p.let_go(VisitState::Cancelled, "患者取消", &hand())),
    ("end_unpaid", |p| p.end_unpaid(&hand())),
    ("register", |p| p.register(false, &hand())),
    ("refuse_registration", |p| p.refuse_registration("拒绝", false, &hand())),
    ("check_in", |p| p.check_in(&hand())),
    ("accept", |p| p.accept(&hand())),
    ("decline", |p| p.decline("不宜", &hand())),
    ("withdraw", |p| p.withdraw("不宜", &hand())),
    ("finish", |p| p.finish(&hand())),
    ("cancel", |p| p.cancel("患者取消", &hand())),
    ("stop", |p| p.stop("停诊", &hand())),
    ("return_money", |p| Ok(p.return_money(&hand()))),
    ("end_refund", |p| Ok(p.end_refund(&hand()))),
    ("hold", |p| p.hold("不明", &hand())),
    ("retry", |p| p.retry(&hand())),
    ("give_up_place", |p| p.give_up_place("不明", &hand())),
];

fn table() -> String {
    let mut out = String::from(
        "# Visit: state × command\n\n`→ state` with the duties that follow in the same unit of work; `–` is refused. \
         Made by the test of this folder.\n\n| state |",
    );
    for (name, _) in COMMANDS {
        out.push_str(&format!(" {name} |"));
    }
    out.push_str("\n|--|");
    out.push_str(&"--|".repeat(COMMANDS.len()));
    out.push('\n');
    for state in VisitState::ALL {
        out.push_str(&format!("| {} {} |", state.as_str(), state.text()));
        for (_, command) in COMMANDS {
            match command(usual(state)) {
                Ok((after, event)) => {
                    assert_eq!((event.from, event.to), (state, after.state));
                    let duties = event.duties.iter().map(|d| format!(" +{d:?}")).collect::<String>();
                    let to = if after.state == state {
                        "·"
                    } else {
                        after.state.as_str()
                    };
                    out.push_str(&format!(" → {to}{duties} |"));
                }
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
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/consultation/states.md");
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

#[test]
fn a_terminal_state_of_a_paid_visit_always_returns_the_money() {
    for state in VisitState::ALL {
        for (name, command) in COMMANDS {
            let Ok((after, event)) = command(usual(state)) else {
                continue;
            };
            let ends = matches!(
                after.state,
                VisitState::Declined
                    | VisitState::Withdrawn
                    | VisitState::Cancelled
                    | VisitState::Stopped
                    | VisitState::Refunding
            );
            let had_money = matches!(
                state,
                VisitState::Confirming | VisitState::Waiting | VisitState::CheckedIn | VisitState::InProgress
            );
            if ends && had_money && after.state != state {
                assert!(event.duties.contains(&Duty::Refund), "{state:?} {name}");
            }
        }
    }
}
