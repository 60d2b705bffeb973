//! Making a message.

use time::OffsetDateTime;

use super::attributes::{self, data};
use crate::der::{self, tag};
use crate::key::{Algorithm, Family, Signer};
use crate::{Certificate, Refused, oid};

/// A message that waits for its signature.
#[derive(Debug)]
pub struct Unsigned<'a> {
    family: Family,
    algorithm: Algorithm,
    /// The signer first.
    chain: &'a [Certificate],
    crls: &'a [Vec<u8>],
    signs: Signs<'a>,
    /// Content that the message will carry.
    content: Option<&'a [u8]>,
}

#[derive(Debug)]
enum Signs<'a> {
    /// `SET OF` attributes.
    Attributes(Vec<u8>),
    /// The content itself.
    Content(&'a [u8]),
}

impl<'a> Unsigned<'a> {
    /// Prepares the signed attributes for a document with this digest (SM3 or SHA-256, by the signer's key).
    /// `chain` starts with the signer and ends with the root.
    pub fn new(digest: &[u8; 32], signing_time: OffsetDateTime, chain: &'a [Certificate]) -> Result<Self, Refused> {
        let signer = chain.first().ok_or(Refused::SignerCertificateMissing)?;
        let algorithm = Algorithm::default_of(signer.public_key.kind());
        Self::over_digest(algorithm, digest, Some(signing_time), chain)
    }

    /// For content with this digest, by the hash of `algorithm`: long content is hashed as it comes.
    pub fn over_digest(
        algorithm: Algorithm,
        digest: &[u8],
        signing_time: Option<OffsetDateTime>,
        chain: &'a [Certificate],
    ) -> Result<Self, Refused> {
        let signer = chain.first().ok_or(Refused::SignerCertificateMissing)?;
        signer.public_key.fits(algorithm)?;
        if digest.len() != algorithm.hash().len() {
            return Err(Refused::InvalidDigest);
        }
        let family = algorithm.family();
        Ok(Self {
            family,
            algorithm,
            chain,
            crls: &[],
            signs: Signs::Attributes(attributes::write(family, digest, signing_time, signer)),
            content: None,
        })
    }

    /// For content that the message carries (attached).
    pub fn attached(
        algorithm: Algorithm,
        content: &'a [u8],
        signing_time: Option<OffsetDateTime>,
        chain: &'a [Certificate],
    ) -> Result<Self, Refused> {
        let digest = algorithm.hash().digest(content);
        let mut made = Self::over_digest(algorithm, &digest, signing_time, chain)?;
        made.content = Some(content);
        Ok(made)
    }

    /// Without signed attributes: the signature covers the content alone and says no time. For peers that want it so.
    pub fn bare(
        algorithm: Algorithm,
        content: &'a [u8],
        carried: bool,
        chain: &'a [Certificate],
    ) -> Result<Self, Refused> {
        let signer = chain.first().ok_or(Refused::SignerCertificateMissing)?;
        signer.public_key.fits(algorithm)?;
        Ok(Self {
            family: algorithm.family(),
            algorithm,
            chain,
            crls: &[],
            signs: Signs::Content(content),
            content: carried.then_some(content),
        })
    }

    /// With these CRLs (DER) in the message.
    #[must_use]
    pub fn with_crls(mut self, crls: &'a [Vec<u8>]) -> Self {
        self.crls = crls;
        self
    }

    /// The bytes to sign.
    #[must_use]
    pub fn to_be_signed(&self) -> &[u8] {
        match &self.signs {
            Signs::Attributes(set) => set,
            Signs::Content(content) => content,
        }
    }

    /// Signs with the key of the first certificate.
    pub fn sign(self, key: &dyn Signer) -> Result<Vec<u8>, Refused> {
        let signature = key.sign_as(self.algorithm, self.to_be_signed())?;
        self.finish(&signature)
    }

    /// Puts the signature (on curves DER `SEQUENCE { r, s }`) in and gives the message.
    pub fn finish(self, signature: &[u8]) -> Result<Vec<u8>, Refused> {
        let signer = self.chain.first().ok_or(Refused::SignerCertificateMissing)?;
        let signed_data = match self.family {
            Family::Gm => oid::GM_SIGNED_DATA,
            Family::Classic => oid::PKCS7_SIGNED_DATA,
        };
        let digest = self.algorithm.hash().to_der();
        let attributes = match self.signs {
            Signs::Attributes(mut set) => {
                if let Some(first) = set.first_mut() {
                    *first = tag::context(0); // IMPLICIT
                }
                set
            }
            Signs::Content(_) => Vec::new(),
        };
        let signer_info = der::sequence(&[
            &der::unsigned(&[1]),
            &der::sequence(&[&signer.issuer_der, &der::unsigned(&signer.serial)]),
            &digest,
            &attributes,
            &self.algorithm.to_der(),
            &der::octets(signature),
        ]);
        let content = self.content.map_or_else(Vec::new, |content| {
            der::constructed(tag::context(0), &[&der::octets(content)])
        });
        let certificates: Vec<&[u8]> = self.chain.iter().map(|c| c.der.as_slice()).collect();
        let crls = if self.crls.is_empty() {
            Vec::new()
        } else {
            der::element(tag::context(1), &self.crls.concat())
        };
        let body = der::sequence(&[
            &der::unsigned(&[1]),
            &der::element(tag::SET, &digest),
            &der::sequence(&[&der::oid(data(self.family)), &content]),
            &der::constructed(tag::context(0), &certificates),
            &crls,
            &der::element(tag::SET, &signer_info),
        ]);
        Ok(der::sequence(&[
            &der::oid(signed_data),
            &der::constructed(tag::context(0), &[&body]),
        ]))
    }
}
