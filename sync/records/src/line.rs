//! What crosses the line between appliance and cloud as durable log entries.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dock::DockRenewal;
use crate::paper::PaperKind;
use crate::{Fen, Outcome, Timestamp};

/// A priority class of a log stream. Order holds within one lane of one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Lane {
    /// Clinical and money entries: durable, never evicted.
    Clinical = 1,
    /// Health and state: may be coalesced by entity under pressure, with a recorded gap.
    Telemetry = 3,
}

impl Lane {
    /// Every lane that is stored.
    pub const ALL: [Self; 2] = [Self::Clinical, Self::Telemetry];

    /// From its number on the wire.
    pub const fn from_number(n: u8) -> Option<Self> {
        match n {
            1 => Some(Self::Clinical),
            3 => Some(Self::Telemetry),
            _ => None,
        }
    }

    /// Its number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// Kinds of log entries, as written in the envelope.
pub mod kind {
    /// cloud → edge: a HIS write that must happen; body [`super::HisCommand`].
    pub const HIS_COMMAND: &str = "his.command";
    /// edge → cloud: what became of it; body [`super::HisCommandResult`].
    pub const HIS_COMMAND_RESULT: &str = "his.command.result";
    /// edge → cloud: the hospital stopped a clinic; body [`crate::his::StopClinic`].
    pub const HIS_STOP_CLINIC: &str = "his.stopclinic";
    /// cloud → edge: print something; body [`super::PrintJob`].
    pub const PRINT_JOB: &str = "print.job";
    /// cloud → edge: how a kind of document looks from now on; body [`crate::paper::PrintTemplate`].
    pub const PRINT_TEMPLATE: &str = "print.template";
    /// cloud → edge: what patient codes are judged with; body [`crate::patient_code::PatientCodeKey`].
    pub const PATIENT_CODE_KEY: &str = "patient.code_key";
    /// edge → cloud: state of a print job; body [`super::PrintState`].
    pub const PRINT_STATE: &str = "print.state";
    /// edge → cloud: the bearer of a hospital card was asked for more at a terminal; body [`super::CardCheck`].
    pub const CARD_CHECK: &str = "kiosk.card_check";
    /// edge → cloud: health of the appliance; body [`super::ApplianceHealth`], lane telemetry.
    pub const APPLIANCE_HEALTH: &str = "appliance.health";
}

/// A HIS write that must happen, executed by the appliance exactly once in effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HisCommand {
    /// Idempotency key; unique per command, e.g. the payment or refund id plus the operation.
    pub key: String,
    /// Canonical operation name, see [`crate::his::Operation::METHOD`].
    pub method: String,
    /// What it concerns (visit, prescription), to route the result.
    pub subject: String,
    /// The operation's request as JSON.
    pub request: Value,
}

/// What became of a [`HisCommand`]. `Later` and `Unknown` are never reported: the appliance goes on until it is
/// settled, or `needs_hand` is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HisCommandResult {
    /// Key of the command.
    pub key: String,
    /// Its operation.
    pub method: String,
    /// What it concerns.
    pub subject: String,
    /// Done with the operation's response, or refused in the HIS's words.
    pub outcome: Outcome<Value>,
    /// The outcome could not be found out by queries within the operation's patience; a person has to look.
    #[serde(default)]
    pub needs_hand: bool,
    /// When it was settled.
    pub at: Timestamp,
}

/// Something to print at a printer of the hospital.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintJob {
    /// Key of the job; printing it twice is prevented by it.
    pub key: String,
    /// Name of the printer role, e.g. `dispensing_window` (发药窗口).
    pub printer: String,
    /// What it concerns.
    pub subject: String,
    /// Which template it is set by.
    #[serde(default)]
    pub kind: PaperKind,
    /// The slip.
    pub slip: Slip,
}

/// A slip of paper, laid out by the printer driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slip {
    /// Hospital name, large and centred.
    pub header: String,
    /// Title under the header, e.g. 取药凭条.
    pub title: String,
    /// Label and value lines.
    pub fields: Vec<(String, String)>,
    /// Item lines.
    pub items: Vec<SlipItem>,
    /// Total, if money is shown.
    pub total_fen: Option<Fen>,
    /// Content of the QR code (the pick-up code).
    pub qr: Option<String>,
    /// Small print at the end.
    pub footer: Vec<String>,
}

/// One item of a slip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlipItem {
    /// Name with specification.
    pub name: String,
    /// Quantity with unit.
    pub quantity: String,
    /// Amount, if shown.
    pub amount_fen: Option<Fen>,
    /// Usage line under the item.
    pub note: String,
}

/// The bearer of a hospital card was asked at a terminal for what the card does not carry: for the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardCheck {
    /// Name of the terminal.
    pub terminal: String,
    /// Whose card it is, in the HIS.
    pub his_patient_id: String,
    /// What came of it.
    pub outcome: CardCheckOutcome,
    /// Wrong answers for this card since the last right one.
    pub wrong: u32,
    /// Until when no answer is taken for this card.
    pub card_locked_until: Option<Timestamp>,
    /// Until when no answer is taken at this terminal.
    pub terminal_locked_until: Option<Timestamp>,
    /// When.
    pub at: Timestamp,
}

/// What came of a [`CardCheck`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardCheckOutcome {
    /// It was right: the person saw what is theirs.
    Passed,
    /// It was wrong.
    Wrong,
}

/// State of a print job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintState {
    /// Key of the job.
    pub key: String,
    /// What it concerns.
    pub subject: String,
    /// Where it stands.
    pub state: PrintOutcome,
    /// Plain words, e.g. 打印机缺纸.
    pub note: String,
    /// When.
    pub at: Timestamp,
}

/// Where a print job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrintOutcome {
    /// Waits for its printer (offline, out of paper).
    Waiting,
    /// On paper, confirmed by the printer's status.
    Printed,
    /// May be on paper: the printer died while printing. A person decides.
    Unknown,
    /// Given up.
    Failed,
}

/// Health of an appliance, sent every few seconds while something changes and at least every minute.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ApplianceHealth {
    /// When it was taken.
    pub at: Timestamp,
    /// Version of the edge daemon.
    pub version: String,
    /// Log entries that wait for the cloud.
    pub buffer_depth: u64,
    /// `ok`, or plain words.
    pub tpm: String,
    /// `ok`, or plain words.
    pub signd: String,
    /// Printers and their states.
    pub printers: Vec<PrinterHealth>,
    /// HIS endpoints and their states.
    pub his: Vec<EndpointHealth>,
    /// HIS commands that are not settled yet.
    pub commands_open: u64,
    /// Free bytes of the data partition.
    pub disk_free_bytes: u64,
    /// End of the device certificate.
    pub certificate_not_after: Option<Timestamp>,
    /// The recorder dock, when one is configured.
    #[serde(default)]
    pub dock: Option<DockHealth>,
    /// Recorder docking; none from an appliance of before.
    #[serde(default)]
    pub docking: Option<DockingHealth>,
}

/// How recorder docking stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockingHealth {
    /// Recorders that are plugged.
    pub recorders: Vec<DockedHealth>,
    /// Clips that wait for the cloud or a person.
    pub waiting_clips: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Percent of the room for footage that is taken.
    pub taken_percent: u64,
    /// What a person has to look at, in plain words.
    pub warnings: Vec<String>,
}

/// A plugged recorder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockedHealth {
    /// Serial number; empty until told.
    pub serial: String,
    /// Where: a bay, a port, a folder.
    pub place: String,
    /// State of the docking.
    pub state: String,
    /// Its files.
    pub clips: u64,
    /// Those that are through.
    pub through: u64,
}

/// State of the recorder dock (录像仪采集坞).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockHealth {
    /// `ok`, or plain words.
    pub state: String,
    /// Whether a recorder is in, by bay.
    pub bays: Vec<bool>,
    /// What is in them, by bay; empty from an appliance of before.
    #[serde(default)]
    pub details: Vec<BayHealth>,
    /// Version of the board's firmware; empty while it has not been heard.
    #[serde(default)]
    pub firmware: String,
    /// What needs a hand though the board answers, in plain words: a low supply.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The last renewal of its firmware.
    #[serde(default)]
    pub renewal: Option<DockRenewal>,
}

/// A bay (槽位) of the dock, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BayHealth {
    /// Serial number of the recorder in it; empty when not known.
    pub serial: String,
    /// `absent`, `idle`, `charging`, `full`, `fault`.
    pub charge: String,
    /// Held by its lock.
    pub locked: bool,
    /// Plain words when something is wrong with it.
    pub fault: String,
}

/// State of one printer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrinterHealth {
    /// Role name.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// `ready`, `paper_low`, `printing`, `out_of_paper`, `cover_open`, `head_hot`, `cutter`, `error`, `offline`, `unknown`.
    pub state: String,
    /// Jobs waiting.
    pub waiting: u64,
}

/// State of one HIS endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointHealth {
    /// Name in the profile.
    pub endpoint: String,
    /// `ok`, `slow`, `open` (breaker), `half_open`.
    pub state: String,
}
