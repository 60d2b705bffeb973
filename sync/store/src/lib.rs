//! The one storage idea of both ends: a unit of work is one async closure over a [`Tx`].
//!
//! ```no_run
//! # use store::{Store, Scope, StoreError};
//! # async fn demo(store: Store, scope: Scope, id: String) -> Result<(), StoreError> {
//! let booked: bool = store
//!     .write(&scope, move |tx| {
//!         let id = id.clone(); // the closure may run again after a lost race, so it keeps its inputs
//!         Box::pin(async move {
//!             let tenant = tx.tenant().clone();
//!             let rows = tx
//!                 .exec(
//!                     "UPDATE slot SET booked = booked + 1 WHERE tenant_id = $1 AND id = $2 AND booked < capacity",
//!                     &[&tenant, &id],
//!                 )
//!                 .await?;
//!             Ok::<_, StoreError>(rows == 1)
//!         })
//!     })
//!     .await?;
//! # Ok(()) }
//! ```
//!
//! Rules of a unit:
//! * `Err` from the closure undoes everything it wrote; `Ok` is answered only after a durable commit.
//! * Nothing but `tx` may be awaited (SQLite finds out: [`StoreError::Awaited`]). No network in a unit of work.
//! * After a failed statement nothing more can be done in the unit ([`StoreError::Aborted`]), on both databases; what
//!   may fail alone goes in [`Tx::nested`].
//! * Units of one hospital run one after another, so reading and then deciding is safe ([`Scope::unordered`] opts out).
//!   Units that wait share a commit, on both databases: many callers cost little more than one.
//! * A unit whose caller goes away (dropped request) still runs to its end.
//!
//! SQL is one text: placeholders `$1…$n`, column types TEXT, BIGINT, BLOB, DOUBLE PRECISION; times are microseconds
//! ([`records::Timestamp`]), truth values 0/1, JSON is text (`serde_json::Value` goes in and out). PostgreSQL must be
//! able to tell a parameter's type from its place: write `CAST($1 AS TEXT) IS NULL`, not `$1 IS NULL`.
//!
//! Rows are read by position, as tuples up to 16 columns (a single column is `(String,)`) or as structs declared with
//! [`row!`]. Own identifiers get their mapping from [`id_value!`], enums with `as_str` and `FromStr` from
//! [`text_value!`].
//!
//! The log: [`Tx::append`] writes to the outbox in the same unit; the line reads [`Store::outbox_after`], is woken by
//! [`Store::watch`] (same process only: with several replicas look every second as well), reports
//! [`Store::outbox_ack`]; the receiver runs [`Store::apply`]. [`Store::stream`] gives epoch and bounds for a greeting.

mod error;
mod inbox;
mod migration;
mod nouns;
mod outbox;
mod postgres;
mod sql;
mod sqlite;
mod stream;
mod tx;
mod value;
mod work;

use std::path::Path;
use std::sync::Arc;

use records::{Clock, TenantId};
use tokio::sync::{oneshot, watch};

pub use error::StoreError;
pub use futures_util::future::BoxFuture;
pub use inbox::{Applied, Cursor, Parked, Taken};
pub use migration::Migration;
pub use outbox::{Entry, StreamState};
pub use sqlite::SqliteOptions;
pub use stream::StreamKey;
pub use tx::{Dialect, Scope, Statement, Tx};
pub use value::{FromRow, FromValue, Row, ToValue, Value};

use stream::Growth;

/// Connections to PostgreSQL unless said otherwise.
const CONNECTIONS: usize = 16;

enum Engine {
    Lite(sqlite::Lite),
    Pg(Arc<postgres::Pg>),
}

struct Inner {
    engine: Engine,
    clock: Arc<dyn Clock>,
    growth: Arc<Growth>,
}

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dialect", &self.dialect()).finish()
    }
}

/// The tenant in whose name the vendor's own rows (hospitals, fleet, staff of the operator) are kept.
#[expect(clippy::expect_used, reason = "a constant identifier of ours")]
pub fn operator() -> TenantId {
    TenantId::parse("hos_operator").expect("a well-formed identifier")
}

impl Store {
    /// Opens (or makes) an SQLite file.
    pub async fn open_sqlite(path: &Path, options: SqliteOptions, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let lite = tokio::task::spawn_blocking(move || sqlite::Lite::open(&path, &options))
            .await
            .map_err(|_| StoreError::Closed)??;
        Self::with(Engine::Lite(lite), clock).await
    }

    /// Connects to PostgreSQL 15 or later, e.g. `postgres://user:secret@host/database`.
    pub async fn open_postgres(url: &str, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Self::with(Engine::Pg(Arc::new(postgres::Pg::open(url, CONNECTIONS)?)), clock).await
    }

    async fn with(engine: Engine, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let store = Self {
            inner: Arc::new(Inner {
                engine,
                clock,
                growth: Arc::new(Growth::default()),
            }),
        };
        migration::run(&store, migration::OWN).await?;
        Ok(store)
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        match self.inner.engine {
            Engine::Lite(_) => Dialect::Sqlite,
            Engine::Pg(_) => Dialect::Postgres,
        }
    }

    /// The clock the store was opened with.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Brings the schema up to date. Steps already applied are skipped.
    pub async fn migrate(&self, set: &[Migration]) -> Result<(), StoreError> {
        migration::run(self, set).await
    }

    /// Does a unit of work. See the crate's rules.
    pub async fn write<T, E, F>(&self, scope: &Scope, closure: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'a, 'c> Fn(&'a mut Tx<'c>) -> BoxFuture<'a, Result<T, E>> + Send + Sync + 'static,
    {
        self.run(scope, closure, Kind::Write).await
    }

    /// A unit that only frees space or moves marks; it passes even while a full disk keeps others out.
    pub async fn write_relieving<T, E, F>(&self, scope: &Scope, closure: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'a, 'c> Fn(&'a mut Tx<'c>) -> BoxFuture<'a, Result<T, E>> + Send + Sync + 'static,
    {
        self.run(scope, closure, Kind::Relieve).await
    }

    /// Reads, seeing one state of the database throughout.
    pub async fn read<T, E, F>(&self, scope: &Scope, closure: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'a, 'c> Fn(&'a mut Tx<'c>) -> BoxFuture<'a, Result<T, E>> + Send + Sync + 'static,
    {
        self.run(scope, closure, Kind::Read).await
    }

    /// Wakes when the stream towards a peer has grown (by a commit of this process); holds the newest number seen.
    pub fn watch(&self, key: StreamKey) -> watch::Receiver<u64> {
        self.inner.growth.watch(key)
    }

    /// Closes connections to PostgreSQL. SQLite's threads end with the last handle.
    pub fn close(&self) {
        if let Engine::Pg(pg) = &self.inner.engine {
            pg.close();
        }
    }

    async fn run<T, E, F>(&self, scope: &Scope, closure: F, kind: Kind) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'a, 'c> Fn(&'a mut Tx<'c>) -> BoxFuture<'a, Result<T, E>> + Send + Sync + 'static,
    {
        let inner = &self.inner;
        let (reply, answer) = oneshot::channel();
        let work = Box::new(work::Work {
            closure,
            scope: scope.clone(),
            clock: inner.clock.clone(),
            growth: inner.growth.clone(),
            relieves: kind == Kind::Relieve,
            reply,
            answer: None,
            trace: tx::Trace::default(),
        });
        match (&inner.engine, kind) {
            (Engine::Lite(lite), Kind::Read) => lite.read(work),
            (Engine::Lite(lite), _) => lite.write(work),
            (Engine::Pg(pg), Kind::Read) => pg.read(work),
            (Engine::Pg(pg), _) => pg.write(&scope.tenant, scope.ordered, work),
        }
        answer.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Relieve,
}
