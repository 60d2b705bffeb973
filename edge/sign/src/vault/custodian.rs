//! Custodians of the recovery key, and the TLS keys of the interfaces, as rows.

use records::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::Unit;
use crate::Refusal;

/// Custodians who hold one recovery key between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupRow {
    pub(crate) id: Vec<u8>,
    /// How many of them are needed.
    pub(crate) needed: u8,
    /// The recovery key, wrapped under the key of keys: backups are made without the custodians.
    pub(crate) wrapped: Vec<u8>,
    pub(crate) made_at: Timestamp,
}

/// A custodian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CustodianRow {
    pub(crate) group: Vec<u8>,
    pub(crate) number: u8,
    pub(crate) name: String,
    /// The share, wrapped, until its custodian has taken it.
    pub(crate) share: Option<Vec<u8>>,
    pub(crate) taken_at: Option<Timestamp>,
}

/// The TLS key and certificates of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsRow {
    pub(crate) name: String,
    /// PKCS#8, wrapped.
    pub(crate) wrapped: Vec<u8>,
    /// The certificate and those above it, concatenated DER.
    pub(crate) chain: Vec<u8>,
    /// Made by this server, not imported.
    pub(crate) own: bool,
    pub(crate) made_at: Timestamp,
}

impl Unit<'_> {
    /// The custodians' group in force: the newest.
    pub(crate) fn custody_group(&self) -> Result<Option<GroupRow>, Refusal> {
        let sql = "SELECT id, needed, wrapped, made_at FROM custody_group ORDER BY made_at DESC, id LIMIT 1";
        let found = self.0.query_row(sql, [], |row| {
            Ok(GroupRow {
                id: row.get(0)?,
                needed: row.get(1)?,
                wrapped: row.get(2)?,
                made_at: Timestamp::from_micros(row.get(3)?),
            })
        });
        Ok(found.optional()?)
    }

    /// Puts a group in the place of all before.
    pub(crate) fn replace_custody_group(&self, group: &GroupRow, custodians: &[CustodianRow]) -> Result<(), Refusal> {
        self.0.execute("DELETE FROM custodian", [])?;
        self.0.execute("DELETE FROM custody_group", [])?;
        self.0.execute(
            "INSERT INTO custody_group (id, needed, wrapped, made_at) VALUES (?1, ?2, ?3, ?4)",
            params![group.id, group.needed, group.wrapped, group.made_at.as_micros()],
        )?;
        for custodian in custodians {
            self.0.execute(
                "INSERT INTO custodian (custody_group, number, name, share, taken_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    custodian.group,
                    custodian.number,
                    custodian.name,
                    custodian.share,
                    custodian.taken_at.map(Timestamp::as_micros)
                ],
            )?;
        }
        Ok(())
    }

    pub(crate) fn custodians(&self, group: &[u8]) -> Result<Vec<CustodianRow>, Refusal> {
        let mut rows = self.0.prepare(
            "SELECT custody_group, number, name, share, taken_at FROM custodian WHERE custody_group = ?1 ORDER BY number",
        )?;
        let rows = rows.query_map([group], |row| {
            Ok(CustodianRow {
                group: row.get(0)?,
                number: row.get(1)?,
                name: row.get(2)?,
                share: row.get(3)?,
                taken_at: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_micros),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Forgets a share that its custodian takes; `false` when it was taken before.
    pub(crate) fn take_share(&self, group: &[u8], number: u8, at: Timestamp) -> Result<bool, Refusal> {
        let sql = "UPDATE custodian SET share = NULL, taken_at = ?3 \
                   WHERE custody_group = ?1 AND number = ?2 AND share IS NOT NULL";
        Ok(self.0.execute(sql, params![group, number, at.as_micros()])? == 1)
    }

    pub(crate) fn tls_identity(&self, name: &str) -> Result<Option<TlsRow>, Refusal> {
        let sql = "SELECT name, wrapped, chain, own, made_at FROM tls_identity WHERE name = ?1";
        let found = self.0.query_row(sql, [name], |row| {
            Ok(TlsRow {
                name: row.get(0)?,
                wrapped: row.get(1)?,
                chain: row.get(2)?,
                own: row.get(3)?,
                made_at: Timestamp::from_micros(row.get(4)?),
            })
        });
        Ok(found.optional()?)
    }

    pub(crate) fn put_tls_identity(&self, row: &TlsRow) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO tls_identity (name, wrapped, chain, own, made_at) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (name) DO UPDATE SET wrapped = excluded.wrapped, chain = excluded.chain, own = excluded.own, \
             made_at = excluded.made_at",
            params![row.name, row.wrapped, row.chain, row.own, row.made_at.as_micros()],
        )?;
        Ok(())
    }
}
