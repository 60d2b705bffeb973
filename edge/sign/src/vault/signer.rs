//! Signers and their authorities, what they signed, and the last time seen.

use records::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::Unit;
use crate::Refusal;
use crate::pin::TRIES;

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
    /// The root under which the key is wrapped, beside the PIN; the key of keys itself when there is none.
    pub(crate) root: Option<String>,
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

    /// Puts another seal of the same key in the place of this one; `false` when it is not there any more.
    pub(crate) fn replace_kek(&self, before: &str, sealed: &str) -> Result<bool, Refusal> {
        let replaced = self.0.execute(
            "UPDATE kek SET sealed = ?2 WHERE id = 1 AND sealed = ?1",
            params![before, sealed],
        )?;
        Ok(replaced == 1)
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
        let sql = "SELECT id, organisation, name, role, certificate, wrapped, salt, tries_left, root FROM signer \
                   LEFT JOIN signer_wrapping ON signer = id WHERE id = ?1";
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
                root: row.get(8)?,
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
        if changed == 1 {
            self.put_signer_wrapping(&s.id, s.root.as_deref())?;
        }
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

    /// Gives all tries back to a signer who has some left; `false` when there are none.
    pub(crate) fn restore_tries_left(&self, signer: &str) -> Result<bool, Refusal> {
        let mut restore = self
            .0
            .prepare_cached("UPDATE signer SET tries_left = ?2 WHERE id = ?1 AND tries_left > 0")?;
        Ok(restore.execute(params![signer, TRIES])? == 1)
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

    /// Forgets the last time seen.
    pub(crate) fn forget_clock(&self) -> Result<(), Refusal> {
        self.0.execute("DELETE FROM clock", [])?;
        Ok(())
    }

    /// The last time seen.
    pub(super) fn last_seen(&self) -> Result<Option<Timestamp>, Refusal> {
        let mut last = self.0.prepare_cached("SELECT last_seen FROM clock")?;
        let last = last.query_row([], |row| row.get(0)).optional()?;
        Ok(last.map(Timestamp::from_micros))
    }
}
