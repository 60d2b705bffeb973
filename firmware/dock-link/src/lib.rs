#![no_std]
//! The line between the dock board (录像仪采集坞) and the appliance. A frame is `postcard(message) ++ CRC-32C (little
//! endian)`, COBS-encoded, ended by `0x00`; after noise both ends are back in step at the next `0x00`.
//!
//! ```text
//! appliance                                  board
//!   Hello{version, session} ───────────────▶            until answered; any version reads it
//!           ◀─────────────── Hello{version, session, boot, bays, …}
//!   Command{seq} ──────────────────────────▶            one at a time, repeated until answered
//!           ◀─────────────── Answer{seq}                the same number acts once and answers the same
//!           ◀─────────────── Event{number}              from 1 since the start of the board, in order
//!   Acknowledge{event} ────────────────────▶            up to and including; the board forgets them
//!   Replay{after} ─────────────────────────▶            at the beginning, and when a number was missed
//!           ◀─────────────── Alive{…, last_event}       once a second; tells also that a last event was lost
//! ```
//!
//! Invariants, held by property tests over a line that loses, doubles and garbles: a command acts at most once within a
//! session; an event arrives at the appliance once and in order, or the appliance is told that some were given up.
//! Every command sets a state rather than changing one by so much, so that it may be repeated in another session, after
//! a reset of the board, too.

mod bay;
mod command;
mod frame;
mod image;
mod message;

pub use bay::{Bay, Charge, Colour, Fault, Light, Lock, Power, Serial};
pub use command::{
    Answer, BoardStatus, Buzz, Command, Data, FrameCounts, Refusal, Setting, Slot, Trial, Update, UpdateStatus,
};
pub use frame::{Deframer, FrameError, Frames, MAX_FRAME, MAX_MESSAGE, encode};
pub use image::{Board, FirmwareVersion, Manifest, SIGNED_LENGTH, Signature};
pub use message::{Alive, BoardHello, Down, Event, Press, Reset, Up};

/// Version of the messages. Both ends read the greeting of any version, and nothing else of another one.
pub const VERSION: u8 = 1;
/// Most bays a board may have.
pub const MAX_BAYS: usize = 16;
/// Bytes of a firmware image in one command; a multiple of what any flash writes at once.
pub const CHUNK: usize = 128;
