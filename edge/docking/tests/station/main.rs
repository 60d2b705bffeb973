//! The station from the plugged to the cleared recorder, and everything that comes between.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod held;
mod recorded;
mod rig;
mod troubled;
mod way;
