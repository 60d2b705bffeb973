//! The log: checked whole with progress, written out as a table.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use futures_util::Stream;
use records::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::Manage;
use crate::Refusal;
use crate::engine::Engine;
use crate::vault::{Logged, Query};

/// Entries read at once for a table.
const PAGE: u32 = 1_000;

/// How far a check of the whole log has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Progress {
    /// It is under way.
    running: bool,
    /// Entries looked at.
    checked: i64,
    /// Entries there were when it began.
    total: i64,
    /// Number of the first entry that does not fit.
    broken_at: Option<i64>,
    /// When it ended; absent when there was none yet or it is under way.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// Why it could not be finished.
    failed: Option<String>,
}

/// The check under way, or the last one.
#[derive(Debug, Default)]
pub(crate) struct LogCheck(Mutex<Progress>);

impl LogCheck {
    pub(crate) fn progress(&self) -> Progress {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether it is this caller's to do.
    fn begin(&self) -> bool {
        let mut progress = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if progress.running {
            return false;
        }
        *progress = Progress {
            running: true,
            ..Progress::default()
        };
        true
    }
}

/// Checks the whole log on a thread of its own, unless that is under way.
pub(crate) fn begin_check(manage: &Arc<Manage>, by: String) {
    if !manage.log_check.begin() {
        return;
    }
    let manage = Arc::clone(manage);
    tokio::task::spawn_blocking(move || {
        let done = check(&manage, &by);
        let at = manage.engine().clock.now();
        manage.log_check.change(|progress| {
            progress.running = false;
            match done {
                Ok(broken_at) => {
                    progress.broken_at = broken_at;
                    progress.finished_at = Some(at);
                }
                Err(refusal) => progress.failed = Some(format!("校验未能完成：{refusal}。")),
            }
        });
    });
}

fn check(manage: &Manage, by: &str) -> Result<Option<i64>, Refusal> {
    let engine = manage.engine();
    let total = engine.vault.last_entry()?;
    manage.log_check.change(|progress| progress.total = total);
    let check =
        engine.check_whole_log_telling(|checked| manage.log_check.change(|progress| progress.checked = checked))?;
    let now = engine.clock.now();
    let detail = match check.broken_at {
        None => format!("{} entries whole", check.seq),
        Some(entry) => format!("broken at {entry}"),
    };
    engine.vault.write(|unit| unit.log(now, "log.checked", by, &detail))?;
    Ok(check.broken_at)
}

/// Notes who takes the log away; the number of that note, with which the table ends.
pub(crate) fn begin_export(engine: &Engine, by: &str) -> Result<i64, Refusal> {
    let now = engine.clock.now();
    engine.vault.write(|unit| unit.log(now, "log.exported", by, ""))?;
    engine.vault.last_entry()
}

/// The matching entries up to `end` as lines of a table, read page by page as they are sent.
pub(crate) fn export(
    manage: Arc<Manage>,
    mut query: Query,
    end: i64,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    let (lines, sent) = mpsc::channel(2);
    query.after = Some(0);
    query.before = Some(end + 1);
    tokio::task::spawn_blocking(move || {
        let mut text = String::from("\u{feff}序号,时间,操作,对象,详情,SM3\r\n");
        loop {
            let page = manage.engine().vault.read(|unit| unit.find_log(&query, PAGE));
            let page = match page {
                Ok(page) => page,
                Err(refusal) => {
                    // Breaks the transfer: the table must not look whole.
                    let _ = lines.blocking_send(Err(std::io::Error::other(refusal.to_string())));
                    return;
                }
            };
            for entry in &page {
                line(&mut text, entry);
            }
            query.after = page.last().map(|entry| entry.seq);
            let sent = lines.blocking_send(Ok(Bytes::from(std::mem::take(&mut text))));
            if query.after.is_none() || sent.is_err() {
                return;
            }
        }
    });
    futures_util::stream::unfold(sent, async |mut sent| sent.recv().await.map(|item| (item, sent)))
}

fn line(text: &mut String, entry: &Logged) {
    let (seq, hash) = (entry.seq.to_string(), hex::encode(&entry.hash));
    let at = entry.at.to_string();
    for (n, cell) in [&seq, &at, &entry.act, &entry.subject, &entry.detail, &hash]
        .into_iter()
        .enumerate()
    {
        if n > 0 {
            text.push(',');
        }
        text.push_str(&quoted(cell));
    }
    text.push_str("\r\n");
}

/// A cell (RFC 4180). A spreadsheet must not take what an application wrote for a formula.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn cells_are_quoted_and_never_formulas() {
        for (cell, expected) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1,2", "\"'+1,2\""),
            ("两\n行", "\"两\n行\""),
        ] {
            assert_eq!(quoted(cell), expected);
        }
    }
}
