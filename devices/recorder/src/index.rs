//! What lies on a recorder, found without trusting it.
//!
//! Every regular file below the root is footage unless the recorder's profile says it is its own: what is not understood is
//! taken in too, because clearing follows. Symbolic links, sockets, pipes and devices are named and left alone; folders are
//! entered once (a corrupt FAT may hold loops), never across a mount, at most [`DEPTH`] deep. Files are opened below the
//! root only, without following links (`openat2`, `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`).

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, openat2, unlinkat};

use crate::{Fault, Profile, Seconds};

/// Folders deeper than this are named and left alone.
pub const DEPTH: usize = 12;
/// More files than this on one recorder are left for its next docking.
pub const MOST: usize = 50_000;
/// Oddities that are named; more are not worth the memory.
pub const MOST_ODD: usize = 1_000;

/// A file of a recorder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Found {
    /// Path below the root, as it is on the recorder: any bytes.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Last change in nanoseconds since 1970, by the recorder's clock.
    pub changed_ns: i64,
}

/// Something on a recorder that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    /// Path below the root.
    pub path: PathBuf,
    /// Why, in plain words.
    pub why: &'static str,
}

/// What is on a recorder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Files, by path.
    pub files: Vec<Found>,
    /// What is left alone.
    pub oddities: Vec<Oddity>,
    /// Files that change still: to be looked at again.
    pub growing: u64,
}

/// Walks everything below `root`.
///
/// # Errors
/// When the root itself cannot be read. A folder below it that cannot be read is an oddity.
pub fn walk(root: &Path, profile: &Profile, now: Seconds) -> io::Result<Listing> {
    let device = std::fs::symlink_metadata(root)?.dev();
    let volume = rustix::fs::statvfs(root)?;
    let capacity = volume.f_blocks.saturating_mul(volume.f_frsize);
    let mut listing = Listing::default();
    let mut entered = HashSet::new();
    let mut folders = vec![(PathBuf::new(), 0usize)];
    while let Some((folder, depth)) = folders.pop() {
        listing.oddities.truncate(MOST_ODD);
        let full = root.join(&folder);
        let odd = |path: &Path, why| Oddity {
            path: path.to_owned(),
            why,
        };
        match std::fs::symlink_metadata(&full) {
            Ok(m) if m.is_dir() && m.dev() == device && entered.insert(m.ino()) => {}
            Ok(_) => {
                listing.oddities.push(odd(&folder, "目录循环或跨越了另一存储，未进入"));
                continue;
            }
            Err(error) if depth == 0 => return Err(error),
            Err(_) => {
                listing.oddities.push(odd(&folder, "目录无法读取"));
                continue;
            }
        }
        let entries = match std::fs::read_dir(&full) {
            Ok(entries) => entries,
            Err(error) if depth == 0 => return Err(error),
            Err(_) => {
                listing.oddities.push(odd(&folder, "目录无法读取"));
                continue;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if depth == 0 => return Err(error),
                Err(_) => {
                    listing.oddities.push(odd(&folder, "目录只读出一部分"));
                    break;
                }
            };
            let path = folder.join(entry.file_name());
            if depth == 0 && profile.is_own(&entry.file_name().to_string_lossy()) {
                continue;
            }
            let Ok(metadata) = std::fs::symlink_metadata(root.join(&path)) else {
                listing.oddities.push(odd(&path, "无法读取文件信息"));
                continue;
            };
            let kind = metadata.file_type();
            if kind.is_dir() {
                if depth >= DEPTH {
                    listing.oddities.push(odd(&path, "目录过深，未进入"));
                } else {
                    folders.push((path, depth + 1));
                }
            } else if kind.is_file() {
                // A damaged directory says anything: such a file would only fill our disk, or keep back the others.
                if metadata.len() > capacity {
                    listing
                        .oddities
                        .push(odd(&path, "文件长度超过存储卡容量，目录可能已损坏"));
                    continue;
                }
                let found = found(path, &metadata);
                let rested = now.saturating_mul(1_000_000_000).saturating_sub(found.changed_ns);
                let wanted = i64::try_from(profile.settle_s)
                    .unwrap_or(i64::MAX)
                    .saturating_mul(1_000_000_000);
                // A time in the future is a wrong clock, not a file that grows.
                if (0..wanted).contains(&rested) || listing.files.len() >= MOST {
                    listing.growing += 1;
                } else {
                    listing.files.push(found);
                }
            } else if kind.is_symlink() {
                listing.oddities.push(odd(&path, "符号链接，未跟随"));
            } else {
                listing.oddities.push(odd(&path, "特殊文件，未读取"));
            }
        }
    }
    listing.files.sort();
    listing.oddities.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listing)
}

fn found(path: PathBuf, metadata: &std::fs::Metadata) -> Found {
    Found {
        path,
        size: metadata.len(),
        changed_ns: metadata
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.mtime_nsec()),
    }
}

const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

/// Opens a listed file; [`Fault::Changed`] when it is not the one that was listed.
///
/// # Errors
/// See [`Fault`].
pub fn open(root: &Path, file: &Found) -> Result<File, Fault> {
    let folder = File::open(root).map_err(Fault::Card)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = openat2(&folder, &file.path, flags, Mode::empty(), BENEATH).map_err(|e| Fault::Card(e.into()))?;
    let opened = File::from(opened);
    let metadata = opened.metadata().map_err(Fault::Card)?;
    if !metadata.is_file() || found(file.path.clone(), &metadata) != *file {
        return Err(Fault::Changed);
    }
    Ok(opened)
}

/// Deletes a listed file and makes that durable; one that is not there is deleted already.
///
/// # Errors
/// See [`Fault`]; a file that changed since it was listed is not deleted.
pub fn delete(root: &Path, file: &Found) -> Result<(), Fault> {
    match open(root, file) {
        Ok(_) => {}
        Err(Fault::Card(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(fault) => return Err(fault),
    }
    let (Some(parent), Some(name)) = (file.path.parent(), file.path.file_name()) else {
        return Err(Fault::Changed);
    };
    let folder = File::open(root).map_err(Fault::Card)?;
    let parent = if parent.as_os_str().is_empty() {
        folder
    } else {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY;
        let opened = openat2(&folder, parent, flags, Mode::empty(), BENEATH);
        File::from(opened.map_err(|e| Fault::Card(e.into()))?)
    };
    unlinkat(&parent, name, AtFlags::empty()).map_err(|e| Fault::Card(e.into()))?;
    parent.sync_all().map_err(Fault::Card)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    fn write(root: &Path, path: &[u8], bytes: &[u8]) {
        let path = root.join(OsStr::from_bytes(path));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn names(listing: &Listing) -> Vec<String> {
        listing.files.iter().map(|f| crate::names::shown(&f.path)).collect()
    }

    #[test]
    fn what_is_hostile_on_a_recorder_is_named_and_neither_followed_nor_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (root, secret) = (folder.path().join("card"), folder.path().join("secret"));
        std::fs::create_dir(&root).unwrap();
        std::fs::write(&secret, "not footage").unwrap();
        write(&root, b"DEVICE.INF", b"serial=ZFY0001");
        write(&root, b"DCIM/a.mp4", b"a");
        write(&root, b"DCIM/empty.mp4", b"");
        write(&root, b"DCIM/line\nbreak\x01.mp4", b"b");
        write(&root, b"DCIM/\xff\xfe.mp4", b"c");
        write(&root, &[b'n'; 255], b"d");
        write(&root, b"..mp4", b"e");
        write(&root, b"-rf *", b"f");
        std::os::unix::fs::symlink(&secret, root.join("link.mp4")).unwrap();
        std::os::unix::fs::symlink("/", root.join("rootlink")).unwrap();
        std::os::unix::fs::symlink(".", root.join("loop")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        let mut deep = root.clone();
        for _ in 0..DEPTH + 3 {
            deep.push("d");
        }
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("too-deep.mp4"), "x").unwrap();

        let listing = walk(&root, &Profile::default(), 0).unwrap();
        let long = "n".repeat(255);
        let expected = [
            "-rf *",
            "..mp4",
            "DCIM/a.mp4",
            "DCIM/empty.mp4",
            "DCIM/line%0Abreak%01.mp4",
            "DCIM/%FF%FE.mp4",
            long.as_str(),
        ];
        assert_eq!(names(&listing), expected);
        let odd: Vec<String> = listing
            .oddities
            .iter()
            .map(|o| format!("{} {}", o.path.display(), o.why))
            .collect();
        assert!(odd.contains(&"link.mp4 符号链接，未跟随".to_owned()), "{odd:?}");
        assert!(odd.contains(&"loop 符号链接，未跟随".to_owned()));
        assert!(odd.contains(&"socket 特殊文件，未读取".to_owned()));
        assert!(odd.iter().any(|o| o.ends_with("目录过深，未进入")));
        assert_eq!(odd.len(), 5);
        for file in &listing.files {
            open(&root, file).unwrap();
        }
    }

    #[test]
    fn nothing_outside_the_recorder_is_opened_or_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("card");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(folder.path().join("secret"), "12345").unwrap();
        let outside = std::fs::metadata(folder.path().join("secret")).unwrap();
        for path in ["../secret", "/etc/passwd", "x/../../secret"] {
            let file = found(PathBuf::from(path), &outside);
            assert!(open(&root, &file).is_err(), "{path}");
            assert!(
                delete(&root, &file).is_err() || folder.path().join("secret").exists(),
                "{path}"
            );
        }
        // A folder that turned into a link after it was listed.
        std::fs::create_dir(root.join("DCIM")).unwrap();
        std::fs::write(root.join("DCIM/a.mp4"), "12345").unwrap();
        let listing = walk(&root, &Profile::default(), 0).unwrap();
        std::fs::remove_dir_all(root.join("DCIM")).unwrap();
        std::os::unix::fs::symlink(folder.path(), root.join("DCIM")).unwrap();
        std::fs::write(folder.path().join("a.mp4"), "12345").unwrap();
        assert!(open(&root, &listing.files[0]).is_err());
        assert!(delete(&root, &listing.files[0]).is_err());
        assert!(folder.path().join("a.mp4").exists() && folder.path().join("secret").exists());
    }

    #[test]
    fn a_file_that_changed_since_it_was_listed_is_neither_read_nor_deleted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.mp4"), "first").unwrap();
        let listing = walk(folder.path(), &Profile::default(), 0).unwrap();
        std::fs::write(folder.path().join("a.mp4"), "first and more").unwrap();
        assert!(matches!(open(folder.path(), &listing.files[0]), Err(Fault::Changed)));
        assert!(matches!(delete(folder.path(), &listing.files[0]), Err(Fault::Changed)));
        let again = walk(folder.path(), &Profile::default(), 0).unwrap();
        delete(folder.path(), &again.files[0]).unwrap();
        delete(folder.path(), &again.files[0]).unwrap();
        assert!(walk(folder.path(), &Profile::default(), 0).unwrap().files.is_empty());
    }

    /// A damaged directory may say that a file is longer than its card. It is named, so that nothing else waits for it.
    #[test]
    fn a_file_longer_than_its_card_is_named_and_left() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.mp4"), "x").unwrap();
        let huge = std::fs::File::create(folder.path().join("huge.mp4")).unwrap();
        huge.set_len(15 << 40).unwrap();
        let listing = walk(folder.path(), &Profile::default(), 0).unwrap();
        assert_eq!(names(&listing), ["a.mp4"]);
        assert_eq!(listing.oddities.len(), 1);
        assert!(listing.oddities[0].why.contains("超过存储卡容量"));
    }

    #[test]
    fn a_file_that_grows_is_left_until_it_rests_and_a_clock_in_the_future_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mp4");
        std::fs::write(&path, "x").unwrap();
        let profile = Profile {
            settle_s: 30,
            ..Profile::default()
        };
        let changed = std::fs::metadata(&path).unwrap().mtime();
        let at = |now| walk(folder.path(), &profile, now).unwrap();
        assert_eq!((at(changed + 5).files.len(), at(changed + 5).growing), (0, 1));
        assert_eq!((at(changed + 60).files.len(), at(changed + 60).growing), (1, 0));
        assert_eq!(at(changed - 86_400 * 365).files.len(), 1);
    }
}
