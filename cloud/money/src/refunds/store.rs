//! SQL of refunds and their history.

use records::id::{PaymentId, RefundId};
use records::{Fen, Timestamp};
use store::{Migration, StoreError, Tx};

use super::{Refund, RefundState};
use crate::{MoneyError, looks};

store::id_value!(RefundState);

pub(crate) const MIGRATION: Migration = Migration {
    name: "money/0002_refunds",
    sql: "
CREATE TABLE refund (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, payment_id TEXT NOT NULL,
  amount_fen BIGINT NOT NULL CHECK (amount_fen >= 0), reason TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('requested','processing','his_write_back','refunded','manual')),
  channel_refund_number TEXT, returned_at BIGINT, his_refund_number TEXT, note TEXT,
  created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
  look_at BIGINT, looks BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, payment_id),
  CHECK (state NOT IN ('his_write_back','refunded') OR returned_at IS NOT NULL)
);
CREATE INDEX refund_by_look ON refund (tenant_id, look_at);
CREATE TABLE refund_history (
  tenant_id TEXT NOT NULL, refund_id TEXT NOT NULL, seq BIGINT NOT NULL,
  at BIGINT NOT NULL, actor TEXT NOT NULL, from_state TEXT NOT NULL, to_state TEXT NOT NULL, note TEXT NOT NULL,
  PRIMARY KEY (tenant_id, refund_id, seq)
);
",
};

store::row! {
    struct Row {
        id: RefundId, payment_id: PaymentId, amount_fen: Fen, reason: String, state: RefundState,
        channel_refund_number: Option<String>, returned_at: Option<Timestamp>, his_refund_number: Option<String>,
        note: Option<String>, created_at: Timestamp,
    }
}

impl From<Row> for Refund {
    fn from(r: Row) -> Self {
        Self {
            id: r.id,
            payment_id: r.payment_id,
            amount_fen: r.amount_fen,
            reason: r.reason,
            state: r.state,
            channel_refund_number: r.channel_refund_number,
            returned_at: r.returned_at,
            his_refund_number: r.his_refund_number,
            note: r.note,
            created_at: r.created_at,
        }
    }
}

const COLUMNS: &str = Row::COLUMNS;

pub(crate) async fn insert(tx: &mut Tx<'_>, r: &Refund) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO refund (tenant_id, id, payment_id, amount_fen, reason, state, created_at, updated_at, look_at) \
         VALUES ($1,$2,$3,$4,$5,$6,$7,$7,$7)",
        &[&tenant, &r.id, &r.payment_id, &r.amount_fen, &r.reason, &r.state, &now],
    )
    .await?;
    note(tx, &r.id, r.state, r.state, &r.reason).await
}

pub(crate) async fn find(tx: &mut Tx<'_>, id: &RefundId) -> Result<Option<Refund>, StoreError> {
    let tenant = tx.tenant().clone();
    Ok(tx
        .opt::<Row>(
            &format!("SELECT {COLUMNS} FROM refund WHERE tenant_id = $1 AND id = $2"),
            &[&tenant, id],
        )
        .await?
        .map(Refund::from))
}

pub(crate) async fn get(tx: &mut Tx<'_>, id: &RefundId) -> Result<Refund, MoneyError> {
    find(tx, id).await?.ok_or(MoneyError::Absent)
}

/// The refund of a payment, if there is one.
pub(crate) async fn of_payment(tx: &mut Tx<'_>, payment: &PaymentId) -> Result<Option<Refund>, StoreError> {
    let tenant = tx.tenant().clone();
    Ok(tx
        .opt::<Row>(
            &format!("SELECT {COLUMNS} FROM refund WHERE tenant_id = $1 AND payment_id = $2"),
            &[&tenant, payment],
        )
        .await?
        .map(Refund::from))
}

/// Writes a refund that moved, and its line of history.
pub(crate) async fn save(
    tx: &mut Tx<'_>,
    r: &Refund,
    from: RefundState,
    words: &str,
    look_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "UPDATE refund SET state = $3, channel_refund_number = $4, returned_at = $5, his_refund_number = $6, \
         note = $7, updated_at = $8, look_at = $9, looks = 0 WHERE tenant_id = $1 AND id = $2",
        &[
            &tenant,
            &r.id,
            &r.state,
            &r.channel_refund_number,
            &r.returned_at,
            &r.his_refund_number,
            &r.note,
            &now,
            &look_at,
        ],
    )
    .await?;
    note(tx, &r.id, from, r.state, words).await
}

async fn note(
    tx: &mut Tx<'_>,
    id: &RefundId,
    from: RefundState,
    to: RefundState,
    words: &str,
) -> Result<(), StoreError> {
    let (tenant, now, actor) = (tx.tenant().clone(), tx.now(), tx.actor().to_string());
    tx.exec(
        "INSERT INTO refund_history (tenant_id, refund_id, seq, at, actor, from_state, to_state, note) \
         SELECT $1, $2, COALESCE(MAX(seq), 0) + 1, CAST($3 AS BIGINT), $4, $5, $6, $7 FROM refund_history \
         WHERE tenant_id = $1 AND refund_id = $2",
        &[&tenant, id, &now, &actor, &from, &to, &words],
    )
    .await?;
    Ok(())
}

/// Takes refunds whose turn it is, and puts their next turn off.
pub(crate) async fn claim_due(tx: &mut Tx<'_>, most: i64) -> Result<Vec<Refund>, StoreError> {
    let mut taken = Vec::new();
    for id in looks::claim::<RefundId>(tx, "refund", most).await? {
        taken.extend(find(tx, &id).await?);
    }
    Ok(taken)
}

/// Refunds a person has to look at, oldest first.
pub(crate) async fn held(tx: &mut Tx<'_>, most: i64) -> Result<Vec<Refund>, StoreError> {
    let tenant = tx.tenant().clone();
    Ok(tx
        .all::<Row>(
            &format!(
                "SELECT {COLUMNS} FROM refund WHERE tenant_id = $1 AND state = 'manual' ORDER BY created_at LIMIT $2"
            ),
            &[&tenant, &most],
        )
        .await?
        .into_iter()
        .map(Refund::from)
        .collect())
}
