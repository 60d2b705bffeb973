//! The station with real folders and a real database; the signature server, the cloud and the recorders' faults are played.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docking::{Carried, Carrier, Docking, NoBays, Options, Plan, Sealer, Signer};
use recorder::names::Pattern;
use recorder::storage::{Folder, Storage};
use recorder::turns::Limits;
use recorder::{Fault, Found, Identity, Listing, Plugged, Profile, RecorderDriver, Source};
use records::footage::{
    CustodyEntry, FootageConfirmed, FootageRefusal, FootageRefused, IssueId, RecorderIssue, RecorderListed,
    RecorderUnlisted, SealedFootage, kind,
};
use records::id::EdgeId;
use records::{Actor, Ids, Lane, Outcome, PeerId, SeededEntropy, SystemClock, TenantId, Timestamp};
use store::{Scope, SqliteOptions, Store, StoreError, StreamKey};
use tokio_util::sync::CancellationToken;

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
struct Cloud {
    down: AtomicBool,
    carried: AtomicU32,
}

#[async_trait]
impl Carrier for Cloud {
    async fn carry(&self, file: &Path) -> Carried {
        if self.down.load(Ordering::SeqCst) {
            return Carried::Later("no line".to_owned());
        }
        self.carried.fetch_add(1, Ordering::SeqCst);
        match std::fs::read(file) {
            Ok(bytes) => Carried::Whole(sha256(&bytes)),
            Err(error) => Carried::Unreadable(error.to_string()),
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    let (hash, _) = recorder::copy::sha256(bytes, &recorder::copy::Control::default(), Fault::Card).unwrap();
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

/// Recorders in folders whose cards fail as told.
#[derive(Clone, Default)]
struct Faults(Arc<Mutex<HashMap<String, (usize, bool)>>>);

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

struct Site {
    folder: tempfile::TempDir,
    store: Store,
    scope: Scope,
    cloud: Arc<Cloud>,
    faults: Faults,
    docking: Docking,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    heard: u64,
}

impl Site {
    async fn new() -> Self {
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
        let (cloud, faults) = (Arc::new(Cloud::default()), Faults::default());
        let docking = open(&folder, &store, &scope, &cloud, &faults).await;
        let (stop, task) = run(&docking);
        Self {
            folder,
            store,
            scope,
            cloud,
            faults,
            docking,
            stop,
            task,
            heard: 0,
        }
    }

    /// Ends as a power cut would leave it (nothing is told), and starts again.
    async fn restart(&mut self) {
        self.task.abort();
        self.stop.cancel();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        self.docking = open(&self.folder, &self.store, &self.scope, &self.cloud, &self.faults).await;
        (self.stop, self.task) = run(&self.docking);
    }

    fn shelf(&self) -> PathBuf {
        self.folder.path().join("shelf")
    }

    /// A recorder with these files, plugged.
    fn plug(&self, bay: &str, serial: &str, files: &[(&str, &[u8])]) -> PathBuf {
        let aside = self.folder.path().join(format!("aside-{bay}"));
        std::fs::create_dir_all(&aside).unwrap();
        std::fs::write(
            aside.join("DEVICE.INF"),
            format!("serial={serial}\nmodel=R1\ntime=2026-01-01 00:00:00\n"),
        )
        .unwrap();
        for (name, bytes) in files {
            std::fs::write(aside.join(name), bytes).unwrap();
        }
        let at = self.shelf().join(bay);
        std::fs::rename(aside, &at).unwrap();
        at
    }

    async fn tell<F>(&self, act: F)
    where
        F: for<'a, 'c> Fn(&'a mut store::Tx<'c>) -> store::BoxFuture<'a, Result<(), StoreError>>
            + Send
            + Sync
            + 'static,
    {
        self.store.write(&self.scope, act).await.unwrap();
        self.docking.wake();
    }

    async fn list(&self, serial: &str) {
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

    async fn until_state(&self, serial: &str, state: &str) -> docking::DockingRow {
        let end = Instant::now() + Duration::from_secs(30);
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
    async fn told(&mut self, wanted: &str) -> Vec<serde_json::Value> {
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
    async fn sealed(&mut self, count: usize) -> Vec<(SealedFootage, CustodyEntry)> {
        let end = Instant::now() + Duration::from_secs(30);
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

    async fn confirm(&self, entry: &CustodyEntry, sha256: &str) {
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

    async fn refuse(&self, entry: &CustodyEntry, reason: FootageRefusal) {
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

async fn open(
    folder: &tempfile::TempDir,
    store: &Store,
    scope: &Scope,
    cloud: &Arc<Cloud>,
    faults: &Faults,
) -> Docking {
    let options = Options {
        edge: EdgeId::parse("edg_1").unwrap(),
        folder: folder.path().join("footage"),
        plan: Plan {
            keep_free_bytes: 0,
            ..Plan::default()
        },
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
        bays: Arc::new(NoBays),
    };
    Docking::open(store.clone(), scope.clone(), options).await.unwrap()
}

fn run(docking: &Docking) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let (stop, own) = (CancellationToken::new(), docking.clone());
    let ending = stop.clone();
    (stop, tokio::spawn(async move { own.run(ending).await }))
}

/// The whole way, with a chain of custody that can be recomputed; nothing is deleted before it was confirmed, with the right
/// hash; then the clock is set.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn footage_is_cleared_only_after_the_cloud_has_confirmed_it() {
    let mut site = Site::new().await;
    site.list("ZFY0001").await;
    let issue = RecorderIssue {
        id: IssueId::parse("iss_1").unwrap(),
        serial: "ZFY0001".to_owned(),
        holder: "stf_1".to_owned(),
        holder_name: "李护士".to_owned(),
        order: "N20261121".to_owned(),
        at: Timestamp::default(),
    };
    site.tell(move |tx| {
        let issue = issue.clone();
        Box::pin(async move { Docking::issue(tx, &issue).await })
    })
    .await;
    let files: [(&str, &[u8]); 3] = [
        ("ZFY0001_000123_20260101080000_0001.mp4", b"first"),
        ("ZFY0001_000123_20260101081000_0002.mp4", b"second"),
        ("empty.mp4", b""),
    ];
    let at = site.plug("bay1", "ZFY0001", &files);
    let sealed = site.sealed(3).await;
    let mut previous = CustodyEntry::FIRST.to_owned();
    let mut by_sequence: Vec<_> = sealed.clone();
    by_sequence.sort_by_key(|(_, e)| e.sequence);
    for (body, entry) in &by_sequence {
        assert_eq!(entry.previous, previous);
        let bytes = STANDARD.decode(&body.entry).unwrap();
        let sm3 = <sm3::Sm3 as sm3::Digest>::digest(&bytes);
        previous = sm3.iter().map(|b| format!("{b:02x}")).collect();
        let issue = entry.issue.as_ref().unwrap();
        assert_eq!(
            (issue.holder_name.as_str(), issue.order.as_str()),
            ("李护士", "N20261121")
        );
        let content = files.iter().find(|(name, _)| *name == entry.file).unwrap().1;
        assert_eq!(
            (entry.sha256.clone(), entry.size),
            (sha256(content), content.len() as u64)
        );
        assert!(entry.clock_offset_ms.unwrap() < 0, "its clock is behind");
    }
    assert_eq!(
        by_sequence.iter().map(|(_, e)| e.sequence).collect::<Vec<_>>(),
        [1, 2, 3]
    );

    // A confirmation of other bytes is none.
    let (_, first) = &sealed[0];
    site.confirm(first, &sha256(b"something else")).await;
    for (_, entry) in &sealed[1..] {
        site.confirm(entry, &entry.sha256).await;
    }
    tokio::time::sleep(Duration::from_millis(2500)).await;
    for (name, _) in files {
        assert!(at.join(name).exists(), "{name} was deleted early");
    }
    site.confirm(first, &first.sha256).await;
    site.until_state("ZFY0001", "ready").await;
    for (name, _) in files {
        assert!(!at.join(name).exists(), "{name} is still there");
    }
    assert!(at.join("SETTIME.TXT").exists());
    assert_eq!(site.told(kind::FOOTAGE_CLEARED).await.len(), 3);
    // What comes later, while it is there, is taken, too.
    std::fs::write(at.join("later.mp4"), "later").unwrap();
    let later = site.sealed(1).await;
    site.confirm(&later[0].1, &sha256(b"later")).await;
    site.until_state("ZFY0001", "ready").await;
    std::fs::remove_dir_all(&at).unwrap();
    site.until_state("ZFY0001", "left").await;
}

/// Unknown, removed from the list, twice there, nameless: held, shown, untouched; released when it is cleared up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorder_that_is_not_ours_is_held_and_nothing_of_it_is_touched() {
    let mut site = Site::new().await;
    let at = site.plug("bay1", "ZFY0009", &[("a.mp4", b"foreign")]);
    let row = site.until_state("ZFY0009", "held").await;
    assert!(row.note.contains("未登记"), "{}", row.note);
    site.plug("bay2", "../../x", &[("a.mp4", b"nameless")]);
    let row = site.until_state("", "held").await;
    assert!(row.note.contains("序列号"), "{}", row.note);
    assert!(at.join("a.mp4").exists() && !at.join("SETTIME.TXT").exists());
    assert_eq!(
        std::fs::read_dir(site.folder.path().join("footage")).unwrap().count(),
        0
    );

    site.list("ZFY0009").await;
    site.until_state("ZFY0009", "waiting").await;
    let twin = site.plug("bay3", "ZFY0009", &[("b.mp4", b"twin")]);
    let row = site.until_state("ZFY0009", "held").await;
    assert!(row.note.contains("重复"), "{}", row.note);
    std::fs::rename(&at, site.shelf().join(".away")).unwrap();
    let (_, entry) = site.sealed(2).await.pop().unwrap();
    assert_eq!(entry.sha256, sha256(b"twin"));

    let body = RecorderUnlisted {
        serial: "ZFY0009".to_owned(),
        reason: "已停用".to_owned(),
        at: Timestamp::default(),
    };
    site.tell(move |tx| {
        let body = body.clone();
        Box::pin(async move { Docking::unlist(tx, &body).await })
    })
    .await;
    site.confirm(&entry, &entry.sha256).await;
    let row = site.until_state("ZFY0009", "held").await;
    assert!(row.note.contains("已停用"), "{}", row.note);
    assert!(twin.join("b.mp4").exists(), "cleared although it is not ours any more");
}

/// A card that fails at a byte once is read again; one that always fails keeps its file, and the rest is cleared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_error_loses_nothing_and_what_cannot_be_read_stays() {
    let mut site = Site::new().await;
    site.list("ZFY0001").await;
    let big = vec![7u8; 3_000_000];
    site.faults
        .0
        .lock()
        .unwrap()
        .insert("once.mp4".to_owned(), (2_000_000, false));
    site.faults.0.lock().unwrap().insert("never.mp4".to_owned(), (5, true));
    let at = site.plug("bay1", "ZFY0001", &[("once.mp4", &big), ("never.mp4", b"unreadable")]);
    let sealed = site.sealed(1).await;
    assert_eq!(sealed[0].1.sha256, sha256(&big));
    site.confirm(&sealed[0].1, &sealed[0].1.sha256).await;
    let row = site.until_state("ZFY0001", "kept").await;
    assert!(row.note.contains("1个文件未能采集"), "{}", row.note);
    assert!(at.join("never.mp4").exists() && !at.join("once.mp4").exists());
    // Cleaned contacts: put in again, it is read.
    site.faults.0.lock().unwrap().clear();
    std::fs::rename(&at, site.shelf().join(".away")).unwrap();
    site.until_state("ZFY0001", "pulled").await;
    std::fs::rename(site.shelf().join(".away"), site.shelf().join("bay2")).unwrap();
    let sealed = site.sealed(1).await;
    assert_eq!(sealed[0].1.sha256, sha256(b"unreadable"));
    site.confirm(&sealed[0].1, &sealed[0].1.sha256).await;
    site.until_state("ZFY0001", "ready").await;
}

/// Pulled before it was confirmed, power cut, copy lost, put in again: nothing is lost, nothing is taken for what it is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_pull_and_a_power_cut_the_work_goes_on_and_content_is_looked_at_again_before_it_is_deleted() {
    let mut site = Site::new().await;
    site.list("ZFY0001").await;
    let at = site.plug("bay1", "ZFY0001", &[("a.mp4", b"first"), ("b.mp4", b"other")]);
    let sealed = site.sealed(2).await;
    let a = &sealed.iter().find(|(_, e)| e.file == "a.mp4").unwrap().1;
    let b = &sealed.iter().find(|(_, e)| e.file == "b.mp4").unwrap().1;
    std::fs::rename(&at, site.shelf().join(".away")).unwrap();
    site.until_state("ZFY0001", "pulled").await;
    // While it is out, a file is replaced by another of the same name, size and time: a recorder whose clock was reset.
    let away = site.shelf().join(".away/a.mp4");
    let time = std::fs::metadata(&away).unwrap().modified().unwrap();
    std::fs::write(&away, "FIRST").unwrap();
    std::fs::File::options()
        .write(true)
        .open(&away)
        .unwrap()
        .set_modified(time)
        .unwrap();
    // A copy is lost, too, and the power fails.
    std::fs::remove_file(site.folder.path().join("footage").join(b.clip.as_str())).unwrap();
    site.restart().await;
    site.confirm(a, &a.sha256).await;
    let at = site.shelf().join("bay2");
    std::fs::rename(site.shelf().join(".away"), &at).unwrap();
    // The lost copy is taken again, under the entry it has.
    let (_, again) = site.sealed(1).await.remove(0);
    assert_eq!(&again, b);
    site.confirm(b, &b.sha256).await;
    // Before the confirmed one is deleted its content is looked at: it is another, a clip of its own.
    let (_, replaced) = site.sealed(1).await.remove(0);
    assert_eq!(replaced.sha256, sha256(b"FIRST"));
    assert!(at.join("a.mp4").exists());
    site.confirm(&replaced, &replaced.sha256).await;
    site.until_state("ZFY0001", "ready").await;
    assert!(!at.join("a.mp4").exists() && !at.join("b.mp4").exists());
}

/// The cloud forgot the bytes: they are sent again. It refuses them for good: they stay on the recorder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_the_cloud_sends_again_or_keeps() {
    let mut site = Site::new().await;
    site.list("ZFY0001").await;
    site.cloud.down.store(true, Ordering::SeqCst);
    let at = site.plug("bay1", "ZFY0001", &[("a.mp4", b"first")]);
    site.until_state("ZFY0001", "waiting").await;
    assert_eq!(site.cloud.carried.load(Ordering::SeqCst), 0);
    site.cloud.down.store(false, Ordering::SeqCst);
    let (_, entry) = site.sealed(1).await.remove(0);
    site.refuse(&entry, FootageRefusal::Missing).await;
    let (_, again) = site.sealed(1).await.remove(0);
    assert_eq!(again, entry);
    assert_eq!(site.cloud.carried.load(Ordering::SeqCst), 2);
    site.refuse(&entry, FootageRefusal::Unsound).await;
    site.until_state("ZFY0001", "kept").await;
    assert!(at.join("a.mp4").exists());
    // Too late: a person decides now.
    site.confirm(&entry, &entry.sha256).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(at.join("a.mp4").exists());
}
