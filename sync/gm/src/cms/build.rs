use time::OffsetDateTime;

use crate::der::{self, tag};
use crate::key::{Algorithm, Family, Signer, sha256};
use crate::{Certificate, Refused, oid};

/// A message that waits for its signature.
#[derive(Debug)]
pub struct Unsigned<'a> {
    family: Family,
    algorithm: Algorithm,
    chain: &'a [Certificate],
    attributes: Vec<u8>,
}

impl<'a> Unsigned<'a> {
    /// Prepares the signed attributes for a document with this digest (SM3 or SHA-256, by the signer's family).
    /// `chain` starts with the signer and ends with the root.
    pub fn new(digest: &[u8; 32], signing_time: OffsetDateTime, chain: &'a [Certificate]) -> Result<Self, Refused> {
        let signer = chain.first().ok_or(Refused::SignerCertificateMissing)?;
        let algorithm = Algorithm::default_of(signer.public_key.kind());
        let family = algorithm.family();
        let attribute = |id: &[u8], value: &[u8]| der::sequence(&[&der::oid(id), &der::element(tag::SET, value)]);
        let data = match family {
            Family::Gm => oid::GM_DATA,
            Family::Classic => oid::PKCS7_DATA,
        };
        let mut attributes = vec![
            attribute(oid::CONTENT_TYPE, &der::oid(data)),
            attribute(oid::MESSAGE_DIGEST, &der::octets(digest)),
            attribute(oid::SIGNING_TIME, &der::time(signing_time)),
        ];
        if family == Family::Classic {
            // ESSCertIDv2 with the default SHA-256 (RFC 5035 4)
            let id = der::sequence(&[&der::octets(&sha256(&signer.der))]);
            let value = der::sequence(&[&der::sequence(&[&id])]);
            attributes.push(attribute(oid::SIGNING_CERTIFICATE_V2, &value));
        }
        Ok(Self {
            family,
            algorithm,
            chain,
            attributes: der::set_of(attributes),
        })
    }

    /// The bytes to sign.
    #[must_use]
    pub fn to_be_signed(&self) -> &[u8] {
        &self.attributes
    }

    /// Signs with a key at hand.
    pub fn sign(self, key: &dyn Signer) -> Result<Vec<u8>, Refused> {
        let signature = key.sign(&self.attributes)?;
        self.finish(&signature)
    }

    /// Puts the signature (DER `SEQUENCE { r, s }`) in and gives the message.
    pub fn finish(self, signature: &[u8]) -> Result<Vec<u8>, Refused> {
        let signer = self.chain.first().ok_or(Refused::SignerCertificateMissing)?;
        let (signed_data, data, digest) = match self.family {
            Family::Gm => (oid::GM_SIGNED_DATA, oid::GM_DATA, oid::SM3),
            Family::Classic => (oid::PKCS7_SIGNED_DATA, oid::PKCS7_DATA, oid::SHA256),
        };
        let digest = der::sequence(&[&der::oid(digest)]);
        let mut attributes = self.attributes;
        if let Some(first) = attributes.first_mut() {
            *first = tag::context(0); // IMPLICIT
        }
        let signer_info = der::sequence(&[
            &der::unsigned(&[1]),
            &der::sequence(&[&signer.issuer_der, &der::unsigned(&signer.serial)]),
            &digest,
            &attributes,
            &self.algorithm.to_der(),
            &der::octets(signature),
        ]);
        let certificates: Vec<&[u8]> = self.chain.iter().map(|c| c.der.as_slice()).collect();
        let body = der::sequence(&[
            &der::unsigned(&[1]),
            &der::element(tag::SET, &digest),
            &der::sequence(&[&der::oid(data)]),
            &der::constructed(tag::context(0), &certificates),
            &der::element(tag::SET, &signer_info),
        ]);
        Ok(der::sequence(&[
            &der::oid(signed_data),
            &der::constructed(tag::context(0), &[&body]),
        ]))
    }
}
