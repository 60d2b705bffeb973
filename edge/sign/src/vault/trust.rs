//! Applications, certificate chains and kept certificates, as rows.

use records::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::Unit;
use crate::Refusal;

/// An application.
#[derive(Debug, Clone)]
pub(crate) struct ApplicationRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) enabled: bool,
    /// Its policy as JSON.
    pub(crate) policy: String,
    /// Its request key, wrapped; absent when it signs in by certificate only.
    pub(crate) secret: Option<Vec<u8>>,
    pub(crate) made_at: Timestamp,
}

/// A certificate by which an application signs in.
#[derive(Debug, Clone)]
pub(crate) struct ApplicationCertificateRow {
    pub(crate) application: String,
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) certificate: Vec<u8>,
}

/// A chain.
#[derive(Debug, Clone)]
pub(crate) struct ChainRow {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Its settings as JSON.
    pub(crate) settings: String,
    pub(crate) made_at: Timestamp,
    /// DER.
    pub(crate) certificates: Vec<Vec<u8>>,
}

/// A kept certificate.
#[derive(Debug, Clone)]
pub(crate) struct CertificateRow {
    /// SHA-256 of the certificate.
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) serial: String,
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) algorithm: String,
    pub(crate) note: String,
    pub(crate) certificate: Vec<u8>,
    pub(crate) imported_at: Timestamp,
}

impl Unit<'_> {
    pub(crate) fn applications(&self) -> Result<Vec<ApplicationRow>, Refusal> {
        let mut rows = self
            .0
            .prepare("SELECT id, name, enabled, policy, secret, made_at FROM application ORDER BY made_at, id")?;
        let rows = rows.query_map([], |row| {
            Ok(ApplicationRow {
                id: row.get(0)?,
                name: row.get(1)?,
                enabled: row.get(2)?,
                policy: row.get(3)?,
                secret: row.get(4)?,
                made_at: Timestamp::from_micros(row.get(5)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn put_application(&self, application: &ApplicationRow, at: Timestamp) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO application (id, name, enabled, policy, secret, made_at, changed_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
             enabled = excluded.enabled, policy = excluded.policy, secret = excluded.secret, \
             changed_at = excluded.changed_at",
            params![
                application.id,
                application.name,
                application.enabled,
                application.policy,
                application.secret,
                application.made_at.as_micros(),
                at.as_micros()
            ],
        )?;
        Ok(())
    }

    pub(crate) fn application_certificates(&self) -> Result<Vec<ApplicationCertificateRow>, Refusal> {
        let mut rows = self
            .0
            .prepare("SELECT application, fingerprint, certificate FROM application_certificate ORDER BY added_at")?;
        let rows = rows.query_map([], |row| {
            Ok(ApplicationCertificateRow {
                application: row.get(0)?,
                fingerprint: row.get(1)?,
                certificate: row.get(2)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// `false` when another application signs in by this certificate already.
    pub(crate) fn add_application_certificate(
        &self,
        row: &ApplicationCertificateRow,
        at: Timestamp,
    ) -> Result<bool, Refusal> {
        let added = self.0.execute(
            "INSERT INTO application_certificate (fingerprint, application, certificate, added_at) \
             VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            params![row.fingerprint, row.application, row.certificate, at.as_micros()],
        )?;
        Ok(added == 1)
    }

    pub(crate) fn remove_application_certificate(
        &self,
        application: &str,
        fingerprint: &[u8],
    ) -> Result<bool, Refusal> {
        let sql = "DELETE FROM application_certificate WHERE application = ?1 AND fingerprint = ?2";
        Ok(self.0.execute(sql, params![application, fingerprint])? == 1)
    }

    pub(crate) fn chains(&self) -> Result<Vec<ChainRow>, Refusal> {
        let mut rows = self
            .0
            .prepare("SELECT id, name, settings, made_at FROM chain ORDER BY made_at, id")?;
        let rows = rows.query_map([], |row| {
            Ok(ChainRow {
                id: row.get(0)?,
                name: row.get(1)?,
                settings: row.get(2)?,
                made_at: Timestamp::from_micros(row.get(3)?),
                certificates: Vec::new(),
            })
        })?;
        let mut chains = rows.collect::<Result<Vec<_>, _>>()?;
        let mut certificates = self
            .0
            .prepare("SELECT certificate FROM chain_certificate WHERE chain = ?1 ORDER BY added_at, fingerprint")?;
        for chain in &mut chains {
            let rows = certificates.query_map([&chain.id], |row| row.get(0))?;
            chain.certificates = rows.collect::<Result<_, _>>()?;
        }
        Ok(chains)
    }

    pub(crate) fn put_chain(&self, chain: &ChainRow) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO chain (id, name, settings, made_at) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, settings = excluded.settings",
            params![chain.id, chain.name, chain.settings, chain.made_at.as_micros()],
        )?;
        Ok(())
    }

    /// Forgets a chain and its certificates.
    pub(crate) fn remove_chain(&self, id: &str) -> Result<bool, Refusal> {
        self.0.execute("DELETE FROM chain_certificate WHERE chain = ?1", [id])?;
        Ok(self.0.execute("DELETE FROM chain WHERE id = ?1", [id])? == 1)
    }

    pub(crate) fn add_chain_certificate(
        &self,
        chain: &str,
        fingerprint: &[u8],
        certificate: &[u8],
        at: Timestamp,
    ) -> Result<bool, Refusal> {
        let added = self.0.execute(
            "INSERT INTO chain_certificate (chain, fingerprint, certificate, added_at) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO NOTHING",
            params![chain, fingerprint, certificate, at.as_micros()],
        )?;
        Ok(added == 1)
    }

    pub(crate) fn remove_chain_certificate(&self, chain: &str, fingerprint: &[u8]) -> Result<bool, Refusal> {
        let sql = "DELETE FROM chain_certificate WHERE chain = ?1 AND fingerprint = ?2";
        Ok(self.0.execute(sql, params![chain, fingerprint])? == 1)
    }

    /// `false` when it is kept already.
    pub(crate) fn put_certificate(&self, row: &CertificateRow) -> Result<bool, Refusal> {
        let added = self.0.execute(
            "INSERT INTO certificate (fingerprint, serial, subject, issuer, not_before, not_after, algorithm, note, \
             certificate, imported_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
            params![
                row.fingerprint,
                row.serial,
                row.subject,
                row.issuer,
                row.not_before.as_micros(),
                row.not_after.as_micros(),
                row.algorithm,
                row.note,
                row.certificate,
                row.imported_at.as_micros()
            ],
        )?;
        Ok(added == 1)
    }

    pub(crate) fn remove_certificate(&self, fingerprint: &[u8]) -> Result<bool, Refusal> {
        let sql = "DELETE FROM certificate WHERE fingerprint = ?1";
        Ok(self.0.execute(sql, [fingerprint])? == 1)
    }

    /// By fingerprint.
    pub(crate) fn certificate(&self, fingerprint: &[u8]) -> Result<Option<CertificateRow>, Refusal> {
        let sql = format!("{CERTIFICATE} WHERE fingerprint = ?1");
        Ok(self.0.query_row(&sql, [fingerprint], read_certificate).optional()?)
    }

    /// By serial number in hexadecimal: two authorities may have given the same.
    pub(crate) fn certificates_by_serial(&self, serial: &str) -> Result<Vec<CertificateRow>, Refusal> {
        let mut rows = self.0.prepare_cached(&format!("{CERTIFICATE} WHERE serial = ?1"))?;
        let rows = rows.query_map([serial], read_certificate)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Those whose subject, issuer, serial number or note holds `text`, newest first, and how many there are.
    pub(crate) fn find_certificates(
        &self,
        text: &str,
        most: u32,
        skip: u32,
    ) -> Result<(Vec<CertificateRow>, u32), Refusal> {
        let matching = "WHERE ?1 = '' OR instr(lower(subject), lower(?1)) > 0 OR instr(lower(issuer), lower(?1)) > 0 \
                        OR instr(serial, lower(?1)) > 0 OR instr(lower(note), lower(?1)) > 0";
        let count = format!("SELECT count(*) FROM certificate {matching}");
        let count = self.0.query_row(&count, [text], |row| row.get(0))?;
        let sql = format!("{CERTIFICATE} {matching} ORDER BY imported_at DESC, fingerprint LIMIT ?2 OFFSET ?3");
        let mut rows = self.0.prepare_cached(&sql)?;
        let rows = rows.query_map(params![text, most, skip], read_certificate)?;
        Ok((rows.collect::<Result<_, _>>()?, count))
    }
}

const CERTIFICATE: &str = "SELECT fingerprint, serial, subject, issuer, not_before, not_after, algorithm, note, \
                           certificate, imported_at FROM certificate";

fn read_certificate(row: &Row<'_>) -> rusqlite::Result<CertificateRow> {
    Ok(CertificateRow {
        fingerprint: row.get(0)?,
        serial: row.get(1)?,
        subject: row.get(2)?,
        issuer: row.get(3)?,
        not_before: Timestamp::from_micros(row.get(4)?),
        not_after: Timestamp::from_micros(row.get(5)?),
        algorithm: row.get(6)?,
        note: row.get(7)?,
        certificate: row.get(8)?,
        imported_at: Timestamp::from_micros(row.get(9)?),
    })
}
