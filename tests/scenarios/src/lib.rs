//! Stories of a hospital's day, told through the public APIs, and the comparison of the books afterwards.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value answers null, it never panics"
)]

pub mod books;
pub mod client;
pub mod counter;
pub mod docking;
pub mod faults;
pub mod journey;
