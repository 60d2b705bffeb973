//! The signature server as a process, with a software TPM.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what a test cannot set up fails the test"
)]

mod approved;
mod checkpoint;
mod clock;
mod day;
mod national;
mod outside;
mod proven;
mod site;
