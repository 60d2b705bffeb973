//! The hospital in one value: its file, its clock, its options and its faults.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rig::{Clock, Faults};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::charset::Charset;
use crate::wire::{Node, Reply};
use crate::{ops, seed};

const KINDS: &[&str] = &[
    "delay",
    "timeout_before_commit",
    "timeout_after_commit",
    "reset",
    "reset_after_commit",
    "answer_twice",
    "truncate",
    "wrong_charset",
    "result",
    "result_after_commit",
    "lie",
    "empty",
    "http",
    "fault",
    "ack_out_of_order",
    "ack_repeat",
    "ack",
    "ack_wrong_id",
];
const REMEMBERED_CALLS: usize = 500;

/// What may be changed while the hospital runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether the caller's order numbers make a call idempotent.
    pub honour_keys: bool,
    /// The charset of SOAP replies.
    pub charset: Charset,
    /// How long a locked slot is held.
    pub lock_minutes: i64,
    /// Where stop-clinic notices go as SOAP.
    pub callback_soap: Option<String>,
    /// Where stop-clinic notices go as HL7.
    pub callback_mllp: Option<String>,
    /// The base of file addresses in replies.
    pub public_base: String,
}

/// The hospital.
#[derive(Debug)]
pub(crate) struct House {
    db: Mutex<Connection>,
    seed: u64,
    /// The hospital's clock.
    pub(crate) clock: Clock,
    /// Faults on command.
    pub(crate) faults: Arc<Faults>,
    options: Mutex<Options>,
    calls: Mutex<VecDeque<Value>>,
    messages: AtomicU64,
    swept_day: AtomicI32,
}

/// Whether the work of a call stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Committed.
    Yes,
    /// Done, answered and undone: "says success and is not".
    No,
}

/// Why an operation did not answer normally.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpError {
    /// A rule of the hospital, in words for the person.
    #[error("{0}")]
    Refused(String),
    /// Nothing found.
    #[error("未查询到数据")]
    Nothing,
    /// The file failed.
    #[error("HIS数据库异常: {0}")]
    Sql(#[from] rusqlite::Error),
}

/// Refuses with the given words.
pub(crate) fn refuse<T>(words: impl Into<String>) -> Result<T, OpError> {
    Err(OpError::Refused(words.into()))
}

/// One call's view of the hospital: an open transaction, the time, the options.
pub(crate) struct Call<'a> {
    /// The open transaction.
    pub(crate) tx: &'a Transaction<'a>,
    /// Beijing time of the call.
    pub(crate) now: OffsetDateTime,
    /// The options in force.
    pub(crate) options: &'a Options,
}

impl Call<'_> {
    /// The time as the books write it.
    pub(crate) fn moment(&self) -> String {
        Clock::format(self.now)
    }

    /// The time that lies `minutes` ahead.
    pub(crate) fn in_minutes(&self, minutes: i64) -> String {
        Clock::format(self.now + Duration::minutes(minutes))
    }

    /// Today's date.
    pub(crate) fn today(&self) -> String {
        self.now.date().to_string()
    }

    /// The next number of a kind.
    pub(crate) fn number(&self, name: &str) -> Result<i64, rusqlite::Error> {
        self.tx.query_row(
            "INSERT INTO counter VALUES (?1, 1) ON CONFLICT (name) DO UPDATE SET n = n + 1 RETURNING n",
            [name],
            |row| row.get(0),
        )
    }
}

impl House {
    /// Opens the file, filling it from the seed when it is new.
    pub(crate) fn open(path: &Path, seed: u64, options: Options) -> Result<House, OpError> {
        let db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        let house = House {
            db: Mutex::new(db),
            seed,
            clock: Clock::default(),
            faults: Arc::new(Faults::new(KINDS)),
            options: Mutex::new(options),
            calls: Mutex::default(),
            messages: AtomicU64::new(1),
            swept_day: AtomicI32::new(0),
        };
        let made: Option<String> = house
            .db()
            .query_row("SELECT name FROM sqlite_master WHERE name = 'meta'", [], |r| r.get(0))
            .optional()?;
        if made.is_none() {
            house.fill()?;
        }
        house.db().execute_batch(ops::queue::TABLES)?;
        house.db().execute_batch(ops::apply::TABLES)?;
        seed::catalogue_of_orders(&house.db())?;
        house.extend_schedule()?;
        Ok(house)
    }

    /// Empties the file and fills it again from the seed.
    pub(crate) fn reset(&self) -> Result<(), OpError> {
        {
            let db = self.db();
            let mut tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?;
            let names: Vec<String> = tables.query_map([], |r| r.get(0))?.collect::<Result<_, _>>()?;
            for name in names {
                db.execute(&format!("DROP TABLE \"{name}\""), [])?;
            }
        }
        self.faults.remove(None);
        self.calls().clear();
        self.fill()?;
        self.extend_schedule()
    }

    fn fill(&self) -> Result<(), OpError> {
        let mut db = self.db();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(include_str!("schema.sql"))?;
        tx.execute_batch(ops::queue::TABLES)?;
        tx.execute_batch(ops::apply::TABLES)?;
        seed::catalogue_of_orders(&tx)?;
        tx.execute("INSERT INTO meta VALUES ('seed', ?1)", [self.seed.to_string()])?;
        seed::fill(&tx, self.seed, self.clock.now().date())?;
        tx.commit()?;
        Ok(())
    }

    fn extend_schedule(&self) -> Result<(), OpError> {
        let mut db = self.db();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let seed: String = tx.query_row("SELECT value FROM meta WHERE key = 'seed'", [], |r| r.get(0))?;
        seed::schedule(&tx, seed.parse().unwrap_or(0), self.clock.now().date())?;
        tx.commit()?;
        Ok(())
    }

    /// The file, one user at a time.
    pub(crate) fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of the options in force.
    pub(crate) fn options(&self) -> Options {
        self.options.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes options.
    pub(crate) fn set_options(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.options.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn calls(&self) -> MutexGuard<'_, VecDeque<Value>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a message the hospital sends.
    pub(crate) fn message_number(&self) -> String {
        let n = self.messages.fetch_add(1, Ordering::Relaxed);
        format!("H{}{n:06}", self.clock.unix())
    }

    /// The last calls, oldest first.
    pub(crate) fn recent_calls(&self) -> Vec<Value> {
        self.calls().iter().cloned().collect()
    }

    /// Notes a call for `/control/requests`.
    pub(crate) fn note_call(&self, transport: &str, op: &str, key: &str, code: &str, fault: Option<&str>) {
        tracing::info!(his.op = op, his.transport = transport, his.code = code, "call");
        let mut calls = self.calls();
        if calls.len() >= REMEMBERED_CALLS {
            calls.pop_front();
        }
        calls.push_back(json!({"at": self.clock.moment(), "transport": transport, "op": op,
            "key": key, "code": code, "fault": fault}));
    }

    /// Runs one operation in its own transaction; `None` when the operation is unknown.
    pub(crate) fn execute(&self, op: &str, asked: &Node, keep: Keep) -> Option<Reply> {
        let work = ops::find(op)?;
        if self.schedule_is_short() {
            let _logged = self.extend_schedule().inspect_err(|e| tracing::error!("{e}"));
        }
        Some(
            self.within(keep, |call| work(call, asked))
                .unwrap_or_else(|error| match error {
                    OpError::Refused(words) => Reply::of("2", &words),
                    OpError::Nothing => Reply::of("1", "未查询到数据"),
                    OpError::Sql(e) => {
                        tracing::error!(his.op = op, "{e}");
                        Reply::of("-1", "HIS内部异常")
                    }
                }),
        )
    }

    /// Runs work in a transaction after expired locks were swept.
    pub(crate) fn within<T>(
        &self,
        keep: Keep,
        work: impl FnOnce(&Call<'_>) -> Result<T, OpError>,
    ) -> Result<T, OpError> {
        let options = self.options();
        let now = self.clock.now();
        let mut db = self.db();
        sweep(&db, &Clock::format(now))?;
        let day = now.date().to_julian_day();
        if self.swept_day.swap(day, Ordering::Relaxed) != day {
            sweep_days(&db, &now.date().to_string())?;
        }
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&Call {
            tx: &tx,
            now,
            options: &options,
        })?;
        match keep {
            Keep::Yes => tx.commit()?,
            Keep::No => tx.rollback()?,
        }
        Ok(done)
    }

    fn schedule_is_short(&self) -> bool {
        let last = (self.clock.now() + Duration::days(13)).date().to_string();
        let found: Result<i64, _> =
            self.db()
                .query_row("SELECT count(*) FROM session WHERE date >= ?1", [last], |row| {
                    row.get(0)
                });
        !matches!(found, Ok(n) if n > 0)
    }
}

/// Locks past their time become 超时.
fn sweep(db: &Connection, now: &str) -> Result<(), rusqlite::Error> {
    db.prepare_cached("UPDATE reg SET status = 4, released = 1 WHERE status = 1 AND lock_expire <= ?1")?
        .execute([now])?;
    Ok(())
}

/// Paid visits of past days to which nobody came become 过期.
fn sweep_days(db: &Connection, today: &str) -> Result<(), rusqlite::Error> {
    db.execute(
        "UPDATE reg SET status = 7 WHERE status = 2 AND released = 0
           AND (SELECT date FROM session s WHERE s.work_id = reg.work_id) < date(?1, '-2 days')",
        [today],
    )?;
    Ok(())
}
