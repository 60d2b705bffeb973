//! XML signatures judged by software that is not ours: libxml2, xmlsec1 and openssl.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what a test cannot set up fails the test"
)]

mod attacks;
mod canonical;
mod flips;
mod kit;
mod peers;
mod refusals;
mod sm2;
