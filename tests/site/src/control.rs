//! Moving the bench: fault rules of the peers, the line between appliance and cloud.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::Addresses;

async fn ask(method: Method, url: &str, body: Option<&Value>) -> Result<Value> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
    let mut request = http.request(method, url);
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().await.with_context(|| format!("asking {url}"))?;
    let (status, text) = (response.status(), response.text().await?);
    if !status.is_success() {
        bail!("{url}: {status} {text}");
    }
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// Adds a fault rule at a peer's control; answers its number.
///
/// # Errors
/// When the peer does not take it.
pub async fn add_rule(control: &str, rule: &Value) -> Result<u64> {
    let answer = ask(Method::POST, &format!("{control}/control/faults"), Some(rule)).await?;
    answer["id"].as_u64().with_context(|| format!("number of the rule: {answer}"))
}

/// Whether a rule has fired.
///
/// # Errors
/// When the peer does not answer.
pub async fn rule_fired(control: &str, id: u64) -> Result<bool> {
    let all = ask(Method::GET, &format!("{control}/control/faults"), None).await?;
    let rules = all["rules"].as_array().or_else(|| all.as_array()).cloned().unwrap_or_default();
    Ok(rules.iter().any(|r| r["id"].as_u64() == Some(id) && r["fired"].as_u64() > Some(0)))
}

/// Removes all rules of a peer.
///
/// # Errors
/// When the peer does not answer.
pub async fn clear_rules(control: &str) -> Result<()> {
    ask(Method::DELETE, &format!("{control}/control/faults"), None).await.map(drop)
}

/// How often the line was really broken: connections cut, refused or swallowed.
///
/// # Errors
/// When the line's control does not answer.
pub async fn line_faults(site: &Addresses) -> Result<u64> {
    let seen = ask(Method::GET, &format!("{}/control/counters", site.proxy), None).await?;
    Ok(seen["fired"].as_u64().unwrap_or(0))
}

/// Breaks the line: `cut` or `blackhole`.
///
/// # Errors
/// When the line's control does not answer.
pub async fn break_line(site: &Addresses, how: &str) -> Result<()> {
    ask(Method::POST, &format!("{}/control/mode", site.proxy), Some(&json!({ "mode": how }))).await.map(drop)
}

/// Mends the line.
///
/// # Errors
/// When the line's control does not answer.
pub async fn heal_line(site: &Addresses) -> Result<()> {
    ask(Method::POST, &format!("{}/control/mode", site.proxy), Some(&json!({ "mode": "pass" }))).await.map(drop)
}
