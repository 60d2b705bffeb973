//! Wiring: what is started, in which order, and how it ends.

mod open;
mod tasks;

use std::sync::{Arc, OnceLock};

use agent::Trust;
use anyhow::Context;
use docking::Docking;
use docking::board::{Board, Renewals};
use his::{Bridge, Callbacks, Profile};
use hub::Hub;
use link::LinkStatus;
use records::{Clock, Ids, SystemClock, Timestamp};
use store::{Scope, Store};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::console;
use crate::health::Health;
use crate::identity::{Enrolment, Identity, Key, Standing};
use crate::supervise::Supervisor;
use open::open;
use tasks::{serve, start};

/// No certificate of ours is older (2026-11-01).
const BUILT: Timestamp = Timestamp::from_seconds(1_793_491_200);

/// What runs once the appliance knows whom it serves.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) identity: Identity,
    pub(crate) bridge: Bridge,
    pub(crate) callbacks: Callbacks,
    pub(crate) hub: Hub,
    pub(crate) docking: Docking,
    board: Option<Board>,
    /// When there is a recorder dock.
    pub(crate) renewals: Option<Renewals>,
    dock_driver: Option<Arc<tokio::sync::Mutex<dock::Driver>>>,
    pub(crate) health: Arc<Health>,
    pub(crate) link: watch::Receiver<LinkStatus>,
    pub(crate) store: Store,
    pub(crate) scope: Scope,
}

/// What the console shows.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) serial: String,
    pub(crate) standing: watch::Receiver<Standing>,
    pub(crate) site: Arc<OnceLock<Site>>,
    pub(crate) supervisor: Supervisor,
}

/// Runs the daemon until SIGTERM or SIGINT.
pub(crate) async fn run(config: Config, ids: Arc<Ids>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    std::fs::create_dir_all(&config.state_dir).context("making the state directory")?;
    let lock = std::fs::File::create(config.state_dir.join("edge.lock")).context("locking the state directory")?;
    lock.try_lock().context("another edge uses this state directory")?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let profile = Profile::load(&config.his.profile)?.at_site(&config.his.addresses, &config.his.routes)?;
    let root = &config.cloud.root;
    let trust = std::fs::read(root).with_context(|| format!("reading {}", root.display()))?;
    let trust =
        Trust::read(&trust, config.cloud.offer()?).with_context(|| format!("[cloud] root {}", root.display()))?;

    let stop = CancellationToken::new();
    let supervisor = Supervisor::new(stop.clone());
    let key = Arc::new(Key::default());
    let settings = agent::Settings {
        dir: config.state_dir.join("agent"),
        serial: config.serial.clone(),
        url: config.cloud.fleet.clone(),
        trust: trust.clone(),
    };
    let tpm = Arc::new(attest::Tpm::new(&config.tpm)?);
    let enrolment = Arc::new(Enrolment::new(
        settings,
        tpm,
        Arc::clone(&clock),
        Arc::clone(&key),
        &config.state_dir,
    ));
    let mut standing = enrolment.standing();
    supervisor.keep("enrolment", move |stop| Arc::clone(&enrolment).run(stop));

    let shown = Shown {
        serial: config.serial.clone(),
        standing: standing.clone(),
        site: Arc::default(),
        supervisor: supervisor.clone(),
    };
    serve(
        &supervisor,
        "console",
        config.console.listen,
        console::router(shown.clone(), &ids, config.console.listen),
    )
    .await?;

    let mut link = None;
    let mut said_ready = false;
    let ended = loop {
        let identity = standing.borrow_and_update().identity.clone();
        match (identity, shown.site.get()) {
            (Some(identity), None) => {
                let tls = agent::pinned(&trust, Arc::clone(&clock), BUILT, Some(Arc::clone(&key) as _))?;
                let (line, site) =
                    open(&config, identity, profile.clone(), tls, &clock, &ids, standing.clone()).await?;
                start(&supervisor, &config, &site).await?;
                link = Some(line);
                let _ = shown.site.set(site);
            }
            // Taken in by another hospital: everything here belongs to the former one.
            (Some(identity), Some(site)) if identity != site.identity => {
                break Err(anyhow::anyhow!(
                    "the appliance was given to another hospital; start again"
                ));
            }
            _ => {}
        }
        if !std::mem::replace(&mut said_ready, true) {
            println!("ready");
        }
        tokio::select! {
            _ = terminate.recv() => break Ok(()),
            _ = interrupt.recv() => break Ok(()),
            changed = standing.changed() => changed.context("enrolment task is gone")?,
        }
    };
    stop.cancel();
    if let Some(link) = link {
        link.stop().await;
    }
    supervisor.ended().await;
    ended
}
