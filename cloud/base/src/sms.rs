//! Text messages: the port, and the queue of those that may wait.

use std::time::Duration;

use async_trait::async_trait;
use records::{Outcome, TenantId};
use serde_json::Value;
use store::{Scope, StoreError, Tx};

use crate::{ApiError, Ctx};

/// A text message. The provider keeps approved templates by name; `text` is the same in words.
#[derive(Clone, PartialEq, Eq)]
pub struct Sms {
    /// Unique; a provider that sees it twice sends once.
    pub key: String,
    /// The number.
    pub phone: String,
    /// Template name, e.g. `login_code`.
    pub template: String,
    /// Parameters of the template, in order.
    pub params: Vec<String>,
}

impl std::fmt::Debug for Sms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Number and code stay out of logs.
        f.debug_struct("Sms")
            .field("key", &self.key)
            .field("template", &self.template)
            .finish_non_exhaustive()
    }
}

/// Sends text messages.
#[async_trait]
pub trait SmsSender: Send + Sync {
    /// Sends one.
    async fn send(&self, tenant: &TenantId, sms: &Sms) -> Outcome<()>;
}

/// After so many tries a message is given up.
const TRIES: u32 = 6;
const BATCH: u32 = 50;
const PURPOSE: &str = "sms.phone";

/// Queues a message in this unit; [`tick`] sends it.
pub async fn enqueue(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    phone: &str,
    template: &str,
    params: &[String],
) -> Result<(), ApiError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let sealed = ctx.vault.seal(&tenant, PURPOSE, phone.as_bytes())?;
    let params = Value::from(params.to_vec());
    tx.exec(
        "INSERT INTO base_sms(tenant_id, id, phone_sealed, template, params, tries, next_at, created_at)
         VALUES ($1, $2, $3, $4, $5, 0, $6, $6)",
        &[&tenant, &ctx.ids.next("sms", now), &sealed, &template, &params, &now],
    )
    .await?;
    Ok(())
}

/// Sends what is due for one hospital. Idempotent: the provider drops a key it has seen.
pub async fn tick(ctx: &Ctx, tenant: &TenantId) -> Result<(), ApiError> {
    type Due = (String, Vec<u8>, String, Value, u32);
    let scope = Scope::system(tenant.clone());
    let due: Vec<Due> = ctx
        .store
        .read(&scope, |tx| {
            Box::pin(async move {
                let (tenant, now) = (tx.tenant().clone(), tx.now());
                tx.all(
                    "SELECT id, phone_sealed, template, params, tries FROM base_sms
                     WHERE tenant_id = $1 AND settled_at IS NULL AND next_at <= $2 ORDER BY next_at LIMIT $3",
                    &[&tenant, &now, &BATCH],
                )
                .await
            })
        })
        .await
        .map_err(|e: StoreError| e)?;
    for (id, sealed, template, params, tries) in due {
        let phone = ctx.vault.open_text(tenant, PURPOSE, &sealed)?;
        let sms = Sms {
            key: id.clone(),
            phone,
            template,
            params: serde_json::from_value(params).unwrap_or_default(),
        };
        let outcome = match ctx.sms.send(tenant, &sms).await {
            Outcome::Done(()) => Some("sent".to_owned()),
            Outcome::Refused { code, .. } => Some(code),
            _ if tries + 1 >= TRIES => Some("given_up".to_owned()),
            _ => None,
        };
        settle(ctx, &scope, id, tries + 1, outcome).await?;
    }
    Ok(())
}

async fn settle(ctx: &Ctx, scope: &Scope, id: String, tries: u32, outcome: Option<String>) -> Result<(), StoreError> {
    ctx.store
        .write(scope, move |tx| {
            let (id, outcome) = (id.clone(), outcome.clone());
            Box::pin(async move {
                let (tenant, now) = (tx.tenant().clone(), tx.now());
                let next = now.plus(Duration::from_secs(30 << tries.min(6)));
                let settled = outcome.is_some().then_some(now);
                tx.exec(
                    "UPDATE base_sms SET tries = $3, next_at = $4, settled_at = $5, outcome = $6
                     WHERE tenant_id = $1 AND id = $2",
                    &[&tenant, &id, &tries, &next, &settled, &outcome],
                )
                .await
                .map(drop)
            })
        })
        .await
}
