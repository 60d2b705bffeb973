//! The management interface, with the real server, a software TPM and an HTTPS client of another make.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod backup;
mod duties;
mod outside;
mod signing_in;
mod site;
mod work;
