//! Who may come in: repeats, second tabs, strangers, forgers, old consents; what the office sees.

use std::time::Duration;

use records::his::HisOrderState;
use records::{Clock, Timestamp};
use serde_json::json;

use super::endings::stopped;
use crate::bench_channel;
use crate::consultation::ConsultationSettings;
use crate::testing::{Fault, on_each};

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
