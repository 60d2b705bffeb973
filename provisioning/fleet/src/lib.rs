//! The fleet: which appliances exist, whose they are, and which certificate speaks for which.
//!
//! ```text
//! manufactured ─claim▶ claimed ─attest▶ attested ─connect▶ active ◀resume─▶ suspended
//!                                             any of them ─revoke▶ revoked
//! ```
//! An appliance without a claim gets no certificate. The endorsement key in the factory record is its identity for ever: the
//! same key again gets a new certificate, never a second appliance. Each step is appended to `fleet_history`.
//!
//! Use: [`Fleet::import`], [`Fleet::claim`], [`routes`] on the listener without client certificates, and [`Fleet::peer`] for
//! every connection that presents one.

mod appliance;
mod enrol;
mod registry;
mod routes;

use std::sync::Arc;

use ca::Ca;
use records::Ids;
use store::{Migration, Scope, Store, StoreError};

pub use appliance::{Appliance, Event, Refusal, State};
pub use registry::{Listed, Peer};
pub use routes::routes;

/// The fleet's tables.
pub const MIGRATIONS: &[Migration] = &[Migration {
    name: "fleet/0001_appliances",
    sql: include_str!("schema.sql"),
}];

/// The registry. Cheap to clone.
#[derive(Clone)]
pub struct Fleet {
    store: Store,
    ca: Arc<Ca>,
    ids: Arc<Ids>,
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").finish_non_exhaustive()
    }
}

/// Why the fleet did not do it.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The appliance's state does not allow it.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// No such appliance, claim code or challenge. Which of them is not told to strangers.
    #[error("unknown {0}")]
    Unknown(&'static str),
    /// The machine could not prove itself.
    #[error("evidence: {0}")]
    Evidence(#[from] evidence::Refused),
    /// The answer to the challenge is not the secret.
    #[error("the challenge was not answered")]
    Unanswered,
    /// The challenge is too old or was used.
    #[error("the challenge has expired")]
    Expired,
    /// Too many challenges at once for one appliance.
    #[error("too many challenges at once")]
    TooMany,
    /// The certificate could not be issued.
    #[error("certificate: {0}")]
    Ca(#[from] ca::CaError),
    /// A factory record that is not one, or differs from the one known.
    #[error("factory record: {0}")]
    Record(&'static str),
}

impl Fleet {
    /// The registry on this store; its [`MIGRATIONS`] have been applied.
    #[must_use]
    pub fn new(store: Store, ca: Arc<Ca>, ids: Arc<Ids>) -> Self {
        Self { store, ca, ids }
    }

    /// The registry's rows are the vendor's own, also those of claimed appliances.
    fn scope() -> Scope {
        Scope::system(store::operator())
    }
}
