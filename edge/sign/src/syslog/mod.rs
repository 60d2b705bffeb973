//! The log by syslog (RFC 5424) over TCP (RFC 6587, octet counting) or TLS (RFC 5425).
//!
//! The log itself is the buffer: what was sent is a number in the state file. TCP does not say what the receiver has
//! taken, so that an entry counts as sent only when the connection has lived on for [`SETTLED`] after it; after a broken
//! connection the entries since are sent again. Nothing is lost while the receiver is away, some entries may come twice:
//! each names its number.

mod message;
mod sender;

pub(crate) use sender::sent;
pub use sender::{Progress, run};
