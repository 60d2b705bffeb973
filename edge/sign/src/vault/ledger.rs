//! The log 签名日志: entries chained by SM3, so that one that was changed, removed or put in between is found.

use std::sync::Arc;

use records::Timestamp;
use rusqlite::{OptionalExtension, Row, ToSql, params};
use serde::{Deserialize, Serialize};

use super::{Unit, Vault};
use crate::Refusal;

/// Entries looked at before others may read.
const STRIDE: u32 = 5_000;

/// The setting that holds the entry after which the check begins, as a [`Check`].
pub(super) const ACCEPTED: &str = "log_accepted";

/// What is to be remembered of an act.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When, by this server's clock.
    pub at: Timestamp,
    /// What was done, by its stable name: `data.signed`.
    pub act: &'static str,
    /// To or by whom: an application, a signer, an account.
    pub subject: Arc<str>,
    /// The particulars, in plain text or JSON; no secrets and nothing of a patient.
    pub detail: String,
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Its number, from 1 without gaps.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// What was done.
    pub act: String,
    /// To or by whom.
    pub subject: String,
    /// The particulars.
    pub detail: String,
    /// SM3 over the hash before and this entry.
    pub hash: Vec<u8>,
}

/// What to look for; empty fields match everything.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Acts beginning so: `data.` or `data.signed`.
    pub act: String,
    /// Exactly this subject.
    pub subject: String,
    /// Occurs in the particulars.
    pub text: String,
    /// Only entries with a smaller number: the next page, newest first.
    pub before: Option<i64>,
    /// Only entries with a greater number, oldest first.
    pub after: Option<i64>,
}

/// How far the chain has been found whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Number of the last entry that was looked at.
    pub seq: i64,
    /// Its hash.
    pub hash: Vec<u8>,
    /// Number of the first entry that does not fit.
    pub broken_at: Option<i64>,
}

impl Vault {
    /// Goes on checking the chain after `check`, to the end of the log or its first broken entry.
    pub(crate) fn check_log(&self, check: Check) -> Result<Check, Refusal> {
        self.check_log_telling(check, |_| {})
    }

    /// As [`Self::check_log`], and tells how far it has come.
    pub(crate) fn check_log_telling(&self, mut check: Check, mut tell: impl FnMut(i64)) -> Result<Check, Refusal> {
        if check.seq == 0
            && let Some(accepted) = self.read(|unit| unit.setting(ACCEPTED))?
        {
            check = serde_json::from_str(&accepted).map_err(|_| Refusal::Damaged("accepted log"))?;
        }
        loop {
            let before = check.seq;
            check = self.read(|unit| unit.check_some(check))?;
            tell(check.seq);
            if check.broken_at.is_some() || check.seq == before {
                return Ok(check);
            }
        }
    }

    /// Number of the last entry, 0 when there is none.
    pub(crate) fn last_entry(&self) -> Result<i64, Refusal> {
        self.read(|unit| Ok(unit.last()?.0))
    }
}

impl Unit<'_> {
    /// Number and hash of the newest entry.
    pub(crate) fn last(&self) -> Result<(i64, Vec<u8>), Refusal> {
        let mut newest = self
            .0
            .prepare_cached("SELECT seq, hash FROM log ORDER BY seq DESC LIMIT 1")?;
        let found = newest.query_row([], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Adds an entry to the chained log and moves the last time seen.
    pub(crate) fn log(&self, at: Timestamp, act: &'static str, subject: &str, detail: &str) -> Result<(), Refusal> {
        let subject = Arc::from(subject);
        let detail = detail.to_owned();
        self.append(&[Entry {
            at,
            act,
            subject,
            detail,
        }])
    }

    /// Adds entries in their order.
    pub(crate) fn append<'e>(&self, entries: impl IntoIterator<Item = &'e Entry>) -> Result<(), Refusal> {
        let (mut seq, mut last) = self.last()?;
        let mut insert = self
            .0
            .prepare_cached("INSERT INTO log (seq, at, act, subject, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        let mut newest = None;
        for entry in entries {
            seq += 1;
            let at = entry.at.as_micros();
            newest = newest.max(Some(at));
            last = entry_hash(&last, seq, at, entry.act, &entry.subject, &entry.detail).to_vec();
            insert.execute(params![seq, at, entry.act, entry.subject.as_ref(), entry.detail, last])?;
        }
        if let Some(newest) = newest {
            let mut seen = self.0.prepare_cached(
                "INSERT INTO clock (id, last_seen) VALUES (1, ?1) \
                 ON CONFLICT (id) DO UPDATE SET last_seen = max(last_seen, excluded.last_seen)",
            )?;
            seen.execute([newest])?;
        }
        Ok(())
    }

    /// The check begins after the newest entry from now on.
    pub(crate) fn accept_log(&self, at: Timestamp) -> Result<(), Refusal> {
        let (seq, hash) = self.last()?;
        let broken_at = None;
        let accepted = serde_json::to_string(&Check { seq, hash, broken_at });
        self.put_setting(ACCEPTED, &accepted.map_err(|_| Refusal::Damaged("accepted log"))?, at)
    }

    fn check_some(&self, mut check: Check) -> Result<Check, Refusal> {
        let mut rows = self.0.prepare_cached(
            "SELECT seq, at, act, subject, detail, hash FROM log WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )?;
        let mut rows = rows.query(params![check.seq, STRIDE])?;
        while let Some(row) = rows.next()? {
            let entry = Logged::read(row)?;
            let at = entry.at.as_micros();
            let hash = entry_hash(&check.hash, entry.seq, at, &entry.act, &entry.subject, &entry.detail);
            if entry.seq != check.seq + 1 || entry.hash != hash {
                check.broken_at = Some(check.seq + 1);
                return Ok(check);
            }
            (check.seq, check.hash) = (entry.seq, entry.hash);
        }
        Ok(check)
    }

    /// Finds entries: newest first, or oldest first where [`Query::after`] is given.
    pub(crate) fn find_log(&self, query: &Query, most: u32) -> Result<Vec<Logged>, Refusal> {
        let mut wanted: Vec<(&str, Box<dyn ToSql>)> = Vec::new();
        if let Some(from) = query.from {
            wanted.push(("at >= ?", Box::new(from.as_micros())));
        }
        if let Some(until) = query.until {
            wanted.push(("at < ?", Box::new(until.as_micros())));
        }
        if !query.act.is_empty() {
            wanted.push(("instr(act, ?) = 1", Box::new(query.act.clone())));
        }
        if !query.subject.is_empty() {
            wanted.push(("subject = ?", Box::new(query.subject.clone())));
        }
        if !query.text.is_empty() {
            wanted.push(("instr(detail, ?) > 0", Box::new(query.text.clone())));
        }
        if let Some(before) = query.before {
            wanted.push(("seq < ?", Box::new(before)));
        }
        if let Some(after) = query.after {
            wanted.push(("seq > ?", Box::new(after)));
        }
        let mut sql = String::from("SELECT seq, at, act, subject, detail, hash FROM log WHERE 1");
        for (condition, _) in &wanted {
            sql.push_str(" AND ");
            sql.push_str(condition);
        }
        let mut values: Vec<Box<dyn ToSql>> = wanted.into_iter().map(|(_, value)| value).collect();
        sql.push_str(if query.after.is_some() {
            " ORDER BY seq LIMIT ?"
        } else {
            " ORDER BY seq DESC LIMIT ?"
        });
        values.push(Box::new(most));
        let mut rows = self.0.prepare_cached(&sql)?;
        let rows = rows.query_map(rusqlite::params_from_iter(values.iter()), Logged::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Logged {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            at: Timestamp::from_micros(row.get(1)?),
            act: row.get(2)?,
            subject: row.get(3)?,
            detail: row.get(4)?,
            hash: row.get(5)?,
        })
    }
}

/// SM3 over the hash before and the entry, each part with its length in front.
fn entry_hash(last: &[u8], seq: i64, at: i64, act: &str, subject: &str, detail: &str) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(128 + detail.len());
    for part in [
        last,
        &seq.to_be_bytes(),
        &at.to_be_bytes(),
        act.as_bytes(),
        subject.as_bytes(),
        detail.as_bytes(),
    ] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    gm::sm3(&bytes)
}
