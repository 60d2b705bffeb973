//! Slots as the patient sees them.

use std::time::Duration;

use records::{LocalDate, Timestamp};
use serde_json::json;

use super::{ends_at, lies_ahead};
use crate::testing::{TODAY, on_each, slot};

#[test]
fn a_slot_that_is_over_does_not_lie_ahead() {
    let ahead = |end: &str, at: &str| {
        let at = Timestamp::parse(at).unwrap();
        lies_ahead(&slot("W1", TODAY, "09:00", end, 2), at)
    };
    assert!(ahead("09:30", "2026-11-20T01:29:59Z"));
    assert!(!ahead("09:30", "2026-11-20T01:30:00Z"));
    assert!(
        ahead("nonsense", "2026-11-20T15:59:59Z"),
        "the day counts when the time cannot be read"
    );
    assert!(!ahead("nonsense", "2026-11-20T16:00:00Z"));
}

/// At the end of a year, too.
#[test]
fn a_slot_of_the_night_ends_at_midnight_or_on_the_next_day() {
    let day = LocalDate::parse("2026-12-31").unwrap();
    for (begin, end, instant) in [
        ("22:00", "23:59", "2026-12-31T15:59:00Z"),
        ("22:00", "00:00", "2026-12-31T16:00:00Z"),
        ("22:00", "24:00", "2026-12-31T16:00:00Z"),
        ("00:00", "00:00", "2026-12-31T16:00:00Z"),
        ("23:30", "00:30", "2026-12-31T16:30:00Z"),
        ("00:30", "01:00", "2026-12-30T17:00:00Z"),
        // A moment, not a time.
        ("09:00", "09:00", "2026-12-31T01:00:00Z"),
    ] {
        let ends = ends_at(day, begin, end);
        assert_eq!(ends, Timestamp::parse(instant).unwrap(), "{begin} to {end}");
    }
}

/// Rows: YZ-P-045, YZ-A-039
#[test]
fn slots_are_live_without_those_that_are_over_and_asked_for_once() {
    on_each(|day| async move {
        let path = "/slots?department_code=0301&doctor_code=D01";
        let slots = day.get(&day.patient, path).await.ok();
        assert_eq!(slots.as_array().unwrap().len(), 1, "the slot of 07:00 is over");
        assert_eq!(
            (&slots[0]["work_id"], &slots[0]["left"], &slots[0]["fee_fen"]),
            (&json!("W1"), &json!(2), &json!(2500))
        );
        for _ in 0..5 {
            day.get(&day.patient, path).await.ok();
        }
        let asked = || day.his.books().calls.iter().filter(|c| *c == "slot.list").count();
        assert_eq!(asked(), 1);
        day.clock.advance(Duration::from_secs(4));
        day.get(&day.patient, path).await.ok();
        assert_eq!(asked(), 2);
    });
}

#[test]
fn an_unreachable_hospital_is_told_and_bad_days_are_refused() {
    on_each(|day| async move {
        let bad = day
            .get(&day.patient, "/slots?department_code=0301&from=20.11.2026")
            .await;
        assert_eq!((bad.status.as_u16(), &bad.body["field"]), (422, &json!("from")));
        let turned = day
            .get(
                &day.patient,
                "/slots?department_code=0301&from=2026-11-25&to=2026-11-21",
            )
            .await;
        assert_eq!(turned.body["field"], "to");
        day.his.books().offline = true;
        let told = day.get(&day.patient, "/slots?department_code=0301").await.refused();
        assert_eq!(told, (503, "hospital_offline".to_owned()));
    });
}
