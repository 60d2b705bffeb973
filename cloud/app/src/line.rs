//! The hospitals' port over the line, and what comes up the line.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use base::{Ctx, Hospital, tenants};
use fleet::Fleet;
use link::blob::{Digest, FolderSink};
use link::cloud::{CloudLink, Registry};
use link::{ApplyError, Inbox, LinkStatus};
use records::id::EdgeId;
use records::{Outcome, PeerId, TenantId};
use rustls_pki_types::CertificateDer;
use serde_json::Value;
use store::{Entry, Store, Tx};

use crate::contexts::{self, Desks};

/// Asks hospitals over the line, once it is up.
#[derive(Clone)]
pub(crate) struct Line {
    store: Store,
    link: Arc<OnceLock<CloudLink>>,
    files: Arc<FolderSink>,
}

impl Line {
    /// `files` is where the appliances' uploads end.
    pub(crate) fn new(store: Store, files: Arc<FolderSink>) -> Self {
        Self {
            store,
            link: Arc::default(),
            files,
        }
    }

    /// The line is up.
    pub(crate) fn connect(&self, link: CloudLink) {
        // Called once, at the start.
        let _ = self.link.set(link);
    }

    /// The line's end here, once it is up.
    pub(crate) fn link(&self) -> Option<&CloudLink> {
        self.link.get()
    }

    /// How an appliance's line stands.
    pub(crate) fn status(&self, edge: &EdgeId) -> Option<LinkStatus> {
        self.link.get()?.status(edge)
    }

    async fn appliance(&self, tenant: &TenantId) -> Option<EdgeId> {
        match tenants::all(&self.store).await {
            Ok(all) => all.into_iter().find(|t| t.id == *tenant)?.edge,
            Err(error) => {
                tracing::error!(%error, "appliance not looked up");
                None
            }
        }
    }
}

#[async_trait]
impl Hospital for Line {
    async fn call_raw(
        &self,
        tenant: &TenantId,
        method: &str,
        key: Option<&str>,
        deadline: Duration,
        body: Value,
    ) -> Outcome<Value> {
        let Some(link) = self.link.get() else {
            return Outcome::Later { after_ms: 1000 };
        };
        match self.appliance(tenant).await {
            Some(edge) => link.call(&edge, method, key, deadline, &body).await,
            None => Outcome::Later { after_ms: 60_000 },
        }
    }

    async fn online(&self, tenant: &TenantId) -> bool {
        let (Some(link), Some(edge)) = (self.link.get(), self.appliance(tenant).await) else {
            return false;
        };
        link.online(&edge)
    }

    async fn take_file(&self, digest: &str) -> Option<Vec<u8>> {
        let path = self.files.path(&Digest::parse(digest)?);
        let bytes = tokio::fs::read(&path).await.ok()?;
        if let Err(error) = tokio::fs::remove_file(&path).await {
            tracing::warn!(%error, blob.digest = digest, "a file that was taken stays behind");
        }
        Some(bytes)
    }

    async fn kept_file(&self, digest: &str) -> Option<std::path::PathBuf> {
        let path = self.files.path(&Digest::parse(digest)?);
        tokio::fs::try_exists(&path).await.ok()?.then_some(path)
    }
}

/// The fleet, as the line asks it.
pub(crate) struct Register(pub(crate) Fleet);

#[async_trait]
impl Registry for Register {
    async fn hospital(&self, edge: &EdgeId) -> Option<TenantId> {
        let listed = self.0.list(None).await.ok()?;
        let found = listed.into_iter().find(|l| l.appliance.edge_id == *edge)?;
        let connected = matches!(
            found.appliance.state,
            fleet::State::Attested(_) | fleet::State::Active(_)
        );
        found.appliance.state.hospital().filter(|_| connected).cloned()
    }

    async fn admits(&self, edge: &EdgeId, certificate: &CertificateDer<'_>) -> bool {
        match self.0.peer(certificate).await {
            Ok(peer) => peer.edge_id == *edge,
            Err(error) => {
                tracing::warn!(edge.id = %edge, %error, "appliance not admitted");
                false
            }
        }
    }
}

/// Applies what appliances report.
pub(crate) struct Post {
    pub(crate) ctx: Ctx,
    pub(crate) desks: Desks,
}

#[async_trait]
impl Inbox for Post {
    async fn apply(&self, tx: &mut Tx<'_>, from: &PeerId, entry: &Entry) -> Result<(), ApplyError> {
        contexts::apply(&self.ctx, &self.desks, tx, from, entry).await
    }
}
