//! The bridge as the rest of the appliance sees it: calls are answered, commands are carried out.

mod cache;
mod call;
mod executor;
mod hand;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use records::line::EndpointHealth;
use records::{Actor, Clock, HisCommand, Ids, TenantId};
use store::{Scope, Store, StoreError, Tx};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

pub use cache::Cached;

use crate::exchange::Hospital;
use crate::journal::{self, Origin, Rules};
use crate::profile::{Profile, Retry};

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
}
