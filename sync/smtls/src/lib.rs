//! TLS 1.3 with SM4-GCM, SM3 and SM2 (RFC 8998, GB/T 38636 has another protocol) as a `rustls` crypto provider.
//!
//! ```
//! use smtls::Offer;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // From the configuration: sm, sm-first, classic-first or classic.
//! let offer: Offer = "sm".parse()?;
//! let roots = rustls::RootCertStore::empty();
//! let client = rustls::ClientConfig::builder_with_provider(offer.provider())
//!     .with_protocol_versions(&[&rustls::version::TLS13])?
//!     .with_root_certificates(roots)
//!     .with_no_client_auth();
//! # drop(client);
//! # Ok(())
//! # }
//! ```
//!
//! | file | what |
//! |---|---|
//! | `hash` `record` `group` | SM3, HMAC and HKDF; TLS_SM4_GCM_SM3; curveSM2 |
//! | `verify` | certificates and CertificateVerify |
//! | `key` `pkcs8` | signing: keys from files, keys elsewhere |
//! | `offer` | which algorithms are offered, and in which order |
//! | `both` | a server with an SM and a classic certificate |
//! | `missing` | what a handshake failed for |
//!
//! # What is offered
//! One suite TLS_SM4_GCM_SM3 (0x00C6), one group curveSM2 (41), one signature scheme sm2sig_sm3 (0x0708), TLS 1.3 alone.
//! `rustls` 0.23 has no names for them and takes their numbers. A server takes the client's order of suites and groups, so a
//! client that offers both decides; who must speak SM offers nothing else.
//!
//! # Two user ids
//! An SM2 signature binds a user id (see `curve`). Certificates are signed under [`curve::DEFAULT_ID`]; the handshake's
//! CertificateVerify under [`HANDSHAKE_ID`] (RFC 8998, 3.2.1). Both are verified strictly, neither stands in for the other:
//! implementations that mix them up are refused.
#![forbid(unsafe_code)]

mod both;
mod group;
mod hash;
mod key;
mod missing;
mod offer;
mod pkcs8;
mod record;
mod verify;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::TrustAnchor;
use rustls::{CipherSuite, NamedGroup, SignatureScheme};

pub use both::Both;
pub use key::{KeyRefused, LocalKey, SignerFailed, Sm2Signer, certified, signing_key};
pub use missing::{Missing, What};
pub use offer::{Offer, UnknownOffer, with_classic};
pub use pkcs8::{key_from_pem, read_key};

/// TLS_SM4_GCM_SM3 (RFC 8998, 2).
pub const SUITE: CipherSuite = CipherSuite::Unknown(0x00c6);
/// curveSM2 (RFC 8998, 2).
pub const GROUP: NamedGroup = NamedGroup::Unknown(41);
/// sm2sig_sm3 (RFC 8998, 2).
pub const SCHEME: SignatureScheme = SignatureScheme::Unknown(0x0708);
/// The user id of CertificateVerify (RFC 8998, 3.2.1).
pub const HANDSHAKE_ID: &[u8] = b"TLSv1.3+GM+Cipher+Suite";

/// SM alone.
#[must_use]
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![record::SM4_GCM_SM3],
        kx_groups: vec![&group::CurveSm2],
        signature_verification_algorithms: verify::SM2,
        secure_random: &group::SystemRandom,
        key_provider: &key::Keys { classic: None },
    }
}

/// Whether a connection's handshake agreed on SM throughout: suite and group.
#[must_use]
pub fn is_sm(connection: &rustls::CommonState) -> bool {
    let suite = connection.negotiated_cipher_suite().map(|suite| suite.suite());
    let group = connection.negotiated_key_exchange_group().map(|group| group.name());
    suite == Some(SUITE) && group == Some(GROUP)
}

/// The suite of a connection in words for the operator.
#[must_use]
pub fn suite_name(connection: &rustls::CommonState) -> String {
    match connection.negotiated_cipher_suite().map(|suite| suite.suite()) {
        Some(SUITE) => "TLS_SM4_GCM_SM3".to_owned(),
        Some(suite) => format!("{suite:?}"),
        None => "none".to_owned(),
    }
}

/// Whether a trusted authority's key is of SM2.
#[must_use]
pub fn is_sm_anchor(anchor: &TrustAnchor<'_>) -> bool {
    // AlgorithmIdentifier, then the key.
    match anchor.subject_public_key_info.as_ref() {
        [0x30, length, rest @ ..] => rest.get(..usize::from(*length)) == Some(verify::PUBLIC_KEY.as_ref()),
        _ => false,
    }
}
