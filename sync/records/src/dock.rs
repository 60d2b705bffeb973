//! The recorder dock's board (采集坞控制板), as the cloud asks of it over the line.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::his::Operation;

/// `dock.update`: renews the board's firmware. Answers as soon as the package is kept; how it goes on is told by
/// [`DockRenewals`] and the appliance's health. The same package while it is open is the same renewal, so it needs no key.
#[derive(Debug, Clone, Copy)]
pub enum DockUpdate {}

impl Operation for DockUpdate {
    const METHOD: &'static str = "dock.update";
    const WRITES: bool = true;
    type Request = DockPackage;
    type Response = DockRenewal;
}

/// `dock.renewals`: the latest renewals, the newest first.
#[derive(Debug, Clone, Copy)]
pub enum DockRenewals {}

impl Operation for DockRenewals {
    const METHOD: &'static str = "dock.renewals";
    const WRITES: bool = false;
    type Request = DockQuestion;
    type Response = Vec<DockRenewal>;
}

/// `dock.recorders`: the recorders that stand in the dock now, with their charge.
#[derive(Debug, Clone, Copy)]
pub enum DockRecorders {}

impl Operation for DockRecorders {
    const METHOD: &'static str = "dock.recorders";
    const WRITES: bool = false;
    type Request = DockQuestion;
    type Response = Vec<DockedRecorder>;
}

/// A recorder in the dock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockedRecorder {
    /// Serial number.
    pub serial: String,
    /// Where: a bay, a port, a folder.
    pub place: String,
    /// State of its docking; only in `ready` is its footage in the cloud and the recorder empty.
    pub state: String,
    /// Percent, as the recorder told when it was docked.
    pub battery: Option<u8>,
    /// What the board says of its bay: `idle`, `charging`, `full`, `fault`; empty when no board knows it.
    pub charge: String,
}

/// `dock.release`: hands a recorder out: its bay's lock opens and the light blinks. Answers when the board has done it; the
/// same again opens it for longer, so it needs no key.
#[derive(Debug, Clone, Copy)]
pub enum DockRelease {}

impl Operation for DockRelease {
    const METHOD: &'static str = "dock.release";
    const WRITES: bool = true;
    type Request = DockReleaseQuestion;
    type Response = DockReleased;
}

/// Which recorder is handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DockReleaseQuestion {
    /// Its serial number.
    pub serial: String,
}

/// A bay that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockReleased {
    /// Which bay, for people.
    pub place: String,
    /// Seconds until it is locked again.
    pub seconds: u16,
}

/// A question about the dock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DockQuestion {}

/// A firmware package as its maker signed it. The board judges the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockPackage {
    /// The file, base64.
    pub package: String,
    /// Who asks, for people.
    pub by: String,
}

/// A renewal of the board's firmware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockRenewal {
    /// Id.
    pub id: String,
    /// Version of the image.
    pub version: String,
    /// `asked`, `running`, `confirmed`, `given_up` (it did not come up; the board runs the former one), `refused`, `failed`,
    /// `cancelled`.
    pub state: String,
    /// Percent carried over while it runs; 100 while the board tries it.
    pub percent: Option<u8>,
    /// Plain words.
    pub note: String,
    /// Who asked for it.
    pub asked_by: String,
    /// When.
    pub asked_at: Timestamp,
    /// Last change.
    pub changed_at: Timestamp,
}
