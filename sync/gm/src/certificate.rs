//! X.509 certificates (RFC 5280, GB/T 20518), read strictly. New ones: [`Draft`].

use time::OffsetDateTime;

use crate::der::{Reader, tag};
pub use crate::draft::{AlternativeName, Draft, Extras, Purpose, usage};
pub use crate::info::Info;
use crate::key::{Algorithm, Hash};
pub use crate::name::{Identity, text as name_text};
use crate::{PublicKey, Refused, draft, oid};

/// Larger certificates are not read.
pub const MAX_CERTIFICATE: usize = 16 * 1024;

/// What a certificate was signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedWith {
    /// An algorithm that is verified here.
    Known(Algorithm),
    /// Another: SHA-1, or unknown. The certificate can be shown, and trusted as a root, whose own signature proves nothing;
    /// that it is issued by somebody is refused by this name.
    Other(String),
}

impl SignedWith {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        match Algorithm::read(reader) {
            Ok(algorithm) => Ok(Self::Known(algorithm)),
            Err(Refused::UnknownSignature(name) | Refused::UnknownDigest(name)) => Ok(Self::Other(name)),
            Err(reason) => Err(reason),
        }
    }

    /// Its name, or its identifier where it is not known here.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Known(algorithm) => algorithm.name(),
            Self::Other(name) => name,
        }
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
    /// Its version: 1 or 3. One of version 1 says nothing about its use and is never an authority.
    pub version: u8,
    /// Key usage (see [`usage`]), when it says so.
    pub key_usage: Option<u16>,
    /// Extended key usages, as the content of their identifiers, when it is limited to some.
    pub extended_usages: Option<Vec<Vec<u8>>>,
    /// Other names of its holder.
    pub alternative_names: Vec<AlternativeName>,
    /// Its own key id.
    pub subject_key_id: Option<Vec<u8>>,
    /// Its issuer's key id.
    pub authority_key_id: Option<Vec<u8>>,
    tbs: Vec<u8>,
    algorithm: SignedWith,
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
        let mut algorithm = whole.clone();
        let outer = whole.expect(tag::SEQUENCE)?;
        let algorithm = SignedWith::read(&mut algorithm)?;
        let signature = whole.bits()?.to_vec();
        whole.finish()?;

        let mut body = Reader::new(tbs.value, "certificate body");
        let version = read_version(&mut body)?;
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
            version,
            key_usage: None,
            extended_usages: None,
            alternative_names: Vec::new(),
            subject_key_id: None,
            authority_key_id: None,
            tbs: tbs.raw.to_vec(),
            algorithm,
            signature,
        };
        if version == 3 {
            // Unique identifiers: nobody uses them, RFC 5280 4.1.2.8 still has them.
            body.optional(tag::context_primitive(1))?;
            body.optional(tag::context_primitive(2))?;
            if let Some(extensions) = body.optional(tag::context(3))? {
                certificate.read_extensions(extensions.value)?;
            }
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
                    [unused, first] if *unused < 8 => self.key_usage = Some(u16::from_be_bytes([*first, 0])),
                    [unused, first, second] if *unused < 8 => {
                        self.key_usage = Some(u16::from_be_bytes([*first, *second]));
                    }
                    _ => return Err(Refused::Malformed { at: "key usage" }),
                },
                oid::EXTENDED_KEY_USAGE => self.extended_usages = Some(read_usages(&mut inner)?),
                oid::ALTERNATIVE_NAME => self.alternative_names = draft::read_names(&mut inner)?,
                // Every policy is acceptable here; what would limit them (policyConstraints) is refused when critical.
                oid::POLICIES | oid::CRL_POINTS => {}
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
        if self.issuer_der != issuer.subject_der || !ids_agree {
            return Err(Refused::Untrusted);
        }
        let algorithm = match &self.algorithm {
            SignedWith::Known(algorithm) => *algorithm,
            SignedWith::Other(name) => return Err(Refused::UnknownSignature(name.clone())),
        };
        if issuer.public_key.fits(algorithm).is_err() {
            return Err(Refused::Untrusted);
        }
        issuer
            .public_key
            .verify(algorithm, &self.tbs, &self.signature)
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

    /// May sign documents: an end entity with digitalSignature or nonRepudiation, not limited to serving TLS, stamping
    /// times, signing programs or answering for the state of certificates.
    pub fn may_sign_documents(&self) -> Result<(), Refused> {
        let other_duties = [
            oid::SERVER_AUTH,
            oid::CODE_SIGNING,
            oid::TIME_STAMPING,
            oid::OCSP_SIGNING,
        ];
        let limited = self
            .extended_usages
            .as_ref()
            .is_some_and(|all| all.iter().all(|id| other_duties.contains(&id.as_slice())));
        if self.authority.is_none() && !limited && self.has_usage(usage::DIGITAL_SIGNATURE | usage::NON_REPUDIATION) {
            Ok(())
        } else {
            Err(Refused::WrongUsage)
        }
    }

    /// Says one of these key usages.
    #[must_use]
    pub fn has_usage(&self, any_of: u16) -> bool {
        self.key_usage.is_some_and(|usage| usage & any_of != 0)
    }

    /// Names this extended usage (content of its identifier), rather than leaving it open.
    #[must_use]
    pub fn has_extended_usage(&self, id: &[u8]) -> bool {
        self.extended_usages
            .as_ref()
            .is_some_and(|all| all.iter().any(|one| one == id))
    }

    /// Issued to its own issuer: a root, when its own key verifies it.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.issuer_der == self.subject_der
    }

    /// Digest of the whole certificate: SM3 and SHA-256 are usual.
    #[must_use]
    pub fn fingerprint(&self, hash: Hash) -> String {
        hash.digest(&self.der).iter().map(|b| format!("{b:02x}")).collect()
    }

    /// What its issuer signed with.
    #[must_use]
    pub fn algorithm(&self) -> &SignedWith {
        &self.algorithm
    }

    /// May issue with this many authorities below it.
    pub fn may_issue(&self, below: usize) -> Result<(), Refused> {
        let fits = match self.authority {
            Some(Some(limit)) => below <= usize::from(limit),
            Some(None) => true,
            None => false,
        };
        if fits && self.has_usage(usage::CERTIFICATE_SIGN) {
            Ok(())
        } else {
            Err(Refused::NotAnAuthority {
                serial: self.serial_hex(),
            })
        }
    }
}

/// 3, or 1 when nothing is said; version 2 nobody issued.
fn read_version(body: &mut Reader<'_>) -> Result<u8, Refused> {
    let Some(version) = body.optional(tag::context(0))? else {
        return Ok(1);
    };
    let mut version = Reader::new(version.value, "certificate version");
    let number = version.small()?;
    version.finish()?;
    if number == 2 {
        Ok(3)
    } else {
        Err(Refused::Malformed {
            at: "certificate version",
        })
    }
}

fn read_usages(inner: &mut Reader<'_>) -> Result<Vec<Vec<u8>>, Refused> {
    let mut list = inner.sequence("extended key usage")?;
    inner.finish()?;
    let mut all = Vec::new();
    while !list.is_empty() {
        all.push(list.oid()?.to_vec());
    }
    Ok(all)
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
