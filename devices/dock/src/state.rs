//! What is known of a dock, and what happens to it.

use dock_link::{Bay, Charge, Event, Fault, FirmwareVersion, Lock, Press, Reset, Serial, Trial};

/// What is known of a dock.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DockState {
    /// The board answers.
    pub online: bool,
    /// Plain words when it does not.
    pub trouble: String,
    /// Its bays, as last told; kept while it is away.
    pub bays: Vec<Bay>,
    /// The board, once it has greeted.
    pub board: Option<BoardState>,
}

impl DockState {
    /// The bay that holds a recorder.
    pub fn bay_of(&self, serial: &str) -> Option<u8> {
        let at = self.bays.iter().position(|b| b.present && b.serial == serial)?;
        u8::try_from(at).ok()
    }
}

/// What is known of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardState {
    /// Starts of the board, ever.
    pub boot: u32,
    /// Firmware that runs.
    pub firmware: FirmwareVersion,
    /// Whether it is on trial.
    pub trial: Trial,
    /// Why it last started.
    pub reset: Reset,
    /// The supply is too low: all power gates are closed.
    pub supply_low: bool,
    /// Voltage of the supply in millivolts, as last read; 0 before.
    pub supply_mv: u16,
}

/// Something that happened at the dock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockEvent {
    /// Starts of the board, ever: with the number, the identity of the event. 0 for what the line itself did.
    pub boot: u32,
    /// From 1 since that start; 0 for what the line itself did.
    pub number: u32,
    /// Milliseconds since that start.
    pub at_ms: u64,
    /// What.
    pub what: Happening,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The board answers; every bay has been read.
    Online,
    /// The board is away; plain words why.
    Offline(String),
    /// The board started anew; locks stayed as they were.
    Restarted(Reset),
    /// Events were given up by the board while nobody listened: read the state.
    Missed,
    /// A recorder was put in, or was in when the board started. Which one follows by [`Happening::Identified`], unless
    /// it cannot tell by itself.
    Inserted {
        /// Bay, from 0.
        bay: u8,
    },
    /// A recorder was taken out.
    Removed {
        /// Bay, from 0.
        bay: u8,
        /// Which, if that was known.
        serial: Option<Serial>,
        /// Out of a closed lock.
        forced: bool,
    },
    /// The recorder in a bay told its serial number.
    Identified {
        /// Bay, from 0.
        bay: u8,
        /// Serial number.
        serial: Serial,
    },
    /// Its charging changed.
    Charge {
        /// Bay, from 0.
        bay: u8,
        /// To this.
        charge: Charge,
    },
    /// A lock opened, closed or is stuck.
    Lock {
        /// Bay, from 0.
        bay: u8,
        /// To this.
        lock: Lock,
    },
    /// Something is wrong with a bay, or (none) right again.
    Fault {
        /// Bay, from 0.
        bay: u8,
        /// What.
        fault: Option<Fault>,
    },
    /// The dock's button.
    Button(Press),
    /// The supply fell too low, or came back.
    Supply {
        /// Too low.
        low: bool,
        /// Millivolts.
        mv: u16,
    },
}

/// Applies an event of the board to what is known, and tells it in our words.
pub(crate) fn applied(state: &mut DockState, event: Event) -> Happening {
    match event {
        Event::Inserted { bay } => {
            with(state, bay, |place| {
                *place = Bay {
                    present: true,
                    lock: place.lock,
                    ..Bay::default()
                };
            });
            Happening::Inserted { bay }
        }
        Event::Removed { bay, forced } => {
            let mut serial = None;
            with(state, bay, |place| {
                serial = Some(std::mem::take(&mut place.serial)).filter(|s| !s.is_empty());
                *place = Bay {
                    lock: place.lock,
                    light: place.light,
                    fault: place.fault,
                    ..Bay::default()
                };
            });
            Happening::Removed { bay, serial, forced }
        }
        Event::Identified { bay, serial } => {
            with(state, bay, |place| place.serial = serial.clone());
            Happening::Identified { bay, serial }
        }
        Event::Charge { bay, charge } => {
            with(state, bay, |place| place.charge = charge);
            Happening::Charge { bay, charge }
        }
        Event::Lock { bay, lock } => {
            with(state, bay, |place| place.lock = lock);
            Happening::Lock { bay, lock }
        }
        Event::Fault { bay, fault } => {
            with(state, bay, |place| place.fault = fault);
            Happening::Fault { bay, fault }
        }
        Event::Button(press) => Happening::Button(press),
        Event::Supply { low, mv } => {
            if let Some(board) = &mut state.board {
                (board.supply_low, board.supply_mv) = (low, mv);
            }
            Happening::Supply { low, mv }
        }
    }
}

fn with(state: &mut DockState, bay: u8, change: impl FnOnce(&mut Bay)) {
    if let Some(place) = state.bays.get_mut(usize::from(bay)) {
        change(place);
    }
}

/// Name of a bay for people: 1号槽位 is bay 0.
pub fn bay_name(bay: u8) -> String {
    format!("{}号槽位", u16::from(bay) + 1)
}
