//! The management interface 管理界面: a second HTTPS listener for administrators, operators and auditors.
//!
//! | path | what |
//! |---|---|
//! | `/manage/v1/…` | JSON, described by `/manage/v1/openapi.json` |
//! | everything else | the page, from the folder that [`crate::config::ManageConfig::web`] names |
//!
//! # Who may what
//! Duties are separated by [`Role`]; [`permission`] is the one table of route × role, and a route that is not in it is
//! refused. Every act that changes something is in the log under the account's name.
//!
//! # Signing in
//! * By password and one-time code: the same words for an unknown name, a wrong password and a wrong code, and wrong
//!   tries are counted durably, by name, before anything is looked at.
//! * By client certificate (mutual TLS): the certificate is registered to the account and leads to a chain of this
//!   server. Proof of its key stands for both factors, because such keys live in a token or a file with a PIN of its
//!   own; hospitals whose keys lie about unprotected should not register certificates.
//!
//! Sessions live in memory: after a restart everyone signs in again.

pub mod account;
pub(crate) mod backup;
pub(crate) mod bundle;
mod failure;
mod log;
mod password;
pub mod permission;
mod routes;
mod session;
mod sign_in;
pub(crate) mod tls;
mod totp;
mod trust;
mod web;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::Refusal;
use crate::config::{ManageConfig, ReplicaConfig};
use crate::engine::Engine;
use crate::replica::Replica;
use crate::service::Service;
use crate::settings::Published;

pub use account::Role;
pub use failure::Refused;
pub use routes::{document, router};
pub use tls::{Interface, Watched};

/// Passwords stretched at a time.
const STRETCHING: usize = 2;

/// What the routes share.
pub struct Manage {
    pub(crate) service: Arc<Service>,
    pub(crate) settings: Arc<Published>,
    pub(crate) tls: Vec<Arc<Watched>>,
    pub(crate) sessions: session::Sessions,
    pub(crate) setup: sign_in::Setup,
    pub(crate) log_check: log::LogCheck,
    pub(crate) restores: backup::Staged,
    pub(crate) replica: Arc<Replica>,
    pub(crate) config: ManageConfig,
    pub(crate) started: Instant,
    stretching: Semaphore,
}

impl std::fmt::Debug for Manage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manage").finish_non_exhaustive()
    }
}

impl Manage {
    /// Ready to serve. Writes the set-up code into `state_dir` while there is no account.
    pub fn start(
        service: Arc<Service>,
        settings: Arc<Published>,
        tls: Vec<Arc<Watched>>,
        config: ManageConfig,
        replica: &ReplicaConfig,
        state_dir: &std::path::Path,
    ) -> Result<Self, Refusal> {
        let setup = sign_in::Setup::start(&service.engine, state_dir)?;
        Ok(Self {
            replica: Arc::new(Replica::start(Arc::clone(&service), replica)?),
            sessions: session::Sessions::new(config.idle_s, config.longest_s),
            service,
            settings,
            tls,
            setup,
            log_check: log::LogCheck::default(),
            restores: backup::Staged::default(),
            config,
            started: Instant::now(),
            stretching: Semaphore::new(STRETCHING),
        })
    }

    /// Brings changes to the appliances that follow this one, until `stop`.
    pub async fn replicate(self: Arc<Self>, stop: CancellationToken) {
        Arc::clone(&self.replica).run(stop).await;
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.service.engine
    }

    /// Does what blocks (on the disk, the TPM, stretching a password) on a thread that may.
    pub(crate) async fn act<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, failure::Failure> {
        let manage = Arc::clone(self);
        match tokio::task::spawn_blocking(move || act(&manage)).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(failure::Failure::internal()),
        }
    }

    /// As [`Self::act`] for acts that stretch a password, which takes 19 MiB: few at a time.
    pub(crate) async fn stretch<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, failure::Failure> {
        let Ok(_turn) = self.stretching.acquire().await else {
            return Err(failure::Failure::internal());
        };
        self.act(act).await
    }

    /// As [`Self::act`]; afterwards what changed is in force.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, failure::Failure> {
        self.act(move |manage| {
            let done = act(manage)?;
            manage.renew();
            Ok(done)
        })
        .await
    }

    /// Takes what is in the state file into force.
    fn renew(&self) {
        // Without TPM keys stay as they were; everything else is taken.
        if let Err(refusal) = self.service.reload() {
            tracing::warn!(sign.refusal = %refusal, "server keys were not read again");
        }
        if let Err(refusal) = self.settings.renew(self.engine()) {
            tracing::warn!(sign.refusal = %refusal, "settings were not read again");
        }
        self.replica.wake();
    }
}
