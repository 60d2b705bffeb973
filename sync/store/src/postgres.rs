//! PostgreSQL: group commit per hospital, as SQLite's writer has it for its file.
//!
//! Ordered units of one hospital queue in this process. Their leader (a task that lives as long as the queue is not
//! empty) takes what waits, up to [`GROUP`] units, and runs them one after another in one transaction, each behind a
//! savepoint, so that the flush of the disk is paid once for all of them. The row of `store_tenant` is the queue between
//! replicas and is held until the commit. Hence also here: a caller is answered only after the commit that holds its
//! unit is on disk, a unit that fails leaves nothing, and numbers of a stream follow the order of commits without holes.
//!
//! Reads and unordered units have a transaction and a task of their own. A caller who goes away leaves nothing open.

use std::collections::{HashMap, VecDeque};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use records::TenantId;
use tokio_postgres::NoTls;

use crate::error::{chain, from_postgres};
use crate::tx::Conn;
use crate::work::Work;
use crate::{StoreError, Tx};

/// How often units that lost a race are run again.
const ATTEMPTS: u32 = 12;

/// Units that share one commit. A server process keeps 64 subtransactions at hand; beyond that every reader pays.
const GROUP: usize = 32;

/// Reads see one snapshot; ordered writes run one after another per hospital (the row of `store_tenant` is the queue),
/// so READ COMMITTED behaves there as SQLite's single writer does.
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const QUEUE: &str = "SELECT 1 FROM store_tenant WHERE tenant_id = $1 FOR UPDATE";
const ENTER: &str = "INSERT INTO store_tenant(tenant_id) VALUES ($1) ON CONFLICT (tenant_id) DO NOTHING";
const SAVEPOINT: &str = "SAVEPOINT unit";
const NEXT_SAVEPOINT: &str = "RELEASE SAVEPOINT unit; SAVEPOINT unit";
const UNDO: &str = "ROLLBACK TO SAVEPOINT unit";

/// A unit of work on its way through a connection.
pub(crate) trait Unit: Send {
    /// Runs the closure; `opening` goes out with its first statement. Answers `false` when its writes are to be undone,
    /// and the opening if it was not sent. May be called again after a lost transaction.
    fn run<'a>(&'a mut self, client: &'a Object, opening: Opening) -> BoxFuture<'a, (bool, Opening)>;
    /// The failure of a statement in the last run.
    fn failure(&self) -> Option<&StoreError>;
    /// Answers the caller.
    fn settle(self: Box<Self>, commit: Result<(), StoreError>);
}

/// A statement still to be sent, together with the next one.
pub(crate) type Opening = Option<&'static str>;

impl<T, E, F> Unit for Work<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: for<'a, 'c> Fn(&'a mut Tx<'c>) -> BoxFuture<'a, Result<T, E>> + Send + Sync,
{
    fn run<'a>(&'a mut self, client: &'a Object, opening: Opening) -> BoxFuture<'a, (bool, Opening)> {
        let mut tx = self.open(Conn::Pg { client, opening });
        Box::pin(async move {
            let ran = std::panic::AssertUnwindSafe((self.closure)(&mut tx))
                .catch_unwind()
                .await;
            let answer = ran.unwrap_or_else(|_| Err(StoreError::Panicked.into()));
            let (trace, unsent) = (std::mem::take(&mut tx.trace), tx.unsent());
            (self.ran(answer, trace), unsent)
        })
    }

    fn failure(&self) -> Option<&StoreError> {
        self.trace.failed.as_ref()
    }

    fn settle(self: Box<Self>, commit: Result<(), StoreError>) {
        self.answer(commit);
    }
}

type Units = Vec<Box<dyn Unit>>;

/// What waits for a hospital's turn. A hospital that is in here has a leader.
type Queues = Mutex<HashMap<TenantId, VecDeque<Box<dyn Unit>>>>;

pub(crate) struct Pg {
    pool: Pool,
    queues: Queues,
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

    pub(crate) fn read(self: &Arc<Self>, unit: Box<dyn Unit>) {
        self.alone(unit, Way::Read);
    }

    pub(crate) fn write(self: &Arc<Self>, tenant: &TenantId, ordered: bool, unit: Box<dyn Unit>) {
        if !ordered {
            return self.alone(unit, Way::Unordered);
        }
        let mut queues = self.queues();
        if let Some(waiting) = queues.get_mut(tenant) {
            return waiting.push_back(unit);
        }
        queues.insert(tenant.clone(), VecDeque::from([unit]));
        drop(queues);
        let leader = Leader {
            pg: self.clone(),
            tenant: tenant.clone(),
            done: false,
        };
        tokio::spawn(leader.lead());
    }

    fn alone(self: &Arc<Self>, unit: Box<dyn Unit>, way: Way) {
        let pg = self.clone();
        tokio::spawn(async move { pg.run(&way, vec![unit]).await });
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<TenantId, VecDeque<Box<dyn Unit>>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn close(&self) {
        self.pool.close();
    }

    /// Runs units in one transaction and answers them.
    async fn run(&self, way: &Way, mut units: Units) {
        let mut attempt = 0;
        let done = loop {
            attempt += 1;
            let done = match self.client().await {
                Ok(client) => attempted(&client, way, &mut units).await,
                Err(error) => break Err(error),
            };
            if done != Err(StoreError::Busy) || attempt == ATTEMPTS {
                break done;
            }
            // No jitter needed: the server's own queue spreads the losers.
            tokio::time::sleep(Duration::from_millis(u64::from(attempt * attempt))).await;
        };
        for unit in units {
            unit.settle(done.clone());
        }
    }
}

/// How a transaction is begun.
enum Way {
    Read,
    Unordered,
    /// In turn with all other units of this hospital.
    Ordered(TenantId),
}

/// Leads a hospital's queue until it is empty.
struct Leader {
    pg: Arc<Pg>,
    tenant: TenantId,
    done: bool,
}

impl Leader {
    async fn lead(mut self) {
        let way = Way::Ordered(self.tenant.clone());
        while let Some(group) = self.next() {
            self.pg.run(&way, group).await;
        }
    }

    fn next(&mut self) -> Option<Units> {
        let mut queues = self.pg.queues();
        let waiting = queues.get_mut(&self.tenant)?;
        let most = waiting.len().min(GROUP);
        let group: Units = waiting.drain(..most).collect();
        if group.is_empty() {
            queues.remove(&self.tenant);
            self.done = true;
            return None;
        }
        Some(group)
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        // The runtime ended under it: who waits hears that the store is closed, and another may lead afterwards.
        if !self.done {
            self.pg.queues().remove(&self.tenant);
        }
    }
}

/// One try. `Busy` says that it lost a race and may be run again.
async fn attempted(client: &Object, way: &Way, units: &mut Units) -> Result<(), StoreError> {
    let mut done = match begin(client, way).await {
        Ok(()) => inside(client, way, units).await,
        Err(error) => Err(error),
    };
    if done == Ok(true) {
        let committed = client.batch_execute("COMMIT").await;
        done = committed.map(|()| true).map_err(|e| from_postgres("COMMIT", &e));
    }
    if done != Ok(true) {
        abandon(client).await;
    }
    done.map(drop)
}

/// Reads are begun together with their first statement. Both messages of an ordered write go out at once.
async fn begin(client: &Object, way: &Way) -> Result<(), StoreError> {
    let tenant = match way {
        Way::Read => return Ok(()),
        Way::Unordered => None,
        Way::Ordered(tenant) => Some(tenant),
    };
    let begin = async {
        let begun = client.batch_execute(BEGIN_WRITE).await;
        begun.map_err(|e| from_postgres(BEGIN_WRITE, &e))
    };
    let Some(tenant) = tenant else {
        return begin.await;
    };
    match futures_util::join!(begin, enter(client, tenant)) {
        (Ok(()), Ok(true)) => Ok(()),
        (Ok(()), Ok(false)) => Err(StoreError::Busy),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

/// Runs the units between BEGIN and COMMIT; answers whether there is anything to commit. A savepoint goes out together
/// with the first statement of its unit; a unit alone has the transaction itself for one.
async fn inside(client: &Object, way: &Way, units: &mut Units) -> Result<bool, StoreError> {
    if let [unit] = units.as_mut_slice() {
        let opening = matches!(way, Way::Read).then_some(BEGIN_READ);
        let (good, unsent) = unit.run(client, opening).await;
        return match unit.failure() {
            Some(StoreError::Busy) => Err(StoreError::Busy),
            // A read that asked nothing never began.
            _ => Ok(good && unsent.is_none()),
        };
    }
    let mut opening = Some(SAVEPOINT);
    for unit in units {
        let (good, unsent) = unit.run(client, opening).await;
        if unit.failure() == Some(&StoreError::Busy) {
            return Err(StoreError::Busy);
        }
        if unsent.is_some() {
            continue;
        }
        opening = Some(NEXT_SAVEPOINT);
        if !good {
            client.batch_execute(UNDO).await.map_err(|e| from_postgres(UNDO, &e))?;
            opening = None;
        }
    }
    Ok(true)
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

/// Rolls back. When even that fails the connection is broken, and the pool drops it.
async fn abandon(client: &Object) {
    if let Err(error) = client.batch_execute("ROLLBACK").await {
        tracing::warn!(error = %chain(&error), "rollback failed");
    }
}
