//! The journal's tables: a wish taken, a step made and reported, what is due, what is shown.

use records::line::kind;
use records::{HisCommand, HisCommandResult, Lane, Outcome, PeerId, Timestamp};
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::{Migration, StoreError, Tx};

use super::entry::{Entry, Stored};
use super::trail::step;
use super::{Origin, Refusal, Rules, State, Work};

/// Tables of the bridge.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "his/0001_journal",
        sql: "
CREATE TABLE his_journal (
  tenant_id TEXT NOT NULL, key TEXT NOT NULL, seq BIGINT NOT NULL, origin TEXT NOT NULL, method TEXT NOT NULL,
  subject TEXT NOT NULL, request TEXT NOT NULL, digest TEXT NOT NULL, state TEXT NOT NULL, generation BIGINT NOT NULL,
  sent BIGINT NOT NULL, attempts BIGINT NOT NULL, next_at BIGINT NOT NULL, created_at BIGINT NOT NULL,
  unknown_since BIGINT, claimed TEXT, outcome TEXT, reason TEXT NOT NULL, changed_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, key)
);
CREATE INDEX his_journal_open ON his_journal (tenant_id, state, next_at);
CREATE INDEX his_journal_subject ON his_journal (tenant_id, subject, seq);
CREATE TABLE his_journal_trail (
  tenant_id TEXT NOT NULL, key TEXT NOT NULL, step BIGINT NOT NULL, at BIGINT NOT NULL, state TEXT NOT NULL,
  actor TEXT NOT NULL, note TEXT NOT NULL, PRIMARY KEY (tenant_id, key, step)
);
CREATE TABLE his_cache (
  tenant_id TEXT NOT NULL, method TEXT NOT NULL, digest TEXT NOT NULL, body TEXT NOT NULL, fetched_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, method, digest)
);
CREATE TABLE his_notice (
  tenant_id TEXT NOT NULL, key TEXT NOT NULL, via TEXT NOT NULL, body TEXT NOT NULL, received_at BIGINT NOT NULL,
  times BIGINT NOT NULL, PRIMARY KEY (tenant_id, key)
);
CREATE TABLE his_rejected (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, via TEXT NOT NULL, reason TEXT NOT NULL, excerpt TEXT NOT NULL,
  received_at BIGINT NOT NULL, PRIMARY KEY (tenant_id, id)
);
",
    },
    super::history::MIGRATION,
];

/// What [`accept`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// A new row.
    New,
    /// The same was asked before.
    Known(Box<Entry>),
    /// The key was used for something else.
    Conflict,
}

fn digest(method: &str, request: &Value) -> String {
    // serde_json keeps object keys sorted, so the same request has one text.
    hex::encode(Sha256::digest(format!("{method}\n{request}").as_bytes()))
}

/// Writes a wish into the journal, or finds it there. A command that is settled already has its result reported again,
/// and one whose key means something else is refused by a result.
///
/// # Errors
/// Of the database.
pub async fn accept(tx: &mut Tx<'_>, command: &HisCommand, origin: Origin) -> Result<Accepted, StoreError> {
    let digest = digest(&command.method, &command.request);
    if let Some(entry) = by_key(tx, &command.key).await? {
        if entry.digest != digest {
            if origin == Origin::Command {
                let outcome = Outcome::refused("key_conflict", "同一编号已用于另一项内容不同的请求");
                report(tx, &command.key, &command.method, &command.subject, outcome, false).await?;
            }
            return Ok(Accepted::Conflict);
        }
        if origin == Origin::Command {
            repeat(tx, &entry).await?;
        }
        return Ok(Accepted::Known(Box::new(entry)));
    }
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let work = Work::new(now);
    tx.exec(
        "INSERT INTO his_journal (tenant_id, key, seq, origin, method, subject, request, digest, state, generation, sent,
           attempts, next_at, created_at, unknown_since, claimed, outcome, reason, changed_at)
         VALUES ($1, $2, (SELECT COALESCE(MAX(seq), 0) + 1 FROM his_journal WHERE tenant_id = $1), $3, $4, $5, $6, $7, $8,
           $9, 0, 0, $10, $10, NULL, NULL, NULL, '', $10)",
        &[
            &tenant,
            &command.key,
            &origin,
            &command.method,
            &command.subject,
            &command.request,
            &digest,
            &work.state,
            &work.generation,
            &now,
        ],
    )
    .await?;
    step(tx, &command.key, work.state, "").await?;
    Ok(Accepted::New)
}

async fn repeat(tx: &mut Tx<'_>, entry: &Entry) -> Result<(), StoreError> {
    // What a call began, a command makes binding.
    if entry.origin == Origin::Call {
        let tenant = tx.tenant().clone();
        let sql = "UPDATE his_journal SET origin = 'command' WHERE tenant_id = $1 AND key = $2";
        tx.exec(sql, &[&tenant, &entry.key]).await?;
    }
    match (&entry.work.outcome, entry.work.state) {
        (Some(outcome), _) => report(tx, &entry.key, &entry.method, &entry.subject, outcome.clone(), false).await,
        (None, State::NeedsHand) => report(tx, &entry.key, &entry.method, &entry.subject, Outcome::Unknown, true).await,
        _ => Ok(()),
    }
}

/// The row of a key.
///
/// # Errors
/// Of the database.
pub async fn by_key(tx: &mut Tx<'_>, key: &str) -> Result<Option<Entry>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM his_journal WHERE tenant_id = $1 AND key = $2",
        Stored::COLUMNS
    );
    Ok(tx.opt::<Stored>(&sql, &[&tenant, &key]).await?.map(Entry::from))
}

/// Marks a row as under way; `None` when it cannot be sent now (settled, unknown, or another task has it).
///
/// # Errors
/// Of the database.
pub(crate) async fn begin(tx: &mut Tx<'_>, key: &str) -> Result<Option<Entry>, StoreError> {
    let Some(mut entry) = by_key(tx, key).await? else {
        return Ok(None);
    };
    let now = tx.now();
    match entry.work.clone().send(now) {
        Ok(work) => entry.work = work,
        Err(_) => return Ok(None),
    }
    write(tx, &entry).await?;
    Ok(Some(entry))
}

/// Makes a step of a row: reads it, applies the transition, writes it, and reports a command that is settled or given
/// up, all in this unit.
///
/// # Errors
/// Of the database; `Ok(Err(_))` when the state does not allow the step.
pub async fn write_step<F>(
    tx: &mut Tx<'_>,
    key: &str,
    note: &str,
    transition: F,
) -> Result<Result<Entry, Refusal>, StoreError>
where
    F: FnOnce(Work, Timestamp) -> Result<Work, Refusal> + Send,
{
    let now = tx.now();
    let Some(mut entry) = by_key(tx, key).await? else {
        return Ok(Err(Refusal {
            state: State::Queued,
            command: "step",
        }));
    };
    let before = entry.work.state;
    match transition(entry.work.clone(), now) {
        Ok(work) => entry.work = work,
        Err(refusal) => return Ok(Err(refusal)),
    }
    write(tx, &entry).await?;
    let text = if note.is_empty() {
        entry.work.reason.clone()
    } else {
        note.to_owned()
    };
    if before != entry.work.state || !note.is_empty() {
        step(tx, key, entry.work.state, &text).await?;
    }
    if entry.origin == Origin::Command && before != entry.work.state {
        match (&entry.work.outcome, entry.work.state) {
            (Some(outcome), _) => {
                report(tx, key, &entry.method, &entry.subject, outcome.clone(), false).await?;
            }
            (None, State::NeedsHand) => {
                report(tx, key, &entry.method, &entry.subject, Outcome::Unknown, true).await?;
            }
            _ => {}
        }
    }
    Ok(Ok(entry))
}

async fn write(tx: &mut Tx<'_>, entry: &Entry) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let w = &entry.work;
    let json = |o: &Option<Outcome<Value>>| o.as_ref().and_then(|o| serde_json::to_value(o).ok());
    tx.exec(
        "UPDATE his_journal SET state = $3, generation = $4, sent = $5, attempts = $6, next_at = $7, created_at = $8,
           unknown_since = $9, claimed = $10, outcome = $11, reason = $12, changed_at = $13
         WHERE tenant_id = $1 AND key = $2",
        &[
            &tenant,
            &entry.key,
            &w.state,
            &w.generation,
            &w.sent,
            &w.attempts,
            &w.next_at,
            &w.created_at,
            &w.unknown_since,
            &json(&w.claimed),
            &json(&w.outcome),
            &w.reason,
            &now,
        ],
    )
    .await
    .map(drop)
}

async fn report(
    tx: &mut Tx<'_>,
    key: &str,
    method: &str,
    subject: &str,
    outcome: Outcome<Value>,
    needs_hand: bool,
) -> Result<(), StoreError> {
    let result = HisCommandResult {
        key: key.to_owned(),
        method: method.to_owned(),
        subject: subject.to_owned(),
        outcome,
        needs_hand,
        at: tx.now(),
    };
    let body = serde_json::to_value(&result).unwrap_or_default();
    tx.append(
        &PeerId::cloud(),
        Lane::Clinical,
        kind::HIS_COMMAND_RESULT,
        subject,
        &body,
    )
    .await
    .map(drop)
}

/// Rows that were under way when the process ended: their outcome is unknown now.
///
/// # Errors
/// Of the database.
pub async fn recover(tx: &mut Tx<'_>, rules: &(dyn Fn(&str) -> Rules + Sync)) -> Result<usize, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = "SELECT key, method FROM his_journal WHERE tenant_id = $1 AND state = 'sending'";
    let rows: Vec<(String, String)> = tx.all(sql, &[&tenant]).await?;
    for (key, method) in &rows {
        let rules = rules(method);
        let done = write_step(tx, key, "", |work, now| work.cut_off(&rules, now)).await?;
        debug_assert!(done.is_ok());
    }
    Ok(rows.len())
}

/// Keys to be looked at now: commands that are due and not behind an earlier one of their subject, and whatever is
/// unknown.
///
/// # Errors
/// Of the database.
pub async fn due(tx: &mut Tx<'_>, limit: usize) -> Result<Vec<String>, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let rows: Vec<(String,)> = tx
        .all(
            "SELECT j.key FROM his_journal j WHERE j.tenant_id = $1 AND j.next_at <= $2 AND (
               j.state = 'unknown' OR (j.origin = 'command' AND j.state IN ('queued', 'waiting') AND NOT EXISTS (
                 SELECT 1 FROM his_journal e WHERE e.tenant_id = $1 AND e.subject = j.subject AND e.seq < j.seq
                   AND e.origin = 'command' AND e.state IN ('queued', 'sending', 'waiting', 'unknown'))))
             ORDER BY j.seq LIMIT $3",
            &[&tenant, &now, &limit],
        )
        .await?;
    Ok(rows.into_iter().map(|r| r.0).collect())
}

/// How many commands are not settled.
///
/// # Errors
/// Of the database.
pub async fn open_commands(tx: &mut Tx<'_>) -> Result<u64, StoreError> {
    let tenant = tx.tenant().clone();
    let row: (u64,) = tx
        .one(
            "SELECT COUNT(*) FROM his_journal WHERE tenant_id = $1 AND origin = 'command' AND state NOT IN ('done', 'refused')",
            &[&tenant],
        )
        .await?;
    Ok(row.0)
}

/// The newest rows, for the console: only those not settled, or all; whose key, subject or operation holds `q`.
///
/// # Errors
/// Of the database.
pub async fn latest(tx: &mut Tx<'_>, only_open: bool, q: &str, limit: usize) -> Result<Vec<Entry>, StoreError> {
    let tenant = tx.tenant().clone();
    let open = if only_open {
        "AND state NOT IN ('done', 'refused')"
    } else {
        ""
    };
    let like = format!("%{}%", q.replace(['%', '_'], ""));
    let sql = format!(
        "SELECT {} FROM his_journal WHERE tenant_id = $1 {open} AND (key LIKE $2 OR subject LIKE $2 OR method LIKE $2)
         ORDER BY seq DESC LIMIT $3",
        Stored::COLUMNS
    );
    Ok(tx
        .all::<Stored>(&sql, &[&tenant, &like, &limit])
        .await?
        .into_iter()
        .map(Entry::from)
        .collect())
}
