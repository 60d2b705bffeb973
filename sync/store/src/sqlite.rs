//! SQLite: one writer thread with group commit, a few reader threads.
//!
//! Invariants: a caller is answered only after the commit that holds its unit is on disk (WAL, `synchronous=FULL`);
//! a unit that fails leaves nothing (a savepoint each); a full disk never wedges the file, because the ballast beside
//! it is given up first and only writes that free space pass until it can be laid down again.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::{Context, Poll, Waker};

use fs2::FileExt;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OpenFlags};

use crate::error::from_sqlite;
use crate::tx::Conn;
use crate::work::Work;
use crate::{StoreError, Tx};

/// Units that share one commit.
const GROUP: usize = 256;

/// Settings of an SQLite store.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Reader threads.
    pub readers: usize,
    /// The file never grows beyond this; `None` for no bound but the disk.
    pub max_bytes: Option<u64>,
    /// Size of the file laid beside the database, given up when the disk is full so that deleting still works.
    pub ballast_bytes: u64,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            readers: 2,
            max_bytes: None,
            ballast_bytes: 8 << 20,
        }
    }
}

/// A unit of work on its way through a thread.
pub(crate) trait Unit: Send {
    /// Runs the closure; `false` when its writes are to be undone. May be called again after a lost transaction.
    fn run(&mut self, conn: &mut Connection) -> bool;
    /// The failure of a statement in the last run.
    fn failure(&self) -> Option<&StoreError>;
    /// Only frees space, so that it may run on a full disk.
    fn relieves(&self) -> bool;
    /// Answers the caller.
    fn settle(self: Box<Self>, commit: Result<(), StoreError>);
}

impl<T, E, F> Unit for Work<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: for<'a, 'c> Fn(&'a mut Tx<'c>) -> BoxFuture<'a, Result<T, E>> + Send,
{
    fn run(&mut self, conn: &mut Connection) -> bool {
        let mut tx = self.open(Conn::Lite(conn));
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut future = (self.closure)(&mut tx);
            future.poll_unpin(&mut Context::from_waker(Waker::noop()))
        }));
        let answer = match polled {
            Ok(Poll::Ready(answer)) => answer,
            Ok(Poll::Pending) => Err(StoreError::Awaited.into()),
            Err(_) => Err(StoreError::Panicked.into()),
        };
        let trace = std::mem::take(&mut tx.trace);
        self.ran(answer, trace)
    }

    fn failure(&self) -> Option<&StoreError> {
        self.trace.failed.as_ref()
    }

    fn relieves(&self) -> bool {
        self.relieves
    }

    fn settle(self: Box<Self>, commit: Result<(), StoreError>) {
        self.answer(commit);
    }
}

/// The threads of one SQLite file. They end when the last handle is dropped.
pub(crate) struct Lite {
    writer: mpsc::Sender<Box<dyn Unit>>,
    readers: mpsc::Sender<Box<dyn Unit>>,
}

impl Lite {
    pub(crate) fn open(path: &Path, options: &SqliteOptions) -> Result<Self, StoreError> {
        let refused = |message: String| StoreError::Open {
            what: path.display().to_string(),
            message,
        };
        let conn = open_writer(path, options).map_err(|e| refused(e.to_string()))?;
        let ballast = Ballast::lay(path, options.ballast_bytes);
        let (writer, jobs) = mpsc::channel();
        spawn("store-writer", move || write_loop(conn, ballast, &jobs)).map_err(|e| refused(e.to_string()))?;

        let (readers, jobs) = mpsc::channel();
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..options.readers.max(1) {
            let conn = open_reader(path).map_err(|e| refused(e.to_string()))?;
            let jobs = Arc::clone(&jobs);
            spawn("store-reader", move || read_loop(conn, &jobs)).map_err(|e| refused(e.to_string()))?;
        }
        Ok(Self { writer, readers })
    }

    pub(crate) fn write(&self, unit: Box<dyn Unit>) {
        if let Err(mpsc::SendError(unit)) = self.writer.send(unit) {
            unit.settle(Err(StoreError::Closed));
        }
    }

    pub(crate) fn read(&self, unit: Box<dyn Unit>) {
        if let Err(mpsc::SendError(unit)) = self.readers.send(unit) {
            unit.settle(Err(StoreError::Closed));
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map(drop)
}

fn open_writer(path: &Path, options: &SqliteOptions) -> rusqlite::Result<Connection> {
    let conn = Connection::open(path)?;
    conn.set_prepared_statement_cache_capacity(512);
    // auto_vacuum only takes effect before the first table; the page size must be known to bound the file.
    conn.execute_batch(
        "PRAGMA busy_timeout = 10000; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864;
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000;",
    )?;
    if let Some(max) = options.max_bytes {
        let page: u32 = conn.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        conn.query_row(
            &format!("PRAGMA max_page_count = {}", max / u64::from(page.max(1))),
            [],
            |_| Ok(()),
        )?;
    }
    Ok(conn)
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.set_prepared_statement_cache_capacity(512);
    conn.execute_batch("PRAGMA busy_timeout = 10000; PRAGMA query_only = ON; PRAGMA cache_size = -8000;")?;
    Ok(conn)
}

fn read_loop(mut conn: Connection, jobs: &Mutex<mpsc::Receiver<Box<dyn Unit>>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut unit) = next else { return };
        let begun = step(&conn, "BEGIN");
        if begun.is_ok() {
            unit.run(&mut conn);
            let _ = step(&conn, "ROLLBACK");
        }
        unit.settle(begun);
    }
}

fn write_loop(mut conn: Connection, mut ballast: Ballast, jobs: &mpsc::Receiver<Box<dyn Unit>>) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        group.extend(jobs.try_iter().take(GROUP - 1));
        run_group(&mut conn, &mut ballast, group);
    }
    let _ = conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
}

fn step(conn: &Connection, sql: &str) -> Result<(), StoreError> {
    conn.prepare_cached(sql)
        .and_then(|mut statement| statement.execute([]))
        .map(drop)
        .map_err(|e| from_sqlite(sql, e))
}

/// Runs the units in one transaction and answers them.
fn run_group(conn: &mut Connection, ballast: &mut Ballast, mut group: Vec<Box<dyn Unit>>) {
    if !ballast.ready() {
        let (relieving, refused): (Vec<_>, Vec<_>) = group.into_iter().partition(|unit| unit.relieves());
        for unit in refused {
            unit.settle(Err(StoreError::Full));
        }
        group = relieving;
    }
    if group.is_empty() {
        return;
    }
    let done = run_units(conn, &mut group);
    if done == Err(StoreError::Full) || group.iter().any(|u| u.failure() == Some(&StoreError::Full)) {
        ballast.give_up(conn);
    }
    // A failed statement on a full disk takes the whole transaction with it, the innocent units too: those again, alone.
    if done.is_err() && done != Err(StoreError::Busy) && group.len() > 1 {
        for unit in group {
            run_group(conn, ballast, vec![unit]);
        }
        return;
    }
    for unit in group {
        unit.settle(done.clone());
    }
}

fn run_units(conn: &mut Connection, group: &mut [Box<dyn Unit>]) -> Result<(), StoreError> {
    step(conn, "BEGIN IMMEDIATE")?;
    let done = run_inside(conn, group);
    if done.is_err() && !conn.is_autocommit() {
        let _ = step(conn, "ROLLBACK");
    }
    done
}

fn run_inside(conn: &mut Connection, group: &mut [Box<dyn Unit>]) -> Result<(), StoreError> {
    for unit in group {
        step(conn, "SAVEPOINT unit")?;
        let good = unit.run(conn);
        if conn.is_autocommit() {
            return Err(unit.failure().cloned().unwrap_or(StoreError::Aborted));
        }
        if !good {
            step(conn, "ROLLBACK TO unit")?;
        }
        step(conn, "RELEASE unit")?;
    }
    step(conn, "COMMIT")
}

/// Space held back for the day the disk is full: SQLite in WAL mode needs some even to delete.
struct Ballast {
    path: PathBuf,
    bytes: u64,
    given_up: bool,
}

impl Ballast {
    fn lay(database: &Path, bytes: u64) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push(".ballast");
        let mut ballast = Self {
            path: path.into(),
            bytes,
            given_up: bytes > 0,
        };
        if !ballast.ready() {
            tracing::error!(store.path = %ballast.path.display(), "no room for the ballast; the store only frees space");
        }
        ballast
    }

    /// Whether ordinary writes may pass; lays a ballast that was given up down again as soon as there is room.
    fn ready(&mut self) -> bool {
        if self.given_up && self.reserve().is_ok() {
            self.given_up = false;
        }
        !self.given_up
    }

    fn reserve(&self) -> std::io::Result<()> {
        let reserved = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.path)
            .and_then(|file: File| file.allocate(self.bytes));
        if reserved.is_err() {
            let _ = std::fs::remove_file(&self.path);
        }
        reserved
    }

    fn give_up(&mut self, conn: &Connection) {
        if self.bytes == 0 {
            return;
        }
        self.given_up = true;
        let _ = std::fs::remove_file(&self.path);
        tracing::error!(store.path = %self.path.display(), "database full; ballast given up, ordinary writes refused");
        let freed = crate::outbox::RELIEF.iter().try_for_each(|sql| conn.execute_batch(sql));
        if let Err(error) = freed {
            tracing::error!(%error, "freeing space failed");
        }
    }
}
