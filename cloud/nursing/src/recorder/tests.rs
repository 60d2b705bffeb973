//! What may be done with a recorder, and when.

use super::*;

#[test]
fn every_step_in_every_state_is_as_the_ward_expects() {
    let steps = [
        Step::Issue,
        Step::Return,
        Step::Retire,
        Step::Restore,
        Step::Delete,
        Step::List,
        Step::Unlist,
    ];
    let mut table = String::new();
    for state in State::ALL {
        for step in steps {
            let next = state.after(step, true).map_or("–", State::as_str);
            table.push_str(&format!("{} {step:?} {next}\n", state.as_str()));
        }
    }
    let expected = "\
stock Issue issued\nstock Return –\nstock Retire retired\nstock Restore –\nstock Delete deleted\nstock List stock\nstock Unlist stock\n\
issued Issue –\nissued Return stock\nissued Retire –\nissued Restore –\nissued Delete –\nissued List issued\nissued Unlist –\n\
retired Issue –\nretired Return –\nretired Retire –\nretired Restore stock\nretired Delete deleted\nretired List –\nretired Unlist retired\n\
deleted Issue –\ndeleted Return –\ndeleted Retire –\ndeleted Restore –\ndeleted Delete –\ndeleted List –\ndeleted Unlist –\n";
    assert_eq!(table, expected);
    assert!(State::Stock.after(Step::Issue, false).is_err());
}
