//! The online visit (问诊, FHIR Encounter): from the locked slot to the rating.
//!
//! ```text
//! locking ─▶ awaiting_payment ─▶ confirming ─▶ waiting ─▶ checked_in ─▶ in_progress ─▶ finished
//!    │ ▲            │                 │           待报到      待接诊        问诊中         已结束
//!    ▼ │            ▼                 ▼             │            │            │
//! lock_unknown  expired/cancelled  refunding    declined · cancelled · stopped · withdrawn ─▶ refunded
//! ```
//!
//! Invariants:
//! - the visit id is the HIS's order number (`psOrdNum`), so that the HIS can always be asked how it stands;
//! - the channel's order is closed before an unpaid visit is let go; a payer who is faster is heard;
//! - a visit that took money and cannot be held gives all of it back, and tells the HIS if the HIS knew;
//! - each transition is written to the trail: who, when, why.

pub mod board;
pub(crate) mod booking;
mod effects;
mod ending;
mod event;
mod his_answers;
mod lists;
mod orders;
mod parties;
mod payments;
pub(crate) mod policy;
mod progress;
pub(crate) mod routes;
mod state;
pub(crate) mod store;
#[cfg(test)]
mod tests;
mod timers;
pub(crate) mod trail;
mod view;
pub(crate) mod visit;

pub use board::announce;
pub use ending::finish;
pub use event::{Duty, Event, Hand, Refusal};
pub use his_answers::{on_command_result, on_stop_clinic};
pub use parties::{PartiesOfVisit, PatientIdentity, for_doctor, participants, parties};
pub use payments::VisitPayments;
pub use policy::ConsultationSettings;
pub use progress::{Moved, Progress};
pub use state::{HisSide, VisitState};
pub use timers::tick;
pub use view::{Extras, PrescriptionBrief, RecordBrief, VideoBrief, VisitExtras};
pub use visit::{Rating, Side, Statement, Visit};
