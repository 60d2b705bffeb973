//! Dictionaries kept on the appliance, for the time the hospital cannot be asked.

use std::sync::Arc;
use std::time::Duration;

use records::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::StoreError;

use super::Bridge;

/// One dictionary answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// Operation.
    pub method: String,
    /// When it was fetched.
    pub fetched_at: Timestamp,
    /// Older than the profile allows; used only while the hospital cannot be asked.
    pub stale: bool,
}

impl Bridge {
    pub(super) async fn kept(&self, method: &str, request: &Value) -> Option<(Value, Timestamp)> {
        let (method, digest) = (method.to_owned(), request_digest(request));
        let found = self.inner.store.read(self.scope(), move |tx| {
            let (method, digest) = (method.clone(), digest.clone());
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                let sql = "SELECT body, fetched_at FROM his_cache WHERE tenant_id = $1 AND method = $2 AND digest = $3";
                tx.opt::<(Value, Timestamp)>(sql, &[&tenant, &method, &digest]).await
            })
        });
        found.await.unwrap_or_default()
    }

    pub(super) async fn keep(&self, method: &str, request: &Value, body: &Value) {
        let (method, digest, body) = (method.to_owned(), request_digest(request), Arc::new(body.clone()));
        let kept = self.inner.store.write(self.scope(), move |tx| {
            let (method, digest, body) = (method.clone(), digest.clone(), Arc::clone(&body));
            Box::pin(async move {
                let (tenant, now) = (tx.tenant().clone(), tx.now());
                tx.exec(
                    "INSERT INTO his_cache (tenant_id, method, digest, body, fetched_at) VALUES ($1, $2, $3, $4, $5)
                     ON CONFLICT (tenant_id, method, digest) DO UPDATE SET body = EXCLUDED.body, fetched_at = EXCLUDED.fetched_at",
                    &[&tenant, &method, &digest, &*body, &now],
                )
                .await
            })
        });
        if let Err(error) = kept.await {
            let error: StoreError = error;
            tracing::warn!(%error, "dictionary could not be kept");
        }
    }

    /// Dictionaries kept on the appliance.
    ///
    /// # Errors
    /// Of the database.
    pub async fn dictionaries(&self) -> Result<Vec<Cached>, StoreError> {
        let read = self.inner.store.read(self.scope(), |tx| {
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                let sql = "SELECT method, fetched_at FROM his_cache WHERE tenant_id = $1 ORDER BY method, fetched_at";
                tx.all::<(String, Timestamp)>(sql, &[&tenant]).await
            })
        });
        let now = self.inner.clock.now();
        let stale = |method: &str, at: Timestamp| {
            let good = self
                .inner
                .hospital
                .operation(method)
                .and_then(|o| o.cache_s)
                .unwrap_or(0);
            now.since(at) >= Duration::from_secs(good)
        };
        let rows: Vec<(String, Timestamp)> = read.await?;
        Ok(rows
            .into_iter()
            .map(|(method, at)| Cached {
                stale: stale(&method, at),
                method,
                fetched_at: at,
            })
            .collect())
    }
}

fn request_digest(request: &Value) -> String {
    hex::encode(Sha256::digest(request.to_string().as_bytes()))
}
