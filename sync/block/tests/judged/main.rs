//! SM4 and its modes judged: by the vectors of the standards and by other implementations.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a judge that cannot be set up ends the test"
)]

mod others;
mod vectors;
