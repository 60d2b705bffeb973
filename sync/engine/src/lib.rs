//! What crosses the line between an appliance and the cloud, as state machines without I/O: bytes and time go in,
//! bytes and [`Effect`]s come out. The same code runs on both ends, over any pipe, and in simulated time.
//!
//! Two primitives, and what carries them:
//! - **log**: per lane, entries numbered without holes by the sender's outbox. A sender announces its stream
//!   (`ANNOUNCE`), the receiver answers with its cursor (`RESYNC`), entries follow (`BATCH`), and the receiver
//!   acknowledges cumulatively (`ACK`) *after* the commit that holds both the effects and the cursor. Entries the
//!   sender no longer has are named (`GAP`), never skipped in silence.
//!   Lanes go in order of urgency: telemetry waits until nothing clinical waits. While it waits the sender's store may
//!   drop older values of what it tells (a newer one of the same kind and entity is there), named as `GAP` in the end.
//! - **call**: `CALL`/`REPLY`/`CANCEL` with a relative deadline and an idempotency key when it writes.
//! - **session**: `HELLO`/`HELLO_ACK`/`PING`/`PONG`/`BYE`. The newest `HELLO` of an appliance fences any older
//!   connection.
//!
//! # Epochs
//! A stream is named by peer, lane and *epoch*. A receiver keeps one cursor per epoch, and the marks (short digests) of
//! the newest entries it committed. When it stands elsewhere than the sender was told, it shows its marks: they are the
//! sender's own entries, whose acknowledgement was lost, or those of another history under the same numbers, because this
//! disk was rolled back or cloned. In that case the sender begins a new epoch after the last shared entry and raises an
//! alarm; nothing of either history is lost. Marks reach back thousands of entries; a disk that was rolled back further
//! parts at its first *suspect* entry, the first one that the process wrote since it began, for all before it lay in the
//! image. A receiver that was restored from a backup has a lower cursor, or none: entries are sent again from the
//! retained rows, and if a twin has used their numbers meanwhile the marks tell. A cursor that somebody else moves while
//! units are applied ends the session: a new greeting compares anew.
//!
//! # Guarantee
//! At least once on the wire; applied exactly once and in order, because cursor and effects commit together.
//! Nothing here depends on new input to make progress: [`Session::tick`] alone drains a backlog.

mod call;
mod effect;
mod frame;
mod greeting;
mod incoming;
mod mark;
mod outgoing;
mod pace;
mod session;

pub mod blob;

pub use call::{Answer, IncomingCall, OutgoingCall};
pub use effect::{Alarm, Channel, DownReason, Effect, Role, Tuning};
pub use frame::{Body, Entry, FrameError, MAX_ENTRY_BYTES, MAX_FRAME_BYTES, OutState, VERSION, decode, encode};
pub use incoming::Item;
pub use mark::Mark;
pub use session::Session;
