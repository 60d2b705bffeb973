//! What may be done with an order, and when.

use super::*;

fn table() -> String {
    let mut out = String::from(
        "# Order of nursing at home: state × step\n\n`–` is refused. Made by the test of this folder.\n\n| state |",
    );
    for step in Step::ALL {
        out.push_str(&format!(" {} |", step.as_str()));
    }
    out.push_str(&format!("\n|--|{}\n", "--|".repeat(Step::ALL.len())));
    for state in State::ALL {
        out.push_str(&format!("| {} {} |", state.as_str(), state.text()));
        for step in Step::ALL {
            out.push_str(&format!(
                " {} |",
                state
                    .after(step)
                    .map_or("–".to_owned(), |to| format!("→ {}", to.as_str()))
            ));
        }
        out.push('\n');
    }
    out
}

#[test]
fn every_state_answers_every_step_as_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/order/states.md");
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
fn what_is_over_stays_over_and_a_visit_under_way_is_ended_by_its_nurse_or_for_her() {
    for step in Step::ALL {
        for state in State::ALL.into_iter().filter(|s| s.is_over()) {
            assert_eq!(state.after(step).unwrap_or(state), state, "{step:?}");
        }
    }
    assert_eq!(State::Started.after(Step::Finish), Ok(State::Finished));
    assert!(State::Started.after(Step::Cancel).is_err() && State::Started.after(Step::Assign).is_err());
    for state in State::ALL.into_iter().filter(|s| *s != State::Started) {
        for step in [Step::Finish, Step::End, Step::HandOver] {
            assert!(state.after(step).is_err(), "{state:?} {step:?}");
        }
    }
    assert_eq!(State::Started.after(Step::End), Ok(State::Finished));
    assert_eq!(State::Started.after(Step::HandOver), Ok(State::Assigned));
    for state in State::ALL {
        assert_eq!(state.after(Step::Record).is_ok(), state == State::Finished, "{state:?}");
    }
}

#[test]
fn settings_nobody_could_work_with_are_refused() {
    assert_eq!(OrderSettings::default().check(), Ok(()));
    for (services, least_charge_percent) in [
        (vec![], 60),
        (vec![String::new()], 60),
        (vec!["伤口换药".to_owned()], 101),
    ] {
        assert!(
            OrderSettings {
                services,
                least_charge_percent
            }
            .check()
            .is_err()
        );
    }
}
