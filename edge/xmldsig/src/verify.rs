//! Verifying.

use std::ops::Range;

use gm::Certificate;
use gm::key::Algorithm;
use time::OffsetDateTime;

use crate::canonical::{self, Part};
use crate::document::{Document, NodeId};
use crate::reference::{Detached, Resolver, Scope};
use crate::structure::{self, Signature};
use crate::{Options, Refused, properties};

/// A signature that is valid under the key of `certificate`. Whether that certificate is trusted is not judged here:
/// ask [`gm::Trust::path`] with `others`.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The `Id` of the signature.
    pub id: Option<String>,
    /// Where the signature stands in the text, in bytes.
    pub range: Range<usize>,
    /// The signer's certificate.
    pub certificate: Certificate,
    /// The other certificates that came with the signature.
    pub others: Vec<Certificate>,
    /// With what was signed.
    pub algorithm: Algorithm,
    /// The time the signer states and has signed. Only a time stamp proves one.
    pub signing_time: Option<OffsetDateTime>,
    /// What was signed, in order: this and nothing else in the document.
    pub covered: Vec<Covered>,
}

/// Something that was signed.
#[derive(Debug, Clone)]
pub struct Covered {
    /// As the signature names it.
    pub uri: String,
    /// What that is.
    pub scope: Scope,
    /// The bytes that were digested. Who works on with the content reads it from here: what else the document holds,
    /// or holds a second time, is in nobody's name.
    pub canonical_bytes: Vec<u8>,
}

/// Verifies every signature of a document; one that is not valid refuses all.
///
/// `detached` is what references lead to outside the document; nothing is ever fetched. `certificate`, when given, is
/// the signer's, whatever the signatures carry.
pub fn verify(
    xml: &[u8],
    detached: &[Detached<'_>],
    certificate: Option<&Certificate>,
    options: &Options,
) -> Result<Vec<Verified>, Refused> {
    let limits = &options.limits;
    if xml.len() > limits.bytes {
        return Err(Refused::TooLarge("document"));
    }
    let text = std::str::from_utf8(xml).map_err(|_| Refused::NotUtf8)?;
    let document = Document::parse(text, limits)?;
    let found = structure::find(&document);
    if found.is_empty() {
        return Err(Refused::NoSignature);
    }
    if found.len() > limits.signatures {
        return Err(Refused::TooLarge("number of signatures"));
    }
    let index = options.ids.index(&document);
    // All references together may not make more of a document than this.
    let mut left = limits.bytes.saturating_mul(2);
    found
        .into_iter()
        .map(|signature| {
            let resolver = Resolver {
                document: &document,
                index: &index,
                detached,
                limits,
                signature,
            };
            one(&resolver, certificate, options, &mut left)
        })
        .collect()
}

fn one(
    resolver: &Resolver<'_, '_>,
    given: Option<&Certificate>,
    options: &Options,
    left: &mut usize,
) -> Result<Verified, Refused> {
    let document = resolver.document;
    let signature = Signature::read(document, resolver.signature, &options.names, &options.limits)?;
    let certificate = match given {
        Some(given) => given,
        None => structure::leaf(&signature.certificates)?,
    };
    // The signature first: until it holds, nobody has said what the references are.
    let signed = signed_info(
        document,
        signature.signed_info,
        &signature.canonical,
        options.limits.bytes,
    )?;
    certificate
        .public_key
        .verify(signature.algorithm, &signed, &signature.value)
        .map_err(|refused| match refused {
            gm::Refused::SignatureInvalid => Refused::SignatureInvalid,
            other => Refused::Key(other),
        })?;
    let mut covered = Vec::with_capacity(signature.references.len());
    for reference in &signature.references {
        let limit = (*left).min(options.limits.bytes);
        let (scope, bytes) =
            resolver.resolve(&reference.uri, reference.enveloped, reference.canonical.as_ref(), limit)?;
        *left = left.saturating_sub(bytes.len());
        if reference.hash.digest(&bytes) != reference.digest {
            return Err(Refused::DigestMismatch(if reference.uri.is_empty() {
                "document".to_owned()
            } else {
                reference.uri.clone()
            }));
        }
        covered.push(Covered {
            uri: reference.uri.clone(),
            scope,
            canonical_bytes: bytes,
        });
    }
    let signing_time = stated(document, &signature, &covered, certificate, options)?;
    let others = signature
        .certificates
        .iter()
        .filter(|other| other.der != certificate.der);
    Ok(Verified {
        id: document.attribute(signature.node, "Id").map(str::to_owned),
        range: document.range(signature.node),
        certificate: certificate.clone(),
        others: others.cloned().collect(),
        algorithm: signature.algorithm,
        signing_time,
        covered,
    })
}

/// What the signer states about the signature, where that is signed with it.
fn stated(
    document: &Document<'_>,
    signature: &Signature,
    covered: &[Covered],
    certificate: &Certificate,
    options: &Options,
) -> Result<Option<OffsetDateTime>, Refused> {
    let signed = |id: &NodeId| {
        covered
            .iter()
            .any(|covered| matches!(&covered.scope, Scope::Element { range, .. } if *range == document.range(*id)))
    };
    let mut found = document
        .subtree(signature.node)
        .filter(|id| properties::are(document, *id))
        .filter(signed);
    let Some(one) = found.next() else {
        return Ok(None);
    };
    if found.next().is_some() {
        return Err(Refused::Structure("SignedProperties twice"));
    }
    properties::read(document, one, certificate, &options.names)
}

/// The bytes that are signed.
pub(crate) fn signed_info(
    document: &Document<'_>,
    node: NodeId,
    method: &canonical::Canonical,
    limit: usize,
) -> Result<Vec<u8>, Refused> {
    let part = Part {
        apex: Some(node),
        without: None,
        comments: true,
    };
    canonical::canonicalize(document, part, method, limit)
}
