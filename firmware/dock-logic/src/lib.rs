#![no_std]
//! What the dock board does, without pins, clocks or tasks: measurements and time in, drive of locks, gates, lights and
//! buzzer out. The same code runs on the board and in tests, where a day passes within a second.
//!
//! | file | what |
//! |---|---|
//! | `bay` `bays` `steady` | a bay's presence, lock, charging, power; all of them with supply, button, buzzer; debouncing |
//! | `light` | what a light shows now |
//! | `events` `session` | numbered events kept until taken; commands that act once |
//! | `settings` `pages` | settings and the count of starts; values in pages of flash, worn evenly, whole after a power cut |
//! | `slots` `update` `seal` | two images, trial and return; carrying one over; its signature |
//! | `words` | last words of a start for the next one |
//! | `machine` | all of it as one: messages in, messages out |
//!
//! # Safe state
//! Locks stay where they are through a reset, a brown-out and a dead line: a recorder is neither given away nor locked
//! in by a fault. Power gates are closed first and opened one after the other.

mod bay;
mod bays;
mod events;
mod light;
mod machine;
mod pages;
mod seal;
mod session;
mod settings;
mod slots;
mod steady;
mod update;
mod words;

pub use bay::{BayDrive, BaySense};
pub use bays::{Bays, Drive, Sense};
pub use events::{Events, KEPT_EVENTS, Numbered};
pub use light::lamp;
pub use machine::{Machine, Said, Start};
pub use seal::{Key, sealed_by};
pub use session::{Session, Step};
pub use settings::{Settings, counted_start};
pub use slots::{BootRecord, Layout, TRIES, boot, choose, trailer, whole};
pub use steady::Steady;
pub use words::LastWords;

/// Bays of a dock.
pub const BAYS: usize = 10;
