//! The docking station: looks for recorders, and runs one [`crate::session`] per stay.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use recorder::Source;
use recorder::names::Pattern;
use recorder::turns::Limits;
use records::footage::ClipId;
use records::id::EdgeId;
use records::{Clock, Ids, Timestamp};
use store::{BoxFuture, Scope, Store, StoreError, Tx};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::plan::Plan;
use crate::ports::{Bays, Carrier, Light, Sealer};
use crate::rows::{self, Clip};
use crate::session;
use crate::state::ClipStep;
use crate::turns::Turns;

/// How often recorders are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// What a station is made of.
pub struct Options {
    /// The appliance.
    pub edge: EdgeId,
    /// Where copies are kept.
    pub folder: PathBuf,
    /// Room for them.
    pub plan: Plan,
    /// Where recorders appear.
    pub sources: Vec<Box<dyn Source>>,
    /// How file names are read.
    pub pattern: Pattern,
    /// How many are read at the same time.
    pub limits: Limits,
    /// New identifiers.
    pub ids: Arc<Ids>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Signs.
    pub sealer: Arc<dyn Sealer>,
    /// Uploads.
    pub carrier: Arc<dyn Carrier>,
    /// Lights and locks.
    pub bays: Arc<dyn Bays>,
}

/// The station; cheap to clone.
#[derive(Clone)]
pub struct Docking {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    scope: Scope,
    sources: Mutex<Vec<Box<dyn Source>>>,
    options: Fixed,
    turns: Turns,
    wake: Notify,
}

struct Fixed {
    edge: EdgeId,
    folder: PathBuf,
    plan: Plan,
    pattern: Pattern,
    ids: Arc<Ids>,
    clock: Arc<dyn Clock>,
    sealer: Arc<dyn Sealer>,
    carrier: Arc<dyn Carrier>,
    bays: Arc<dyn Bays>,
}

impl Docking {
    /// Opens the station: brings its tables up to date and recovers what was on its way.
    ///
    /// # Errors
    /// Of the database, or when the folder cannot be made.
    pub async fn open(store: Store, scope: Scope, options: Options) -> Result<Self, StoreError> {
        std::fs::create_dir_all(&options.folder).map_err(|e| StoreError::Open {
            what: options.folder.display().to_string(),
            message: e.to_string(),
        })?;
        store.migrate(rows::MIGRATIONS).await?;
        let own = Self {
            inner: Arc::new(Inner {
                store,
                scope,
                sources: Mutex::new(options.sources),
                turns: Turns::new(options.limits),
                wake: Notify::new(),
                options: Fixed {
                    edge: options.edge,
                    folder: options.folder,
                    plan: options.plan,
                    pattern: options.pattern,
                    ids: options.ids,
                    clock: options.clock,
                    sealer: options.sealer,
                    carrier: options.carrier,
                    bays: options.bays,
                },
            }),
        };
        own.recover().await?;
        Ok(own)
    }

    /// Works until stopped; copies under way are broken off and taken up at the next start.
    pub async fn run(&self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        for part in 0..3 {
            let (own, stop) = (self.clone(), stop.clone());
            tasks.spawn(async move {
                match part {
                    0 => own.keep_sealing(&stop).await,
                    1 => own.keep_uploading(&stop).await,
                    _ => own.keep_tidy(&stop).await,
                }
            });
        }
        let stays = Arc::new(Mutex::new(BTreeMap::<String, ()>::new()));
        while !stop.is_cancelled() {
            for (source, plugged) in self.look().await {
                let mut there = stays.lock().unwrap_or_else(PoisonError::into_inner);
                if there.insert(plugged.key.clone(), ()).is_some() {
                    continue;
                }
                drop(there);
                let (own, stays, stop) = (self.clone(), Arc::clone(&stays), stop.clone());
                tasks.spawn(async move {
                    let key = plugged.key.clone();
                    session::stay(&own, source, plugged, &stop).await;
                    stays.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
                });
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    /// What is plugged, with the number of its source.
    async fn look(&self) -> Vec<(usize, recorder::Plugged)> {
        let inner = Arc::clone(&self.inner);
        let looked = tokio::task::spawn_blocking(move || {
            let mut sources = inner.sources.lock().unwrap_or_else(PoisonError::into_inner);
            let mut all = Vec::new();
            for (number, source) in sources.iter_mut().enumerate() {
                match source.plugged() {
                    Ok(found) => all.extend(found.into_iter().map(|p| (number, p))),
                    Err(error) => tracing::warn!(recorder.source = number, %error, "recorders cannot be looked for"),
                }
            }
            all
        });
        looked.await.unwrap_or_default()
    }

    /// The driver of a plugged recorder.
    pub(crate) fn driver(
        &self,
        source: usize,
        plugged: &recorder::Plugged,
    ) -> Result<Box<dyn recorder::RecorderDriver>, recorder::Fault> {
        let sources = self.inner.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.get(source).ok_or(recorder::Fault::Gone)?.driver(plugged)
    }

    /// A recorder was issued: the bay in which it stands says so.
    pub fn offer(&self, serial: &str) {
        self.bays().show(serial, Light::Take);
    }

    /// Has everybody look at once.
    pub fn wake(&self) {
        self.inner.wake.notify_waiters();
    }

    pub(crate) fn woken(&self) -> std::pin::Pin<Box<tokio::sync::futures::Notified<'_>>> {
        let mut woken = Box::pin(self.inner.wake.notified());
        woken.as_mut().enable();
        woken
    }

    /// Rests until woken, stopped or the time is over.
    pub(crate) async fn rest(
        &self,
        stop: &CancellationToken,
        woken: std::pin::Pin<Box<tokio::sync::futures::Notified<'_>>>,
        pause: Duration,
    ) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = woken => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    pub(crate) async fn write<T, F>(&self, closure: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'a, 'c> Fn(&'a mut Tx<'c>) -> BoxFuture<'a, Result<T, StoreError>> + Send + Sync + 'static,
    {
        self.inner.store.write(&self.inner.scope, closure).await
    }

    pub(crate) async fn read<T, F>(&self, closure: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'a, 'c> Fn(&'a mut Tx<'c>) -> BoxFuture<'a, Result<T, StoreError>> + Send + Sync + 'static,
    {
        self.inner.store.read(&self.inner.scope, closure).await
    }

    /// One step of a clip in a unit of its own; wakes whoever waits for it.
    pub(crate) async fn step(&self, id: &ClipId, step: ClipStep, note: &str) -> Result<bool, StoreError> {
        let (id, note) = (id.clone(), note.to_owned());
        let done = self
            .write(move |tx| {
                let (id, note) = (id.clone(), note.clone());
                Box::pin(async move { rows::step_clip(tx, &id, step, &note).await })
            })
            .await?;
        self.wake();
        Ok(done)
    }

    /// Clips last seen in a docking.
    pub(crate) async fn clips(&self, docking: &records::footage::DockingId) -> Result<Vec<Clip>, StoreError> {
        let docking = docking.clone();
        self.read(move |tx| {
            let docking = docking.clone();
            Box::pin(async move { rows::clips_in_docking(tx, &docking).await })
        })
        .await
    }

    pub(crate) fn path(&self, id: &ClipId) -> PathBuf {
        self.inner.options.folder.join(id.as_str())
    }
    pub(crate) fn folder(&self) -> &Path {
        &self.inner.options.folder
    }
    pub(crate) fn plan(&self) -> &Plan {
        &self.inner.options.plan
    }
    pub(crate) fn pattern(&self) -> &Pattern {
        &self.inner.options.pattern
    }
    pub(crate) fn edge(&self) -> &EdgeId {
        &self.inner.options.edge
    }
    pub(crate) fn ids(&self) -> &Arc<Ids> {
        &self.inner.options.ids
    }
    pub(crate) fn sealer(&self) -> &dyn Sealer {
        &*self.inner.options.sealer
    }
    pub(crate) fn carrier(&self) -> &dyn Carrier {
        &*self.inner.options.carrier
    }
    pub(crate) fn bays(&self) -> &dyn Bays {
        &*self.inner.options.bays
    }
    pub(crate) fn turns(&self) -> &Turns {
        &self.inner.turns
    }
    pub(crate) fn now(&self) -> Timestamp {
        self.inner.options.clock.now()
    }
}
