//! Moving the bench: fault rules of the peers, the line between appliance and cloud.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::Addresses;

/// The bench answers at once; nobody waits longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

async fn ask(method: Method, url: &str, body: Option<&Value>) -> Result<Value> {
    let http = reqwest::Client::builder().timeout(PATIENCE).build()?;
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
    answer["id"]
        .as_u64()
        .with_context(|| format!("number of the rule: {answer}"))
}

/// Whether a rule has fired.
///
/// # Errors
/// When the peer does not answer.
pub async fn rule_fired(control: &str, id: u64) -> Result<bool> {
    let all = ask(Method::GET, &format!("{control}/control/faults"), None).await?;
    let rules = all["rules"]
        .as_array()
        .or_else(|| all.as_array())
        .cloned()
        .unwrap_or_default();
    Ok(rules
        .iter()
        .any(|r| r["id"].as_u64() == Some(id) && r["fired"].as_u64() > Some(0)))
}

/// Removes all rules of a peer.
///
/// # Errors
/// When the peer does not answer.
pub async fn clear_rules(control: &str) -> Result<()> {
    ask(Method::DELETE, &format!("{control}/control/faults"), None)
        .await
        .map(drop)
}

/// The lines of the appliance that can be broken.
const LINES: [&str; 2] = ["mqtt", "https"];

/// How often the line was really broken: connections cut or refused, bytes swallowed.
///
/// # Errors
/// When the line's control does not answer.
pub async fn line_faults(site: &Addresses) -> Result<u64> {
    let seen = ask(Method::GET, &format!("{}/control/lines", site.line), None).await?;
    let count = |line: &str, what: &str| seen[line]["counters"][what].as_u64().unwrap_or(0);
    Ok(LINES
        .iter()
        .map(|l| count(l, "cut") + count(l, "refused") + count(l, "swallowed_bytes"))
        .sum())
}

/// How the line between appliance and cloud can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineState {
    /// It carries.
    Whole,
    /// Connections are reset, new ones refused.
    Cut,
    /// Bytes vanish without a word.
    BlackHole,
}

/// Breaks or mends the line.
///
/// # Errors
/// When the line's control does not answer.
pub async fn set_line(site: &Addresses, state: LineState) -> Result<()> {
    let body = json!({ "cut": state == LineState::Cut, "black_hole": state == LineState::BlackHole });
    for line in LINES {
        ask(
            Method::POST,
            &format!("{}/control/lines/{line}", site.line),
            Some(&body),
        )
        .await?;
    }
    Ok(())
}
