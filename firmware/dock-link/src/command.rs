//! What the appliance may ask, and what the board answers.

use serde::{Deserialize, Serialize};

use crate::bay::{Bay, Light, Serial};
use crate::image::{FirmwareVersion, Manifest, Signature};
use crate::message::Reset;
use crate::{CHUNK, Frames};

/// Bytes of an image.
pub type Data = heapless::Vec<u8, CHUNK>;

/// What the appliance may ask. All bays count from 0.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// State of one bay.
    Bay {
        /// Which.
        bay: u8,
    },
    /// State of the board.
    Board,
    /// Sets a light.
    SetLight {
        /// Which.
        bay: u8,
        /// To this.
        light: Light,
    },
    /// Closes or opens a lock, until told otherwise.
    SetLock {
        /// Which.
        bay: u8,
        /// Closed.
        closed: bool,
    },
    /// Opens a lock for a while and shows [`Light::TakeMe`]; closes it again when nobody took the recorder. 0 ends it.
    Release {
        /// Which.
        bay: u8,
        /// For so long.
        seconds: u16,
    },
    /// Switches the USB power of a bay; on also ends an over-current fault.
    SetPower {
        /// Which.
        bay: u8,
        /// On.
        on: bool,
    },
    /// Names the recorder in a bay, as the appliance read it over USB.
    SetSerial {
        /// Which.
        bay: u8,
        /// Empty: not known.
        serial: Serial,
    },
    /// Sounds the buzzer.
    Buzz(Buzz),
    /// Reads a setting.
    Setting(Setting),
    /// Changes a setting, for good.
    SetSetting {
        /// Which.
        setting: Setting,
        /// In the unit that it names.
        value: u16,
    },
    /// Takes a new firmware image.
    Update(Update),
    /// Starts anew, a fresh image on trial if one was activated. Answered before it is done.
    Restart,
}

/// What the buzzer says.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buzz {
    /// Nothing.
    Silent,
    /// Once, shortly: taken in.
    Once,
    /// Three times: something is wrong.
    Alarm,
}

/// Settings of the board, kept through power cuts.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Setting {
    /// How long a bay's switch must rest, in milliseconds.
    DebounceMs = 1,
    /// Between the opening of one power gate and the next, in milliseconds.
    StaggerMs = 2,
    /// Below this current a recorder counts as full, in milliamperes.
    FullBelowMa = 3,
    /// For so long, in seconds.
    FullAfterS = 4,
    /// Above this current a gate is closed, in milliamperes.
    OverCurrentMa = 5,
    /// Below this supply all gates are closed, in millivolts.
    SupplyLowMv = 6,
    /// A lock closes by itself when a recorder is put in: 1 or 0.
    LockOnInsert = 7,
    /// The buzzer may sound: 1 or 0.
    Sound = 8,
}

impl Setting {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::DebounceMs,
        Self::StaggerMs,
        Self::FullBelowMa,
        Self::FullAfterS,
        Self::OverCurrentMa,
        Self::SupplyLowMv,
        Self::LockOnInsert,
        Self::Sound,
    ];

    /// Lowest, usual and highest value.
    pub const fn range(self) -> (u16, u16, u16) {
        match self {
            Self::DebounceMs => (5, 50, 2_000),
            Self::StaggerMs => (0, 200, 10_000),
            Self::FullBelowMa => (5, 60, 1_000),
            Self::FullAfterS => (1, 60, 3_600),
            Self::OverCurrentMa => (100, 2_400, 5_000),
            Self::SupplyLowMv => (3_000, 4_500, 12_000),
            Self::LockOnInsert | Self::Sound => (0, 1, 1),
        }
    }
}

/// Steps of an update.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Where it stands.
    Status,
    /// Begins: the signature is judged before anything is erased.
    Begin {
        /// Of the image.
        manifest: Manifest,
        /// Over [`Manifest::signed`].
        signature: Signature,
    },
    /// The next bytes; in order, all but the last of [`CHUNK`] bytes.
    Chunk {
        /// From the start of the image.
        offset: u32,
        /// The bytes.
        data: Data,
    },
    /// All bytes are there: they are read back and compared with the manifest.
    Finish,
    /// The finished image is tried at the next start.
    Activate,
    /// The image on trial serves well: it stays.
    Confirm,
    /// Forgets an image that was begun, finished or activated and not yet started.
    Abandon,
}

/// One of the two places of an image.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Slot {
    /// The first.
    #[default]
    A,
    /// The second.
    B,
}

impl Slot {
    /// The one that does not run.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// 0 or 1.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Where a board stands with a new image.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Trial {
    /// No trial.
    #[default]
    None,
    /// The other slot is tried at the next start.
    Waiting,
    /// The running image is on trial: confirmed, or given up at the next starts.
    Running,
    /// The last new image was given up.
    GivenUp,
}

/// Where an update stands.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct UpdateStatus {
    /// The slot that runs.
    pub running: Slot,
    /// Version in each slot whose image is whole and signed.
    pub versions: [Option<FirmwareVersion>; 2],
    /// The trial.
    pub trial: Trial,
    /// Bytes taken of the image that was begun.
    pub taken: Option<u32>,
}

/// The board as a whole.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardStatus {
    /// Since its start.
    pub uptime_ms: u64,
    /// Why it last started.
    pub reset: Reset,
    /// Voltage of the supply in millivolts.
    pub supply_mv: u16,
    /// The supply is too low: all power gates are closed.
    pub supply_low: bool,
    /// Frames from the appliance.
    pub frames: FrameCounts,
}

/// [`Frames`] on the wire.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FrameCounts {
    /// Taken.
    pub good: u32,
    /// Dropped.
    pub bad: u32,
}

impl From<Frames> for FrameCounts {
    fn from(frames: Frames) -> Self {
        Self {
            good: frames.good,
            bad: frames.bad,
        }
    }
}

/// What the board answers.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// It is not done.
    Refused(Refusal),
    /// A bay.
    Bay(Bay),
    /// The board.
    Board(BoardStatus),
    /// Value of a setting.
    Setting(u16),
    /// The update.
    Update(UpdateStatus),
}

/// Why the board refuses.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Greet first: the board does not know this session.
    NoSession,
    /// This number was passed by a newer command.
    Stale,
    /// There is no such bay.
    NoSuchBay,
    /// Nobody is in that bay.
    Empty,
    /// The value is outside of what the setting allows.
    OutOfRange,
    /// The flash did not take it.
    Flash,
    /// The signature is not of the key this board trusts.
    Signature,
    /// The image is for another board.
    OtherBoard,
    /// The image is older than the running one.
    Older,
    /// The image does not fit into a slot.
    TooBig,
    /// Not the next bytes: these are, from this offset.
    Offset(u32),
    /// The bytes are not those of the manifest.
    Hash,
    /// Not now: the steps of an update have an order.
    Order,
}
