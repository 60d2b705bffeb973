//! PostgreSQL: each unit in a transaction and a task of its own, so that a caller who goes away cannot leave it open.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use records::{Clock, TenantId};
use tokio_postgres::NoTls;

use crate::error::{chain, from_postgres};
use crate::stream::Growth;
use crate::tx::Conn;
use crate::{Scope, StoreError, Tx};

/// How often a unit that lost a race is run again.
const ATTEMPTS: u32 = 12;

/// Reads see one snapshot; ordered writes run one after another per hospital (the row of `store_tenant` is the queue),
/// so READ COMMITTED behaves there as SQLite's single writer does.
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const QUEUE: &str = "SELECT 1 FROM store_tenant WHERE tenant_id = $1 FOR UPDATE";
const ENTER: &str = "INSERT INTO store_tenant(tenant_id) VALUES ($1) ON CONFLICT (tenant_id) DO NOTHING";

pub(crate) struct Pg {
    pool: Pool,
    /// Ordered units of one hospital queue here, so that they do not hold a connection each while they wait.
    queues: Mutex<HashMap<TenantId, Arc<tokio::sync::Mutex<()>>>>,
}

impl Pg {
    pub(crate) fn open(url: &str, connections: usize) -> Result<Self, StoreError> {
        let refused = |message: String| StoreError::Open {
            what: "PostgreSQL".to_owned(),
            message,
        };
        let mut config = tokio_postgres::Config::from_str(url).map_err(|e| refused(chain(&e)))?;
        if config.get_options().is_none() {
            config.options("-c lock_timeout=10s -c idle_in_transaction_session_timeout=60s -c statement_timeout=60s");
        }
        config.connect_timeout(Duration::from_secs(10));
        let manager = Manager::from_config(
            config,
            NoTls,
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let pool = Pool::builder(manager)
            .max_size(connections)
            .wait_timeout(Some(Duration::from_secs(10)))
            .create_timeout(Some(Duration::from_secs(10)))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|e| refused(chain(&e)))?;
        Ok(Self {
            pool,
            queues: Mutex::default(),
        })
    }

    async fn client(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(_) => StoreError::Busy,
            PoolError::Closed => StoreError::Closed,
            other => StoreError::Open {
                what: "PostgreSQL".to_owned(),
                message: chain(&other),
            },
        })
    }

    fn queue(&self, tenant: &TenantId) -> Arc<tokio::sync::Mutex<()>> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.entry(tenant.clone()).or_default().clone()
    }

    pub(crate) fn close(&self) {
        self.pool.close();
    }
}

pub(crate) struct Run<F> {
    pub(crate) closure: F,
    pub(crate) scope: Scope,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) growth: Arc<Growth>,
    pub(crate) writes: bool,
}

impl<F> Run<F> {
    pub(crate) async fn run<T, E>(self, pg: &Pg) -> Result<T, E>
    where
        E: From<StoreError> + Send,
        T: Send,
        F: for<'a, 'c> Fn(&'a mut Tx<'c>) -> BoxFuture<'a, Result<T, E>> + Send + Sync,
    {
        let ordered = self.writes && self.scope.ordered;
        let queue = ordered.then(|| pg.queue(&self.scope.tenant));
        let _turn = match &queue {
            Some(queue) => Some(queue.lock().await),
            None => None,
        };
        let mut attempt = 0;
        loop {
            attempt += 1;
            let client = pg.client().await?;
            let (answer, raced) = self.attempt(&client).await;
            if raced && attempt < ATTEMPTS {
                drop(client);
                // No jitter needed: the server's own queue spreads the losers.
                tokio::time::sleep(Duration::from_millis(u64::from(attempt * attempt))).await;
                continue;
            }
            return answer;
        }
    }

    /// One try; the flag says that it lost a race and may be run again.
    async fn attempt<T, E>(&self, client: &Object) -> (Result<T, E>, bool)
    where
        E: From<StoreError>,
        F: for<'a, 'c> Fn(&'a mut Tx<'c>) -> BoxFuture<'a, Result<T, E>>,
    {
        if let Err(error) = self.begin(client).await {
            let raced = error == StoreError::Busy;
            self.abandon(client).await;
            return (Err(error.into()), raced);
        }
        let opening = (!self.writes).then_some(BEGIN_READ);
        let conn = Conn::Pg { client, opening };
        let mut tx = Tx::begin(conn, self.clock.now(), self.scope.clone());
        let ran = std::panic::AssertUnwindSafe((self.closure)(&mut tx))
            .catch_unwind()
            .await;
        let mut trace = std::mem::take(&mut tx.trace);
        drop(tx);
        let answer = ran.unwrap_or_else(|_| Err(StoreError::Panicked.into()));
        let raced = trace.failed == Some(StoreError::Busy);
        match (answer, trace.failed.take()) {
            (Ok(answer), None) => match client.batch_execute("COMMIT").await {
                Ok(()) => {
                    trace.committed(&self.growth);
                    (Ok(answer), false)
                }
                Err(error) => {
                    let error = from_postgres("COMMIT", &error);
                    let raced = error == StoreError::Busy;
                    self.abandon(client).await;
                    (Err(error.into()), raced)
                }
            },
            (answer, failed) => {
                self.abandon(client).await;
                let error = answer
                    .err()
                    .unwrap_or_else(|| failed.unwrap_or(StoreError::Aborted).into());
                (Err(error), raced)
            }
        }
    }

    /// Reads are begun together with their first statement. Both messages of an ordered write go out at once.
    async fn begin(&self, client: &Object) -> Result<(), StoreError> {
        if !self.writes {
            return Ok(());
        }
        let begin = async {
            let begun = client.batch_execute(BEGIN_WRITE).await;
            begun.map_err(|e| from_postgres(BEGIN_WRITE, &e))
        };
        if !self.scope.ordered {
            return begin.await;
        }
        match futures_util::join!(begin, enter(client, &self.scope.tenant)) {
            (Ok(()), Ok(true)) => Ok(()),
            (Ok(()), Ok(false)) => Err(StoreError::Busy),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// Rolls back. When even that fails the connection is broken, and the pool drops it.
    async fn abandon(&self, client: &Object) {
        if let Err(error) = client.batch_execute("ROLLBACK").await {
            tracing::warn!(error = %chain(&error), "rollback failed");
        }
    }
}

async fn enter(client: &Object, tenant: &TenantId) -> Result<bool, StoreError> {
    let broken = |e: tokio_postgres::Error| from_postgres(QUEUE, &e);
    let queue = client.prepare_cached(QUEUE).await.map_err(broken)?;
    let id = tenant.as_str();
    if client.query_opt(&queue, &[&id]).await.map_err(broken)?.is_some() {
        return Ok(true);
    }
    client.execute(ENTER, &[&id]).await.map_err(broken)?;
    Ok(client.query_opt(&queue, &[&id]).await.map_err(broken)?.is_some())
}
