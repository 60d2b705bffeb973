//! The text message provider of this installation.

use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use base::{Sms, SmsSender};
use connect::tencent_sms::{Account, Secret, TencentSms};
use records::{Clock, Outcome, TenantId};

use crate::config::Config;

/// No provider is configured: nobody can sign in by phone, and says so.
struct Nobody;

#[async_trait]
impl SmsSender for Nobody {
    async fn send(&self, _tenant: &TenantId, sms: &Sms) -> Outcome<()> {
        tracing::error!(sms.template = sms.template, "no text message provider is configured");
        Outcome::refused("no_provider", "本机未配置短信服务")
    }
}

/// The configured provider.
pub(crate) fn sender(config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<dyn SmsSender>> {
    let Some(sms) = &config.sms else {
        return Ok(Arc::new(Nobody));
    };
    let path = &sms.secret_key_file;
    let key = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let account = Account {
        base_url: sms.base_url.clone(),
        region: sms.region.clone(),
        app_id: sms.app_id.clone(),
        sign_name: sms.signature.clone(),
        secret: Secret {
            id: sms.secret_id.clone(),
            key: key.trim().to_owned(),
        },
        templates: sms.templates.clone(),
    };
    Ok(Arc::new(TencentSms::new(account, clock)?))
}
