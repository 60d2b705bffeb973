//! The visit's table of states, and stories of whole visits on both databases. After each story the three books (ours,
//! the HIS's, the channel's) must agree.

use std::time::Duration;

use records::his::{HisOrderState, StopClinic};
use records::{Actor, Clock, LocalDate, Timestamp};
use serde_json::json;

use super::*;
use crate::bench_channel;
use crate::testing::{Fault, TODAY, on_each};

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
        day.post(&day.doctor, &format!("/doctor/visits/{visit}/finish"), json!({}))
            .await
            .ok();
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
            super::tick(&day.ctx, &day.cashier, &day.tenant).await.unwrap();
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
        super::tick(&day.ctx, &day.cashier, &day.tenant).await.unwrap();
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

/// Rows: YZ-P-047, YZ-P-188
#[test]
fn a_patient_cancels_a_paid_visit_and_all_three_books_return_the_money() {
    on_each(|day| async move {
        let visit = day.book().await;
        day.pay(&visit).await;
        day.deliver().await;
        let view = day
            .post(
                &day.patient,
                &format!("/visits/{visit}/cancel"),
                json!({ "reason": "时间不便" }),
            )
            .await
            .ok();
        assert_eq!(view["state"], "cancelled");
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("refunded".to_owned(), Some(HisOrderState::Refunded), 0)
        );
        let view = day.get(&day.patient, &format!("/visits/{visit}")).await.ok();
        assert_eq!(
            (&view["ended_as"], &view["payment"]["refund_state"]),
            (&json!("cancelled"), &json!("refunded"))
        );
    });
}

#[test]
fn a_patient_cancels_before_paying_and_the_order_is_closed_at_once() {
    on_each(|day| async move {
        let visit = day.book().await;
        let payment = day.open_payment(&visit).await;
        let view = day
            .post(&day.patient, &format!("/visits/{visit}/cancel"), json!({}))
            .await
            .ok();
        assert_eq!(view["state"], "cancelled");
        assert!(!day.till.payer_pays(&payment));
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("cancelled".to_owned(), Some(HisOrderState::Cancelled), 0)
        );
    });
}

#[test]
fn a_second_tab_that_paid_while_the_first_cancelled_gets_its_money_back() {
    on_each(|day| async move {
        let visit = day.book().await;
        let payment = day.open_payment(&visit).await;
        assert!(day.till.payer_pays(&payment));
        day.post(&day.patient, &format!("/visits/{visit}/cancel"), json!({}))
            .await
            .ok();
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("refunded".to_owned(), Some(HisOrderState::Cancelled), 0)
        );
    });
}

/// Rows: YZ-D-038
#[test]
fn a_doctor_declines_or_withdraws_with_a_reason_and_the_fee_goes_back() {
    on_each(|day| async move {
        let visit = day.checked_in().await;
        let bare = day
            .post(
                &day.doctor,
                &format!("/doctor/visits/{visit}/decline"),
                json!({ "reason": " " }),
            )
            .await;
        assert_eq!(bare.refused(), (422, "invalid".to_owned()));
        let view = day
            .post(
                &day.doctor,
                &format!("/doctor/visits/{visit}/decline"),
                json!({ "reason": "建议到呼吸科" }),
            )
            .await
            .ok();
        assert_eq!(view["state"], "declined");
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("refunded".to_owned(), Some(HisOrderState::Refunded), 0)
        );
    });
    on_each(|day| async move {
        let visit = day.in_progress().await;
        day.post(
            &day.doctor,
            &format!("/doctor/visits/{visit}/withdraw"),
            json!({ "reason": "需当面检查" }),
        )
        .await
        .ok();
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("refunded".to_owned(), Some(HisOrderState::Refunded), 0)
        );
        let view = day.get(&day.patient, &format!("/visits/{visit}")).await.ok();
        assert_eq!(view["message"], "医生取消接诊：需当面检查。费用将原路退回");
        let finished = day.get(&day.doctor, "/doctor/visits?group=finished").await.ok();
        assert_eq!(finished["total"], 1);
    });
}

fn stopped() -> StopClinic {
    StopClinic {
        notice_id: "S1".to_owned(),
        department_code: "0301".to_owned(),
        doctor_code: "D01".to_owned(),
        date: LocalDate::parse(TODAY).unwrap(),
        work_id: Some("W1".to_owned()),
        begin: None,
        end: None,
        reason: "医生外出会诊".to_owned(),
        order_numbers: Vec::new(),
    }
}

/// Rows: YZ-P-048
#[test]
fn a_stopped_clinic_cancels_refunds_and_tells_by_itself_even_when_told_twice() {
    on_each(|day| async move {
        let visit = day.book().await;
        day.pay(&visit).await;
        day.deliver().await;
        assert_eq!(day.stop_clinic(&stopped()).await.0.len(), 1);
        assert_eq!(day.state(&visit).await, "stopped");
        assert!(
            day.stop_clinic(&stopped()).await.0.is_empty(),
            "the second notice changes nothing"
        );
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("refunded".to_owned(), Some(HisOrderState::Refunded), 0)
        );
        let said = day.get(&day.patient, &format!("/visits/{visit}/messages")).await.ok();
        assert_eq!(said[0]["text"], "医生停诊：医生外出会诊");
        assert_eq!(day.till.books().refunds.len(), 1, "refunded once");
    });
}

#[test]
fn a_clinic_stopped_while_the_his_is_being_told_still_ends_with_agreeing_books() {
    on_each(|day| async move {
        let visit = day.book().await;
        day.pay(&visit).await;
        // The order to confirm is on its way; the notice comes first, and the money is back before the answer.
        let _ = day.stop_clinic(&stopped()).await;
        day.cashier.tick().await.unwrap();
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("refunded".to_owned(), Some(HisOrderState::Refunded), 0)
        );
    });
}

#[test]
fn a_clinic_stopped_before_payment_closes_the_order() {
    on_each(|day| async move {
        let visit = day.book().await;
        let payment = day.open_payment(&visit).await;
        let _ = day.stop_clinic(&stopped()).await;
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("stopped".to_owned(), Some(HisOrderState::Cancelled), 0)
        );
        assert!(!day.till.payer_pays(&payment));
    });
}

#[test]
fn other_clinics_are_not_concerned_by_a_stop() {
    on_each(|day| async move {
        let visit = day.book().await;
        day.pay(&visit).await;
        day.deliver().await;
        for other in [
            StopClinic {
                work_id: Some("W9".to_owned()),
                ..stopped()
            },
            StopClinic {
                department_code: "0302".to_owned(),
                work_id: None,
                ..stopped()
            },
            StopClinic {
                doctor_code: "D02".to_owned(),
                ..stopped()
            },
            StopClinic {
                work_id: None,
                begin: Some("09:30".to_owned()),
                end: Some("12:00".to_owned()),
                ..stopped()
            },
            StopClinic {
                order_numbers: vec!["con_other".to_owned()],
                ..stopped()
            },
        ] {
            assert!(day.stop_clinic(&other).await.0.is_empty(), "{other:?}");
        }
        assert_eq!(day.state(&visit).await, "waiting");
    });
}

#[test]
fn an_outcome_nobody_can_find_out_waits_for_a_person() {
    on_each(|day| async move {
        let visit = day.book().await;
        day.his.spoil("registration.confirm_payment", Fault::NeedsHand);
        day.pay(&visit).await;
        day.deliver().await;
        assert_eq!(day.state(&visit).await, "manual");
        let items = day.get(&day.admin, "/admin/manual").await.ok();
        assert_eq!(
            (&items[0]["id"], &items[0]["allowed"]),
            (&json!(visit), &json!(["retry", "settle"]))
        );
        let refused = day.get(&day.doctor, "/admin/manual").await.refused();
        assert_eq!(refused.0, 403);
        day.post(&day.admin, &format!("/admin/manual/{visit}/retry"), json!({}))
            .await
            .ok();
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("waiting".to_owned(), Some(HisOrderState::Paid), 2500)
        );
    });
}

#[test]
fn a_person_settles_a_visit_the_his_does_not_have() {
    on_each(|day| async move {
        let visit = day.book().await;
        day.his.spoil("registration.confirm_payment", Fault::NeedsHand);
        day.pay(&visit).await;
        day.deliver().await;
        let path = format!("/admin/manual/{visit}/settle");
        let bare = day.post(&day.admin, &path, json!({ "note": "" })).await.refused();
        assert_eq!(bare.0, 422);
        day.post(
            &day.admin,
            &path,
            json!({ "note": "电话核实医院无此单", "outcome": "refund" }),
        )
        .await
        .ok();
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("refunded".to_owned(), Some(HisOrderState::Cancelled), 0)
        );
    });
}

#[test]
fn a_write_back_refused_by_the_his_waits_for_a_person_and_is_tried_again() {
    on_each(|day| async move {
        let visit = day.book().await;
        day.pay(&visit).await;
        day.deliver().await;
        day.his.spoil("registration.refund", Fault::Refuse("财务日结中"));
        day.post(&day.patient, &format!("/visits/{visit}/cancel"), json!({}))
            .await
            .ok();
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("cancelled".to_owned(), Some(HisOrderState::Paid), 0)
        );
        let items = day.get(&day.admin, "/admin/manual").await.ok();
        assert_eq!(items[0]["kind"], "refund");
        assert!(items[0]["text"].as_str().unwrap().contains("财务日结中"));
        let refund = items[0]["id"].as_str().unwrap().to_owned();
        day.post(&day.admin, &format!("/admin/manual/{refund}/retry"), json!({}))
            .await
            .ok();
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("refunded".to_owned(), Some(HisOrderState::Refunded), 0)
        );
    });
}

#[test]
fn the_price_of_the_his_counts_when_it_differs_from_the_shown_one() {
    on_each(|day| async move {
        day.his.books().fee_surprise = Some(records::Fen(1000));
        let visit = day.book().await;
        let view = day.get(&day.patient, &format!("/visits/{visit}")).await.ok();
        assert_eq!(view["fee_fen"], 1000);
        day.pay(&visit).await;
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("waiting".to_owned(), Some(HisOrderState::Paid), 1000)
        );
    });
}

#[test]
fn a_free_visit_needs_no_channel() {
    on_each(|day| async move {
        day.his.books().fee_surprise = Some(records::Fen(0));
        let visit = day.book().await;
        let page = day
            .post(&day.patient, &format!("/visits/{visit}/pay"), json!({}))
            .await
            .ok();
        assert_eq!(page["pay_url"], json!(null));
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("waiting".to_owned(), Some(HisOrderState::Paid), 0)
        );
        day.post(&day.patient, &format!("/visits/{visit}/cancel"), json!({}))
            .await
            .ok();
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("refunded".to_owned(), Some(HisOrderState::Refunded), 0)
        );
        assert!(day.till.books().log.is_empty(), "the channel was never asked");
    });
}

#[test]
fn the_same_booking_sent_twice_books_once() {
    on_each(|day| async move {
        let patient = day.grandmother().await;
        let booking = day.booking("same", &patient).await;
        let (one, two) = tokio::join!(
            day.post(&day.patient, "/visits", booking.clone()),
            day.post(&day.patient, "/visits", booking.clone()),
        );
        assert_eq!(one.ok()["id"], two.ok()["id"]);
        assert_eq!(day.his.books().slots[0].left, 1);
        let other = day.booking("another", &patient).await;
        let twice = day.post(&day.patient, "/visits", other).await.refused();
        assert_eq!(twice, (409, "already_booked".to_owned()));
    });
}

#[test]
fn two_tabs_that_pay_get_one_payment() {
    on_each(|day| async move {
        let visit = day.book().await;
        let (one, two) = tokio::join!(day.open_payment(&visit), day.open_payment(&visit));
        assert_eq!(one, two);
        assert!(day.till.payer_pays(&one));
        assert_eq!(day.notify(&one, "good").await, 200);
        assert_eq!(day.notify(&one, "good").await, 200);
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("waiting".to_owned(), Some(HisOrderState::Paid), 2500)
        );
        let again = day
            .post(&day.patient, &format!("/visits/{visit}/pay"), json!({}))
            .await
            .refused();
        assert_eq!(again.0, 409);
    });
}

#[test]
fn a_forged_or_old_notice_is_refused_written_down_and_changes_nothing() {
    on_each(|day| async move {
        let visit = day.book().await;
        let payment = day.open_payment(&visit).await;
        assert_eq!(day.notify(&payment, "forged").await, 401);
        assert_eq!(day.state(&visit).await, "awaiting_payment");
        let rows: Vec<(String, String)> = day
            .write(|tx| {
                Box::pin(async move {
                    let tenant = tx.tenant().clone();
                    let sql = "SELECT action, detail FROM base_audit WHERE tenant_id = $1 AND action = 'payment.notice_refused'";
                    Ok(tx.all(sql, &[&tenant]).await?)
                })
            })
            .await;
        assert_eq!(rows.len(), 1);
        assert!(rows[0].1.contains("forged"));
    });
}

#[test]
fn nobody_else_sees_or_moves_a_visit() {
    on_each(|day| async move {
        let visit = day.checked_in().await;
        let colleague = day.member("stf_li").await;
        let mut elsewhere = day.doctor.clone();
        elsewhere.tenant = records::TenantId::parse("hos_second").unwrap();
        let mut patient_elsewhere = day.patient.clone();
        patient_elsewhere.tenant = elsewhere.tenant.clone();
        for who in [&colleague, &elsewhere] {
            assert_eq!(day.get(who, &format!("/doctor/visits/{visit}")).await.refused().0, 404);
            let path = format!("/doctor/visits/{visit}/accept");
            assert_eq!(day.post(who, &path, json!({})).await.refused().0, 404);
            assert_eq!(
                day.get(who, &format!("/doctor/visits/{visit}/history/visits"))
                    .await
                    .refused()
                    .0,
                404
            );
        }
        for who in [&day.stranger, &patient_elsewhere] {
            assert_eq!(day.get(who, &format!("/visits/{visit}")).await.refused().0, 404);
            assert_eq!(
                day.get(who, &format!("/visits/{visit}/messages")).await.refused().0,
                404
            );
            for act in ["pay", "cancel", "check-in", "finish"] {
                assert_eq!(
                    day.post(who, &format!("/visits/{visit}/{act}"), json!({}))
                        .await
                        .refused()
                        .0,
                    404
                );
            }
        }
        assert_eq!(
            day.get(&day.patient, &format!("/doctor/visits/{visit}"))
                .await
                .refused()
                .0,
            403
        );
        assert_eq!(day.get(&day.patient, "/visits/con_'%20or%201=1").await.refused().0, 404);
        assert_eq!(day.state(&visit).await, "checked_in");
    });
}

#[test]
fn a_booking_is_refused_for_what_is_wrong_with_it() {
    on_each(|day| async move {
        let patient = day.grandmother().await;
        let good = day.booking("k", &patient).await;
        let code = |answer: crate::testing::Answer| answer.refused().1;
        let changed = |path: &str, value: serde_json::Value| {
            let mut body = good.clone();
            *body.pointer_mut(path).unwrap() = value;
            body
        };
        let post = |body| day.post(&day.patient, "/visits", body);
        assert_eq!(code(post(changed("/statement/complaint", json!(" "))).await), "invalid");
        assert_eq!(code(post(changed("/purpose", json!("first_visit"))).await), "invalid");
        assert_eq!(code(post(changed("/slot/work_id", json!("W9"))).await), "slot_gone");
        assert_eq!(code(post(changed("/photo_ids", json!(["blb_none"]))).await), "invalid");
        assert_eq!(code(post(changed("/patient_id", json!("pat_none"))).await), "not_found");
        let mut past = changed("/slot/work_id", json!("W0"));
        past["slot"]["begin"] = json!("07:00");
        past["slot"]["end"] = json!("07:30");
        assert_eq!(code(post(past).await), "slot_past");
        day.his.books().slots[0].stopped = true;
        assert_eq!(code(post(good.clone()).await), "slot_stopped");
        day.his.books().slots[0].stopped = false;
        day.his.books().slots[0].left = 0;
        assert_eq!(code(post(good.clone()).await), "slot_full");
        day.his.books().slots[0].left = 2;
        day.his.books().eligible = false;
        assert_eq!(code(post(good.clone()).await), "not_eligible");
        day.his.books().eligible = true;
        day.his.books().offline = true;
        assert_eq!(code(post(good.clone()).await), "hospital_offline");
        assert!(day.his.books().orders.is_empty(), "nothing was locked");
    });
}

#[test]
fn an_expired_or_superseded_consent_is_refused_and_the_accepted_one_is_kept_with_its_hash() {
    on_each(|day| async move {
        let patient = day.grandmother().await;
        let old = day.booking("k1", &patient).await;
        let admin = day.admin.clone();
        let soon = day.clock.now().plus(Duration::from_secs(60));
        let new = json!({ "title": "知情同意书", "text": "新版", "valid_until": soon });
        day.post(&admin, "/admin/consents", new).await.ok();
        let superseded = day.post(&day.patient, "/visits", old).await.refused();
        assert_eq!(superseded, (409, "consent_superseded".to_owned()));
        let fresh = day.booking("k2", &patient).await;
        day.clock.advance(Duration::from_secs(61));
        let expired = day.post(&day.patient, "/visits", fresh).await.refused();
        assert_eq!(expired, (409, "consent_expired".to_owned()));
        let visit = day
            .post(&day.patient, "/visits", day.booking("k3", &patient).await)
            .await
            .ok();
        assert_eq!(visit["consent"]["version"], 1);
        assert_eq!(visit["consent"]["sm3"].as_str().unwrap().len(), 64);
    });
}

/// Rows: YZ-A-089, YZ-A-090, YZ-A-091
#[test]
fn the_administrator_searches_pages_exports_and_sees_the_whole_trail() {
    on_each(|day| async move {
        let visit = day.in_progress().await;
        let all = day.get(&day.admin, "/admin/visits").await.ok();
        assert_eq!(all["total"], 1);
        assert!(all["items"][0]["patient"].get("name").is_none());
        assert_eq!(
            all["items"][0]["statement"]["complaint"], "",
            "clinical words are not for the office"
        );
        for (query, total) in [
            ("q=赵秀英", 1),
            ("q=赵", 0),
            (&*format!("q={visit}"), 1),
            (
                "q=王医生&state=in_progress&department_code=0301&from=2026-11-20&to=2026-11-20",
                1,
            ),
            ("state=finished", 0),
            ("department_code=0302", 0),
            ("to=2026-11-19", 0),
        ] {
            let page = day.get(&day.admin, &format!("/admin/visits?{query}")).await.ok();
            assert_eq!(page["total"], total, "{query}");
        }
        assert_eq!(
            day.get(&day.admin, "/admin/visits?state=nonsense").await.refused().0,
            422
        );
        let csv = day.get(&day.admin, "/admin/visits.csv").await.ok();
        let lines: Vec<_> = csv.as_str().unwrap().lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].contains("\"问诊中\",\"赵*英\",\"心血管内科\",\"王医生\""));
        let detail = day.get(&day.admin, &format!("/admin/visits/{visit}")).await.ok();
        let trail: Vec<_> = detail["trail"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["event"].as_str().unwrap())
            .collect();
        assert_eq!(trail, ["book", "lock", "pay", "register", "check_in", "accept"]);
        assert_eq!(detail["trail"][5]["by"], "stf_wang");
        assert_eq!(detail["commands"][0]["outcome"], "done");
        assert_eq!(detail["payments"][0]["state"], "done");
    });
}

#[test]
fn a_visit_nobody_attended_to_is_cancelled_and_one_left_open_is_finished() {
    on_each(|day| async move {
        let visit = day.book().await;
        day.pay(&visit).await;
        day.deliver().await;
        day.clock.advance(Duration::from_secs(26 * 3600));
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("refunded".to_owned(), Some(HisOrderState::Refunded), 0)
        );
    });
    on_each(|day| async move {
        let visit = day.in_progress().await;
        day.clock.advance(Duration::from_secs(25 * 3600));
        day.settle().await;
        assert_eq!(day.state(&visit).await, "finished");
    });
}

#[test]
fn without_early_check_in_the_room_opens_before_the_slot() {
    on_each(|day| async move {
        let rules = ConsultationSettings {
            early_check_in: false,
            ..ConsultationSettings::default()
        };
        day.write(move |tx| {
            let rules = rules.clone();
            Box::pin(async move { Ok(base::settings::put(tx, &rules).await?) })
        })
        .await;
        let visit = day.book().await;
        day.pay(&visit).await;
        day.deliver().await;
        let early = day
            .post(&day.patient, &format!("/visits/{visit}/check-in"), json!({}))
            .await
            .refused();
        assert_eq!(early, (409, "too_early".to_owned()));
        day.clock.set(Timestamp::parse("2026-11-20T00:31:00Z").unwrap());
        day.post(&day.patient, &format!("/visits/{visit}/check-in"), json!({}))
            .await
            .ok();
    });
}

#[test]
fn the_queue_counts_those_who_checked_in_before() {
    on_each(|day| async move {
        let first = day.checked_in().await;
        let entry =
            json!({ "name": "钱二", "id_number": "110105200001010016", "phone": "13800000001", "relation": "other" });
        let second = day.post(&day.patient, "/patients", entry).await;
        let second = second.ok()["id"].as_str().unwrap().to_owned();
        let visit = day
            .post(&day.patient, "/visits", day.booking("k2", &second).await)
            .await
            .ok();
        let visit = visit["id"].as_str().unwrap().to_owned();
        day.pay(&visit).await;
        day.deliver().await;
        day.clock.advance(Duration::from_secs(1));
        let view = day
            .post(&day.patient, &format!("/visits/{visit}/check-in"), json!({}))
            .await
            .ok();
        assert_eq!(view["queue_position"], 2);
        day.post(&day.doctor, &format!("/doctor/visits/{first}/accept"), json!({}))
            .await
            .ok();
        let view = day.get(&day.patient, &format!("/visits/{visit}")).await.ok();
        assert_eq!(view["queue_position"], 1);
        let counts = day.get(&day.doctor, "/doctor/visits/counts").await.ok();
        assert_eq!(
            counts,
            json!({ "waiting": 0, "checked_in": 1, "in_progress": 1, "finished": 0 })
        );
    });
}

#[test]
fn a_lock_that_could_not_be_asked_for_is_told_and_may_be_tried_again() {
    on_each(|day| async move {
        day.his.spoil("slot.lock", Fault::Later);
        let visit = day.book().await;
        let view = day.get(&day.patient, &format!("/visits/{visit}")).await.ok();
        assert_eq!(view["message"], "医院系统暂时无法连接，号源未锁定，请稍后再试");
        let list = day.get(&day.patient, "/patients").await.ok();
        let again = day.booking("k2", list[0]["id"].as_str().unwrap()).await;
        let again = day.post(&day.patient, "/visits", again).await.ok();
        assert_eq!(again["state"], "awaiting_payment");
    });
}

#[test]
fn slow_refunds_and_lost_answers_of_the_channel_end_with_agreeing_books() {
    on_each(|day| async move {
        let visit = day.checked_in().await;
        day.till.books().refunds_take_time = true;
        day.till.spoil("refund", bench_channel::Fault::SilentAfter);
        day.till.spoil("query_refund", bench_channel::Fault::Later);
        let _ = day.stop_clinic(&stopped()).await;
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("stopped".to_owned(), Some(HisOrderState::Paid), 2500)
        );
        day.till.refunds_arrive();
        for _ in 0..4 {
            day.settle().await;
        }
        assert_eq!(
            day.books(&visit).await,
            ("refunded".to_owned(), Some(HisOrderState::Refunded), 0)
        );
    });
}

#[test]
fn a_channel_that_refuses_the_order_is_told_and_the_visit_stays_payable() {
    on_each(|day| async move {
        let visit = day.book().await;
        day.till.spoil("prepay", bench_channel::Fault::Refuse("PARAM_ERROR"));
        let refused = day
            .post(&day.patient, &format!("/visits/{visit}/pay"), json!({}))
            .await
            .refused();
        assert_eq!(refused, (409, "channel_refused".to_owned()));
        day.till.spoil("prepay", bench_channel::Fault::Later);
        let busy = day
            .post(&day.patient, &format!("/visits/{visit}/pay"), json!({}))
            .await
            .refused();
        assert_eq!(busy, (503, "channel_busy".to_owned()));
        day.pay(&visit).await;
        day.settle().await;
        assert_eq!(day.state(&visit).await, "waiting");
    });
}
