//! Patients of an account, as the app meets them.

use serde_json::{Value, json};

use super::*;
use crate::testing::{Fault, GRANDMOTHER, on_each};

fn entry(name: &str, number: &str, relation: &str) -> Value {
    json!({ "name": name, "id_number": number, "phone": "13800000000", "relation": relation })
}

#[test]
fn what_is_shown_hides_the_middle() {
    assert_eq!(mask_name("张三"), "张*");
    assert_eq!(mask_name("赵秀英"), "赵*英");
    assert_eq!(mask_name("阿不都热合曼"), "阿****曼");
    assert_eq!(mask_id_number(GRANDMOTHER), "110***********002X");
    assert_eq!(mask_phone("13800000000"), "138****0000");
}

#[test]
fn a_bound_patient_stays_bound_whatever_comes_late() {
    let bound = Binding::Matched("P1".to_owned());
    for said in [
        Binding::Pending,
        Binding::Created("P2".to_owned()),
        Binding::Refused("无此人".to_owned()),
    ] {
        assert_eq!(bound.clone().hear(said), bound);
    }
    let refused = Binding::Refused("姓名不符".to_owned());
    assert_eq!(refused.clone().hear(Binding::Matched("P1".to_owned())), refused);
    assert_eq!(
        refused.retry().hear(Binding::Matched("P1".to_owned())),
        Binding::Matched("P1".to_owned())
    );
}

/// Rows: YZ-P-010, YZ-P-016, YZ-P-155
#[test]
fn one_entry_binds_a_known_patient_and_creates_an_unknown_one() {
    on_each(|day| async move {
        day.his.books().known.insert(GRANDMOTHER.to_owned(), "P-77".to_owned());
        let known = day
            .post(&day.patient, "/patients", entry("赵秀英", GRANDMOTHER, "parent"))
            .await
            .ok();
        assert_eq!((&known["his_state"], &known["sex"]), (&json!("matched"), &json!("F")));
        assert_eq!(
            (&known["birth_date"], &known["age"]),
            (&json!("1949-12-31"), &json!("76岁"))
        );
        let new = day
            .post(&day.patient, "/patients", entry("钱二", "110105198501010039", "self"))
            .await
            .ok();
        assert_eq!(new["his_state"], "created");
        let list = day.get(&day.patient, "/patients").await.ok();
        assert_eq!(list.as_array().unwrap().len(), 2);
        assert!(
            !list.to_string().contains("秀英") && !list.to_string().contains(GRANDMOTHER),
            "masked"
        );
        assert_eq!(day.get(&day.stranger, "/patients").await.ok(), json!([]));
    });
}

#[test]
fn nothing_that_names_a_person_lies_in_the_database_in_clear() {
    on_each(|day| async move {
        day.grandmother().await;
        type Sealed = (Vec<u8>, Vec<u8>, Vec<u8>, String);
        let rows: Vec<Sealed> = day
            .write(|tx| {
                Box::pin(async move {
                    let tenant = tx.tenant().clone();
                    let sql = "SELECT name_sealed, id_number_sealed, phone_sealed, id_number_index FROM care_patient WHERE tenant_id = $1";
                    Ok(tx.all(sql, &[&tenant]).await?)
                })
            })
            .await;
        let (name, number, phone, index) = &rows[0];
        let holds = |sealed: &[u8], clear: &str| sealed.windows(clear.len()).any(|w| w == clear.as_bytes());
        assert!(!holds(name, "赵") && !holds(number, "1949") && !holds(phone, "1380"));
        assert!(!index.contains("1949"));
    });
}

#[test]
fn a_child_needs_a_grown_up_guardian() {
    on_each(|day| async move {
        let child = "110105202001010023";
        let bare = day.post(&day.patient, "/patients", entry("小明", child, "child")).await;
        assert_eq!(bare.body["field"], "guardian");
        assert_eq!(bare.body["message"], "14岁以下患儿需填写监护人信息");
        let with = |number: &str| {
            let mut body = entry("小明", child, "child");
            body["guardian"] = json!({ "name": "赵秀英", "id_number": number });
            body
        };
        let own = day.post(&day.patient, "/patients", with(child)).await;
        assert_eq!(own.body["message"], "监护人不能是就诊人本人");
        let young = day.post(&day.patient, "/patients", with("110105201501010017")).await;
        assert_eq!(young.body["message"], "监护人须年满18周岁");
        let wrong = day.post(&day.patient, "/patients", with("110105194912310021")).await;
        assert_eq!(wrong.body["field"], "guardian.id_number");
        let good = day.post(&day.patient, "/patients", with(GRANDMOTHER)).await.ok();
        assert_eq!(
            (&good["has_guardian"], &good["his_state"]),
            (&json!(true), &json!("created"))
        );
    });
}

#[test]
fn each_wrong_field_is_named_in_plain_words() {
    on_each(|day| async move {
        let cases = [
            (entry("赵", GRANDMOTHER, "self"), "name", "请填写真实姓名（2到30个字）"),
            (entry("赵2", GRANDMOTHER, "self"), "name", "姓名中不能有数字或符号"),
            (
                entry("赵秀英", "110105194912310021", "self"),
                "id_number",
                "身份证号校验不通过，请核对是否输入有误",
            ),
            (
                json!({ "name": "赵秀英", "id_number": GRANDMOTHER, "phone": "010-88888888", "relation": "self" }),
                "phone",
                "请填写11位手机号",
            ),
        ];
        for (body, field, words) in cases {
            let answer = day.post(&day.patient, "/patients", body).await;
            assert_eq!(answer.status.as_u16(), 422);
            assert_eq!(
                (&answer.body["field"], &answer.body["message"]),
                (&json!(field), &json!(words))
            );
        }
        assert_eq!(day.get(&day.patient, "/patients").await.ok(), json!([]));
    });
}

/// Rows: YZ-P-010, YZ-P-015
#[test]
fn an_account_has_so_many_patients_once_each_and_may_remove_them() {
    on_each(|day| async move {
        day.write(|tx| {
            Box::pin(async move {
                let rules = crate::consultation::ConsultationSettings {
                    patients_per_account: 2,
                    ..Default::default()
                };
                Ok(base::settings::put(tx, &rules).await?)
            })
        })
        .await;
        let first = day.grandmother().await;
        let twice = day
            .post(&day.patient, "/patients", entry("赵秀英", GRANDMOTHER, "other"))
            .await
            .refused();
        assert_eq!(twice, (409, "patient_exists".to_owned()));
        day.post(&day.patient, "/patients", entry("钱二", "110105198501010039", "self"))
            .await
            .ok();
        let third = day
            .post(&day.patient, "/patients", entry("孙三", "110105196001010017", "other"))
            .await
            .refused();
        assert_eq!(third, (409, "patient_limit".to_owned()));
        let path = format!("/patients/{first}");
        let strange = day
            .call(&day.stranger, axum::http::Method::DELETE, &path, None)
            .await
            .refused();
        assert_eq!(strange.0, 404);
        day.call(&day.patient, axum::http::Method::DELETE, &path, None).await;
        assert_eq!(
            day.get(&day.patient, "/patients").await.ok().as_array().unwrap().len(),
            1
        );
        day.post(&day.patient, "/patients", entry("孙三", "110105196001010017", "other"))
            .await
            .ok();
    });
}

#[test]
fn a_patient_with_an_open_visit_is_not_removed() {
    on_each(|day| async move {
        let visit = day.book().await;
        let view = day.get(&day.patient, &format!("/visits/{visit}")).await.ok();
        let path = format!("/patients/{}", view["patient"]["id"].as_str().unwrap());
        let busy = day
            .call(&day.patient, axum::http::Method::DELETE, &path, None)
            .await
            .refused();
        assert_eq!(busy, (409, "patient_busy".to_owned()));
    });
}

#[test]
fn an_unreachable_hospital_leaves_the_patient_pending_and_binds_later_by_itself() {
    on_each(|day| async move {
        day.his.books().offline = true;
        let patient = day
            .post(&day.patient, "/patients", entry("赵秀英", GRANDMOTHER, "parent"))
            .await
            .ok();
        assert_eq!(
            (&patient["his_state"], &patient["his_message"]),
            (&json!("pending"), &json!("医院系统暂时无法连接，将自动重试"))
        );
        let booking = day.booking("k", patient["id"].as_str().unwrap()).await;
        let early = day.post(&day.patient, "/visits", booking).await.refused();
        assert_eq!(early, (409, "patient_unbound".to_owned()));
        day.his.books().offline = false;
        day.clock.advance(std::time::Duration::from_secs(16));
        routes::tick(&day.ctx, &day.tenant).await.unwrap();
        assert_eq!(day.get(&day.patient, "/patients").await.ok()[0]["his_state"], "created");
    });
}

#[test]
fn a_creation_that_timed_out_after_it_happened_is_found_by_query_not_made_twice() {
    on_each(|day| async move {
        day.his.spoil("patient.create", Fault::SilentAfter);
        let patient = day
            .post(&day.patient, "/patients", entry("赵秀英", GRANDMOTHER, "parent"))
            .await
            .ok();
        assert_eq!(patient["his_state"], "pending");
        let again = day
            .post(
                &day.patient,
                &format!("/patients/{}/retry", patient["id"].as_str().unwrap()),
                json!({}),
            )
            .await
            .ok();
        assert_eq!(again["his_state"], "matched");
        let creations = day.his.books().calls.iter().filter(|c| *c == "patient.create").count();
        assert_eq!(creations, 1);
    });
}

#[test]
fn a_refusal_comes_in_the_hospitals_words_and_may_be_tried_again() {
    on_each(|day| async move {
        day.his.spoil("patient.query", Fault::Refuse("姓名与身份证不符"));
        let patient = day
            .post(&day.patient, "/patients", entry("赵秀英", GRANDMOTHER, "parent"))
            .await
            .ok();
        assert_eq!(
            (&patient["his_state"], &patient["his_message"]),
            (&json!("refused"), &json!("姓名与身份证不符"))
        );
        let path = format!("/patients/{}/retry", patient["id"].as_str().unwrap());
        assert_eq!(day.post(&day.stranger, &path, json!({})).await.refused().0, 404);
        assert_eq!(
            day.post(&day.patient, &path, json!({})).await.ok()["his_state"],
            "created"
        );
    });
}

/// Uyghur and Tibetan names have a dot that every keyboard gives otherwise.
#[test]
fn a_name_with_a_dot_is_one_name_however_it_was_typed() {
    on_each(|day| async move {
        let number = "110105198501010039";
        for typed in ["买买提•吐尔逊", "买买提．吐尔逊", "\u{3000}买买提 · 吐尔逊"] {
            let made = day
                .post(&day.patient, "/patients", entry(typed, number, "self"))
                .await
                .ok();
            assert_eq!(made["name_masked"], mask_name("买买提·吐尔逊"));
            let asked = day.his.books().names.pop();
            assert_eq!(asked.as_deref(), Some("买买提·吐尔逊"), "as the hospital is asked");
            let path = format!("/patients/{}", made["id"].as_str().unwrap());
            let gone = day.call(&day.patient, axum::http::Method::DELETE, &path, None).await;
            assert_eq!(gone.status.as_u16(), 204);
        }
    });
}
