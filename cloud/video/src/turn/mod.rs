//! A TURN relay in this process (RFC 8656, long-term credentials with time-limited names): the way into a room for
//! browsers whose network lets no UDP out. A browser reaches us over UDP, TCP or TLS; we pass its datagrams on to our own
//! room server and to nobody else.
//!
//! Invariants: nothing is relayed without credentials of this run, which `/ice` hands to the parties of a visit only; the
//! one peer is the room server, every other is refused (403), and the relay's socket is connected to it, so that the
//! kernel drops what others send; allocations are bounded for each user and in total; an allocation that is not
//! refreshed ends after [`LIFETIME`], a connection without one after [`GREETING`]. Before a client has proved itself we
//! keep nothing about it: the nonce carries its own proof.
//!
//! The codec is `stun-types` with `turn-types`; the server is ours, because those that exist (`turn-server-proto` 0.7,
//! `turn` 0.17) have users for ever, relay to any peer and know no limits, and pad no channel data on a stream.
//!
//! | file | holds |
//! |---|---|
//! | `credential` | names and passwords by the REST convention, minted and checked |
//! | `session` | one client as a state machine without I/O |
//! | `message` | answers, and the checks before them |
//! | `frame` | where a message ends on a stream |
//! | `limits` | how many allocations at once |
//! | `server` | sockets |

pub(crate) mod credential;
mod frame;
mod limits;
mod message;
mod server;
mod session;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use server::{TurnConfig, TurnServer, TurnTls};

/// How long an allocation lasts unless it is refreshed (RFC 8656 section 3.2: ten minutes).
pub const LIFETIME: Duration = Duration::from_secs(600);
/// How long a permission lasts (RFC 8656 section 9).
const PERMISSION: Duration = Duration::from_secs(300);
/// How long a channel lasts (RFC 8656 section 12).
const CHANNEL: Duration = Duration::from_secs(600);
/// How long a nonce is good for (RFC 8656 section 5: at most an hour).
const NONCE: Duration = Duration::from_secs(3600);
/// How long a connection may stay without an allocation.
pub const GREETING: Duration = Duration::from_secs(30);
