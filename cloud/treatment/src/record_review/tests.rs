//! The reviewers' table of states, and who may not decide.

use std::fmt::Write as _;

use records::Actor;
use records::id::{AccountId, StaffId};

use super::{Command, Review, State, next};

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
    let golden = include_str!("states.md");
    assert_eq!(table, golden, "the table changed:\n{table}");
}

#[test]
fn neither_the_author_nor_a_machine_decides_and_nothing_goes_back_without_a_reason() {
    let staff = |id: &str| Actor::Staff(StaffId::parse(id).unwrap());
    let review = Review {
        author: StaffId::parse("stf_wang").unwrap(),
        state: State::InReview,
    };
    let refused = review.clone().approve(&staff("stf_wang")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "该版病历待审核，不能审核通过：不能审核自己书写的病历，请由其他审核人员审核"
    );
    review.clone().send_back(&staff("stf_wang"), "缺现病史").unwrap_err();
    review.clone().approve(&Actor::System).unwrap_err();
    let patient = Actor::Patient(AccountId::parse("acc_one").unwrap());
    review.clone().approve(&patient).unwrap_err();
    review.clone().send_back(&staff("stf_sun"), " ").unwrap_err();
    let returned = review.send_back(&staff("stf_sun"), "缺现病史").unwrap();
    assert_eq!(returned.state, State::Returned);
    assert_eq!(returned.supersede().unwrap().state, State::Superseded);
}
