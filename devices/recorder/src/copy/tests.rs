//! Copies that succeed, and every way in which they do not.

use super::*;
use std::io::Cursor;

fn bytes(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        })
        .collect()
}

/// Gives some bytes, then fails as a pulled or worn-out card does.
struct Failing(Cursor<Vec<u8>>, i32);

impl Read for Failing {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self.0.read(to)? {
            0 => Err(io::Error::from_raw_os_error(self.1)),
            n => Ok(n),
        }
    }
}

fn to(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("clip")
}

#[test]
fn a_copy_has_the_hashes_that_other_programs_compute() {
    let folder = tempfile::tempdir().unwrap();
    for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7] {
        let data = bytes(length);
        let copied = copy(
            Box::new(Cursor::new(data.clone())),
            length as u64,
            &to(&folder),
            &Control::default(),
        )
        .unwrap();
        assert_eq!(std::fs::read(to(&folder)).unwrap(), data);
        assert_eq!(copied.sha256, <[u8; 32]>::from(Sha256::digest(&data)));
        assert_eq!(copied.sm3, <[u8; 32]>::from(<Sm3 as sm3::Digest>::digest(&data)));
        read_back(&to(&folder), &copied, &Control::default()).unwrap();
        assert!(!part(&to(&folder)).exists());
        let said = std::process::Command::new("sha256sum")
            .arg(to(&folder))
            .output()
            .unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let ours: String = copied.sha256.iter().map(|b| format!("{b:02x}")).collect();
        assert!(said.starts_with(&ours), "{said}");
    }
    // GB/T 32905, A.1
    let copied = copy(Box::new(Cursor::new(b"abc")), 3, &to(&folder), &Control::default()).unwrap();
    assert_eq!(copied.sm3[..4], [0x66, 0xc7, 0xf0, 0xf4]);
}

#[test]
fn a_card_that_fails_at_any_byte_leaves_no_file_and_the_next_copy_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let data = bytes(2 * PIECE + 100);
    let size = data.len() as u64;
    for at in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 99] {
        let failing = Failing(Cursor::new(data[..at].to_vec()), 5);
        let fault = copy(Box::new(failing), size, &to(&folder), &Control::default()).unwrap_err();
        assert!(
            matches!(fault, Fault::Card(e) if e.raw_os_error() == Some(5)),
            "at {at}"
        );
        assert!(!to(&folder).exists(), "at {at}");
    }
    assert!(part(&to(&folder)).exists());
    copy(
        Box::new(Cursor::new(data.clone())),
        size,
        &to(&folder),
        &Control::default(),
    )
    .unwrap();
    assert_eq!(std::fs::read(to(&folder)).unwrap(), data);
}

#[test]
fn a_file_that_grew_or_shrank_on_the_way_is_no_copy() {
    let folder = tempfile::tempdir().unwrap();
    let data = bytes(PIECE + 5);
    for size in [0, 1, PIECE, PIECE + 4, PIECE + 6, 2 * PIECE] {
        let fault = copy(
            Box::new(Cursor::new(data.clone())),
            size as u64,
            &to(&folder),
            &Control::default(),
        );
        assert!(matches!(fault, Err(Fault::Changed)), "{size}: {fault:?}");
        assert!(!to(&folder).exists());
    }
}

#[test]
fn a_full_disk_is_told_as_such_and_spares_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let fault = pump(
        Box::new(Cursor::new(bytes(PIECE))),
        0,
        Path::new("/dev/full"),
        &Control::default(),
    );
    assert!(matches!(fault, Err(Fault::Full | Fault::Changed)), "{fault:?}");
    let mut full = File::options().write(true).open("/dev/full").unwrap();
    let (send, pieces) = sync_channel(1);
    let (spare, _spares) = sync_channel(1);
    let (to_check, _check_in) = sync_channel(1);
    send.send(Arc::new(bytes(PIECE))).unwrap();
    drop(send);
    assert!(matches!(
        write(&mut full, &pieces, &spare, to_check, &Control::default()),
        Err(Fault::Full)
    ));
    drop(folder);
}

#[test]
fn a_disk_that_gives_back_something_else_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let data = bytes(PIECE + 17);
    let copied = copy(
        Box::new(Cursor::new(data.clone())),
        data.len() as u64,
        &to(&folder),
        &Control::default(),
    )
    .unwrap();
    for at in [0, PIECE, PIECE + 16] {
        let mut damaged = data.clone();
        damaged[at] ^= 1;
        std::fs::write(to(&folder), &damaged).unwrap();
        assert!(matches!(
            read_back(&to(&folder), &copied, &Control::default()),
            Err(Fault::ReadBack)
        ));
    }
    std::fs::write(to(&folder), &data[..PIECE]).unwrap();
    assert!(matches!(
        read_back(&to(&folder), &copied, &Control::default()),
        Err(Fault::ReadBack)
    ));
}

/// More than is made durable at once, so that reading back runs behind the writing; and a disk that changes what it was
/// given while the copy still goes on.
#[test]
fn what_the_disk_gives_back_is_looked_at_while_the_copy_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let length = 2 * SYNC as usize + PIECE + 5;
    let data = bytes(length);
    let copied = copy(
        Box::new(Cursor::new(data.clone())),
        length as u64,
        &to(&folder),
        &Control::default(),
    )
    .unwrap();
    assert_eq!(copied.sha256, <[u8; 32]>::from(Sha256::digest(&data)));

    /// Spoils a byte that was written, before it gives the last ones.
    struct Spoiling(Cursor<Vec<u8>>, PathBuf);
    impl Read for Spoiling {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            use std::os::unix::fs::FileExt;
            if self.0.position() == 2 << 20 {
                let part = File::options().read(true).write(true).open(&self.1)?;
                let end = std::time::Instant::now() + std::time::Duration::from_secs(120);
                let mut byte = [0u8];
                // What the writer has not written yet, it would write over.
                while part.read_exact_at(&mut byte, 7).is_err() || byte[0] != self.0.get_ref()[7] {
                    assert!(std::time::Instant::now() < end, "nothing was written");
                    std::thread::yield_now();
                }
                part.write_all_at(&[byte[0] ^ 1], 7)?;
            }
            self.0.read(to)
        }
    }
    let small = data[..3 << 20].to_vec();
    let spoiling = Spoiling(Cursor::new(small.clone()), part(&to(&folder)));
    std::fs::remove_file(to(&folder)).unwrap();
    let fault = copy(
        Box::new(spoiling),
        small.len() as u64,
        &to(&folder),
        &Control::default(),
    );
    assert!(matches!(fault, Err(Fault::ReadBack)), "{fault:?}");
    assert!(!to(&folder).exists());
}

#[test]
fn a_copy_that_is_told_to_stop_stops() {
    let folder = tempfile::tempdir().unwrap();
    let control = Control::default();
    control.stop.store(true, Ordering::Relaxed);
    let fault = copy(
        Box::new(Cursor::new(bytes(PIECE))),
        PIECE as u64,
        &to(&folder),
        &control,
    );
    assert!(matches!(fault, Err(Fault::Stopped)));
}
