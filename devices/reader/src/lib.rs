//! What people hold against a kiosk, read on the appliance and not by a browser: a scanner that types as a keyboard would
//! press whatever button has the focus.
//!
//! [`card`]: second-generation resident identity cards over a SAM-V module. [`scanner`]: QR and bar codes over a serial
//! (CDC) scanner. Both run for ever, survive noise, silence and replugging, and tell their [`State`]. What was read goes to
//! whoever listens at that moment and nowhere else; `Debug` never shows it.

mod card;
mod driver;
mod frame;
mod identity;
mod scanner;

pub use card::{IdCard, Misread};
pub use driver::{Code, Port, Reading, State, run_card_reader, run_scanner};
pub use frame::{Frames, Reply, command};
pub use identity::{IdNumber, valid};
pub use scanner::{Codes, MAX_CODE};
