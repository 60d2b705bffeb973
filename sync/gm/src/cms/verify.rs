use time::{Duration, OffsetDateTime};

use crate::der::{self, Reader, tag};
use crate::key::{Algorithm, Family, Hash};
use crate::{Certificate, Refused, Trust, oid};

/// Larger messages are not read.
pub const MAX_MESSAGE: usize = 256 * 1024;
/// More certificates in a message are not read.
const MAX_CERTIFICATES: usize = 16;
/// Clocks of two machines may differ by this much.
const CLOCK_SKEW: Duration = Duration::minutes(5);

/// What was signed.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// The document.
    Bytes(&'a [u8]),
    /// Its digest, SM3 or SHA-256 by the family of the message.
    Digest(&'a [u8; 32]),
}

/// A signature that holds.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The signer's certificate.
    pub signer: Certificate,
    /// From the signer to the trusted root.
    pub path: Vec<Certificate>,
    /// When the signer says it was signed.
    pub signing_time: OffsetDateTime,
    /// SM2/SM3 or ECDSA/SHA-256.
    pub family: Family,
}

/// Verifies a detached message over `content`: structure, digest, signature, certificate path, usage and times.
pub fn verify(message: &[u8], content: Content<'_>, trust: &Trust, now: OffsetDateTime) -> Result<Verified, Refused> {
    let message = Message::parse(message)?;
    let attributes = Attributes::read(message.attributes, message.family)?;
    let digest = match content {
        Content::Bytes(bytes) => message.algorithm.hash().digest(bytes),
        Content::Digest(digest) => digest.to_vec(),
    };
    if attributes.digest.as_slice() != digest {
        return Err(Refused::DigestMismatch);
    }
    let signer = message
        .certificates
        .iter()
        .find(|c| c.issuer_der == message.issuer && c.serial == message.serial)
        .ok_or(Refused::SignerCertificateMissing)?;
    if signer.public_key.kind() != message.algorithm.kind() {
        return Err(Refused::MixedAlgorithms);
    }
    let signed = der::element(tag::SET, message.attributes);
    signer
        .public_key
        .verify(message.algorithm, &signed, message.signature)?;
    if attributes.signing_time > now + CLOCK_SKEW {
        return Err(Refused::SignedInFuture);
    }
    signer.may_sign_documents()?;
    let path = trust.path(signer, &message.certificates, attributes.signing_time)?;
    Ok(Verified {
        signer: signer.clone(),
        path,
        signing_time: attributes.signing_time,
        family: message.family,
    })
}

struct Message<'a> {
    family: Family,
    algorithm: Algorithm,
    certificates: Vec<Certificate>,
    issuer: &'a [u8],
    serial: &'a [u8],
    attributes: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Message<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Refused> {
        if bytes.len() > MAX_MESSAGE {
            return Err(Refused::TooLarge { at: "signed message" });
        }
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
        let mut body = explicit.sequence("signed data")?;
        explicit.finish()?;
        if !matches!(body.small()?, 1 | 3) {
            return Err(Refused::Malformed {
                at: "signed data version",
            });
        }
        let mut digests = body.inside(tag::SET, "digest algorithms")?;
        while !digests.is_empty() {
            read_digest(&mut digests, family)?;
        }
        read_detached(&mut body, family)?;
        let certificates = read_certificates(&mut body)?;
        body.optional(tag::context(1))?; // CRLs are not read
        let mut infos = body.inside(tag::SET, "signer infos")?;
        body.finish()?;
        if infos.is_empty() {
            return Err(Refused::NoSigner);
        }
        let mut signer = infos.sequence("signer info")?;
        if !infos.is_empty() {
            return Err(Refused::ManySigners);
        }
        if signer.small()? != 1 {
            return Err(Refused::Malformed {
                at: "signer info version",
            });
        }
        let mut id = signer.sequence("signer id")?;
        let issuer = id.expect(tag::SEQUENCE)?.raw;
        let serial = id.unsigned()?;
        id.finish()?;
        read_digest(&mut signer, family)?;
        let attributes = signer
            .optional(tag::context(0))?
            .ok_or(Refused::Attribute("signedAttrs"))?
            .value;
        let algorithm = Algorithm::read(&mut signer)?;
        if algorithm.family() != family {
            return Err(Refused::MixedAlgorithms);
        }
        let signature = signer.expect(tag::OCTET_STRING)?.value;
        signer.optional(tag::context(1))?; // unsigned attributes carry time stamps; they are not judged here
        signer.finish()?;
        Ok(Self {
            family,
            algorithm,
            certificates,
            issuer,
            serial,
            attributes,
            signature,
        })
    }
}

fn read_digest(reader: &mut Reader<'_>, family: Family) -> Result<(), Refused> {
    let wanted = match family {
        Family::Gm => Hash::Sm3,
        Family::Classic => Hash::Sha256,
    };
    let hash = Hash::read(reader)?;
    if hash == wanted {
        Ok(())
    } else {
        Err(Refused::UnknownDigest(oid::dotted(hash.oid())))
    }
}

fn read_detached(body: &mut Reader<'_>, family: Family) -> Result<(), Refused> {
    let mut content = body.sequence("content")?;
    let wanted = match family {
        Family::Gm => oid::GM_DATA,
        Family::Classic => oid::PKCS7_DATA,
    };
    if content.oid()? != wanted {
        return Err(Refused::ContentTypeMismatch);
    }
    if content.is_empty() {
        Ok(())
    } else {
        Err(Refused::NotDetached)
    }
}

fn read_certificates(body: &mut Reader<'_>) -> Result<Vec<Certificate>, Refused> {
    let mut certificates = Vec::new();
    if let Some(set) = body.optional(tag::context(0))? {
        let mut reader = Reader::new(set.value, "certificates");
        while !reader.is_empty() {
            if certificates.len() == MAX_CERTIFICATES {
                return Err(Refused::TooLarge { at: "certificates" });
            }
            certificates.push(Certificate::parse(reader.expect(tag::SEQUENCE)?.raw)?);
        }
    }
    Ok(certificates)
}

struct Attributes {
    digest: [u8; 32],
    signing_time: OffsetDateTime,
}

impl Attributes {
    fn read(bytes: &[u8], family: Family) -> Result<Self, Refused> {
        let (mut content_type, mut digest, mut signing_time) = (None, None, None);
        let mut list = Reader::new(bytes, "signed attributes");
        while !list.is_empty() {
            let mut attribute = list.sequence("signed attribute")?;
            let id = attribute.oid()?;
            let mut values = attribute.inside(tag::SET, "signed attribute")?;
            attribute.finish()?;
            match id {
                oid::CONTENT_TYPE => once(&mut content_type, "contentType", values.oid()?)?,
                oid::MESSAGE_DIGEST => {
                    let value = values.expect(tag::OCTET_STRING)?.value;
                    let value = value.try_into().map_err(|_| Refused::Attribute("messageDigest"))?;
                    once(&mut digest, "messageDigest", value)?;
                }
                oid::SIGNING_TIME => once(&mut signing_time, "signingTime", values.time()?)?,
                _ => continue,
            }
            values.finish()?;
        }
        let wanted = match family {
            Family::Gm => oid::GM_DATA,
            Family::Classic => oid::PKCS7_DATA,
        };
        if content_type.ok_or(Refused::Attribute("contentType"))? != wanted {
            return Err(Refused::ContentTypeMismatch);
        }
        Ok(Self {
            digest: digest.ok_or(Refused::Attribute("messageDigest"))?,
            signing_time: signing_time.ok_or(Refused::Attribute("signingTime"))?,
        })
    }
}

fn once<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), Refused> {
    if slot.replace(value).is_some() {
        return Err(Refused::Attribute(name));
    }
    Ok(())
}
