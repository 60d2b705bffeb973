//! The channel in one value: keys, ledger, clock, faults.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rig::{Clock, Faults};
use rusqlite::Connection;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Settings;
use crate::keys::Keys;

const KINDS: &[&str] = &[
    "delay",
    "hang_before",
    "hang_after",
    "error",
    "error_after",
    "bad_signature",
    "notify_drop",
    "notify_late",
    "notify_twice",
    "notify_forged",
    "notify_tampered",
    "notify_probe",
    "notify_old",
    "notify_reorder",
    "refund_processing",
    "refund_abnormal",
    "refund_closed",
];

/// The running channel.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    pub(crate) faults: Arc<Faults>,
    pub(crate) base: String,
    pub(crate) refund_ms: u64,
    pub(crate) retry_ms: Vec<u64>,
    db: Mutex<Connection>,
}

impl Channel {
    pub(crate) fn open(settings: &Settings, keys: Keys, base: String) -> rusqlite::Result<Channel> {
        let db = Connection::open(&settings.db)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.execute_batch(include_str!("schema.sql"))?;
        Ok(Channel {
            keys,
            clock: Clock::default(),
            faults: Arc::new(Faults::new(KINDS)),
            base,
            refund_ms: settings.refund_ms,
            retry_ms: settings.retry_ms.clone(),
            db: Mutex::new(db),
        })
    }

    pub(crate) fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `2026-11-23T08:30:00+08:00`
    pub(crate) fn moment(&self) -> String {
        rfc3339(self.clock.now())
    }

    /// Unix milliseconds, for due times.
    pub(crate) fn millis(&self) -> i64 {
        i64::try_from(self.clock.now().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
    }

    /// A number as the channel makes them: a prefix, the day, random digits.
    pub(crate) fn number(&self, prefix: &str) -> String {
        let day = self.clock.now().date().to_string().replace('-', "");
        let tail: String = self
            .keys
            .hex(18)
            .bytes()
            .take(18)
            .map(|b| char::from(b'0' + b % 10))
            .collect();
        format!("{prefix}{day}{tail}")
    }
}

fn rfc3339(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0)
        .unwrap_or(at)
        .format(&Rfc3339)
        .unwrap_or_default()
}
