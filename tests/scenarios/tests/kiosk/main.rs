//! The self-service terminal: card, visit, number, paper, with and without the line to the cloud; patient codes of the
//! app; a fee paid on the phone; readers that misbehave.
#![expect(
    clippy::indexing_slicing,
    reason = "a story fails where it stands; JSON answers null"
)]
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails the test")]

mod codes;
mod number;
mod paying;
mod readers;
mod terminal;
