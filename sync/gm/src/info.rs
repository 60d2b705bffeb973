//! What a certificate says, as text, under the identifiers of GM/T 0006 (证书解析项) that GB/T 38629 `parseCert` and the
//! `SOF_GetCertInfo` of GM/T 0020 ask with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::{OffsetDateTime, UtcOffset};

use crate::certificate::{name_text, usage};
use crate::der::{Reader, tag};
use crate::{Certificate, Particulars, Refused, extension, name, oid};

/// An item of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[expect(missing_docs, reason = "the names are those of the standard")]
pub enum Info {
    Version = 0x01,
    Serial = 0x02,
    Issuer = 0x05,
    Validity = 0x06,
    Subject = 0x07,
    PublicKey = 0x08,
    Extensions = 0x09,
    AuthorityKeyId = 0x11,
    SubjectKeyId = 0x12,
    KeyUsage = 0x13,
    PrivateKeyUsagePeriod = 0x14,
    Policies = 0x15,
    PolicyMappings = 0x16,
    BasicConstraints = 0x17,
    PolicyConstraints = 0x18,
    ExtendedKeyUsage = 0x19,
    CrlPoints = 0x1a,
    NetscapeType = 0x1b,
    OwnExtensions = 0x1c,
    IssuerCommonName = 0x21,
    IssuerOrganization = 0x22,
    IssuerUnit = 0x23,
    SubjectCommonName = 0x31,
    SubjectOrganization = 0x32,
    SubjectUnit = 0x33,
    SubjectEmail = 0x34,
    NotBefore = 0x35,
    NotAfter = 0x36,
}

impl Info {
    /// Every item.
    pub const ALL: [Self; 28] = [
        Self::Version,
        Self::Serial,
        Self::Issuer,
        Self::Validity,
        Self::Subject,
        Self::PublicKey,
        Self::Extensions,
        Self::AuthorityKeyId,
        Self::SubjectKeyId,
        Self::KeyUsage,
        Self::PrivateKeyUsagePeriod,
        Self::Policies,
        Self::PolicyMappings,
        Self::BasicConstraints,
        Self::PolicyConstraints,
        Self::ExtendedKeyUsage,
        Self::CrlPoints,
        Self::NetscapeType,
        Self::OwnExtensions,
        Self::IssuerCommonName,
        Self::IssuerOrganization,
        Self::IssuerUnit,
        Self::SubjectCommonName,
        Self::SubjectOrganization,
        Self::SubjectUnit,
        Self::SubjectEmail,
        Self::NotBefore,
        Self::NotAfter,
    ];

    /// The item with this number (`SGD_CERT_…`, `SGD_EXT_…`).
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|item| *item as u32 == code)
    }
}

const USAGES: [(u16, &str); 9] = [
    (usage::DIGITAL_SIGNATURE, "digitalSignature"),
    (usage::NON_REPUDIATION, "nonRepudiation"),
    (usage::KEY_ENCIPHERMENT, "keyEncipherment"),
    (usage::DATA_ENCIPHERMENT, "dataEncipherment"),
    (usage::KEY_AGREEMENT, "keyAgreement"),
    (usage::CERTIFICATE_SIGN, "keyCertSign"),
    (usage::CRL_SIGN, "cRLSign"),
    (usage::ENCIPHER_ONLY, "encipherOnly"),
    (usage::DECIPHER_ONLY, "decipherOnly"),
];

const EXTENDED: [(&[u8], &str); 5] = [
    (oid::SERVER_AUTH, "serverAuth"),
    (oid::CLIENT_AUTH, "clientAuth"),
    (oid::CODE_SIGNING, "codeSigning"),
    (oid::TIME_STAMPING, "timeStamping"),
    (oid::OCSP_SIGNING, "OCSPSigning"),
];

/// Extensions of RFC 5280; the others are an authority's own.
const STANDARD_PREFIX: &[u8] = &[0x55, 0x1d];

impl Certificate {
    /// One item as text; `None` when the certificate does not say it. Times are `YYYYMMDDHHMMSSZ`, names RFC 4514, numbers
    /// and key ids hexadecimal, usages by name, what has no text of its own Base64 of its DER.
    pub fn info(&self, item: Info) -> Result<Option<String>, Refused> {
        Ok(match item {
            Info::Version => Some(self.version.to_string()),
            Info::Serial => Some(self.serial_hex()),
            Info::Issuer => Some(name_text(&self.issuer_der)?),
            Info::Subject => Some(name_text(&self.subject_der)?),
            Info::Validity => Some(format!("{}-{}", time(self.not_before), time(self.not_after))),
            Info::NotBefore => Some(time(self.not_before)),
            Info::NotAfter => Some(time(self.not_after)),
            Info::PublicKey => Some(STANDARD.encode(self.public_key.to_spki())),
            Info::Extensions => extensions_der(self)?.map(|der| STANDARD.encode(der)),
            Info::AuthorityKeyId => self.authority_key_id.as_deref().map(hexadecimal),
            Info::SubjectKeyId => self.subject_key_id.as_deref().map(hexadecimal),
            Info::KeyUsage => self.key_usage.map(usages),
            Info::ExtendedKeyUsage => self.extended_usages.as_ref().map(|all| {
                let names = all.iter().map(|id| extended(id));
                names.collect::<Vec<_>>().join(",")
            }),
            Info::BasicConstraints => self.constraints()?,
            Info::CrlPoints => {
                let addresses = Particulars::of(self)?.crls;
                (!addresses.is_empty()).then(|| addresses.join(","))
            }
            Info::PrivateKeyUsagePeriod => self.raw(&[0x55, 0x1d, 0x10])?,
            Info::Policies => self.policies()?,
            Info::PolicyMappings => self.raw(&[0x55, 0x1d, 0x21])?,
            Info::PolicyConstraints => self.raw(&[0x55, 0x1d, 0x24])?,
            Info::NetscapeType => self.raw(oid::NETSCAPE_TYPE)?,
            Info::OwnExtensions => self.own()?,
            Info::IssuerCommonName => name::attribute(&self.issuer_der, oid::COMMON_NAME),
            Info::IssuerOrganization => name::attribute(&self.issuer_der, oid::ORGANIZATION),
            Info::IssuerUnit => name::attribute(&self.issuer_der, oid::ORGANIZATIONAL_UNIT),
            Info::SubjectCommonName => name::attribute(&self.subject_der, oid::COMMON_NAME),
            Info::SubjectOrganization => name::attribute(&self.subject_der, oid::ORGANIZATION),
            Info::SubjectUnit => name::attribute(&self.subject_der, oid::ORGANIZATIONAL_UNIT),
            Info::SubjectEmail => self.email(),
        })
    }

    /// The value of the extension with this dotted identifier (`SOF_GetCertInfoByOid`): its text when it is one string,
    /// Base64 of its DER otherwise.
    pub fn info_by_oid(&self, dotted: &str) -> Result<Option<String>, Refused> {
        self.with_extensions(|all| {
            let found = all.iter().find(|one| oid::dotted(one.id) == dotted);
            found.map(|one| value_text(one.value))
        })
    }

    fn with_extensions<T>(
        &self,
        look: impl FnOnce(&[extension::Extension<'_>]) -> Option<T>,
    ) -> Result<Option<T>, Refused> {
        let Some(der) = extensions_der(self)? else {
            return Ok(None);
        };
        Ok(look(&extension::read(&mut Reader::new(der, "extensions"))?))
    }

    fn raw(&self, id: &[u8]) -> Result<Option<String>, Refused> {
        self.with_extensions(|all| {
            let found = all.iter().find(|one| one.id == id);
            found.map(|one| STANDARD.encode(one.value))
        })
    }

    /// Dotted identifiers of the authority's own extensions, with their values.
    fn own(&self) -> Result<Option<String>, Refused> {
        self.with_extensions(|all| {
            let own = all
                .iter()
                .filter(|one| !one.id.starts_with(STANDARD_PREFIX) && one.id != oid::INFORMATION_ACCESS);
            let lines: Vec<String> = own
                .map(|one| format!("{}={}", oid::dotted(one.id), value_text(one.value)))
                .collect();
            (!lines.is_empty()).then(|| lines.join("\n"))
        })
    }

    fn constraints(&self) -> Result<Option<String>, Refused> {
        let said = self.raw(oid::BASIC_CONSTRAINTS)?.is_some();
        Ok(match self.authority {
            Some(Some(limit)) => Some(format!("CA:TRUE,pathlen:{limit}")),
            Some(None) => Some("CA:TRUE".to_owned()),
            None => said.then(|| "CA:FALSE".to_owned()),
        })
    }

    fn policies(&self) -> Result<Option<String>, Refused> {
        let found = self.with_extensions(|all| {
            let found = all.iter().find(|one| one.id == oid::POLICIES)?;
            Some(read_policies(found.value))
        })?;
        found.transpose()
    }

    fn email(&self) -> Option<String> {
        name::attribute(&self.subject_der, oid::EMAIL).or_else(|| {
            self.alternative_names.iter().find_map(|one| match one {
                crate::certificate::AlternativeName::Email(address) => Some(address.clone()),
                _ => None,
            })
        })
    }
}

fn read_policies(value: &[u8]) -> Result<String, Refused> {
    let mut list = Reader::new(value, "certificate policies").sequence("certificate policies")?;
    let mut all = Vec::new();
    while !list.is_empty() {
        all.push(oid::dotted(list.sequence("certificate policy")?.oid()?));
    }
    Ok(all.join(","))
}

/// The `SEQUENCE OF Extension` of a certificate.
fn extensions_der(certificate: &Certificate) -> Result<Option<&[u8]>, Refused> {
    let mut whole = Reader::new(&certificate.der, "certificate").sequence("certificate")?;
    let mut body = whole.sequence("certificate body")?;
    body.optional(tag::context(0))?;
    while !body.is_empty() {
        let element = body.any()?;
        if element.tag == tag::context(3) {
            return Ok(Some(element.value));
        }
    }
    Ok(None)
}

fn value_text(value: &[u8]) -> String {
    let mut reader = Reader::new(value, "extension value");
    let text = reader.any().ok().filter(|_| reader.is_empty());
    text.and_then(|one| name::string(one.tag, one.value))
        .filter(|text| !text.chars().any(char::is_control))
        .unwrap_or_else(|| STANDARD.encode(value))
}

fn usages(bits: u16) -> String {
    let names = USAGES.iter().filter(|(bit, _)| bits & bit != 0);
    names.map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}

fn extended(id: &[u8]) -> String {
    let known = EXTENDED.iter().find(|(known, _)| *known == id);
    known.map_or_else(|| oid::dotted(id), |(_, name)| (*name).to_owned())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn time(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}
