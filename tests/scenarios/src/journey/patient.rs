//! The patient (就诊人) whom the account adds, and the HIS that has to know them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};
use site::DemoPatient;

use super::Cast;
use crate::client::{PATIENCE, brief};

/// The patient of a run: adds the demo patient whom the HIS knows, or finds them added already.
pub(crate) async fn add_patient(cast: &Cast, who: &DemoPatient, relation: &str) -> Result<String> {
    let ending: String = who.id_number.chars().skip(14).collect();
    let find = |list: &Value| {
        let items = list.as_array().or_else(|| list["items"].as_array())?;
        let mine = items
            .iter()
            .find(|p| p["id_number_masked"].as_str().is_some_and(|n| n.ends_with(&ending)))?;
        mine["id"].as_str().map(str::to_owned)
    };
    if let Some(id) = find(&cast.patient.get("patients").await?) {
        return Ok(id);
    }
    let body = json!({ "name": who.name, "id_number": who.id_number, "phone": who.phone, "relation": relation });
    match cast.patient.until_done(Method::POST, "patients", Some(&body)).await {
        Ok(patient) => patient["id"].as_str().map(str::to_owned).context("patient id"),
        Err(error) => find(&cast.patient.get("patients").await?).with_context(|| format!("{error:#}")),
    }
}

/// Waits until the HIS knows the patient, asking again where a person would press 重试.
pub(crate) async fn matched(cast: &Cast, id: &str) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        let list = cast.patient.get("patients").await?;
        let items = list
            .as_array()
            .or_else(|| list["items"].as_array())
            .cloned()
            .unwrap_or_default();
        let mine = items
            .iter()
            .find(|p| p["id"] == json!(id))
            .context("the patient is gone from the list")?;
        match mine["his_state"].as_str() {
            Some("matched" | "created") => return Ok(()),
            Some("pending") => {
                let _ = cast
                    .patient
                    .once(Method::POST, &format!("patients/{id}/retry"), None)
                    .await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            other => bail!("the HIS state of the patient is {other:?}: {}", brief(mine)),
        }
    }
    bail!("the patient was never matched in the HIS")
}
