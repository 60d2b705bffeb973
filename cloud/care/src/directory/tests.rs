//! Departments and doctors, live and kept.

use serde_json::json;

use crate::consultation::ConsultationSettings;
use crate::testing::on_each;

/// Rows: YZ-P-043, YZ-P-050, YZ-P-051
#[test]
fn departments_and_doctors_come_from_the_his_and_stay_when_the_line_is_down() {
    on_each(|day| async move {
        let names = |list: serde_json::Value| -> Vec<String> {
            list.as_array()
                .unwrap()
                .iter()
                .map(|d| d["name"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(
            names(day.get(&day.patient, "/departments").await.ok()),
            ["心血管内科", "内分泌科"]
        );
        assert_eq!(
            names(day.get(&day.patient, "/departments/0301/doctors").await.ok()),
            ["王医生", "李医生"]
        );
        assert_eq!(names(day.get(&day.patient, "/doctors?q=高血压").await.ok()).len(), 3);
        assert_eq!(
            names(day.get(&day.patient, "/departments?q=内分泌").await.ok()),
            ["内分泌科"]
        );
        day.his.books().offline = true;
        day.clock.advance(std::time::Duration::from_secs(3600));
        assert_eq!(names(day.get(&day.patient, "/departments").await.ok()).len(), 2);
    });
}

#[test]
fn without_a_kept_list_an_unreachable_hospital_says_so() {
    on_each(|day| async move {
        day.his.books().offline = true;
        assert_eq!(
            day.get(&day.patient, "/departments").await.refused(),
            (503, "hospital_offline".to_owned())
        );
    });
}

#[test]
fn what_the_hospital_does_not_show_online_is_left_out() {
    on_each(|day| async move {
        day.write(|tx| {
            Box::pin(async move {
                let rules = ConsultationSettings {
                    departments: vec!["0301".to_owned()],
                    hidden_doctors: vec!["D02".to_owned()],
                    ..Default::default()
                };
                Ok(base::settings::put(tx, &rules).await?)
            })
        })
        .await;
        assert_eq!(
            day.get(&day.patient, "/departments")
                .await
                .ok()
                .as_array()
                .unwrap()
                .len(),
            1
        );
        let doctors = day.get(&day.patient, "/departments/0301/doctors").await.ok();
        assert_eq!(
            (doctors.as_array().unwrap().len(), &doctors[0]["code"]),
            (1, &json!("D01"))
        );
        assert_eq!(
            day.get(&day.patient, "/departments/0302/doctors").await.refused().0,
            404
        );
        assert_eq!(
            day.get(&day.patient, "/slots?department_code=0302").await.refused().0,
            404
        );
    });
}
