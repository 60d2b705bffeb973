//! The messages of both directions.

use serde::{Deserialize, Serialize};

use crate::bay::{Charge, Fault, Lock, Serial};
use crate::command::{Answer, Command, FrameCounts, Trial};
use crate::image::{Board, FirmwareVersion};

/// Appliance to board.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Down {
    /// Begins a session. First of all messages, version first, in every version.
    Hello {
        /// [`crate::VERSION`] of the appliance.
        version: u8,
        /// Different at each beginning; numbers of commands begin anew with it.
        session: u32,
    },
    /// A command.
    Command {
        /// From 1, one more than the last; the same when repeated.
        seq: u32,
        /// What.
        command: Command,
    },
    /// Events up to this number are taken by the appliance.
    Acknowledge {
        /// Number.
        event: u32,
    },
    /// Repeat the events after this number.
    Replay {
        /// Number of the last event the appliance has.
        after: u32,
    },
}

/// Board to appliance.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Up {
    /// Answers the greeting. First of all messages, version first, in every version.
    Hello(BoardHello),
    /// Answers a command.
    Answer {
        /// Of this command.
        seq: u32,
        /// What.
        answer: Answer,
    },
    /// Something happened.
    Event {
        /// From 1 since the start of the board.
        number: u32,
        /// Milliseconds since the start of the board.
        at_ms: u64,
        /// What.
        event: Event,
    },
    /// Once a second: the board lives.
    Alive(Alive),
}

/// Who the board is.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardHello {
    /// [`crate::VERSION`] of the board.
    pub version: u8,
    /// That of the greeting.
    pub session: u32,
    /// Starts of this board, ever; different after each.
    pub boot: u32,
    /// Number of bays.
    pub bays: u8,
    /// What kind of board it is.
    pub board: Board,
    /// Firmware that runs.
    pub firmware: FirmwareVersion,
    /// Whether it is on trial.
    pub trial: Trial,
    /// Why it last started.
    pub reset: Reset,
}

/// The heartbeat.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alive {
    /// As in [`BoardHello::boot`].
    pub boot: u32,
    /// Session the board is in; 0: none.
    pub session: u32,
    /// Frames from the appliance.
    pub frames: FrameCounts,
    /// Oldest event still kept; one above `last_event` when none is.
    pub oldest_event: u32,
    /// Newest event.
    pub last_event: u32,
}

/// What the board reports.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A recorder was put in, or was in when the board started.
    Inserted {
        /// Bay.
        bay: u8,
    },
    /// A recorder was taken out.
    Removed {
        /// Bay.
        bay: u8,
        /// Out of a closed lock.
        forced: bool,
    },
    /// The recorder told its serial number.
    Identified {
        /// Bay.
        bay: u8,
        /// Serial number.
        serial: Serial,
    },
    /// Its charging changed.
    Charge {
        /// Bay.
        bay: u8,
        /// To this.
        charge: Charge,
    },
    /// Its lock changed.
    Lock {
        /// Bay.
        bay: u8,
        /// To this.
        lock: Lock,
    },
    /// Something is wrong with the bay, or (none) right again.
    Fault {
        /// Bay.
        bay: u8,
        /// What.
        fault: Option<Fault>,
    },
    /// The button was pressed.
    Button(Press),
    /// The supply fell too low, or came back.
    Supply {
        /// Too low.
        low: bool,
        /// Millivolts.
        mv: u16,
    },
}

/// How the button was pressed.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// Shortly.
    Short,
    /// For two seconds or more.
    Long,
}

/// Why the board started.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reset {
    /// Power came on.
    #[default]
    Power,
    /// The supply fell below what the processor needs.
    BrownOut,
    /// It hung, and the watchdog started it anew.
    Watchdog,
    /// It met a condition its program excludes; the number tells where (checksum of the place in the source).
    Panic(u32),
    /// It was told to.
    Asked,
    /// The reset pin, a debugger, or not known.
    Other,
}
