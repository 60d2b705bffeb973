//! The recorder dock (采集坞) as the appliance sees it: a board at a serial line that speaks `dock-link`.
//!
//! [`Dock::open`] gives the handle and its [`Driver`]. The driver keeps the line: greets the board, reads every bay,
//! follows its events, and begins anew after an unplugged cable, noise, a board that hangs or answers nothing, or a reset.
//! What is known is in [`Dock::state`]; what happens comes from [`Dock::events`]; commands are methods.
//!
//! | what a caller must know | |
//! |---|---|
//! | state and events | The state is the truth and is always whole; an event says what changed. Whoever starts late, or gets [`Happening::Missed`] or a lagging receiver, reads the state. |
//! | serial numbers | A bay's serial is what the recorder told over the bay's contacts, or what [`Dock::name`] said; it is forgotten when the recorder leaves. |
//! | commands | Each sets a state, so repeating one is harmless. [`DockError::Unknown`] means that it may have happened. |
//! | bays | Counted from 0 here, from 1 for people ([`bay_name`]). |

mod conversation;
mod dock;
mod driver;
mod error;
mod package;
mod state;
mod update;

pub use conversation::{Conversation, Heard, Lost, Ticket};
pub use dock::Dock;
pub use driver::Driver;
pub use error::DockError;
pub use package::{Package, PackageError};
pub use state::{BoardState, DockEvent, DockState, Happening, bay_name};
pub use update::{UpdateError, UpdateStep};

pub use dock_link::{
    Bay, Board, Buzz, Charge, Colour, Fault, FirmwareVersion, Light, Lock, Manifest, Power, Press, Refusal, Reset,
    Serial, Setting, Signature, Slot, Trial, UpdateStatus,
};
