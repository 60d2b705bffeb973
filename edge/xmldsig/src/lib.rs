//! XML signatures (W3C XML-DSig 1.1, RFC 3275): enveloped, enveloping, detached; SM2, RSA, ECDSA. No I/O, no clock.
//!
//! # How to use
//! ```text
//! let signed = xmldsig::sign(Work::Enveloped { document, id: None }, &key, &[certificate], &Draft::default(), &options)?;
//! for seen in xmldsig::verify(signed.as_bytes(), &[], None, &options)? {
//!     trust.path(&seen.certificate, &seen.others, now)?;
//!     for covered in seen.covered { work_on(&covered.canonical_bytes) }
//! }
//! ```
//! A refusal is a [`Refused`]: its `code()` is stable, its `to_string()` is for the operator, `person()` for a person.
//!
//! # What is not accepted
//! `DOCTYPE` (and with it entities, default attributes and declared ids), anything to be fetched, XPath, XSLT and
//! XPointer, HMAC, SHA-1, an id that two elements have, comments within the signature, and anything beyond [`Limits`].
//! A valid signature says nothing about the rest of its document: work on with [`Covered::canonical_bytes`].

mod algorithm;
mod canonical;
mod document;
mod limits;
mod properties;
mod reference;
mod refused;
mod sign;
mod structure;
mod verify;
mod write;

pub use algorithm::{Names, Sm2Value};
pub use canonical::{Canonical, Form};
pub use limits::Limits;
pub use reference::{Detached, Ids, Scope};
pub use refused::Refused;
pub use sign::{Draft, Work, sign};
pub use verify::{Covered, Verified, verify};

/// What holds for signing and verifying alike.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Names of the SM algorithms.
    pub names: Names,
    /// How much is read.
    pub limits: Limits,
    /// Which attributes are ids.
    pub ids: Ids,
}

/// The canonical form of a whole document.
pub fn canonical(xml: &str, method: &Canonical, limits: &Limits) -> Result<Vec<u8>, Refused> {
    let document = document::Document::parse(xml, limits)?;
    let part = canonical::Part {
        comments: true,
        ..canonical::Part::default()
    };
    canonical::canonicalize(&document, part, method, limits.bytes)
}
