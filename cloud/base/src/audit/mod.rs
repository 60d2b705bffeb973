//! The audit chain: one row per act of writing, each bound to the one before by SM3 (GB/T 32905), so that a row
//! changed, removed or slipped in shows. GB/T 22239 §8.1.4.3 (安全审计).
//!
//! `hash = SM3(previous hash ‖ '\n' ‖ canonical row)`, both in hexadecimal; the first row follows 64 zeros. Rows are only
//! ever inserted, in the unit of the act itself; `base_audit_head` is the queue that orders them.

mod routes;

use records::{TenantId, Timestamp};
use serde::Serialize;
use serde_json::Value;
use sm3::{Digest, Sm3};
use store::{Scope, Store, StoreError, Tx};
use utoipa::ToSchema;

pub(crate) use routes::routes;

/// Rows read at once when the chain is verified.
const STRIDE: u32 = 1000;

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

/// Why a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A row does not follow from the one before.
    #[error("row {0} was changed, or the row before it was")]
    Link(u64),
    /// A row is missing.
    #[error("row {0} is missing")]
    Missing(u64),
    /// The end was cut off.
    #[error("the chain ends at row {found}, its head says {head}")]
    Cut {
        /// The last row.
        found: u64,
        /// What the head says.
        head: u64,
    },
    /// It could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
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

/// Walks the whole chain of a hospital; answers its length and last link.
pub async fn verify(store: &Store, tenant: &TenantId) -> Result<(u64, String), Broken> {
    let scope = Scope::system(tenant.clone());
    let (mut seq, mut hash) = (0_u64, first());
    loop {
        let rows: Vec<(u64, Timestamp, String, String, String, String, String)> = store
            .read(&scope, move |tx| {
                Box::pin(async move {
                    let tenant = tx.tenant().clone();
                    tx.all(
                        "SELECT seq, at, actor, action, subject, detail, hash FROM base_audit
                         WHERE tenant_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
                        &[&tenant, &seq, &STRIDE],
                    )
                    .await
                })
            })
            .await
            .map_err(|e: StoreError| Broken::Store(e))?;
        let last = rows.len() < usize::try_from(STRIDE).unwrap_or(usize::MAX);
        for (at_seq, at, actor, action, subject, detail, kept) in rows {
            seq += 1;
            if at_seq != seq {
                return Err(Broken::Missing(seq));
            }
            hash = link(&hash, seq, at, [&actor, &action, &subject], &detail);
            if hash != kept {
                return Err(Broken::Link(seq));
            }
        }
        if last {
            break;
        }
    }
    let head: Option<(u64, String)> = store
        .read(&scope, move |tx| {
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                tx.opt("SELECT seq, hash FROM base_audit_head WHERE tenant_id = $1", &[&tenant])
                    .await
            })
        })
        .await
        .map_err(|e: StoreError| Broken::Store(e))?;
    match head {
        // Rows that were added while we walked are not missing.
        Some((head, _)) if head < seq => Err(Broken::Cut { found: seq, head }),
        Some((head, end)) if head == seq && end != hash => Err(Broken::Link(seq)),
        Some((head, _)) if head > seq && !grew(store, &scope, seq).await? => Err(Broken::Cut { found: seq, head }),
        None if seq > 0 => Err(Broken::Cut { found: seq, head: 0 }),
        _ => Ok((seq, hash)),
    }
}

async fn grew(store: &Store, scope: &Scope, seq: u64) -> Result<bool, StoreError> {
    let next: Option<(u64,)> = store
        .read(scope, move |tx| {
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                tx.opt(
                    "SELECT seq FROM base_audit WHERE tenant_id = $1 AND seq = $2",
                    &[&tenant, &(seq + 1)],
                )
                .await
            })
        })
        .await?;
    Ok(next.is_some())
}
