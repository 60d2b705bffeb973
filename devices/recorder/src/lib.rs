//! Work recorders (工作记录仪) as the appliance sees them: one trait per recorder, one file per family or vendor.
//!
//! * [`RecorderDriver`]: identify, unlock, battery, clock, list, open, clear, eject. [`storage`] is the driver of recorders
//!   that show files: mass storage ([`block`] finds and mounts it) and network recorders that upload into a folder.
//! * [`index`] walks what a recorder shows without trusting it; [`names`] reads file names by a configurable pattern
//!   (GA/T 947); [`container`] tells duration, time and wholeness from the content, which goes before any name.
//! * [`copy`] copies with SM3 and SHA-256 on the way, in constant memory, and reads back what was written.
//! * [`turns`] says whose turn it is when ten recorders want to be read at once; [`gaps`] finds missing footage.
//!
//! Everything here blocks. Nothing here keeps state, deletes on its own account or knows a network.

pub mod block;
pub mod container;
pub mod copy;
pub mod gaps;
pub mod index;
pub mod names;
pub mod profile;
pub mod storage;
pub mod turns;

use std::io::Read;
use std::path::PathBuf;

pub use index::{Found, Listing, Oddity};
pub use profile::Profile;

/// Seconds since 1970, UTC. By whose clock, the place says.
pub type Seconds = i64;

/// Who a recorder says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Serial number: its identity.
    pub serial: String,
    /// Make and model, perhaps empty.
    pub model: String,
    /// Serial number or identifier of its volume, perhaps empty.
    pub volume: String,
}

/// Why something with a recorder did not succeed, in words for the person at the dock.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It was pulled.
    #[error("记录仪已拔出")]
    Gone,
    /// Its card cannot be read or written at some place.
    #[error("记录仪存储卡出错：{0}")]
    Card(std::io::Error),
    /// Its file system cannot be used: encrypted, corrupt, of an unknown kind.
    #[error("记录仪的存储无法打开（{0}），请送修或人工取证")]
    Volume(String),
    /// It does not say who it is.
    #[error("记录仪没有给出序列号（{0}），请确认型号已登记")]
    Nameless(String),
    /// It wants another password.
    #[error("记录仪拒绝登录：{0}")]
    Locked(String),
    /// Our own disk, or our share of it, is full.
    #[error("采集存储空间已满，请清理或扩容；记录仪中的视音频保持不动")]
    Full,
    /// Our own disk does not work.
    #[error("采集存储出错：{0}")]
    Disk(std::io::Error),
    /// The file became another while it was read.
    #[error("文件在读取时发生变化，稍后重新采集")]
    Changed,
    /// What was read back is not what was written.
    #[error("写入后复读不一致，将重新采集")]
    ReadBack,
    /// This recorder cannot do that.
    #[error("该型号不支持{0}")]
    Unable(&'static str),
    /// We are stopping.
    #[error("正在停止")]
    Stopped,
}

/// One recorder of some family, while it is plugged.
///
/// A driver never deletes but in [`RecorderDriver::clear`], never writes to a recorder before
/// [`RecorderDriver::allow_clearing`], and answers [`Fault::Gone`] when the recorder is no longer there.
pub trait RecorderDriver: Send {
    /// Logs in, switches to storage, mounts for reading: whatever is needed before anything else. May be repeated.
    ///
    /// # Errors
    /// See [`Fault`].
    fn unlock(&mut self) -> Result<(), Fault>;

    /// Who it is.
    ///
    /// # Errors
    /// See [`Fault`].
    fn identify(&mut self) -> Result<Identity, Fault>;

    /// Charge in percent, if it tells.
    ///
    /// # Errors
    /// See [`Fault`].
    fn battery(&mut self) -> Result<Option<u8>, Fault>;

    /// Its own time in milliseconds since 1970, if it tells.
    ///
    /// # Errors
    /// See [`Fault`].
    fn clock(&mut self) -> Result<Option<i64>, Fault>;

    /// Its files, at `now` by our clock.
    ///
    /// # Errors
    /// See [`Fault`].
    fn list(&mut self, now: Seconds) -> Result<Listing, Fault>;

    /// Opens a file; refuses what is not the file that was listed.
    ///
    /// # Errors
    /// See [`Fault`]; [`Fault::Changed`] when size or time are others than listed.
    fn open(&mut self, file: &Found) -> Result<Box<dyn Read + Send>, Fault>;

    /// Makes it writable (remount, command of the vendor).
    ///
    /// # Errors
    /// See [`Fault`].
    fn allow_clearing(&mut self) -> Result<(), Fault>;

    /// Deletes one file, durably; a file that is not there counts as deleted, a file that changed is not deleted.
    ///
    /// # Errors
    /// See [`Fault`]; [`Fault::Changed`] when size or time are others than listed.
    fn clear(&mut self, file: &Found) -> Result<(), Fault>;

    /// Sets its clock.
    ///
    /// # Errors
    /// See [`Fault`]; [`Fault::Unable`] when it has none that can be set.
    fn set_clock(&mut self, now: Seconds) -> Result<(), Fault>;

    /// Ends the storage session, so that it may be pulled.
    ///
    /// # Errors
    /// See [`Fault`].
    fn eject(&mut self) -> Result<(), Fault>;

    /// Whether it is still plugged.
    fn present(&self) -> bool;

    /// Whether footage may come while it is here, as from recorders that upload over a network.
    fn is_live(&self) -> bool {
        false
    }
}

/// A recorder that is plugged, not opened yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Plugged {
    /// Names this stay at its place: a recorder pulled and plugged again is another one.
    pub key: String,
    /// Where, for people: bay, port, folder.
    pub place: String,
    /// The port it is plugged into, where one knows: a USB port path (`2-1.3`), a folder's name. Which bay that is, is
    /// configured.
    pub port: String,
    /// What shares its bandwidth: a USB root port, a network.
    pub controller: String,
    /// What the driver opens: device node or folder.
    pub path: PathBuf,
}

/// A place where recorders appear.
pub trait Source: Send {
    /// What is plugged now.
    ///
    /// # Errors
    /// When the place itself cannot be looked at.
    fn plugged(&mut self) -> std::io::Result<Vec<Plugged>>;

    /// The driver for one of them.
    ///
    /// # Errors
    /// See [`Fault`].
    fn driver(&self, plugged: &Plugged) -> Result<Box<dyn RecorderDriver>, Fault>;
}
