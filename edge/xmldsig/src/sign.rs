//! Signing.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::Certificate;
use gm::key::Signer;
use time::OffsetDateTime;

use crate::canonical::Canonical;
use crate::document::{Document, NodeId, names};
use crate::reference::{self, Detached, Resolver};
use crate::structure::{self, DSIG};
use crate::write::{Line, Place, Shape, escaped};
use crate::{Options, Refused, properties, verify};

/// What is signed, and where the signature goes.
#[derive(Debug, Clone, Copy)]
pub enum Work<'a> {
    /// Into the document, as the last thing in its element.
    Enveloped {
        /// The document.
        document: &'a str,
        /// Only the element with this id is signed, and the signature goes into that; `None`: the whole document.
        id: Option<&'a str>,
    },
    /// The document's element goes into the signature. Comments, instructions and the declaration around it do not.
    Enveloping {
        /// The document.
        document: &'a str,
    },
    /// Any bytes go into the signature, as Base64.
    EnvelopingBytes {
        /// The bytes.
        content: &'a [u8],
    },
    /// The signature stands alone and names what it signs.
    Detached {
        /// The name by which verifiers know the content; not empty, no `#`.
        uri: &'a str,
        /// What is signed, byte for byte.
        content: &'a [u8],
    },
}

/// How a signature is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The canonical form of what is signed within a document and of the signature itself.
    pub canonical: Canonical,
    /// The `Id` of the signature.
    pub id: Option<String>,
    /// The time to be stated and signed, together with the certificate.
    pub signing_time: Option<OffsetDateTime>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            canonical: Canonical::EXCLUSIVE,
            id: None,
            signing_time: None,
        }
    }
}

/// Signs; the answer is the whole document. `chain`: the signer's certificate first.
pub fn sign(
    work: Work<'_>,
    signer: &dyn Signer,
    chain: &[Certificate],
    draft: &Draft,
    options: &Options,
) -> Result<String, Refused> {
    let algorithm = signer.algorithm();
    if chain
        .first()
        .is_some_and(|leaf| leaf.public_key != *signer.public_key())
    {
        return Err(gm::Refused::InvalidKey.into());
    }
    if let Some(id) = draft.id.as_deref().filter(|id| !names::is_ncname(id)) {
        return Err(Refused::IdInvalid(id.to_owned()));
    }
    let Prepared {
        place,
        uri,
        object,
        detached,
        enveloped,
    } = prepare(work, options)?;
    let digest_uri = options.names.digest_uri(algorithm.hash())?;
    let mut shape = Shape {
        draft,
        id: draft.id.clone(),
        signature_uri: options.names.signature_uri(algorithm)?,
        digest_uri,
        chain,
        objects: object,
        lines: vec![Line {
            uri,
            kind: "",
            enveloped,
            method: detached.is_none().then(|| draft.canonical.clone()),
        }],
    };
    if let Some(time) = draft.signing_time {
        let leaf = chain.first().ok_or(Refused::CertificateMissing)?;
        // Another signature in the same document has another of these, because the document was another.
        let around = algorithm
            .hash()
            .digest([&*place.before, &*place.after].concat().as_bytes());
        let tag: String = around.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let id = shape.id.get_or_insert_with(|| format!("signature-{tag}"));
        let own = format!("properties-{tag}");
        let uri = escaped(digest_uri);
        let object = properties::object(&own, id, time, leaf, (algorithm.hash(), &uri))?;
        shape.objects.push_str(&object);
        shape.lines.push(Line {
            uri: format!("#{own}"),
            kind: properties::TYPE,
            enveloped: false,
            method: Some(draft.canonical.clone()),
        });
    }

    let with_gaps = shape.whole(&place, &vec!["0".to_owned(); shape.lines.len()], "0");
    let mut document = Document::parse(&with_gaps, &options.limits)?;
    let node = structure::find(&document)
        .into_iter()
        .find(|id| document.range(*id).start == place.before.len())
        .ok_or(Refused::NoSignature)?;
    let digests = {
        let index = options.ids.index(&document);
        let given: &[Detached<'_>] = detached.as_slice();
        let resolver = Resolver {
            document: &document,
            index: &index,
            detached: given,
            limits: &options.limits,
            signature: node,
        };
        if let Some(id) = &shape.id {
            reference::by_id(&index, id)?;
        }
        unbroken(&resolver, &options.limits)?;
        let mut digests = Vec::with_capacity(shape.lines.len());
        for line in &shape.lines {
            let (_, bytes) = resolver.resolve(&line.uri, line.enveloped, line.method.as_ref(), options.limits.bytes)?;
            digests.push(STANDARD.encode(algorithm.hash().digest(&bytes)));
        }
        digests
    };
    let signed_info = document
        .children(node)
        .find(|id| document.is(*id, DSIG, "SignedInfo"))
        .ok_or(Refused::NoSignature)?;
    let gaps: Vec<NodeId> = document
        .subtree(signed_info)
        .filter(|id| document.is(*id, DSIG, "DigestValue"))
        .collect();
    for (gap, digest) in gaps.iter().zip(&digests) {
        document.set_text(gap + 1, digest.clone());
    }
    let signed = verify::signed_info(&document, signed_info, &draft.canonical, options.limits.bytes)?;
    let value = options.names.to_value(algorithm, signer.sign(&signed)?)?;
    Ok(shape.whole(&place, &digests, &STANDARD.encode(value)))
}

/// Where the signature goes and what it refers to.
struct Prepared<'a> {
    place: Place<'a>,
    uri: String,
    object: String,
    detached: Option<Detached<'a>>,
    enveloped: bool,
}

fn prepare<'a>(work: Work<'a>, options: &Options) -> Result<Prepared<'a>, Refused> {
    let alone = Place {
        before: Cow::Borrowed(""),
        after: Cow::Borrowed(""),
    };
    match work {
        Work::Enveloped { document, id } => {
            let (place, uri) = enveloped(document, id, options)?;
            Ok(Prepared {
                place,
                uri,
                object: String::new(),
                detached: None,
                enveloped: true,
            })
        }
        Work::Enveloping { document: text } => {
            let document = Document::parse(text, &options.limits)?;
            let index = options.ids.index(&document);
            // A number no one in the document has.
            let id = (0..=index.len())
                .map(|n| format!("content-{n}"))
                .find(|id| !index.contains_key(id.as_str()))
                .unwrap_or_default();
            let content = text.get(document.range(document.root())).unwrap_or_default();
            Ok(Prepared {
                place: alone,
                uri: format!("#{id}"),
                object: format!(r#"<ds:Object Id="{id}">{content}</ds:Object>"#),
                detached: None,
                enveloped: false,
            })
        }
        Work::EnvelopingBytes { content } => {
            if content.len() > options.limits.bytes {
                return Err(Refused::TooLarge("content"));
            }
            let content = STANDARD.encode(content);
            Ok(Prepared {
                place: alone,
                uri: "#content".to_owned(),
                object: format!(r#"<ds:Object Encoding="{DSIG}base64" Id="content">{content}</ds:Object>"#),
                detached: None,
                enveloped: false,
            })
        }
        Work::Detached { uri, content } => {
            if uri.is_empty() || uri.contains('#') || uri.chars().any(char::is_control) {
                return Err(Refused::Reference(uri.to_owned()));
            }
            Ok(Prepared {
                place: alone,
                uri: uri.to_owned(),
                object: String::new(),
                detached: Some(Detached { uri, bytes: content }),
                enveloped: false,
            })
        }
    }
}

/// The end of the element the signature goes into.
fn enveloped<'a>(text: &'a str, id: Option<&str>, options: &Options) -> Result<(Place<'a>, String), Refused> {
    let document = Document::parse(text, &options.limits)?;
    let (apex, uri) = match id {
        None => (document.root(), String::new()),
        Some(id) if names::is_ncname(id) => {
            let index = options.ids.index(&document);
            (reference::by_id(&index, id)?, format!("#{id}"))
        }
        Some(id) => return Err(Refused::IdInvalid(id.to_owned())),
    };
    let element = document.element(apex).ok_or(Refused::NoSignature)?;
    let place = match element.end_tag {
        Some(end) => {
            let (before, after) = text.split_at_checked(end as usize).unwrap_or_default();
            Place {
                before: Cow::Borrowed(before),
                after: Cow::Borrowed(after),
            }
        }
        // <a/> becomes <a></a>, the same to every canonical form.
        None => {
            let (before, after) = text.split_at_checked(document.range(apex).end).unwrap_or_default();
            let before = before.strip_suffix("/>").unwrap_or(before);
            Place {
                before: Cow::Owned(format!("{before}>")),
                after: Cow::Owned(format!("</{}>{after}", element.name)),
            }
        }
    };
    Ok((place, uri))
}

/// Refuses a signature that would change what another one covers.
fn unbroken(resolver: &Resolver<'_, '_>, limits: &crate::Limits) -> Result<(), Refused> {
    let document = resolver.document;
    let around: Vec<NodeId> = document.ancestors(resolver.signature).collect();
    for other in structure::find(document)
        .into_iter()
        .filter(|id| *id != resolver.signature)
    {
        let mut references = document
            .subtree(other)
            .filter(|id| document.is(*id, DSIG, "Reference"))
            .filter_map(|id| document.attribute(id, "URI"))
            .take(limits.references);
        let covers = references.any(|uri| match uri.strip_prefix('#') {
            None => uri.is_empty(),
            Some(id) => reference::by_id(resolver.index, id).is_ok_and(|id| around.contains(&id)),
        });
        if covers && !around.contains(&other) && !document.subtree(resolver.signature).contains(&other) {
            return Err(Refused::BreaksSignature);
        }
    }
    Ok(())
}
