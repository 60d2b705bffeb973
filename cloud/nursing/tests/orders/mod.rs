//! Orders of nursing at home over the real router, on both databases: desk, nurse, patient; the appliance as scripted.

mod ended;

use axum::http::StatusCode;
use base::Role;
use records::footage::{DockingId, DockingReport, kind};
use records::{Outcome, PeerId, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;
use ward::{Browser, Site};

use super::{TABLES, apply, edge, told};

const PHONE: &str = "13800000001";

fn order(nurse: &str) -> Value {
    json!({
        "service": "伤口换药", "planned_at": "2026-11-24T02:00:00Z", "nurse": nurse,
        "patient": { "name": "欧阳娜娜", "phone": PHONE, "number": "MZ-0077", "sex": "F", "birth_date": "1950-02-03",
            "address": "永州市冷水滩区梅湾路1号2栋301", "note": "青霉素过敏" },
    })
}

fn form() -> Value {
    json!({
        "name": "伤口评估", "services": ["伤口换药"],
        "body": {
            "intro": "请在护士上门前填写",
            "questions": [
                { "id": "q1", "text": "体温", "required": true, "answer": { "kind": "number", "unit": "℃", "least": 34, "most": 43 } },
                { "id": "q2", "text": "疼痛", "required": true,
                  "answer": { "kind": "scale", "options": [{ "text": "无", "score": 0 }, { "text": "剧烈", "score": 10 }] } },
                { "id": "q3", "text": "补充", "required": false, "answer": { "kind": "text" } },
            ],
            "bands": [{ "from": 0, "text": "轻" }, { "from": 7, "text": "重" }],
        },
    })
}

fn docked(battery: u8, charge: &str) -> Value {
    json!([{ "serial": "ZFY0001", "place": "3号槽位", "state": "ready", "battery": battery, "charge": charge }])
}

/// A desk, a nurse with her id, and an order given to her.
async fn at_work(site: &Site) -> (Browser, Browser, String, String) {
    let desk = site.staff("desk", &[Role::Admin]).await;
    let id = site.hire("nurse", &[Role::Nurse]).await.into_string();
    let nurse = site.sign_in("nurse").await;
    let (status, made) = desk.post("/admin/nursing/orders", order(&id)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let order = made.pointer("/id").and_then(Value::as_str).unwrap().to_owned();
    (desk, nurse, id, order)
}

async fn does(nurse: &Browser, order: &str, act: Value) -> (StatusCode, Value) {
    nurse.post(&format!("/nurse/orders/{order}/acts"), act).await
}

async fn recorder_in(site: &Site, desk: &Browser) {
    desk.post("/admin/recorders", json!({ "serial": "ZFY0001" })).await;
    site.line.done("dock.recorders", docked(80, "charging"));
    site.line
        .done("dock.release", json!({ "place": "3号槽位", "seconds": 120 }));
}

async fn came_back(site: &Site, docking: &'static str) {
    let at = site.ctx.now();
    let report = move || DockingReport {
        id: DockingId::parse(docking).unwrap(),
        serial: "ZFY0001".to_owned(),
        model: String::new(),
        place: "5号槽位".to_owned(),
        state: "copying".to_owned(),
        note: String::new(),
        arrived_at: at,
        clock_offset_ms: None,
        battery: Some(50),
        clips: 1,
        bytes: 10,
        cleared: 0,
        gaps: Vec::new(),
        at,
    };
    apply(site, move |tx| {
        let report = report();
        Box::pin(async move { nursing::recorder::docked(tx, &PeerId::edge(&edge()), &report).await })
    })
    .await;
}

/// From the desk to the finished visit: what each of the three sees, what the appliance hears, what the audit keeps.
///
/// Rows: YZ-D-148, YZ-D-149, YZ-D-162, YZ-D-164
#[test]
fn an_order_goes_from_the_desk_to_the_finished_visit_with_a_recorder_of_the_dock() {
    ward::on_both(nursing::routes, TABLES, |site| async move {
        let (desk, nurse, nurse_id, id) = at_work(&site).await;
        recorder_in(&site, &desk).await;
        let (_, list) = nurse.get("/nurse/orders?state=open").await;
        assert_eq!(
            (&list["total"], &list["items"][0]["patient_masked"]),
            (&json!(1), &json!("欧**娜"))
        );
        assert_eq!(list["items"][0]["no"], "HL202611240001");
        // Nothing of the patient stands in clear in the database.
        let (sealed,): (Vec<u8>,) = site.look("SELECT patient_sealed FROM nursing_order").await;
        assert!(!String::from_utf8_lossy(&sealed).contains("梅湾路"));

        let (status, _) = does(&nurse, &id, json!({ "act": "start" })).await;
        assert_eq!(status, StatusCode::CONFLICT, "not accepted");
        for _ in 0..2 {
            let (status, accepted) = does(&nurse, &id, json!({ "act": "accept" })).await;
            assert_eq!((status, &accepted["state"]), (StatusCode::OK, &json!("accepted")));
        }
        let (status, refused) = does(&nurse, &id, json!({ "act": "start" })).await;
        assert_eq!(
            (status, refused["field"].as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, Some("without_recorder"))
        );

        let path = format!("/nurse/orders/{id}/recorder");
        let (status, taken) = nurse.post(&path, json!({})).await;
        assert_eq!(
            (status, &taken["serial"], &taken["opened"]),
            (StatusCode::OK, &json!("ZFY0001"), &json!(true))
        );
        assert!(taken["text"].as_str().unwrap().contains("3号槽位"), "{taken}");
        let issued = told(&site, kind::RECORDER_ISSUED).await;
        assert_eq!(
            (&issued[0]["order"], &issued[0]["holder"]),
            (&json!("HL202611240001"), &json!(nurse_id))
        );
        let (status, _) = nurse.post(&path, json!({})).await;
        assert_eq!(status, StatusCode::CONFLICT, "one order, one recorder");
        let (status, again) = nurse.post(&format!("{path}/opening"), json!({})).await;
        assert_eq!((status, &again["opened"]), (StatusCode::OK, &json!(true)));
        let (status, _) = desk
            .post(
                &format!("/admin/nursing/orders/{id}/acts"),
                json!({ "act": "assign", "nurse": nurse_id }),
            )
            .await;
        assert_eq!(status, StatusCode::CONFLICT, "she has the recorder");

        let (status, started) = does(&nurse, &id, json!({ "act": "start" })).await;
        assert_eq!((status, &started["state"]), (StatusCode::OK, &json!("started")));
        let (_, shown) = nurse.get(&format!("/nurse/orders/{id}")).await;
        assert_eq!(
            (&shown["patient"]["address"], &shown["age"]),
            (&json!("永州市冷水滩区梅湾路1号2栋301"), &json!(76))
        );
        assert_eq!(shown["taken"]["serial"], "ZFY0001");
        site.clock.advance(Duration::from_secs(1200));
        let (status, _) = does(&nurse, &id, json!({ "act": "finish", "record": " " })).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        let (status, done) = does(&nurse, &id, json!({ "act": "finish", "record": "伤口清洁，已换药" })).await;
        assert_eq!((status, &done["state"]), (StatusCode::OK, &json!("finished")), "{done}");
        came_back(&site, "dok_1").await;
        let (_, shown) = desk.get(&format!("/admin/nursing/orders/{id}")).await;
        assert_eq!(
            (&shown["record"], &shown["state"]),
            (&json!("伤口清洁，已换药"), &json!("finished"))
        );
        assert!(shown["taken"]["returned_at"].is_string());
        assert_eq!(shown["trail"].as_array().unwrap().len(), 5);

        let (_, figures) = nurse.get("/nurse/summary?from=2026-11-24&to=2026-11-24").await;
        assert_eq!(
            figures,
            json!({ "counts": { "finished": 1 }, "services": { "伤口换药": 1 }, "minutes": 20 })
        );
        let found = async |q: &str| nurse.get(&format!("/nurse/orders?q={q}")).await.1["total"].clone();
        assert_eq!(found("%E6%AC%A7%E9%98%B3%E5%A8%9C%E5%A8%9C").await, 1);
        assert_eq!(
            (
                found("mz0077").await,
                found("HL202611240001").await,
                found("%E6%AC%A7").await
            ),
            (json!(1), json!(1), json!(0))
        );
        let (looks,): (u64,) = site
            .look("SELECT COUNT(*) FROM base_audit WHERE action IN ('nursing.view', 'nursing.search')")
            .await;
        assert_eq!(looks, 5);
        let (named,): (u64,) = site
            .look("SELECT COUNT(*) FROM base_audit WHERE detail LIKE '%欧阳%'")
            .await;
        assert_eq!(named, 0);

        // Another nurse knows nothing of it, and nobody without the role may ask.
        let other = site.staff("nurse2", &[Role::Nurse]).await;
        assert_eq!(other.get(&format!("/nurse/orders/{id}")).await.0, StatusCode::NOT_FOUND);
        assert_eq!(other.get("/nurse/orders").await.1["total"], 0);
        assert_eq!(other.get("/admin/nursing/orders").await.0, StatusCode::FORBIDDEN);
        let doctor = site.staff("doctor", &[Role::Doctor]).await;
        assert_eq!(doctor.get("/nurse/orders").await.0, StatusCode::FORBIDDEN);
    });
}

/// Nothing charged, nothing there, nobody answering: nothing is written and the words help. A bay that stays shut is opened
/// again; a recorder that is put back frees the order for another; who goes without says why.
#[test]
fn a_recorder_that_cannot_be_had_is_refused_in_words_and_one_put_back_frees_the_order() {
    ward::on_both(nursing::routes, TABLES, |site| async move {
        let (desk, nurse, _, id) = at_work(&site).await;
        does(&nurse, &id, json!({ "act": "accept" })).await;
        let path = format!("/nurse/orders/{id}/recorder");
        let (status, away) = nurse.post(&path, json!({})).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(away["message"].as_str().unwrap().contains("记录仪没有发放"), "{away}");
        recorder_in(&site, &desk).await;
        site.line.done("dock.recorders", docked(20, "charging"));
        let (status, flat) = nurse.post(&path, json!({})).await;
        assert_eq!(
            (status, flat["code"].as_str()),
            (StatusCode::CONFLICT, Some("no_recorder"))
        );
        assert!(
            flat["message"].as_str().unwrap().contains("电量不足（最高20%）"),
            "{flat}"
        );
        site.line.done("dock.recorders", json!([]));
        let (_, none) = nurse.post(&path, json!({})).await;
        assert!(none["message"].as_str().unwrap().contains("没有可用的记录仪"), "{none}");
        assert_eq!(told(&site, kind::RECORDER_ISSUED).await.len(), 0);

        site.line.done("dock.recorders", docked(20, "full"));
        site.line.answer("dock.release", |_| {
            Outcome::refused("dock_board", "采集坞不在线：数据线断开")
        });
        let (status, shut) = nurse.post(&path, json!({})).await;
        assert_eq!((status, &shut["opened"]), (StatusCode::OK, &json!(false)));
        assert!(shut["text"].as_str().unwrap().contains("数据线断开"), "{shut}");
        site.line
            .done("dock.release", json!({ "place": "3号槽位", "seconds": 120 }));
        let (_, open) = nurse.post(&format!("{path}/opening"), json!({})).await;
        assert_eq!(open["opened"], true);

        site.clock.advance(Duration::from_secs(60));
        came_back(&site, "dok_2").await;
        let (_, order) = nurse.get(&format!("/nurse/orders/{id}")).await;
        assert_eq!(order["state"], "accepted", "put back before anything began");
        let (status, _) = nurse.post(&format!("{path}/opening"), json!({})).await;
        assert_eq!(status, StatusCode::CONFLICT);
        let without = json!({ "act": "start", "without_recorder": "采集坞停电" });
        let (status, started) = does(&nurse, &id, without).await;
        assert_eq!((status, &started["state"]), (StatusCode::OK, &json!("started")));
        // Who began without one may still fetch one.
        let (status, taken) = nurse.post(&path, json!({})).await;
        assert_eq!((status, &taken["opened"]), (StatusCode::OK, &json!(true)));
        assert_eq!(nurse.get(&format!("/nurse/orders/{id}")).await.1["state"], "started");
    });
}

/// Assigned, declined, given to another, changed, cancelled.
#[test]
fn the_desk_gives_an_order_to_another_nurse_and_takes_it_back() {
    ward::on_both(nursing::routes, TABLES, |site| async move {
        let (desk, nurse, _, id) = at_work(&site).await;
        let second = site.hire("nurse2", &[Role::Nurse]).await.into_string();
        let doctor = site.hire("doctor", &[Role::Doctor]).await.into_string();
        let acts = format!("/admin/nursing/orders/{id}/acts");
        let (status, declined) = does(&nurse, &id, json!({ "act": "decline", "reason": "时间冲突" })).await;
        assert_eq!((status, &declined["state"]), (StatusCode::OK, &json!("declined")));
        let (status, refused) = desk.post(&acts, json!({ "act": "assign", "nurse": doctor })).await;
        assert_eq!(
            (status, refused["field"].as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, Some("nurse"))
        );
        let (status, given) = desk
            .post(&acts, json!({ "act": "assign", "nurse": second, "reason": "改派" }))
            .await;
        assert_eq!((status, &given["nurse_id"]), (StatusCode::OK, &json!(second)));
        assert_eq!(nurse.get("/nurse/orders").await.1["total"], 0, "not hers any more");
        let mut wish = order("");
        wish["service"] = json!("静脉采血");
        wish["recorder"] = json!("ZFY9999");
        let (status, refused) = desk.put(&format!("/admin/nursing/orders/{id}"), wish.clone()).await;
        assert_eq!(
            (status, refused["field"].as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, Some("recorder"))
        );
        wish["recorder"] = json!("");
        let (status, changed) = desk.put(&format!("/admin/nursing/orders/{id}"), wish).await;
        assert_eq!((status, &changed["service"]), (StatusCode::OK, &json!("静脉采血")));
        for (field, value) in [
            ("service", json!("没有的项目")),
            (
                "patient",
                json!({ "name": "欧", "phone": PHONE, "address": "梅湾路1号" }),
            ),
        ] {
            let mut wrong = order("");
            wrong[field] = value;
            let (status, _) = desk.post("/admin/nursing/orders", wrong).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        }
        let (_, found) = desk.get("/admin/nursing/orders?patient=mz0077").await;
        assert_eq!(found["total"], 1);
        let (status, over) = desk.post(&acts, json!({ "act": "cancel", "reason": "患者住院" })).await;
        assert_eq!((status, &over["state"]), (StatusCode::OK, &json!("cancelled")));
        let (status, _) = desk.post(&acts, json!({ "act": "assign", "nurse": second })).await;
        assert_eq!(status, StatusCode::CONFLICT);
        let (_, choices) = desk.get("/admin/nursing/choices").await;
        assert_eq!(choices["nurses"].as_array().unwrap().len(), 2);
    });
}

/// The phone repeats a press until it is heard: one alarm, its place the latest; the desk answers and closes it.
///
/// Rows: YZ-D-150, YZ-D-163
#[test]
fn an_alarm_is_one_alarm_however_often_the_phone_repeats_it() {
    ward::on_both(nursing::routes, TABLES, |site| async move {
        let (desk, nurse, _, id) = at_work(&site).await;
        let press = |place: Value, order: &str| json!({ "press": "p-1", "pressed_at": "2026-11-24T00:35:00Z", "sent_at": "2026-11-24T00:35:00Z", "order": order, "place": place });
        // Whatever is wrong with place or order, the alarm stands.
        let odd = json!({ "at": "2026-11-24T00:35:00Z", "latitude": 999, "longitude": 0, "accuracy_m": 1 });
        let (status, raised) = nurse.post("/nurse/alarms", press(odd, &id)).await;
        assert_eq!(
            (status, &raised["state"], &raised["place"]),
            (StatusCode::OK, &json!("raised"), &Value::Null)
        );
        let there = json!({ "at": "2026-11-24T00:35:02Z", "latitude": 26.42, "longitude": 111.61, "accuracy_m": 15 });
        let (_, same) = nurse.post("/nurse/alarms", press(there, &id)).await;
        assert_eq!(
            (&same["id"], &same["place"]["latitude"]),
            (&raised["id"], &json!(26.42))
        );
        let (_, open) = desk.get("/admin/nursing/alarms?open=true").await;
        assert_eq!((open.as_array().unwrap().len(), &open[0]["order"]), (1, &json!(id)));
        let (sealed,): (Vec<u8>,) = site.look("SELECT place_sealed FROM nursing_alarm").await;
        assert!(!String::from_utf8_lossy(&sealed).contains("26.42"));

        let acts = format!("/admin/nursing/alarms/{}/acts", raised["id"].as_str().unwrap());
        let (status, _) = desk.post(&acts, json!({ "act": "close", "note": "误触" })).await;
        assert_eq!(status, StatusCode::CONFLICT, "first somebody looks after it");
        for _ in 0..2 {
            let (status, answered) = desk.post(&acts, json!({ "act": "acknowledge" })).await;
            assert_eq!((status, &answered["state"]), (StatusCode::OK, &json!("acknowledged")));
        }
        let (_, heard) = nurse.post("/nurse/alarms", press(Value::Null, "nur_other")).await;
        assert_eq!(
            (&heard["state"], &heard["acknowledged_by"]),
            (&json!("acknowledged"), &json!("员工desk"))
        );
        let (status, over) = desk
            .post(&acts, json!({ "act": "close", "note": "已电话确认安全" }))
            .await;
        assert_eq!((status, &over["state"]), (StatusCode::OK, &json!("closed")));
        let (acts,): (u64,) = site
            .look("SELECT COUNT(*) FROM base_audit WHERE action LIKE 'alarm.%'")
            .await;
        assert_eq!(acts, 3);
        let (_, order) = desk.get(&format!("/admin/nursing/orders/{id}")).await;
        assert_eq!(order["alarms"][0]["note"], "已电话确认安全");
        assert_eq!(
            desk.post("/nurse/alarms", press(Value::Null, "")).await.0,
            StatusCode::FORBIDDEN
        );
    });
}

/// Only while the visit goes on, once however often it is sent, by the hospital's time, sealed; read with a permission.
#[test]
fn a_track_is_kept_for_the_visit_by_the_hospitals_time() {
    ward::on_both(nursing::routes, TABLES, |site| async move {
        let (desk, nurse, _, id) = at_work(&site).await;
        let path = format!("/nurse/orders/{id}/track");
        let now = |site: &Site| site.ctx.now();
        let batch = |name: &str, sent: Timestamp, at: &[Timestamp]| {
            let positions: Vec<Value> = at
                .iter()
                .map(|at| json!({ "at": at, "latitude": 26.42, "longitude": 111.61, "accuracy_m": 12.5 }))
                .collect();
            json!({ "batch": name, "sent_at": sent, "positions": positions })
        };
        let first = now(&site);
        assert_eq!(
            nurse.post(&path, batch("b0", first, &[first])).await.0,
            StatusCode::CONFLICT
        );
        does(&nurse, &id, json!({ "act": "accept" })).await;
        does(&nurse, &id, json!({ "act": "start", "without_recorder": "测试不使用" })).await;
        site.clock.advance(Duration::from_secs(60));
        // The phone is five minutes ahead; what lies before the beginning is left out.
        let ahead = Duration::from_secs(300);
        let phone = now(&site).plus(ahead);
        let sent = batch(
            "b1",
            phone,
            &[
                phone.minus(Duration::from_secs(10)),
                phone.minus(Duration::from_secs(3600)),
            ],
        );
        for _ in 0..2 {
            assert_eq!(nurse.post(&path, sent.clone()).await.0, StatusCode::NO_CONTENT);
        }
        let expected = now(&site).minus(Duration::from_secs(10));
        site.clock.advance(Duration::from_secs(60));
        does(&nurse, &id, json!({ "act": "finish", "record": "已完成" })).await;
        let late = now(&site);
        assert_eq!(
            nurse
                .post(&path, batch("b2", late, &[late.minus(Duration::from_secs(5))]))
                .await
                .0,
            StatusCode::NO_CONTENT
        );
        for name in [id.as_str(), "HL202611240001"] {
            let (status, track) = desk.get(&format!("/admin/nursing/orders/{name}/track")).await;
            assert_eq!(status, StatusCode::OK);
            let positions = track["positions"].as_array().unwrap();
            assert_eq!((positions.len(), &positions[0]["at"]), (2, &json!(expected)), "{track}");
            assert_eq!(positions[0]["accuracy_m"], 12.5);
        }
        let (looks,): (u64,) = site
            .look("SELECT COUNT(*) FROM base_audit WHERE action = 'nursing.track'")
            .await;
        assert_eq!(looks, 2);
        assert_eq!(
            nurse.get(&format!("/admin/nursing/orders/{id}/track")).await.0,
            StatusCode::FORBIDDEN
        );
        let wrong = json!({ "batch": "b3", "sent_at": late, "positions": [{ "at": late, "latitude": 91, "longitude": 0, "accuracy_m": 1 }] });
        assert_eq!(nurse.post(&path, wrong).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    });
}

/// The form of a service, filled in by the account of the order's phone; what was filled in keeps its version.
///
/// Rows: YZ-D-165, YZ-D-166
#[test]
fn a_form_is_filled_in_before_the_visit_and_keeps_its_version() {
    ward::on_both(nursing::routes, TABLES, |site| async move {
        let (desk, nurse, _, id) = at_work(&site).await;
        let (status, made) = desk.post("/admin/nursing/forms", form()).await;
        assert_eq!((status, &made["version"]), (StatusCode::CREATED, &json!(1)), "{made}");
        let form_id = made["id"].as_str().unwrap().to_owned();
        let (status, twice) = desk.post("/admin/nursing/forms", form()).await;
        assert_eq!(
            (status, twice["field"].as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, Some("services"))
        );

        let patient = site.patient(PHONE).await;
        let stranger = site.patient("13900000002").await;
        let (_, mine) = patient.get("/nursing/orders").await;
        assert_eq!(
            (mine.as_array().unwrap().len(), &mine[0]["form_open"]),
            (1, &json!(true))
        );
        assert_eq!(
            (&mine[0]["state_text"], &mine[0]["nurse_name"]),
            (&json!("安排护士中"), &json!(""))
        );
        assert_eq!(stranger.get("/nursing/orders").await.1, json!([]));
        assert_eq!(
            stranger.get(&format!("/nursing/orders/{id}")).await.0,
            StatusCode::NOT_FOUND
        );
        let path = format!("/nursing/orders/{id}/form");
        let answers = |version: u32, answers: Value| json!({ "form": form_id, "version": version, "answers": answers });
        let (status, missing) = patient.post(&path, answers(1, json!({ "q1": 36.5 }))).await;
        assert_eq!(
            (status, missing["field"].as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, Some("answers.q2"))
        );
        let (status, filled) = patient.post(&path, answers(1, json!({ "q1": 36.5, "q2": 1 }))).await;
        assert_eq!(status, StatusCode::OK, "{filled}");
        assert_eq!(
            (&filled["form"]["score"], &filled["form"]["verdict"]),
            (&json!(10), &json!("重"))
        );

        let mut changed = form();
        changed["body"]["questions"][0]["text"] = json!("腋温");
        let (_, second) = desk.put(&format!("/admin/nursing/forms/{form_id}"), changed).await;
        assert_eq!(
            (&second["version"], second["versions"].as_array().unwrap().len()),
            (&json!(2), 2)
        );
        let (_, seen) = nurse.get(&format!("/nurse/orders/{id}")).await;
        assert_eq!(
            (&seen["form"]["version"], &seen["form"]["body"]["questions"][0]["text"]),
            (&json!(1), &json!("体温"))
        );
        assert_eq!(seen["form"]["answers"]["q1"], 36.5);
        let (status, _) = patient.post(&path, answers(3, json!({ "q1": 36.5, "q2": 0 }))).await;
        assert_eq!(status, StatusCode::CONFLICT);
        let (_, anew) = patient.post(&path, answers(2, json!({ "q1": 37, "q2": 0 }))).await;
        assert_eq!(
            (&anew["form"]["version"], &anew["form"]["score"]),
            (&json!(2), &json!(0))
        );
        let (kept,): (u64,) = site.look("SELECT COUNT(*) FROM nursing_answer").await;
        assert_eq!(kept, 2);
        assert_eq!(
            stranger.post(&path, answers(2, json!({}))).await.0,
            StatusCode::NOT_FOUND
        );

        does(&nurse, &id, json!({ "act": "accept" })).await;
        does(&nurse, &id, json!({ "act": "start", "without_recorder": "测试不使用" })).await;
        let (status, _) = patient.post(&path, answers(2, json!({ "q1": 37, "q2": 0 }))).await;
        assert_eq!(status, StatusCode::CONFLICT, "the visit has begun");
        for (act, retired) in [("retire", true), ("restore", false)] {
            let (_, form) = desk
                .post(&format!("/admin/nursing/forms/{form_id}/acts"), json!({ "act": act }))
                .await;
            assert_eq!(form["retired_at"].is_string(), retired);
        }
        assert_eq!(nurse.get("/admin/nursing/forms").await.0, StatusCode::FORBIDDEN);
    });
}
