//! The spool's tables: taking a job, finding the next one, making a step and telling the cloud of it.

use records::line::{PrintState, kind};
use records::paper::PaperKind;
use records::{Lane, PeerId, PrintJob, Timestamp};
use serde_json::Value;
use store::{Migration, StoreError, Tx};

use super::state::{Refusal, State, Step};

pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "hub/0001_spool",
        sql: "
CREATE TABLE print_job (
  tenant_id TEXT NOT NULL, key TEXT NOT NULL, seq BIGINT NOT NULL, printer TEXT NOT NULL, subject TEXT NOT NULL,
  slip TEXT NOT NULL, state TEXT NOT NULL, copy BIGINT NOT NULL, note TEXT NOT NULL, created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL, PRIMARY KEY (tenant_id, key)
);
CREATE INDEX print_job_open ON print_job (tenant_id, printer, state, seq);
CREATE TABLE print_trail (
  tenant_id TEXT NOT NULL, key TEXT NOT NULL, step BIGINT NOT NULL, at BIGINT NOT NULL, state TEXT NOT NULL,
  actor TEXT NOT NULL, note TEXT NOT NULL, PRIMARY KEY (tenant_id, key, step)
);
",
    },
    Migration {
        name: "hub/0002_kinds",
        sql: "
ALTER TABLE print_job ADD COLUMN kind TEXT NOT NULL DEFAULT 'pickup_slip';
ALTER TABLE print_job ADD COLUMN used TEXT NOT NULL DEFAULT '';
CREATE TABLE print_template (
  tenant_id TEXT NOT NULL, kind TEXT NOT NULL, seen BIGINT NOT NULL, version BIGINT NOT NULL, body TEXT, refused TEXT,
  changed_at BIGINT NOT NULL, PRIMARY KEY (tenant_id, kind)
);
",
    },
    crate::keeping::MIGRATION,
];

store::row! {
    /// A job.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Job {
        /// Key.
        pub key: String,
        /// Order of arrival.
        pub seq: u64,
        /// Printer.
        pub printer: String,
        /// What it concerns.
        pub subject: String,
        /// Which template it is set by.
        pub kind: String,
        /// The slip.
        pub slip: Value,
        /// The printer it went to last, empty before it did.
        pub used: String,
        /// Where it stands.
        pub state: State,
        /// Which copy, from 1; above 1 it is marked as a reprint.
        pub copy: u32,
        /// Plain words.
        pub note: String,
        /// When it came.
        pub created_at: Timestamp,
        /// Last change.
        pub changed_at: Timestamp,
        /// When its content was blanked.
        pub blanked_at: Option<Timestamp>,
    }
}

impl Job {
    /// Which template it is set by; one this version does not know is set as a pick-up slip, which shows everything.
    pub fn paper(&self) -> PaperKind {
        self.kind.parse().unwrap_or_default()
    }
}

/// Takes a job, in the unit that moves the inbox cursor. The same key again only has its state reported again.
pub(crate) async fn accept(tx: &mut Tx<'_>, job: &PrintJob) -> Result<(), StoreError> {
    let slip = serde_json::to_value(&job.slip).unwrap_or_default();
    if let Some(known) = by_key(tx, &job.key).await? {
        if known.blanked_at.is_none() && (known.slip != slip || known.printer != job.printer) {
            tracing::error!(print.key = %job.key, "key of a print job was used for another slip; it is not printed");
        }
        return report(tx, &known.key, &known.subject, known.state, &known.note).await;
    }
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO print_job (tenant_id, key, seq, printer, subject, kind, slip, state, copy, note, created_at, changed_at)
         VALUES ($1, $2, (SELECT COALESCE(MAX(seq), 0) + 1 FROM print_job WHERE tenant_id = $1), $3, $4, $5, $6, 'waiting', 1, '', $7, $7)",
        &[&tenant, &job.key, &job.printer, &job.subject, &job.kind.as_str(), &slip, &now],
    )
    .await?;
    trail(tx, &job.key, State::Waiting, "").await
}

pub(crate) async fn by_key(tx: &mut Tx<'_>, key: &str) -> Result<Option<Job>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM print_job WHERE tenant_id = $1 AND key = $2",
        Job::COLUMNS
    );
    tx.opt(&sql, &[&tenant, &key]).await
}

/// The oldest job that waits for one of these printers; the first printer's come first.
pub(crate) async fn next(tx: &mut Tx<'_>, printers: &[String]) -> Result<Option<Job>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM print_job WHERE tenant_id = $1 AND printer = $2 AND state = 'waiting' ORDER BY seq LIMIT 1",
        Job::COLUMNS
    );
    for printer in printers {
        if let Some(job) = tx.opt(&sql, &[&tenant, printer]).await? {
            return Ok(Some(job));
        }
    }
    Ok(None)
}

/// Jobs that are not done, then the newest done ones.
pub(crate) async fn latest(tx: &mut Tx<'_>, limit: usize) -> Result<Vec<Job>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM print_job WHERE tenant_id = $1
         ORDER BY CASE state WHEN 'unknown' THEN 0 WHEN 'waiting' THEN 1 WHEN 'printing' THEN 1 ELSE 2 END, seq DESC LIMIT $2",
        Job::COLUMNS
    );
    tx.all(&sql, &[&tenant, &limit]).await
}

/// Jobs waiting and jobs to decide, per printer.
pub(crate) async fn counts(tx: &mut Tx<'_>) -> Result<Vec<(String, u64, u64)>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = "SELECT printer, SUM(CASE WHEN state = 'unknown' THEN 0 ELSE 1 END), SUM(CASE WHEN state = 'unknown' THEN 1 ELSE 0 END)
         FROM print_job WHERE tenant_id = $1 AND state IN ('waiting', 'printing', 'unknown') GROUP BY printer";
    tx.all(sql, &[&tenant]).await
}

/// The first byte is about to leave for this printer.
pub(crate) async fn begin(
    tx: &mut Tx<'_>,
    key: &str,
    printer: &str,
    note: &str,
) -> Result<Result<Job, Refusal>, StoreError> {
    let begun = step(tx, key, Step::Begin, note).await?;
    if begun.is_ok() {
        let tenant = tx.tenant().clone();
        tx.exec(
            "UPDATE print_job SET used = $3 WHERE tenant_id = $1 AND key = $2",
            &[&tenant, &key, &printer],
        )
        .await?;
    }
    Ok(begun)
}

/// Makes a step and reports the new state, in one unit.
pub(crate) async fn step(
    tx: &mut Tx<'_>,
    key: &str,
    step: Step,
    note: &str,
) -> Result<Result<Job, Refusal>, StoreError> {
    let Some(mut job) = by_key(tx, key).await? else {
        return Ok(Err(Refusal {
            state: State::Failed,
            step,
            blanked: false,
        }));
    };
    if step == Step::Reprint && job.blanked_at.is_some() {
        return Ok(Err(Refusal {
            state: job.state,
            step,
            blanked: true,
        }));
    }
    match job.state.after(step) {
        Ok(state) => job.state = state,
        Err(refusal) => return Ok(Err(refusal)),
    }
    job.copy += u32::from(step == Step::Reprint);
    note.clone_into(&mut job.note);
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "UPDATE print_job SET state = $3, copy = $4, note = $5, changed_at = $6 WHERE tenant_id = $1 AND key = $2",
        &[&tenant, &key, &job.state, &job.copy, &job.note, &now],
    )
    .await?;
    trail(tx, key, job.state, note).await?;
    report(tx, key, &job.subject, job.state, note).await?;
    Ok(Ok(job))
}

/// Says why a waiting job waits, once per change of the reason.
pub(crate) async fn explain(tx: &mut Tx<'_>, key: &str, note: &str) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let changed = tx
        .exec(
            "UPDATE print_job SET note = $3, changed_at = $4 WHERE tenant_id = $1 AND key = $2 AND state = 'waiting' AND note <> $3",
            &[&tenant, &key, &note, &now],
        )
        .await?;
    if changed == 0 {
        return Ok(());
    }
    let subject = by_key(tx, key).await?.map(|j| j.subject).unwrap_or_default();
    report(tx, key, &subject, State::Waiting, note).await
}

/// Jobs that were on their way when the process ended: nobody knows.
pub(crate) async fn recover(tx: &mut Tx<'_>) -> Result<usize, StoreError> {
    let tenant = tx.tenant().clone();
    let keys: Vec<(String,)> = tx
        .all(
            "SELECT key FROM print_job WHERE tenant_id = $1 AND state = 'printing'",
            &[&tenant],
        )
        .await?;
    for (key,) in &keys {
        let done = step(tx, key, Step::Doubt, "打印途中系统中断，请核对纸张").await?;
        debug_assert!(done.is_ok());
    }
    Ok(keys.len())
}

async fn trail(tx: &mut Tx<'_>, key: &str, state: State, note: &str) -> Result<(), StoreError> {
    let (tenant, now, actor) = (tx.tenant().clone(), tx.now(), tx.actor().to_string());
    tx.exec(
        "INSERT INTO print_trail (tenant_id, key, step, at, state, actor, note)
         VALUES ($1, $2, (SELECT COALESCE(MAX(step), 0) + 1 FROM print_trail WHERE tenant_id = $1 AND key = $2), $3, $4, $5, $6)",
        &[&tenant, &key, &now, &state, &actor, &note],
    )
    .await
    .map(drop)
}

async fn report(tx: &mut Tx<'_>, key: &str, subject: &str, state: State, note: &str) -> Result<(), StoreError> {
    let Some(outcome) = state.outcome() else { return Ok(()) };
    let body = PrintState {
        key: key.to_owned(),
        subject: subject.to_owned(),
        state: outcome,
        note: note.to_owned(),
        at: tx.now(),
    };
    let body = serde_json::to_value(&body).unwrap_or_default();
    tx.append(&PeerId::cloud(), Lane::Clinical, kind::PRINT_STATE, subject, &body)
        .await
        .map(drop)
}
