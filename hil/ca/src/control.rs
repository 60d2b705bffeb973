//! The control port: certificates, revocations, lists, faults.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use rig::ControlError;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::authority::CaError;
use crate::site::Site;

type Answer = Result<Json<Value>, ControlError>;

impl From<CaError> for ControlError {
    fn from(error: CaError) -> Self {
        Self(error.to_string())
    }
}

pub(crate) fn routes(site: Arc<Site>) -> Router {
    let faults = Arc::clone(&site.faults);
    Router::new()
        .route("/control/certificates", get(certificates).post(issue))
        .route("/control/revoke", post(revoke))
        .route("/control/release", post(release))
        .route("/control/lists", get(lists).post(publish))
        .route("/control/fill", post(fill))
        .with_state(site)
        .merge(rig::fault_routes(faults))
}

async fn certificates(State(site): State<Arc<Site>>) -> Answer {
    Ok(Json(site.authority.turn().await.certificates()?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Issue {
    name: String,
    #[serde(default)]
    profile: Option<String>,
    /// As openssl takes it: `/C=CN/O=…/CN=…`.
    #[serde(default)]
    subject: Option<String>,
    /// PKCS#10, PEM; a key is made without it.
    #[serde(default)]
    request: Option<String>,
}

async fn issue(State(site): State<Arc<Site>>, Json(asked): Json<Issue>) -> Answer {
    let turn = site.authority.turn().await;
    let subject = asked.subject.unwrap_or_else(|| format!("/CN={}", asked.name));
    let profile = asked.profile.as_deref().unwrap_or("person");
    turn.issue(&asked.name, &subject, profile, asked.request.as_deref())
        .await?;
    let text = |file: String| turn.text(&file).map_err(CaError::from);
    let certificate = text(format!("{}.pem", asked.name))?;
    let key = match asked.request {
        Some(_) => Value::Null,
        None => Value::String(text(format!("{}.key", asked.name))?),
    };
    let serial = turn.serial_of(&asked.name).await?;
    Ok(Json(json!({"certificate": certificate, "key": key, "serial": serial})))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    serial: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

async fn revoke(State(site): State<Arc<Site>>, Json(asked): Json<Which>) -> Answer {
    change(&site, asked, true).await
}

async fn release(State(site): State<Arc<Site>>, Json(asked): Json<Which>) -> Answer {
    change(&site, asked, false).await
}

async fn change(site: &Site, asked: Which, revokes: bool) -> Answer {
    let turn = site.authority.turn().await;
    let serial = match (asked.serial, asked.name) {
        (Some(serial), _) => serial,
        (None, Some(name)) => turn.serial_of(&name).await?,
        (None, None) => return Err(ControlError("name or serial".to_owned())),
    };
    if revokes {
        turn.revoke(&serial, asked.reason.as_deref().unwrap_or("unspecified"))?;
    } else {
        turn.release(&serial)?;
    }
    Ok(Json(json!({"serial": serial})))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Publish {
    /// `full` or `delta`.
    what: String,
}

async fn lists(State(site): State<Arc<Site>>) -> Answer {
    let (number, base) = site.authority.turn().await.numbers()?;
    Ok(Json(json!({"number": number, "base": base})))
}

async fn publish(State(site): State<Arc<Site>>, Json(asked): Json<Publish>) -> Answer {
    let full = match asked.what.as_str() {
        "full" => true,
        "delta" => false,
        other => return Err(ControlError(format!("full or delta, not {other}"))),
    };
    let turn = site.authority.turn().await;
    turn.publish(full).await?;
    let (number, base) = turn.numbers()?;
    Ok(Json(json!({"number": number, "base": base})))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fill {
    count: u32,
}

async fn fill(State(site): State<Arc<Site>>, Json(asked): Json<Fill>) -> Answer {
    let turn = site.authority.turn().await;
    turn.fill(asked.count)?;
    turn.publish(true).await?;
    Ok(Json(json!({"added": asked.count})))
}
