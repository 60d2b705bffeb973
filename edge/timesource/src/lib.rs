//! Network time: NTP and NTS against configured sources, offsets, and whether the clock may be believed.
//!
//! A [`Policy`] names sources and bounds. A [`Runner`] asks them (RFC 5905 in client mode; RFC 8915 where a source is
//! marked so), several times each, believes the answer with the shortest way ([`sample`]) and what a majority of sources
//! has in common ([`select`]). A [`TrustedClock`] keeps what they said, and a [`TimeKeeper`] answers with it: the time to
//! sign with, or why there is none.
//!
//! The machine's clock is never set here. Answers of others are judged by pure, total functions.

pub mod clock;
pub mod error;
pub mod nts;
pub mod packet;
pub mod policy;
mod reader;
pub mod reading;
mod runner;
pub mod sample;
pub mod select;
mod source;
pub mod stamp;
pub mod state;

pub use clock::{Measurement, TrustedClock};
pub use error::SourceError;
pub use policy::{Policy, PolicyFault, Schedule, Source};
pub use reading::{Clocks, MachineClocks, Reading};
pub use runner::{PollRefused, Runner, Status, TimeKeeper, time_keeper};
pub use source::{Pace, Row};
pub use state::{Believed, Failure, Jump, Known, NotBelieved, Outcome, Point, Reason, State};
