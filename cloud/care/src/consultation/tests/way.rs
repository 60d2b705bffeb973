//! From the booking to the registration: locks, payments, timers.

use std::time::Duration;

use records::his::HisOrderState;
use serde_json::json;

use crate::bench_channel;
use crate::consultation::tick;
use crate::testing::{Fault, on_each};

/// Rows: YZ-P-046, YZ-P-180, YZ-P-181, YZ-P-182, YZ-P-183, YZ-D-032, YZ-D-033, YZ-D-039, YZ-P-056
#[test]
fn a_follow_up_visit_goes_from_the_booking_to_the_rating() {
    on_each(|day| async move {
        let visit = day.book().await;
        let view = day.get(&day.patient, &format!("/visits/{visit}")).await.ok();
        assert_eq!(view["state"], "awaiting_payment");
        assert_eq!(view["allowed"], json!(["pay", "cancel"]));
        assert_eq!(view["patient"]["name_masked"], "赵*英");
        assert!(view["patient"].get("name").is_none(), "the app shows no full name");
        day.pay(&visit).await;
        assert_eq!(day.state(&visit).await, "confirming");
        day.deliver().await;
        let view = day.get(&day.patient, &format!("/visits/{visit}")).await.ok();
        assert_eq!(
            (&view["state"], &view["payment"]["state"]),
            (&json!("waiting"), &json!("done"))
        );
        let view = day
            .post(&day.patient, &format!("/visits/{visit}/check-in"), json!({}))
            .await
            .ok();
        assert_eq!(
            (&view["state"], &view["queue_position"]),
            (&json!("checked_in"), &json!(1))
        );
        let group = day
            .get(&day.doctor, "/doctor/visits?group=checked_in&q=秀英")
            .await
            .ok();
        assert_eq!(group["items"][0]["patient"]["name"], "赵秀英");
        assert_eq!(group["items"][0]["statement"]["allergies"], "青霉素");
        assert_eq!(group["items"][0]["allowed"], json!(["accept", "decline"]));
        day.post(&day.doctor, &format!("/doctor/visits/{visit}/accept"), json!({}))
            .await
            .ok();
        day.ended_by_doctor(&visit).await;
        let view = day
            .post(&day.patient, &format!("/visits/{visit}/finish"), json!({}))
            .await
            .ok();
        assert_eq!(
            (&view["state"], &view["allowed"]),
            (&json!("finished"), &json!(["rate"]))
        );
        let stars = json!({ "attitude": 5, "professional": 5, "speed": 4, "comment": "谢谢" });
        let view = day
            .post(&day.patient, &format!("/visits/{visit}/rating"), stars.clone())
            .await
            .ok();
        assert_eq!(view["rating"]["speed"], 4);
        let again = day
            .post(&day.patient, &format!("/visits/{visit}/rating"), stars)
            .await
            .refused();
        assert_eq!(again, (409, "rated".to_owned()));
        assert_eq!(
            day.books(&visit).await,
            ("finished".to_owned(), Some(HisOrderState::Paid), 2500)
        );
    });
}

#[test]
fn a_lock_that_timed_out_after_it_was_made_is_adopted() {
    on_each(|day| async move {
        day.his.spoil("slot.lock", Fault::SilentAfter);
        let visit = day.book().await;
        assert_eq!(day.state(&visit).await, "lock_unknown");
        day.settle().await;
        assert_eq!(day.state(&visit).await, "awaiting_payment");
        day.pay(&visit).await;
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("waiting".to_owned(), Some(HisOrderState::Paid), 2500)
        );
        assert_eq!(day.his.books().slots[0].left, 1, "one place was taken, not two");
    });
}

#[test]
fn a_lock_that_never_was_made_is_told_plainly_and_leaks_nothing() {
    on_each(|day| async move {
        day.his.spoil("slot.lock", Fault::SilentBefore);
        let visit = day.book().await;
        day.settle().await;
        assert_eq!(day.state(&visit).await, "declined");
        let view = day.get(&day.patient, &format!("/visits/{visit}")).await.ok();
        assert_eq!(view["message"], "医院未能锁定号源，请重新选择时段");
        assert_eq!(day.books(&visit).await, ("declined".to_owned(), None, 0));
        assert!(
            day.his.books().commands.contains(&"slot.unlock".to_owned()),
            "unlocked all the same"
        );
    });
}

#[test]
fn when_the_line_is_down_for_long_the_place_is_given_up_and_unlocked_later() {
    on_each(|day| async move {
        day.his.spoil("slot.lock", Fault::SilentAfter);
        let visit = day.book().await;
        day.his.books().offline = true;
        for _ in 0..30 {
            tick(&day.ctx, &day.cashier, &day.tenant).await.unwrap();
            day.clock.advance(Duration::from_secs(6));
        }
        assert_eq!(day.state(&visit).await, "declined");
        assert_eq!(day.his.order(&visit).map(|o| o.state), Some(HisOrderState::Unpaid));
        day.his.books().offline = false;
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("declined".to_owned(), Some(HisOrderState::Cancelled), 0)
        );
        assert_eq!(day.his.books().slots[0].left, 2, "the lock did not leak");
    });
}

#[test]
fn the_his_words_reach_the_patient_when_it_gives_no_place() {
    on_each(|day| async move {
        day.his.spoil("slot.lock", Fault::Refuse("该患者今日已挂该科室"));
        let visit = day.book().await;
        let view = day.get(&day.patient, &format!("/visits/{visit}")).await.ok();
        assert_eq!(
            (&view["state"], &view["message"]),
            (&json!("declined"), &json!("该患者今日已挂该科室"))
        );
        assert_eq!(view["allowed"], json!([]));
    });
}

#[test]
fn an_unpaid_visit_expires_after_its_order_was_closed_at_the_channel() {
    on_each(|day| async move {
        let visit = day.book().await;
        let payment = day.open_payment(&visit).await;
        day.clock.advance(Duration::from_secs(15 * 60 + 1));
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("expired".to_owned(), Some(HisOrderState::Cancelled), 0)
        );
        assert!(!day.till.payer_pays(&payment), "nobody can pay any more");
        let late = day
            .post(&day.patient, &format!("/visits/{visit}/pay"), json!({}))
            .await
            .refused();
        assert_eq!(late, (409, "visit_state".to_owned()));
    });
}

#[test]
fn a_payer_who_is_faster_than_the_timer_keeps_the_visit() {
    on_each(|day| async move {
        let visit = day.book().await;
        let payment = day.open_payment(&visit).await;
        day.clock.advance(Duration::from_secs(15 * 60 + 1));
        // Paid at the last moment; the notice is lost; the timer finds out when it closes the order.
        assert!(day.till.payer_pays(&payment));
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("waiting".to_owned(), Some(HisOrderState::Paid), 2500)
        );
        assert_eq!(day.till.books().orders[&payment].times_charged, 1);
    });
}

#[test]
fn the_place_is_not_let_go_while_the_channel_does_not_answer() {
    on_each(|day| async move {
        let visit = day.book().await;
        day.open_payment(&visit).await;
        day.clock.advance(Duration::from_secs(15 * 60 + 1));
        for _ in 0..3 {
            day.till.spoil("close", bench_channel::Fault::SilentBefore);
        }
        tick(&day.ctx, &day.cashier, &day.tenant).await.unwrap();
        assert_eq!(day.state(&visit).await, "awaiting_payment");
        assert_eq!(day.his.order(&visit).map(|o| o.state), Some(HisOrderState::Unpaid));
        for _ in 0..6 {
            day.settle().await;
        }
        assert_eq!(
            day.books(&visit).await,
            ("expired".to_owned(), Some(HisOrderState::Cancelled), 0)
        );
    });
}

#[test]
fn a_registration_refused_by_the_his_returns_the_money_and_the_place() {
    on_each(|day| async move {
        let visit = day.book().await;
        day.his
            .spoil("registration.confirm_payment", Fault::Refuse("锁号已超时"));
        day.pay(&visit).await;
        day.settle().await;
        let view = day.get(&day.patient, &format!("/visits/{visit}")).await.ok();
        assert_eq!(
            (&view["state"], &view["ended_as"]),
            (&json!("refunded"), &json!("refunding"))
        );
        assert_eq!(view["message"], "医院未能确认挂号：锁号已超时。费用将原路退回");
        assert_eq!(
            day.books(&visit).await,
            ("refunded".to_owned(), Some(HisOrderState::Cancelled), 0)
        );
    });
}
