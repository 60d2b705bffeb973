//! Merchant accounts of the hospitals, sealed in the database.

use std::sync::Arc;

use anyhow::{Context, Result};
use base::{Ctx, Vault, tenants};
use connect::wechat_pay::{Merchant, WechatPay};
use money::Till;
use records::TenantId;
use serde::{Deserialize, Serialize};
use store::{Scope, StoreError, Tx};

const PURPOSE: &str = "app.merchant";

/// A merchant account at WeChat Pay, as onboarding gives it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    merchant_id: String,
    app_id: String,
    serial: String,
    private_key_pem: String,
    api_v3_key: String,
    /// Serial and PEM of WeChat's public keys.
    wechat_keys: Vec<(String, String)>,
    #[serde(default = "production")]
    base_url: String,
}

fn production() -> String {
    "https://api.mch.weixin.qq.com".to_owned()
}

/// The account, sealed for the database.
pub(crate) fn seal(vault: &Vault, tenant: &TenantId, account: &Account) -> Result<Vec<u8>> {
    Ok(vault.seal(tenant, PURPOSE, &serde_json::to_vec(account)?)?)
}

/// Keeps a sealed account.
pub(crate) async fn put(tx: &mut Tx<'_>, sealed: &[u8]) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO app_merchant(tenant_id, sealed, changed_at) VALUES ($1, $2, $3)
         ON CONFLICT (tenant_id) DO UPDATE SET sealed = EXCLUDED.sealed, changed_at = EXCLUDED.changed_at",
        &[&tenant, &sealed, &now],
    )
    .await
    .map(drop)
}

/// The tills of all hospitals that have an account.
pub(crate) async fn tills(ctx: &Ctx) -> Result<Vec<Till>> {
    let mut tills = Vec::new();
    for hospital in tenants::all(&ctx.store).await? {
        let sealed: Option<(Vec<u8>,)> = ctx
            .store
            .read(&Scope::system(hospital.id.clone()), |tx| {
                Box::pin(async move {
                    let tenant = tx.tenant().clone();
                    tx.opt("SELECT sealed FROM app_merchant WHERE tenant_id = $1", &[&tenant])
                        .await
                })
            })
            .await
            .map_err(|e: StoreError| e)?;
        if let Some((sealed,)) = sealed {
            let till = till(ctx, &hospital.id, &sealed);
            tills.push(till.with_context(|| format!("merchant account of {}", hospital.code))?);
        }
    }
    Ok(tills)
}

fn till(ctx: &Ctx, tenant: &TenantId, sealed: &[u8]) -> Result<Till> {
    let account: Account = serde_json::from_slice(&ctx.vault.open(tenant, PURPOSE, sealed)?)?;
    let public = &ctx.site.public_url;
    let merchant = Merchant {
        notify_url: format!("{public}/api/v1/callbacks/wechat-pay/{}", account.merchant_id),
        merchant_id: account.merchant_id.clone(),
        app_id: account.app_id,
        serial: account.serial,
        private_key_pem: account.private_key_pem,
        api_v3_key: account.api_v3_key,
        wechat_keys: account.wechat_keys,
        base_url: account.base_url,
    };
    Ok(Till {
        tenant: tenant.clone(),
        merchant_id: account.merchant_id,
        channel: Arc::new(WechatPay::new(merchant, ctx.clock.clone(), ctx.ids.clone())?),
        return_url: Some(format!("{public}/patient/pay/{{kind}}/{{id}}")),
    })
}
