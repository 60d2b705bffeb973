//! Disks of a table in a folder, mounted by a mounter that remembers; and a real image mounted by the kernel.

use super::*;
use std::sync::{Arc, Mutex};

/// Shows a folder in place of a device's files.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<String>>>);

impl Mounter for Paper {
    fn mount(&self, device: &Path, at: &Path) -> io::Result<()> {
        if std::fs::read(device)?.starts_with(b"LUKS") {
            return Err(io::Error::other("wrong fs type"));
        }
        self.0.lock().unwrap().push("mount".to_owned());
        std::fs::write(at.join("DEVICE.INF"), std::fs::read(device)?)
    }
    fn allow_writing(&self, _: &Path) -> io::Result<()> {
        self.0.lock().unwrap().push("write".to_owned());
        Ok(())
    }
    fn unmount(&self, _: &Path) -> io::Result<()> {
        self.0.lock().unwrap().push("unmount".to_owned());
        Ok(())
    }
}

struct Table(tempfile::TempDir);

impl Table {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["sys", "dev", "mounts", "real"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self(folder)
    }

    fn plug(&self, name: &str, bus: &str, sequence: u32, partition: bool, content: &str) {
        let real = self.0.path().join("real").join(bus).join(name);
        std::fs::create_dir_all(&real).unwrap();
        std::fs::write(real.join("removable"), "1\n").unwrap();
        std::fs::write(real.join("size"), "1024\n").unwrap();
        std::fs::write(real.join("diskseq"), format!("{sequence}\n")).unwrap();
        let node = if partition {
            std::fs::create_dir_all(real.join(format!("{name}1"))).unwrap();
            std::fs::write(real.join(format!("{name}1/partition")), "1\n").unwrap();
            format!("{name}1")
        } else {
            name.to_owned()
        };
        std::fs::write(self.0.path().join("dev").join(node), content).unwrap();
        let link = self.0.path().join("sys").join(name);
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(real, link).unwrap();
    }

    fn source(&self, mounter: &Paper) -> Blocks<Paper> {
        let at = |name: &str| self.0.path().join(name);
        Blocks::at(at("sys"), at("dev"), at("mounts"), Profile::default(), mounter.clone())
    }
}

#[test]
fn a_disk_on_usb_is_found_mounted_read_only_first_and_told_from_the_next_in_its_place() {
    let (table, mounter) = (Table::new(), Paper::default());
    table.plug("sda", "pci0/usb2/2-1/2-1.3/2-1.3:1.0", 7, true, "serial=ZFY0001");
    table.plug("sdb", "pci0/usb3/3-1", 8, false, "serial=ZFY0002");
    let mut source = table.source(&mounter);
    let found = source.plugged().unwrap();
    let seen: Vec<_> = found.iter().map(|p| (p.key.as_str(), p.controller.as_str())).collect();
    assert_eq!(seen, [("sda/7", "usb2"), ("sdb/8", "usb3")]);
    let ports: Vec<_> = found.iter().map(|p| p.port.as_str()).collect();
    assert_eq!(ports, ["2-1.3", "3-1"]);
    assert!(found[0].path.ends_with("dev/sda1") && found[1].path.ends_with("dev/sdb"));
    let mut driver = source.driver(&found[0]).unwrap();
    driver.unlock().unwrap();
    assert_eq!(driver.identify().unwrap().serial, "ZFY0001");
    driver.allow_clearing().unwrap();
    assert_eq!(*mounter.0.lock().unwrap(), ["unmount", "mount", "write"]);
    table.plug("sda", "pci0/usb2/2-1/2-1.3/2-1.3:1.0", 9, true, "serial=ZFY0009");
    assert!(!driver.present());
    assert!(matches!(driver.list(0), Err(Fault::Gone)));
    assert_eq!(source.plugged().unwrap()[0].key, "sda/9");
}

#[test]
fn an_encrypted_or_corrupt_card_and_an_empty_reader_are_told_in_words() {
    let (table, mounter) = (Table::new(), Paper::default());
    table.plug("sda", "usb1", 1, false, "LUKS\u{ba}");
    table.plug("sdb", "usb1", 2, false, "");
    std::fs::write(table.0.path().join("sys/sdb/size"), "0\n").unwrap();
    let mut source = table.source(&mounter);
    let found = source.plugged().unwrap();
    assert_eq!(found.len(), 1);
    let fault = source.driver(&found[0]).unwrap().unlock().unwrap_err();
    assert!(
        matches!(&fault, Fault::Volume(why) if why.contains("wrong fs type")),
        "{fault}"
    );
    assert!(fault.to_string().contains("送修"));
}

/// A real file system in an image, mounted by the kernel: read-only until clearing is allowed, then durable.
#[test]
fn a_real_image_is_mounted_read_only_then_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let (image, content, at) = (
        folder.path().join("card.img"),
        folder.path().join("content"),
        folder.path().join("at"),
    );
    std::fs::create_dir_all(content.join("DCIM")).unwrap();
    std::fs::create_dir(&at).unwrap();
    std::fs::write(content.join("DEVICE.INF"), "serial=ZFY0001").unwrap();
    std::fs::write(content.join("DCIM/a.mp4"), vec![7u8; 300_000]).unwrap();
    File::create(&image).unwrap().set_len(16 << 20).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let out = std::process::Command::new(program).args(arguments).output().unwrap();
        assert!(
            out.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    };
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    run("mkfs.ext4", &["-q", "-d", &text(&content), &text(&image)]);
    let device = run("losetup", &["--find", "--show", &text(&image)]);
    let _detach = Detach(device.clone());
    assert_eq!(volume_of(Path::new(&device)).unwrap().len(), 32);
    let disk = Path::new("/sys/block").join(Path::new(&device).file_name().unwrap());
    let block = Block {
        mounter: SystemMounter,
        sequence: sequence(&disk).unwrap(),
        disk,
        device: device.clone().into(),
        at: at.clone(),
        mounted: false,
    };
    let mut driver = Storage::new(block, Profile::default());
    driver.unlock().unwrap();
    assert_eq!(driver.identify().unwrap().serial, "ZFY0001");
    let listing = driver.list(0).unwrap();
    let file = listing.files.iter().find(|f| f.path.ends_with("a.mp4")).unwrap();
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let line = mounts.lines().find(|l| l.contains(at.to_str().unwrap())).unwrap();
    for option in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(line.split([' ', ',']).any(|o| o == option), "{option}: {line}");
    }
    let mut bytes = Vec::new();
    driver.open(file).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, vec![7u8; 300_000]);
    assert!(
        matches!(driver.clear(file), Err(Fault::Card(_))),
        "cleared while read-only"
    );
    assert!(matches!(driver.set_clock(0), Err(Fault::Card(_))));
    driver.allow_clearing().unwrap();
    driver.clear(file).unwrap();
    driver.set_clock(1_795_244_645).unwrap();
    driver.eject().unwrap();
    assert!(
        !std::fs::read_to_string("/proc/mounts")
            .unwrap()
            .contains(at.to_str().unwrap())
    );
    driver.unlock().unwrap();
    assert!(!driver.list(0).unwrap().files.iter().any(|f| f.path.ends_with("a.mp4")));
    driver.eject().unwrap();
}

/// A card in an image behind the kernel's loop device, which reads it from the image itself each time.
struct Card {
    device: Detach,
    image: PathBuf,
    at: PathBuf,
    _folder: tempfile::TempDir,
}

fn run(program: &str, arguments: &[&str]) -> String {
    let out = std::process::Command::new(program).args(arguments).output().unwrap();
    assert!(
        out.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

impl Card {
    /// With a file system that holds these files, then changed as a careless world does.
    fn new(files: &[(&str, &[u8])], spoil: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [image, content, at] = ["card.img", "content", "at"].map(|name| folder.path().join(name));
        std::fs::create_dir_all(content.join("DCIM")).unwrap();
        std::fs::create_dir(&at).unwrap();
        for (name, bytes) in files {
            std::fs::write(content.join(name), bytes).unwrap();
        }
        File::create(&image).unwrap().set_len(16 << 20).unwrap();
        let [from, to] = [&content, &image].map(|path| path.to_str().unwrap());
        run("mkfs.ext4", &["-q", "-O", "^has_journal", "-m", "0", "-d", from, to]);
        spoil(&image);
        let device = run("losetup", &["--find", "--show", "--direct-io=on", to]);
        Self {
            device: Detach(device),
            image,
            at,
            _folder: folder,
        }
    }

    fn driver(&self) -> Storage<Block<SystemMounter>> {
        let disk = Path::new("/sys/block").join(Path::new(&self.device.0).file_name().unwrap());
        let block = Block {
            mounter: SystemMounter,
            sequence: sequence(&disk).unwrap(),
            disk,
            device: self.device.0.clone().into(),
            at: self.at.clone(),
            mounted: false,
        };
        Storage::new(block, Profile::default())
    }
}

const INFO: (&str, &[u8]) = ("DEVICE.INF", b"serial=ZFY0001");

fn over(image: &Path, at: u64, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = File::options().write(true).open(image).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

/// As the kernel sees them: no file system, an encrypted one, a destroyed one; and an empty one, which can be read and does
/// not say whose it is.
#[test]
fn cards_that_are_blank_encrypted_destroyed_or_empty_are_told_apart() {
    let blank = Card::new(&[], |image| {
        File::create(image).unwrap().set_len(16 << 20).unwrap();
    });
    let encrypted = Card::new(&[INFO], |image| {
        File::create(image).unwrap().set_len(16 << 20).unwrap();
        over(image, 0, b"LUKS\xba\xbe\0\x02");
    });
    let destroyed = Card::new(&[INFO], |image| over(image, 1024, &[0x5a; 1024]));
    for (card, what) in [(blank, "blank"), (encrypted, "encrypted"), (destroyed, "destroyed")] {
        let fault = card.driver().unlock().unwrap_err();
        assert!(matches!(fault, Fault::Volume(_)), "{what}: {fault}");
    }
    let empty = Card::new(&[], |_| {});
    let mut driver = empty.driver();
    driver.unlock().unwrap();
    assert!(matches!(driver.identify(), Err(Fault::Nameless(_))));
    assert!(driver.list(0).unwrap().files.is_empty());
    driver.eject().unwrap();
}

/// Not a byte is free: it is read and cleared all the same, and then there is room for the time.
#[test]
fn a_full_card_is_read_cleared_and_given_the_time() {
    let card = Card::new(&[INFO, ("DCIM/a.mp4", &[7; 300_000])], |_| {});
    let mut driver = card.driver();
    driver.unlock().unwrap();
    driver.allow_clearing().unwrap();
    let mut filler = File::create(card.at.join("DCIM/b.mp4")).unwrap();
    let mut filled = 0u64;
    for size in [64 << 10, 1 << 10, 1] {
        while let Ok(n) = std::io::Write::write(&mut filler, &vec![1u8; size]) {
            filled += n as u64;
        }
    }
    drop(filler);
    assert!(filled > 8 << 20);
    assert!(
        matches!(driver.set_clock(1_795_244_645), Err(Fault::Card(_))),
        "there was room"
    );
    let files = driver.list(i64::MAX / 2).unwrap().files;
    assert_eq!(files.len(), 2, "{files:?}");
    for file in &files {
        let mut bytes = Vec::new();
        driver.open(file).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, file.size);
        driver.clear(file).unwrap();
    }
    driver.set_clock(1_795_244_645).unwrap();
    assert!(driver.list(0).unwrap().files.is_empty());
    driver.eject().unwrap();
}

/// The kernel answers EIO from some byte on, as from a worn or badly seated card; when the card gives again, all of it is
/// there.
#[test]
fn a_card_that_the_kernel_cannot_read_from_some_byte_on_is_a_card_error_and_whole_again_later() {
    let clip: Vec<u8> = (0..6_000_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let card = Card::new(&[INFO, ("DCIM/a.mp4", &clip)], |_| {});
    let to = card.image.with_file_name("copy");
    let content = std::fs::read(&card.image).unwrap();
    let mut driver = card.driver();
    driver.unlock().unwrap();
    let file = driver.list(0).unwrap().files.remove(0);
    // Where the clip's bytes end in the image; the card gives nothing from some way before.
    let last = content
        .windows(64)
        .rposition(|w| *w == clip[clip.len() - 64..])
        .unwrap();
    let broken = (last - 2_000_000) / 4096 * 4096;
    File::options()
        .write(true)
        .open(&card.image)
        .unwrap()
        .set_len(broken as u64)
        .unwrap();
    let control = crate::copy::Control::default();
    let fault = crate::copy::copy(driver.open(&file).unwrap(), file.size, &to, &control).unwrap_err();
    assert!(
        matches!(&fault, Fault::Card(e) if e.raw_os_error() == Some(5)),
        "{fault}"
    );
    assert!(!to.exists());
    assert!(driver.present(), "an error is not a pull");

    over(&card.image, broken as u64, &content[broken..]);
    let copied = crate::copy::copy(driver.open(&file).unwrap(), file.size, &to, &control).unwrap();
    assert_eq!((copied.size, std::fs::read(&to).unwrap() == clip), (6_000_000, true));
    driver.eject().unwrap();
}

struct Detach(String);

impl Drop for Detach {
    fn drop(&mut self) {
        let _ = std::process::Command::new("losetup")
            .args(["--detach", &self.0])
            .status();
    }
}
