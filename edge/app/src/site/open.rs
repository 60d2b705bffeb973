//! What an appliance that knows whom it serves is made of, opened in order.

use std::sync::Arc;

use anyhow::Context;
use dock::Dock;
use docking::board::{Board, Renewals};
use his::files::Files;
use his::{Bridge, Callbacks, Profile};
use hub::Hub;
use link::Tuning;
use link::blob::Uploader;
use link::edge::{EdgeLink, Options};
use records::{Actor, Clock, Ids};
use sign::Client;
use store::{Scope, SqliteOptions, Store};
use tokio::sync::watch;

use super::Site;
use crate::config::Config;
use crate::footage;
use crate::health::Health;
use crate::identity::{Identity, Standing};
use crate::line::{Ends, Parts};
use crate::pictures::Pictures;

/// Opens everything; the line first.
pub(super) async fn open(
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
