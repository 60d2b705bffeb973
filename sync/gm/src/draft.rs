//! New certificates of the hospital's own authorities (RFC 5280, GB/T 20518).

use std::net::IpAddr;

use time::OffsetDateTime;

use crate::der::{self, Reader, tag};
use crate::key::Signer;
use crate::{Certificate, Identity, PublicKey, Refused, oid};

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
    /// A server's key in TLS; its names go into [`Extras::names`].
    TlsServer,
    /// A client's key in TLS.
    TlsClient,
    /// Signs time stamps (RFC 3161) and nothing else.
    TimeStamping,
    /// Signs answers about the state of certificates (RFC 6960); its own state is not asked.
    OcspSigning,
    /// Takes part in encryption: the second certificate of a signer (GB/T 35276 双证书).
    Encryption,
}

/// Bits of key usage, the first being the highest of the first byte (RFC 5280 4.2.1.3).
pub mod usage {
    #![expect(missing_docs, reason = "the names are those of the standard")]
    pub const DIGITAL_SIGNATURE: u16 = 0x8000;
    pub const NON_REPUDIATION: u16 = 0x4000;
    pub const KEY_ENCIPHERMENT: u16 = 0x2000;
    pub const DATA_ENCIPHERMENT: u16 = 0x1000;
    pub const KEY_AGREEMENT: u16 = 0x0800;
    pub const CERTIFICATE_SIGN: u16 = 0x0400;
    pub const CRL_SIGN: u16 = 0x0200;
    pub const ENCIPHER_ONLY: u16 = 0x0100;
    pub const DECIPHER_ONLY: u16 = 0x0080;
}

impl Purpose {
    fn key_usage(self) -> u16 {
        match self {
            Self::Authority { .. } => usage::CERTIFICATE_SIGN | usage::CRL_SIGN,
            Self::Documents | Self::TimeStamping => usage::DIGITAL_SIGNATURE | usage::NON_REPUDIATION,
            Self::TlsServer | Self::TlsClient | Self::OcspSigning => usage::DIGITAL_SIGNATURE,
            Self::Encryption => usage::KEY_ENCIPHERMENT | usage::DATA_ENCIPHERMENT | usage::KEY_AGREEMENT,
        }
    }

    fn extended(self) -> Option<&'static [u8]> {
        match self {
            Self::Authority { .. } | Self::Documents | Self::Encryption => None,
            Self::TlsServer => Some(oid::SERVER_AUTH),
            Self::TlsClient => Some(oid::CLIENT_AUTH),
            Self::TimeStamping => Some(oid::TIME_STAMPING),
            Self::OcspSigning => Some(oid::OCSP_SIGNING),
        }
    }
}

/// Another name of a certificate's holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlternativeName {
    /// A host's name.
    Dns(String),
    /// An address.
    Ip(IpAddr),
    /// A mailbox.
    Email(String),
    /// A URI.
    Uri(String),
}

impl AlternativeName {
    pub(crate) fn to_der(&self) -> Vec<u8> {
        let (n, bytes) = match self {
            Self::Email(text) => (1, text.as_bytes().to_vec()),
            Self::Dns(text) => (2, text.as_bytes().to_vec()),
            Self::Uri(text) => (6, text.as_bytes().to_vec()),
            Self::Ip(IpAddr::V4(at)) => (7, at.octets().to_vec()),
            Self::Ip(IpAddr::V6(at)) => (7, at.octets().to_vec()),
        };
        der::element(tag::context_primitive(n), &bytes)
    }

    /// From a `GeneralName`; `None` for the kinds not listed here.
    pub(crate) fn read(tag: u8, value: &[u8]) -> Result<Option<Self>, Refused> {
        let bad = || Refused::Malformed { at: "alternative name" };
        let text = || {
            let text = std::str::from_utf8(value).ok().filter(|text| text.is_ascii());
            text.map(str::to_owned).ok_or_else(bad)
        };
        Ok(Some(match tag {
            0x81 => Self::Email(text()?),
            0x82 => Self::Dns(text()?),
            0x86 => Self::Uri(text()?),
            0x87 => Self::Ip(match value.len() {
                4 => <[u8; 4]>::try_from(value).map_err(|_| bad())?.into(),
                16 => <[u8; 16]>::try_from(value).map_err(|_| bad())?.into(),
                _ => return Err(bad()),
            }),
            _ => return Ok(None),
        }))
    }
}

/// Reads `GeneralNames`; kinds not listed in [`AlternativeName`] are left out.
pub(crate) fn read_names(inner: &mut Reader<'_>) -> Result<Vec<AlternativeName>, Refused> {
    let mut list = inner.sequence("alternative names")?;
    inner.finish()?;
    let mut all = Vec::new();
    while !list.is_empty() {
        let name = list.any()?;
        all.extend(AlternativeName::read(name.tag, name.value)?);
    }
    Ok(all)
}

/// What a certificate may say beyond its purpose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// Other names: a TLS server needs one.
    pub names: Vec<AlternativeName>,
    /// Where the issuer's CRL is fetched.
    pub crls: Vec<String>,
    /// Where the issuer's OCSP responder answers.
    pub responders: Vec<String>,
    /// Where the issuer's certificate is fetched.
    pub issuers: Vec<String>,
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
        self.issue_with(issuer, key, &Extras::default())
    }

    /// Issues it with names and addresses.
    pub fn issue_with(
        &self,
        issuer: Option<&Certificate>,
        key: &dyn Signer,
        extras: &Extras,
    ) -> Result<Certificate, Refused> {
        let algorithm = key.algorithm().to_der();
        let mut serial = self.serial;
        if let Some(first) = serial.first_mut() {
            *first = (*first & 0x7f) | 0x40; // positive and always 16 bytes
        }
        let subject = self.subject.to_der();
        let issuer_name = issuer.map_or_else(|| subject.clone(), |c| c.subject_der.clone());
        // An authority that came from elsewhere has its own way to make key ids.
        let issuer_id = issuer
            .and_then(|c| c.subject_key_id.clone())
            .unwrap_or_else(|| key.public_key().key_id());
        let tbs = der::sequence(&[
            &der::constructed(tag::context(0), &[&der::unsigned(&[2])]),
            &der::unsigned(&serial),
            &algorithm,
            &issuer_name,
            &der::sequence(&[&der::time(self.not_before), &der::time(self.not_after)]),
            &subject,
            &self.public_key.to_spki(),
            &der::constructed(tag::context(3), &[&self.extensions(&issuer_id, extras)]),
        ]);
        let signature = key.sign(&tbs)?;
        Certificate::parse(&der::sequence(&[&tbs, &algorithm, &der::bits(&signature)]))
    }

    fn extensions(&self, issuer_id: &[u8], extras: &Extras) -> Vec<u8> {
        let mut list = requested(self.purpose, extras);
        let authority = der::sequence(&[&der::element(tag::context_primitive(0), issuer_id)]);
        list.push(extension(
            oid::SUBJECT_KEY_ID,
            false,
            &der::octets(&self.public_key.key_id()),
        ));
        list.push(extension(oid::AUTHORITY_KEY_ID, false, &authority));
        if self.purpose == Purpose::OcspSigning {
            list.push(extension(oid::OCSP_NO_CHECK, false, der::NULL));
        }
        if !extras.crls.is_empty() {
            list.push(extension(oid::CRL_POINTS, false, &points(&extras.crls)));
        }
        if !extras.responders.is_empty() || !extras.issuers.is_empty() {
            list.push(extension(oid::INFORMATION_ACCESS, false, &access(extras)));
        }
        der::element(tag::SEQUENCE, &list.concat())
    }
}

/// The extensions that a certificate and a request for it have in common.
pub(crate) fn requested(purpose: Purpose, extras: &Extras) -> Vec<Vec<u8>> {
    let constraints = match purpose {
        Purpose::Authority { path_length } => {
            der::sequence(&[&der::element(tag::BOOLEAN, &[0xff]), &der::unsigned(&[path_length])])
        }
        _ => der::sequence(&[]),
    };
    let mut list = vec![
        extension(oid::BASIC_CONSTRAINTS, true, &constraints),
        extension(oid::KEY_USAGE, true, &usage_bits(purpose.key_usage())),
    ];
    if let Some(id) = purpose.extended() {
        // RFC 3161 2.3 wants it critical.
        let critical = purpose == Purpose::TimeStamping;
        list.push(extension(
            oid::EXTENDED_KEY_USAGE,
            critical,
            &der::sequence(&[&der::oid(id)]),
        ));
    }
    if !extras.names.is_empty() {
        let names: Vec<u8> = extras.names.iter().flat_map(AlternativeName::to_der).collect();
        list.push(extension(
            oid::ALTERNATIVE_NAME,
            false,
            &der::element(tag::SEQUENCE, &names),
        ));
    }
    list
}

pub(crate) fn extension(id: &[u8], is_critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = der::element(tag::BOOLEAN, &[0xff]);
    let flag: &[u8] = if is_critical { &critical } else { &[] };
    der::sequence(&[&der::oid(id), flag, &der::octets(value)])
}

/// A named bit list without its trailing zeros (X.690 11.2.2).
fn usage_bits(bits: u16) -> Vec<u8> {
    let [first, second] = bits.to_be_bytes();
    if second == 0 {
        der::element(tag::BIT_STRING, &[first.trailing_zeros() as u8 & 7, first])
    } else {
        der::element(tag::BIT_STRING, &[second.trailing_zeros() as u8 & 7, first, second])
    }
}

fn points(addresses: &[String]) -> Vec<u8> {
    let points: Vec<u8> = addresses
        .iter()
        .flat_map(|address| {
            let name = AlternativeName::Uri(address.clone()).to_der();
            let full = der::constructed(tag::context(0), &[&name]);
            der::sequence(&[&der::constructed(tag::context(0), &[&full])])
        })
        .collect();
    der::element(tag::SEQUENCE, &points)
}

fn access(extras: &Extras) -> Vec<u8> {
    let described = |method: &'static [u8], addresses: &[String]| -> Vec<u8> {
        addresses
            .iter()
            .flat_map(|address| der::sequence(&[&der::oid(method), &AlternativeName::Uri(address.clone()).to_der()]))
            .collect()
    };
    der::sequence(&[
        &described(oid::ACCESS_OCSP, &extras.responders),
        &described(oid::ACCESS_ISSUERS, &extras.issuers),
    ])
}
