//! The executor: commands are carried out and what is unknown is settled, each row by one task at a time.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use records::Timestamp;
use store::StoreError;
use tokio_util::sync::CancellationToken;

use super::Bridge;
use crate::exchange::Answer;
use crate::journal::{self, Entry, Refusal, State};

/// Rows worked on at the same time by the executor.
const AT_ONCE: usize = 16;

/// The endpoint's own deadline decides.
const FOREVER: Duration = Duration::from_secs(600);

impl Bridge {
    /// Carries out commands and settles what is unknown, until stopped; then waits for what is under way.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let due = self.inner.store.read(self.scope(), |tx| {
                Box::pin(async move { journal::due(tx, AT_ONCE * 4).await })
            });
            match due.await {
                Ok(keys) => {
                    for key in keys {
                        if self.inner.tasks.len() >= AT_ONCE {
                            break;
                        }
                        self.drive(&key);
                    }
                }
                Err(error) => {
                    let error: StoreError = error;
                    tracing::error!(%error, "journal cannot be read");
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.inner.wake.notified() => {}
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
            }
        }
        self.inner.tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(10), self.inner.tasks.wait()).await;
    }

    pub(super) fn is_busy(&self, key: &str) -> bool {
        self.inner
            .busy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(key)
    }

    /// Has a row worked on in a task of its own, so that an impatient caller cannot cut it off. `false` when it is
    /// worked on already.
    pub(super) fn drive(&self, key: &str) -> bool {
        if !self
            .inner
            .busy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.to_owned())
        {
            return false;
        }
        let (own, key) = (self.clone(), key.to_owned());
        self.inner.tasks.spawn(async move {
            let _free = Free {
                bridge: own.clone(),
                key: key.clone(),
            };
            if let Err(error) = own.work(&key).await {
                tracing::error!(%error, his.key = key, "journal step failed");
            }
        });
        true
    }

    /// One send if it is due, and the query if that left it unknown.
    async fn work(&self, key: &str) -> Result<(), StoreError> {
        let Some(entry) = self.entry(key).await? else {
            return Ok(());
        };
        let now = self.inner.clock.now();
        if matches!(entry.work.state, State::Queued | State::Waiting) && entry.work.next_at <= now {
            let owned = key.to_owned();
            let begun = self.inner.store.write(self.scope(), move |tx| {
                let key = owned.clone();
                Box::pin(async move { journal::begin(tx, &key).await })
            });
            let begun: Option<Entry> = begun.await?;
            let Some(entry) = begun else { return Ok(()) };
            let effect = format!("{key}|{}|{}", entry.method, entry.work.generation);
            let answer = self
                .inner
                .hospital
                .perform(&entry.method, &entry.request, Some(&effect), FOREVER)
                .await;
            log_answer(&entry, &answer);
            let rules = self.rules(&entry.method);
            let stepped = self
                .step(key, "", move |work, now| work.answered(answer.clone(), &rules, now))
                .await?;
            log_refusal(stepped);
            self.inner.changed.notify_waiters();
        }
        let Some(entry) = self.entry(key).await? else {
            return Ok(());
        };
        if entry.work.state == State::Unknown && entry.work.next_at <= self.inner.clock.now() {
            let found = self.inner.hospital.settle(&entry.method, &entry.request, FOREVER).await;
            let rules = self.rules(&entry.method);
            let stepped = self
                .step(key, "", move |work, now| work.asked(found.clone(), &rules, now))
                .await?;
            log_refusal(stepped);
            self.inner.changed.notify_waiters();
        }
        Ok(())
    }

    pub(super) async fn step<F>(
        &self,
        key: &str,
        note: &str,
        transition: F,
    ) -> Result<Result<Entry, Refusal>, StoreError>
    where
        F: Fn(journal::Work, Timestamp) -> Result<journal::Work, Refusal> + Send + Sync + 'static,
    {
        let transition = Arc::new(transition);
        let (key, note) = (key.to_owned(), note.to_owned());
        let stepped = self.inner.store.write(self.scope(), move |tx| {
            let (key, note, transition) = (key.clone(), note.clone(), Arc::clone(&transition));
            Box::pin(async move { journal::write_step(tx, &key, &note, |w, now| transition(w, now)).await })
        });
        stepped.await
    }

    pub(super) async fn entry(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let key = key.to_owned();
        let read = self.inner.store.read(self.scope(), move |tx| {
            let key = key.clone();
            Box::pin(async move { journal::by_key(tx, &key).await })
        });
        read.await
    }
}

struct Free {
    bridge: Bridge,
    key: String,
}

impl Drop for Free {
    fn drop(&mut self) {
        self.bridge
            .inner
            .busy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
        self.bridge.inner.changed.notify_waiters();
        self.bridge.inner.wake.notify_one();
    }
}

fn log_refusal(stepped: Result<Entry, Refusal>) {
    if let Err(refusal) = stepped {
        tracing::error!(%refusal, "a journal row changed under the task that owns it");
    }
}

fn log_answer(entry: &Entry, answer: &Answer) {
    let (method, sent) = (entry.method.as_str(), entry.work.sent);
    match answer {
        Answer::Done(_) => tracing::info!(his.method = method, his.sent = sent, "done"),
        Answer::Refused { code, .. } => {
            tracing::info!(his.method = method, his.sent = sent, his.code = %code, "refused")
        }
        Answer::NotDone { why, .. } => tracing::warn!(his.method = method, his.sent = sent, %why, "not done"),
        Answer::Unclear { why } => tracing::warn!(his.method = method, his.sent = sent, %why, "outcome unknown"),
    }
}
