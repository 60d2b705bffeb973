//! Server keys, their certificates, and settings, as rows.

use records::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::Unit;
use crate::Refusal;

/// A server key, its private half wrapped or in a device.
#[derive(Debug, Clone)]
pub(crate) struct KeyRow {
    pub(crate) index: u32,
    pub(crate) label: String,
    pub(crate) algorithm: String,
    pub(crate) custody: String,
    /// `sign` or `encrypt`.
    pub(crate) purpose: String,
    /// Where the device keeps it; empty when it is wrapped here, or when the device keeps it no longer.
    pub(crate) reference: String,
    pub(crate) wrapped: Option<Vec<u8>>,
    pub(crate) public_key: Vec<u8>,
    pub(crate) state: String,
    /// Salted hash of the access code, where the key has one.
    pub(crate) access_code: Option<Vec<u8>>,
    pub(crate) made_at: Timestamp,
}

/// A certificate of a server key; the newest number is the one in use.
#[derive(Debug, Clone)]
pub(crate) struct KeyCertificateRow {
    pub(crate) index: u32,
    pub(crate) number: u32,
    pub(crate) certificate: Vec<u8>,
    /// Certificates above it, concatenated DER.
    pub(crate) chain: Vec<u8>,
    pub(crate) imported_at: Timestamp,
}

impl Unit<'_> {
    pub(crate) fn keys(&self) -> Result<Vec<KeyRow>, Refusal> {
        let sql = "SELECT key_index, label, algorithm, custody, reference, wrapped, public_key, state, access_code, made_at, \
                   coalesce(purpose, 'sign') FROM server_key LEFT JOIN server_key_purpose USING (key_index) \
                   ORDER BY key_index";
        let mut rows = self.0.prepare(sql)?;
        let rows = rows.query_map([], |row| {
            Ok(KeyRow {
                index: row.get(0)?,
                label: row.get(1)?,
                algorithm: row.get(2)?,
                custody: row.get(3)?,
                reference: row.get(4)?,
                wrapped: row.get(5)?,
                public_key: row.get(6)?,
                state: row.get(7)?,
                access_code: row.get(8)?,
                made_at: Timestamp::from_micros(row.get(9)?),
                purpose: row.get(10)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The smallest index that no key has or had.
    pub(crate) fn next_key_index(&self) -> Result<u32, Refusal> {
        let sql = "SELECT coalesce(max(key_index), 0) + 1 FROM server_key";
        Ok(self.0.query_row(sql, [], |row| row.get(0))?)
    }

    /// Keeps a new key, or what became of one.
    pub(crate) fn put_key(&self, key: &KeyRow, at: Timestamp) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO server_key (key_index, label, algorithm, custody, reference, wrapped, public_key, state, \
             access_code, made_at, changed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
             ON CONFLICT (key_index) DO UPDATE SET label = excluded.label, wrapped = excluded.wrapped, \
             reference = excluded.reference, state = excluded.state, access_code = excluded.access_code, \
             changed_at = excluded.changed_at",
            params![
                key.index,
                key.label,
                key.algorithm,
                key.custody,
                key.reference,
                key.wrapped,
                key.public_key,
                key.state,
                key.access_code,
                key.made_at.as_micros(),
                at.as_micros()
            ],
        )?;
        self.0.execute(
            "INSERT INTO server_key_purpose (key_index, purpose) VALUES (?1, ?2) ON CONFLICT (key_index) DO NOTHING",
            params![key.index, key.purpose],
        )?;
        Ok(())
    }

    /// All certificates of all keys, oldest first.
    pub(crate) fn key_certificates(&self) -> Result<Vec<KeyCertificateRow>, Refusal> {
        let sql = "SELECT key_index, number, certificate, chain, imported_at FROM server_certificate \
                   ORDER BY key_index, number";
        let mut rows = self.0.prepare(sql)?;
        let rows = rows.query_map([], |row| {
            Ok(KeyCertificateRow {
                index: row.get(0)?,
                number: row.get(1)?,
                certificate: row.get(2)?,
                chain: row.get(3)?,
                imported_at: Timestamp::from_micros(row.get(4)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Adds a certificate to a key; those before it are kept.
    pub(crate) fn add_key_certificate(
        &self,
        index: u32,
        certificate: &[u8],
        chain: &[u8],
        at: Timestamp,
    ) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO server_certificate (key_index, number, certificate, chain, imported_at) \
             SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4 FROM server_certificate WHERE key_index = ?1",
            params![index, certificate, chain, at.as_micros()],
        )?;
        Ok(())
    }

    /// A setting as JSON.
    pub(crate) fn setting(&self, name: &str) -> Result<Option<String>, Refusal> {
        let sql = "SELECT value FROM setting WHERE name = ?1";
        Ok(self.0.query_row(sql, [name], |row| row.get(0)).optional()?)
    }

    /// Keeps a setting.
    pub(crate) fn put_setting(&self, name: &str, value: &str, at: Timestamp) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO setting (name, value, changed_at) VALUES (?1, ?2, ?3) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value, changed_at = excluded.changed_at",
            params![name, value, at.as_micros()],
        )?;
        Ok(())
    }
}
