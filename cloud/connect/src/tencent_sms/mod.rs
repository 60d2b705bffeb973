//! Text messages through Tencent Cloud `SendSms` (API 3.0, version 2021-01-11).

mod sign;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::{Sms, SmsSender};
use records::{Clock, Outcome, TenantId};
use serde::Deserialize;
use serde_json::json;

pub use sign::{Secret, authorization};

/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(8);
const AGAIN_MS: u64 = 30_000;

/// An account of the provider.
#[derive(Clone, Debug)]
pub struct Account {
    /// Address of the API, e.g. `https://sms.tencentcloudapi.com`.
    pub base_url: String,
    /// Region, e.g. `ap-guangzhou`.
    pub region: String,
    /// Application (`SmsSdkAppId`).
    pub app_id: String,
    /// Signature shown before the text (`SignName`).
    pub sign_name: String,
    /// Secret of the account.
    pub secret: Secret,
    /// Our template names and the provider's numbers.
    pub templates: BTreeMap<String, String>,
}

/// The adapter.
pub struct TencentSms {
    http: reqwest::Client,
    account: Account,
    host: String,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for TencentSms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TencentSms")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// Why the adapter cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The address is not one.
    #[error("address of the SMS provider: {0}")]
    Address(String),
    /// The HTTP client cannot start.
    #[error("HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reply {
    response: Inner,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inner {
    #[serde(default)]
    error: Option<Failure>,
    #[serde(default)]
    send_status_set: Vec<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    code: String,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    code: String,
    message: String,
}

impl TencentSms {
    /// An adapter for this account.
    ///
    /// # Errors
    /// When the address is not one or the HTTP client cannot start.
    pub fn new(account: Account, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        let url = reqwest::Url::parse(&account.base_url).map_err(|e| SetupError::Address(e.to_string()))?;
        let name = url
            .host_str()
            .ok_or_else(|| SetupError::Address(account.base_url.clone()))?;
        // What is signed is the header as it goes out: with the port when it is not the scheme's own.
        let host = url
            .port()
            .map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        let http = reqwest::Client::builder()
            .timeout(DEADLINE)
            .connect_timeout(Duration::from_secs(3))
            .build()?;
        Ok(Self {
            http,
            account,
            host,
            clock,
        })
    }

    async fn ask(&self, body: String) -> Result<Reply, Outcome<()>> {
        let now = self.clock.now();
        let authorization = authorization(&self.account.secret, "sms", &self.host, &body, now);
        let sent = self
            .http
            .post(&self.account.base_url)
            .header("Authorization", authorization)
            .header("Content-Type", sign::CONTENT_TYPE)
            .header("X-TC-Action", "SendSms")
            .header("X-TC-Version", "2021-01-11")
            .header("X-TC-Region", &self.account.region)
            .header("X-TC-Timestamp", now.as_seconds().to_string())
            .body(body)
            .send()
            .await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => {
                tracing::warn!(%error, "SMS provider not reached");
                return Err(Outcome::Later { after_ms: AGAIN_MS });
            }
            Err(error) => {
                tracing::warn!(%error, "SMS provider silent");
                return Err(Outcome::Unknown);
            }
        };
        answer.json().await.map_err(|error| {
            tracing::warn!(%error, "SMS provider's answer not read");
            Outcome::Unknown
        })
    }
}

/// The provider's words as an outcome. Limits pass with time, everything else stays refused.
fn outcome(code: String, message: String) -> Outcome<()> {
    match code.as_str() {
        "Ok" => Outcome::Done(()),
        "LimitExceeded.PhoneNumberThirtySecondLimit" | "RequestLimitExceeded" => Outcome::Later { after_ms: AGAIN_MS },
        // Their fault, after the message may have left.
        _ if code.starts_with("InternalError") => Outcome::Unknown,
        _ => Outcome::refused(code, message),
    }
}

#[async_trait]
impl SmsSender for TencentSms {
    async fn send(&self, _tenant: &TenantId, sms: &Sms) -> Outcome<()> {
        let Some(template) = self.account.templates.get(&sms.template) else {
            tracing::error!(sms.template = sms.template, "no such template at the provider");
            return Outcome::refused("no_template", "短信模板未配置");
        };
        let body = json!({
            "PhoneNumberSet": [format!("+86{}", sms.phone)],
            "SmsSdkAppId": self.account.app_id,
            "TemplateId": template,
            "SignName": self.account.sign_name,
            "TemplateParamSet": sms.params,
            "SessionContext": sms.key,
        });
        let answer = match self.ask(body.to_string()).await {
            Ok(answer) => answer.response,
            Err(outcome) => return outcome,
        };
        if let Some(failure) = answer.error {
            return outcome(failure.code, failure.message);
        }
        match answer.send_status_set.into_iter().next() {
            Some(status) => outcome(status.code, status.message),
            None => Outcome::Unknown,
        }
    }
}
