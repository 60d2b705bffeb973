//! Roots of signers' keys, and signers that came from another appliance, as rows.

use records::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::Unit;
use crate::Refusal;

impl Unit<'_> {
    /// A root, wrapped.
    pub(crate) fn signer_root(&self, id: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let mut find = self.0.prepare_cached("SELECT wrapped FROM signer_root WHERE id = ?1")?;
        Ok(find.query_row([id], |row| row.get(0)).optional()?)
    }

    /// The oldest root and its id.
    pub(crate) fn first_signer_root(&self) -> Result<Option<(String, Vec<u8>)>, Refusal> {
        let sql = "SELECT id, wrapped FROM signer_root ORDER BY made_at, id LIMIT 1";
        let found = self.0.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
        Ok(found.optional()?)
    }

    pub(crate) fn put_signer_root(&self, id: &str, wrapped: &[u8], at: Timestamp) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO signer_root (id, wrapped, made_at) VALUES (?1, ?2, ?3)",
            params![id, wrapped, at.as_micros()],
        )?;
        Ok(())
    }

    /// Says under which root a signer's key is wrapped; under the key of keys itself when there is none.
    pub(crate) fn put_signer_wrapping(&self, signer: &str, root: Option<&str>) -> Result<(), Refusal> {
        match root {
            Some(root) => self.0.execute(
                "INSERT INTO signer_wrapping (signer, root) VALUES (?1, ?2) \
                 ON CONFLICT (signer) DO UPDATE SET root = excluded.root",
                [signer, root],
            )?,
            None => self
                .0
                .execute("DELETE FROM signer_wrapping WHERE signer = ?1", [signer])?,
        };
        Ok(())
    }

    /// SM3 of a signer as the source sent it last; `None` for one that was never taken from a source.
    pub(crate) fn taken_signer(&self, signer: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let mut find = self
            .0
            .prepare_cached("SELECT digest FROM replica_signer WHERE signer = ?1")?;
        Ok(find.query_row([signer], |row| row.get(0)).optional()?)
    }

    pub(crate) fn put_taken_signer(&self, signer: &str, digest: &[u8]) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO replica_signer (signer, digest) VALUES (?1, ?2) \
             ON CONFLICT (signer) DO UPDATE SET digest = excluded.digest",
            params![signer, digest],
        )?;
        Ok(())
    }
}
