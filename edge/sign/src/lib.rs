//! The signature server's engine, custody, server `signd` and client.
//!
//! # Invariants
//! * A signing key is stored only wrapped: AES-256-GCM under the KEK; a signer's under a root (itself under the KEK) *and*
//!   the PIN. It goes to another appliance only wrapped to that one's attested TPM (`replica`). The KEK is stored only
//!   sealed by the TPM to the machine's measured state; unsealed it stays at most a minute, in locked memory, and
//!   is used only while the TPM answers with that state. A stolen disk gives nothing; a stolen machine gives nothing
//!   without the PIN.
//! * A signer's key may be kept by a signature server of others: the PIN then opens its access password, and what comes back
//!   is verified here before it is answered (`outside`).
//! * Nothing is signed for a person without the PIN, typed for that signature. For minutes after a right one only its
//!   stretching is left out (`engine::proven`).
//! * A PIN try is taken durably before the PIN is looked at, and given back in the commit that journals the signature:
//!   killing the process never gives a free guess.
//! * A signature is journaled under the caller's key before it is answered. The same key and document get the same
//!   signature again; the same key and another document are refused.
//! * Every act adds an entry to a log chained by SM3.
//! * Nothing is signed under a clock that runs before the last time seen.
//! * A request that is signed with an application's key is accepted once, over restarts too (`http::nonces`), and by the
//!   server alone that it was signed for (`names`).
//!
//! # On disk
//! One SQLite file (`signd.db`, WAL, synchronous FULL) in the state directory: tables `kek`, `authority`, `signer`,
//! `journal`, `log`, `clock` and so on (`vault::schema`). Recovery is SQLite's own; there is nothing else to repair.
//! Revocation lists of others lie beside it as files (`lists/`), each written whole or not at all and judged by its own
//! signature when it is read.

pub mod application;
mod checkpoint;
pub mod client;
pub mod config;
pub mod engine;
pub mod fault;
pub mod guard;
pub mod http;
pub mod keys;
mod ledger;
pub mod manage;
pub mod memory;
mod names;
pub mod outside;
mod pin;
mod refusal;
mod replica;
mod revocation;
mod secret_code;
pub mod selftest;
pub mod server;
pub mod service;
pub mod settings;
mod soap;
pub mod stamping;
pub mod state;
mod svs;
pub mod syslog;
pub mod trust;
pub mod vault;
pub mod wire;
mod wrap;

pub use client::Client;
pub use engine::Engine;
pub use names::ServerName;
pub use refusal::Refusal;
