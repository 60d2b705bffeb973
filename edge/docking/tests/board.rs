//! The board under QEMU with its real firmware: told who stands in its bays, and renewed.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dock::{Dock, DockError, DockState, FirmwareVersion, Light, Lock, Package, Trial};
use docking::Bays;
use docking::board::{Board, NotOpened, Progress, Renewal, RenewalState, Renewals};
use recorder::Plugged;
use records::id::EdgeId;
use records::{Actor, Ids, SeededEntropy, SystemClock, TenantId};
use store::{Scope, SqliteOptions, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

fn firmware() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let image = target.join("firmware/thumbv7em-none-eabihf/release/board-mps2");
    assert!(image.is_file(), "the firmware is not built: run `cargo xtask test`");
    image
}

struct Rig {
    dock: Dock,
    seen: watch::Receiver<DockState>,
    http: reqwest::Client,
    control: u16,
    tasks: [tokio::task::JoinHandle<()>; 2],
    folder: tempfile::TempDir,
    ids: Arc<Ids>,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (tty, control) = (folder.path().join("dock.tty"), kit::ports::free_port());
        let arguments = bench_dock::Arguments {
            firmware: firmware(),
            tty: tty.clone(),
            flash: None,
            control,
        };
        let board = tokio::spawn(async move { bench_dock::run(arguments).await.unwrap() });
        let (dock, mut driver) = Dock::open();
        let driver = tokio::spawn(async move { driver.run(&tty).await });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut rig = Self {
            seen: dock.state(),
            dock,
            http: reqwest::Client::new(),
            control,
            tasks: [board, driver],
            folder,
            ids: Arc::new(Ids::new(SeededEntropy::new(std::process::id().into()))),
        };
        rig.until("the board", |s| s.online && s.bays.len() == 10).await;
        rig
    }

    async fn until(&mut self, what: &str, so: impl FnMut(&DockState) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(180), self.seen.wait_for(so)).await;
        assert!(
            waited.is_ok_and(|r| r.is_ok()),
            "waited in vain for {what}: {:?}",
            *self.seen.borrow()
        );
    }

    async fn post(&self, path: &str, body: serde_json::Value) {
        let url = format!("http://127.0.0.1:{}/control/{path}", self.control);
        let answer = self.http.post(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    }

    async fn store(&self) -> Store {
        let file = self.folder.path().join("edge.sqlite");
        Store::open_sqlite(&file, SqliteOptions::default(), Arc::new(SystemClock))
            .await
            .unwrap()
    }

    async fn renewals(&self, store: &Store) -> Renewals {
        let tenant = TenantId::parse("hos_1").unwrap();
        let scope = Scope::new(tenant, Actor::Edge(EdgeId::parse("edg_1").unwrap()));
        Renewals::open(
            store.clone(),
            scope,
            self.dock.clone(),
            self.ids.clone(),
            Arc::new(SystemClock),
        )
        .await
        .unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

fn run(renewals: &Renewals) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let (stop, own) = (CancellationToken::new(), renewals.clone());
    let ending = stop.clone();
    (stop, tokio::spawn(async move { own.run(ending).await }))
}

async fn ended(renewals: &Renewals) -> Renewal {
    let end = tokio::time::Instant::now() + Duration::from_secs(400);
    loop {
        let latest = renewals.latest(1).await.unwrap().remove(0);
        if !latest.state.is_open() {
            return latest;
        }
        assert!(
            tokio::time::Instant::now() < end,
            "the renewal does not end: {latest:?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What the board answers; an emulator that was not given its time for seconds is taken for dead, and asked again when it is
/// back, as a person does.
async fn answered<T>(dock: &Dock, ask: impl AsyncFn() -> Result<T, DockError>) -> Result<T, DockError> {
    let mut state = dock.state();
    for _ in 0..20 {
        match ask().await {
            Err(DockError::Offline(_) | DockError::Unknown) => {}
            done => return done,
        }
        let online = tokio::time::timeout(Duration::from_secs(60), state.wait_for(|s| s.online)).await;
        assert!(online.is_ok_and(|r| r.is_ok()), "the board does not come back");
    }
    ask().await
}

fn signed(image: Vec<u8>, version: FirmwareVersion) -> Package {
    let (manifest, signature) = bench_dock::signed(&image, version).unwrap();
    Package {
        manifest,
        signature,
        image,
    }
}

/// Begun, broken off in the middle by our own end, taken up at the next start, tried, confirmed. Then everything that must not
/// become the board's firmware: no package, the version that runs, a foreign signature, an image that does not start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_boards_firmware_is_renewed_over_a_restart_and_what_is_wrong_with_a_package_is_told() {
    let rig = Rig::new().await;
    let store = rig.store().await;
    let image = bench_dock::image(&firmware()).unwrap();
    let version = |patch| FirmwareVersion {
        major: 9,
        minor: 0,
        patch,
    };
    let good = signed(image.clone(), version(1));

    let renewals = rig.renewals(&store).await;
    let (stop, task) = run(&renewals);
    let asked = renewals.ask(&good.write(), "厂家工程师").await.unwrap().unwrap();
    assert_eq!(renewals.ask(&good.write(), "别人").await.unwrap().unwrap().id, asked.id);
    let mut progress = renewals.progress();
    progress
        .wait_for(|p| matches!(p, Some(Progress::Carried(percent)) if *percent > 5))
        .await
        .unwrap();
    let other = signed(image.clone(), version(3)).write();
    let refused = renewals.ask(&other, "别人").await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("尚未结束"), "{refused}");
    assert!(!renewals.cancel(&asked.id, "别人").await.unwrap(), "it has begun");
    stop.cancel();
    task.await.unwrap();
    drop(renewals);

    let renewals = rig.renewals(&store).await;
    let open = renewals.latest(1).await.unwrap().remove(0);
    assert_eq!((open.id.as_str(), open.state), (asked.id.as_str(), RenewalState::Asked));
    let (stop, task) = run(&renewals);
    let done = ended(&renewals).await;
    assert_eq!(
        (done.id.as_str(), done.state),
        (asked.id.as_str(), RenewalState::Confirmed),
        "{done:?}"
    );
    assert_eq!((done.version.as_str(), done.asked_by.as_str()), ("9.0.1", "厂家工程师"));
    let running = async || {
        let status = answered(&rig.dock, async || rig.dock.firmware().await).await.unwrap();
        (status.versions[status.running.index()], status.trial)
    };
    assert_eq!(running().await, (Some(version(1)), Trial::None));

    let refused = renewals.ask(b"PK\x03\x04", "").await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("不是采集坞固件包"), "{refused}");
    // The same once more costs the board nothing.
    let boot = rig.seen.borrow().board.unwrap().boot;
    renewals.ask(&good.write(), "").await.unwrap().unwrap();
    assert_eq!(ended(&renewals).await.state, RenewalState::Confirmed);
    assert_eq!(rig.seen.borrow().board.unwrap().boot, boot);
    let mut foreign = signed(image.clone(), version(2));
    foreign.manifest.version = version(4);
    renewals.ask(&foreign.write(), "").await.unwrap().unwrap();
    let done = ended(&renewals).await;
    assert_eq!(done.state, RenewalState::Refused);
    assert!(done.note.contains("签名无效"), "{}", done.note);

    // Signed, but its first instruction stops the processor for good.
    let mut dead = image;
    let at = (u32::from_le_bytes(dead[4..8].try_into().unwrap()) as usize & !1) - 0x1_0000;
    dead[at..at + 2].copy_from_slice(&[0xFE, 0xE7]);
    renewals
        .ask(&signed(dead, version(5)).write(), "")
        .await
        .unwrap()
        .unwrap();
    let done = ended(&renewals).await;
    assert_eq!(done.state, RenewalState::GivenUp, "{done:?}");
    assert!(done.note.contains("恢复原固件"), "{}", done.note);
    assert_eq!(running().await, (Some(version(1)), Trial::GivenUp));
    stop.cancel();
    task.await.unwrap();
}

/// A recorder that tells its number over USB only: the port says which bay, the board is told, told again after a power cut,
/// and no more after it left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bay_is_told_by_its_usb_port_who_stands_in_it() {
    let mut rig = Rig::new().await;
    let ports = BTreeMap::from([("2-1.3".to_owned(), 4)]);
    let board = Board::new(rig.dock.clone(), &ports);
    let stop = CancellationToken::new();
    let (own, ending) = (board.clone(), stop.clone());
    let task = tokio::spawn(async move { own.keep_names(ending).await });
    let plugged = |key: &str| Plugged {
        key: key.to_owned(),
        place: "usb2 sda".to_owned(),
        port: "2-1.3".to_owned(),
        controller: "usb2".to_owned(),
        path: PathBuf::from("/dev/sda1"),
    };
    assert_eq!(board.place("2-1.3").as_deref(), Some("4号槽位"));
    assert_eq!(board.place("2-1.4"), None);
    rig.post("bays/3", serde_json::json!({ "present": true })).await;
    rig.until("the recorder in bay 4", |s| s.bays[3].present).await;
    board.seat(&plugged("sda/7"), Some("ZFY0001"));
    rig.until("its number", |s| s.bays[3].serial == "ZFY0001").await;
    assert_eq!(board.bay_of("ZFY0001"), Some(3));
    // A board that begins anew leaves a bolt as it finds it: held is who was held before.
    rig.until("the bolt", |s| s.bays[3].lock == Lock::Closed).await;

    let before = rig.seen.borrow().board.unwrap().boot;
    rig.post("reset", serde_json::json!({})).await;
    rig.until("its number, after the power cut", |s| {
        let anew = s.board.is_some_and(|b| b.boot != before);
        s.online && anew && s.bays[3].present && s.bays[3].serial == "ZFY0001"
    })
    .await;

    // Handed out: its lock opens and its light says so; whoever is not here is not handed out.
    rig.until("the lock, after the power cut", |s| s.bays[3].lock == Lock::Closed)
        .await;
    assert!(board.charge_of("ZFY0001").is_some() && board.charge_of("ZFY0002").is_none());
    let hand_out = async || match board.hand_out("ZFY0001").await {
        Err(NotOpened::Board(error)) => Err(error),
        done => Ok(done),
    };
    let opened = answered(&rig.dock, hand_out).await.unwrap().unwrap();
    assert_eq!((opened.place.as_str(), opened.seconds), ("4号槽位", 120));
    rig.until("take me", |s| {
        s.bays[3].lock == Lock::Open && s.bays[3].light == Light::TakeMe
    })
    .await;
    assert_eq!(board.hand_out("ZFY0002").await, Err(NotOpened::NotHere));

    // Plugged again at once: the end of the stay before takes nothing away.
    board.seat(&plugged("sda/8"), Some("ZFY0001"));
    board.seat(&plugged("sda/7"), None);
    assert_eq!(board.bay_of("ZFY0001"), Some(3));
    rig.post("bays/3", serde_json::json!({ "present": false })).await;
    board.seat(&plugged("sda/8"), None);
    rig.until("the empty bay", |s| !s.bays[3].present).await;
    assert_eq!(board.bay_of("ZFY0001"), None);

    // Contacts and USB tell different numbers: the wiring or a label is wrong, and a person hears of it.
    rig.post("bays/3", serde_json::json!({ "present": true, "serial": "ZFY0009" }))
        .await;
    rig.until("the number of the contacts", |s| s.bays[3].serial == "ZFY0009")
        .await;
    board.seat(&plugged("sda/9"), Some("ZFY0001"));
    assert!(board.warnings()[0].contains("4号槽位"), "{:?}", board.warnings());
    stop.cancel();
    task.await.unwrap();
}
