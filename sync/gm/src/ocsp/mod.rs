//! Online certificate status (RFC 6960): a question with a nonce, and an answer read and judged.
//!
//! ```text
//! let asked = gm::ocsp::Question::new(&certificate, &issuer, NameHash::Sha1)?;
//! let body = asked.to_der(Some(&nonce));                       // POST application/ocsp-request
//! let answer = gm::ocsp::Response::read(&reply)?.verify(&issuer)?;   // keep `reply`: it is the evidence
//! answer.has_nonce(&nonce)?;
//! let status = answer.status(&certificate, &issuer, moment)?;
//! ```
//! The bytes of a reply can be judged again years later, at the moment of the signature they speak for; the nonce says
//! only that the reply was made for this question, and is checked when it arrives.

mod response;

pub(crate) use response::basic;
pub use response::{Answer, Response};

use crate::der::{self, Reader, tag};
use crate::extension::{self, id};
use crate::hash::Hash;
use crate::{Certificate, Refused, oid};

/// Larger replies are not read.
pub const MAX_RESPONSE: usize = 64 * 1024;
/// Longest nonce (RFC 9654 2.1).
pub const MAX_NONCE: usize = 128;

/// SHA-1 (1.3.14.3.2.26), here a name for an issuer and nothing else.
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];

/// The hash that names the issuer in a question. It is not a matter of security: the answer is signed, and an answer
/// about another issuer would need a certificate of the same serial and a collision with the issuer's name and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameHash {
    /// What every responder understands.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SM3 (GM/T responders).
    Sm3,
}

impl NameHash {
    /// What responders of the issuer's family understand: SM3 for SM2, SHA-1 for others.
    #[must_use]
    pub fn usual(issuer: &Certificate) -> Self {
        match issuer.public_key.kind() {
            crate::key::Kind::Sm2 => Self::Sm3,
            _ => Self::Sha1,
        }
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, bytes)
                .as_ref()
                .to_vec(),
            Self::Sha256 => Hash::Sha256.digest(bytes),
            Self::Sm3 => Hash::Sm3.digest(bytes),
        }
    }

    fn oid(self) -> &'static [u8] {
        match self {
            Self::Sha1 => SHA1,
            Self::Sha256 => oid::SHA256,
            Self::Sm3 => oid::SM3,
        }
    }

    fn of_oid(id: &[u8]) -> Option<Self> {
        [Self::Sha1, Self::Sha256, Self::Sm3]
            .into_iter()
            .find(|hash| hash.oid() == id)
    }
}

/// `CertID`: the certificate asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    hash: NameHash,
    name: Vec<u8>,
    key: Vec<u8>,
    serial: Vec<u8>,
}

impl Question {
    /// Asks about a certificate of this issuer.
    ///
    /// # Errors
    /// When the issuer's certificate cannot be read.
    pub fn new(certificate: &Certificate, issuer: &Certificate, hash: NameHash) -> Result<Self, Refused> {
        Ok(Self {
            hash,
            name: hash.digest(&issuer.subject_der),
            key: hash.digest(extension::public_key_bits(issuer)?),
            serial: certificate.serial.clone(),
        })
    }

    /// `OCSPRequest`, unsigned. `nonce`: 16 to 32 random bytes, or none for a responder that answers from a store.
    #[must_use]
    pub fn to_der(&self, nonce: Option<&[u8]>) -> Vec<u8> {
        // NULL as everybody writes it: some responders compare bytes.
        let algorithm = der::sequence(&[&der::oid(self.hash.oid()), der::NULL]);
        let asked = der::sequence(&[
            &algorithm,
            &der::octets(&self.name),
            &der::octets(&self.key),
            &der::unsigned(&self.serial),
        ]);
        let list = der::sequence(&[&der::sequence(&[&asked])]);
        let extensions = nonce.map_or_else(Vec::new, |nonce| {
            let one = extension::write(id::OCSP_NONCE, false, &der::octets(nonce));
            der::constructed(tag::context(2), &[&der::sequence(&[&one])])
        });
        der::sequence(&[&der::sequence(&[&list, &extensions])])
    }

    fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, Refused> {
        let mut inner = reader.sequence("OCSP certificate id")?;
        let mut algorithm = inner.sequence("OCSP certificate id")?;
        let hash = NameHash::of_oid(algorithm.oid()?);
        let name = inner.expect(tag::OCTET_STRING)?.value.to_vec();
        let key = inner.expect(tag::OCTET_STRING)?.value.to_vec();
        let serial = inner.unsigned()?.to_vec();
        inner.finish()?;
        Ok(hash.map(|hash| Self {
            hash,
            name,
            key,
            serial,
        }))
    }

    /// Whether this names that certificate.
    fn is(&self, certificate: &Certificate, issuer: &Certificate) -> Result<bool, Refused> {
        Ok(self.serial == certificate.serial && *self == Self::new(certificate, issuer, self.hash)?)
    }
}
