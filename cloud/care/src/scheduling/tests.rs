//! Slots as the patient sees them.

use std::time::Duration;

use records::{LocalDate, Timestamp};
use serde_json::json;

use super::lies_ahead;
use crate::testing::on_each;

#[test]
fn a_slot_that_is_over_does_not_lie_ahead() {
    let day = LocalDate::parse("2026-11-20").unwrap();
    let at = |text: &str| Timestamp::parse(text).unwrap();
    assert!(lies_ahead(day, "09:30", at("2026-11-20T01:29:59Z")));
    assert!(!lies_ahead(day, "09:30", at("2026-11-20T01:30:00Z")));
    assert!(
        lies_ahead(day, "nonsense", at("2026-11-20T15:59:59Z")),
        "the day counts when the time cannot be read"
    );
    assert!(!lies_ahead(day, "nonsense", at("2026-11-20T16:00:00Z")));
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
