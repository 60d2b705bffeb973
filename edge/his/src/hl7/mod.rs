//! HL7 version 2 as text: framing, a lazy field index, escapes, acknowledgements. No I/O.

mod ack;
mod frame;
mod message;

pub use ack::{Ack, AckCode, acknowledge, general};
pub use frame::{FrameError, Framer, frame};
pub use message::{Message, MessageError, Separators, escape, unescape};
