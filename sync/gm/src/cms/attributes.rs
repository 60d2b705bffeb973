//! Signed attributes (RFC 5652 11, RFC 5035).

use time::OffsetDateTime;

use crate::der::{self, Reader, tag};
use crate::hash::Hash;
use crate::key::{Family, sha256};
use crate::{Certificate, Refused, oid};

/// The content type of data in a family.
pub(super) fn data(family: Family) -> &'static [u8] {
    match family {
        Family::Gm => oid::GM_DATA,
        Family::Classic => oid::PKCS7_DATA,
    }
}

/// `SET OF` the attributes to sign.
pub(super) fn write(
    family: Family,
    digest: &[u8],
    signing_time: Option<OffsetDateTime>,
    signer: &Certificate,
) -> Vec<u8> {
    let attribute = |id: &[u8], value: &[u8]| der::sequence(&[&der::oid(id), &der::element(tag::SET, value)]);
    let mut attributes = vec![
        attribute(oid::CONTENT_TYPE, &der::oid(data(family))),
        attribute(oid::MESSAGE_DIGEST, &der::octets(digest)),
    ];
    if let Some(at) = signing_time {
        attributes.push(attribute(oid::SIGNING_TIME, &der::time(at)));
    }
    if family == Family::Classic {
        // ESSCertIDv2 with the default SHA-256 (RFC 5035 4)
        let id = der::sequence(&[&der::octets(&sha256(&signer.der))]);
        let value = der::sequence(&[&der::sequence(&[&id])]);
        attributes.push(attribute(oid::SIGNING_CERTIFICATE_V2, &value));
    }
    der::set_of(attributes)
}

/// What signed attributes say.
#[derive(Debug, Clone)]
pub(super) struct Attributes<'a> {
    content_type: &'a [u8],
    pub(super) digest: &'a [u8],
    pub(super) signing_time: Option<OffsetDateTime>,
    /// Digest of the signer's certificate.
    certificate: Option<(Hash, &'a [u8])>,
}

impl<'a> Attributes<'a> {
    /// Reads the content of their SET.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Refused> {
        let (mut content_type, mut digest, mut signing_time, mut certificate) = (None, None, None, None);
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
                    once(&mut digest, "messageDigest", value)?;
                }
                oid::SIGNING_TIME => once(&mut signing_time, "signingTime", values.time()?)?,
                oid::SIGNING_CERTIFICATE_V2 => {
                    let value = read_certificate_id(&mut values)?;
                    once(&mut certificate, "signingCertificateV2", value)?;
                }
                _ => continue,
            }
            values.finish()?;
        }
        Ok(Self {
            content_type: content_type.ok_or(Refused::Attribute("contentType"))?,
            digest: digest.ok_or(Refused::Attribute("messageDigest"))?,
            signing_time,
            certificate,
        })
    }

    /// The signed type is that of the content.
    pub(super) fn check_type(&self, content_type: &[u8]) -> Result<(), Refused> {
        if self.content_type == content_type {
            Ok(())
        } else {
            Err(Refused::ContentTypeMismatch)
        }
    }

    /// The certificate is the one that was signed for, if one was: another certificate of the same key is another role.
    pub(super) fn check_certificate(&self, certificate: &Certificate) -> Result<(), Refused> {
        match self.certificate {
            Some((hash, digest)) if hash.digest(&certificate.der) != digest => {
                Err(Refused::Attribute("signingCertificateV2"))
            }
            _ => Ok(()),
        }
    }
}

/// The first `ESSCertIDv2`: the signer's. The issuer and serial beside it say nothing more than its digest.
fn read_certificate_id<'a>(values: &mut Reader<'a>) -> Result<(Hash, &'a [u8]), Refused> {
    let mut value = values.sequence("signing certificate")?;
    let mut list = value.sequence("signing certificate")?;
    let mut first = list.sequence("signing certificate")?;
    let hash = if first.peek() == Some(tag::SEQUENCE) {
        Hash::read(&mut first)?
    } else {
        Hash::Sha256
    };
    Ok((hash, first.expect(tag::OCTET_STRING)?.value))
}

fn once<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), Refused> {
    if slot.replace(value).is_some() {
        return Err(Refused::Attribute(name));
    }
    Ok(())
}
