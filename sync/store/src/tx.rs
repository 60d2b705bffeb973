//! The unit of work as its closure sees it.

use futures_util::future::{BoxFuture, join_all};
use records::{Actor, TenantId, Timestamp};
use rusqlite::Connection;
use tokio_postgres::types::ToSql;

use crate::error::{from_postgres, from_sqlite, shorten};
use crate::{FromRow, Row, StoreError, StreamKey, ToValue, sql};

/// For whom and by whom a unit of work is done. There is no unit without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The hospital whose rows are touched.
    pub tenant: TenantId,
    /// Who acts.
    pub actor: Actor,
    pub(crate) ordered: bool,
}

impl Scope {
    /// A unit of this hospital by this actor.
    pub const fn new(tenant: TenantId, actor: Actor) -> Self {
        Self {
            tenant,
            actor,
            ordered: true,
        }
    }

    /// A unit done by a timer or reconciler of ours.
    pub const fn system(tenant: TenantId) -> Self {
        Self::new(tenant, Actor::System)
    }

    /// On PostgreSQL, units of one hospital run one after another (as all units do on SQLite), so a closure may
    /// read and then decide. A unit that only makes conditional UPDATEs and INSERTs may opt out of the queue.
    #[must_use]
    pub const fn unordered(mut self) -> Self {
        self.ordered = false;
        self
    }
}

/// Which database this is, where one text really cannot serve both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite, embedded.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

pub(crate) enum Conn<'c> {
    Lite(&'c mut Connection),
    Pg {
        client: &'c deadpool_postgres::Object,
        /// Still to be sent, together with the first statement.
        opening: Option<&'static str>,
    },
}

/// What a unit left behind for the code that runs it.
#[derive(Default)]
pub(crate) struct Trace {
    /// The first failed statement; the unit cannot be committed.
    pub(crate) failed: Option<StoreError>,
    /// Streams that grew, with their newest sequence number.
    pub(crate) grown: Vec<(StreamKey, u64)>,
    /// To be done once the unit stands.
    pub(crate) after: Vec<Box<dyn FnOnce() + Send>>,
}

impl Trace {
    /// The unit is committed: tells whoever waits.
    pub(crate) fn committed(self, growth: &crate::stream::Growth) {
        growth.announce(self.grown);
        for act in self.after {
            act();
        }
    }
}

/// A statement and its parameters.
pub type Statement<'a> = (&'a str, &'a [&'a dyn ToValue]);

/// An open unit of work.
pub struct Tx<'c> {
    conn: Conn<'c>,
    now: Timestamp,
    scope: Scope,
    depth: u32,
    pub(crate) trace: Trace,
}

impl<'c> Tx<'c> {
    pub(crate) fn begin(conn: Conn<'c>, now: Timestamp, scope: Scope) -> Self {
        Self {
            conn,
            now,
            scope,
            depth: 0,
            trace: Trace::default(),
        }
    }

    /// The instant of this unit; the same at every statement.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The hospital.
    pub const fn tenant(&self) -> &TenantId {
        &self.scope.tenant
    }

    /// Who acts.
    pub const fn actor(&self) -> &Actor {
        &self.scope.actor
    }

    /// Which database this is.
    pub const fn dialect(&self) -> Dialect {
        match self.conn {
            Conn::Lite(_) => Dialect::Sqlite,
            Conn::Pg { .. } => Dialect::Postgres,
        }
    }

    /// Runs a statement; answers the number of rows it touched.
    pub async fn exec(&mut self, sql: &str, params: &[&dyn ToValue]) -> Result<u64, StoreError> {
        self.usable()?;
        let done = match &mut self.conn {
            Conn::Lite(conn) => lite_exec(conn, sql, params),
            Conn::Pg { client, opening } => opened(client, opening, pg_exec(client, sql, params)).await,
        };
        self.kept(done)
    }

    /// Runs statements whose counts do not matter, in this order. PostgreSQL gets them in one breath, so that they cost
    /// one way there and back together.
    pub async fn exec_each(&mut self, statements: &[Statement<'_>]) -> Result<(), StoreError> {
        self.usable()?;
        let done = match &mut self.conn {
            Conn::Lite(conn) => {
                let mut each = statements.iter();
                each.try_for_each(|(sql, params)| lite_exec(conn, sql, params).map(drop))
            }
            Conn::Pg { client, opening } => opened(client, opening, pg_exec_each(client, statements)).await,
        };
        self.kept(done)
    }

    /// All rows of a query (or of `… RETURNING`).
    pub async fn all<R: FromRow>(&mut self, sql: &str, params: &[&dyn ToValue]) -> Result<Vec<R>, StoreError> {
        self.usable()?;
        let done = match &mut self.conn {
            Conn::Lite(conn) => lite_all(conn, sql, params),
            Conn::Pg { client, opening } => opened(client, opening, pg_all(client, sql, params)).await,
        };
        self.kept(done)
    }

    /// The first row of a query, if there is one.
    pub async fn opt<R: FromRow>(&mut self, sql: &str, params: &[&dyn ToValue]) -> Result<Option<R>, StoreError> {
        Ok(self.all(sql, params).await?.into_iter().next())
    }

    /// The first row of a query; [`StoreError::Missing`] when there is none.
    pub async fn one<R: FromRow>(&mut self, sql: &str, params: &[&dyn ToValue]) -> Result<R, StoreError> {
        self.opt(sql, params)
            .await?
            .ok_or_else(|| StoreError::Missing { sql: shorten(sql) })
    }

    /// Does something quick once the unit is committed (send on a channel, publish an event); nothing if it is not.
    /// It is a hint: a process that dies right after the commit does not do it.
    pub fn after_commit(&mut self, act: impl FnOnce() + Send + 'static) {
        self.trace.after.push(Box::new(act));
    }

    /// Runs a part of the unit that may fail alone: an `Err` undoes what it wrote, and the unit goes on.
    pub async fn nested<T, E, F>(&mut self, part: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: for<'a> FnOnce(&'a mut Tx<'c>) -> BoxFuture<'a, Result<T, E>>,
    {
        self.depth += 1;
        let name = format!("nested_{}", self.depth);
        let done = self.nested_inner(&name, part).await;
        self.depth -= 1;
        done
    }

    async fn nested_inner<T, E, F>(&mut self, name: &str, part: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: for<'a> FnOnce(&'a mut Tx<'c>) -> BoxFuture<'a, Result<T, E>>,
    {
        self.usable()?;
        self.batch(&format!("SAVEPOINT {name}")).await?;
        let (grown, after) = (self.trace.grown.len(), self.trace.after.len());
        let answer = part(self).await;
        match (answer, self.trace.failed.take()) {
            (Ok(answer), None) => {
                self.batch(&format!("RELEASE SAVEPOINT {name}")).await?;
                Ok(answer)
            }
            (answer, failed) => {
                self.trace.grown.truncate(grown);
                self.trace.after.truncate(after);
                self.batch(&format!("ROLLBACK TO SAVEPOINT {name}")).await?;
                self.batch(&format!("RELEASE SAVEPOINT {name}")).await?;
                Err(answer
                    .err()
                    .unwrap_or_else(|| failed.unwrap_or(StoreError::Aborted).into()))
            }
        }
    }

    /// What should have gone out with the first statement, if there was none.
    pub(crate) const fn unsent(&self) -> Option<&'static str> {
        match &self.conn {
            Conn::Lite(_) => None,
            Conn::Pg { opening, .. } => *opening,
        }
    }

    /// Runs several statements without parameters.
    pub(crate) async fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        let done = match &mut self.conn {
            Conn::Lite(conn) => conn.execute_batch(sql).map_err(|e| from_sqlite(sql, e)),
            Conn::Pg { client, opening } => {
                let run = async { client.batch_execute(sql).await.map_err(|e| from_postgres(sql, &e)) };
                opened(client, opening, run).await
            }
        };
        self.kept(done)
    }

    const fn usable(&self) -> Result<(), StoreError> {
        if self.trace.failed.is_some() {
            return Err(StoreError::Aborted);
        }
        Ok(())
    }

    fn kept<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &done {
            self.trace.failed.get_or_insert_with(|| error.clone());
        }
        done
    }
}

fn bind(statement: &mut rusqlite::Statement<'_>, params: &[&dyn ToValue]) -> rusqlite::Result<()> {
    for (at, param) in params.iter().enumerate() {
        statement.raw_bind_parameter(at + 1, param.to_value())?;
    }
    Ok(())
}

fn lite_exec(conn: &Connection, sql: &str, params: &[&dyn ToValue]) -> Result<u64, StoreError> {
    let run = || {
        let mut statement = conn.prepare_cached(&sql::for_sqlite(sql))?;
        bind(&mut statement, params)?;
        statement.raw_execute()
    };
    let rows = run().map_err(|e| from_sqlite(sql, e))?;
    Ok(u64::try_from(rows).unwrap_or(u64::MAX))
}

fn lite_all<R: FromRow>(conn: &Connection, sql: &str, params: &[&dyn ToValue]) -> Result<Vec<R>, StoreError> {
    let broken = |e| from_sqlite(sql, e);
    let mut statement = conn.prepare_cached(&sql::for_sqlite(sql)).map_err(broken)?;
    bind(&mut statement, params).map_err(broken)?;
    let mut rows = statement.raw_query();
    let mut out = Vec::new();
    while let Some(row) = rows.next().map_err(broken)? {
        out.push(R::from_row(&Row::Lite(row))?);
    }
    Ok(out)
}

/// Runs a statement; before the first of a reading unit its BEGIN goes out, in the same breath.
async fn opened<T>(
    client: &deadpool_postgres::Object,
    opening: &mut Option<&'static str>,
    statement: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let Some(begin) = opening.take() else {
        return statement.await;
    };
    // Polled in this order, so sent in this order.
    let (begun, done) = futures_util::join!(client.batch_execute(begin), statement);
    begun.map_err(|e| from_postgres(begin, &e))?;
    done
}

async fn pg_exec(client: &deadpool_postgres::Object, sql: &str, params: &[&dyn ToValue]) -> Result<u64, StoreError> {
    let broken = |e: tokio_postgres::Error| from_postgres(sql, &e);
    let statement = client.prepare_cached(sql).await.map_err(broken)?;
    let values: Vec<_> = params.iter().map(|p| p.to_value()).collect();
    let refs: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| v as _).collect();
    client.execute(&statement, &refs).await.map_err(broken)
}

async fn pg_exec_each(client: &deadpool_postgres::Object, statements: &[Statement<'_>]) -> Result<(), StoreError> {
    // All are prepared before any is sent: one that still had to be prepared would be overtaken.
    let mut prepared = Vec::with_capacity(statements.len());
    for (sql, params) in statements {
        let broken = |e: tokio_postgres::Error| from_postgres(sql, &e);
        let statement = client.prepare_cached(sql).await.map_err(broken)?;
        let values: Vec<_> = params.iter().map(|p| p.to_value()).collect();
        prepared.push((*sql, statement, values));
    }
    let sent = prepared.iter().map(|(sql, statement, values)| async move {
        let refs: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| v as _).collect();
        let done = client.execute(statement, &refs).await;
        done.map(drop).map_err(|e| from_postgres(sql, &e))
    });
    // Each is sent when it is first polled, and that happens in order; the first failure is the one that counts.
    let done: Vec<Result<(), StoreError>> = join_all(sent).await;
    done.into_iter().collect()
}

async fn pg_all<R: FromRow>(
    client: &deadpool_postgres::Object,
    sql: &str,
    params: &[&dyn ToValue],
) -> Result<Vec<R>, StoreError> {
    let broken = |e: tokio_postgres::Error| from_postgres(sql, &e);
    let statement = client.prepare_cached(sql).await.map_err(broken)?;
    let values: Vec<_> = params.iter().map(|p| p.to_value()).collect();
    let refs: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| v as _).collect();
    let rows = client.query(&statement, &refs).await.map_err(broken)?;
    rows.iter().map(|row| R::from_row(&Row::Pg(row))).collect()
}
