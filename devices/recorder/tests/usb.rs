//! Recorders on genuine USB mass storage, with the file systems that recorders have: an ordinary Debian kernel in a virtual
//! machine, whose only program is the driver (`examples/usb_guest.rs` says what happens there). The kernel under the tests
//! need not know FAT.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;
/// In the middle of the long recording of the first recorder, which lies behind 4 MB of short ones.
const BROKEN_SECTOR: u64 = 10 * MIB / 512;

/// The folder of the build, where the set-up put the guest's kernel.
fn target() -> PathBuf {
    // target/<profile>/deps/usb-<hash>
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(3).unwrap().to_path_buf()
}

fn run(program: &str, arguments: &[&str]) {
    let out = Command::new(program).args(arguments).output().unwrap();
    assert!(
        out.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
}

/// An archive as the kernel unpacks it for its first process (cpio, "newc").
#[derive(Default)]
struct Archive(Vec<u8>);

impl Archive {
    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        let fields = [
            0,
            mode,
            0,
            0,
            1,
            0,
            content.len() as u32,
            0,
            0,
            0,
            0,
            name.len() as u32 + 1,
            0,
        ];
        self.0.extend(b"070701");
        for field in fields {
            self.0.extend(format!("{field:08x}").bytes());
        }
        self.0.extend(name.bytes().chain([0]));
        self.pad();
        self.0.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn folders(&mut self, of: &str) {
        for (at, _) in of.match_indices('/').filter(|(at, _)| *at > 0) {
            self.entry(&of[..at], 0o040_755, b"");
        }
    }

    /// The guest's program, the libraries it needs, the kernel's modules.
    fn of(program: &Path, modules: &Path) -> Vec<u8> {
        let mut archive = Self::default();
        archive.entry("init", 0o100_755, &fs::read(program).unwrap());
        let listed = Command::new("ldd").arg(program).output().unwrap();
        for word in String::from_utf8(listed.stdout).unwrap().split_whitespace() {
            if word.starts_with('/') {
                let name = word.trim_start_matches('/');
                archive.folders(name);
                archive.entry(name, 0o100_755, &fs::read(word).unwrap());
            }
        }
        archive.entry("modules", 0o040_755, b"");
        for module in fs::read_dir(modules).unwrap() {
            let path = module.unwrap().path();
            let name = format!("modules/{}", path.file_name().unwrap().to_str().unwrap());
            archive.entry(&name, 0o100_644, &fs::read(&path).unwrap());
        }
        archive.entry("dev", 0o040_755, b"");
        archive.entry("TRAILER!!!", 0, b"");
        archive.0
    }
}

/// Cards as their makers format them: FAT32 in a partition, exFAT and FAT32 on the whole card, and one that was destroyed.
fn cards(folder: &Path) -> [PathBuf; 4] {
    let paths = ["fat", "exfat", "hub", "destroyed"].map(|name| folder.join(name));
    for path in &paths {
        fs::File::create(path).unwrap().set_len(96 * MIB).unwrap();
    }
    let [fat, exfat, hub, destroyed] = paths.each_ref().map(|path| path.to_str().unwrap());
    let mut first = [0u8; 512];
    // One partition, FAT32 (0x0c), from sector 2048 to the end.
    first[446..462].copy_from_slice(&[0, 0, 0, 0, 0x0c, 0, 0, 0, 0, 8, 0, 0, 0, 0xf8, 2, 0]);
    first[510..].copy_from_slice(&[0x55, 0xaa]);
    let write = |path: &str, bytes: &[u8], at: u64| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.write_all_at(bytes, at).unwrap();
    };
    run(
        "mkfs.vfat",
        &["-F", "32", "--offset", "2048", fat, &(95 * 1024).to_string()],
    );
    write(fat, &first, 0);
    run("mkfs.exfat", &[exfat]);
    run("mkfs.vfat", &["-F", "32", "-I", hub]);
    run("mkfs.vfat", &["-F", "32", "-I", destroyed]);
    // Its boot sectors and their spare copies are gone.
    write(destroyed, &[0x5a; 64 << 10], 0);
    paths
}

/// The machine; its end ends it.
struct Guest {
    qemu: Child,
    monitor: UnixStream,
}

impl Guest {
    fn start(folder: &Path, cards: &[PathBuf; 4]) -> Self {
        let (target, own) = (target(), std::env::current_exe().unwrap());
        let program = own.ancestors().nth(2).unwrap().join("examples/usb_guest");
        let kernel = target.join("guest/vmlinuz");
        assert!(
            kernel.exists(),
            "the guest's kernel is missing: `cargo xtask test` sets it up"
        );
        let (initial, socket) = (folder.join("initial.cpio"), folder.join("monitor"));
        fs::write(&initial, Archive::of(&program, &target.join("guest/modules"))).unwrap();
        let [fat, exfat, hub, destroyed] = cards.each_ref().map(|path| path.to_str().unwrap());
        let file = |name: &str, path: &str| format!("driver=file,node-name={name},filename={path}");
        let broken = format!(
            r#"{{"driver":"blkdebug","node-name":"fat","image":{{"driver":"file","filename":"{fat}"}},"inject-error":[{{"event":"none","iotype":"read","errno":5,"sector":{BROKEN_SECTOR},"once":false}}]}}"#
        );
        let mut command = Command::new("qemu-system-x86_64");
        // Emulated: a hypervisor that is offered need not work, as in a virtual machine.
        command.args(["-accel", "tcg"]);
        command.args([
            "-machine",
            "q35",
            "-m",
            "320",
            "-nodefaults",
            "-display",
            "none",
            "-no-reboot",
        ]);
        command.args(["-serial", "stdio", "-append", "console=ttyS0 quiet panic=-1"]);
        command.arg("-kernel").arg(&kernel).arg("-initrd").arg(&initial);
        command
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", socket.display()));
        for device in [
            broken,
            file("exfat", exfat),
            file("hub", hub),
            file("destroyed", destroyed),
        ] {
            command.args(["-blockdev", &device]);
        }
        for device in [
            "qemu-xhci,id=usb",
            "usb-storage,drive=fat,bus=usb.0,port=1",
            "usb-storage,drive=exfat,bus=usb.0,port=2",
            "usb-hub,bus=usb.0,port=3",
            "usb-storage,id=pulled,drive=hub,bus=usb.0,port=3.2",
            "usb-storage,drive=destroyed,bus=usb.0,port=4",
        ] {
            command.args(["-device", device]);
        }
        let qemu = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let began = Instant::now();
        let monitor = loop {
            match UnixStream::connect(&socket) {
                Ok(monitor) => break monitor,
                Err(error) => assert!(began.elapsed() < Duration::from_secs(120), "no monitor: {error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut guest = Self { qemu, monitor };
        guest.order(r#"{"execute":"qmp_capabilities"}"#);
        guest
    }

    /// Orders something of the machine and waits for its answer.
    fn order(&mut self, order: &str) {
        self.monitor.write_all(order.as_bytes()).unwrap();
        let (mut told, mut byte) = (String::new(), [0u8]);
        while !(told.contains("\"return\"") && told.ends_with('\n')) {
            assert!(!told.contains("\"error\""), "{order}: {told}");
            self.monitor.read_exact(&mut byte).unwrap();
            told.push(char::from(byte[0]));
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// A shift of recorders with FAT32 and exFAT comes back over USB: found at their ports, mounted read-only, copied with
/// their hashes, cleared; a broken sector loses only what lies on it and stays on the card; a destroyed card is told; one
/// that is pulled while it is read is whole when it comes again.
#[test]
fn recorders_with_fat_and_exfat_come_back_over_usb_and_one_is_pulled() {
    let folder = tempfile::tempdir().unwrap();
    let mut guest = Guest::start(folder.path(), &cards(folder.path()));
    let console = BufReader::new(guest.qemu.stdout.take().unwrap());
    let (mut ok, mut all) = (Vec::new(), String::new());
    for line in console.split(b'\n') {
        let line = String::from_utf8_lossy(&line.unwrap()).trim().to_owned();
        all.push_str(&line);
        all.push('\n');
        match line.as_str() {
            "want pull" => guest.order(r#"{"execute":"device_del","arguments":{"id":"pulled"}}"#),
            "want plug" => guest.order(
                r#"{"execute":"device_add","arguments":{"driver":"usb-storage","id":"pulled","drive":"hub","bus":"usb.0","port":"3.2"}}"#,
            ),
            _ => ok.extend(line.strip_prefix("ok ").map(str::to_owned)),
        }
    }
    assert_eq!(ok, ["ports", "destroyed", "vfat", "exfat", "pulled", "end"], "{all}");
}
