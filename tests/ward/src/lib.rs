//! A hospital for tests of the cloud's contexts: a real database (both of them), the real router, a clock that moves
//! when told, a hospital line that answers as scripted, and a box where text messages land.
//!
//! ```ignore
//! ward::on_both(care::routes, &[care::MIGRATIONS], |site| async move {
//!     let patient = site.patient("13800000001").await;
//!     let (status, body) = patient.get("/patients").await;
//! });
//! ```

mod browser;
mod line;
mod people;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use base::{BlobStore, Ctx, Events, Vault};
use records::id::EdgeId;
use records::{Ids, ManualClock, SeededEntropy, TenantId, Timestamp};
use store::{Migration, Scope, SqliteOptions, Store, StoreError};
use utoipa_axum::router::OpenApiRouter;

pub use browser::Browser;
pub use line::{Call, ScriptedLine, SmsBox};
pub use people::{DEPARTMENT, PASSWORD, TOTP_SECRET};

/// Code of the hospital.
pub const HOSPITAL: &str = "people1";

/// A hospital with its cloud.
#[derive(Clone)]
pub struct Site {
    /// What handlers get.
    pub ctx: Ctx,
    /// The hospital.
    pub tenant: TenantId,
    /// The time; stands at a Tuesday morning.
    pub clock: Arc<ManualClock>,
    /// The line to the hospital.
    pub line: Arc<ScriptedLine>,
    /// Text messages sent.
    pub sms: Arc<SmsBox>,
    router: Router,
    _folder: Arc<tempfile::TempDir>,
}

impl Site {
    /// The scope of timers.
    pub fn scope(&self) -> Scope {
        Scope::system(self.tenant.clone())
    }

    /// A browser that is not signed in.
    pub fn browser(&self) -> Browser {
        Browser::new(self.router.clone())
    }

    /// Reads one row, past all APIs.
    pub async fn look<R: store::FromRow + 'static>(&self, sql: &'static str) -> R {
        self.ctx
            .store
            .read(&self.scope(), move |tx| {
                Box::pin(async move { tx.one::<R>(sql, &[]).await })
            })
            .await
            .unwrap_or_else(|e: StoreError| panic!("{sql}: {e}"))
    }

    /// Changes rows, past all APIs: what an intruder with the database password would do.
    pub async fn tamper(&self, sql: &'static str) -> u64 {
        self.ctx
            .store
            .write(&self.scope(), move |tx| {
                Box::pin(async move { tx.exec(sql, &[]).await })
            })
            .await
            .unwrap_or_else(|e: StoreError| panic!("{sql}: {e}"))
    }
}

/// Runs a story on SQLite, then on PostgreSQL.
pub fn on_both<F: Future<Output = ()>>(
    routes: impl Fn() -> OpenApiRouter<Ctx>,
    migrations: &[&[Migration]],
    story: impl Fn(Site) -> F,
) {
    on_sqlite(&routes, migrations, &story);
    on_postgres(&routes, migrations, &story);
}

/// Runs a story on SQLite.
pub fn on_sqlite<F: Future<Output = ()>>(
    routes: impl Fn() -> OpenApiRouter<Ctx>,
    migrations: &[&[Migration]],
    story: impl Fn(Site) -> F,
) {
    runtime().block_on(async {
        let clock = Arc::new(ManualClock::new(tuesday()));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open_sqlite(&folder.path().join("cloud.db"), SqliteOptions::default(), clock.clone())
            .await
            .expect("the database opens");
        story(open(store, clock, folder, routes(), migrations).await).await;
    });
}

/// Runs a story on PostgreSQL.
pub fn on_postgres<F: Future<Output = ()>>(
    routes: impl Fn() -> OpenApiRouter<Ctx>,
    migrations: &[&[Migration]],
    story: impl Fn(Site) -> F,
) {
    let url = kit::postgres::database();
    runtime().block_on(async {
        let clock = Arc::new(ManualClock::new(tuesday()));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open_postgres(&url, clock.clone())
            .await
            .expect("the database opens");
        story(open(store, clock, folder, routes(), migrations).await).await;
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn tuesday() -> Timestamp {
    Timestamp::parse("2026-11-24T00:30:00Z").expect("a time")
}

async fn open(
    store: Store,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
    routes: OpenApiRouter<Ctx>,
    migrations: &[&[Migration]],
) -> Site {
    store.migrate(base::MIGRATIONS).await.expect("base migrates");
    for set in migrations {
        store.migrate(set).await.expect("the context migrates");
    }
    let ids = Arc::new(Ids::new(SeededEntropy::new(7)));
    let (line, sms) = (Arc::new(ScriptedLine::default()), Arc::new(SmsBox::default()));
    let ctx = Ctx {
        store,
        clock: clock.clone(),
        hospital: line.clone(),
        events: Events::default(),
        blobs: Arc::new(
            BlobStore::open(&folder.path().join("blobs"))
                .await
                .expect("a folder for files"),
        ),
        vault: Arc::new(Vault::new(&"2a".repeat(32), ids.clone()).expect("a key")),
        ids,
        sms: sms.clone(),
        sessions: Arc::default(),
        site: Arc::new(base::Site {
            public_url: "http://hospital.test".to_owned(),
            secure_cookies: false,
        }),
    };
    let tenant = TenantId::parse("hos_people1").expect("an identifier");
    let edge = EdgeId::parse("edg_1").expect("an identifier");
    ctx.store
        .write(&Scope::system(tenant.clone()), move |tx| {
            let edge = edge.clone();
            Box::pin(async move { base::tenants::put(tx, HOSPITAL, "市第一人民医院", Some(&edge)).await })
        })
        .await
        .unwrap_or_else(|e: StoreError| panic!("{e}"));
    let (router, _) = base::routes().merge(routes).split_for_parts();
    let router = router
        .layer(axum::Extension(base::settings::Kinds::default()))
        .layer(axum::middleware::from_fn_with_state(
            ctx.clone(),
            base::http::with_request_id,
        ))
        .with_state(ctx.clone());
    Site {
        ctx,
        tenant,
        clock,
        line,
        sms,
        router,
        _folder: Arc::new(folder),
    }
}
