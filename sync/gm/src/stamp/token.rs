//! Reading and verifying a token.

use time::{Duration, OffsetDateTime};

use super::unit::stamps;
use super::{Imprint, Info, MAX_TOKEN, id};
use crate::der::{self, Reader, tag};
use crate::evidence::{CLOCK_SKEW, Kind, Unfit};
use crate::extension::Particulars;
use crate::hash::Hash;
use crate::key::Algorithm;
use crate::{Certificate, Refused, Trust, oid};

/// More certificates in a token are not read.
const MAX_CERTIFICATES: usize = 16;

/// A token that has been read, not yet verified.
#[derive(Debug, Clone)]
pub struct Token<'a> {
    /// What it says.
    pub info: Info,
    content: &'a [u8],
    certificates: Vec<Certificate>,
    signer: Signer<'a>,
    hash: Hash,
    attributes: &'a [u8],
    algorithm: Algorithm,
    signature: &'a [u8],
}

#[derive(Debug, Clone, Copy)]
enum Signer<'a> {
    Serial { issuer: &'a [u8], serial: &'a [u8] },
    KeyId(&'a [u8]),
}

/// A time that is proven.
#[derive(Debug, Clone)]
pub struct Stamped {
    /// What the unit says.
    pub info: Info,
    /// The unit's certificate.
    pub unit: Certificate,
    /// From the unit to a trusted root.
    pub path: Vec<Certificate>,
}

impl Stamped {
    /// The time before which what is stamped certainly existed.
    #[must_use]
    pub fn latest(&self) -> OffsetDateTime {
        self.info.at + self.info.accuracy.unwrap_or(Duration::ZERO)
    }
}

impl<'a> Token<'a> {
    /// Reads a token.
    ///
    /// # Errors
    /// Not a signed `TSTInfo`, or malformed.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Refused> {
        if bytes.len() > MAX_TOKEN {
            return Err(Refused::TooLarge { at: "time stamp token" });
        }
        let mut reader = Reader::new(bytes, "time stamp token");
        let mut outer = reader.sequence("time stamp token")?;
        reader.finish()?;
        let kind = outer.oid()?;
        if kind != oid::PKCS7_SIGNED_DATA && kind != oid::GM_SIGNED_DATA {
            return Err(Refused::UnknownContentType(oid::dotted(kind)));
        }
        let mut explicit = outer.inside(tag::context(0), "time stamp token")?;
        outer.finish()?;
        let mut body = explicit.sequence("time stamp token")?;
        explicit.finish()?;
        if !matches!(body.small()?, 1 | 3 | 4 | 5) {
            return Err(Refused::Malformed {
                at: "time stamp token version",
            });
        }
        body.expect(tag::SET)?; // digest algorithms: the signer's own says it
        let mut encapsulated = body.sequence("time stamp content")?;
        let inner = encapsulated.oid()?;
        if inner != id::TST_INFO {
            return Err(Refused::UnknownContentType(oid::dotted(inner)));
        }
        let mut wrapped = encapsulated.inside(tag::context(0), "time stamp content")?;
        encapsulated.finish()?;
        let content = wrapped.expect(tag::OCTET_STRING)?.value;
        wrapped.finish()?;
        let certificates = read_certificates(&mut body)?;
        body.optional(tag::context(1))?;
        let mut signers = body.inside(tag::SET, "time stamp signers")?;
        body.finish()?;
        if signers.is_empty() {
            return Err(Refused::NoSigner);
        }
        let mut one = signers.sequence("time stamp signer")?;
        if !signers.is_empty() {
            return Err(Refused::ManySigners); // RFC 3161 2.4.2: the unit's signature alone
        }
        one.small()?;
        let sid = one.any()?;
        let signer = match sid.tag {
            tag::SEQUENCE => {
                let mut parts = Reader::new(sid.value, "time stamp signer id");
                let issuer = parts.expect(tag::SEQUENCE)?.raw;
                let serial = parts.unsigned()?;
                parts.finish()?;
                Signer::Serial { issuer, serial }
            }
            0x80 => Signer::KeyId(sid.value),
            _ => {
                return Err(Refused::Malformed {
                    at: "time stamp signer id",
                });
            }
        };
        let hash = Hash::read(&mut one)?;
        let attributes = one
            .optional(tag::context(0))?
            .ok_or(Refused::Attribute("signedAttrs"))?
            .value;
        let algorithm = Algorithm::read_for_digest(&mut one, hash)?;
        let signature = one.expect(tag::OCTET_STRING)?.value;
        one.optional(tag::context(1))?;
        one.finish()?;
        Ok(Self {
            info: Info::read(content)?,
            content,
            certificates,
            signer,
            hash,
            attributes,
            algorithm,
            signature,
        })
    }

    /// Verifies that it is over this imprint, by a unit that leads to a trusted root, at a time that is not in the
    /// future. The path is judged at the time it states.
    ///
    /// # Errors
    /// Every reason has its name.
    pub fn verify(&self, imprint: &Imprint, trust: &Trust, now: OffsetDateTime) -> Result<Stamped, Refused> {
        let what = Kind::Stamp;
        if self.info.imprint != *imprint {
            return Err(Unfit::Imprint.into());
        }
        let unit = self.unit(trust).ok_or(Refused::SignerCertificateMissing)?;
        self.check_attributes(unit)?;
        let signed = der::element(tag::SET, self.attributes);
        match unit.public_key.verify(self.algorithm, &signed, self.signature) {
            Err(Refused::SignatureInvalid) => return Err(Unfit::Signature { what }.into()),
            other => other?,
        }
        if !stamps(unit)? {
            let why = "its certificate is not for time stamps alone";
            return Err(Unfit::Unauthorised { what, why }.into());
        }
        if self.info.at > now + CLOCK_SKEW {
            return Err(Unfit::FromFuture { what }.into());
        }
        let path = trust.path(unit, &self.certificates, self.info.at)?;
        Ok(Stamped {
            info: self.info.clone(),
            unit: unit.clone(),
            path,
        })
    }

    /// The unit's certificate: in the token, or known here.
    fn unit<'b>(&'b self, trust: &'b Trust) -> Option<&'b Certificate> {
        let known = trust.authorities().iter();
        self.certificates.iter().chain(known).find(|c| match self.signer {
            Signer::Serial { issuer, serial } => c.issuer_der == issuer && c.serial == serial,
            Signer::KeyId(id) => Particulars::of(c).is_ok_and(|p| p.key_id.as_deref() == Some(id)),
        })
    }

    fn check_attributes(&self, unit: &Certificate) -> Result<(), Refused> {
        let (mut kind, mut digest, mut named) = (None, None, false);
        let mut list = Reader::new(self.attributes, "time stamp attributes");
        while !list.is_empty() {
            let mut attribute = list.sequence("time stamp attribute")?;
            let id = attribute.oid()?;
            let mut values = attribute.inside(tag::SET, "time stamp attribute")?;
            attribute.finish()?;
            match id {
                oid::CONTENT_TYPE => {
                    if kind.replace(values.oid()?).is_some() {
                        return Err(Refused::Attribute("contentType"));
                    }
                }
                oid::MESSAGE_DIGEST => {
                    if digest.replace(values.expect(tag::OCTET_STRING)?.value).is_some() {
                        return Err(Refused::Attribute("messageDigest"));
                    }
                }
                oid::SIGNING_CERTIFICATE_V2 => named |= names_v2(&mut values, unit)?,
                id::SIGNING_CERTIFICATE => named |= names_v1(&mut values, unit)?,
                _ => continue,
            }
            values.finish()?;
        }
        if kind != Some(id::TST_INFO) {
            return Err(Refused::ContentTypeMismatch);
        }
        if digest != Some(self.hash.digest(self.content).as_slice()) {
            return Err(Refused::DigestMismatch);
        }
        // RFC 3161 2.4.1: without it the same key in another certificate could be taken for the unit's.
        if named {
            Ok(())
        } else {
            Err(Refused::Attribute("signingCertificate"))
        }
    }
}

/// The first `ESSCertIDv2` is this certificate's.
fn names_v2(values: &mut Reader<'_>, unit: &Certificate) -> Result<bool, Refused> {
    let mut ids = first_id(values)?;
    let hash = match ids.peek() {
        Some(tag::SEQUENCE) => Hash::read(&mut ids)?,
        _ => Hash::Sha256,
    };
    Ok(ids.expect(tag::OCTET_STRING)?.value == hash.digest(&unit.der))
}

/// The first `ESSCertID` (SHA-1) is this certificate's; old units still write it.
fn names_v1(values: &mut Reader<'_>, unit: &Certificate) -> Result<bool, Refused> {
    let mut ids = first_id(values)?;
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &unit.der);
    Ok(ids.expect(tag::OCTET_STRING)?.value == digest.as_ref())
}

fn first_id<'a>(values: &mut Reader<'a>) -> Result<Reader<'a>, Refused> {
    let mut outer = values.sequence("signing certificate")?;
    let mut list = outer.sequence("signing certificate")?;
    list.sequence("signing certificate")
}

fn read_certificates(body: &mut Reader<'_>) -> Result<Vec<Certificate>, Refused> {
    let mut all = Vec::new();
    if let Some(set) = body.optional(tag::context(0))? {
        let mut list = Reader::new(set.value, "time stamp certificates");
        while !list.is_empty() {
            if all.len() == MAX_CERTIFICATES {
                return Err(Refused::TooLarge {
                    at: "time stamp certificates",
                });
            }
            all.push(Certificate::parse(list.expect(tag::SEQUENCE)?.raw)?);
        }
    }
    Ok(all)
}
