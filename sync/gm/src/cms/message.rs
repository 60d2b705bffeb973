//! Reading a message. Nothing is verified here.

use super::attributes::data;
use crate::der::{Element, Reader, tag};
use crate::key::{Algorithm, Family, Hash};
use crate::{Certificate, Refused, oid};

/// Larger messages are not read.
pub const MAX_ATTACHED: usize = 256 * 1024 * 1024;
/// More certificates in a message are not read.
const MAX_CERTIFICATES: usize = 64;
/// More signers are not read.
const MAX_SIGNERS: usize = 16;
/// More CRLs are not read.
const MAX_CRLS: usize = 16;

/// What is accepted beyond the standards' own form. Nothing by default: a verifier never tries variants silently.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Profile {
    /// SM2 under the identifiers of RFC 5652, RSA and ECDSA under those of GB/T 35275, as some products write.
    pub mixed_identifiers: bool,
    /// SM2 signatures without signed attributes over SM3(`encapContentInfo`), without Z: the dialect of the command-line
    /// tool GmSSL. The signature then binds neither the user id nor the public key.
    pub gmssl_legacy: bool,
}

/// Who signed, as the message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignerId<'a> {
    /// By issuer's name and serial number.
    Serial {
        /// Issuer's name, DER.
        issuer: &'a [u8],
        /// Serial number, without leading zero.
        serial: &'a [u8],
    },
    /// By the key id of the certificate.
    KeyId(&'a [u8]),
}

impl SignerId<'_> {
    /// Whether this certificate is meant.
    #[must_use]
    pub fn names(&self, certificate: &Certificate) -> bool {
        match self {
            Self::Serial { issuer, serial } => certificate.issuer_der == *issuer && certificate.serial == *serial,
            Self::KeyId(id) => certificate.subject_key_id.as_deref() == Some(id),
        }
    }
}

/// One signer of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct SignerInfo<'a> {
    pub(super) id: SignerId<'a>,
    pub(super) hash: Hash,
    pub(super) algorithm: Algorithm,
    /// Content of the signed attributes.
    pub(super) attributes: Option<&'a [u8]>,
    pub(super) signature: &'a [u8],
    /// Content of the unsigned attributes.
    pub(super) unsigned: Option<&'a [u8]>,
}

/// A message that has been read.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// Which identifiers it is written with.
    pub family: Family,
    /// The signed content, when the message carries it.
    pub content: Option<&'a [u8]>,
    /// Certificates it carries; those that cannot be read are left out.
    pub certificates: Vec<Certificate>,
    /// CRLs it carries, DER.
    pub crls: Vec<&'a [u8]>,
    pub(super) profile: Profile,
    pub(super) content_type: &'a [u8],
    /// `encapContentInfo` as it stands.
    pub(super) encapsulated: &'a [u8],
    pub(super) signers: Vec<SignerInfo<'a>>,
    /// Why a certificate was left out.
    pub(crate) unread: Option<Refused>,
}

impl<'a> Message<'a> {
    /// Reads a signed message.
    pub fn read(bytes: &'a [u8], profile: Profile) -> Result<Self, Refused> {
        if bytes.len() > MAX_ATTACHED {
            return Err(Refused::TooLarge { at: "signed message" });
        }
        let (family, mut body) = open(bytes)?;
        if !matches!(body.small()?, 1 | 3..=5) {
            return Err(Refused::Malformed {
                at: "signed data version",
            });
        }
        let mut digests = body.inside(tag::SET, "digest algorithms")?;
        while !digests.is_empty() {
            Hash::read(&mut digests)?;
        }
        let encapsulated = body.expect(tag::SEQUENCE)?;
        let (content_type, content) = read_content(encapsulated)?;
        if content_type != data(family) && !profile.mixed_identifiers {
            return Err(Refused::ContentTypeMismatch);
        }
        let mut message = Self {
            family,
            content,
            certificates: Vec::new(),
            crls: Vec::new(),
            profile,
            content_type,
            encapsulated: encapsulated.raw,
            signers: Vec::new(),
            unread: None,
        };
        if let Some(set) = body.optional(tag::context(0))? {
            message.read_certificates(set.value)?;
        }
        if let Some(set) = body.optional(tag::context(1))? {
            message.read_crls(set.value)?;
        }
        let mut infos = body.inside(tag::SET, "signer infos")?;
        body.finish()?;
        while !infos.is_empty() {
            if message.signers.len() == MAX_SIGNERS {
                return Err(Refused::TooLarge { at: "signers" });
            }
            message.signers.push(read_signer(&mut infos)?);
        }
        Ok(message)
    }

    /// Who signed, as the message says.
    pub fn signers(&self) -> impl Iterator<Item = SignerId<'a>> {
        self.signers.iter().map(|signer| signer.id)
    }

    fn read_certificates(&mut self, value: &[u8]) -> Result<(), Refused> {
        let mut reader = Reader::new(value, "certificates");
        while !reader.is_empty() {
            if self.certificates.len() == MAX_CERTIFICATES {
                return Err(Refused::TooLarge { at: "certificates" });
            }
            let element = reader.any()?;
            match Certificate::parse(element.raw) {
                Ok(certificate) => self.certificates.push(certificate),
                // An old root with SHA-1 in it, or an attribute certificate, is no reason to refuse the signer.
                Err(reason) => self.unread = self.unread.take().or(Some(reason)),
            }
        }
        Ok(())
    }

    fn read_crls(&mut self, value: &'a [u8]) -> Result<(), Refused> {
        let mut reader = Reader::new(value, "CRLs");
        while !reader.is_empty() {
            if self.crls.len() == MAX_CRLS {
                return Err(Refused::TooLarge { at: "CRLs" });
            }
            let element = reader.any()?;
            if element.tag == tag::SEQUENCE {
                self.crls.push(element.raw); // other revocation information ([1]) is not read
            }
        }
        Ok(())
    }

    /// The certificate of this signer, in the message or among `others`.
    pub(super) fn certificate<'c>(
        &'c self,
        id: SignerId<'_>,
        others: &'c [Certificate],
    ) -> Result<&'c Certificate, Refused> {
        let mut all = self.certificates.iter().chain(others);
        all.find(|certificate| id.names(certificate))
            .ok_or_else(|| self.unread.clone().unwrap_or(Refused::SignerCertificateMissing))
    }
}

/// The family and the inside of `SignedData`.
pub(super) fn open(bytes: &[u8]) -> Result<(Family, Reader<'_>), Refused> {
    let mut reader = Reader::new(bytes, "signed message");
    let mut info = reader.sequence("signed message")?;
    reader.finish()?;
    let family = match info.oid()? {
        oid::GM_SIGNED_DATA => Family::Gm,
        oid::PKCS7_SIGNED_DATA => Family::Classic,
        other => return Err(Refused::UnknownContentType(oid::dotted(other))),
    };
    let mut explicit = info.inside(tag::context(0), "signed data")?;
    info.finish()?;
    let body = explicit.sequence("signed data")?;
    explicit.finish()?;
    Ok((family, body))
}

/// Type and content of `encapContentInfo`. PKCS#7 content that is not an OCTET STRING is refused: its signature covers
/// other bytes than one would think (RFC 5652 5.2.1).
fn read_content(encapsulated: Element<'_>) -> Result<(&[u8], Option<&[u8]>), Refused> {
    let mut inner = Reader::new(encapsulated.value, "content");
    let kind = inner.oid()?;
    if !matches!(kind, oid::GM_DATA | oid::PKCS7_DATA) {
        return Err(Refused::ContentTypeMismatch);
    }
    let content = match inner.optional(tag::context(0))? {
        None => None,
        Some(wrapped) => {
            let mut wrapped = Reader::new(wrapped.value, "content");
            let value = wrapped.expect(tag::OCTET_STRING)?.value;
            wrapped.finish()?;
            Some(value)
        }
    };
    inner.finish()?;
    Ok((kind, content))
}

fn read_signer<'a>(infos: &mut Reader<'a>) -> Result<SignerInfo<'a>, Refused> {
    let mut signer = infos.sequence("signer info")?;
    let version = signer.small()?;
    let id = signer.any()?;
    let id = match (version, id.tag) {
        (1, tag::SEQUENCE) => {
            let mut parts = Reader::new(id.value, "signer id");
            let issuer = parts.expect(tag::SEQUENCE)?.raw;
            let serial = parts.unsigned()?;
            parts.finish()?;
            SignerId::Serial { issuer, serial }
        }
        (3, 0x80) => SignerId::KeyId(id.value),
        _ => {
            return Err(Refused::Malformed {
                at: "signer info version",
            });
        }
    };
    let hash = Hash::read(&mut signer)?;
    let attributes = signer.optional(tag::context(0))?.map(|set| set.value);
    let algorithm = Algorithm::read_for_digest(&mut signer, hash)?;
    let signature = signer.expect(tag::OCTET_STRING)?.value;
    let unsigned = signer.optional(tag::context(1))?.map(|set| set.value);
    signer.finish()?;
    Ok(SignerInfo {
        id,
        hash,
        algorithm,
        attributes,
        signature,
        unsigned,
    })
}
