//! Revocation and time stamps with the real server, the bench authority over HTTP, and openssl as the judge.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod ca;
mod lists;
mod ocsp;
mod own;
#[expect(dead_code, reason = "shared with the tests of the management interface")]
#[path = "../manage/site.rs"]
mod site;
mod soak;
mod stamps;
mod works;
