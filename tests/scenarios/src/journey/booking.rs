//! A slot (号源) of the demo doctor, for a patient who may have a follow-up visit.

use std::collections::HashSet;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};
use site::Addresses;

use super::Cast;
use crate::client::brief;

pub(super) async fn eligible(site: &Addresses, cast: &Cast, patient: &str) -> Result<()> {
    let body = json!({ "patient_id": patient, "department_code": site.demo.department_code });
    let answer = cast.patient.post("visits/eligibility", body).await?;
    if answer["eligible"] != json!(true) {
        bail!("the demo patient is not eligible: {}", brief(&answer));
    }
    Ok(())
}

/// Picks the earliest free slot of the demo doctor and books it; a slot lost to somebody else means the next one.
pub(super) async fn book(site: &Addresses, cast: &Cast, patient: &str, key: &str) -> Result<String> {
    let demo = &site.demo;
    let slots = cast
        .patient
        .get(&format!(
            "slots?department_code={}&doctor_code={}&from={}&to={}",
            demo.department_code, demo.doctor_code, demo.first_day, demo.last_day
        ))
        .await?;
    let slots = slots
        .as_array()
        .or_else(|| slots["items"].as_array())
        .cloned()
        .unwrap_or_default();
    let consent = cast.patient.get("consents/current").await?;
    let photo = cast
        .patient
        .upload("statement", "photo.png", "image/png", &site::signature_png())
        .await?;
    let mut refusals = Vec::new();
    // One try per shift: the hospital books a patient once per doctor and shift.
    let mut shifts = HashSet::new();
    for (try_number, slot) in slots
        .iter()
        .filter(|s| s["left"].as_i64() > Some(0) && s["stopped"] != json!(true))
        .filter(|s| shifts.insert(s["work_id"].to_string()))
        .enumerate()
        .take(60)
    {
        let body = json!({
            "key": format!("{key}-{try_number}"),
            "patient_id": patient,
            "purpose": "renew_prescription",
            "department_code": demo.department_code,
            "doctor_code": demo.doctor_code,
            "slot": { "work_id": slot["work_id"], "date": slot["date"], "begin": slot["begin"], "end": slot["end"] },
            "consent": { "id": consent["id"], "version": consent["version"] },
            "statement": { "complaint": "血压控制尚可，需续方", "duration": "3年", "history": "高血压病史3年", "allergies": "无", "medications": "苯磺酸氨氯地平片 5mg 每日一次" },
            "photo_ids": [photo["id"]],
        });
        match cast.patient.until_done(Method::POST, "visits", Some(&body)).await {
            Ok(visit) => {
                let id = visit["id"].as_str().context("visit id")?.to_owned();
                let settled = |v: &Value| !matches!(v["state"].as_str(), Some("locking" | "lock_unknown"));
                let visit = cast.patient.wait(&format!("visits/{id}"), "the lock", settled).await?;
                if visit["state"] == "awaiting_payment" {
                    return Ok(id);
                }
                refusals.push(brief(&visit["message"]));
            }
            Err(error) => refusals.push(format!("{error:#}")),
        }
    }
    bail!(
        "no slot could be booked out of {}: {}",
        slots.len(),
        refusals.last().cloned().unwrap_or_default()
    )
}
