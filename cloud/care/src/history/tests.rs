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
