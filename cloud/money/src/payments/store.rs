//! SQL of payments, their history, the attempts made at the channel and the notices received.

use records::id::PaymentId;
use records::{Fen, Timestamp};
use store::{Migration, StoreError, Tx};

use super::{Payment, PaymentEvent, PaymentState};
use crate::{MoneyError, looks};

store::id_value!(PaymentState);

pub(crate) const MIGRATION: Migration = Migration {
    name: "money/0001_payments",
    sql: "
CREATE TABLE payment (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL,
  subject_kind TEXT NOT NULL, subject_id TEXT NOT NULL, account_id TEXT NOT NULL,
  description TEXT NOT NULL, amount_fen BIGINT NOT NULL CHECK (amount_fen >= 0),
  state TEXT NOT NULL CHECK (state IN ('created','pending','closing','paid','his_confirming','done','closed','reversing','reversed','manual')),
  pay_url TEXT, channel_number TEXT, paid_at BIGINT,
  expires_at BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
  look_at BIGINT, looks BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, id),
  CHECK (state NOT IN ('paid','his_confirming','done','reversing','reversed') OR paid_at IS NOT NULL)
);
CREATE INDEX payment_by_subject ON payment (tenant_id, subject_kind, subject_id, created_at);
CREATE INDEX payment_by_look ON payment (tenant_id, look_at);
CREATE INDEX payment_by_time ON payment (tenant_id, created_at);
CREATE TABLE payment_history (
  tenant_id TEXT NOT NULL, payment_id TEXT NOT NULL, seq BIGINT NOT NULL,
  at BIGINT NOT NULL, actor TEXT NOT NULL, event TEXT NOT NULL,
  from_state TEXT NOT NULL, to_state TEXT NOT NULL, note TEXT NOT NULL,
  PRIMARY KEY (tenant_id, payment_id, seq)
);
CREATE TABLE channel_attempt (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, subject TEXT NOT NULL, act TEXT NOT NULL,
  started_at BIGINT NOT NULL, finished_at BIGINT, outcome TEXT,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX channel_attempt_by_subject ON channel_attempt (tenant_id, subject, started_at);
CREATE TABLE channel_notice (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, received_at BIGINT NOT NULL, subject TEXT NOT NULL, times BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
",
};

/// What the channel took, where that is not what was ordered.
pub(crate) const CHARGED: Migration = Migration {
    name: "money/0003_charged",
    sql: "ALTER TABLE payment ADD COLUMN charged_fen BIGINT;",
};

store::row! {
    struct Row {
        id: PaymentId, subject_kind: String, subject_id: String, account_id: String, description: String,
        amount_fen: Fen, state: PaymentState, pay_url: Option<String>, channel_number: Option<String>,
        charged_fen: Option<Fen>, paid_at: Option<Timestamp>, expires_at: Timestamp, created_at: Timestamp,
    }
}

impl From<Row> for Payment {
    fn from(r: Row) -> Self {
        Self {
            id: r.id,
            subject_kind: r.subject_kind,
            subject_id: r.subject_id,
            account_id: r.account_id,
            description: r.description,
            amount_fen: r.amount_fen,
            state: r.state,
            pay_url: r.pay_url,
            channel_number: r.channel_number,
            charged_fen: r.charged_fen,
            paid_at: r.paid_at,
            expires_at: r.expires_at,
            created_at: r.created_at,
        }
    }
}

const COLUMNS: &str = Row::COLUMNS;

pub(crate) async fn insert(tx: &mut Tx<'_>, p: &Payment, look_at: Timestamp) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO payment (tenant_id, id, subject_kind, subject_id, account_id, description, amount_fen, state, \
         expires_at, created_at, updated_at, look_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$10,$11)",
        &[
            &tenant,
            &p.id,
            &p.subject_kind,
            &p.subject_id,
            &p.account_id,
            &p.description,
            &p.amount_fen,
            &p.state,
            &p.expires_at,
            &now,
            &look_at,
        ],
    )
    .await?;
    note(tx, &p.id, "opened", p.state, p.state, "").await
}

pub(crate) async fn find(tx: &mut Tx<'_>, id: &PaymentId) -> Result<Option<Payment>, StoreError> {
    let tenant = tx.tenant().clone();
    Ok(tx
        .opt::<Row>(
            &format!("SELECT {COLUMNS} FROM payment WHERE tenant_id = $1 AND id = $2"),
            &[&tenant, id],
        )
        .await?
        .map(Payment::from))
}

pub(crate) async fn get(tx: &mut Tx<'_>, id: &PaymentId) -> Result<Payment, MoneyError> {
    find(tx, id).await?.ok_or(MoneyError::Absent)
}

/// Payments of one thing, newest first.
pub(crate) async fn of_subject(tx: &mut Tx<'_>, kind: &str, id: &str) -> Result<Vec<Payment>, StoreError> {
    let tenant = tx.tenant().clone();
    Ok(tx
        .all::<Row>(
            &format!(
                "SELECT {COLUMNS} FROM payment WHERE tenant_id = $1 AND subject_kind = $2 AND subject_id = $3 \
                 ORDER BY created_at DESC, id DESC"
            ),
            &[&tenant, &kind, &id],
        )
        .await?
        .into_iter()
        .map(Payment::from)
        .collect())
}

/// Writes a transition and its line of history; nothing when nothing moved.
pub(crate) async fn save(
    tx: &mut Tx<'_>,
    p: &Payment,
    from: PaymentState,
    event: PaymentEvent,
    words: &str,
    look_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    if event == PaymentEvent::Nothing {
        return Ok(());
    }
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "UPDATE payment SET state = $3, pay_url = $4, channel_number = $5, paid_at = $6, updated_at = $7, \
         look_at = $8, looks = 0, charged_fen = $9 WHERE tenant_id = $1 AND id = $2",
        &[
            &tenant,
            &p.id,
            &p.state,
            &p.pay_url,
            &p.channel_number,
            &p.paid_at,
            &now,
            &look_at,
            &p.charged_fen,
        ],
    )
    .await?;
    note(tx, &p.id, event.word(), from, p.state, words).await
}

async fn note(
    tx: &mut Tx<'_>,
    id: &PaymentId,
    event: &str,
    from: PaymentState,
    to: PaymentState,
    words: &str,
) -> Result<(), StoreError> {
    let (tenant, now, actor) = (tx.tenant().clone(), tx.now(), tx.actor().to_string());
    tx.exec(
        "INSERT INTO payment_history (tenant_id, payment_id, seq, at, actor, event, from_state, to_state, note) \
         SELECT $1, $2, COALESCE(MAX(seq), 0) + 1, CAST($3 AS BIGINT), $4, $5, $6, $7, $8 FROM payment_history \
         WHERE tenant_id = $1 AND payment_id = $2",
        &[&tenant, id, &now, &actor, &event, &from, &to, &words],
    )
    .await?;
    Ok(())
}

store::row! {
    /// A line of a payment's history.
    #[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
    pub struct PaymentStep {
        /// When.
        #[schema(value_type = String)]
        pub at: Timestamp,
        /// Who.
        pub actor: String,
        /// What happened.
        pub event: String,
        /// State before.
        pub from_state: String,
        /// State after.
        pub to_state: String,
        /// Why, in words.
        pub note: String,
    }
}

pub(crate) async fn history(tx: &mut Tx<'_>, id: &PaymentId) -> Result<Vec<PaymentStep>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.all(
        &format!(
            "SELECT {} FROM payment_history WHERE tenant_id = $1 AND payment_id = $2 ORDER BY seq",
            PaymentStep::COLUMNS
        ),
        &[&tenant, id],
    )
    .await
}

/// Takes payments whose turn it is to be looked after, and puts their next turn off.
pub(crate) async fn claim_due(tx: &mut Tx<'_>, most: i64) -> Result<Vec<Payment>, StoreError> {
    let mut taken = Vec::new();
    for id in looks::claim::<PaymentId>(tx, "payment", most).await? {
        taken.extend(find(tx, &id).await?);
    }
    Ok(taken)
}

/// Writes down that the channel is about to be asked for something.
pub(crate) async fn begin_attempt(tx: &mut Tx<'_>, id: &str, subject: &str, act: &str) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO channel_attempt (tenant_id, id, subject, act, started_at) VALUES ($1,$2,$3,$4,$5)",
        &[&tenant, &id, &subject, &act, &now],
    )
    .await?;
    Ok(())
}

/// Writes down what it answered.
pub(crate) async fn end_attempt(tx: &mut Tx<'_>, id: &str, outcome: &str) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "UPDATE channel_attempt SET finished_at = $3, outcome = $4 WHERE tenant_id = $1 AND id = $2",
        &[&tenant, &id, &now, &outcome],
    )
    .await?;
    Ok(())
}

/// Counts a notice; answers how many times it has come now.
pub(crate) async fn count_notice(tx: &mut Tx<'_>, id: &str, subject: &str) -> Result<i64, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let (times,): (i64,) = tx
        .one(
            "INSERT INTO channel_notice (tenant_id, id, received_at, subject, times) VALUES ($1,$2,$3,$4,1) \
             ON CONFLICT (tenant_id, id) DO UPDATE SET times = channel_notice.times + 1 RETURNING times",
            &[&tenant, &id, &now, &subject],
        )
        .await?;
    Ok(times)
}

/// Which payments a list shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) state: Option<PaymentState>,
    pub(crate) text: Option<String>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
}

/// One page of payments, newest first, and how many there are.
pub(crate) async fn page(
    tx: &mut Tx<'_>,
    filter: &Filter,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Payment>, i64), StoreError> {
    let tenant = tx.tenant().clone();
    let state = filter.state.map_or("", PaymentState::as_str);
    let text = filter.text.clone().unwrap_or_default();
    let from = filter.from.unwrap_or(Timestamp::from_micros(0));
    let to = filter.to.unwrap_or(Timestamp::from_micros(i64::MAX));
    let wanted = "tenant_id = $1 AND ($2 = '' OR state = $2) \
         AND ($3 = '' OR id = $3 OR subject_id = $3 OR channel_number = $3) AND created_at >= $4 AND created_at < $5";
    let (total,): (i64,) = tx
        .one(
            &format!("SELECT COUNT(*) FROM payment WHERE {wanted}"),
            &[&tenant, &state, &text, &from, &to],
        )
        .await?;
    let rows = tx
        .all::<Row>(
            &format!(
                "SELECT {COLUMNS} FROM payment WHERE {wanted} ORDER BY created_at DESC, id DESC LIMIT $6 OFFSET $7"
            ),
            &[&tenant, &state, &text, &from, &to, &limit, &offset],
        )
        .await?;
    Ok((rows.into_iter().map(Payment::from).collect(), total))
}

/// Whether such an attempt was ever begun.
pub(crate) async fn attempted(tx: &mut Tx<'_>, subject: &str, act: &str) -> Result<bool, StoreError> {
    let tenant = tx.tenant().clone();
    let (times,): (i64,) = tx
        .one(
            "SELECT COUNT(*) FROM channel_attempt WHERE tenant_id = $1 AND subject = $2 AND act = $3",
            &[&tenant, &subject, &act],
        )
        .await?;
    Ok(times > 0)
}

/// Takes a payment off the reconciler's list.
pub(crate) async fn rest(tx: &mut Tx<'_>, id: &PaymentId) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "UPDATE payment SET look_at = NULL WHERE tenant_id = $1 AND id = $2",
        &[&tenant, id],
    )
    .await?;
    Ok(())
}

/// Payments a person has to look at, oldest first.
pub(crate) async fn held(tx: &mut Tx<'_>, most: i64) -> Result<Vec<Payment>, StoreError> {
    let tenant = tx.tenant().clone();
    Ok(tx
        .all::<Row>(
            &format!(
                "SELECT {COLUMNS} FROM payment WHERE tenant_id = $1 AND state = 'manual' ORDER BY created_at LIMIT $2"
            ),
            &[&tenant, &most],
        )
        .await?
        .into_iter()
        .map(Payment::from)
        .collect())
}
