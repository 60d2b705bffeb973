//! Server keys in devices, with the real server: SoftHSM2 as the token, the bench's device with the interface of GM/T 0018,
//! and openssl as the judge.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod faults;
mod imports;
#[path = "../manage/site.rs"]
#[expect(
    dead_code,
    reason = "shared with the tests of the management interface, which use more of it"
)]
mod people;
mod signing;
mod site;
