//! The recorder dock: the real firmware under QEMU, the real driver at its serial line.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails the test")]

use std::path::PathBuf;
use std::time::Duration;

use dock::{
    Charge, Dock, DockError, DockEvent, DockState, Happening, Light, Lock, Package, Refusal, Reset, Setting, Trial,
};
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};

/// An emulated board may be slow.
const PATIENCE: Duration = Duration::from_secs(120);

fn firmware() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let image = target.join("firmware/thumbv7em-none-eabihf/release/board-mps2");
    assert!(image.is_file(), "the firmware is not built: run `cargo xtask test`");
    image
}

/// A board under QEMU and the driver at its line.
struct Rig {
    dock: Dock,
    seen: watch::Receiver<DockState>,
    events: broadcast::Receiver<DockEvent>,
    http: reqwest::Client,
    control: u16,
    tasks: [tokio::task::JoinHandle<()>; 2],
    _folder: tempfile::TempDir,
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
        let events = dock.events();
        let driver = tokio::spawn(async move { driver.run(&tty).await });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut rig = Self {
            seen: dock.state(),
            dock,
            events,
            http: reqwest::Client::new(),
            control,
            tasks: [board, driver],
            _folder: folder,
        };
        rig.until("the board", |s| s.online && s.bays.len() == 10).await;
        rig
    }

    async fn until(&mut self, what: &str, so: impl FnMut(&DockState) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, self.seen.wait_for(so)).await;
        assert!(
            waited.is_ok_and(|r| r.is_ok()),
            "waited in vain for {what}: {:?}",
            *self.seen.borrow()
        );
    }

    async fn until_event(&mut self, what: &str, so: impl Fn(&Happening) -> bool) -> DockEvent {
        let next = async {
            loop {
                let event = self.events.recv().await.unwrap();
                if so(&event.what) {
                    return event;
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, next).await;
        waited.unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }

    /// Which start of the board is known.
    fn boot(&self) -> u32 {
        self.seen.borrow().board.map_or(0, |board| board.boot)
    }

    async fn post(&self, path: &str, body: Value) {
        let url = format!("http://127.0.0.1:{}/control/{path}", self.control);
        let answer = self.http.post(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    }

    /// A bay as it stands and is driven outside of the board.
    async fn bench(&self, bay: usize) -> Value {
        let url = format!("http://127.0.0.1:{}/control/world", self.control);
        let world: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        world.pointer(&format!("/bays/{bay}")).cloned().unwrap()
    }

    async fn until_bench(&self, bay: usize, what: &str, so: impl Fn(&Value) -> bool) {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let now = self.bench(bay).await;
            if so(&now) {
                return;
            }
            assert!(tokio::time::Instant::now() < end, "waited in vain for {what}: {now}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// Put in, named, locked, charged; through a pulled cable and a reset; handed out; taken.
#[tokio::test]
async fn a_recorder_is_followed_through_a_pulled_cable_and_a_power_cut_until_it_is_handed_out() {
    let mut rig = Rig::new().await;
    rig.post("bays/3", json!({ "present": true, "serial": "ZF-0007" }))
        .await;
    rig.until("the recorder in bay 4", |s| {
        let bay = &s.bays[3];
        bay.serial == "ZF-0007" && bay.lock == Lock::Closed && bay.charge == Charge::Charging && bay.charge_ma > 0
    })
    .await;
    assert_eq!(rig.seen.borrow().bay_of("ZF-0007"), Some(3));

    rig.post("unplug", json!({ "seconds": 600 })).await;
    rig.until("the pulled cable", |s| !s.online && s.trouble.contains("采集坞"))
        .await;
    assert!(matches!(rig.dock.unlock(3).await, Err(DockError::Offline(_))));
    // Plugged in at once, whatever was said before.
    rig.post("unplug", json!({ "seconds": 0 })).await;
    rig.until("the cable back in", |s| s.online && s.bays[3].present).await;

    let boot = rig.boot();
    rig.post("reset", json!({})).await;
    rig.until("the recorder again, held by its lock, known by its number", |s| {
        let board = s.board.filter(|b| b.boot > boot && b.reset == Reset::Power);
        s.online && board.is_some() && s.bays[3].serial == "ZF-0007" && s.bays[3].lock == Lock::Closed
    })
    .await;

    rig.dock.release(3, 600).await.unwrap();
    rig.until_bench(3, "the open bolt", |b| b["bolt_closed"] == false).await;
    rig.until("take me", |s| {
        s.bays[3].light == Light::TakeMe && s.bays[3].lock == Lock::Open
    })
    .await;
    rig.post("bays/3", json!({ "present": false })).await;
    let gone = rig
        .until_event("the recorder taken", |e| matches!(e, Happening::Removed { .. }))
        .await;
    let Happening::Removed {
        bay: 3,
        serial,
        forced: false,
    } = gone.what
    else {
        panic!("{gone:?}")
    };
    assert_eq!(serial.as_deref(), Some("ZF-0007"));
    rig.until_bench(3, "power off", |b| b["driven"][1] == false).await;
    assert_eq!(rig.dock.release(3, 60).await, Err(DockError::Refused(Refusal::Empty)));
}

/// A firmware that panics or hangs starts anew, says why, and leaves the locks alone; a setting outlives it.
#[tokio::test]
async fn a_panic_and_a_hang_are_told_and_move_no_lock() {
    let mut rig = Rig::new().await;
    rig.post("bays/0", json!({ "present": true, "serial": "A" })).await;
    rig.until("the held recorder", |s| s.bays[0].lock == Lock::Closed).await;
    rig.dock.set_setting(Setting::StaggerMs, 350).await.unwrap();
    assert_eq!(
        rig.dock.set_setting(Setting::StaggerMs, 60_000).await,
        Err(DockError::Refused(Refusal::OutOfRange))
    );

    rig.post("panic", json!({})).await;
    let what = rig
        .until_event("the panic", |e| matches!(e, Happening::Restarted(_)))
        .await
        .what;
    assert!(matches!(what, Happening::Restarted(Reset::Panic(_))), "{what:?}");
    rig.until("the recorder after the panic", |s| s.online && s.bays[0].present)
        .await;
    assert_eq!(rig.bench(0).await["bolt_closed"], true, "the lock stayed");

    rig.post("hang", json!({})).await;
    let what = rig
        .until_event("the watchdog", |e| matches!(e, Happening::Restarted(_)))
        .await
        .what;
    assert_eq!(what, Happening::Restarted(Reset::Watchdog));
    rig.until("the recorder after the hang", |s| s.online && s.bays[0].present)
        .await;
    assert_eq!(rig.bench(0).await["bolt_closed"], true, "the lock stayed");
    assert_eq!(rig.dock.setting(Setting::StaggerMs).await, Ok(350));
}

/// Too much current, a stuck bolt, a low supply.
#[tokio::test]
async fn what_is_wrong_with_a_bay_is_told_and_made_safe() {
    let mut rig = Rig::new().await;
    rig.post("bays/1", json!({ "present": true, "draws_ma": 3000 })).await;
    rig.until("the fault", |s| s.bays[1].fault == Some(dock::Fault::OverCurrent))
        .await;
    rig.until_bench(1, "power off", |b| b["driven"][1] == false).await;
    rig.post("bays/1", json!({ "draws_ma": 500 })).await;
    rig.dock.power(1, true).await.unwrap();
    rig.until("charging again", |s| s.bays[1].charge == Charge::Charging)
        .await;

    rig.post("bays/1", json!({ "jammed": true })).await;
    rig.dock.unlock(1).await.unwrap();
    rig.until("the stuck bolt", |s| s.bays[1].fault == Some(dock::Fault::LockStuck))
        .await;
    rig.post("bays/1", json!({ "jammed": false })).await;

    rig.post("supply", json!({ "mv": 4000 })).await;
    rig.until("the low supply", |s| s.board.is_some_and(|b| b.supply_low))
        .await;
    rig.until_bench(1, "power shed", |b| b["driven"][1] == false).await;
    rig.post("supply", json!({ "mv": 5000 })).await;
    rig.until("the supply again", |s| s.board.is_some_and(|b| !b.supply_low))
        .await;
    rig.until_bench(1, "power back", |b| b["driven"][1] == true).await;

    rig.post("button", json!({ "pressed": true })).await;
    rig.until_event("the long press", |e| *e == Happening::Button(dock::Press::Long))
        .await;
}

/// A new image is carried over the line, tried and confirmed; a foreign or spoilt one is refused.
#[tokio::test]
async fn a_new_firmware_is_tried_and_stays_and_a_foreign_one_is_refused() {
    let mut rig = Rig::new().await;
    let image = bench_dock::image(&firmware()).unwrap();
    let version = dock::FirmwareVersion {
        major: 9,
        minor: 0,
        patch: 1,
    };
    let (manifest, signature) = bench_dock::signed(&image, version).unwrap();
    let package = Package {
        manifest,
        signature,
        image,
    };
    assert_eq!(Package::read(&package.write()).as_ref(), Ok(&package));

    let mut foreign = package.clone();
    foreign.manifest.length -= 1;
    let refused = rig.dock.update(&foreign, |_| {}).await.unwrap_err();
    assert_eq!(refused, DockError::Refused(Refusal::Signature).into());

    let running = rig.dock.firmware().await.unwrap().running;
    let mut steps = Vec::new();
    rig.dock.update(&package, |step| steps.push(step)).await.unwrap();
    assert_eq!(steps.last(), Some(&dock::UpdateStep::Confirmed));
    let status = rig.dock.firmware().await.unwrap();
    assert_eq!((status.running, status.trial), (running.other(), Trial::None));
    assert_eq!(status.versions[status.running.index()], Some(version));
    let boot = rig.boot();
    rig.post("reset", json!({})).await;
    rig.until("the board after the power cut", |s| {
        s.online && s.board.is_some_and(|b| b.boot > boot)
    })
    .await;
    assert_eq!(rig.dock.firmware().await.unwrap().running, running.other());
}

/// An image that is signed and does not start: after its tries the former one runs again.
#[tokio::test]
async fn a_firmware_that_does_not_come_up_is_given_up() {
    let mut rig = Rig::new().await;
    let mut image = bench_dock::image(&firmware()).unwrap();
    // Its first instruction is one that stops the processor for good: the handler of every start.
    let entry = u32::from_le_bytes(image[4..8].try_into().unwrap()) as usize & !1;
    let at = entry - 0x1_0000;
    image[at..at + 2].copy_from_slice(&[0xFE, 0xE7]);
    let version = dock::FirmwareVersion {
        major: 9,
        minor: 0,
        patch: 2,
    };
    let (manifest, signature) = bench_dock::signed(&image, version).unwrap();
    let package = Package {
        manifest,
        signature,
        image,
    };
    let before = rig.dock.firmware().await.unwrap();
    let given_up = rig.dock.update(&package, |_| {}).await;
    assert_eq!(given_up, Err(dock::UpdateError::GivenUp));
    let after = rig.dock.firmware().await.unwrap();
    assert_eq!((after.running, after.trial), (before.running, Trial::GivenUp));
    rig.until("the board as before", |s| s.online).await;
}

/// A virtual day, its clock's wraps included: every second one sign of life, no frame spoilt, no start but the first.
#[tokio::test]
async fn a_day_passes_without_a_miss() {
    let folder = tempfile::tempdir().unwrap();
    let soaked = bench_dock::soak(&firmware(), folder.path(), 86_400).await.unwrap();
    assert!(soaked.alive >= 86_400, "{soaked:?}");
    assert_eq!((soaked.boots, soaked.bad), (1, 0));
    // How often a recorder came and went within that day depends on how fast the day went.
    assert!(soaked.events > 50, "{soaked:?}");
}
