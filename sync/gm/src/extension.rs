//! Extensions of certificates, CRLs and OCSP messages (RFC 5280 4.2), and what a certificate says in them beyond its path.

use crate::der::{self, Reader, tag};
use crate::{Certificate, Refused};

/// Object identifiers of extensions, usages and access methods.
pub(crate) mod id {
    pub(crate) use crate::oid::{AUTHORITY_KEY_ID, KEY_USAGE, SUBJECT_KEY_ID};

    // 2.5.29 = 55 1d
    pub(crate) const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14];
    pub(crate) const CRL_REASON: &[u8] = &[0x55, 0x1d, 0x15];
    pub(crate) const DELTA_CRL: &[u8] = &[0x55, 0x1d, 0x1b];
    pub(crate) const ISSUING_POINT: &[u8] = &[0x55, 0x1d, 0x1c];
    pub(crate) const CRL_POINTS: &[u8] = &[0x55, 0x1d, 0x1f];
    pub(crate) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
    pub(crate) const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
    pub(crate) const FRESHEST_CRL: &[u8] = &[0x55, 0x1d, 0x2e];
    // 1.3.6.1.5.5.7 = 2b 06 01 05 05 07
    pub(crate) const INFORMATION_ACCESS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01];
    pub(crate) const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
    pub(crate) const OCSP_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09];
    pub(crate) const ACCESS_OCSP: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01];
    pub(crate) const ACCESS_ISSUERS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02];
    pub(crate) const OCSP_BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
    pub(crate) const OCSP_NONCE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02];
    pub(crate) const OCSP_NO_CHECK: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x05];
}

/// ENUMERATED (X.690 8.4).
pub(crate) const ENUMERATED: u8 = 0x0a;

/// More of them are not read.
const MAX_EXTENSIONS: usize = 64;
/// More addresses are not kept.
const MAX_ADDRESSES: usize = 16;

/// One extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extension<'a> {
    pub(crate) id: &'a [u8],
    pub(crate) critical: bool,
    pub(crate) value: &'a [u8],
}

/// Reads a `SEQUENCE OF Extension`; a repeated one is refused.
pub(crate) fn read<'a>(outer: &mut Reader<'a>) -> Result<Vec<Extension<'a>>, Refused> {
    let mut list = outer.sequence("extensions")?;
    let mut all: Vec<Extension<'a>> = Vec::new();
    while !list.is_empty() {
        let one = read_one(&mut list)?;
        if all.len() == MAX_EXTENSIONS || all.iter().any(|seen| seen.id == one.id) {
            return Err(Refused::Malformed {
                at: "repeated extension",
            });
        }
        all.push(one);
    }
    Ok(all)
}

/// Reads one extension.
pub(crate) fn read_one<'a>(list: &mut Reader<'a>) -> Result<Extension<'a>, Refused> {
    let mut extension = list.sequence("extension")?;
    let id = extension.oid()?;
    let critical = flag(&mut extension, tag::BOOLEAN)?;
    let value = extension.expect(tag::OCTET_STRING)?.value;
    extension.finish()?;
    Ok(Extension { id, critical, value })
}

/// A BOOLEAN DEFAULT FALSE under this tag.
pub(crate) fn flag(reader: &mut Reader<'_>, under: u8) -> Result<bool, Refused> {
    match reader.optional(under)?.map(|e| e.value) {
        None | Some([0x00]) => Ok(false),
        Some([0xff]) => Ok(true),
        Some(_) => Err(Refused::Malformed { at: "boolean" }),
    }
}

/// One extension, written.
pub(crate) fn write(id: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let flag = der::element(tag::BOOLEAN, &[0xff]);
    let flag: &[u8] = if critical { &flag } else { &[] };
    der::sequence(&[&der::oid(id), flag, &der::octets(value)])
}

/// What a certificate says about its use and about where its state can be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Particulars {
    /// Key usage, first byte: digitalSignature is 0x80, keyCertSign 0x04, cRLSign 0x02.
    pub key_usage: Option<u8>,
    /// Extended key usages, as object identifier content; `None` when the certificate does not limit them.
    pub extended: Option<Vec<Vec<u8>>>,
    /// Whether the extended usages are critical.
    pub extended_critical: bool,
    /// Addresses of CRLs.
    pub crls: Vec<String>,
    /// Addresses of delta CRLs.
    pub delta_crls: Vec<String>,
    /// Addresses of OCSP responders.
    pub responders: Vec<String>,
    /// Addresses of the issuer's certificate.
    pub issuers: Vec<String>,
    /// A responder's certificate whose own state need not be asked (RFC 6960 4.2.2.2.1).
    pub no_check: bool,
    /// Subject key identifier.
    pub key_id: Option<Vec<u8>>,
}

impl Particulars {
    /// Reads them.
    pub fn of(certificate: &Certificate) -> Result<Self, Refused> {
        let mut found = Self::default();
        let mut body = body(certificate)?;
        while body.peek().is_some_and(|tag| tag != tag::context(3)) {
            body.any()?;
        }
        let Some(wrapped) = body.optional(tag::context(3))? else {
            return Ok(found);
        };
        let mut wrapped = Reader::new(wrapped.value, "extensions");
        for extension in read(&mut wrapped)? {
            let mut inner = Reader::new(extension.value, "extension value");
            match extension.id {
                id::KEY_USAGE => {
                    if let [_, first, ..] = inner.expect(tag::BIT_STRING)?.value {
                        found.key_usage = Some(*first);
                    }
                }
                id::EXTENDED_KEY_USAGE => {
                    let mut ids = inner.sequence("extended key usage")?;
                    let mut all = Vec::new();
                    while !ids.is_empty() {
                        all.push(ids.oid()?.to_vec());
                    }
                    found.extended = Some(all);
                    found.extended_critical = extension.critical;
                }
                id::CRL_POINTS => read_points(&mut inner, &mut found.crls)?,
                id::FRESHEST_CRL => read_points(&mut inner, &mut found.delta_crls)?,
                id::INFORMATION_ACCESS => found.read_access(&mut inner)?,
                id::OCSP_NO_CHECK => found.no_check = true,
                id::SUBJECT_KEY_ID => found.key_id = Some(inner.expect(tag::OCTET_STRING)?.value.to_vec()),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Addresses of a `CRLDistributionPoints`.
    pub(crate) fn addresses_of_points(inner: &mut Reader<'_>) -> Result<Vec<String>, Refused> {
        let mut found = Vec::new();
        read_points(inner, &mut found)?;
        Ok(found)
    }

    fn read_access(&mut self, inner: &mut Reader<'_>) -> Result<(), Refused> {
        let mut list = inner.sequence("information access")?;
        while !list.is_empty() {
            let mut one = list.sequence("information access")?;
            let method = one.oid()?;
            let place = one.any()?;
            let addresses = match method {
                id::ACCESS_OCSP => &mut self.responders,
                id::ACCESS_ISSUERS => &mut self.issuers,
                _ => continue,
            };
            push_address(addresses, place.tag, place.value);
        }
        Ok(())
    }

    /// Whether it may be used for this, being limited to it or not limited at all.
    #[must_use]
    pub fn allows(&self, usage: &[u8]) -> bool {
        self.extended
            .as_ref()
            .is_none_or(|all| all.iter().any(|id| id == usage || id == id::ANY_USAGE))
    }

    /// Whether it names this usage itself: what a responder and a time-stamp unit must do.
    #[must_use]
    pub fn names(&self, usage: &[u8]) -> bool {
        self.extended
            .as_ref()
            .is_some_and(|all| all.iter().any(|id| id == usage))
    }

    /// May sign CRLs.
    #[must_use]
    pub fn signs_crls(&self) -> bool {
        self.key_usage.is_none_or(|usage| usage & 0b0000_0010 != 0)
    }
}

/// The body of a certificate, behind its version.
fn body(certificate: &Certificate) -> Result<Reader<'_>, Refused> {
    let mut whole = Reader::new(&certificate.der, "certificate").sequence("certificate")?;
    let mut body = whole.sequence("certificate body")?;
    body.optional(tag::context(0))?;
    Ok(body)
}

/// The bits of the subject's public key, without their wrapping: what key hashes are over.
pub(crate) fn public_key_bits(certificate: &Certificate) -> Result<&[u8], Refused> {
    let mut body = body(certificate)?;
    for _ in 0..5 {
        body.any()?; // serial, algorithm, issuer, validity, subject
    }
    let mut spki = body.sequence("public key")?;
    spki.expect(tag::SEQUENCE)?;
    spki.bits()
}

/// Addresses of `CRLDistributionPoints`.
fn read_points(inner: &mut Reader<'_>, into: &mut Vec<String>) -> Result<(), Refused> {
    let mut list = inner.sequence("CRL distribution points")?;
    while !list.is_empty() {
        let mut point = list.sequence("CRL distribution point")?;
        if let Some(name) = point.optional(tag::context(0))? {
            into.extend(point_addresses(name.value)?);
        }
    }
    Ok(())
}

/// URIs of a `DistributionPointName`; directory names and relative names are not addresses.
pub(crate) fn point_addresses(name: &[u8]) -> Result<Vec<String>, Refused> {
    let mut found = Vec::new();
    if let Some(full) = Reader::new(name, "distribution point name").optional(tag::context(0))? {
        let mut names = Reader::new(full.value, "distribution point name");
        while !names.is_empty() {
            let one = names.any()?;
            push_address(&mut found, one.tag, one.value);
        }
    }
    Ok(found)
}

/// Keeps a `uniformResourceIdentifier`.
fn push_address(into: &mut Vec<String>, tag: u8, value: &[u8]) {
    if tag != tag::context_primitive(6) || into.len() == MAX_ADDRESSES {
        return;
    }
    if let Ok(text) = std::str::from_utf8(value)
        && text.is_ascii()
    {
        into.push(text.to_owned());
    }
}
