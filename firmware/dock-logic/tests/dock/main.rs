//! The dock's logic under simulated time and on a simulated flash whose power is cut at every step.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what a test cannot set up fails the test"
)]

mod bays;
mod flash;
mod session;
mod settings;
mod slots;
