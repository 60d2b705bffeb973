//! HIS bridge (院内系统桥): canonical operations on one side, a hospital's own wire on the other.
//!
//! A hospital is a [`Profile`]: data that says where its systems listen, how they write and how each operation is
//! carried. Code knows two wires, SOAP with XML in a string and HL7 version 2 over MLLP, and no vendor.
//!
//! Everything that changes something in the hospital is journaled before the hospital is touched, see [`journal`].
//! Answers are [`records::Outcome`]: a definite refusal carries the hospital's words, a timeout after sending is
//! `Unknown` until a query has settled it, a failed connection is `Later`.

pub mod body;
pub mod bridge;
pub mod callback;
pub mod charset;
pub mod convert;
pub mod exchange;
pub mod files;
pub mod guard;
pub mod hl7;
pub mod mapping;
pub mod mllp;
pub mod operations;
pub mod profile;
pub mod soap;
pub mod source;
pub mod xml;

pub mod journal;

pub use bridge::Bridge;
pub use callback::Callbacks;
pub use exchange::{Answer, Hospital, Settled};
pub use profile::Profile;
