//! Checkpoints of the log, as rows.

use records::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::Unit;
use super::ledger::{ACCEPTED, Check};
use crate::Refusal;

/// A checkpoint of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckpointRow {
    /// The TPM's number; 0 while the very first is being made.
    pub(crate) number: u64,
    /// The log's newest entry then.
    pub(crate) seq: i64,
    /// Its hash.
    pub(crate) hash: Vec<u8>,
    pub(crate) at: Timestamp,
    /// DER.
    pub(crate) signature: Vec<u8>,
    /// The TPM has counted it.
    pub(crate) settled: bool,
}

impl CheckpointRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get::<_, i64>(0)?.unsigned_abs(),
            seq: row.get(1)?,
            hash: row.get(2)?,
            at: Timestamp::from_micros(row.get(3)?),
            signature: row.get(4)?,
            settled: row.get(5)?,
        })
    }
}

const COLUMNS: &str = "number, seq, hash, at, signature, settled";

impl Unit<'_> {
    pub(crate) fn put_checkpoint(&self, row: &CheckpointRow) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO checkpoint (number, seq, hash, at, signature, settled) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (number) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, at = excluded.at, \
               signature = excluded.signature, settled = excluded.settled",
            params![
                row.number.cast_signed(),
                row.seq,
                row.hash,
                row.at.as_micros(),
                row.signature,
                row.settled
            ],
        )?;
        Ok(())
    }

    /// Removes those that the TPM has not counted.
    pub(crate) fn forget_unsettled_checkpoints(&self) -> Result<(), Refusal> {
        self.0.execute("DELETE FROM checkpoint WHERE NOT settled", [])?;
        Ok(())
    }

    /// The newest first, before all one that is not settled.
    pub(crate) fn checkpoints(&self, most: u32) -> Result<Vec<CheckpointRow>, Refusal> {
        let sql = format!("SELECT {COLUMNS} FROM checkpoint ORDER BY settled, number DESC LIMIT ?1");
        let mut rows = self.0.prepare_cached(&sql)?;
        let rows = rows.query_map([most], CheckpointRow::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The newest settled one that was made before.
    pub(crate) fn checkpoint_before(&self, at: Timestamp) -> Result<Option<CheckpointRow>, Refusal> {
        let sql = format!("SELECT {COLUMNS} FROM checkpoint WHERE settled AND at < ?1 ORDER BY number DESC LIMIT 1");
        let mut found = self.0.prepare_cached(&sql)?;
        Ok(found.query_row([at.as_micros()], CheckpointRow::read).optional()?)
    }

    /// Hash of an entry: of one that is kept, or of the last one that is not.
    pub(crate) fn entry_hash(&self, seq: i64) -> Result<Option<Vec<u8>>, Refusal> {
        let kept = self
            .0
            .query_row("SELECT hash FROM log WHERE seq = ?1", [seq], |row| row.get(0));
        match kept.optional()? {
            Some(hash) => Ok(Some(hash)),
            None => Ok(self
                .begins_after()?
                .filter(|check| check.seq == seq)
                .map(|check| check.hash)),
        }
    }

    /// The entry after which the check of the chain begins, when not with the first.
    pub(crate) fn begins_after(&self) -> Result<Option<Check>, Refusal> {
        let accepted = self.setting(ACCEPTED)?;
        let check = accepted.map(|text| serde_json::from_str(&text));
        check.transpose().map_err(|_| Refusal::Damaged("accepted log"))
    }

    /// Number of the first entry that is kept, 0 when there is none.
    pub(crate) fn first_kept(&self) -> Result<i64, Refusal> {
        Ok(self
            .0
            .query_row("SELECT coalesce(min(seq), 0) FROM log", [], |row| row.get(0))?)
    }

    /// Removes the oldest entries, at most so many and none after `upto`; the check begins after them from now on. Answers
    /// the numbers of the first and the last that went.
    pub(crate) fn prune_log(&self, upto: i64, most: u32, at: Timestamp) -> Result<Option<(i64, i64)>, Refusal> {
        let sql = "SELECT min(seq), max(seq) FROM (SELECT seq FROM log WHERE seq <= ?1 ORDER BY seq LIMIT ?2)";
        let span = self.0.query_row(sql, params![upto, most], |row| {
            Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?))
        })?;
        let Some((first, last)) = span else {
            return Ok(None);
        };
        let hash = self.entry_hash(last)?.ok_or(Refusal::Damaged("log"))?;
        let check = Check {
            seq: last,
            hash,
            broken_at: None,
        };
        let text = serde_json::to_string(&check).map_err(|_| Refusal::Damaged("accepted log"))?;
        self.put_setting(ACCEPTED, &text, at)?;
        self.0.execute("DELETE FROM log WHERE seq <= ?1", [last])?;
        Ok(Some((first, last)))
    }
}
