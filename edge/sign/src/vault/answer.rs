//! Answers that are kept for a while, so that a request that is sent again gets the same one, as rows.

use records::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::Unit;
use crate::Refusal;

/// An answer under its caller's key.
#[derive(Debug)]
pub(crate) struct AnswerRow {
    pub(crate) application: String,
    /// The caller's idempotency key.
    pub(crate) key: String,
    /// SM3 of the request: another request under the same key is refused.
    pub(crate) digest: [u8; 32],
    pub(crate) body: Vec<u8>,
}

/// What became of an answer that was to be kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is the first under its key.
    Now,
    /// The same request was answered before, with this.
    Before(Vec<u8>),
    /// The key belongs to another request.
    Reused,
}

impl Unit<'_> {
    /// Keeps an answer, unless there is one under its key.
    pub(crate) fn keep_answer(&self, row: &AnswerRow, at: Timestamp) -> Result<Written, Refusal> {
        let mut insert = self.0.prepare_cached(
            "INSERT INTO answer (application, key, digest, body, at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        )?;
        if insert.execute(params![row.application, row.key, row.digest, row.body, at.as_micros()])? == 1 {
            return Ok(Written::Now);
        }
        let mut find = self
            .0
            .prepare_cached("SELECT digest, body FROM answer WHERE application = ?1 AND key = ?2")?;
        let found: Option<(Vec<u8>, Vec<u8>)> = find
            .query_row([&row.application, &row.key], |found| Ok((found.get(0)?, found.get(1)?)))
            .optional()?;
        Ok(match found {
            Some((digest, body)) if digest == row.digest => Written::Before(body),
            _ => Written::Reused,
        })
    }

    /// Forgets answers from before a time, and all but the newest so many.
    pub(crate) fn forget_answers(&self, before: Timestamp, most: u32) -> Result<(), Refusal> {
        self.0.execute(
            "DELETE FROM answer WHERE number <= (SELECT coalesce(max(number), 0) FROM answer) - ?1 \
             OR number <= (SELECT coalesce(max(number), 0) FROM answer WHERE at < ?2)",
            params![most, before.as_micros()],
        )?;
        Ok(())
    }
}
