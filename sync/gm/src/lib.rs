//! Signatures and what proves them: SM2, ECDSA P-256 and RSA keys, X.509 certificates, signed messages (GB/T 35275, RFC
//! 5652), requests, lists, OCSP, time stamps, PDF signatures; built, read strictly and verified. No I/O, no TPM, no clock:
//! what signs on the appliance and what verifies in the cloud share this crate.
//!
//! # How to verify
//! ```text
//! let trust = gm::Trust::new([root_der])?;
//! let seen = gm::cms::verify(&cms, gm::cms::Content::Bytes(&document), &trust, now)?;
//! println!("{} {}", seen.signer.subject.common_name, seen.signing_time);
//! ```
//! A refusal is a [`Refused`]: its `code()` is stable, its `to_string()` is for the operator, `person()` for a person.
//!
//! # Rooms
//! | module | what |
//! |---|---|
//! | [`key`] | algorithms, digests, public and private keys; [`Signer`] is a key at hand or in a device |
//! | [`pem`] [`pkcs8`] [`pfx`] [`envelope`] | files of certificates and keys, key envelopes of authorities |
//! | [`certificate`] [`csr`] | certificates read, shown and issued; requests |
//! | [`cms`] | signed messages |
//! | [`trust`] [`crl`] [`ocsp`] [`evidence`] | paths to roots, and whether what lies on them is revoked |
//! | [`stamp`] [`pdf`] | time stamps, signatures in PDF |
//!
//! # Conventions
//! * SM2 signatures are over `e = SM3(Z ‖ M)` with the user id `1234567812345678` (GB/T 35276 10) unless an id is given. A
//!   signature over the bare digest (the dialect of some command-line tools) is refused, never tried silently.
//! * SM2 itself is the crate `curve`; keys that verify often keep a table there ([`key::keep_tables`]).
//! * Certificates are judged at the signing time the signer stated, and that time may not lie after `now`.
//! * DER only: definite, minimal lengths, sorted sets are not demanded of others, trailing bytes are refused.
//!
//! # Secrets and time
//! Private keys sign in constant time: SM2 by `curve`, ECDSA and RSA by ring, over digests at hand by `p256` and
//! by `rsa_factors` over crypto-bigint. New RSA keys are made by `crypto-primes`, whose
//! arithmetic is constant-time while the number of candidates is not (see `rsa_generate`). RSA never decrypts, so there is no
//! padding oracle; wrong passwords and foreign envelopes are each refused by one name. Verification is over public data and
//! may take its time. What is secret is wiped on drop, except inside ring: the process that signs locks its memory.

mod algorithm;
pub mod certificate;
pub mod cms;
pub mod crl;
pub mod csr;
pub mod der;
mod draft;
pub mod envelope;
pub mod evidence;
mod extension;
mod hash;
mod info;
pub mod key;
mod known;
mod name;
pub mod ocsp;
pub mod oid;
mod pbes2;
pub mod pdf;
pub mod pem;
pub mod pfx;
pub mod pkcs8;
mod private;
mod refused;
mod rsa;
mod rsa_factors;
mod rsa_generate;
mod rsa_private;
mod signed;
pub mod stamp;
pub mod trust;

pub use certificate::{Certificate, Identity};
pub use extension::Particulars;
pub use key::{Algorithm, Hash, PublicKey, Signer, Sm2Key, USER_ID, sm3};
pub use refused::Refused;
pub use trust::Trust;
