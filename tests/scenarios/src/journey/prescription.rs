//! The prescription (处方): written, signed, reviewed, laid out at the window, and proven by its document.

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Cast, Made, PIN};
use crate::client::brief;

/// Record and draft of the prescription; answers its id.
///
/// # Errors
/// When a step is refused.
pub async fn prescribe(cast: &Cast, visit: &str) -> Result<String> {
    let doctor = &cast.doctor;
    doctor.get(&format!("doctor/visits/{visit}/history/visits")).await?;
    let diagnosis = first(&doctor.get("dictionary/diagnoses?q=I10").await?, |d| {
        d["code"].as_str().is_some_and(|c| c.starts_with("I10"))
    })?;
    let record = json!({
        "chief_complaint": "高血压复诊续方", "present_history": "规律服药，血压平稳", "past_history": "高血压3年", "allergies": "无",
        "examination": "自测血压128/82mmHg", "diagnoses": [{ "code": diagnosis["code"], "name": diagnosis["name"], "main": true }], "advice": "低盐饮食，规律服药",
    });
    doctor
        .until_done(Method::PUT, &format!("doctor/visits/{visit}/record"), Some(&record))
        .await?;
    let drug = first(
        &doctor
            .get("dictionary/drugs?q=%E6%B0%A8%E6%B0%AF%E5%9C%B0%E5%B9%B3")
            .await?,
        |d| d["control"] == "none" && d["barred_online"] != json!(true),
    )?;
    let pack: u64 = drug["pack_size"].as_u64().context("pack size")?;
    let days = 14u64;
    let body = json!({ "kind": "western", "items": [{
        "drug_code": drug["code"], "dose": drug["dose_per_min_unit"], "dose_unit": drug["dose_unit"],
        "route_code": drug["default_route_code"].as_str().unwrap_or("PO"), "frequency_code": "QD", "days": days,
        "quantity": days.div_ceil(pack.max(1)), "quantity_unit": drug["pack_unit"], "note": "",
    }] });
    let before = format!("doctor/visits/{visit}");
    // A lost answer must not leave two drafts: look before writing again.
    match doctor
        .once(Method::POST, &format!("{before}/prescriptions"), Some(&body))
        .await
    {
        Ok(answer) if answer.status.is_success() => {
            answer.body["id"].as_str().map(str::to_owned).context("prescription id")
        }
        Ok(answer) if answer.status.is_client_error() => bail!("{}", answer.body),
        _ => {
            let seen = doctor.get(&before).await?;
            match seen["prescriptions"].as_array().and_then(|p| p.first()) {
                Some(draft) => draft["id"].as_str().map(str::to_owned).context("prescription id"),
                None => doctor.post(&format!("{before}/prescriptions"), body).await?["id"]
                    .as_str()
                    .map(str::to_owned)
                    .context("prescription id"),
            }
        }
    }
}

fn first(list: &Value, fits: impl Fn(&Value) -> bool) -> Result<Value> {
    let items = list
        .as_array()
        .or_else(|| list["items"].as_array())
        .cloned()
        .unwrap_or_default();
    items
        .into_iter()
        .find(|i| fits(i))
        .with_context(|| format!("nothing fits in {}", brief(list)))
}

/// The doctor signs.
///
/// # Errors
/// When a step is refused.
pub async fn sign(cast: &Cast, made: &Made) -> Result<()> {
    let look = format!("doctor/prescriptions/{}", made.prescription);
    let signed = |p: &Value| !matches!(p["state"].as_str(), Some("draft"));
    cast.doctor
        .act(&format!("{look}/sign"), json!({ "pin": PIN }), &look, signed)
        .await?;
    cast.doctor
        .wait(&look, "the review queue", |p| p["state"] == "in_review")
        .await?;
    Ok(())
}

/// The pharmacist approves.
///
/// # Errors
/// When a step is refused.
pub async fn review(cast: &Cast, made: &Made) -> Result<()> {
    let look = format!("pharmacist/prescriptions/{}", made.prescription);
    let approved = |p: &Value| !matches!(p["state"].as_str(), Some("in_review" | "signed" | "draft"));
    cast.pharmacist
        .act(&format!("{look}/approve"), json!({ "pin": PIN }), &look, approved)
        .await?;
    cast.pharmacist.wait(&look, "the approval", approved).await?;
    Ok(())
}

/// The slip comes out at the dispensing window and the drugs are put there. Of a slip that was on its way when the
/// appliance died nobody can know whether it came out: it is not printed again by itself, and the pharmacist, who is told
/// so, looks and calls the drugs ready.
pub(super) async fn window(cast: &Cast, made: &Made) -> Result<()> {
    let look = format!("pharmacist/prescriptions/{}", made.prescription);
    let doubted = |p: &Value| {
        p["needs_hand"]
            .as_str()
            .is_some_and(|why| why.starts_with("取药凭条未确认打印"))
    };
    let there = cast
        .pharmacist
        .wait(&look, "the dispensing window", |p| {
            p["state"] == "ready" || (p["state"] == "dispensing" && doubted(p))
        })
        .await?;
    if there["state"] != "ready" {
        cast.pharmacist
            .act(&format!("{look}/prepare"), json!({}), &look, |p| p["state"] == "ready")
            .await?;
    }
    Ok(())
}

/// The PDF opens, the verify page says valid, and one flipped byte makes it say so.
pub(super) async fn document(cast: &Cast, made: &Made) -> Result<()> {
    let prescription = cast
        .patient
        .wait(
            &format!("prescriptions/{}", made.prescription),
            "the verify code",
            |p| p["verify_code"].is_string(),
        )
        .await?;
    let code = prescription["verify_code"].as_str().context("verify code")?;
    let pdf = cast
        .patient
        .download(&format!("prescriptions/{}/pdf", made.prescription))
        .await?;
    if !pdf.starts_with(b"%PDF-") {
        bail!("the e-prescription is not a PDF");
    }
    let verified = cast.patient.get(&format!("verify/{code}")).await?;
    if verified["valid"] != json!(true) || verified["signatures"].as_array().map_or(0, Vec::len) != 2 {
        let signatures = &verified["signatures"];
        bail!(
            "the verify page does not confirm both signatures: {} {signatures}",
            verified["reason"]
        );
    }
    Ok(())
}
