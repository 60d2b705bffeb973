//! The list of contexts: whose tables, routes, settings, timers and post there are. A new context is added here.

use std::sync::Arc;
use std::time::Duration;

use base::settings::{Kind, Kinds};
use base::{ApiError, Ctx, tenants};
use care::CareError;
use care::consultation::{Extras, VisitPayments};
use documents::press::Press;
use link::ApplyError;
use money::{Cashier, PaymentSubject, Subjects, Till};
use records::footage::{self, DockingReport, FootageCleared, SealedFootage};
use records::his::StopClinic;
use records::id::PrescriptionId;
use records::line::{PrintState, kind};
use records::{HisCommandResult, PeerId};
use serde::de::DeserializeOwned;
use store::{Entry, Migration, StoreError, Tx};
use treatment::{PrescriptionPayments, PrescriptionsOfVisit};
use utoipa_axum::router::OpenApiRouter;
use video::{Video, VideoOfVisit};

use crate::{appliances, dock, parked, printing};

/// The tables of every context, in the order in which they are made.
pub(crate) fn migrations() -> Vec<&'static [Migration]> {
    vec![
        base::MIGRATIONS,
        appliances::MIGRATIONS,
        printing::MIGRATIONS,
        fleet::MIGRATIONS,
        link::MIGRATIONS,
        money::MIGRATIONS,
        care::MIGRATIONS,
        treatment::MIGRATIONS,
        video::MIGRATIONS,
        nursing::MIGRATIONS,
    ]
}

/// The routes of every context, below `/api/v1`.
pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    base::routes()
        .merge(appliances::routes())
        .merge(parked::routes())
        .merge(printing::routes())
        .merge(dock::routes())
        .merge(money::routes())
        .merge(care::routes())
        .merge(treatment::routes())
        .merge(video::routes())
        .merge(nursing::routes())
}

/// The settings of every context.
pub(crate) fn settings() -> Vec<Kind> {
    [care::settings(), treatment::settings(), nursing::settings()].concat()
}

/// What contexts need besides [`Ctx`].
#[derive(Clone)]
pub(crate) struct Desks {
    pub(crate) cashier: Cashier,
    /// Carries video calls.
    video: Video,
    /// Prints prescriptions; none where the letters are missing.
    press: Option<Arc<Press>>,
    runtime: tokio::runtime::Handle,
}

/// Sets the contexts up.
pub(crate) fn desks(ctx: &Ctx, tills: Vec<Till>, video: Video, press: Option<Press>) -> Desks {
    let visits: Arc<dyn PaymentSubject> = Arc::new(VisitPayments::new(ctx.clone()));
    let prescriptions: Arc<dyn PaymentSubject> = Arc::new(PrescriptionPayments::new(ctx.clone()));
    let subjects = Subjects::new([visits, prescriptions]);
    let cashier = Cashier::new(ctx.store.clone(), ctx.clock.clone(), ctx.ids.clone(), tills, subjects);
    Desks {
        cashier,
        video,
        press: press.map(Arc::new),
        runtime: tokio::runtime::Handle::current(),
    }
}

/// Puts what handlers look for beside the state into the router.
pub(crate) fn extend(router: axum::Router, desks: &Desks) -> axum::Router {
    router
        .layer(axum::Extension(desks.cashier.clone()))
        .layer(axum::Extension(desks.clone()))
        .layer(axum::Extension(Kinds(settings())))
        .layer(axum::Extension(desks.video.clone()))
        .layer(axum::Extension(Extras(vec![
            Arc::new(PrescriptionsOfVisit),
            Arc::new(VideoOfVisit),
        ])))
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
    let mut timers = round_timers(ctx, desks);
    if let Some(press) = desks.press.clone() {
        let ctx = ctx.clone();
        timers.push(timer("documents", Duration::from_secs(2), move || {
            let (ctx, press) = (ctx.clone(), press.clone());
            async move { documents::issue::tick(&ctx, &press).await }
        }));
    }
    timers
}

fn round_timers(ctx: &Ctx, desks: &Desks) -> Vec<Timer> {
    let often = Duration::from_secs(2);
    let (sms, prune, care, treatment, calls) = (ctx.clone(), ctx.clone(), ctx.clone(), ctx.clone(), ctx.clone());
    let (video, base, nursing) = (desks.video.clone(), ctx.clone(), ctx.clone());
    let (cashier, till) = (desks.cashier.clone(), desks.cashier.clone());
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
        timer("care", often, move || {
            let (ctx, cashier) = (care.clone(), till.clone());
            async move { care::tick(&ctx, &cashier).await }
        }),
        timer("treatment", Duration::from_secs(60), move || {
            let ctx = treatment.clone();
            async move { treatment::tick(&ctx).await }
        }),
        timer("video", often, move || {
            let (ctx, video) = (calls.clone(), video.clone());
            async move { video::tick(&ctx, &video).await }
        }),
        timer("nursing", often, move || {
            let ctx = nursing.clone();
            async move { nursing::tick(&ctx).await }
        }),
        timer("base", Duration::from_secs(60), move || {
            let ctx = base.clone();
            async move { base::tick(&ctx).await }
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

/// What a context could not apply. The store's refusals are tried again; the rest is kept aside for a person.
fn refused(error: CareError) -> ApplyError {
    match error {
        CareError::Store(error) => ApplyError::Store(error),
        other => ApplyError::Park(other.to_string()),
    }
}

/// Applies one entry from an appliance in the unit that moves the cursor.
pub(crate) async fn apply(
    ctx: &Ctx,
    desks: &Desks,
    tx: &mut Tx<'_>,
    from: &PeerId,
    entry: &Entry,
) -> Result<(), ApplyError> {
    match entry.kind.as_str() {
        kind::APPLIANCE_HEALTH => Ok(appliances::reported(tx, from, &read(entry)?).await?),
        kind::CARD_CHECK => Ok(appliances::card_checked(tx, &read(entry)?).await?),
        kind::HIS_COMMAND_RESULT => settled(ctx, desks, tx, &read(entry)?).await,
        kind::PRINT_STATE => printed(ctx, desks, tx, &read(entry)?).await,
        kind::HIS_STOP_CLINIC => {
            let notice: StopClinic = read(entry)?;
            let touched = care::consultation::on_stop_clinic(tx, ctx, &notice)
                .await
                .map_err(refused)?;
            announce(ctx, desks, tx, touched);
            Ok(())
        }
        footage::kind::RECORDER_DOCKING => {
            let report: DockingReport = read(entry)?;
            Ok(nursing::recorder::docked(tx, from, &report).await?)
        }
        footage::kind::FOOTAGE_SEALED => {
            let sealed: SealedFootage = read(entry)?;
            nursing::footage::sealed(tx, from, &sealed)
                .await?
                .map_err(ApplyError::Park)
        }
        footage::kind::FOOTAGE_CLEARED => {
            let cleared: FootageCleared = read(entry)?;
            Ok(nursing::footage::cleared(tx, &cleared).await?)
        }
        other => Err(ApplyError::unknown_kind(other)),
    }
}

/// A HIS command came to its end: the context that ordered it goes on.
async fn settled(ctx: &Ctx, desks: &Desks, tx: &mut Tx<'_>, result: &HisCommandResult) -> Result<(), ApplyError> {
    let visits = care::consultation::on_command_result(tx, ctx, result)
        .await
        .map_err(refused)?;
    if let Some(touched) = visits {
        announce(ctx, desks, tx, touched);
        return Ok(());
    }
    if let Some(id) = treatment::orders::on_command_result(tx, result).await.map_err(unfit)? {
        let (ctx, tenant) = (ctx.clone(), tx.tenant().clone());
        after_commit(tx, desks, async move {
            treatment::orders::announce(&ctx, &tenant, &id).await
        });
        return Ok(());
    }
    match treatment::on_command_result(ctx, tx, result).await.map_err(unfit)? {
        Some(id) => changed(ctx, desks, tx, id),
        None => return Err(ApplyError::Park(format!("nobody waits for {}", result.method))),
    }
    Ok(())
}

/// A slip came out, or did not.
async fn printed(ctx: &Ctx, desks: &Desks, tx: &mut Tx<'_>, state: &PrintState) -> Result<(), ApplyError> {
    if let Some(id) = treatment::on_print_state(ctx, tx, state).await.map_err(unfit)? {
        changed(ctx, desks, tx, id);
    }
    Ok(())
}

/// A refusal in the API's words. A busy database is tried again; the rest is kept aside for a person.
fn unfit(error: ApiError) -> ApplyError {
    if error.code == "busy" {
        return ApplyError::Store(StoreError::Busy);
    }
    ApplyError::Park(error.to_string())
}

/// Tells the apps of a changed prescription.
fn changed(ctx: &Ctx, desks: &Desks, tx: &mut Tx<'_>, id: PrescriptionId) {
    let (ctx, tenant) = (ctx.clone(), tx.tenant().clone());
    after_commit(tx, desks, async move { treatment::announce(&ctx, &tenant, &id).await });
}

/// Does something slow once the unit stands. Units run on the store's own threads, so the runtime is handed in.
fn after_commit(tx: &mut Tx<'_>, desks: &Desks, act: impl Future<Output = ()> + Send + 'static) {
    let runtime = desks.runtime.clone();
    tx.after_commit(move || drop(runtime.spawn(act)));
}

/// Tells the apps of changed visits.
fn announce(ctx: &Ctx, desks: &Desks, tx: &mut Tx<'_>, touched: care::Touched) {
    let (ctx, tenant) = (ctx.clone(), tx.tenant().clone());
    after_commit(tx, desks, async move { touched.announce(&ctx, &tenant).await });
}
