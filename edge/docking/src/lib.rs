//! Recorder docking (工作记录仪归还采集): footage is copied, verified, sealed, uploaded, confirmed, and only then cleared.
//!
//! ```text
//! clip     found → copying → copied → verified → sealing → sealed → uploaded → confirmed → cleared
//! docking  arrived → copying → waiting → clearing → ready          (held; pulled, interrupted, left)
//! ```
//!
//! Invariants, each held by a transition in [`state`] and by the order of writes here:
//! * A clip is deleted from its recorder only in `confirmed`: the cloud said it keeps the bytes, with the hash we took, and
//!   our copy was read back. A file copied in an earlier stay is hashed again on the recorder before it is deleted.
//! * A row moves before the act it stands for when the act may be repeated (copying, clearing), after it when the row is the
//!   promise (copied, verified, uploaded).
//! * Custody entries form one chain per appliance; an entry's bytes and place are fixed before it is signed.
//! * An unknown, retired or twice present recorder is held: nothing of it is copied or cleared, and it is shown.
//!
//! On disk: `FOLDER/{clip}` (copy), `FOLDER/{clip}.part` (being copied). Recovery at the start: what was `copying` is `found`
//! again; what was `copied` is read back; a copy that is missing or changed is taken from the recorder again, which still has
//! it; open dockings are `interrupted` and begin anew when their recorder is seen.

pub mod board;
mod custody;
mod inbox;
mod overview;
mod pipeline;
mod plan;
mod ports;
mod register;
mod report;
mod rows;
mod session;
pub mod state;
mod station;
mod turns;

pub use overview::{Overview, Standing};
pub use plan::{Class, Plan};
pub use ports::{Bays, Carried, Carrier, Light, NoBays, Sealer, Signer};
pub use rows::{Clip, DockingRow};
pub use state::{ClipState, DockingState};
pub use station::{Docking, Options};
