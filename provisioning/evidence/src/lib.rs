//! Evidence of which machine is enrolling, and the messages that carry it. Pure Rust: the server judges TPM evidence with
//! it and never links a TPM library; the device's half is the crate `attest`.
//!
//! # Enrolment
//! ```text
//! device                                              server
//!   AttestRequest { serial, EK, AK, device key }  ──▶   the EK's hash is in the claimed factory record
//!   ◀── Challenge { credential, nonce }                 secret encrypted to EK *and* bound to the AK's name
//!   ActivateRequest { secret, certify(nonce), CSR } ──▶  secret equal: AK lives beside that EK;
//!                                                       AK certifies the device key with the nonce;
//!   ◀── Activated { certificate, chain, edge id }        CSR is signed by the device key
//! ```
//! Attributes are demanded: AK is restricted, signing, fixed to its TPM; the device key is fixed and made inside.

mod credential;
mod message;
mod structure;

pub use credential::{Credential, make_credential};
pub use message::{ActivateRequest, Activated, AttestRequest, Challenge, ClaimCode, FactoryRecord};
pub use structure::{Certified, Quoted, Refused, TpmKey, ecdsa_der};

/// SHA-256 of some bytes, in hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes))
}
