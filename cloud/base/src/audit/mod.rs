//! The audit chain: one row per act of writing, each bound to the one before by SM3 (GB/T 32905), so that a row
//! changed, removed or slipped in shows. GB/T 22239 §8.1.4.3 (安全审计).
//!
//! `hash = SM3(previous hash ‖ '\n' ‖ canonical row)`, both in hexadecimal; the first row follows 64 zeros. Rows are only
//! ever inserted, in the unit of the act itself; `base_audit_head` is the queue that orders them.

mod checkpoint;
mod routes;
mod search;
mod verify;

use records::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sm3::{Digest, Sm3};
use store::{StoreError, Tx};
use utoipa::ToSchema;

pub use checkpoint::{Checkpoint, public_key, tick};
pub(crate) use routes::routes;
pub use verify::{Broken, Whole, verify};

/// A row of the chain.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Row {
    /// Position, from 1.
    pub seq: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What, e.g. `visit.accept`.
    pub action: String,
    /// On what.
    pub subject: String,
    /// Particulars; never a patient's name or number.
    pub detail: Value,
    /// The link.
    pub hash: String,
}

impl store::FromRow for Row {
    fn from_row(row: &store::Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.get(0)?,
            at: row.get(1)?,
            actor: row.get(2)?,
            action: row.get(3)?,
            subject: row.get(4)?,
            detail: row.get(5)?,
            hash: row.get(6)?,
        })
    }
}

fn first() -> String {
    "0".repeat(64)
}

fn link(before: &str, seq: u64, at: Timestamp, words: [&str; 3], detail: &str) -> String {
    let [actor, action, subject] = words;
    let mut hash = Sm3::new();
    hash.update(before.as_bytes());
    // Lengths first, so that no text can pass for two fields.
    hash.update(format!("\n{seq}\n{}\n", at.as_micros()));
    for part in [actor, action, subject, detail] {
        hash.update(format!("{}:", part.len()));
        hash.update(part.as_bytes());
        hash.update(b"\n");
    }
    hex::encode(hash.finalize())
}

/// Notes an act in the chain of the unit's hospital, in the same unit. `action` is `noun.verb`, `subject` an id,
/// `detail` holds no names and no numbers of patients.
pub async fn record(tx: &mut Tx<'_>, action: &str, subject: &str, detail: Value) -> Result<(), StoreError> {
    let (tenant, now, actor) = (tx.tenant().clone(), tx.now(), tx.actor().to_string());
    // Locks the head: on PostgreSQL an unordered unit would race here otherwise.
    let (seq, before): (u64, String) = tx
        .one(
            "INSERT INTO base_audit_head(tenant_id, seq, hash) VALUES ($1, 1, $2)
             ON CONFLICT (tenant_id) DO UPDATE SET seq = base_audit_head.seq + 1 RETURNING seq, hash",
            &[&tenant, &first()],
        )
        .await?;
    let detail = detail.to_string();
    let hash = link(&before, seq, now, [&actor, action, subject], &detail);
    tx.exec_each(&[
        (
            "INSERT INTO base_audit(tenant_id, seq, at, actor, action, subject, detail, hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &[&tenant, &seq, &now, &actor, &action, &subject, &detail, &hash],
        ),
        (
            "UPDATE base_audit_head SET hash = $2 WHERE tenant_id = $1",
            &[&tenant, &hash],
        ),
    ])
    .await
}
