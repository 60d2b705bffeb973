//! Signers whose key is kept by a signature server of others, the roots of their certificates, and what was asked there.

use records::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::Unit;
use crate::Refusal;

/// A signer bound to a key at an outside server.
#[derive(Debug, Clone)]
pub(crate) struct BindingRow {
    pub(crate) signer: String,
    /// The server's name in the settings.
    pub(crate) server: String,
    pub(crate) key_index: u32,
    /// By which name its certificate is exported there.
    pub(crate) identification: String,
    /// The accepted certificate and those above it up to the root, concatenated DER.
    pub(crate) chain: Vec<u8>,
    pub(crate) state: String,
    /// What the signer's PIN opens is the access password, not a key.
    pub(crate) held: bool,
    /// The access password under the key of keys, until the signer's PIN takes it over.
    pub(crate) password: Option<Vec<u8>>,
    /// Another certificate that the server exported, DER.
    pub(crate) seen: Option<Vec<u8>>,
    pub(crate) bound_by: String,
    pub(crate) bound_at: Timestamp,
}

/// What was asked of a server in a year of its contract.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct UseRow {
    /// Signatures asked for: what the contract counts.
    pub(crate) asked: u64,
    /// Came back, verified, and were journaled.
    pub(crate) made: u64,
    /// The server said no.
    pub(crate) refused: u64,
    /// What came back was no signature of the key.
    pub(crate) wrong: u64,
}

/// What became of a signature that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Never sent: it does not count.
    Unsent,
    Made,
    Refused,
    Wrong,
}

const COLUMNS: &str =
    "signer, server, key_index, identification, chain, state, held, password, seen, bound_by, bound_at";

fn binding(row: &Row<'_>) -> rusqlite::Result<BindingRow> {
    Ok(BindingRow {
        signer: row.get(0)?,
        server: row.get(1)?,
        key_index: row.get(2)?,
        identification: row.get(3)?,
        chain: row.get(4)?,
        state: row.get(5)?,
        held: row.get(6)?,
        password: row.get(7)?,
        seen: row.get(8)?,
        bound_by: row.get(9)?,
        bound_at: Timestamp::from_micros(row.get(10)?),
    })
}

impl Unit<'_> {
    /// What binds a signer to an outside server.
    pub(crate) fn outside_signer(&self, signer: &str) -> Result<Option<BindingRow>, Refusal> {
        let sql = format!("SELECT {COLUMNS} FROM outside_signer WHERE signer = ?1");
        let row = self.0.query_row(&sql, [signer], binding);
        Ok(row.optional()?)
    }

    /// All that were ever bound to a server and not bound anew, by signer.
    pub(crate) fn outside_signers(&self, server: &str) -> Result<Vec<BindingRow>, Refusal> {
        let sql = format!("SELECT {COLUMNS} FROM outside_signer WHERE server = ?1 ORDER BY signer");
        let mut rows = self.0.prepare(&sql)?;
        let rows = rows.query_map([server], binding)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Signers whose PIN opens an access password, not a key.
    pub(crate) fn held_outside(&self) -> Result<Vec<String>, Refusal> {
        let mut rows = self.0.prepare("SELECT signer FROM outside_signer WHERE held = 1")?;
        let rows = rows.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Keeps a binding, or what became of one.
    pub(crate) fn put_outside_signer(&self, row: &BindingRow, at: Timestamp) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO outside_signer (signer, server, key_index, identification, chain, state, held, password, seen, \
             bound_by, bound_at, changed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
             ON CONFLICT (signer) DO UPDATE SET server = excluded.server, key_index = excluded.key_index, \
             identification = excluded.identification, chain = excluded.chain, state = excluded.state, \
             held = excluded.held, password = excluded.password, seen = excluded.seen, bound_by = excluded.bound_by, \
             bound_at = excluded.bound_at, changed_at = excluded.changed_at",
            params![
                row.signer,
                row.server,
                row.key_index,
                row.identification,
                row.chain,
                row.state,
                row.held,
                row.password,
                row.seen,
                row.bound_by,
                row.bound_at.as_micros(),
                at.as_micros()
            ],
        )?;
        Ok(())
    }

    /// A signer who signs here again.
    pub(crate) fn forget_outside_signer(&self, signer: &str) -> Result<(), Refusal> {
        self.0
            .execute("DELETE FROM outside_signer WHERE signer = ?1", [signer])?;
        Ok(())
    }

    /// Keeps the root of an accepted certificate, for as long as its signatures are to verify: for ever.
    pub(crate) fn add_outside_root(&self, server: &str, root: &[u8], at: Timestamp) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO outside_root (fingerprint, server, root, added_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            params![gm::key::sha256(root), server, root, at.as_micros()],
        )?;
        Ok(())
    }

    /// Roots of certificates that were accepted from outside servers.
    pub(crate) fn outside_roots(&self) -> Result<Vec<Vec<u8>>, Refusal> {
        let mut rows = self
            .0
            .prepare("SELECT root FROM outside_root ORDER BY added_at, fingerprint")?;
        let rows = rows.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What was asked of a server in the year that began then (seconds since 1970).
    pub(crate) fn outside_use(&self, server: &str, begins: i64) -> Result<UseRow, Refusal> {
        let sql = "SELECT asked, made, refused, wrong FROM outside_use WHERE server = ?1 AND begins = ?2";
        let row = self.0.query_row(sql, params![server, begins], |row| {
            let number = |n| row.get::<_, i64>(n).map(i64::unsigned_abs);
            Ok(UseRow {
                asked: number(0)?,
                made: number(1)?,
                refused: number(2)?,
                wrong: number(3)?,
            })
        });
        Ok(row.optional()?.unwrap_or_default())
    }

    /// Counts one that is about to be asked for.
    pub(crate) fn outside_asked(&self, server: &str, begins: i64) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO outside_use (server, begins, asked, made, refused, wrong) VALUES (?1, ?2, 1, 0, 0, 0) \
             ON CONFLICT (server, begins) DO UPDATE SET asked = asked + 1",
            params![server, begins],
        )?;
        Ok(())
    }

    /// Counts what became of one. One of which nothing is ever heard stays asked for.
    pub(crate) fn outside_came_to(&self, server: &str, begins: i64, outcome: Outcome) -> Result<(), Refusal> {
        let change = match outcome {
            Outcome::Unsent => "asked = asked - 1",
            Outcome::Made => "made = made + 1",
            Outcome::Refused => "refused = refused + 1",
            Outcome::Wrong => "wrong = wrong + 1",
        };
        let sql = format!("UPDATE outside_use SET {change} WHERE server = ?1 AND begins = ?2");
        self.0.execute(&sql, params![server, begins])?;
        Ok(())
    }
}
