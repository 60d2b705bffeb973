//! Signed messages: CMS `SignedData` (RFC 5652) and its Chinese form (GB/T 35275), attached and detached.
//!
//! GM: content types `1.2.156.10197.6.1.4.2.{1,2}`, SM3, SM2. Classic: PKCS#7 content types, SHA-2, RSA and ECDSA. A message
//! mixes them only where the caller says so ([`Profile`]).
//!
//! ```text
//! ContentInfo { signedData, [0] SignedData { version, {digest}, { data, [0] content? }, [0] certificates, [1] CRLs, {
//!   SignerInfo { version, signer, digest, [0] signedAttrs?, signature algorithm, OCTET STRING, [1] unsignedAttrs? } } } }
//! ```
//! With signed attributes the signature covers the DER of their `SET OF` (tag 0x31): contentType, messageDigest, and
//! usually signingTime and signingCertificateV2. Without, it covers the content itself; for SM2 that is SM3(Z ‖ content).
//!
//! | task | by |
//! |---|---|
//! | sign | [`Unsigned`] |
//! | sign beside another signer | [`joined`] |
//! | verify a detached signature over a document by one signer, strictly | [`verify`] |
//! | the same where the time stands beside the message (PAdES) | [`verify_stated`] |
//! | verify anything else: attached, several signers, long content piece by piece | [`Message`], [`Checking`] |
//! | put a time stamp or evidence beside a signature | [`crate::stamp`] |

mod attributes;
mod build;
mod check;
mod join;
mod message;
mod verify;

pub use build::Unsigned;
pub use check::{Checking, Outcome, Sound};
pub use join::joined;
pub use message::{MAX_ATTACHED, Message, Profile, SignerId};
pub use verify::{Content, MAX_MESSAGE, Verified, verify, verify_attached, verify_stated};
