//! The consultation (问诊): accepted, talked through, ended with one PIN, and rated.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::{Cast, PIN};
use crate::client::{Person, brief};

/// The patient reports in, the doctor accepts.
///
/// # Errors
/// When a step is refused.
pub async fn accept(cast: &Cast, visit: &str) -> Result<()> {
    let look = format!("visits/{visit}");
    let further = |v: &Value| matches!(v["state"].as_str(), Some("checked_in" | "in_progress"));
    cast.patient
        .act(&format!("{look}/check-in"), json!({}), &look, further)
        .await?;
    let look = format!("doctor/visits/{visit}");
    cast.doctor
        .act(&format!("{look}/accept"), json!({}), &look, |v| {
            v["state"] == "in_progress"
        })
        .await?;
    Ok(())
}

pub(super) async fn chat(cast: &Cast, visit: &str, key: &str) -> Result<()> {
    let path = format!("visits/{visit}/messages");
    for (person, client_id, text) in [
        (&cast.doctor, format!("{key}-d1"), "您好，最近血压多少？"),
        (&cast.patient, format!("{key}-p1"), "早上 128/82，没有不舒服。"),
    ] {
        person
            .post(&path, json!({ "client_id": client_id, "kind": "text", "text": text }))
            .await?;
    }
    let seen = cast.patient.get(&format!("{path}?after=0")).await?;
    let texts = seen
        .as_array()
        .or_else(|| seen["items"].as_array())
        .cloned()
        .unwrap_or_default();
    let mine = texts.iter().filter(|m| m["kind"] == "text").count();
    if mine != 2 {
        bail!("two messages were sent, {mine} are there: {}", brief(&seen));
    }
    Ok(())
}

pub(super) async fn finish(cast: &Cast, visit: &str) -> Result<()> {
    end_of_service(&cast.doctor, visit).await?;
    let look = format!("visits/{visit}");
    let body = json!({ "attitude": 5, "professional": 5, "speed": 4, "comment": "医生很耐心" });
    cast.patient
        .act(&format!("{look}/rating"), body, &look, |v| v["rating"].is_object())
        .await?;
    Ok(())
}

/// What the page of the end of service sends back of its list: everything that is not signed yet.
pub fn unsigned(list: &Value) -> Value {
    let papers = list["documents"].as_array().into_iter().flatten();
    papers
        .filter(|d| d["signed"] != json!(true))
        .map(|d| json!({ "kind": d["kind"], "id": d["id"], "edition": d["edition"] }))
        .collect()
}

/// The doctor ends the service: what is not signed yet is signed with one PIN, and the visit is finished.
///
/// # Errors
/// When it is refused, or a document stays unsigned.
pub async fn end_of_service(doctor: &Person, visit: &str) -> Result<Value> {
    let path = format!("doctor/visits/{visit}/end-of-service");
    let list = doctor.get(&path).await?;
    let body = json!({ "pin": PIN, "seen": unsigned(&list) });
    let over = |list: &Value| list["finished"] == json!(true) && list["unsigned"] == json!(0);
    let ended = doctor.act(&path, body, &path, over).await?;
    if !over(&ended) {
        bail!("the service is not ended: {}", brief(&ended));
    }
    Ok(ended)
}
