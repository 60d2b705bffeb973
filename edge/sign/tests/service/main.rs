//! What applications are served, shown with the real process over real TLS, and with other software at the other end.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what a test cannot set up fails the test"
)]

mod certificates;
mod ciphers;
mod crowd;
mod foreign;
mod fuzz;
mod long;
mod messages;
mod once;
mod refusals;
mod replay;
mod site;
mod soap;
mod svs;
mod xml_and_pdf;
