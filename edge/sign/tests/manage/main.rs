//! The management interface, with the real server, a software TPM and an HTTPS client of another make.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod backup;
mod boxes;
mod duties;
mod memory;
mod outside;
mod province;
mod replica;
mod signing_in;
mod site;
mod work;
