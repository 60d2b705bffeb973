//! Printers: documents are laid out to a 1-bit raster with real fonts ([`layout`], [`template`]), sent as ESC/POS, TSPL,
//! ZPL or through a print server, and the outcome is told apart as printed, not printed or unknown. [`session`] and
//! [`language`] are sans-I/O; [`wire`] drives them over a socket, a device file or a serial port.
//!
//! Printers' own fonts stop at GB 2312 or GBK and garble names, so text is always sent as a picture.
//!
//! Without the feature `wire` there is no I/O but reading the font: so the cloud draws the preview of a template with
//! the code that prints it.

pub mod code128;
pub mod font;
pub mod language;
pub mod layout;
pub mod raster;
pub mod session;
pub mod sheet;
mod slip;
pub mod status;
pub mod template;
#[cfg(feature = "wire")]
pub mod wire;

pub use font::{Font, FontError};
pub use language::Language;
pub use layout::{Element, Item, Slip, render};
pub use raster::Raster;
pub use session::Session;
pub use sheet::{Media, Sheet};
pub use status::{Outcome, Status};
pub use template::{Invalid, Template};
