//! What our own authority revoked, the lists it issued, and serial numbers of time stamps, as rows.

use records::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::Unit;
use crate::Refusal;

/// A certificate that our own authority revoked.
#[derive(Debug, Clone)]
pub(crate) struct RevokedRow {
    /// SHA-256 of the certificate.
    pub(crate) fingerprint: Vec<u8>,
    /// SHA-256 of its issuer's certificate.
    pub(crate) issuer: Vec<u8>,
    /// Hexadecimal.
    pub(crate) serial: String,
    pub(crate) subject: String,
    /// `CRLReason`.
    pub(crate) reason: u8,
    pub(crate) revoked_at: Timestamp,
    /// Who revoked it.
    pub(crate) by: String,
}

/// The newest list of one of our issuers.
#[derive(Debug, Clone)]
pub(crate) struct OwnListRow {
    /// SHA-256 of the issuer's certificate.
    pub(crate) issuer: Vec<u8>,
    /// The name it is served under.
    pub(crate) name: String,
    pub(crate) number: u64,
    pub(crate) issued_at: Timestamp,
    pub(crate) list: Vec<u8>,
    /// Certificates that it revokes.
    pub(crate) entries: u64,
}

impl Unit<'_> {
    /// Organisations with an authority here, the oldest first.
    pub(crate) fn organisations(&self) -> Result<Vec<String>, Refusal> {
        let mut rows = self
            .0
            .prepare("SELECT organisation FROM authority ORDER BY made_at, organisation")?;
        let rows = rows.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Certificates of all signers, DER.
    pub(crate) fn signer_certificates(&self) -> Result<Vec<Vec<u8>>, Refusal> {
        let mut rows = self
            .0
            .prepare("SELECT certificate FROM signer ORDER BY enrolled_at, id")?;
        let rows = rows.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether our own authority revoked the certificate with this SHA-256.
    pub(crate) fn is_revoked(&self, fingerprint: &[u8]) -> Result<bool, Refusal> {
        let sql = "SELECT EXISTS (SELECT 1 FROM revoked_certificate WHERE fingerprint = ?1)";
        Ok(self.0.prepare_cached(sql)?.query_row([fingerprint], |row| row.get(0))?)
    }

    /// All that was revoked, in order.
    pub(crate) fn revoked(&self) -> Result<Vec<RevokedRow>, Refusal> {
        let sql = "SELECT fingerprint, issuer, serial, subject, reason, revoked_at, revoked_by FROM revoked_certificate \
                   ORDER BY revoked_at, serial";
        let mut rows = self.0.prepare(sql)?;
        let rows = rows.query_map([], |row| {
            Ok(RevokedRow {
                fingerprint: row.get(0)?,
                issuer: row.get(1)?,
                serial: row.get(2)?,
                subject: row.get(3)?,
                reason: row.get(4)?,
                revoked_at: Timestamp::from_micros(row.get(5)?),
                by: row.get(6)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// `false` when it was revoked before: the first revocation stands.
    pub(crate) fn put_revoked(&self, row: &RevokedRow) -> Result<bool, Refusal> {
        let put = self.0.execute(
            "INSERT INTO revoked_certificate (fingerprint, issuer, serial, subject, reason, revoked_at, revoked_by) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
            params![
                row.fingerprint,
                row.issuer,
                row.serial,
                row.subject,
                row.reason,
                row.revoked_at.as_micros(),
                row.by
            ],
        )?;
        Ok(put == 1)
    }

    /// The newest list of an issuer.
    pub(crate) fn own_list(&self, issuer: &[u8]) -> Result<Option<OwnListRow>, Refusal> {
        let sql = "SELECT issuer, name, number, issued_at, list, entries FROM own_list WHERE issuer = ?1";
        let row = self.0.query_row(sql, [issuer], |row| {
            Ok(OwnListRow {
                issuer: row.get(0)?,
                name: row.get(1)?,
                number: row.get::<_, i64>(2)?.unsigned_abs(),
                issued_at: Timestamp::from_micros(row.get(3)?),
                list: row.get(4)?,
                entries: row.get::<_, i64>(5)?.unsigned_abs(),
            })
        });
        Ok(row.optional()?)
    }

    /// The newest list by the name it is served under.
    pub(crate) fn own_list_named(&self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let sql = "SELECT list FROM own_list WHERE name = ?1";
        Ok(self.0.query_row(sql, [name], |row| row.get(0)).optional()?)
    }

    /// Takes the place of the list before.
    pub(crate) fn put_own_list(&self, row: &OwnListRow) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO own_list (issuer, name, number, issued_at, list, entries) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (issuer) DO UPDATE SET name = excluded.name, number = excluded.number, \
             issued_at = excluded.issued_at, list = excluded.list, entries = excluded.entries",
            params![
                row.issuer,
                row.name,
                row.number.cast_signed(),
                row.issued_at.as_micros(),
                row.list,
                row.entries.cast_signed()
            ],
        )?;
        Ok(())
    }

    /// Reserves this many serial numbers of time stamps: the first of them. None is ever given twice.
    pub(crate) fn reserve_stamp_serials(&self, count: u32) -> Result<u64, Refusal> {
        let sql = "INSERT INTO stamp_serial (id, next) VALUES (1, 1 + ?1) \
                   ON CONFLICT (id) DO UPDATE SET next = next + ?1 RETURNING next - ?1";
        let first: i64 = self.0.query_row(sql, [count], |row| row.get(0))?;
        Ok(first.unsigned_abs())
    }
}
