//! What a signer says about the signature itself, signed along with the rest: when, and with which certificate
//! (XAdES, ETSI EN 319 132-1: `SigningTime` and `SigningCertificateV2`). Naming the certificate keeps another one for the
//! same key from being put in its place.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::Certificate;
use gm::key::Hash;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Refused;
use crate::algorithm::Names;
use crate::document::{Document, Kind, NodeId};
use crate::structure::DSIG;

const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";
/// The `Type` of the reference to the properties.
pub(crate) const TYPE: &str = "http://uri.etsi.org/01903#SignedProperties";

/// The `Object` with the properties.
pub(crate) fn object(
    id: &str,
    signature_id: &str,
    time: OffsetDateTime,
    certificate: &Certificate,
    digest: (Hash, &str),
) -> Result<String, Refused> {
    let time = time
        .replace_nanosecond(0)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .ok_or(Refused::Structure("SigningTime"))?;
    let value = STANDARD.encode(digest.0.digest(&certificate.der));
    Ok(format!(
        "<ds:Object><xades:QualifyingProperties xmlns:xades=\"{XADES}\" Target=\"#{signature_id}\">\
         <xades:SignedProperties Id=\"{id}\"><xades:SignedSignatureProperties><xades:SigningTime>{time}</xades:SigningTime>\
         <xades:SigningCertificateV2><xades:Cert><xades:CertDigest><ds:DigestMethod Algorithm=\"{}\"/>\
         <ds:DigestValue>{value}</ds:DigestValue></xades:CertDigest></xades:Cert></xades:SigningCertificateV2>\
         </xades:SignedSignatureProperties></xades:SignedProperties></xades:QualifyingProperties></ds:Object>",
        digest.1
    ))
}

/// Whether an element holds signed properties.
pub(crate) fn are(document: &Document<'_>, id: NodeId) -> bool {
    document.is(id, XADES, "SignedProperties")
}

/// The time the signer stated; refused when the properties name another certificate.
pub(crate) fn read(
    document: &Document<'_>,
    properties: NodeId,
    certificate: &Certificate,
    names: &Names,
) -> Result<Option<OffsetDateTime>, Refused> {
    let child = |id: NodeId, namespace: &str, local: &str| {
        document
            .children(id)
            .find(|child| document.is(*child, namespace, local))
    };
    let text = |id: NodeId| match document.node(id + 1).map(|node| &node.kind) {
        Some(Kind::Text(text)) if document.subtree(id).len() == 2 => Some(text.trim()),
        _ => None,
    };
    let Some(inside) = child(properties, XADES, "SignedSignatureProperties") else {
        return Ok(None);
    };
    let listed = ["SigningCertificateV2", "SigningCertificate"]
        .into_iter()
        .find_map(|local| child(inside, XADES, local));
    if let Some(listed) = listed {
        const AT: Refused = Refused::Structure("SigningCertificate");
        // The first one listed is the signer's.
        let digest = child(listed, XADES, "Cert")
            .and_then(|cert| child(cert, XADES, "CertDigest"))
            .ok_or(AT)?;
        let method = child(digest, DSIG, "DigestMethod")
            .and_then(|id| document.attribute(id, "Algorithm"))
            .ok_or(AT)?;
        let value = child(digest, DSIG, "DigestValue").and_then(text).ok_or(AT)?;
        if STANDARD.encode(names.digest(method)?.digest(&certificate.der)) != value {
            return Err(Refused::OtherCertificate);
        }
    }
    child(inside, XADES, "SigningTime")
        .map(|id| {
            text(id)
                .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok())
                .ok_or(Refused::Structure("SigningTime"))
        })
        .transpose()
}
