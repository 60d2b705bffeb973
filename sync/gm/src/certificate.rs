//! X.509 certificates of the hospital's own authority: read strictly, and built.

use time::OffsetDateTime;

use crate::der::{self, Reader, tag};
use crate::key::{Algorithm, Signer};
use crate::{PublicKey, Refused, oid};

/// Larger certificates are not read.
pub const MAX_CERTIFICATE: usize = 16 * 1024;

/// The parts of a distinguished name that are used here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Country.
    pub country: String,
    /// Organisation: the hospital.
    pub organization: String,
    /// Organisational unit: the role.
    pub unit: String,
    /// Name of the person or the authority.
    pub common_name: String,
    /// Identifier of the person within the hospital.
    pub serial_number: String,
}

impl Identity {
    fn to_der(&self) -> Vec<u8> {
        let text = |id: &[u8], tag: u8, value: &str| -> Option<Vec<u8>> {
            (!value.is_empty()).then(|| {
                let pair = der::sequence(&[&der::oid(id), &der::element(tag, value.as_bytes())]);
                der::element(tag::SET, &pair)
            })
        };
        let parts: Vec<Vec<u8>> = [
            text(oid::COUNTRY, tag::PRINTABLE, &self.country),
            text(oid::ORGANIZATION, tag::UTF8, &self.organization),
            text(oid::ORGANIZATIONAL_UNIT, tag::UTF8, &self.unit),
            text(oid::COMMON_NAME, tag::UTF8, &self.common_name),
            text(oid::SERIAL_NUMBER, tag::UTF8, &self.serial_number),
        ]
        .into_iter()
        .flatten()
        .collect();
        der::element(tag::SEQUENCE, &parts.concat())
    }

    fn read(value: &[u8]) -> Result<Self, Refused> {
        let mut name = Self::default();
        let mut reader = Reader::new(value, "name");
        while !reader.is_empty() {
            let mut set = reader.inside(tag::SET, "name")?;
            while !set.is_empty() {
                let mut pair = set.sequence("name")?;
                let id = pair.oid()?;
                let text = pair.any()?;
                pair.finish()?;
                let Ok(text) = std::str::from_utf8(text.value) else {
                    continue; // BMPString and T61String of other authorities: not shown
                };
                let field = match id {
                    oid::COUNTRY => &mut name.country,
                    oid::ORGANIZATION => &mut name.organization,
                    oid::ORGANIZATIONAL_UNIT => &mut name.unit,
                    oid::COMMON_NAME => &mut name.common_name,
                    oid::SERIAL_NUMBER => &mut name.serial_number,
                    _ => continue,
                };
                text.clone_into(field);
            }
        }
        Ok(name)
    }
}

/// What a certificate's key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Issues certificates; below it at most this many authorities.
    Authority {
        /// `pathLenConstraint`.
        path_length: u8,
    },
    /// Signs documents.
    Documents,
}

/// What to put into a new certificate.
#[derive(Debug)]
pub struct Draft<'a> {
    /// Serial number: random, 16 bytes.
    pub serial: [u8; 16],
    /// Who it is for.
    pub subject: &'a Identity,
    /// Its public key.
    pub public_key: &'a PublicKey,
    /// What it is for.
    pub purpose: Purpose,
    /// Start of validity.
    pub not_before: OffsetDateTime,
    /// End of validity.
    pub not_after: OffsetDateTime,
}

impl Draft<'_> {
    /// Issues it under `issuer`, or by itself when `issuer` is `None` and `key` is the subject's own.
    pub fn issue(&self, issuer: Option<&Certificate>, key: &dyn Signer) -> Result<Certificate, Refused> {
        let algorithm = key.algorithm().to_der();
        let mut serial = self.serial;
        if let Some(first) = serial.first_mut() {
            *first = (*first & 0x7f) | 0x40; // positive and always 16 bytes
        }
        let subject = self.subject.to_der();
        let issuer_name = issuer.map_or_else(|| subject.clone(), |c| c.subject_der.clone());
        let tbs = der::sequence(&[
            &der::constructed(tag::context(0), &[&der::unsigned(&[2])]),
            &der::unsigned(&serial),
            &algorithm,
            &issuer_name,
            &der::sequence(&[&der::time(self.not_before), &der::time(self.not_after)]),
            &subject,
            &self.public_key.to_spki(),
            &der::constructed(tag::context(3), &[&self.extensions(key.public_key())]),
        ]);
        let signature = key.sign(&tbs)?;
        Certificate::parse(&der::sequence(&[&tbs, &algorithm, &der::bits(&signature)]))
    }

    fn extensions(&self, issuer_key: &PublicKey) -> Vec<u8> {
        let critical = der::element(tag::BOOLEAN, &[0xff]);
        let (constraints, usage) = match self.purpose {
            Purpose::Authority { path_length } => (
                der::sequence(&[&critical, &der::unsigned(&[path_length])]),
                // keyCertSign, cRLSign
                der::element(tag::BIT_STRING, &[1, 0b0000_0110]),
            ),
            // digitalSignature, nonRepudiation
            Purpose::Documents => (der::sequence(&[]), der::element(tag::BIT_STRING, &[6, 0b1100_0000])),
        };
        let authority = der::sequence(&[&der::element(tag::context_primitive(0), &issuer_key.key_id())]);
        let extension = |id: &[u8], is_critical: bool, value: &[u8]| {
            let flag: &[u8] = if is_critical { &critical } else { &[] };
            der::sequence(&[&der::oid(id), flag, &der::octets(value)])
        };
        der::sequence(&[
            &extension(oid::BASIC_CONSTRAINTS, true, &constraints),
            &extension(oid::KEY_USAGE, true, &usage),
            &extension(oid::SUBJECT_KEY_ID, false, &der::octets(&self.public_key.key_id())),
            &extension(oid::AUTHORITY_KEY_ID, false, &authority),
        ])
    }
}

/// A certificate that has been read. Reading proves nothing: see [`crate::Trust`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The whole certificate.
    pub der: Vec<u8>,
    /// Serial number, without leading zero.
    pub serial: Vec<u8>,
    /// Issuer's name as it stands.
    pub issuer_der: Vec<u8>,
    /// Subject's name as it stands.
    pub subject_der: Vec<u8>,
    /// Subject.
    pub subject: Identity,
    /// Issuer.
    pub issuer: Identity,
    /// Start of validity.
    pub not_before: OffsetDateTime,
    /// End of validity.
    pub not_after: OffsetDateTime,
    /// Its key.
    pub public_key: PublicKey,
    /// Whether it is an authority, and its path length.
    pub authority: Option<Option<u8>>,
    key_usage: Option<u8>,
    subject_key_id: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
    tbs: Vec<u8>,
    algorithm: Algorithm,
    signature: Vec<u8>,
}

impl Certificate {
    /// Reads one certificate.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() > MAX_CERTIFICATE {
            return Err(Refused::TooLarge { at: "certificate" });
        }
        let mut reader = Reader::new(bytes, "certificate");
        let mut whole = reader.sequence("certificate")?;
        reader.finish()?;
        let tbs = whole.expect(tag::SEQUENCE)?;
        let outer = whole.clone().expect(tag::SEQUENCE)?;
        let algorithm = Algorithm::read(&mut whole)?;
        let signature = whole.bits()?.to_vec();
        whole.finish()?;

        let mut body = Reader::new(tbs.value, "certificate body");
        let mut version = body.inside(tag::context(0), "certificate version")?;
        if version.small()? != 2 {
            return Err(Refused::Malformed {
                at: "certificate version",
            });
        }
        let serial = body.unsigned()?.to_vec();
        if serial.len() > 20 {
            return Err(Refused::Malformed { at: "serial number" });
        }
        if body.expect(tag::SEQUENCE)?.raw != outer.raw {
            return Err(Refused::Malformed {
                at: "certificate algorithms",
            });
        }
        let issuer = body.expect(tag::SEQUENCE)?;
        let mut validity = body.sequence("validity")?;
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        validity.finish()?;
        let subject = body.expect(tag::SEQUENCE)?;
        let public_key = PublicKey::read_spki(&mut body)?;
        let mut certificate = Self {
            der: bytes.to_vec(),
            serial,
            issuer_der: issuer.raw.to_vec(),
            subject_der: subject.raw.to_vec(),
            subject: Identity::read(subject.value)?,
            issuer: Identity::read(issuer.value)?,
            not_before,
            not_after,
            public_key,
            authority: None,
            key_usage: None,
            subject_key_id: None,
            authority_key_id: None,
            tbs: tbs.raw.to_vec(),
            algorithm,
            signature,
        };
        if let Some(extensions) = body.optional(tag::context(3))? {
            certificate.read_extensions(extensions.value)?;
        }
        body.finish()?;
        Ok(certificate)
    }

    fn read_extensions(&mut self, value: &[u8]) -> Result<(), Refused> {
        let mut outer = Reader::new(value, "extensions");
        let mut list = outer.sequence("extensions")?;
        outer.finish()?;
        let mut seen: Vec<&[u8]> = Vec::new();
        while !list.is_empty() {
            let mut extension = list.sequence("extension")?;
            let id = extension.oid()?;
            let critical = match extension.optional(tag::BOOLEAN)? {
                None => false,
                Some(flag) => match flag.value {
                    [0xff] => true,
                    [0x00] => false,
                    _ => return Err(Refused::Malformed { at: "extension" }),
                },
            };
            let value = extension.expect(tag::OCTET_STRING)?.value;
            extension.finish()?;
            if seen.contains(&id) {
                return Err(Refused::Malformed {
                    at: "repeated extension",
                });
            }
            seen.push(id);
            let mut inner = Reader::new(value, "extension value");
            match id {
                oid::BASIC_CONSTRAINTS => self.authority = read_constraints(&mut inner)?,
                oid::KEY_USAGE => match inner.expect(tag::BIT_STRING)?.value {
                    [unused, first, ..] if *unused < 8 => self.key_usage = Some(*first),
                    _ => return Err(Refused::Malformed { at: "key usage" }),
                },
                oid::SUBJECT_KEY_ID => {
                    self.subject_key_id = Some(inner.expect(tag::OCTET_STRING)?.value.to_vec());
                }
                oid::AUTHORITY_KEY_ID => {
                    let mut parts = inner.sequence("authority key id")?;
                    self.authority_key_id = parts.optional(tag::context_primitive(0))?.map(|e| e.value.to_vec());
                }
                _ if critical => return Err(Refused::UnknownCritical(oid::dotted(id))),
                _ => {}
            }
        }
        Ok(())
    }

    /// Serial number in hexadecimal.
    #[must_use]
    pub fn serial_hex(&self) -> String {
        self.serial.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Its signature verifies under the issuer's key and the names and key ids match.
    pub fn is_issued_by(&self, issuer: &Self) -> Result<(), Refused> {
        let ids_agree = match (&self.authority_key_id, &issuer.subject_key_id) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        if self.issuer_der != issuer.subject_der || !ids_agree || issuer.public_key.fits(self.algorithm).is_err() {
            return Err(Refused::Untrusted);
        }
        issuer
            .public_key
            .verify(self.algorithm, &self.tbs, &self.signature)
            .map_err(|_| Refused::CertificateSignature {
                serial: self.serial_hex(),
            })
    }

    /// Valid at this moment.
    pub fn is_valid_at(&self, at: OffsetDateTime) -> Result<(), Refused> {
        if at < self.not_before {
            Err(Refused::NotYetValid {
                serial: self.serial_hex(),
            })
        } else if at > self.not_after {
            Err(Refused::Expired {
                serial: self.serial_hex(),
            })
        } else {
            Ok(())
        }
    }

    /// May sign documents: an end entity with digitalSignature or nonRepudiation.
    pub fn may_sign_documents(&self) -> Result<(), Refused> {
        match (self.authority, self.key_usage) {
            (None, Some(usage)) if usage & 0b1100_0000 != 0 => Ok(()),
            _ => Err(Refused::WrongUsage),
        }
    }

    /// May issue with this many authorities below it.
    pub fn may_issue(&self, below: usize) -> Result<(), Refused> {
        let fits = match self.authority {
            Some(Some(limit)) => below <= usize::from(limit),
            Some(None) => true,
            None => false,
        };
        if fits && self.key_usage.is_some_and(|usage| usage & 0b0000_0100 != 0) {
            Ok(())
        } else {
            Err(Refused::NotAnAuthority {
                serial: self.serial_hex(),
            })
        }
    }
}

fn read_constraints(reader: &mut Reader<'_>) -> Result<Option<Option<u8>>, Refused> {
    let mut inner = reader.sequence("basic constraints")?;
    let authority = match inner.optional(tag::BOOLEAN)? {
        Some(flag) => flag.value == [0xff],
        None => false,
    };
    let limit = if inner.is_empty() { None } else { Some(inner.small()?) };
    inner.finish()?;
    Ok(authority.then_some(limit))
}
