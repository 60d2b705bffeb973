//! The code as the app gets it, judged as the appliance does.

use gm::PublicKey;
use gm::key::{Algorithm, Kind};
use serde_json::json;

use super::*;
use crate::testing::{GRANDMOTHER, on_each};

fn opened(code: &PatientCode, hospital: &TenantId, key: &PatientCodeKey) -> Option<Bearer> {
    let point = PublicKey::from_point(Kind::Sm2, &hex::decode(&key.point).unwrap()).unwrap();
    point
        .verify(Algorithm::Sm2, &code.signed(hospital), &code.signature)
        .ok()?;
    let seal: [u8; 16] = hex::decode(&key.seal).unwrap().try_into().unwrap();
    let (text, tag) = code.sealed.split_last_chunk::<16>()?;
    let mut plain = text.to_vec();
    let bound = PatientCode::bound(hospital, code.expires_at);
    Gcm::new(&seal)
        .open_in_place(&code.nonce, &bound, &mut plain, tag)
        .ok()?;
    Bearer::from_bytes(&plain)
}

#[test]
fn a_code_says_who_to_this_hospital_alone_and_each_is_another() {
    on_each(|day| async move {
        day.his.books().known.insert(GRANDMOTHER.to_owned(), "P-77".to_owned());
        let entry = json!({ "name": "赵秀英", "id_number": GRANDMOTHER, "phone": "13800000000", "relation": "parent" });
        let known = day.post(&day.patient, "/patients", entry).await.ok();
        let path = format!("/patients/{}/code", known["id"].as_str().unwrap());
        let view = day.post(&day.patient, &path, json!({ "task": "reports" })).await.ok();
        assert_eq!(view["life_s"], LIFE.as_secs());
        let text = view["text"].as_str().unwrap();
        let code = PatientCode::parse(text).unwrap();
        let key = key(&day.ctx.vault, &day.tenant).unwrap();
        let bearer = opened(&code, &day.tenant, &key).unwrap();
        let told = (
            bearer.his_patient_id.as_str(),
            bearer.name.as_str(),
            bearer.task.as_str(),
        );
        assert_eq!(told, ("P-77", "赵秀英", "reports"));
        // Another hospital's appliance, whatever key it has, makes nothing of it; nor does anybody of a changed one.
        let other = TenantId::parse("hos_other").unwrap();
        assert_eq!(opened(&code, &other, &key), None);
        let other_key = super::key(&day.ctx.vault, &other).unwrap();
        assert_eq!(opened(&code, &day.tenant, &other_key), None);
        let longer = PatientCode {
            expires_at: code.expires_at.plus(LIFE),
            ..code.clone()
        };
        assert_eq!(opened(&longer, &day.tenant, &key), None);
        let next = day.post(&day.patient, &path, json!({})).await.ok();
        assert_ne!(next["text"], view["text"]);
        // Nobody shows somebody else's code, and none of a patient the hospital does not know.
        assert_eq!(day.post(&day.stranger, &path, json!({})).await.refused().0, 404);
        let wrong = day
            .post(&day.patient, &path, json!({ "task": "admin" }))
            .await
            .refused();
        assert_eq!(wrong.0, 422);
    });
}

#[test]
fn the_appliance_is_told_the_key_once_a_day() {
    on_each(|day| async move {
        for _ in 0..3 {
            tick(&day.ctx, &day.tenant).await.unwrap();
        }
        let told = async || {
            day.sent_kinds()
                .await
                .iter()
                .filter(|k| *k == "patient.code_key")
                .count()
        };
        assert_eq!(told().await, 1);
        day.clock.advance(std::time::Duration::from_secs(25 * 3600));
        for _ in 0..2 {
            tick(&day.ctx, &day.tenant).await.unwrap();
        }
        assert_eq!(told().await, 2);
    });
}
