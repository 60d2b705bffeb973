//! What follows the talk between doctor and patient: medical record, prescription, signatures, pharmacist's review,
//! dispensing, and the proof that anyone can check.

pub mod prescribing;
pub mod review;
