//! Care: the contexts of the online visit.
//!
//! Each folder is one context: `mod.rs` says what it is and holds the pure states and transitions, `store.rs` its SQL,
//! `routes.rs` its HTTP. What happens outside (HIS, payment channel) never happens inside a unit of work: the row says
//! first what is wanted, a call or command follows, and `tick` finds out what stayed unknown.

#[cfg(test)]
#[path = "../../money/src/testing.rs"]
mod bench_channel;
pub mod consent;
pub mod consultation;
pub mod dictionary;
pub mod directory;
pub mod history;
mod hospital;
pub mod messages;
pub mod patient_code;
pub mod patients;
pub mod scheduling;
#[cfg(test)]
mod testing;

use std::sync::atomic::{AtomicBool, Ordering};

use base::vault::VaultError;
use base::{ApiError, Ctx};
use money::MoneyError;
use records::TenantId;
use records::id::VisitId;
use store::{Migration, StoreError};
use utoipa_axum::router::OpenApiRouter;

/// Tables of this crate.
pub const MIGRATIONS: &[Migration] = &[
    patients::store::MIGRATION,
    directory::store::MIGRATION,
    consent::store::MIGRATION,
    dictionary::store::MIGRATION,
    consultation::store::MIGRATION,
    messages::store::MIGRATION,
    patient_code::MIGRATION,
];

/// Settings of this crate, for the page that shows them all.
pub fn settings() -> Vec<base::settings::Kind> {
    vec![base::settings::kind::<consultation::ConsultationSettings>()]
}

/// The routes of this crate. They need a [`money::Cashier`] as extension of the router.
pub fn routes() -> OpenApiRouter<Ctx> {
    patients::routes::routes()
        .merge(patient_code::routes())
        .merge(directory::routes::routes())
        .merge(scheduling::routes())
        .merge(consent::routes::routes())
        .merge(consultation::routes::routes())
        .merge(messages::routes::routes())
        .merge(history::routes())
        .merge(dictionary::routes::routes())
}

/// One round of this crate's timers and reconcilers, for every hospital. Idempotent. What may wait long for a silent
/// HIS runs beside it, one round at a time, so that no visit's timer waits for a catalogue.
pub async fn tick(ctx: &Ctx, cashier: &money::Cashier) {
    static BESIDE: AtomicBool = AtomicBool::new(false);
    let tenants = match base::tenants::all(&ctx.store).await {
        Ok(tenants) => tenants,
        Err(error) => return tracing::error!(%error, "hospitals not read"),
    };
    for tenant in &tenants {
        told("visits", consultation::tick(ctx, cashier, &tenant.id).await);
    }
    if !BESIDE.swap(true, Ordering::AcqRel) {
        let ctx = ctx.clone();
        tokio::spawn(async move {
            let _free = Free(&BESIDE);
            for tenant in tenants {
                told("patient codes", patient_code::tick(&ctx, &tenant.id).await);
                told("patients", patients::routes::tick(&ctx, &tenant.id).await);
                told("directory", directory::routes::tick(&ctx, &tenant.id).await);
                told("dictionary", dictionary::routes::tick(&ctx, &tenant.id).await);
            }
        });
    }
}

/// Lets the next round begin, also when this one panicked.
struct Free(&'static AtomicBool);

impl Drop for Free {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn told(what: &'static str, round: Result<(), CareError>) {
    if let Err(error) = round {
        tracing::error!(tick = what, %error, "round failed");
    }
}

/// Visits that a unit of work changed, to be announced after its commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "announce after the commit"]
pub struct Touched(pub Vec<VisitId>);

impl Touched {
    /// Tells the apps.
    pub async fn announce(self, ctx: &Ctx, tenant: &TenantId) {
        for visit in self.0 {
            consultation::board::announce(ctx, tenant, &visit).await;
        }
    }
}

/// What went wrong in care, for code.
#[derive(Debug, thiserror::Error)]
pub enum CareError {
    /// No such thing in this hospital, or not this person's.
    #[error("not found")]
    Absent,
    /// The state of the visit does not allow it.
    #[error(transparent)]
    State(#[from] consultation::Refusal),
    /// Money refused or failed.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// A sealed value does not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A stored document cannot be read.
    #[error("a stored document cannot be read")]
    Damaged,
    /// A refusal in the API's words.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CareError> for ApiError {
    fn from(error: CareError) -> Self {
        match error {
            CareError::Absent => Self::not_found(),
            CareError::State(refusal) => Self::conflict("visit_state", refusal.to_string()),
            CareError::Money(error) => error.into(),
            CareError::Vault(error) => error.into(),
            CareError::Damaged => Self::internal("a stored document cannot be read"),
            CareError::Api(error) => error,
            CareError::Store(error) => error.into(),
        }
    }
}
