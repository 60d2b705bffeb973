//! A `Signature` element, read strictly: what it says and nothing it might mean.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::Certificate;
use gm::key::{Algorithm, Hash};

use crate::algorithm::Names;
use crate::canonical::Canonical;
use crate::document::{Document, Kind, NodeId};
use crate::{Limits, Refused};

/// The namespace of XML signatures.
pub(crate) const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// The enveloped signature transform.
pub(crate) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/// The namespace of `InclusiveNamespaces`.
pub(crate) const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
/// `InclusiveNamespaces` lists at most this many prefixes.
const MAX_PREFIXES: usize = 64;

/// What a `Signature` says.
#[derive(Debug)]
pub(crate) struct Signature {
    pub(crate) node: NodeId,
    pub(crate) signed_info: NodeId,
    pub(crate) canonical: Canonical,
    pub(crate) algorithm: Algorithm,
    pub(crate) references: Vec<Reference>,
    pub(crate) value: Vec<u8>,
    pub(crate) certificates: Vec<Certificate>,
}

/// What a `Reference` says.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) uri: String,
    /// The signature itself is left out.
    pub(crate) enveloped: bool,
    pub(crate) canonical: Option<Canonical>,
    pub(crate) hash: Hash,
    pub(crate) digest: Vec<u8>,
}

/// All signatures of a document in order.
pub(crate) fn find(document: &Document<'_>) -> Vec<NodeId> {
    document
        .all()
        .filter(|id| document.is(*id, DSIG, "Signature"))
        .collect()
}

/// The children that are elements. Between them stands only white space: a comment could mean something to one reader
/// and nothing to another.
fn elements(document: &Document<'_>, id: NodeId) -> Result<Vec<NodeId>, Refused> {
    let mut found = Vec::new();
    for child in document.children(id) {
        match document.node(child).map(|node| &node.kind) {
            Some(Kind::Element(_)) => found.push(child),
            Some(Kind::Text(text)) if text.bytes().all(|byte| byte.is_ascii_whitespace()) => {}
            _ => return Err(Refused::Structure("text, comment or instruction between its elements")),
        }
    }
    Ok(found)
}

/// The text of an element that has only text.
fn text<'d>(document: &'d Document<'_>, id: NodeId) -> Result<&'d str, Refused> {
    let mut children = document.children(id);
    let first = children
        .next()
        .and_then(|child| document.node(child))
        .map(|node| &node.kind);
    match (first, children.next()) {
        (Some(Kind::Text(text)), None) => Ok(text),
        _ => Err(Refused::Structure("a value that is not plain text")),
    }
}

/// Base64 with white space anywhere.
fn base64(text: &str, limit: usize) -> Result<Vec<u8>, Refused> {
    if text.len() > limit * 2 {
        return Err(Refused::TooLarge("value"));
    }
    let tight: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(tight).map_err(|_| Refused::Structure("Base64"))
}

/// Elements that must come in this order.
struct Children<'d, 'a> {
    document: &'d Document<'a>,
    next: std::iter::Peekable<std::vec::IntoIter<NodeId>>,
}

impl<'d, 'a> Children<'d, 'a> {
    fn of(document: &'d Document<'a>, id: NodeId) -> Result<Self, Refused> {
        Ok(Self {
            document,
            next: elements(document, id)?.into_iter().peekable(),
        })
    }

    fn optional(&mut self, local: &str) -> Option<NodeId> {
        self.next.next_if(|id| self.document.is(*id, DSIG, local))
    }

    fn required(&mut self, local: &'static str) -> Result<NodeId, Refused> {
        self.optional(local).ok_or(Refused::Structure(local))
    }

    fn finish(mut self) -> Result<(), Refused> {
        match self.next.next() {
            None => Ok(()),
            Some(_) => Err(Refused::Structure("an element that does not belong there")),
        }
    }
}

fn algorithm<'d>(document: &'d Document<'_>, id: NodeId) -> Result<&'d str, Refused> {
    document
        .attribute(id, "Algorithm")
        .ok_or(Refused::Structure("Algorithm"))
}

/// A method without parameters.
fn method<'d>(document: &'d Document<'_>, id: NodeId) -> Result<&'d str, Refused> {
    if elements(document, id)?.is_empty() {
        algorithm(document, id)
    } else {
        Err(Refused::Structure("parameters of an algorithm"))
    }
}

/// A canonicalisation method or transform; `None` when the URI names no such thing.
fn canonical(document: &Document<'_>, id: NodeId) -> Result<Option<Canonical>, Refused> {
    let Some(mut method) = Canonical::of(algorithm(document, id)?) else {
        return Ok(None);
    };
    match elements(document, id)?.as_slice() {
        [] => {}
        [list] if method.form == crate::Form::Exclusive && document.is(*list, EXCLUSIVE, "InclusiveNamespaces") => {
            let prefixes = document.attribute(*list, "PrefixList").unwrap_or_default();
            method.prefixes = prefixes
                .split_ascii_whitespace()
                .map(|prefix| if prefix == "#default" { "" } else { prefix }.to_owned())
                .collect();
            if method.prefixes.len() > MAX_PREFIXES {
                return Err(Refused::TooLarge("PrefixList"));
            }
        }
        _ => return Err(Refused::Structure("parameters of an algorithm")),
    }
    Ok(Some(method))
}

impl Signature {
    /// Reads one.
    pub(crate) fn read(document: &Document<'_>, id: NodeId, names: &Names, limits: &Limits) -> Result<Self, Refused> {
        let mut children = Children::of(document, id)?;
        let signed_info = children.required("SignedInfo")?;
        let value = children.required("SignatureValue")?;
        let key_info = children.optional("KeyInfo");
        while children.optional("Object").is_some() {}
        children.finish()?;

        let mut inside = Children::of(document, signed_info)?;
        let method_node = inside.required("CanonicalizationMethod")?;
        let canonical = canonical(document, method_node)?
            .ok_or_else(|| Refused::Algorithm(algorithm(document, method_node).unwrap_or_default().to_owned()))?;
        let signature_algorithm = names.signature(method(document, inside.required("SignatureMethod")?)?)?;
        let mut references = Vec::new();
        while let Some(reference) = inside.optional("Reference") {
            if references.len() >= limits.references {
                return Err(Refused::TooLarge("number of references"));
            }
            let reference = Reference::read(document, reference, names)?;
            if (reference.hash == Hash::Sm3) != (signature_algorithm == Algorithm::Sm2) {
                return Err(gm::Refused::MixedAlgorithms.into());
            }
            references.push(reference);
        }
        inside.finish()?;
        if references.is_empty() {
            return Err(Refused::Structure("Reference"));
        }
        let value = base64(text(document, value)?, 1024)?;
        Ok(Self {
            node: id,
            signed_info,
            canonical,
            algorithm: signature_algorithm,
            references,
            value: names.of_value(signature_algorithm, value)?,
            certificates: key_info.map_or(Ok(Vec::new()), |id| certificates(document, id, limits))?,
        })
    }
}

impl Reference {
    fn read(document: &Document<'_>, id: NodeId, names: &Names) -> Result<Self, Refused> {
        // Without a URI the signer and the verifier would have to guess the same.
        let uri = document
            .attribute(id, "URI")
            .ok_or(Refused::Structure("Reference without URI"))?;
        let mut children = Children::of(document, id)?;
        let mut enveloped = false;
        let mut method_of = None;
        if let Some(transforms) = children.optional("Transforms") {
            for transform in elements(document, transforms)? {
                let uri = algorithm(document, transform)?;
                let refused = || Refused::Transform(uri.to_owned());
                if !document.is(transform, DSIG, "Transform") || method_of.is_some() {
                    return Err(refused());
                }
                if uri == ENVELOPED && !enveloped && elements(document, transform)?.is_empty() {
                    enveloped = true;
                } else {
                    method_of = Some(canonical(document, transform)?.ok_or_else(refused)?);
                }
            }
        }
        let hash = names.digest(method(document, children.required("DigestMethod")?)?)?;
        let digest = base64(text(document, children.required("DigestValue")?)?, 256)?;
        children.finish()?;
        Ok(Self {
            uri: uri.to_owned(),
            enveloped,
            canonical: method_of,
            hash,
            digest,
        })
    }
}

/// The certificates of a `KeyInfo`. Other ways to name a key are passed over: a key nobody vouches for verifies nothing.
fn certificates(document: &Document<'_>, key_info: NodeId, limits: &Limits) -> Result<Vec<Certificate>, Refused> {
    let mut found: Vec<Certificate> = Vec::new();
    let data = document
        .children(key_info)
        .filter(|id| document.is(*id, DSIG, "X509Data"));
    let all = data.flat_map(|id| document.children(id));
    for id in all.filter(|id| document.is(*id, DSIG, "X509Certificate")) {
        if found.len() >= limits.certificates {
            return Err(Refused::TooLarge("number of certificates"));
        }
        let der = base64(text(document, id)?, gm::certificate::MAX_CERTIFICATE * 2)?;
        let certificate = Certificate::parse(&der)?;
        if !found.contains(&certificate) {
            found.push(certificate);
        }
    }
    Ok(found)
}

/// The signer's certificate: the only one that issued none of the others.
pub(crate) fn leaf(certificates: &[Certificate]) -> Result<&Certificate, Refused> {
    let mut leaves = certificates.iter().filter(|candidate| {
        !certificates
            .iter()
            .any(|other| other.der != candidate.der && other.issuer_der == candidate.subject_der)
    });
    match (leaves.next(), leaves.next()) {
        (Some(leaf), None) => Ok(leaf),
        (None, None) if certificates.is_empty() => Err(Refused::CertificateMissing),
        _ => Err(Refused::CertificateAmbiguous),
    }
}
