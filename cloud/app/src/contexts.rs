//! The list of contexts: whose tables, routes, settings, timers and post there are. A new context is added here.

use std::sync::Arc;
use std::time::Duration;

use base::settings::{Kind, Kinds};
use base::{Ctx, tenants};
use link::ApplyError;
use money::{Cashier, Subjects, Till};
use records::PeerId;
use records::line::kind;
use serde::de::DeserializeOwned;
use store::{Entry, Migration, Tx};
use utoipa_axum::router::OpenApiRouter;

use crate::appliances;

/// The tables of every context, in the order in which they are made.
pub(crate) fn migrations() -> Vec<&'static [Migration]> {
    vec![
        base::MIGRATIONS,
        appliances::MIGRATIONS,
        fleet::MIGRATIONS,
        link::MIGRATIONS,
        money::MIGRATIONS,
    ]
}

/// The routes of every context, below `/api/v1`.
pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    base::routes().merge(appliances::routes()).merge(money::routes())
}

/// The settings of every context.
pub(crate) fn settings() -> Vec<Kind> {
    Vec::new()
}

/// What contexts need besides [`Ctx`].
#[derive(Clone)]
pub(crate) struct Desks {
    pub(crate) cashier: Cashier,
}

/// Sets the contexts up.
pub(crate) fn desks(ctx: &Ctx, tills: Vec<Till>) -> Desks {
    let subjects = Subjects::default();
    let cashier = Cashier::new(ctx.store.clone(), ctx.clock.clone(), ctx.ids.clone(), tills, subjects);
    Desks { cashier }
}

/// Puts what handlers look for beside the state into the router.
pub(crate) fn extend(router: axum::Router, desks: &Desks) -> axum::Router {
    router
        .layer(axum::Extension(desks.cashier.clone()))
        .layer(axum::Extension(Kinds(settings())))
}

type Round = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// A timer: its name, its pause, one round.
pub(crate) struct Timer {
    pub(crate) name: &'static str,
    pub(crate) every: Duration,
    pub(crate) round: Arc<dyn Fn() -> Round + Send + Sync>,
}

fn timer<F>(name: &'static str, every: Duration, round: impl Fn() -> F + Send + Sync + 'static) -> Timer
where
    F: Future<Output = ()> + Send + 'static,
{
    Timer {
        name,
        every,
        round: Arc::new(move || Box::pin(round())),
    }
}

/// The timers of every context. Each round is idempotent and takes no input.
pub(crate) fn timers(ctx: &Ctx, desks: &Desks) -> Vec<Timer> {
    let often = Duration::from_secs(2);
    let (sms, prune) = (ctx.clone(), ctx.clone());
    let cashier = desks.cashier.clone();
    vec![
        timer("sms", often, move || send_messages(sms.clone())),
        timer("money", often, move || {
            let cashier = cashier.clone();
            async move {
                if let Err(error) = money::tick(&cashier).await {
                    tracing::error!(%error, "payments not reconciled");
                }
            }
        }),
        timer("prune", Duration::from_secs(3600), move || {
            forget_delivered(prune.clone())
        }),
    ]
}

async fn send_messages(ctx: Ctx) {
    let hospitals = tenants::all(&ctx.store).await.unwrap_or_default();
    for hospital in hospitals {
        if let Err(error) = base::sms::tick(&ctx, &hospital.id).await {
            tracing::error!(%error, "text messages not sent");
        }
    }
}

/// Acknowledged log entries heal an appliance restored from a backup; after three days they are forgotten.
async fn forget_delivered(ctx: Ctx) {
    let before = ctx.now().minus(Duration::from_secs(72 * 3600));
    let hospitals = tenants::all(&ctx.store).await.unwrap_or_default();
    for hospital in hospitals {
        let scope = store::Scope::system(hospital.id);
        if let Err(error) = ctx.store.outbox_prune(&scope, before).await {
            tracing::error!(%error, "delivered entries not pruned");
        }
    }
}

fn read<T: DeserializeOwned>(entry: &Entry) -> Result<T, ApplyError> {
    serde_json::from_str(&entry.body).map_err(|e| ApplyError::Park(format!("{}: {e}", entry.kind)))
}

/// Applies one entry from an appliance in the unit that moves the cursor.
pub(crate) async fn apply(
    ctx: &Ctx,
    desks: &Desks,
    tx: &mut Tx<'_>,
    from: &PeerId,
    entry: &Entry,
) -> Result<(), ApplyError> {
    let _ = (ctx, desks);
    match entry.kind.as_str() {
        kind::APPLIANCE_HEALTH => Ok(appliances::reported(tx, from, &read(entry)?).await?),
        other => Err(ApplyError::unknown_kind(other)),
    }
}
