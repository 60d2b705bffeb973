//! Verifying the signatures of a message over content that comes in pieces, in constant memory.

use time::OffsetDateTime;

use super::attributes::Attributes;
use super::message::{Message, SignerId, SignerInfo};
use super::verify::{CLOCK_SKEW, Verified};
use crate::der::{self, tag};
use crate::hash::Hashing;
use crate::key::{Algorithm, Family, Hash, USER_ID};
use crate::{Certificate, Refused, Trust};

/// So many first bytes of bare content are looked at.
const PREFIX: usize = 32;

/// One signature that holds over the content. Whether its signer is trusted is another question: [`Sound::trusted`].
#[derive(Debug, Clone)]
pub struct Sound<'a> {
    /// The signer's certificate.
    pub certificate: Certificate,
    /// What was signed with.
    pub algorithm: Algorithm,
    /// When the signer says it was signed, if they say.
    pub signing_time: Option<OffsetDateTime>,
    /// Whether attributes were signed; without them nothing but the content is.
    pub attributed: bool,
    /// The signature itself: what a time stamp is over.
    pub signature: &'a [u8],
    /// Content of the unsigned attributes: time stamps and evidence, not judged here.
    pub unsigned: Option<&'a [u8]>,
}

impl Sound<'_> {
    /// The signer may sign documents and leads to a trusted root at the time of signing, which is `now` when the signer
    /// does not say it. `others` are certificates that may lie on the path.
    pub fn trusted(&self, trust: &Trust, others: &[Certificate], now: OffsetDateTime) -> Result<Verified, Refused> {
        let at = self.signing_time.unwrap_or(now);
        if at > now + CLOCK_SKEW {
            return Err(Refused::SignedInFuture);
        }
        self.certificate.may_sign_documents()?;
        let path = trust.path(&self.certificate, others, at)?;
        Ok(Verified {
            signer: self.certificate.clone(),
            path,
            signing_time: at,
            family: self.algorithm.family(),
            algorithm: self.algorithm,
        })
    }
}

/// The finding about one signer.
#[derive(Debug, Clone)]
pub struct Outcome<'a> {
    /// Who signed, as the message says.
    pub signer: SignerId<'a>,
    /// Whether the signature holds.
    pub result: Result<Sound<'a>, Refused>,
}

/// What is done with the content for one signer.
enum Work<'a> {
    /// Compared with the signed digest.
    Attributed(Attributes<'a>, Hashing),
    /// Signed itself.
    Bare(Hashing),
    /// Already refused.
    Refused(Refused),
}

/// Signatures being verified.
pub struct Checking<'m, 'a> {
    message: &'m Message<'a>,
    others: &'m [Certificate],
    work: Vec<Work<'a>>,
    prefix: Vec<u8>,
}

impl std::fmt::Debug for Checking<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checking").finish_non_exhaustive()
    }
}

impl<'a> Message<'a> {
    /// Verifies every signature over the content that the message carries. `others` are certificates of signers that
    /// messages need not carry.
    pub fn check_attached(&self, others: &[Certificate]) -> Result<Vec<Outcome<'a>>, Refused> {
        let content = self.content.ok_or(Refused::Detached)?;
        let mut checking = self.start(others)?;
        checking.update(content);
        Ok(checking.finish())
    }

    /// Starts to verify every signature over content that comes from elsewhere, piece by piece.
    pub fn check_detached<'m>(&'m self, others: &'m [Certificate]) -> Result<Checking<'m, 'a>, Refused> {
        if self.content.is_some() {
            return Err(Refused::NotDetached);
        }
        self.start(others)
    }

    fn start<'m>(&'m self, others: &'m [Certificate]) -> Result<Checking<'m, 'a>, Refused> {
        if self.signers.is_empty() {
            return Err(Refused::NoSigner);
        }
        let work = self
            .signers
            .iter()
            .map(|signer| self.work(signer, others).unwrap_or_else(Work::Refused));
        Ok(Checking {
            message: self,
            others,
            work: work.collect(),
            prefix: Vec::new(),
        })
    }

    fn work(&self, signer: &SignerInfo<'a>, others: &[Certificate]) -> Result<Work<'a>, Refused> {
        if signer.algorithm.family() != self.family && !self.profile.mixed_identifiers {
            return Err(Refused::MixedAlgorithms);
        }
        let Some(attributes) = signer.attributes else {
            let certificate = self.certificate(signer.id, others)?;
            if certificate.public_key.kind() != signer.algorithm.kind() {
                return Err(Refused::MixedAlgorithms);
            }
            let hashing = if self.is_legacy(signer) {
                Hash::Sm3.start()
            } else {
                certificate.public_key.hashing(signer.algorithm, USER_ID.as_bytes())?
            };
            return Ok(Work::Bare(hashing));
        };
        let attributes = Attributes::read(attributes)?;
        attributes.check_type(self.content_type)?;
        Ok(Work::Attributed(attributes, signer.hash.start()))
    }

    fn is_legacy(&self, signer: &SignerInfo<'_>) -> bool {
        self.profile.gmssl_legacy && self.family == Family::Gm && signer.attributes.is_none()
    }
}

impl<'a> Checking<'_, 'a> {
    /// Takes more of the content in.
    pub fn update(&mut self, bytes: &[u8]) {
        let more = PREFIX.saturating_sub(self.prefix.len());
        self.prefix.extend(bytes.iter().take(more));
        for work in &mut self.work {
            match work {
                Work::Attributed(_, hashing) | Work::Bare(hashing) => hashing.update(bytes),
                Work::Refused(_) => {}
            }
        }
    }

    /// The findings, signer by signer, in the order of the message.
    #[must_use]
    pub fn finish(self) -> Vec<Outcome<'a>> {
        let Self {
            message,
            others,
            work,
            prefix,
        } = self;
        let judged = message.signers.iter().zip(work);
        judged
            .map(|(signer, work)| Outcome {
                signer: signer.id,
                result: judge(message, signer, work, others, &prefix),
            })
            .collect()
    }

    /// The finding when the digest of the content is at hand already: with signed attributes only.
    pub(super) fn finish_with(self, digest: &[u8]) -> Vec<Result<Sound<'a>, Refused>> {
        let Self {
            message, others, work, ..
        } = self;
        let judged = message.signers.iter().zip(work);
        judged
            .map(|(signer, work)| match work {
                Work::Attributed(attributes, _) => attributed(message, signer, &attributes, digest, others),
                Work::Bare(_) => Err(Refused::Attribute("signedAttrs")),
                Work::Refused(reason) => Err(reason),
            })
            .collect()
    }
}

fn judge<'a>(
    message: &Message<'a>,
    signer: &SignerInfo<'a>,
    work: Work<'a>,
    others: &[Certificate],
    prefix: &[u8],
) -> Result<Sound<'a>, Refused> {
    match work {
        Work::Refused(reason) => Err(reason),
        Work::Attributed(attributes, hashing) => attributed(message, signer, &attributes, &hashing.finish(), others),
        Work::Bare(hashing) => {
            if looks_like_attributes(prefix) {
                return Err(Refused::AmbiguousContent);
            }
            let certificate = message.certificate(signer.id, others)?;
            let digest = if message.is_legacy(signer) {
                // Only attached content can be written as encapContentInfo.
                message.content.ok_or(Refused::Detached)?;
                Hash::Sm3.digest(message.encapsulated)
            } else {
                hashing.finish()
            };
            certificate
                .public_key
                .verify_digest(signer.algorithm, &digest, signer.signature)?;
            Ok(sound(signer, certificate, None))
        }
    }
}

fn attributed<'a>(
    message: &Message<'a>,
    signer: &SignerInfo<'a>,
    attributes: &Attributes<'a>,
    digest: &[u8],
    others: &[Certificate],
) -> Result<Sound<'a>, Refused> {
    if attributes.digest.len() != signer.hash.len() {
        return Err(Refused::Attribute("messageDigest"));
    }
    if attributes.digest != digest {
        return Err(Refused::DigestMismatch);
    }
    let certificate = message.certificate(signer.id, others)?;
    if certificate.public_key.kind() != signer.algorithm.kind() {
        return Err(Refused::MixedAlgorithms);
    }
    attributes.check_certificate(certificate)?;
    let signed = der::element(tag::SET, signer.attributes.unwrap_or_default());
    certificate
        .public_key
        .verify(signer.algorithm, &signed, signer.signature)?;
    Ok(sound(signer, certificate, attributes.signing_time))
}

fn sound<'a>(signer: &SignerInfo<'a>, certificate: &Certificate, signing_time: Option<OffsetDateTime>) -> Sound<'a> {
    Sound {
        certificate: certificate.clone(),
        algorithm: signer.algorithm,
        signing_time,
        attributed: signer.attributes.is_some(),
        signature: signer.signature,
        unsigned: signer.unsigned,
    }
}

/// Whether content begins like signed attributes: `SET { SEQUENCE { OID 1.2.840.113549.1.9.… `. Whoever holds a message with
/// signed attributes could otherwise show these, with the same signature, as a document that was signed without any.
fn looks_like_attributes(prefix: &[u8]) -> bool {
    const PKCS9: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09];
    let header = |bytes: &[u8], wanted: u8| -> Option<usize> {
        match bytes {
            [tag, 0..=0x7f, ..] if *tag == wanted => Some(2),
            [tag, length @ 0x81..=0x84, ..] if *tag == wanted => Some(2 + usize::from(length & 0x7f)),
            _ => None,
        }
    };
    let found = || -> Option<bool> {
        let inside = prefix.get(header(prefix, tag::SET)?..)?;
        let id = inside.get(header(inside, tag::SEQUENCE)?..)?;
        Some(id.get(header(id, tag::OID)?..)?.starts_with(PKCS9))
    };
    found().unwrap_or(false)
}
