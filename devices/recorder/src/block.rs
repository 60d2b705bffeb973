//! Recorders that are USB mass storage: found by the kernel's own tables, mounted read-only and distrusted.
//!
//! `/sys/block` is looked at instead of listening to uevents: a look costs microseconds, needs no udev and cannot miss what
//! came while nobody listened. `diskseq` numbers each appearance, so that a recorder pulled and plugged again within one
//! look is told from the one before.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};

use crate::storage::{Medium, Storage};
use crate::{Fault, Plugged, Profile, RecorderDriver, Source};

/// Mounts and unmounts; a trait, since not every kernel on which we are tested knows the file systems of recorders.
pub trait Mounter: Send + Sync {
    /// Mounts a device for reading only, nothing on it executable.
    ///
    /// # Errors
    /// When it has no file system that can be read.
    fn mount(&self, device: &Path, at: &Path) -> io::Result<()>;

    /// Lets what is mounted be written.
    ///
    /// # Errors
    /// When the system refuses.
    fn allow_writing(&self, at: &Path) -> io::Result<()>;

    /// Ends a mount; one that is not there counts as ended.
    ///
    /// # Errors
    /// When the system refuses.
    fn unmount(&self, at: &Path) -> io::Result<()>;
}

/// The kernel's mounts.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemMounter;

/// File systems of recorders with their options, in the order in which they are tried.
const KINDS: [(&str, &std::ffi::CStr); 4] = [
    ("vfat", c"utf8"),
    ("exfat", c""),
    ("ntfs3", c""),
    // Its journal is not replayed: the card stays as it came.
    ("ext4", c"noload"),
];

const DISTRUSTED: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

impl Mounter for SystemMounter {
    fn mount(&self, device: &Path, at: &Path) -> io::Result<()> {
        let mut told = io::Error::other("没有可识别的文件系统");
        for (kind, options) in KINDS {
            match mount(device, at, kind, DISTRUSTED | MountFlags::RDONLY, options) {
                Ok(()) => return Ok(()),
                // Not this one, or not known to this kernel.
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NODEV) => {}
                Err(error) => told = error.into(),
            }
        }
        Err(told)
    }

    fn allow_writing(&self, at: &Path) -> io::Result<()> {
        Ok(mount_remount(at, DISTRUSTED, c"")?)
    }

    fn unmount(&self, at: &Path) -> io::Result<()> {
        match unmount(at, UnmountFlags::NOFOLLOW) {
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(()),
            // Something still has a file open (a pulled card): it leaves the tree now and goes when that is closed.
            Err(rustix::io::Errno::BUSY) => Ok(unmount(at, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?),
            Err(error) => Err(error.into()),
        }
    }
}

/// A block device as medium.
struct Block<M> {
    mounter: M,
    /// The disk in the kernel's table.
    disk: PathBuf,
    sequence: String,
    device: PathBuf,
    at: PathBuf,
    mounted: bool,
}

fn sequence(disk: &Path) -> Option<String> {
    std::fs::read_to_string(disk.join("diskseq"))
        .ok()
        .map(|text| text.trim().to_owned())
}

impl<M: Mounter> Medium for Block<M> {
    fn open(&mut self) -> Result<PathBuf, Fault> {
        if !self.mounted {
            std::fs::create_dir_all(&self.at).map_err(Fault::Disk)?;
            // What an earlier run of ours left mounted there belongs to a recorder of before.
            self.mounter.unmount(&self.at).map_err(Fault::Disk)?;
            self.mounter.mount(&self.device, &self.at).map_err(|e| {
                if self.present() {
                    Fault::Volume(e.to_string())
                } else {
                    Fault::Gone
                }
            })?;
            self.mounted = true;
        }
        Ok(self.at.clone())
    }

    fn allow_writing(&mut self) -> Result<(), Fault> {
        self.mounter.allow_writing(&self.at).map_err(Fault::Card)
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.mounted = false;
        self.mounter.unmount(&self.at).map_err(Fault::Card)
    }

    fn present(&self) -> bool {
        sequence(&self.disk).as_deref() == Some(self.sequence.as_str())
    }

    fn volume(&self) -> String {
        volume_of(&self.device).unwrap_or_default()
    }
}

impl<M> Drop for Block<M> {
    fn drop(&mut self) {
        if self.mounted {
            // Best effort: the next opening unmounts, too.
            let _ = SystemMounter.unmount(&self.at);
        }
    }
}

/// Identifier of the volume, from its first sectors: FAT, exFAT, ext.
fn volume_of(device: &Path) -> Option<String> {
    let mut file = File::open(device).ok()?;
    let mut head = [0u8; 2048];
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_exact(&mut head).ok()?;
    let number = |at: usize| {
        let bytes: [u8; 4] = head.get(at..at + 4)?.try_into().ok()?;
        let number = u32::from_le_bytes(bytes);
        Some(format!("{:04X}-{:04X}", number >> 16, number & 0xffff))
    };
    let at = |offset: usize, magic: &[u8]| head.get(offset..offset + magic.len()) == Some(magic);
    if at(3, b"EXFAT   ") {
        return number(0x64);
    }
    if at(0x52, b"FAT32") {
        return number(0x43);
    }
    if at(0x36, b"FAT1") {
        return number(0x27);
    }
    if at(0x438, &[0x53, 0xef]) {
        let uuid = head.get(0x468..0x478)?;
        return Some(uuid.iter().map(|b| format!("{b:02x}")).collect());
    }
    None
}

/// The USB port of a disk, from its place in the kernel's tree of devices: the last `BUS-PORT.PORT…` on the way.
fn port(real: &Path) -> Option<String> {
    let is_port = |part: &&str| {
        let Some((bus, ports)) = part.split_once('-') else {
            return false;
        };
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        number(bus) && ports.split('.').all(number)
    };
    let parts = real.components().rev().filter_map(|c| c.as_os_str().to_str());
    parts.into_iter().find(is_port).map(str::to_owned)
}

/// Removable disks in the kernel's table.
pub struct Blocks<M> {
    table: PathBuf,
    nodes: PathBuf,
    mounts: PathBuf,
    profile: Profile,
    mounter: M,
}

impl<M: Mounter + Clone> Blocks<M> {
    /// Disks in `/sys/block`, mounted below `mounts`.
    pub fn new(mounts: impl Into<PathBuf>, profile: Profile, mounter: M) -> Self {
        Self::at("/sys/block", "/dev", mounts, profile, mounter)
    }

    /// Disks of another table, with their nodes in another folder.
    pub fn at(
        table: impl Into<PathBuf>,
        nodes: impl Into<PathBuf>,
        mounts: impl Into<PathBuf>,
        profile: Profile,
        mounter: M,
    ) -> Self {
        Self {
            table: table.into(),
            nodes: nodes.into(),
            mounts: mounts.into(),
            profile,
            mounter,
        }
    }

    fn look(&self, disk: &Path) -> Option<Plugged> {
        let name = disk.file_name()?.to_str()?.to_owned();
        let real = std::fs::canonicalize(disk).ok()?;
        let usb = real.components().find_map(|c| {
            let part = c.as_os_str().to_str()?;
            part.strip_prefix("usb")?.parse::<u32>().ok()?;
            Some(part.to_owned())
        });
        let removable = std::fs::read_to_string(disk.join("removable")).is_ok_and(|t| t.trim() == "1");
        let controller = match usb {
            Some(usb) => usb,
            None if removable => name.clone(),
            None => return None,
        };
        // A reader without a card has no size.
        let size = std::fs::read_to_string(disk.join("size")).ok()?;
        if size.trim() == "0" {
            return None;
        }
        let mut partitions: Vec<_> = std::fs::read_dir(disk)
            .ok()?
            .filter_map(|e| e.ok()?.file_name().into_string().ok())
            .filter(|e| e.starts_with(&name) && disk.join(e).join("partition").exists())
            .collect();
        partitions.sort();
        let volume = partitions.into_iter().next().unwrap_or_else(|| name.clone());
        Some(Plugged {
            key: format!("{name}/{}", sequence(disk)?),
            place: format!("{controller} {name}"),
            port: port(&real).unwrap_or_default(),
            controller,
            path: self.nodes.join(volume),
        })
    }
}

impl<M: Mounter + Clone + 'static> Source for Blocks<M> {
    fn plugged(&mut self) -> io::Result<Vec<Plugged>> {
        let mut found: Vec<_> = std::fs::read_dir(&self.table)?
            .filter_map(|entry| self.look(&entry.ok()?.path()))
            .collect();
        found.sort();
        Ok(found)
    }

    fn driver(&self, plugged: &Plugged) -> Result<Box<dyn RecorderDriver>, Fault> {
        let (name, sequence) = plugged.key.split_once('/').ok_or(Fault::Gone)?;
        let block = Block {
            mounter: self.mounter.clone(),
            disk: self.table.join(name),
            sequence: sequence.to_owned(),
            device: plugged.path.clone(),
            at: self.mounts.join(format!("{name}-{sequence}")),
            mounted: false,
        };
        Ok(Box::new(Storage::new(block, self.profile.clone())))
    }
}

#[cfg(test)]
mod tests;
