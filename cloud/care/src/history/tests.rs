//! The HIS history of a visit's patient.

use serde_json::json;

use crate::testing::on_each;

#[test]
fn the_doctor_reads_the_history_live_and_an_unreachable_hospital_is_told() {
    on_each(|day| async move {
        let visit = day.checked_in().await;
        let path = format!("/doctor/visits/{visit}/history/visits");
        let past = day.get(&day.doctor, &path).await.ok();
        assert_eq!(past[0]["diagnoses"][0]["name"], "高血压");
        day.his.books().offline = true;
        assert_eq!(
            day.get(&day.doctor, &path).await.refused(),
            (503, "hospital_offline".to_owned())
        );
        assert_eq!(day.get(&day.patient, &path).await.refused().0, 403);
        let looks: Vec<(String, String)> = day
            .write(|tx| {
                Box::pin(async move {
                    let tenant = tx.tenant().clone();
                    let sql = "SELECT actor, detail FROM base_audit WHERE tenant_id = $1 AND action = 'history.read'";
                    Ok(tx.all(sql, &[&tenant]).await?)
                })
            })
            .await;
        assert_eq!(looks.len(), 2, "each look is written down");
        assert_eq!(
            looks[0],
            ("stf_wang".to_owned(), json!({ "kind": "visit.list" }).to_string())
        );
    });
}

#[test]
fn the_doctor_sees_the_picture_of_an_examination_of_this_patient_only() {
    on_each(|day| async move {
        let visit = day.checked_in().await;
        let exams = format!("/doctor/visits/{visit}/history/exams");
        let list = day.get(&day.doctor, &exams).await.ok();
        assert_eq!(
            (&list[0]["has_picture"], &list[1]["has_picture"]),
            (&json!(true), &json!(false))
        );
        assert!(
            !list.to_string().contains("pacs.local"),
            "an address of the hospital's network got out"
        );
        let seen = day.get(&day.doctor, &format!("{exams}/JC1/picture")).await;
        assert_eq!(seen.status, 200);
        assert!(day.his.books().files.is_empty(), "the picture stays behind");
        for without in ["JC2", "JC9"] {
            let refused = day
                .get(&day.doctor, &format!("{exams}/{without}/picture"))
                .await
                .refused();
            assert_eq!(refused, (404, "not_found".to_owned()), "{without}");
        }
        let fetched = |b: &Vec<String>| b.iter().filter(|c| *c == "picture.exam").count();
        assert_eq!(
            fetched(&day.his.books().calls),
            1,
            "another patient's picture was fetched"
        );
        day.his.books().offline = true;
        let refused = day.get(&day.doctor, &format!("{exams}/JC1/picture")).await.refused();
        assert_eq!(refused, (503, "hospital_offline".to_owned()));
    });
}
