//! Signed checkpoints. The chain alone does not stop one who may write to the database: they would compute all links
//! anew. A checkpoint is the head of the chain under the SM2 signature (GB/T 32918) of a key that is not in the
//! database (it is derived from the installation's master key), so that what was signed for cannot be rewritten.
//!
//! Signed are the bytes `yiqiao-audit-checkpoint-1\n{hospital}\n{row}\n{link}\n{microseconds}`. A checkpoint notes itself
//! in the chain: one that is taken away is missed by the rows that follow.

use std::time::Duration;

use gm::key::{Algorithm, Signer};
use gm::{PublicKey, Sm2Key};
use records::{TenantId, Timestamp};
use serde::Serialize;
use serde_json::json;
use store::{Scope, StoreError, Tx};
use utoipa::ToSchema;

use super::record;
use crate::vault::{Vault, VaultError};
use crate::{ApiError, Ctx};

/// The action under which a checkpoint notes itself.
pub(super) const ACTION: &str = "audit.checkpoint";

/// A head older than this gets a checkpoint by itself.
const EVERY: Duration = Duration::from_secs(24 * 3600);

/// A signed head of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Checkpoint {
    /// The row it vouches for, with all before it.
    pub seq: u64,
    /// When it was signed.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Link of that row.
    pub hash: String,
    /// DER signature, hexadecimal.
    pub signature: String,
}

impl store::FromRow for Checkpoint {
    fn from_row(row: &store::Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.get(0)?,
            at: row.get(1)?,
            hash: row.get(2)?,
            signature: row.get(3)?,
        })
    }
}

impl Checkpoint {
    fn message(&self, tenant: &TenantId) -> Vec<u8> {
        let (seq, hash, at) = (self.seq, &self.hash, self.at.as_micros());
        format!("yiqiao-audit-checkpoint-1\n{tenant}\n{seq}\n{hash}\n{at}").into_bytes()
    }

    /// Whether the hospital's key signed this.
    pub fn is_signed_by(&self, key: &PublicKey, tenant: &TenantId) -> bool {
        let signature = hex::decode(&self.signature).unwrap_or_default();
        key.verify(Algorithm::Sm2, &self.message(tenant), &signature).is_ok()
    }
}

/// The key of a hospital's checkpoints.
pub(super) fn key(vault: &Vault, tenant: &TenantId) -> Result<Sm2Key, VaultError> {
    vault.signing_key(tenant, "audit-checkpoint")
}

/// The key that a hospital's checkpoints are verified with, to be kept outside of this installation: the uncompressed
/// point on the SM2 curve, hexadecimal.
pub fn public_key(vault: &Vault, tenant: &TenantId) -> Result<String, VaultError> {
    Ok(hex::encode(key(vault, tenant)?.public_key().bytes()))
}

/// All checkpoints, oldest first.
pub(super) async fn all(tx: &mut Tx<'_>) -> Result<Vec<Checkpoint>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.all(
        "SELECT seq, at, hash, signature FROM base_audit_checkpoint WHERE tenant_id = $1 ORDER BY seq",
        &[&tenant],
    )
    .await
}

pub(super) async fn last(tx: &mut Tx<'_>) -> Result<Option<Checkpoint>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.opt(
        "SELECT seq, at, hash, signature FROM base_audit_checkpoint WHERE tenant_id = $1 ORDER BY seq DESC LIMIT 1",
        &[&tenant],
    )
    .await
}

/// Signs the head of the chain. When nothing has happened since the last checkpoint, that one is the answer; `None`
/// when nothing has ever happened.
pub(super) async fn sign(tx: &mut Tx<'_>, vault: &Vault) -> Result<Option<Checkpoint>, ApiError> {
    let (tenant, at) = (tx.tenant().clone(), tx.now());
    let head: Option<(u64, String)> = tx
        .opt("SELECT seq, hash FROM base_audit_head WHERE tenant_id = $1", &[&tenant])
        .await?;
    let Some((seq, hash)) = head else {
        return Ok(None);
    };
    let known = last(tx).await?;
    // The row after a checkpoint is the one in which it notes itself.
    if let Some(known) = known.filter(|known| known.seq + 1 >= seq) {
        return Ok(Some(known));
    }
    let mut checkpoint = Checkpoint {
        seq,
        at,
        hash,
        signature: String::new(),
    };
    let signed = key(vault, &tenant)?.sign(&checkpoint.message(&tenant));
    checkpoint.signature = hex::encode(signed.map_err(ApiError::internal)?);
    tx.exec(
        "INSERT INTO base_audit_checkpoint(tenant_id, seq, at, hash, signature) VALUES ($1, $2, $3, $4, $5)",
        &[&tenant, &seq, &at, &checkpoint.hash, &checkpoint.signature],
    )
    .await?;
    let detail = json!({ "hash": checkpoint.hash });
    record(tx, ACTION, &seq.to_string(), detail).await?;
    Ok(Some(checkpoint))
}

/// Signs the head of a hospital's chain once a day.
///
/// # Errors
/// When the database fails.
pub async fn tick(ctx: &Ctx, tenant: &TenantId) -> Result<(), ApiError> {
    let vault = ctx.vault.clone();
    ctx.store
        .write(&Scope::system(tenant.clone()), move |tx| {
            let vault = vault.clone();
            Box::pin(async move {
                let fresh = tx.now().minus(EVERY);
                if last(tx).await?.is_none_or(|known| known.at <= fresh) {
                    sign(tx, &vault).await?;
                }
                Ok(())
            })
        })
        .await
}
