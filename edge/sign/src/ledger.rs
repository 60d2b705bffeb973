//! Many acts, one flush: entries of acts that end at the same time are written and flushed together, and each act is
//! answered only after its entry lies on the disk.
//!
//! An act with an idempotency key brings its answer along, which is kept in the same unit as the entry. The key is claimed
//! there and not before: of two equal requests under way at once the first one written wins, the other's entry is dropped
//! and it is given the first one's answer. So the usual request costs one more row and no look-up.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::Refusal;
use crate::vault::{AnswerRow, Entry, Unit, Vault, Written};

/// Acts that may wait for the disk; more wait before they begin.
const WAITING: usize = 8_192;
/// Entries written at once.
const BATCH: usize = 2_048;

/// Answers are kept so long under their keys.
const KEPT: Duration = Duration::from_secs(600);
/// No more than these are kept, the newest.
const KEPT_MOST: u32 = 100_000;
/// Answers written between two clearings.
const CLEARED_EVERY: usize = 10_000;

struct Waiting {
    entry: Entry,
    answer: Option<AnswerRow>,
    done: oneshot::Sender<Option<Written>>,
}

/// The log's only writer for acts of applications.
#[derive(Debug)]
pub(crate) struct Ledger {
    entries: Option<mpsc::Sender<Waiting>>,
    writer: Option<JoinHandle<()>>,
}

impl Ledger {
    /// Starts the writer.
    pub(crate) fn start(vault: Arc<Vault>) -> std::io::Result<Self> {
        let (entries, waiting) = mpsc::channel(WAITING);
        let writer = std::thread::Builder::new()
            .name("ledger".to_owned())
            .stack_size(512 * 1024)
            .spawn(move || write(&vault, waiting))?;
        Ok(Self {
            entries: Some(entries),
            writer: Some(writer),
        })
    }

    /// Ends when the entry lies on the disk. An error means that it may not.
    pub(crate) async fn append(&self, entry: Entry) -> Result<(), Refusal> {
        self.send(entry, None).await.map(|_| ())
    }

    /// The same, and keeps the answer under its key; tells of the answer that is there already.
    pub(crate) async fn append_once(&self, entry: Entry, answer: AnswerRow) -> Result<Written, Refusal> {
        self.send(entry, Some(answer)).await
    }

    async fn send(&self, entry: Entry, answer: Option<AnswerRow>) -> Result<Written, Refusal> {
        let (done, written) = oneshot::channel();
        let entries = self.entries.as_ref().ok_or(Refusal::Damaged("log"))?;
        let waiting = Waiting { entry, answer, done };
        entries.send(waiting).await.map_err(|_| Refusal::Damaged("log"))?;
        match written.await {
            Ok(Some(written)) => Ok(written),
            _ => Err(Refusal::LogUnwritten),
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.entries = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn write(vault: &Vault, mut waiting: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH);
    // Cleared at the first answer after a start.
    let mut uncleared = CLEARED_EVERY;
    while let Some(first) = waiting.blocking_recv() {
        batch.push(first);
        while batch.len() < BATCH
            && let Ok(next) = waiting.try_recv()
        {
            batch.push(next);
        }
        let answers = batch.iter().filter(|waiting| waiting.answer.is_some()).count();
        let clear = answers > 0 && uncleared >= CLEARED_EVERY;
        let written = vault.write(|unit| write_batch(unit, &batch, clear));
        if let Err(refusal) = &written {
            tracing::error!(sign.refusal = %refusal, sign.entries = batch.len(), "the log could not be written");
        }
        uncleared = if clear && written.is_ok() {
            0
        } else {
            uncleared.saturating_add(answers)
        };
        let mut outcomes = written.unwrap_or_default().into_iter();
        for waiting in batch.drain(..) {
            // Who no longer waits needs no answer.
            let _ = waiting.done.send(outcomes.next());
        }
    }
}

/// What became of each.
fn write_batch(unit: &Unit<'_>, batch: &[Waiting], clear: bool) -> Result<Vec<Written>, Refusal> {
    let mut outcomes = Vec::with_capacity(batch.len());
    for waiting in batch {
        let at = waiting.entry.at;
        if clear && outcomes.is_empty() {
            unit.forget_answers(at.minus(KEPT), KEPT_MOST)?;
        }
        outcomes.push(match &waiting.answer {
            None => Written::Now,
            Some(answer) => unit.keep_answer(answer, at)?,
        });
    }
    let fresh = batch
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| **outcome == Written::Now);
    unit.append(fresh.map(|(waiting, _)| &waiting.entry))?;
    Ok(outcomes)
}
