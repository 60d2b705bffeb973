//! Devices as supervised tasks. Today: printers with a spool and the hospital's templates.
//!
//! A print job survives a restart and prints once. Before the first byte of a job leaves for the printer the row says
//! `printing`; if the process, the line or the printer dies from there on, the job is `unknown` and a person decides:
//! mark it as printed, or print it again with a mark that says so. Nothing is ever printed again silently. Until that
//! first byte a job may go to the printer's stand-in; the row then says where it went. What a slip said is blanked a
//! while after it was printed ([`Keeping`]).

mod config;
mod desk;
mod hub;
mod keeping;
mod spool;
mod template;

pub use config::{Opened, PrinterConfig, SlipFont};
pub use desk::{step_of, view};
pub use hub::Hub;
pub use keeping::Keeping;
pub use printer::Language;
pub use spool::{Job, Refusal, State, Step};
