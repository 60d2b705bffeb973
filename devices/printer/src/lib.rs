//! Receipt printers: a slip is laid out to a 1-bit raster with real fonts, sent as ESC/POS, and the outcome is told
//! apart as printed, not printed or unknown. [`escpos`] is sans-I/O; [`tcp`] drives it over a socket.
//!
//! Printers' own fonts stop at GB 2312 or GBK and garble names, so text is always sent as a picture.

pub mod escpos;
pub mod font;
pub mod layout;
pub mod raster;
pub mod tcp;

pub use escpos::{Outcome, Session, Status};
pub use font::{Font, FontError};
pub use layout::{Item, Slip, render};
pub use raster::Raster;
