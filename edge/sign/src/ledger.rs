//! Many acts, one flush: entries of acts that end at the same time are written and flushed together, and each act is
//! answered only after its entry lies on the disk.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use crate::Refusal;
use crate::vault::{Entry, Vault};

/// Acts that may wait for the disk; more wait before they begin.
const WAITING: usize = 8_192;
/// Entries written at once.
const BATCH: usize = 2_048;

type Waiting = (Entry, oneshot::Sender<bool>);

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
        let (done, written) = oneshot::channel();
        let entries = self.entries.as_ref().ok_or(Refusal::Damaged("log"))?;
        entries.send((entry, done)).await.map_err(|_| Refusal::Damaged("log"))?;
        match written.await {
            Ok(true) => Ok(()),
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
    let (mut entries, mut answers) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
    while let Some((entry, answer)) = waiting.blocking_recv() {
        entries.push(entry);
        answers.push(answer);
        while entries.len() < BATCH
            && let Ok((entry, answer)) = waiting.try_recv()
        {
            entries.push(entry);
            answers.push(answer);
        }
        let written = vault.write(|unit| unit.append(&entries));
        if let Err(refusal) = &written {
            tracing::error!(sign.refusal = %refusal, sign.entries = entries.len(), "the log could not be written");
        }
        for answer in answers.drain(..) {
            // Who no longer waits needs no answer.
            let _ = answer.send(written.is_ok());
        }
        entries.clear();
    }
}
