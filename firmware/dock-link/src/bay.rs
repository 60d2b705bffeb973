//! What there is to know of a bay (槽位).

use serde::{Deserialize, Serialize};

/// Serial number of a recorder, as the recorder or the appliance names it.
pub type Serial = heapless::String<24>;

/// A bay.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
pub struct Bay {
    /// A recorder is in.
    pub present: bool,
    /// Which; empty while not known.
    pub serial: Serial,
    /// Its lock.
    pub lock: Lock,
    /// Its charging.
    pub charge: Charge,
    /// Charge current in milliamperes.
    pub charge_ma: u16,
    /// The gate of its USB power.
    pub power: Power,
    /// What its light was told to show.
    pub light: Light,
    /// What is wrong with it, first found first.
    pub fault: Option<Fault>,
}

/// Lock of a bay.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Lock {
    /// The recorder can be taken.
    #[default]
    Open,
    /// It is held.
    Closed,
    /// On its way, or stuck: the bolt is not where it was sent.
    Moving,
}

/// Charging of the recorder in a bay.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Charge {
    /// No recorder.
    #[default]
    Absent,
    /// Power is off for it.
    Idle,
    /// Draws current.
    Charging,
    /// Draws next to nothing for a while.
    Full,
    /// See [`Bay::fault`].
    Fault,
}

/// Gate of a bay's USB power.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Power {
    /// Off: told so, or nobody is in.
    #[default]
    Off,
    /// On as soon as it is its turn: gates are opened one after the other.
    Waiting,
    /// On.
    On,
    /// Off because the supply is too low, or for a fault.
    Shed,
}

/// What a bay's light is told to show.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Light {
    /// The board shows the state of the bay by itself: dark when empty, red while charging, green when full, red blinking
    /// at a fault.
    #[default]
    Auto,
    /// Dark.
    Off,
    /// Steady.
    Steady(Colour),
    /// Half a second on, half a second off.
    Blink(Colour),
    /// "Take me": green, quickly.
    TakeMe,
}

/// Colour of a two-colour light.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Green.
    Green,
    /// Red.
    Red,
    /// Both: amber.
    Amber,
}

/// What may be wrong with a bay.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Drew more than allowed: its power stays off until the recorder is taken out or power is switched on anew.
    OverCurrent,
    /// The bolt is not where it was sent.
    LockStuck,
    /// The recorder was taken out of a closed lock.
    Forced,
}
