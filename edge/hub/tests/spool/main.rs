//! Printing through the hub on printers in processes of their own.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic")]

mod keeping;
mod languages;
mod once;
mod printer;
mod server;
mod stand_in;
mod templates;
mod window;
