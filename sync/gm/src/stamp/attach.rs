//! What is added to a signed message after it was signed: its time stamp (id-aa-signatureTimeStampToken) and the evidence
//! about its certificates. Unsigned attributes change nothing of what was signed.

use super::id;
use crate::Refused;
use crate::der::{self, Element, Reader, tag};
use crate::trust::Stapled;

/// Larger messages are not read: an attached document may be long.
const MAX_MESSAGE: usize = 256 * 1024 * 1024;
/// More unsigned attributes are not read.
const MAX_ATTRIBUTES: usize = 16;

/// The parts of a message around the unsigned attributes of its one signer.
struct Frame<'a> {
    kind: &'a [u8],
    /// Elements of `SignedData` before `signerInfos`.
    before: Vec<&'a [u8]>,
    /// Elements of the `SignerInfo` before the unsigned attributes.
    signer: Vec<&'a [u8]>,
    signature: &'a [u8],
    attributes: Vec<Element<'a>>,
}

/// What stands beside the signature of a message with one signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    /// The signature's bytes: what a signature time stamp is over.
    pub signature: Vec<u8>,
    /// Time-stamp tokens.
    pub stamps: Vec<Vec<u8>>,
    /// Evidence about the certificates.
    pub evidence: Option<Stapled>,
}

impl Unsigned {
    /// Reads it, without verifying anything.
    ///
    /// # Errors
    /// Malformed, or more than one signer.
    pub fn read(message: &[u8]) -> Result<Self, Refused> {
        let frame = Frame::read(message)?;
        let mut found = Self {
            signature: frame.signature.to_vec(),
            stamps: Vec::new(),
            evidence: None,
        };
        for attribute in &frame.attributes {
            let mut parts = Reader::new(attribute.value, "unsigned attribute");
            let kind = parts.oid()?;
            let mut values = parts.inside(tag::SET, "unsigned attribute")?;
            parts.finish()?;
            match kind {
                id::STAMP_TOKEN => {
                    while !values.is_empty() {
                        found.stamps.push(values.expect(tag::SEQUENCE)?.raw.to_vec());
                    }
                }
                id::REVOCATION_VALUES => {
                    let value = Stapled::read(values.expect(tag::SEQUENCE)?.raw)?;
                    values.finish()?;
                    if found.evidence.replace(value).is_some() {
                        return Err(Refused::Attribute("revocationValues"));
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

/// The message with this time-stamp token beside its signature. The token is over [`Unsigned::signature`].
///
/// # Errors
/// Malformed, or more than one signer.
pub fn attach(message: &[u8], token: &[u8]) -> Result<Vec<u8>, Refused> {
    Frame::read(message)?.with(id::STAMP_TOKEN, token)
}

/// The message with this evidence about its certificates beside its signature.
///
/// # Errors
/// Malformed, more than one signer, or there is evidence already.
pub fn attach_evidence(message: &[u8], evidence: &Stapled) -> Result<Vec<u8>, Refused> {
    if Unsigned::read(message)?.evidence.is_some() {
        return Err(Refused::Attribute("revocationValues"));
    }
    Frame::read(message)?.with(id::REVOCATION_VALUES, &evidence.to_der()?)
}

/// The message as it was signed, without what was put beside its signature since: evidence may be larger than any message.
///
/// # Errors
/// Malformed, or more than one signer.
pub fn bare(message: &[u8]) -> Result<Vec<u8>, Refused> {
    Ok(Frame::read(message)?.written(&[]))
}

impl<'a> Frame<'a> {
    fn read(message: &'a [u8]) -> Result<Self, Refused> {
        if message.len() > MAX_MESSAGE {
            return Err(Refused::TooLarge { at: "signed message" });
        }
        let mut outer = Reader::new(message, "signed message");
        let mut info = outer.sequence("signed message")?;
        outer.finish()?;
        let kind = info.expect(tag::OID)?.raw;
        let mut explicit = info.inside(tag::context(0), "signed data")?;
        info.finish()?;
        let mut body = explicit.sequence("signed data")?;
        explicit.finish()?;
        let mut before = Vec::new();
        let mut last = body.any()?;
        while !body.is_empty() {
            before.push(last.raw);
            last = body.any()?;
        }
        if last.tag != tag::SET {
            return Err(Refused::Malformed { at: "signer infos" });
        }
        let mut infos = Reader::new(last.value, "signer infos");
        if infos.is_empty() {
            return Err(Refused::NoSigner);
        }
        let mut one = infos.sequence("signer info")?;
        if !infos.is_empty() {
            return Err(Refused::ManySigners);
        }
        let (mut signer, mut signature, mut attributes) = (Vec::new(), None, Vec::new());
        while !one.is_empty() {
            let part = one.any()?;
            match part.tag {
                0xa1 => {
                    let mut list = Reader::new(part.value, "unsigned attributes");
                    while !list.is_empty() && attributes.len() < MAX_ATTRIBUTES {
                        attributes.push(list.expect(tag::SEQUENCE)?);
                    }
                    list.finish()?;
                    one.finish()?;
                }
                other => {
                    if other == tag::OCTET_STRING {
                        signature = Some(part.value);
                    }
                    signer.push(part.raw);
                }
            }
        }
        Ok(Self {
            kind,
            before,
            signer,
            signature: signature.ok_or(Refused::Malformed { at: "signer info" })?,
            attributes,
        })
    }

    /// Everything as it stands, byte for byte, and one attribute more.
    fn with(&self, id: &[u8], value: &[u8]) -> Result<Vec<u8>, Refused> {
        if self.attributes.len() >= MAX_ATTRIBUTES {
            return Err(Refused::TooLarge {
                at: "unsigned attributes",
            });
        }
        let mut attributes: Vec<Vec<u8>> = self.attributes.iter().map(|a| a.raw.to_vec()).collect();
        attributes.push(der::sequence(&[&der::oid(id), &der::element(tag::SET, value)]));
        let mut set = der::set_of(attributes);
        if let Some(first) = set.first_mut() {
            *first = tag::context(1);
        }
        Ok(self.written(&set))
    }

    fn written(&self, attributes: &[u8]) -> Vec<u8> {
        let signer = der::sequence(&[&self.signer.concat(), attributes]);
        let body = der::sequence(&[&self.before.concat(), &der::element(tag::SET, &signer)]);
        der::sequence(&[self.kind, &der::constructed(tag::context(0), &[&body])])
    }
}
