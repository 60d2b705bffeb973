//! Both ends of the line without a wire: the driver against the board's own logic, over lines that lose, double and
//! garble, and against boards that are half dead.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what a test cannot set up fails the test"
)]

mod board;
mod lossy;
mod troubled;
