//! Evidence about certificates and times: Debian's openssl judges ours, ours judges openssl's, and what was changed by a
//! byte is refused. SM2 lists and answers come from openssl with the user id said; our SM2 signatures are judged by its
//! `dgst`, which is the one place where it takes the id.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what a test cannot set up fails the test"
)]

#[path = "evidence/crl.rs"]
mod crl;
#[path = "evidence/fuzz.rs"]
mod fuzz;
#[path = "evidence/ocsp.rs"]
mod ocsp;
#[path = "evidence/pdf.rs"]
mod pdf;
#[path = "evidence/site.rs"]
mod site;
#[path = "evidence/stamp.rs"]
mod stamp;
#[path = "evidence/trust.rs"]
mod trust;
