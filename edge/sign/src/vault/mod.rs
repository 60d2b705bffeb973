//! The state file: one writer at a time, readers beside it.

mod account;
mod answer;
mod checkpoint;
mod custodian;
mod dump;
mod key;
mod ledger;
mod mark;
mod outside;
mod replica;
mod revocation;
mod schema;
mod signer;
mod signer_root;
mod trust;

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use records::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};

use crate::Refusal;

pub(crate) use account::{AccountCertificateRow, AccountRow, AttemptRow};
pub(crate) use answer::{AnswerRow, Written};
pub(crate) use checkpoint::CheckpointRow;
pub(crate) use custodian::{CustodianRow, GroupRow, TlsRow};
pub(crate) use key::KeyRow;
pub use ledger::{Check, Entry, Logged, Query};
pub(crate) use outside::{BindingRow, Outcome as OutsideOutcome, UseRow};
pub(crate) use replica::PeerRow;
pub(crate) use revocation::{OwnListRow, RevokedRow};
pub(crate) use signer::{AuthorityRow, JournalRow, SignerRow};
pub(crate) use trust::{ApplicationCertificateRow, ApplicationRow, CertificateRow, ChainRow};

/// No time was seen yet.
const NEVER: i64 = i64::MIN;
/// Statements kept ready: more than the acts for applications and signers use.
const STATEMENTS: usize = 64;

/// The state file. This process is the only one that writes it.
pub(crate) struct Vault {
    writer: Mutex<Connection>,
    /// Reads that may take long do not hold up what is written.
    reader: Mutex<Connection>,
    /// The last time seen, in microseconds, as the last commit left it: asked for before every signature, which must not
    /// wait for the disk.
    seen: AtomicI64,
}

impl Vault {
    pub(crate) fn open(path: &Path) -> Result<Self, Refusal> {
        let writer = Connection::open(path)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        writer.pragma_update(None, "synchronous", "FULL")?;
        writer.pragma_update(None, "secure_delete", "ON")?;
        writer.pragma_update(None, "foreign_keys", "ON")?;
        writer.execute_batch(schema::SCHEMA)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(path, flags)?;
        writer.set_prepared_statement_cache_capacity(STATEMENTS);
        reader.set_prepared_statement_cache_capacity(STATEMENTS);
        let vault = Self {
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
            seen: AtomicI64::new(NEVER),
        };
        // Takes over the last time seen.
        vault.write(|_| Ok(()))?;
        Ok(vault)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One durable unit of work.
    pub(crate) fn write<T>(&self, act: impl FnOnce(&Unit<'_>) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let mut connection = self.lock();
        let unit = Unit(connection.transaction_with_behavior(TransactionBehavior::Immediate)?);
        let done = act(&unit)?;
        let seen = unit.last_seen()?.map_or(NEVER, |seen| seen.as_micros());
        unit.0.commit()?;
        // Still under the lock: what the file has and what is said here change in the same order.
        self.seen.store(seen, Ordering::Release);
        Ok(done)
    }

    /// The last time seen.
    pub(crate) fn last_seen(&self) -> Option<Timestamp> {
        let seen = self.seen.load(Ordering::Acquire);
        (seen != NEVER).then(|| Timestamp::from_micros(seen))
    }

    /// Reads what is committed, at one moment.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Unit<'_>) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let mut connection = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let unit = Unit(connection.transaction_with_behavior(TransactionBehavior::Deferred)?);
        look(&unit)
    }

    /// Takes one try of a signer's PIN, durably, and says how many remain; `None` when there was none left.
    pub(crate) fn take_try(&self, signer: &str) -> Result<Option<u32>, Refusal> {
        self.write(|unit| {
            let left = unit.0.query_row(
                "UPDATE signer SET tries_left = tries_left - 1 WHERE id = ?1 AND tries_left > 0 RETURNING tries_left",
                [signer],
                |row| row.get(0),
            );
            Ok(left.optional()?)
        })
    }

    pub(crate) fn counts(&self) -> Result<(u32, u32), Refusal> {
        self.read(|unit| {
            let sql = "SELECT count(*), coalesce(sum(tries_left = 0), 0) FROM signer";
            Ok(unit.0.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
        })
    }
}

/// A unit of work in progress. What each table can be asked is in the module of that table.
pub(crate) struct Unit<'c>(Transaction<'c>);
