//! A hospital's database on either engine.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]
#![allow(dead_code, reason = "each test file uses a part of the stage")]

use std::future::Future;
use std::sync::Arc;

use records::{Actor, SystemClock, TenantId};
use store::{Migration, Scope, SqliteOptions, Store, StoreError};

/// A store and the scope to use it with.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) store: Store,
    pub(crate) scope: Scope,
    _folder: Arc<tempfile::TempDir>,
}

pub(crate) fn hospital() -> TenantId {
    TenantId::parse("hos_people1").unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

pub(crate) fn on_both<F: Future<Output = ()>>(story: impl Fn(Site) -> F) {
    on_sqlite(&story);
    on_postgres(&story);
}

pub(crate) fn on_sqlite<F: Future<Output = ()>>(story: impl Fn(Site) -> F) {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(
            &folder.path().join("cloud.db"),
            SqliteOptions::default(),
            Arc::new(SystemClock),
        )
        .await
        .unwrap();
        story(site(store, folder)).await;
    });
}

pub(crate) fn on_postgres<F: Future<Output = ()>>(story: impl Fn(Site) -> F) {
    let url = kit::postgres::database();
    runtime().block_on(async {
        let store = Store::open_postgres(&url, Arc::new(SystemClock)).await.unwrap();
        story(site(store, tempfile::tempdir().unwrap())).await;
    });
}

/// Two processes' worth of handles to one PostgreSQL database.
pub(crate) fn on_two_replicas<F: Future<Output = ()>>(story: impl Fn(Site, Site) -> F) {
    let url = kit::postgres::database();
    runtime().block_on(async {
        let one = Store::open_postgres(&url, Arc::new(SystemClock)).await.unwrap();
        let other = Store::open_postgres(&url, Arc::new(SystemClock)).await.unwrap();
        let folder = || tempfile::tempdir().unwrap();
        story(site(one, folder()), site(other, folder())).await;
    });
}

fn site(store: Store, folder: tempfile::TempDir) -> Site {
    Site {
        store,
        scope: Scope::new(hospital(), Actor::System),
        _folder: Arc::new(folder),
    }
}

/// One clinic of `capacity`, and its bookings.
pub(crate) async fn visit_table(site: &Site, capacity: i64) {
    site.store
        .migrate(&[Migration {
            name: "clinic/0001_slot",
            sql: "CREATE TABLE slot(tenant_id TEXT NOT NULL, id TEXT NOT NULL, capacity BIGINT NOT NULL, booked BIGINT NOT NULL,
                      PRIMARY KEY (tenant_id, id));
                  CREATE TABLE booking(tenant_id TEXT NOT NULL, patient TEXT NOT NULL, PRIMARY KEY (tenant_id, patient));",
        }])
        .await
        .unwrap();
    site.store
        .write(&site.scope, move |tx| {
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                tx.exec(
                    "INSERT INTO slot(tenant_id, id, capacity, booked) VALUES ($1, 'morning', $2, 0)",
                    &[&tenant, &capacity],
                )
                .await
                .map(drop)
            })
        })
        .await
        .unwrap_or_else(|e: StoreError| panic!("{e}"));
}
