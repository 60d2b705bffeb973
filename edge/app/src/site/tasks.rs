//! The tasks of an opened appliance, each kept alive by the supervisor.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use kiosk::Kiosk;
use records::Clock;
use store::{Scope, Store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Site;
use crate::config::Config;
use crate::supervise::Supervisor;

/// How long a delivered entry is kept.
const KEPT: Duration = Duration::from_secs(72 * 3600);

/// How often delivered entries are looked through.
const PRUNED_EACH: Duration = Duration::from_secs(3600);

/// Starts them all.
pub(super) async fn start(supervisor: &Supervisor, config: &Config, site: &Site) -> anyhow::Result<()> {
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

/// Serves a page or an interface at an address.
pub(super) async fn serve(
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
