//! Accounts of the management page, their certificates, and wrong tries of names, as rows.

use records::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::Unit;
use crate::Refusal;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountRow {
    pub(crate) id: String,
    /// The name to sign in with; never used again, also when the account is removed.
    pub(crate) name: String,
    pub(crate) person: String,
    pub(crate) role: String,
    pub(crate) state: String,
    pub(crate) salt: Vec<u8>,
    /// The password, stretched.
    pub(crate) password: Vec<u8>,
    pub(crate) change_password: bool,
    /// The secret of the one-time codes, wrapped; absent until it is enrolled.
    pub(crate) totp: Option<Vec<u8>>,
    /// The step of the last code that was accepted.
    pub(crate) totp_last: i64,
    pub(crate) made_at: Timestamp,
}

/// A certificate by which an account signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountCertificateRow {
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) account: String,
    pub(crate) certificate: Vec<u8>,
    pub(crate) added_at: Timestamp,
}

/// Wrong tries under one name, whether there is such an account or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AttemptRow {
    pub(crate) wrong: u32,
    pub(crate) locked_until: Timestamp,
}

const ACCOUNT: &str = "SELECT id, name, person, role, state, salt, password, change_password, totp, totp_last, made_at \
                       FROM account";

fn read_account(row: &Row<'_>) -> rusqlite::Result<AccountRow> {
    Ok(AccountRow {
        id: row.get(0)?,
        name: row.get(1)?,
        person: row.get(2)?,
        role: row.get(3)?,
        state: row.get(4)?,
        salt: row.get(5)?,
        password: row.get(6)?,
        change_password: row.get(7)?,
        totp: row.get(8)?,
        totp_last: row.get(9)?,
        made_at: Timestamp::from_micros(row.get(10)?),
    })
}

impl Unit<'_> {
    /// All accounts that there ever were, oldest first.
    pub(crate) fn accounts(&self) -> Result<Vec<AccountRow>, Refusal> {
        let mut rows = self.0.prepare_cached(&format!("{ACCOUNT} ORDER BY made_at, id"))?;
        let rows = rows.query_map([], read_account)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn account(&self, id: &str) -> Result<Option<AccountRow>, Refusal> {
        let mut rows = self.0.prepare_cached(&format!("{ACCOUNT} WHERE id = ?1"))?;
        Ok(rows.query_row([id], read_account).optional()?)
    }

    pub(crate) fn account_named(&self, name: &str) -> Result<Option<AccountRow>, Refusal> {
        let mut rows = self.0.prepare_cached(&format!("{ACCOUNT} WHERE name = ?1"))?;
        Ok(rows.query_row([name], read_account).optional()?)
    }

    /// Keeps a new account, or what became of one. The last code's step never goes back.
    pub(crate) fn put_account(&self, account: &AccountRow, at: Timestamp) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO account (id, name, person, role, state, salt, password, change_password, totp, totp_last, \
             made_at, changed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
             ON CONFLICT (id) DO UPDATE SET person = excluded.person, role = excluded.role, state = excluded.state, \
             salt = excluded.salt, password = excluded.password, change_password = excluded.change_password, \
             totp = excluded.totp, totp_last = max(totp_last, excluded.totp_last), changed_at = excluded.changed_at",
            params![
                account.id,
                account.name,
                account.person,
                account.role,
                account.state,
                account.salt,
                account.password,
                account.change_password,
                account.totp,
                account.totp_last,
                account.made_at.as_micros(),
                at.as_micros()
            ],
        )?;
        Ok(())
    }

    /// Takes a code's step for an account; `false` when that step or a later one was taken before.
    pub(crate) fn take_step(&self, account: &str, step: i64) -> Result<bool, Refusal> {
        let sql = "UPDATE account SET totp_last = ?2 WHERE id = ?1 AND totp_last < ?2";
        Ok(self.0.execute(sql, params![account, step])? == 1)
    }

    pub(crate) fn account_certificates(&self) -> Result<Vec<AccountCertificateRow>, Refusal> {
        let mut rows = self.0.prepare_cached(
            "SELECT fingerprint, account, certificate, added_at FROM account_certificate ORDER BY added_at, fingerprint",
        )?;
        let rows = rows.query_map([], |row| {
            Ok(AccountCertificateRow {
                fingerprint: row.get(0)?,
                account: row.get(1)?,
                certificate: row.get(2)?,
                added_at: Timestamp::from_micros(row.get(3)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// `false` when an account signs in by this certificate already.
    pub(crate) fn add_account_certificate(&self, row: &AccountCertificateRow) -> Result<bool, Refusal> {
        let added = self.0.execute(
            "INSERT INTO account_certificate (fingerprint, account, certificate, added_at) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO NOTHING",
            params![row.fingerprint, row.account, row.certificate, row.added_at.as_micros()],
        )?;
        Ok(added == 1)
    }

    pub(crate) fn remove_account_certificate(&self, account: &str, fingerprint: &[u8]) -> Result<bool, Refusal> {
        let sql = "DELETE FROM account_certificate WHERE account = ?1 AND fingerprint = ?2";
        Ok(self.0.execute(sql, params![account, fingerprint])? == 1)
    }

    /// Wrong tries under a name (its digest).
    pub(crate) fn attempts(&self, name: &[u8]) -> Result<AttemptRow, Refusal> {
        let sql = "SELECT wrong, locked_until FROM attempt WHERE name = ?1";
        let found = self.0.query_row(sql, [name], |row| {
            Ok(AttemptRow {
                wrong: row.get(0)?,
                locked_until: Timestamp::from_micros(row.get(1)?),
            })
        });
        Ok(found.optional()?.unwrap_or_default())
    }

    pub(crate) fn put_attempts(&self, name: &[u8], attempts: AttemptRow, at: Timestamp) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO attempt (name, wrong, locked_until, changed_at) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (name) DO UPDATE SET wrong = excluded.wrong, locked_until = excluded.locked_until, \
             changed_at = excluded.changed_at",
            params![name, attempts.wrong, attempts.locked_until.as_micros(), at.as_micros()],
        )?;
        Ok(())
    }

    pub(crate) fn forget_attempts(&self, name: &[u8]) -> Result<(), Refusal> {
        self.0.execute("DELETE FROM attempt WHERE name = ?1", [name])?;
        Ok(())
    }

    /// Keeps at most `most` names with wrong tries, the newest.
    pub(crate) fn bound_attempts(&self, most: u32) -> Result<(), Refusal> {
        self.0.execute(
            "DELETE FROM attempt WHERE name IN (SELECT name FROM attempt ORDER BY changed_at DESC LIMIT -1 OFFSET ?1)",
            [most],
        )?;
        Ok(())
    }
}
