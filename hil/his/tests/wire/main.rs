//! The hospital driven from outside, over its sockets.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

mod hl7;
mod hospital;
mod soap;
