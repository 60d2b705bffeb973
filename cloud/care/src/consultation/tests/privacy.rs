//! What the hospital's files tell somebody who only knows a name and a number.

use serde_json::{Value, json};

use crate::testing::{Day, GRANDMOTHER, on_each, past_visit};

async fn looks(day: &Day) -> Vec<(String, String)> {
    day.write(|tx| {
        Box::pin(async move {
            let tenant = tx.tenant().clone();
            let sql = "SELECT actor, detail FROM base_audit WHERE tenant_id = $1 AND action = 'patient.eligibility'";
            Ok(tx.all(sql, &[&tenant]).await?)
        })
    })
    .await
}

#[test]
fn a_name_and_a_number_show_no_diagnosis_and_no_doctor_and_each_look_is_written_down() {
    on_each(|day| async move {
        day.his.books().known.insert(GRANDMOTHER.to_owned(), "P-77".to_owned());
        day.his.books().last_visit = Some(past_visit());
        let entry = json!({ "name": "赵秀英", "id_number": GRANDMOTHER, "phone": "13900000000", "relation": "other" });
        let patient = day.post(&day.stranger, "/patients", entry).await.ok();
        assert_eq!(patient["his_state"], "matched");
        let ask = async |who, department: &str| {
            let question = json!({ "patient_id": patient["id"], "department_code": department });
            day.post(who, "/visits/eligibility", question).await
        };
        let answer = ask(&day.stranger, "0301").await.ok();
        assert_eq!(answer["eligible"], true);
        assert_eq!(
            answer["last_visit"],
            json!({ "date": "2026-10-01", "department_name": "心血管内科" }),
            "what the rule needs and no more"
        );
        let elsewhere = ask(&day.stranger, "0302").await.ok();
        assert_eq!(elsewhere["last_visit"], Value::Null, "not what was asked about");
        assert_eq!(ask(&day.patient, "0301").await.refused().0, 404);
        let list = day.get(&day.stranger, "/patients").await.ok();
        for told in [&answer, &elsewhere, &patient, &list] {
            let told = told.to_string();
            assert!(!told.contains("高血压") && !told.contains("王医生"), "{told}");
        }
        let looks = looks(&day).await;
        assert_eq!(looks.len(), 2, "{looks:?}");
        assert!(looks.iter().all(|(actor, _)| actor.contains("acc_two")), "{looks:?}");
        assert!(looks[0].1.contains("0301"), "{looks:?}");
    });
}

/// The doctor of the visit does see it.
#[test]
fn the_doctor_of_a_booked_visit_sees_what_the_answer_rested_on() {
    on_each(|day| async move {
        day.his.books().last_visit = Some(past_visit());
        let visit = day.checked_in().await;
        let own = day.get(&day.patient, &format!("/visits/{visit}")).await.ok();
        assert!(!own.to_string().contains("I10"), "{own}");
        let seen = day.get(&day.doctor, &format!("/doctor/visits/{visit}")).await.ok();
        assert_eq!(seen["last_visit"]["last_visit"]["diagnoses"][0]["code"], "I10");
    });
}
