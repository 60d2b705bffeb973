//! The first and only process of a virtual machine with an ordinary Debian kernel (`tests/usb.rs` starts it): recorders on
//! genuine USB mass storage with the file systems they really have, FAT32 and exFAT, go through the driver, one behind a
//! hub is pulled while it is read, one has a sector that cannot be read, one was destroyed.
//!
//! Tells what it did as lines `ok …` on the console, asks for help from outside as `want …`, and ends the machine.
#![expect(clippy::unwrap_used, reason = "a part of a test: a panic is its answer")]

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use recorder::block::{Blocks, SystemMounter};
use recorder::copy::{Control, copy, sha256};
use recorder::{Fault, Plugged, Profile, Source};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::system::{RebootCommand, finit_module, reboot};

/// Patience for what the kernel does in its own time.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of the recording that lies over the broken sector.
const LONG: usize = 8 << 20;

fn main() {
    // A panic ends this thread, not the machine: the message is on the console, and the machine goes down in order.
    let told = std::thread::spawn(day).join();
    println!("{}", if told.is_ok() { "ok end" } else { "failed" });
    rustix::fs::sync();
    let _ = reboot(RebootCommand::Restart);
}

fn day() {
    boot();
    let mut source = Blocks::new("/run/mounts", Profile::default(), SystemMounter);
    let plugged = until("four recorders", || {
        let found = source.plugged().unwrap();
        (found.len() == 4).then_some(found)
    });
    // The host gives them at these ports.
    let at = |plugged: &[Plugged], port: &str| {
        let ends = |p: &&Plugged| p.port.split_once('-').is_some_and(|(_, ports)| ports == port);
        plugged
            .iter()
            .find(ends)
            .cloned()
            .unwrap_or_else(|| panic!("nothing at port {port}: {plugged:?}"))
    };
    let (fat, exfat) = (at(&plugged, "1"), at(&plugged, "2"));
    let (behind_hub, destroyed) = (at(&plugged, "3.2"), at(&plugged, "4"));
    for one in [&fat, &exfat, &behind_hub] {
        assert!(one.controller.starts_with("usb"), "{one:?}");
    }
    println!("ok ports");

    assert!(matches!(
        source.driver(&destroyed).unwrap().unlock(),
        Err(Fault::Volume(_))
    ));
    println!("ok destroyed");

    // FAT keeps its device in the first partition, exFAT without any: as recorders come from their makers.
    shift(&source, &fat, c"vfat", "ZFY0001", true);
    println!("ok vfat");
    shift(&source, &exfat, c"exfat", "ZFY0002", false);
    println!("ok exfat");
    pulled(&mut source, &behind_hub);
    println!("ok pulled");
}

/// File systems of the kernel, its modules, and nodes for devices.
fn boot() {
    for (kind, at) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/run"),
    ] {
        fs::create_dir_all(at).unwrap();
        // The kernel may have mounted devtmpfs itself.
        let _ = mount(kind, at, kind, MountFlags::empty(), c"");
    }
    fs::create_dir_all("/run/mounts").unwrap();
    let mut waiting: Vec<_> = fs::read_dir("/modules").unwrap().map(|e| e.unwrap().path()).collect();
    // One needs another: again as long as some can be loaded.
    loop {
        let before = waiting.len();
        waiting.retain(|module| finit_module(File::open(module).unwrap(), c"", 0).is_err());
        if waiting.is_empty() || waiting.len() == before {
            break;
        }
    }
    assert!(waiting.is_empty(), "modules that cannot be loaded: {waiting:?}");
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "no {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn content(bytes: usize, seed: u32) -> Vec<u8> {
    (0..u32::try_from(bytes).unwrap())
        .map(|n| (n.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 24) as u8)
        .collect()
}

/// Names as recorders and people give them; one is Chinese, one is long.
fn recordings(long: bool) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![
        ("ZFY_000123_20261121080000_0001.mp4".to_owned(), content(3_000_001, 1)),
        ("上门护理 第二段.mp4".to_owned(), content(700_000, 2)),
        (format!("{}.ts", "x".repeat(200)), Vec::new()),
    ];
    if long {
        files.push(("ZFY_000123_20261121090000_0002.mp4".to_owned(), content(LONG, 3)));
    }
    files
}

/// What the recorder does while it is worn.
fn record(plugged: &Plugged, kind: &CStr, serial: &str, long: bool) {
    fs::create_dir_all("/run/worn").unwrap();
    let kind = kind.to_str().unwrap();
    mount(&plugged.path, "/run/worn", kind, MountFlags::empty(), c"").unwrap();
    let info = format!("serial={serial}\nmodel=GUEST\nbattery=80%\ntime=2026-11-21 16:00:00\n");
    fs::write("/run/worn/DEVICE.INF", info).unwrap();
    fs::create_dir("/run/worn/DCIM").unwrap();
    for (name, bytes) in recordings(long) {
        fs::write(Path::new("/run/worn/DCIM").join(name), bytes).unwrap();
    }
    unmount("/run/worn", UnmountFlags::empty()).unwrap();
}

/// Worn, plugged, copied, cleared; `broken`: the host makes one sector of it unreadable.
fn shift(source: &Blocks<SystemMounter>, plugged: &Plugged, kind: &CStr, serial: &str, broken: bool) {
    record(plugged, kind, serial, broken);
    let mut driver = source.driver(plugged).unwrap();
    driver.unlock().unwrap();
    let identity = driver.identify().unwrap();
    assert_eq!(identity.serial, serial);
    assert!(
        identity.volume.len() == 9 && identity.volume != "0000-0000",
        "{identity:?}"
    );
    assert_eq!(driver.battery().unwrap(), Some(80));
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let line = mounts.lines().find(|l| l.contains("/run/mounts")).unwrap().to_owned();
    for option in [kind.to_str().unwrap(), "ro", "nosuid", "nodev", "noexec"] {
        assert!(line.split([' ', ',']).any(|o| o == option), "{option}: {line}");
    }
    let listing = driver.list(i64::MAX / 2).unwrap();
    assert_eq!(listing.files.len(), recordings(broken).len(), "{listing:?}");
    let mut unreadable = 0;
    for (name, bytes) in recordings(broken) {
        let file = listing
            .files
            .iter()
            .find(|f| f.path.ends_with(&name))
            .unwrap_or_else(|| panic!("{name}: {listing:?}"));
        let to = Path::new("/run/copy");
        match copy(driver.open(file).unwrap(), file.size, to, &Control::default()) {
            Ok(copied) => {
                assert_eq!(copied.size, bytes.len() as u64);
                assert_eq!(copied.sha256, sha256_of(&bytes), "{name}");
                assert!(
                    matches!(driver.clear(file), Err(Fault::Card(_))),
                    "cleared while read-only"
                );
                fs::remove_file(to).unwrap();
            }
            Err(Fault::Card(error)) if bytes.len() == LONG && error.raw_os_error() == Some(5) => {
                assert!(!to.exists() && driver.present());
                unreadable += 1;
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
    assert_eq!(unreadable, usize::from(broken), "the sector was not broken");
    driver.allow_clearing().unwrap();
    let whole = |f: &&recorder::Found| f.size != LONG as u64;
    for file in listing.files.iter().filter(whole) {
        driver.clear(file).unwrap();
    }
    driver.set_clock(1_795_244_645).unwrap();
    driver.eject().unwrap();
    driver.unlock().unwrap();
    let left = driver.list(i64::MAX / 2).unwrap().files;
    assert_eq!(left.len(), usize::from(broken), "{left:?}");
    driver.eject().unwrap();
}

fn sha256_of(bytes: &[u8]) -> [u8; 32] {
    sha256(bytes, &Control::default(), Fault::Card).unwrap().0
}

/// Pulled in the middle of a recording: told as gone, and all there when it is plugged again.
fn pulled(source: &mut Blocks<SystemMounter>, plugged: &Plugged) {
    record(plugged, c"vfat", "ZFY0003", true);
    let mut driver = source.driver(plugged).unwrap();
    driver.unlock().unwrap();
    let listing = driver.list(i64::MAX / 2).unwrap();
    let long = listing.files.iter().find(|f| f.size == LONG as u64).unwrap();
    let mut reading = driver.open(long).unwrap();
    reading.read_exact(&mut vec![0; 100_000]).unwrap();
    println!("want pull");
    until("pull", || (!driver.present()).then_some(()));
    let fault = copy(
        reading,
        long.size - 100_000,
        Path::new("/run/copy"),
        &Control::default(),
    )
    .unwrap_err();
    assert!(matches!(fault, Fault::Card(_) | Fault::Gone), "{fault}");
    assert!(matches!(driver.list(0), Err(Fault::Gone)));
    drop(driver);
    println!("want plug");
    let again = until("recorder plugged again", || {
        source.plugged().unwrap().into_iter().find(|p| p.port == plugged.port)
    });
    assert_ne!(again.key, plugged.key);
    let mut driver = source.driver(&again).unwrap();
    driver.unlock().unwrap();
    assert_eq!(driver.identify().unwrap().serial, "ZFY0003");
    let listing = driver.list(i64::MAX / 2).unwrap();
    for (name, bytes) in recordings(true) {
        let file = listing.files.iter().find(|f| f.path.ends_with(&name)).unwrap();
        let copied = copy(
            driver.open(file).unwrap(),
            file.size,
            Path::new("/run/copy"),
            &Control::default(),
        )
        .unwrap();
        assert_eq!(copied.sha256, sha256_of(&bytes), "{name}");
        fs::remove_file("/run/copy").unwrap();
    }
    driver.eject().unwrap();
}
