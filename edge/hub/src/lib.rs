//! Devices as supervised tasks. Today: receipt printers with a spool.
//!
//! A print job survives a restart and prints once. Before the first byte of a job leaves for the printer the row says
//! `printing`; if the process, the line or the printer dies from there on, the job is `unknown` and a person decides:
//! mark it as printed, or print it again with a mark that says so. Nothing is ever printed again silently.

mod hub;
mod spool;

pub use hub::{Hub, Opened, PrinterConfig, SlipFont};
pub use spool::{Job, Refusal, State, Step};
