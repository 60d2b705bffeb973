//! What both ends of the line read: identifiers, time, money, the canonical HIS operations, the commands and
//! events that cross the line, and the documents that are signed. Pure data: no I/O happens here.
//!
//! Wire bodies are JSON (serde). They evolve by adding optional fields; a released field is never renamed.

pub mod clock;
pub mod dock;
pub mod document;
pub mod fen;
pub mod footage;
pub mod his;
pub mod id;
pub mod line;
pub mod outcome;
pub mod paper;
pub mod patient_code;
pub mod picture;
pub mod sign;

pub use clock::{Clock, LocalDate, ManualClock, SystemClock, Timestamp};
pub use fen::{Fen, FenPerKg};
pub use id::{Actor, Entropy, Ids, PeerId, SeededEntropy, TenantId};
pub use line::{HisCommand, HisCommandResult, Lane, PrintJob};
pub use outcome::Outcome;
