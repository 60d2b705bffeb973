//! The table of states, and whose act each is.

use std::fmt::Write as _;
use std::time::Duration;

use records::id::StaffId;
use records::{Actor, Timestamp};

use super::{ANSWER_WITHIN, Command, Consilium, OPINION_WITHIN, State, next};

#[test]
fn every_state_and_command_leads_where_the_table_says() {
    let mut table = String::from("| 状态 |");
    for c in Command::ALL {
        write!(table, " {} |", c.text()).unwrap();
    }
    table.push_str("\n|---|");
    table.push_str(&"---|".repeat(Command::ALL.len()));
    for s in State::ALL {
        write!(table, "\n| {} |", s.text()).unwrap();
        for c in Command::ALL {
            write!(table, " {} |", next(s, c).map_or("—", State::text)).unwrap();
        }
    }
    table.push('\n');
    let golden = include_str!("transitions.md");
    assert_eq!(table, golden, "the table changed:\n{table}");
}

fn staff(id: &str) -> Actor {
    Actor::Staff(StaffId::parse(id).unwrap())
}

fn noon() -> Timestamp {
    Timestamp::parse("2026-11-21T04:00:00Z").unwrap()
}

fn invited() -> Consilium {
    Consilium {
        inviter: StaffId::parse("stf_wang").unwrap(),
        expert: StaffId::parse("stf_zhao").unwrap(),
        state: State::Invited,
        until: noon().plus(ANSWER_WITHIN),
    }
}

#[test]
fn only_the_expert_answers_and_signs_and_only_the_inviter_judges() {
    let (wang, zhao, sun) = (staff("stf_wang"), staff("stf_zhao"), staff("stf_sun"));
    let t = noon();
    for other in [&wang, &sun, &Actor::System] {
        let refused = invited().accept(t, other).unwrap_err();
        assert_eq!(refused.to_string(), "会诊待接受，不能接受：只有受邀专家本人可以操作");
        invited().decline(t, other, "不在").unwrap_err();
    }
    assert!(!invited().may_read(t, &zhao), "before acceptance nothing is read");
    let (open, _) = invited().accept(t, &zhao).unwrap();
    assert!(open.may_read(t, &zhao) && !open.may_read(t, &wang) && !open.may_read(t, &sun));
    open.clone().sign(t, &wang, "同意").unwrap_err();
    open.clone().sign(t, &zhao, " ").unwrap_err();
    let (concluded, event) = open.sign(t, &zhao, "建议加用利尿剂").unwrap();
    assert_eq!((event.to, event.command), (State::Concluded, Command::Sign));
    assert!(!concluded.may_read(t, &zhao), "after the opinion nothing is read");
    concluded.clone().evaluate(t, &zhao).unwrap_err();
    concluded.clone().withdraw(t, &wang, "不需要").unwrap_err();
    assert_eq!(concluded.evaluate(t, &wang).unwrap().0.state, State::Evaluated);
}

#[test]
fn what_nobody_answers_ends_and_with_it_the_access() {
    let zhao = staff("stf_zhao");
    let t = noon();
    invited().lapse(t).unwrap_err();
    let late = t.plus(ANSWER_WITHIN);
    invited().accept(late, &zhao).unwrap_err();
    assert_eq!(invited().lapse(late).unwrap().0.state, State::Lapsed);
    let (open, _) = invited().accept(t, &zhao).unwrap();
    let end = t.plus(OPINION_WITHIN);
    assert!(open.may_read(Timestamp::from_micros(end.as_micros() - 1), &zhao));
    assert!(!open.may_read(end, &zhao));
    open.clone()
        .sign(end.plus(Duration::from_secs(1)), &zhao, "同意")
        .unwrap_err();
    assert_eq!(open.lapse(end).unwrap().0.state, State::Lapsed);
}

#[test]
fn the_page_offers_each_what_they_may_do() {
    let (wang, zhao) = (staff("stf_wang"), staff("stf_zhao"));
    let t = noon();
    assert_eq!(invited().allowed(t, &wang), [Command::Withdraw]);
    assert_eq!(invited().allowed(t, &zhao), [Command::Accept, Command::Decline]);
    let (open, _) = invited().accept(t, &zhao).unwrap();
    assert_eq!(open.allowed(t, &zhao), [Command::Decline, Command::Sign]);
    let (concluded, _) = open.sign(t, &zhao, "同意").unwrap();
    assert_eq!(concluded.allowed(t, &zhao), []);
    assert_eq!(concluded.allowed(t, &wang), [Command::Evaluate]);
}
