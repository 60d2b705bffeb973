//! Renews the board's firmware: a package is kept, carried over, tried, confirmed by the board's own judgement, and every step
//! written down.
//!
//! ```text
//! asked → running → confirmed | given_up | refused | failed       asked → cancelled
//! ```
//!
//! Invariants: the package is on disk before the board is touched; one renewal at a time; what ended in the middle (a kill, a
//! lost line) is begun anew, which [`Dock::update`] allows at any time. Signature, version and fit are judged by the board;
//! an image that does not come up is given up by the board itself, and that is told here.

use std::sync::Arc;
use std::time::Duration;

use dock::{Dock, DockError, Package, UpdateError, UpdateStep};
use records::{Clock, Ids};
use sha2::{Digest as _, Sha256};
use store::{Scope, Store, StoreError};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::rows::{self, Renewal, RenewalState};

/// Between tries after the database or the line failed.
const AGAIN: Duration = Duration::from_secs(3);

/// How far the running one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Percent carried over.
    Carried(u8),
    /// The board starts it on trial.
    Trying,
}

/// Why a package is not taken, for people; nothing was kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// The renewals of a board's firmware; cheap to clone.
#[derive(Clone)]
pub struct Renewals {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    scope: Scope,
    dock: Dock,
    ids: Arc<Ids>,
    clock: Arc<dyn Clock>,
    woken: Notify,
    progress: watch::Sender<Option<Progress>>,
}

impl Renewals {
    /// Of this board. What was running when we ended is begun anew.
    ///
    /// # Errors
    /// Of the database.
    pub async fn open(
        store: Store,
        scope: Scope,
        dock: Dock,
        ids: Arc<Ids>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        // The trail is the station's, which may be opened later.
        store.migrate(crate::rows::MIGRATIONS).await?;
        store.migrate(rows::MIGRATIONS).await?;
        store
            .write(&scope, |tx| {
                Box::pin(async move {
                    if let Some(one) = rows::open(tx).await? {
                        rows::step(tx, &one.id, RenewalState::Asked, "系统重新启动，继续升级").await?;
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                scope,
                dock,
                ids,
                clock,
                woken: Notify::new(),
                progress: watch::channel(None).0,
            }),
        })
    }

    /// Takes a package. The same one while it is open is the same renewal.
    ///
    /// # Errors
    /// Of the database; inside, why it is not taken.
    pub async fn ask(&self, package: &[u8], by: &str) -> Result<Result<Renewal, Refused>, StoreError> {
        let read = match Package::read(package) {
            Ok(read) => read,
            Err(error) => return Ok(Err(Refused(error.to_string()))),
        };
        let now = self.inner.clock.now();
        let row = Renewal {
            id: format!("fw_{}", hex::encode(self.inner.ids.random::<8>())),
            version: read.manifest.version.to_string(),
            sha256: hex::encode(Sha256::digest(package)),
            asked_by: by.to_owned(),
            state: RenewalState::Asked,
            note: String::new(),
            asked_at: now,
            changed_at: now,
        };
        let package = package.to_vec();
        let asked = self
            .inner
            .store
            .write(&self.inner.scope, move |tx| {
                let (row, package) = (row.clone(), package.clone());
                Box::pin(async move {
                    match rows::open(tx).await? {
                        Some(open) if open.sha256 == row.sha256 => Ok(Ok(open)),
                        Some(open) => {
                            let words = format!("固件 {} 的升级尚未结束，请等待或先取消", open.version);
                            Ok(Err(Refused(words)))
                        }
                        None => {
                            rows::insert(tx, &row, &package).await?;
                            Ok(Ok(row))
                        }
                    }
                })
            })
            .await?;
        self.inner.woken.notify_one();
        Ok(asked)
    }

    /// Takes one back that has not begun; `false` when it has.
    ///
    /// # Errors
    /// Of the database.
    pub async fn cancel(&self, id: &str, by: &str) -> Result<bool, StoreError> {
        self.step(id, RenewalState::Cancelled, &format!("由{by}取消")).await
    }

    /// The latest, newest first.
    ///
    /// # Errors
    /// Of the database.
    pub async fn latest(&self, limit: u32) -> Result<Vec<Renewal>, StoreError> {
        self.inner
            .store
            .read(&self.inner.scope, move |tx| {
                Box::pin(async move { rows::latest(tx, limit).await })
            })
            .await
    }

    /// How far the running one is, followed.
    pub fn progress(&self) -> watch::Receiver<Option<Progress>> {
        self.inner.progress.subscribe()
    }

    /// Works until stopped; a renewal under way is begun anew at the next start.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            let next = async {
                match self.next().await {
                    Ok(true) => {}
                    Ok(false) => self.inner.woken.notified().await,
                    Err(error) => {
                        tracing::error!(%error, "dock firmware cannot be renewed");
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = next => {}
            }
        }
    }

    /// Does the open one; `false` when there is none.
    async fn next(&self) -> Result<bool, StoreError> {
        let found = self.inner.store.read(&self.inner.scope, |tx| {
            Box::pin(async move {
                let Some(one) = rows::open(tx).await? else {
                    return Ok(None);
                };
                let package = rows::package(tx, &one.id).await?;
                Ok(Some((one, package)))
            })
        });
        let Some((one, package)) = found.await? else {
            return Ok(false);
        };
        // Nobody answers: it waits, and may be taken back meanwhile.
        let mut state = self.inner.dock.state();
        if !state.borrow_and_update().online {
            tokio::select! {
                _ = state.wait_for(|s| s.online) => {}
                () = self.inner.woken.notified() => {}
                () = tokio::time::sleep(AGAIN) => {}
            }
            return Ok(true);
        }
        if !self.step(&one.id, RenewalState::Running, "").await? {
            return Ok(true);
        }
        let package = package.as_deref().unwrap_or_default();
        let (next, note) = match Package::read(package) {
            Ok(package) => self.carry(&package).await,
            Err(error) => (RenewalState::Refused, error.to_string()),
        };
        self.inner.progress.send_replace(None);
        self.step(&one.id, next, &note).await?;
        if next == RenewalState::Asked {
            tokio::time::sleep(AGAIN).await;
        }
        Ok(true)
    }

    async fn carry(&self, package: &Package) -> (RenewalState, String) {
        let told = |step| {
            let now = match step {
                UpdateStep::Carried(done, all) => {
                    let percent = u64::from(done) * 100 / u64::from(all.max(1));
                    Some(Progress::Carried(u8::try_from(percent).unwrap_or(100)))
                }
                UpdateStep::Trying => Some(Progress::Trying),
                UpdateStep::Confirmed => None,
            };
            self.inner
                .progress
                .send_if_modified(|p| std::mem::replace(p, now) != now);
        };
        match self.inner.dock.update(package, told).await {
            Ok(()) => (RenewalState::Confirmed, String::new()),
            Err(error @ UpdateError::GivenUp) => (RenewalState::GivenUp, error.to_string()),
            Err(error @ UpdateError::NotBack) => (RenewalState::Failed, error.to_string()),
            Err(UpdateError::Dock(error @ (DockError::Offline(_) | DockError::Unknown))) => {
                (RenewalState::Asked, error.to_string())
            }
            Err(UpdateError::Dock(error)) => (RenewalState::Refused, error.to_string()),
        }
    }

    async fn step(&self, id: &str, next: RenewalState, note: &str) -> Result<bool, StoreError> {
        let (id, note) = (id.to_owned(), note.to_owned());
        self.inner
            .store
            .write(&self.inner.scope, move |tx| {
                let (id, note) = (id.clone(), note.clone());
                Box::pin(async move { rows::step(tx, &id, next, &note).await })
            })
            .await
    }
}
