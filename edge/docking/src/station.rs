//! The docking station: looks for recorders, runs one [`crate::session`] per stay, and takes what the cloud tells.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use recorder::Source;
use recorder::names::Pattern;
use recorder::turns::Limits;
use records::footage::{
    ClipId, DockingId, FootageConfirmed, FootageRefusal, FootageRefused, RecorderIssue, RecorderListed, RecorderReturn,
    RecorderUnlisted,
};
use records::id::EdgeId;
use records::{Clock, Ids, Timestamp};
use store::{BoxFuture, Scope, Store, StoreError, Tx};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::plan::{Plan, Room};
use crate::ports::{Bays, Carrier, Light, Sealer};
use crate::rows::{self, Clip, DockingRow};
use crate::state::{ClipState, ClipStep, DockingState};
use crate::turns::Turns;
use crate::{register, session};

/// Said of footage that neither the cloud nor we have any more.
const GONE: &str = "云端缺少该片段，本机副本已按保留期清除，无法补传；若记录仪中仍有该文件，请重新插入采集";

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

/// What the console shows.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Dockings: those whose recorder is there first.
    pub dockings: Vec<DockingRow>,
    /// Clips of those, by docking: how many, and how many are through (confirmed or cleared).
    pub progress: BTreeMap<DockingId, (u64, u64)>,
    /// Clips that wait for the cloud or a person.
    pub open_clips: u64,
    /// Their bytes.
    pub open_bytes: u64,
    /// Clips by state, without those cleared.
    pub states: Vec<Standing>,
    /// Percent of the room for footage that is taken.
    pub taken_percent: u64,
    /// Bytes of copies here.
    pub kept_bytes: u64,
    /// Bytes that may still be written.
    pub left_bytes: u64,
    /// What a person has to look at, in plain words.
    pub warnings: Vec<String>,
}

store::row! {
    /// How many clips are in a state.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Standing {
        /// The state.
        pub state: ClipState,
        /// Clips.
        pub count: u64,
        /// Their bytes.
        pub bytes: u64,
    }
}

fn warnings(dockings: &[DockingRow], states: &[Standing], taken_percent: u64) -> Vec<String> {
    let mut warnings = Vec::new();
    if taken_percent >= Plan::WARNED_AT {
        warnings.push(format!("视音频存储空间已用{taken_percent}%，请检查云端线路或扩容"));
    }
    for one in dockings {
        if matches!(one.state, DockingState::Held | DockingState::Kept) {
            let who = if one.serial.is_empty() { &one.place } else { &one.serial };
            warnings.push(format!("记录仪 {who}：{}", one.note));
        }
    }
    let count = |state| states.iter().find(|s| s.state == state).map_or(0, |s| s.count);
    for (state, words) in [
        (ClipState::Refused, "个片段被云端拒收，仍保留在记录仪中，请人工核对"),
        (ClipState::Lost, "个片段在采集前已从记录仪消失"),
        (ClipState::Missing, "个片段云端缺失且本机副本已清除，无法补传"),
    ] {
        if count(state) > 0 {
            warnings.push(format!("{}{words}", count(state)));
        }
    }
    warnings
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

    /// How it stands.
    ///
    /// # Errors
    /// Of the database.
    pub async fn overview(&self) -> Result<Overview, StoreError> {
        let room: Room = self.room().await?;
        let (dockings, progress, states) = self
            .read(|tx| {
                Box::pin(async move {
                    let tenant = tx.tenant().clone();
                    let states: Vec<Standing> = tx
                        .all(
                            // What was cleared long ago is most of the table, and nothing anybody waits for.
                            "SELECT state, COUNT(*) AS count, CAST(SUM(size) AS BIGINT) AS bytes FROM docking_clip
                             WHERE tenant_id = $1 AND state IN ('found', 'copying', 'copied', 'verified', 'sealing', 'sealed',
                                'uploaded', 'confirmed', 'unreadable', 'refused', 'lost', 'missing')
                             GROUP BY state ORDER BY state",
                            &[&tenant],
                        )
                        .await?;
                    let (dockings, mut progress) = (rows::dockings(tx, 40).await?, BTreeMap::new());
                    for docking in dockings.iter().filter(|d| d.state.is_open()) {
                        let clips = rows::clips_in_docking(tx, &docking.id).await?;
                        let through = clips.iter().filter(|c| c.state.is_through()).count();
                        progress.insert(docking.id.clone(), (clips.len() as u64, through as u64));
                    }
                    Ok((dockings, progress, states))
                })
            })
            .await?;
        let open = states.iter().filter(|s| !s.state.is_through());
        let (open_clips, open_bytes) = open.fold((0, 0u64), |(n, b), s| (n + s.count, b.saturating_add(s.bytes)));
        let taken_percent = self.plan().taken(room);
        Ok(Overview {
            warnings: warnings(&dockings, &states, taken_percent),
            dockings,
            progress,
            open_clips,
            open_bytes,
            states,
            taken_percent,
            kept_bytes: room.kept,
            left_bytes: self.plan().left(room),
        })
    }

    // What the cloud tells, in the unit that moves the inbox cursor. Call `wake` after the commit.

    /// A recorder is on the white list.
    ///
    /// # Errors
    /// Of the database.
    pub async fn list(tx: &mut Tx<'_>, body: &RecorderListed) -> Result<(), StoreError> {
        register::list(tx, body).await
    }

    /// A recorder is not (any more).
    ///
    /// # Errors
    /// Of the database.
    pub async fn unlist(tx: &mut Tx<'_>, body: &RecorderUnlisted) -> Result<(), StoreError> {
        register::unlist(tx, body).await
    }

    /// A recorder was given to a person.
    ///
    /// # Errors
    /// Of the database.
    pub async fn issue(tx: &mut Tx<'_>, body: &RecorderIssue) -> Result<(), StoreError> {
        register::issue(tx, body).await
    }

    /// An issue ended.
    ///
    /// # Errors
    /// Of the database.
    pub async fn give_back(tx: &mut Tx<'_>, body: &RecorderReturn) -> Result<(), StoreError> {
        register::give_back(tx, body).await
    }

    /// The cloud keeps a clip. A hash that is not ours confirms nothing.
    ///
    /// # Errors
    /// Of the database.
    pub async fn confirm(tx: &mut Tx<'_>, body: &FootageConfirmed) -> Result<(), StoreError> {
        let Some(clip) = rows::clip(tx, &body.clip).await? else {
            tracing::error!(clip.id = %body.clip, "confirmation of a clip that is not ours");
            return Ok(());
        };
        if clip.sha256.as_deref() != Some(body.sha256.as_str()) {
            tracing::error!(clip.id = %body.clip, "confirmation with another hash; the clip stays on its recorder");
            return Ok(());
        }
        rows::step_clip(tx, &body.clip, ClipStep::Confirm, "").await.map(drop)
    }

    /// The cloud could not confirm a clip.
    ///
    /// # Errors
    /// Of the database.
    pub async fn refuse(tx: &mut Tx<'_>, body: &FootageRefused) -> Result<(), StoreError> {
        let kept = rows::clip(tx, &body.clip).await?.is_some_and(|c| c.purged_at.is_none());
        let (step, words) = match body.reason {
            FootageRefusal::Missing if kept => (ClipStep::SendAgain, body.text.as_str()),
            // Confirmed long ago, then removed to make room: saying "sent again" would be a promise nobody can keep.
            FootageRefusal::Missing => (ClipStep::Miss, GONE),
            FootageRefusal::Unsound => (ClipStep::Refuse, body.text.as_str()),
        };
        if rows::step_clip(tx, &body.clip, step, words).await? && step == ClipStep::Miss {
            tracing::error!(clip.id = %body.clip, "the cloud misses footage that was removed here after it had confirmed it");
        }
        Ok(())
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
