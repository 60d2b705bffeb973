//! How visits end before their time: cancelled, declined, withdrawn, stopped, settled by a person.

use records::his::{HisOrderState, StopClinic};
use records::{LocalDate, Timestamp};
use serde_json::json;

use crate::testing::{Fault, TODAY, on_each, slot};

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

pub(super) fn stopped() -> StopClinic {
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

/// Its end reads `00:00`: that of its own day was over when the patient booked it.
#[test]
fn a_visit_of_the_evening_whose_slot_ends_at_midnight_is_booked_waited_for_and_stopped() {
    on_each(|day| async move {
        day.his.books().slots.push(slot("W2", TODAY, "22:00", "00:00", 2));
        let mut booking = day.booking("k1", &day.grandmother().await).await;
        booking["slot"] = json!({ "work_id": "W2", "date": TODAY, "begin": "22:00", "end": "00:00" });
        let visit = day.post(&day.patient, "/visits", booking).await.ok();
        let visit = visit["id"].as_str().unwrap().to_owned();
        day.pay(&visit).await;
        day.deliver().await;
        // The slot is just over: the doctor may still come.
        day.clock.set(Timestamp::parse("2026-11-20T16:10:00Z").unwrap());
        day.settle().await;
        assert_eq!(day.state(&visit).await, "waiting");
        let of_time = |begin: &str, end: &str| StopClinic {
            work_id: None,
            begin: Some(begin.to_owned()),
            end: Some(end.to_owned()),
            ..stopped()
        };
        assert!(day.stop_clinic(&of_time("18:00", "22:00")).await.0.is_empty());
        assert_eq!(day.stop_clinic(&of_time("21:00", "23:00")).await.0.len(), 1);
        day.settle().await;
        assert_eq!(
            day.books(&visit).await,
            ("refunded".to_owned(), Some(HisOrderState::Refunded), 0)
        );
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
