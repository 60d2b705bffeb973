//! The bridge as the rest of the appliance sees it: calls are answered, commands are carried out.

mod cache;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use records::line::EndpointHealth;
use records::{Actor, Clock, HisCommand, Ids, Outcome, TenantId, Timestamp};
use serde_json::Value;
use store::{Scope, Store, StoreError, Tx};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use cache::Cached;

use crate::exchange::{Answer, Hospital};
use crate::journal::{self, Accepted, Entry, Origin, Refusal, Rules, State};
use crate::operations;
use crate::profile::{Profile, Retry};

/// Rows worked on at the same time by the executor.
const AT_ONCE: usize = 16;

/// Why the bridge cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Of the database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Of the HTTP client.
    #[error("HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

/// The HIS bridge; cheap to clone.
#[derive(Clone)]
pub struct Bridge {
    inner: Arc<Inner>,
}

struct Inner {
    hospital: Hospital,
    store: Store,
    scope: Scope,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
    busy: Mutex<HashSet<String>>,
    tasks: TaskTracker,
    changed: Notify,
    wake: Notify,
}

impl Bridge {
    /// Opens the bridge: brings its tables up to date and turns what was cut off into `unknown`.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(
        store: Store,
        tenant: TenantId,
        profile: Profile,
        clock: Arc<dyn Clock>,
        ids: Arc<Ids>,
    ) -> Result<Self, OpenError> {
        store.migrate(journal::MIGRATIONS).await?;
        let hospital = Hospital::new(profile, Arc::clone(&clock), Arc::clone(&ids))?;
        let inner = Inner {
            hospital,
            store,
            scope: Scope::new(tenant, Actor::System),
            clock,
            ids,
            busy: Mutex::default(),
            tasks: TaskTracker::new(),
            changed: Notify::new(),
            wake: Notify::new(),
        };
        let bridge = Self { inner: Arc::new(inner) };
        let own = bridge.clone();
        let found = bridge
            .inner
            .store
            .write(bridge.scope(), move |tx| {
                let own = own.clone();
                Box::pin(async move { journal::recover(tx, &|method| own.rules(method)).await })
            })
            .await?;
        if found > 0 {
            tracing::warn!(
                journal.cut_off = found,
                "acts were under way when the process ended; they will be asked about"
            );
        }
        Ok(bridge)
    }

    /// The hospital behind the bridge.
    pub fn hospital(&self) -> &Hospital {
        &self.inner.hospital
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }
    pub(crate) fn ids(&self) -> &Ids {
        &self.inner.ids
    }
    pub(crate) fn scope(&self) -> &Scope {
        &self.inner.scope
    }

    fn rules(&self, method: &str) -> Rules {
        let retry = &self.inner.hospital.profile.retry;
        match self.inner.hospital.operation(method) {
            Some(operation) => Rules::of(operation, retry),
            None => Rules {
                can_ask: false,
                verify: false,
                retry: Retry::clone(retry),
            },
        }
    }

    /// Answers a call of the cloud within the deadline. Writes need a key.
    pub async fn call(&self, method: &str, key: Option<&str>, deadline: Duration, request: Value) -> Outcome<Value> {
        if let Err(why) = operations::check_request(method, &request) {
            tracing::warn!(his.method = method, %why, "call with a request of another shape");
            return Outcome::refused("bad_request", "请求内容不完整或格式不对");
        }
        match (operations::writes(method), key) {
            (false, _) => self.read(method, &request, deadline).await,
            (true, None) => Outcome::refused("key_missing", "此项请求缺少编号"),
            (true, Some(key)) => self.write(method, key, deadline, request).await,
        }
    }

    async fn read(&self, method: &str, request: &Value, deadline: Duration) -> Outcome<Value> {
        let cache_s = self.inner.hospital.operation(method).and_then(|o| o.cache_s);
        let kept = match cache_s {
            Some(_) => self.kept(method, request).await,
            None => None,
        };
        let now = self.inner.clock.now();
        if let (Some(cache_s), Some((body, at))) = (cache_s, &kept)
            && now.since(*at) < Duration::from_secs(cache_s)
        {
            return Outcome::Done(body.clone());
        }
        match self.inner.hospital.perform(method, request, None, deadline).await {
            Answer::Done(value) => {
                if cache_s.is_some() {
                    self.keep(method, request, &value).await;
                }
                Outcome::Done(value)
            }
            Answer::Refused { code, text } => Outcome::Refused { code, text },
            Answer::NotDone { why, .. } | Answer::Unclear { why } if kept.is_some() => {
                tracing::warn!(his.method = method, %why, "hospital cannot be asked; the kept dictionary is used");
                kept.map_or(Outcome::Later { after_ms: 2_000 }, |(body, _)| Outcome::Done(body))
            }
            Answer::NotDone { after_ms, why } => {
                tracing::warn!(his.method = method, %why, "read not answered");
                Outcome::Later { after_ms }
            }
            Answer::Unclear { why } => {
                tracing::warn!(his.method = method, %why, "read not answered");
                Outcome::Later { after_ms: 2_000 }
            }
        }
    }

    async fn write(&self, method: &str, key: &str, deadline: Duration, request: Value) -> Outcome<Value> {
        let until = Instant::now() + deadline;
        let command = Arc::new(HisCommand {
            key: key.to_owned(),
            method: method.to_owned(),
            subject: key.to_owned(),
            request,
        });
        let accepted = self.inner.store.write(self.scope(), move |tx| {
            let command = Arc::clone(&command);
            Box::pin(async move { journal::accept(tx, &command, Origin::Call).await })
        });
        match accepted.await {
            Ok(Accepted::Conflict) => return Outcome::refused("key_conflict", "同一编号已用于另一项内容不同的请求"),
            Ok(Accepted::New | Accepted::Known(_)) => {}
            Err(error) => {
                let error: StoreError = error;
                tracing::error!(%error, "journal cannot be written; the hospital was not touched");
                return Outcome::Later { after_ms: 2_000 };
            }
        }
        self.drive(key);
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            // Asked before the row is read: when nobody works on it, what is read stays true.
            let busy = self.is_busy(key);
            let Ok(Some(Entry { work, .. })) = self.entry(key).await else {
                return Outcome::Unknown;
            };
            if let Some(outcome) = work.outcome {
                return outcome;
            }
            let pause = work.next_at.since(self.inner.clock.now());
            match work.state {
                State::Waiting | State::Queued if !busy => {
                    return Outcome::Later {
                        after_ms: u64::try_from(pause.as_millis()).unwrap_or(1_000).max(200),
                    };
                }
                State::Unknown if !busy && Instant::now() + pause < until => {
                    tokio::time::sleep(pause).await;
                    self.drive(key);
                    continue;
                }
                State::Unknown | State::Sending if !busy => return Outcome::Unknown,
                State::NeedsHand => return Outcome::Unknown,
                _ => {}
            }
            if tokio::time::timeout_at(until, changed).await.is_err() {
                // Never sent means never happened; everything else has to be asked about.
                return if work.sent == 0 {
                    Outcome::Later { after_ms: 1_000 }
                } else {
                    Outcome::Unknown
                };
            }
        }
    }

    fn is_busy(&self, key: &str) -> bool {
        self.inner
            .busy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(key)
    }

    /// Has a row worked on in a task of its own, so that an impatient caller cannot cut it off. `false` when it is
    /// worked on already.
    fn drive(&self, key: &str) -> bool {
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

    async fn step<F>(&self, key: &str, note: &str, transition: F) -> Result<Result<Entry, Refusal>, StoreError>
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

    async fn entry(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let key = key.to_owned();
        let read = self.inner.store.read(self.scope(), move |tx| {
            let key = key.clone();
            Box::pin(async move { journal::by_key(tx, &key).await })
        });
        read.await
    }

    /// Takes a command from the cloud into the journal, in the unit that moves the inbox cursor. Call [`Bridge::wake`]
    /// after the commit.
    ///
    /// # Errors
    /// Of the database.
    pub async fn accept(tx: &mut Tx<'_>, command: &HisCommand) -> Result<(), StoreError> {
        journal::accept(tx, command, Origin::Command).await.map(drop)
    }

    /// Has the executor look at once.
    pub fn wake(&self) {
        self.inner.wake.notify_one();
    }

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

    /// States of the endpoints.
    pub fn health(&self) -> Vec<EndpointHealth> {
        let endpoints = self.inner.hospital.endpoints.iter();
        endpoints
            .map(|(name, e)| EndpointHealth {
                endpoint: name.clone(),
                state: e.guard.word().to_owned(),
            })
            .collect()
    }

    /// Name for people, state, mean milliseconds and requests under way of each endpoint.
    pub fn endpoints(&self) -> Vec<(String, &'static str, u64, usize)> {
        let endpoints = self.inner.hospital.endpoints.values();
        endpoints
            .map(|e| (e.name.clone(), e.guard.word(), e.guard.mean_ms(), e.guard.busy()))
            .collect()
    }

    /// A person has a row tried again that needs a hand.
    ///
    /// # Errors
    /// Of the database; `Ok(Err(_))` when the state does not allow it.
    pub async fn retry(&self, key: &str, note: &str) -> Result<Result<Entry, Refusal>, StoreError> {
        let Some(entry) = self.entry(key).await? else {
            return Ok(Err(Refusal {
                state: State::Queued,
                command: "retry",
            }));
        };
        let rules = self.rules(&entry.method);
        let done = self
            .step(key, &format!("人工重试：{note}"), move |work, now| {
                work.retry(&rules, now)
            })
            .await;
        self.wake();
        done
    }

    /// A person has found out what became of a row that needs a hand. `refused` says that it did not happen.
    ///
    /// # Errors
    /// Of the database; `Ok(Err(_))` when the state does not allow it.
    pub async fn settle_refused(&self, key: &str, note: &str) -> Result<Result<Entry, Refusal>, StoreError> {
        let words = note.to_owned();
        self.step(key, &format!("人工核实未办理：{note}"), move |work, _| {
            work.settle_by_hand(Outcome::refused("settled_by_hand", words.clone()))
        })
        .await
    }
}

/// The endpoint's own deadline decides.
const FOREVER: Duration = Duration::from_secs(600);

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
