//! The two ends of the line. The appliance's end lives in the measuring process, the cloud's end with its broker in a
//! process of its own; each has its own SQLite file.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use async_trait::async_trait;
use kit::process::Process;
use link::cloud::{BrokerChoice, CloudLink, Registry};
use link::edge::EdgeLink;
use link::{ApplyError, Call, Calls, Inbox, LinkStatus, Tuning};
use records::id::EdgeId;
use records::{Clock, Entropy, Ids, Lane, Outcome, PeerId, SystemClock, TenantId};
use serde_json::{Value, json};
use store::{Entry, Migration, Scope, SqliteOptions, Store, StoreError, StreamKey, Tx};
use tokio::sync::watch;

use crate::papers;

/// Bytes of an entry's body.
pub(super) const BODY: usize = 1024;
/// Entries appended in one unit when a backlog is made.
const UNIT: usize = 500;
/// Nobody waits longer for a line or a backlog.
const PATIENCE: Duration = Duration::from_secs(300);

const APPLIED: &[Migration] = &[Migration {
    name: "bench/0001_applied",
    sql: "CREATE TABLE bench_applied(tenant_id TEXT NOT NULL, number BIGINT NOT NULL, body TEXT NOT NULL,
          PRIMARY KEY (tenant_id, number));",
}];

struct Dice;

impl Entropy for Dice {
    fn fill(&self, buffer: &mut [u8]) {
        rand::fill(buffer);
    }
}

/// Identifiers from the machine's randomness.
pub(crate) fn ids() -> Arc<Ids> {
    Arc::new(Ids::new(Dice))
}

fn tenant() -> Result<TenantId> {
    TenantId::parse("hos_1").context("a hospital's identifier")
}

async fn open(path: &Path) -> Result<Store> {
    let store = Store::open_sqlite(path, SqliteOptions::default(), Arc::new(SystemClock)).await?;
    store.migrate(APPLIED).await?;
    Ok(store)
}

/// A JSON body of [`BODY`] bytes; its text is random hex, so that a batch compresses by half and not to nothing.
pub(super) fn body(number: u64, tell: bool) -> Value {
    let empty = json!({ "number": number, "tell": tell, "text": "" }).to_string().len();
    let bytes = (BODY - empty).div_ceil(2);
    let mut noise = vec![0u8; bytes];
    rand::fill(noise.as_mut_slice());
    let mut text = hex::encode(noise);
    text.truncate(BODY - empty);
    json!({ "number": number, "tell": tell, "text": text })
}

struct Fleet(TenantId);

#[async_trait]
impl Registry for Fleet {
    async fn hospital(&self, edge: &EdgeId) -> Option<TenantId> {
        (edge.as_str() == "edg_1").then(|| self.0.clone())
    }
}

/// Keeps every entry; an entry that asks for it is told of on standard output once it is on disk.
struct Keeping;

#[async_trait]
impl Inbox for Keeping {
    async fn apply(&self, tx: &mut Tx<'_>, _from: &PeerId, entry: &Entry) -> Result<(), ApplyError> {
        let body: Value = serde_json::from_str(&entry.body).map_err(|e| ApplyError::Park(e.to_string()))?;
        let field = |name: &str| body.get(name).cloned().unwrap_or_default();
        let number = field("number")
            .as_u64()
            .ok_or_else(|| ApplyError::Park("no number".to_owned()))?;
        let tenant = tx.tenant().clone();
        tx.exec(
            "INSERT INTO bench_applied(tenant_id, number, body) VALUES ($1, $2, $3)",
            &[&tenant, &number, &entry.body],
        )
        .await?;
        if field("tell") == json!(true) {
            tx.after_commit(move || println!("applied {number} {}", SystemClock.now().as_micros()));
        }
        Ok(())
    }
}

struct Nobody;

#[async_trait]
impl Calls for Nobody {
    async fn handle(&self, call: Call) -> Outcome<Value> {
        Outcome::Done(call.body)
    }
}

/// The cloud's end, until it is killed.
pub(crate) async fn cloud(folder: &Path, port: u16) -> Result<()> {
    let store = open(&folder.join("cloud.db")).await?;
    let options = link::cloud::Options {
        broker: BrokerChoice::Embedded {
            listen: ([127, 0, 0, 1], port).into(),
            tls: papers::server(folder)?,
        },
        registry: Arc::new(Fleet(tenant()?)),
        ids: ids(),
        tuning: Tuning::default(),
    };
    let _link = CloudLink::start(store, options, Arc::new(Keeping)).await?;
    println!("ready");
    std::future::pending().await
}

/// Starts the cloud's end as a process.
pub(super) fn start_cloud(folder: &Path, port: u16) -> Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["role", "cloud-end"]).arg(folder).arg(port.to_string());
    Ok(Process::spawn(command).ready(Duration::from_secs(60)))
}

/// What the cloud's database holds, read after its end has been killed: entries, and the highest number.
pub(super) async fn applied(folder: &Path) -> Result<(u64, u64)> {
    let store = open(&folder.join("cloud.db")).await?;
    let scope = Scope::system(tenant()?);
    let counted = store.read(&scope, |tx| {
        Box::pin(async move {
            tx.one::<(u64, u64)>("SELECT COUNT(*), COALESCE(MAX(number), 0) FROM bench_applied", &[])
                .await
        })
    });
    Ok(counted.await.map_err(|e: StoreError| e)?)
}

/// The appliance's end.
pub(super) struct Edge {
    store: Store,
    scope: Scope,
    key: StreamKey,
    status: watch::Receiver<LinkStatus>,
    next: u64,
    _link: EdgeLink,
}

impl Edge {
    pub(super) async fn start(folder: &Path, port: u16) -> Result<Self> {
        let (store, tenant) = (open(&folder.join("edge.db")).await?, tenant()?);
        let options = link::edge::Options {
            edge: papers::edge_id()?,
            tenant: tenant.clone(),
            broker: format!("mqtts://localhost:{port}"),
            tls: papers::client(folder, "edge")?,
            ids: ids(),
            tuning: Tuning::default(),
        };
        let link = EdgeLink::start(store.clone(), options, Arc::new(Nobody), Arc::new(Keeping)).await?;
        Ok(Self {
            store,
            scope: Scope::system(tenant.clone()),
            key: StreamKey::new(tenant, PeerId::cloud(), Lane::Clinical),
            status: link.status(),
            next: 1,
            _link: link,
        })
    }

    /// Entries appended so far.
    pub(super) fn appended(&self) -> u64 {
        self.next - 1
    }

    /// Appends `count` entries, [`UNIT`] to a unit.
    pub(super) async fn backlog(&mut self, count: u64) -> Result<()> {
        let end = self.next + count;
        while self.next < end {
            let numbers: Vec<u64> = (self.next..end).take(UNIT).collect();
            self.next += numbers.len() as u64;
            append(&self.store, &self.scope, numbers, false).await?;
        }
        Ok(())
    }

    /// Appends one entry in its own unit; the cloud tells of it. Answers its number.
    pub(super) async fn one(&mut self) -> Result<u64> {
        let number = self.next;
        self.next += 1;
        append(&self.store, &self.scope, vec![number], true).await?;
        Ok(number)
    }

    /// `writers` append `each` entries of their own, one to a unit; answers the time of every unit.
    pub(super) async fn writers(&mut self, writers: u64, each: u64) -> Result<crate::timing::Samples> {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..writers {
            let numbers = self.next..self.next + each;
            self.next = numbers.end;
            let (store, scope) = (self.store.clone(), self.scope.clone());
            tasks.spawn(async move {
                let mut times = crate::timing::Samples::default();
                for number in numbers {
                    let begun = Instant::now();
                    append(&store, &scope, vec![number], false).await?;
                    times.push(begun.elapsed());
                }
                Ok::<_, anyhow::Error>(times)
            });
        }
        let mut all = crate::timing::Samples::default();
        while let Some(times) = tasks.join_next().await {
            all.join(times??);
        }
        Ok(all)
    }

    /// Waits for the line to be up.
    pub(super) async fn online(&mut self) -> Result<()> {
        let up = self.status.wait_for(|s| s.online);
        tokio::time::timeout(PATIENCE, up)
            .await
            .context("the line did not come up")??;
        Ok(())
    }

    /// Waits for the line to be seen as down.
    pub(super) async fn offline(&mut self) -> Result<()> {
        let down = self.status.wait_for(|s| !s.online);
        tokio::time::timeout(PATIENCE, down)
            .await
            .context("the line did not go down")??;
        Ok(())
    }

    /// Waits until everything appended is acknowledged and that is on disk here.
    pub(super) async fn drained(&mut self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let state = self.store.stream(&self.key).await?;
            ensure!(state.last_seq == self.appended(), "entries were lost here: {state:?}");
            if state.depth() == 0 {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                bail!("{} entries were not acknowledged in time", state.depth());
            }
            // The status changes with the depth; the pause bounds what a missed change can cost.
            let _ = tokio::time::timeout(Duration::from_millis(2), self.status.changed()).await;
        }
    }
}

async fn append(store: &Store, scope: &Scope, numbers: Vec<u64>, tell: bool) -> Result<()> {
    let bodies: Vec<Value> = numbers.iter().map(|n| body(*n, tell)).collect();
    let written = store.write(scope, move |tx| {
        let bodies = bodies.clone();
        Box::pin(async move {
            for body in bodies {
                tx.append(&PeerId::cloud(), Lane::Clinical, "bench.entry", "e", &body)
                    .await?;
            }
            Ok::<_, StoreError>(())
        })
    });
    Ok(written.await?)
}
