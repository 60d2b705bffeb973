//! A station with real folders and a real database; the signature server, the cloud, the bays and the recorders' faults are
//! played.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docking::{Bays, Carried, Carrier, Docking, Light, Options, Plan, Sealer, Signer};
use recorder::names::Pattern;
use recorder::storage::{Folder, Storage};
use recorder::turns::Limits;
use recorder::{Fault, Found, Identity, Listing, Plugged, Profile, RecorderDriver, Source};
use records::footage::{
    CustodyEntry, FootageConfirmed, FootageRefusal, FootageRefused, RecorderListed, SealedFootage, kind,
};
use records::id::EdgeId;
use records::{Actor, Ids, Lane, Outcome, PeerId, SeededEntropy, SystemClock, TenantId, Timestamp};
use store::{Scope, SqliteOptions, Store, StoreError, StreamKey};
use tokio_util::sync::CancellationToken;

/// For whatever must come.
const PATIENCE: Duration = Duration::from_secs(120);

struct Paper;

#[async_trait]
impl Sealer for Paper {
    async fn seal(&self, signer: &Signer, key: &str, document: &[u8]) -> Outcome<String> {
        assert!(signer.id.starts_with("edg_1/") && !signer.pin.is_empty());
        Outcome::Done(STANDARD.encode(format!("{key} {}", document.len())))
    }
}

/// Takes everything up, unless told otherwise.
#[derive(Default)]
pub(crate) struct Cloud {
    pub(crate) down: AtomicBool,
    /// A content it does not take, however often it is offered.
    pub(crate) too_large: Mutex<Option<Vec<u8>>>,
    pub(crate) carried: AtomicU32,
}

#[async_trait]
impl Carrier for Cloud {
    async fn carry(&self, file: &Path) -> Carried {
        if self.down.load(Ordering::SeqCst) {
            return Carried::Later("no line".to_owned());
        }
        self.carried.fetch_add(1, Ordering::SeqCst);
        match std::fs::read(file) {
            Ok(bytes) if self.too_large.lock().unwrap().as_ref() == Some(&bytes) => Carried::Later("507".to_owned()),
            Ok(bytes) => Carried::Whole(sha256(&bytes)),
            Err(error) => Carried::Unreadable(error.to_string()),
        }
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let (hash, _) = recorder::copy::sha256(bytes, &recorder::copy::Control::default(), Fault::Card).unwrap();
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

/// What the bays were told: who came (`+`) and went (`-`), by port.
#[derive(Default)]
pub(crate) struct Seats(pub(crate) Mutex<Vec<String>>);

impl Bays for Seats {
    fn show(&self, _: &str, _: Light) {}
    fn place(&self, port: &str) -> Option<String> {
        (port == "bay1").then(|| "1号槽位".to_owned())
    }
    fn seat(&self, plugged: &Plugged, serial: Option<&str>) {
        let told = serial.map_or_else(|| format!("-{}", plugged.port), |s| format!("+{} {s}", plugged.port));
        let mut seats = self.0.lock().unwrap();
        if seats.last() != Some(&told) {
            seats.push(told);
        }
    }
}

/// Recorders in folders whose cards fail as told.
#[derive(Clone, Default)]
pub(crate) struct Faults(pub(crate) Arc<Mutex<HashMap<String, (usize, bool)>>>);

struct Shelf {
    inner: recorder::storage::Folders,
    faults: Faults,
}

impl Source for Shelf {
    fn plugged(&mut self) -> std::io::Result<Vec<Plugged>> {
        self.inner.plugged()
    }
    fn driver(&self, plugged: &Plugged) -> Result<Box<dyn RecorderDriver>, Fault> {
        let storage = Storage::new(Folder::new(&plugged.path), Profile::default());
        Ok(Box::new(Worn(storage, self.faults.clone())))
    }
}

/// A recorder with a worn card: a file named in the faults breaks off at a byte, once or always.
struct Worn(Storage<Folder>, Faults);

impl RecorderDriver for Worn {
    fn unlock(&mut self) -> Result<(), Fault> {
        self.0.unlock()
    }
    fn identify(&mut self) -> Result<Identity, Fault> {
        self.0.identify()
    }
    fn battery(&mut self) -> Result<Option<u8>, Fault> {
        self.0.battery()
    }
    fn clock(&mut self) -> Result<Option<i64>, Fault> {
        self.0.clock()
    }
    fn list(&mut self, now: i64) -> Result<Listing, Fault> {
        self.0.list(now)
    }
    fn open(&mut self, file: &Found) -> Result<Box<dyn Read + Send>, Fault> {
        let mut reader = self.0.open(file)?;
        let name = file.path.to_string_lossy().into_owned();
        let mut faults = self.1.0.lock().unwrap();
        let Some((at, always)) = faults.get(&name).copied() else {
            return Ok(reader);
        };
        if !always {
            faults.remove(&name);
        }
        let mut good = vec![0u8; at];
        reader.read_exact(&mut good).map_err(Fault::Card)?;
        Ok(Box::new(std::io::Cursor::new(good).chain(Broken)))
    }
    fn allow_clearing(&mut self) -> Result<(), Fault> {
        self.0.allow_clearing()
    }
    fn clear(&mut self, file: &Found) -> Result<(), Fault> {
        self.0.clear(file)
    }
    fn set_clock(&mut self, now: i64) -> Result<(), Fault> {
        self.0.set_clock(now)
    }
    fn eject(&mut self) -> Result<(), Fault> {
        self.0.eject()
    }
    fn present(&self) -> bool {
        self.0.present()
    }
    fn is_live(&self) -> bool {
        true
    }
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::from_raw_os_error(5))
    }
}

pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) scope: Scope,
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) faults: Faults,
    pub(crate) bays: Arc<Seats>,
    plan: Plan,
    pub(crate) docking: Docking,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    heard: u64,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with_room(0).await
    }

    /// With room for so many bytes of footage; 0 for as much as the disk holds.
    pub(crate) async fn with_room(most_bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("shelf")).unwrap();
        let store = Store::open_sqlite(
            &folder.path().join("edge.sqlite"),
            SqliteOptions::default(),
            Arc::new(SystemClock),
        )
        .await
        .unwrap();
        let tenant = TenantId::parse("hos_1").unwrap();
        let scope = Scope::new(tenant, Actor::Edge(EdgeId::parse("edg_1").unwrap()));
        let (cloud, faults, bays) = (Arc::new(Cloud::default()), Faults::default(), Arc::default());
        let plan = Plan {
            most_bytes,
            keep_free_bytes: 0,
            ..Plan::default()
        };
        let docking = open(&folder, &store, &scope, (&cloud, &faults, &bays), &plan).await;
        let (stop, task) = run(&docking);
        Self {
            folder,
            store,
            scope,
            cloud,
            faults,
            bays,
            plan,
            docking,
            stop,
            task,
            heard: 0,
        }
    }

    /// Ends between two of its steps, and starts again when nothing of it works any more.
    pub(crate) async fn restart(&mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap();
        self.docking = open(
            &self.folder,
            &self.store,
            &self.scope,
            (&self.cloud, &self.faults, &self.bays),
            &self.plan,
        )
        .await;
        (self.stop, self.task) = run(&self.docking);
    }

    pub(crate) fn shelf(&self) -> PathBuf {
        self.folder.path().join("shelf")
    }

    /// A recorder with these files, plugged; its clock stands at the beginning of 2026.
    pub(crate) fn plug(&self, bay: &str, serial: &str, files: &[(&str, &[u8])]) -> PathBuf {
        self.plug_at(bay, serial, "2026-01-01 00:00:00", files)
    }

    /// The same, with another clock.
    pub(crate) fn plug_at(&self, bay: &str, serial: &str, clock: &str, files: &[(&str, &[u8])]) -> PathBuf {
        let aside = self.folder.path().join(format!("aside-{bay}"));
        std::fs::create_dir_all(&aside).unwrap();
        std::fs::write(
            aside.join("DEVICE.INF"),
            format!("serial={serial}\nmodel=R1\ntime={clock}\n"),
        )
        .unwrap();
        for (name, bytes) in files {
            std::fs::write(aside.join(name), bytes).unwrap();
        }
        let at = self.shelf().join(bay);
        std::fs::rename(aside, &at).unwrap();
        at
    }

    pub(crate) async fn tell<F>(&self, act: F)
    where
        F: for<'a, 'c> Fn(&'a mut store::Tx<'c>) -> store::BoxFuture<'a, Result<(), StoreError>>
            + Send
            + Sync
            + 'static,
    {
        self.store.write(&self.scope, act).await.unwrap();
        self.docking.wake();
    }

    pub(crate) async fn list(&self, serial: &str) {
        let body = RecorderListed {
            serial: serial.to_owned(),
            model: "R1".to_owned(),
            hospital: "示范医院".to_owned(),
            at: Timestamp::default(),
        };
        self.tell(move |tx| {
            let body = body.clone();
            Box::pin(async move { Docking::list(tx, &body).await })
        })
        .await;
    }

    pub(crate) async fn until_state(&self, serial: &str, state: &str) -> docking::DockingRow {
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = self.docking.overview().await.unwrap().dockings;
            if let Some(row) = seen.iter().find(|d| d.serial == serial && d.state.as_str() == state) {
                return row.clone();
            }
            assert!(Instant::now() < end, "waited in vain for {serial} {state}: {seen:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What the appliance told the cloud since it was asked last, of a kind.
    pub(crate) async fn told(&mut self, wanted: &str) -> Vec<serde_json::Value> {
        let key = StreamKey {
            tenant: self.scope.tenant.clone(),
            peer: PeerId::cloud(),
            lane: Lane::Clinical,
        };
        let entries = self.store.outbox_after(&key, self.heard, 1000, 1 << 24).await.unwrap();
        self.heard = entries.last().map_or(self.heard, |e| e.seq);
        let mine = entries.iter().filter(|e| e.kind == wanted);
        mine.map(|e| serde_json::from_str(&e.body).unwrap()).collect()
    }

    /// Waits for so many sealed clips; answers their entries, in order of arrival.
    pub(crate) async fn sealed(&mut self, count: usize) -> Vec<(SealedFootage, CustodyEntry)> {
        let end = Instant::now() + PATIENCE;
        let mut all = Vec::new();
        while all.len() < count {
            for body in self.told(kind::FOOTAGE_SEALED).await {
                let body: SealedFootage = serde_json::from_value(body).unwrap();
                let entry = serde_json::from_slice(&STANDARD.decode(&body.entry).unwrap()).unwrap();
                all.push((body, entry));
            }
            assert!(Instant::now() < end, "only {} of {count} were sealed", all.len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        all
    }

    pub(crate) async fn confirm(&self, entry: &CustodyEntry, sha256: &str) {
        let body = FootageConfirmed {
            clip: entry.clip.clone(),
            sha256: sha256.to_owned(),
            at: Timestamp::default(),
        };
        self.tell(move |tx| {
            let body = body.clone();
            Box::pin(async move { Docking::confirm(tx, &body).await })
        })
        .await;
    }

    pub(crate) async fn refuse(&self, entry: &CustodyEntry, reason: FootageRefusal) {
        let body = FootageRefused {
            clip: entry.clip.clone(),
            reason,
            text: "文件未到达".to_owned(),
            at: Timestamp::default(),
        };
        self.tell(move |tx| {
            let body = body.clone();
            Box::pin(async move { Docking::refuse(tx, &body).await })
        })
        .await;
    }
}

pub(crate) async fn open(
    folder: &tempfile::TempDir,
    store: &Store,
    scope: &Scope,
    (cloud, faults, bays): (&Arc<Cloud>, &Faults, &Arc<Seats>),
    plan: &Plan,
) -> Docking {
    let options = Options {
        edge: EdgeId::parse("edg_1").unwrap(),
        folder: folder.path().join("footage"),
        plan: plan.clone(),
        sources: vec![Box::new(Shelf {
            inner: recorder::storage::Folders::new(folder.path().join("shelf"), Profile::default()),
            faults: faults.clone(),
        })],
        pattern: Pattern::parse("{serial}_{user}_{time}_{number}").unwrap(),
        limits: Limits {
            per_controller: 2,
            in_all: 2,
        },
        ids: Arc::new(Ids::new(SeededEntropy::new(std::process::id().into()))),
        clock: Arc::new(SystemClock),
        sealer: Arc::new(Paper),
        carrier: cloud.clone(),
        bays: bays.clone(),
    };
    Docking::open(store.clone(), scope.clone(), options).await.unwrap()
}

pub(crate) fn run(docking: &Docking) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let (stop, own) = (CancellationToken::new(), docking.clone());
    let ending = stop.clone();
    (stop, tokio::spawn(async move { own.run(ending).await }))
}
