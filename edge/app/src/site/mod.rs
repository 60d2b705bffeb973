//! Wiring: what is started, in which order, and how it ends.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use agent::Trust;
use anyhow::Context;
use axum::Router;
use dock::Dock;
use docking::Docking;
use docking::board::{Board, Renewals};
use his::files::Files;
use his::{Bridge, Callbacks, Profile};
use hub::Hub;
use kiosk::Kiosk;
use link::blob::Uploader;
use link::edge::{EdgeLink, Options};
use link::{LinkStatus, Tuning};
use records::{Actor, Clock, Ids, SystemClock, Timestamp};
use sign::Client;
use store::{Scope, SqliteOptions, Store};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::console;
use crate::footage;
use crate::health::Health;
use crate::identity::{Enrolment, Identity, Key, Standing};
use crate::line::{Ends, Parts};
use crate::pictures::Pictures;
use crate::supervise::Supervisor;

/// No certificate of ours is older (2026-11-01).
const BUILT: Timestamp = Timestamp::from_seconds(1_793_491_200);

/// How long a delivered entry is kept.
const KEPT: Duration = Duration::from_secs(72 * 3600);

/// How often delivered entries are looked through.
const PRUNED_EACH: Duration = Duration::from_secs(3600);

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

async fn open(
    config: &Config,
    identity: Identity,
    profile: Profile,
    tls: rustls::ClientConfig,
    clock: &Arc<dyn Clock>,
    ids: &Arc<Ids>,
    standing: watch::Receiver<Standing>,
) -> anyhow::Result<(EdgeLink, Site)> {
    let path = config.state_dir.join("edge.sqlite");
    let store = Store::open_sqlite(&path, SqliteOptions::default(), Arc::clone(clock))
        .await
        .context("database")?;
    let ends = Ends::default();
    let uploader = Uploader::new(&config.cloud.fleet, tls.clone(), Arc::clone(ids)).context("blob line")?;
    let files = Files::new(&profile, &config.his.file_servers).context("file servers")?;
    let options = Options {
        edge: identity.edge.clone(),
        tenant: identity.hospital.clone(),
        broker: config.cloud.broker.clone(),
        tls: Arc::new(tls),
        ids: Arc::clone(ids),
        tuning: Tuning::default(),
    };
    // The line first: it marks what was appended before it as history the cloud may share.
    let line = EdgeLink::start(store.clone(), options, Arc::new(ends.clone()), Arc::new(ends.clone())).await?;
    let tenant = identity.hospital.clone();
    let bridge = Bridge::open(
        store.clone(),
        tenant.clone(),
        profile,
        Arc::clone(clock),
        Arc::clone(ids),
    )
    .await?;
    store.migrate(kiosk::MIGRATIONS).await?;
    let hub = Hub::open(
        store.clone(),
        tenant.clone(),
        config.printers.clone(),
        config.slip_font.clone(),
    )
    .await?;
    let signd = Client::new(&config.signd_socket);
    let scope = Scope::new(tenant, Actor::Edge(identity.edge.clone()));
    let (dock, dock_driver) = config.dock.as_ref().map(|_| Dock::open()).unzip();
    let board = match (&dock, &config.dock) {
        (Some(dock), Some(config)) => Some(Board::new(dock.clone(), &config.ports)),
        _ => None,
    };
    let renewals = match &dock {
        Some(dock) => {
            let (store, scope) = (store.clone(), scope.clone());
            Some(Renewals::open(store, scope, dock.clone(), Arc::clone(ids), Arc::clone(clock)).await?)
        }
        None => None,
    };
    let docking = footage::open(
        &config.docking,
        footage::Needs {
            store: store.clone(),
            scope: scope.clone(),
            edge: identity.edge.clone(),
            state_dir: &config.state_dir,
            clock: Arc::clone(clock),
            ids: Arc::clone(ids),
            signd: signd.clone(),
            uploader: uploader.clone(),
            board: board.clone(),
        },
    )
    .await?;
    let health = Arc::new(Health {
        store: store.clone(),
        scope: scope.clone(),
        clock: Arc::clone(clock),
        bridge: bridge.clone(),
        hub: hub.clone(),
        signd: signd.clone(),
        link: line.status(),
        standing,
        data: config.state_dir.clone(),
        entity: identity.edge.to_string(),
        dock: dock.as_ref().map(Dock::state),
        board: board.clone(),
        renewals: renewals.clone(),
        docking: docking.clone(),
    });
    let parts = Parts {
        docking: docking.clone(),
        bridge: bridge.clone(),
        hub: hub.clone(),
        signd,
        health: Arc::clone(&health),
        board: board.clone(),
        renewals: renewals.clone(),
        pictures: Pictures::open(bridge.clone(), files, uploader, config.state_dir.join("pictures"))?,
    };
    let _ = ends.0.set(parts);
    let callbacks = Callbacks::new(bridge.clone());
    let link = line.status();
    Ok((
        line,
        Site {
            identity,
            bridge,
            callbacks,
            hub,
            docking,
            board,
            renewals,
            dock_driver: dock_driver.map(|d| Arc::new(tokio::sync::Mutex::new(d))),
            health,
            link,
            store,
            scope,
        },
    ))
}

async fn start(supervisor: &Supervisor, config: &Config, site: &Site) -> anyhow::Result<()> {
    let bridge = site.bridge.clone();
    supervisor.keep("his", move |stop| {
        let bridge = bridge.clone();
        async move {
            bridge.run(stop).await;
            Ok(())
        }
    });
    let hub = site.hub.clone();
    supervisor.keep("printers", move |stop| {
        let hub = hub.clone();
        async move {
            hub.run(stop).await;
            Ok(())
        }
    });
    let docking = site.docking.clone();
    supervisor.keep("docking", move |stop| {
        let docking = docking.clone();
        async move {
            docking.run(stop).await;
            Ok(())
        }
    });
    let (store, scope, clock) = (site.store.clone(), site.scope.clone(), Arc::clone(&site.health.clock));
    supervisor.keep("prune", move |stop| {
        forget_delivered(store.clone(), scope.clone(), Arc::clone(&clock), stop)
    });
    let health = Arc::clone(&site.health);
    supervisor.keep("health", move |stop| Arc::clone(&health).run(stop));
    if let (Some(dock), Some(driver)) = (&config.dock, &site.dock_driver) {
        let (port, driver) = (dock.port.clone(), Arc::clone(driver));
        supervisor.keep("dock", move |stop| {
            let (port, driver) = (port.clone(), Arc::clone(&driver));
            async move {
                let mut driver = driver.lock().await;
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = driver.run(&port) => {}
                }
                Ok(())
            }
        });
    }
    if let Some(board) = site.board.clone() {
        supervisor.keep("dock.names", move |stop| {
            let board = board.clone();
            async move {
                board.keep_names(stop).await;
                Ok(())
            }
        });
    }
    if let Some(renewals) = site.renewals.clone() {
        supervisor.keep("dock.firmware", move |stop| {
            let renewals = renewals.clone();
            async move {
                renewals.run(stop).await;
                Ok(())
            }
        });
    }
    let (hub, keeping) = (site.hub.clone(), config.print_spool);
    supervisor.keep("printers.forget", move |stop| {
        let hub = hub.clone();
        async move {
            hub.forget(keeping, stop).await;
            Ok(())
        }
    });
    for config in &config.kiosk {
        start_kiosk(supervisor, config, site).await?;
    }
    if let Some(router) = site.callbacks.soap_router() {
        serve(supervisor, "callbacks.soap", config.callbacks.soap, router).await?;
    }
    if site.bridge.hospital().offers_mllp_callbacks() {
        let (address, callbacks) = (config.callbacks.mllp, site.callbacks.clone());
        // Taken here once, so that an occupied port is told at the start.
        drop(
            TcpListener::bind(address)
                .await
                .with_context(|| format!("listening on {address} for HL7"))?,
        );
        supervisor.keep("callbacks.mllp", move |stop| {
            let callbacks = callbacks.clone();
            async move {
                callbacks.serve_mllp(TcpListener::bind(address).await?, stop).await;
                Ok(())
            }
        });
    }
    Ok(())
}

/// The terminal's desk and its page.
async fn start_kiosk(supervisor: &Supervisor, config: &kiosk::Config, site: &Site) -> anyhow::Result<()> {
    let address = config.listen;
    // Taken here once, so that an occupied port is told at the start.
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listening on {address} for the terminal"))?;
    let link = site.link.clone();
    let kiosk = Kiosk::open(
        config.clone(),
        kiosk::Needs {
            bridge: site.bridge.clone(),
            hub: site.hub.clone(),
            store: site.store.clone(),
            scope: site.scope.clone(),
            clock: Arc::clone(&site.health.clock),
            online: Arc::new(move || link.borrow().online),
        },
    );
    let desk = kiosk.clone();
    supervisor.keep("kiosk", move |stop| {
        let desk = desk.clone();
        async move {
            desk.run(stop).await;
            Ok(())
        }
    });
    let first = Arc::new(std::sync::Mutex::new(Some(listener)));
    supervisor.keep("kiosk.page", move |stop| {
        let (kiosk, first) = (kiosk.clone(), Arc::clone(&first));
        async move {
            let taken = first.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            let listener = match taken {
                Some(listener) => listener,
                None => TcpListener::bind(address).await?,
            };
            Ok(kiosk.serve_page(listener, stop).await?)
        }
    });
    Ok(())
}

/// Acknowledged log entries heal a cloud restored from a backup; after three days they are forgotten.
async fn forget_delivered(
    store: Store,
    scope: Scope,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        if let Err(error) = store.outbox_prune(&scope, clock.now().minus(KEPT)).await {
            tracing::error!(%error, "delivered entries not pruned");
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(PRUNED_EACH) => {}
        }
    }
}

async fn serve(
    supervisor: &Supervisor,
    name: &'static str,
    address: std::net::SocketAddr,
    router: Router,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listening on {address} for {name}"))?;
    let first = Arc::new(std::sync::Mutex::new(Some(listener)));
    supervisor.keep(name, move |stop| {
        let (first, router) = (Arc::clone(&first), router.clone());
        async move {
            let taken = first.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            let listener = match taken {
                Some(listener) => listener,
                None => TcpListener::bind(address).await?,
            };
            axum::serve(listener, router)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await?;
            Ok(())
        }
    });
    Ok(())
}
