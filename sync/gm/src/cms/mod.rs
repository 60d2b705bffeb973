//! CMS `SignedData`, detached, one signer, with signed attributes.
//!
//! GM (GB/T 35275): content types `1.2.156.10197.6.1.4.2.{1,2}`, SM3, SM2. Classic (RFC 5652): PKCS#7 content types,
//! SHA-256, ECDSA P-256; used for PDF seals. The families are never mixed.
//!
//! ```text
//! ContentInfo { signedData, [0] SignedData { 1, {digest}, { data }, [0] certificates, {
//!   SignerInfo { 1, issuerAndSerialNumber, digest, [0] signedAttrs, signature algorithm, OCTET STRING } } } }
//! ```
//! The signature covers the DER of `SET OF` signedAttrs (tag 0x31), which hold contentType, messageDigest and
//! signingTime (and signingCertificateV2 in the classic family).

mod build;
mod verify;

pub use build::Unsigned;
pub use verify::{Content, MAX_MESSAGE, Verified, verify};
