//! The state file.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use records::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::Refusal;
use crate::pin::TRIES;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS kek (id INTEGER PRIMARY KEY CHECK (id = 1), sealed TEXT NOT NULL, made_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS authority (
  organisation TEXT PRIMARY KEY, root BLOB NOT NULL, root_key BLOB NOT NULL, issuing BLOB NOT NULL,
  issuing_key BLOB NOT NULL, seal_root BLOB NOT NULL, seal_root_key BLOB NOT NULL, seal BLOB NOT NULL,
  seal_key BLOB NOT NULL, made_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS signer (
  id TEXT PRIMARY KEY, organisation TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, certificate BLOB NOT NULL,
  wrapped BLOB NOT NULL, salt BLOB NOT NULL, tries_left INTEGER NOT NULL CHECK (tries_left >= 0),
  enrolled_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS journal (
  key TEXT PRIMARY KEY, act TEXT NOT NULL, signer TEXT NOT NULL, digest BLOB NOT NULL, cms BLOB NOT NULL,
  serial TEXT NOT NULL, signed_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS log (
  seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, act TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL,
  hash BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS clock (id INTEGER PRIMARY KEY CHECK (id = 1), last_seen INTEGER NOT NULL) STRICT;
";

/// A hospital's authorities, keys wrapped.
#[derive(Debug, Clone)]
pub(crate) struct AuthorityRow {
    pub(crate) root: Vec<u8>,
    pub(crate) root_key: Vec<u8>,
    pub(crate) issuing: Vec<u8>,
    pub(crate) issuing_key: Vec<u8>,
    pub(crate) seal_root: Vec<u8>,
    pub(crate) seal_root_key: Vec<u8>,
    pub(crate) seal: Vec<u8>,
    pub(crate) seal_key: Vec<u8>,
}

/// Root of signers, root of seals.
pub(crate) type RootRow = (Vec<u8>, Vec<u8>);

/// A signer, key wrapped.
#[derive(Debug, Clone)]
pub(crate) struct SignerRow {
    pub(crate) id: String,
    pub(crate) organisation: String,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) certificate: Vec<u8>,
    pub(crate) wrapped: Vec<u8>,
    pub(crate) salt: Vec<u8>,
    pub(crate) tries_left: u32,
}

/// A signature that was made.
#[derive(Debug, Clone)]
pub(crate) struct JournalRow {
    pub(crate) act: String,
    pub(crate) signer: String,
    pub(crate) digest: Vec<u8>,
    pub(crate) cms: Vec<u8>,
    pub(crate) serial: String,
    pub(crate) signed_at: Timestamp,
}

/// The state file, one writer.
pub(crate) struct Vault(Mutex<Connection>);

impl Vault {
    pub(crate) fn open(path: &Path) -> Result<Self, Refusal> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(Mutex::new(connection)))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One durable unit of work.
    pub(crate) fn write<T>(&self, act: impl FnOnce(&Unit<'_>) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let mut connection = self.lock();
        let unit = Unit(connection.transaction_with_behavior(TransactionBehavior::Immediate)?);
        let done = act(&unit)?;
        unit.0.commit()?;
        Ok(done)
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
        Ok(self.lock().query_row(
            "SELECT count(*), coalesce(sum(tries_left = 0), 0) FROM signer",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?)
    }

    /// Number of log entries, and whether their chain is whole.
    pub(crate) fn check_log(&self) -> Result<(u64, bool), Refusal> {
        let connection = self.lock();
        let mut rows = connection.prepare("SELECT seq, at, act, subject, detail, hash FROM log ORDER BY seq")?;
        let mut rows = rows.query([])?;
        let (mut count, mut last, mut whole) = (0i64, Vec::new(), true);
        while let Some(row) = rows.next()? {
            count += 1;
            let (seq, at): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (act, subject, detail): (String, String, String) = (row.get(2)?, row.get(3)?, row.get(4)?);
            let hash: Vec<u8> = row.get(5)?;
            whole &= seq == count && hash == entry_hash(&last, seq, at, &act, &subject, &detail);
            last = hash;
        }
        Ok((count.unsigned_abs(), whole))
    }
}

/// A unit of work in progress.
pub(crate) struct Unit<'c>(Transaction<'c>);

impl Unit<'_> {
    pub(crate) fn kek(&self) -> Result<Option<String>, Refusal> {
        Ok(self
            .0
            .query_row("SELECT sealed FROM kek", [], |row| row.get(0))
            .optional()?)
    }

    pub(crate) fn put_kek(&self, sealed: &str, at: Timestamp) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO kek (id, sealed, made_at) VALUES (1, ?1, ?2)",
            params![sealed, at.as_micros()],
        )?;
        Ok(())
    }

    pub(crate) fn authority(&self, organisation: &str) -> Result<Option<AuthorityRow>, Refusal> {
        let sql = "SELECT root, root_key, issuing, issuing_key, seal_root, seal_root_key, seal, seal_key \
                   FROM authority WHERE organisation = ?1";
        let row = self.0.query_row(sql, [organisation], |row| {
            Ok(AuthorityRow {
                root: row.get(0)?,
                root_key: row.get(1)?,
                issuing: row.get(2)?,
                issuing_key: row.get(3)?,
                seal_root: row.get(4)?,
                seal_root_key: row.get(5)?,
                seal: row.get(6)?,
                seal_key: row.get(7)?,
            })
        });
        Ok(row.optional()?)
    }

    /// Keeps a new authority unless there is one already.
    pub(crate) fn put_authority(&self, organisation: &str, a: &AuthorityRow, at: Timestamp) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO authority (organisation, root, root_key, issuing, issuing_key, seal_root, seal_root_key, seal, \
             seal_key, made_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
            params![
                organisation,
                a.root,
                a.root_key,
                a.issuing,
                a.issuing_key,
                a.seal_root,
                a.seal_root_key,
                a.seal,
                a.seal_key,
                at.as_micros()
            ],
        )?;
        Ok(())
    }

    /// Roots of signers and of seals.
    pub(crate) fn roots(&self) -> Result<Vec<RootRow>, Refusal> {
        let mut rows = self
            .0
            .prepare("SELECT root, seal_root FROM authority ORDER BY organisation")?;
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn signer(&self, id: &str) -> Result<Option<SignerRow>, Refusal> {
        let sql =
            "SELECT id, organisation, name, role, certificate, wrapped, salt, tries_left FROM signer WHERE id = ?1";
        let row = self.0.query_row(sql, [id], |row| {
            Ok(SignerRow {
                id: row.get(0)?,
                organisation: row.get(1)?,
                name: row.get(2)?,
                role: row.get(3)?,
                certificate: row.get(4)?,
                wrapped: row.get(5)?,
                salt: row.get(6)?,
                tries_left: row.get(7)?,
            })
        });
        Ok(row.optional()?)
    }

    /// Keeps a signer (new, or with a new PIN or certificate) with all tries; `false` when a new one is there already.
    pub(crate) fn put_signer(&self, s: &SignerRow, new: bool, at: Timestamp) -> Result<bool, Refusal> {
        let conflict = if new {
            "DO NOTHING"
        } else {
            "(id) DO UPDATE SET certificate = excluded.certificate, wrapped = excluded.wrapped, salt = excluded.salt, \
             tries_left = excluded.tries_left"
        };
        let changed = self.0.execute(
            &format!(
                "INSERT INTO signer (id, organisation, name, role, certificate, wrapped, salt, tries_left, enrolled_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT {conflict}"
            ),
            params![
                s.id,
                s.organisation,
                s.name,
                s.role,
                s.certificate,
                s.wrapped,
                s.salt,
                s.tries_left,
                at.as_micros()
            ],
        )?;
        Ok(changed == 1)
    }

    /// Gives all tries back.
    pub(crate) fn restore_tries(&self, signer: &str) -> Result<(), Refusal> {
        self.0.execute(
            "UPDATE signer SET tries_left = ?2 WHERE id = ?1",
            params![signer, TRIES],
        )?;
        Ok(())
    }

    pub(crate) fn journaled(&self, key: &str) -> Result<Option<JournalRow>, Refusal> {
        let sql = "SELECT act, signer, digest, cms, serial, signed_at FROM journal WHERE key = ?1";
        let row = self.0.query_row(sql, [key], |row| {
            Ok(JournalRow {
                act: row.get(0)?,
                signer: row.get(1)?,
                digest: row.get(2)?,
                cms: row.get(3)?,
                serial: row.get(4)?,
                signed_at: Timestamp::from_micros(row.get(5)?),
            })
        });
        Ok(row.optional()?)
    }

    /// Journals a signature; when another request with the same key was faster, gives what that one made.
    pub(crate) fn journal(&self, key: &str, made: JournalRow) -> Result<JournalRow, Refusal> {
        self.0.execute(
            "INSERT INTO journal (key, act, signer, digest, cms, serial, signed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
             ON CONFLICT DO NOTHING",
            params![key, made.act, made.signer, made.digest, made.cms, made.serial, made.signed_at.as_micros()],
        )?;
        self.journaled(key)?.ok_or(Refusal::Damaged("journal"))
    }

    /// Adds an entry to the chained log and moves the last time seen.
    pub(crate) fn log(&self, at: Timestamp, act: &str, subject: &str, detail: &str) -> Result<(), Refusal> {
        let last: Option<(i64, Vec<u8>)> = self
            .0
            .query_row("SELECT seq, hash FROM log ORDER BY seq DESC LIMIT 1", [], |r| {
                Ok((r.get(0)?, r.get(1)?))
            })
            .optional()?;
        let (seq, last) = last.map_or((1, Vec::new()), |(seq, hash)| (seq + 1, hash));
        let hash = entry_hash(&last, seq, at.as_micros(), act, subject, detail);
        self.0.execute(
            "INSERT INTO log (seq, at, act, subject, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![seq, at.as_micros(), act, subject, detail, hash],
        )?;
        self.0.execute(
            "INSERT INTO clock (id, last_seen) VALUES (1, ?1) \
             ON CONFLICT (id) DO UPDATE SET last_seen = max(last_seen, excluded.last_seen)",
            [at.as_micros()],
        )?;
        Ok(())
    }

    /// Forgets the last time seen.
    pub(crate) fn forget_clock(&self) -> Result<(), Refusal> {
        self.0.execute("DELETE FROM clock", [])?;
        Ok(())
    }

    /// The last time seen.
    pub(crate) fn last_seen(&self) -> Result<Option<Timestamp>, Refusal> {
        let last = self
            .0
            .query_row("SELECT last_seen FROM clock", [], |row| row.get(0))
            .optional()?;
        Ok(last.map(Timestamp::from_micros))
    }
}

/// SM3 over the hash before and the entry, each part with its length in front.
fn entry_hash(last: &[u8], seq: i64, at: i64, act: &str, subject: &str, detail: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [
        last,
        &seq.to_be_bytes(),
        &at.to_be_bytes(),
        act.as_bytes(),
        subject.as_bytes(),
        detail.as_bytes(),
    ] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    gm::sm3(&bytes).to_vec()
}
