//! What every context of the cloud stands on: tenancy, identity, permission, the audit chain, errors, the port to the
//! hospital, events to browsers, stored files.
//!
//! A context crate exposes `routes() -> OpenApiRouter<Ctx>`, `MIGRATIONS`, handlers for what comes up the line and an
//! idempotent `tick(&Ctx)`. Its handlers take an extractor that says who may ([`Patient`], [`Staff`]), write through
//! [`store::Store::write`] with that person's [`store::Scope`], note the act with [`audit::record`] in the same unit,
//! and publish an [`events::Event`] after it.

pub mod audit;
pub mod blobs;
pub mod cookies;
pub mod csv;
pub mod error;
pub mod events;
pub mod flood;
pub mod hospital;
pub mod http;
pub mod identity;
pub mod permission;
pub mod session;
pub mod settings;
pub mod sms;
pub mod source;
pub mod tenants;
pub mod throttle;
pub mod vault;

use std::sync::Arc;

use records::{Clock, Ids, Timestamp};
use store::{Migration, Store};

pub use blobs::BlobStore;
pub use error::ApiError;
pub use events::{Audience, Event, Events};
pub use hospital::Hospital;
pub use http::{Json, Page, Paged, Path, Query};
pub use permission::{Permission, Role};
pub use session::{Patient, Session, Staff, Who};
pub use sms::{Sms, SmsSender};
pub use source::Source;
pub use vault::Vault;

/// What every handler and timer works with; the state of the whole router.
#[derive(Clone)]
pub struct Ctx {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New identifiers and random bytes.
    pub ids: Arc<Ids>,
    /// The line to the hospitals' appliances.
    pub hospital: Arc<dyn Hospital>,
    /// Events to browsers.
    pub events: Events,
    /// Stored files.
    pub blobs: Arc<BlobStore>,
    /// Encryption of personal data.
    pub vault: Arc<Vault>,
    /// Text messages.
    pub sms: Arc<dyn SmsSender>,
    /// Sessions looked up a moment ago.
    pub sessions: Arc<session::Recent>,
    /// Settings of this installation.
    pub site: Arc<Site>,
}

/// Settings of this installation that handlers need.
#[derive(Debug, Clone)]
pub struct Site {
    /// Where people reach us, without a slash at the end, e.g. `https://hospital.example`.
    pub public_url: String,
    /// Whether cookies are for HTTPS only; false only for a run on one machine.
    pub secure_cookies: bool,
}

impl Ctx {
    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The tables of this crate.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "base/0001_identity",
        sql: include_str!("schema.sql"),
    },
    Migration {
        name: "base/0002_audit_checkpoint",
        sql: "CREATE TABLE base_audit_checkpoint(
                  tenant_id TEXT NOT NULL, seq BIGINT NOT NULL, at BIGINT NOT NULL, hash TEXT NOT NULL, signature TEXT NOT NULL,
                  PRIMARY KEY (tenant_id, seq));
              CREATE INDEX base_audit_time ON base_audit(tenant_id, at);",
    },
    Migration {
        name: "base/0003_floods",
        sql: "CREATE TABLE base_flood(
                  tenant_id TEXT NOT NULL, kind TEXT NOT NULL, minute BIGINT NOT NULL, source TEXT NOT NULL, times BIGINT NOT NULL,
                  PRIMARY KEY (tenant_id, kind, minute, source));
              CREATE INDEX base_throttle_age ON base_throttle(tenant_id, window_start);
              CREATE INDEX base_blob_owner ON base_blob(tenant_id, owner, created_at);",
    },
];

/// One round of what this crate looks after: counters that are over, the day's checkpoint of the audit chain.
pub async fn tick(ctx: &Ctx) {
    let hospitals = tenants::all(&ctx.store).await.unwrap_or_default();
    for hospital in hospitals {
        let scope = store::Scope::system(hospital.id.clone());
        let swept = ctx.store.write(&scope, |tx| {
            Box::pin(async move {
                throttle::forget(tx).await?;
                flood::sum_up(tx).await
            })
        });
        if let Err(error) = swept.await.map_err(|e: store::StoreError| e) {
            tracing::error!(%error, "counters not swept");
        }
        if let Err(error) = audit::tick(ctx, &hospital.id).await {
            tracing::error!(%error, "no checkpoint of the audit chain");
        }
    }
}

/// The routes of this crate: sign-in, sessions, hospitals, uploads, files, events.
pub fn routes() -> utoipa_axum::router::OpenApiRouter<Ctx> {
    identity::routes()
        .merge(tenants::routes())
        .merge(blobs::routes())
        .merge(events::routes())
        .merge(audit::routes())
        .merge(settings::routes())
}
