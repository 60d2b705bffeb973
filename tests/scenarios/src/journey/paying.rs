//! The cashier, for the visit and for the drugs.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use site::Addresses;

use super::Cast;

/// Asks for the cashier, pays there, and waits until we know it.
///
/// # Errors
/// When a step is refused.
pub async fn pay(site: &Addresses, cast: &Cast, path: &str) -> Result<String> {
    let order = cast.patient.post(path, json!({ "method": "wechat_h5" })).await?;
    let payment = order["payment_id"].as_str().context("payment id")?.to_owned();
    site::pay_at_cashier(site, &payment).await?;
    let paid = |p: &Value| {
        matches!(
            p["state"].as_str(),
            Some("paid" | "paid_channel" | "his_confirming" | "done")
        )
    };
    cast.patient
        .wait(&format!("payments/{payment}"), "the payment to arrive", paid)
        .await?;
    Ok(payment)
}
