//! Text messages through Tencent Cloud (腾讯云短信, SendSms 2021-01-11).

mod sign;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::{Sms, SmsSender};
use records::{Clock, Outcome, TenantId};
use serde::{Deserialize, Serialize};

pub use sign::{CONTENT_TYPE, Secret, authorization};

/// Settings of an account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Secret.
    pub secret: Secret,
    /// `SmsSdkAppId`.
    pub sdk_app_id: String,
    /// Signature shown before the text, e.g. 医桥互联网医院.
    pub sign_name: String,
    /// Region, e.g. `ap-guangzhou`.
    pub region: String,
    /// Address of the API, e.g. `https://sms.tencentcloudapi.com`.
    pub base_url: String,
    /// The provider's template ids by our names.
    pub templates: HashMap<String, String>,
}

/// The adapter.
#[derive(Debug)]
pub struct TencentSms {
    http: reqwest::Client,
    account: Account,
    host: String,
    clock: Arc<dyn Clock>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Request<'a> {
    phone_number_set: [String; 1],
    sms_sdk_app_id: &'a str,
    sign_name: &'a str,
    template_id: &'a str,
    template_param_set: &'a [String],
    session_context: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    response: Body,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    #[serde(default)]
    send_status_set: Vec<Status>,
    error: Option<Problem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    code: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Problem {
    code: String,
    #[serde(default)]
    message: String,
}

impl TencentSms {
    /// An adapter for this account.
    ///
    /// # Errors
    /// When the HTTP client cannot start.
    pub fn new(account: Account, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(8))
            .connect_timeout(Duration::from_secs(3))
            .build()?;
        let host = account
            .base_url
            .split_once("://")
            .map_or(account.base_url.as_str(), |(_, host)| host)
            .trim_end_matches('/')
            .to_owned();
        Ok(Self {
            http,
            account,
            host,
            clock,
        })
    }
}

/// What an answer means. Limits of the provider's own (per number and hour) are no reason to try again at once.
fn read(body: &[u8]) -> Outcome<()> {
    let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
        return Outcome::Unknown;
    };
    let (code, message) = match (answer.response.error, answer.response.send_status_set.into_iter().next()) {
        (Some(problem), _) => (problem.code, problem.message),
        (None, Some(status)) if status.code == "Ok" => return Outcome::Done(()),
        (None, Some(status)) => (status.code, status.message),
        (None, None) => return Outcome::Unknown,
    };
    if code == "RequestLimitExceeded" || code.starts_with("InternalError") {
        return Outcome::Later { after_ms: 5_000 };
    }
    Outcome::Refused { code, text: message }
}

#[async_trait]
impl SmsSender for TencentSms {
    async fn send(&self, _: &TenantId, sms: &Sms) -> Outcome<()> {
        let Some(template) = self.account.templates.get(&sms.template) else {
            return Outcome::refused("no_template", format!("短信模板{}未配置", sms.template));
        };
        let request = Request {
            phone_number_set: [format!("+86{}", sms.phone)],
            sms_sdk_app_id: &self.account.sdk_app_id,
            sign_name: &self.account.sign_name,
            template_id: template,
            template_param_set: &sms.params,
            session_context: &sms.key,
        };
        let body = match serde_json::to_string(&request) {
            Ok(body) => body,
            Err(e) => return Outcome::refused("sms_request", e.to_string()),
        };
        let now = self.clock.now();
        let sent = self
            .http
            .post(format!("{}/", self.account.base_url.trim_end_matches('/')))
            .header("Content-Type", CONTENT_TYPE)
            .header(
                "Authorization",
                authorization(&self.account.secret, "sms", &self.host, &body, now),
            )
            .header("X-TC-Action", "SendSms")
            .header("X-TC-Version", "2021-01-11")
            .header("X-TC-Region", &self.account.region)
            .header("X-TC-Timestamp", now.as_seconds().to_string())
            .body(body)
            .send()
            .await;
        let response = match sent {
            Ok(response) => response,
            Err(e) if e.is_connect() => return Outcome::Later { after_ms: 2_000 },
            Err(_) => return Outcome::Unknown,
        };
        let failed = response.status().is_server_error();
        match response.bytes().await {
            Ok(_) if failed => Outcome::Unknown,
            Ok(body) => read(&body),
            Err(_) => Outcome::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_providers_answers_are_read() {
        let ok = br#"{"Response":{"SendStatusSet":[{"SerialNo":"1","PhoneNumber":"+8613800000000","Fee":1,"SessionContext":"","Code":"Ok","Message":"send success","IsoCode":"CN"}],"RequestId":"r"}}"#;
        assert_eq!(read(ok), Outcome::Done(()));
        let limit = r#"{"Response":{"SendStatusSet":[{"Code":"LimitExceeded.PhoneNumberDailyLimit","Message":"单个手机号日下发短信条数超过上限"}],"RequestId":"r"}}"#;
        assert_eq!(
            read(limit.as_bytes()),
            Outcome::refused("LimitExceeded.PhoneNumberDailyLimit", "单个手机号日下发短信条数超过上限")
        );
        let bad = br#"{"Response":{"Error":{"Code":"AuthFailure.SignatureFailure","Message":"x"},"RequestId":"r"}}"#;
        assert_eq!(read(bad), Outcome::refused("AuthFailure.SignatureFailure", "x"));
        assert_eq!(read(b"<html>"), Outcome::Unknown);
        let busy = br#"{"Response":{"Error":{"Code":"InternalError.Timeout","Message":""},"RequestId":"r"}}"#;
        assert_eq!(read(busy), Outcome::Later { after_ms: 5_000 });
    }
}
