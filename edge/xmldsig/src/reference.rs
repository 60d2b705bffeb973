//! From what a reference says to the bytes it stands for.

use std::collections::HashMap;
use std::ops::Range;

use crate::canonical::{self, Canonical, Part};
use crate::document::{self, Document, NodeId};
use crate::structure::ENVELOPED;
use crate::{Limits, Refused};

/// Attributes that give an element its id. Without a DTD nothing in a document says which they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids(Vec<(String, String)>);

impl Default for Ids {
    /// `Id`, `ID`, `id`, `xml:id` and the `Id` of WS-Security.
    fn default() -> Self {
        const SECURITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
        Self::new([
            ("", "Id"),
            ("", "ID"),
            ("", "id"),
            (document::XML, "id"),
            (SECURITY, "Id"),
        ])
    }
}

impl Ids {
    /// These attributes, each by namespace (empty: none) and name.
    #[must_use]
    pub fn new<'a>(attributes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let own = |(namespace, local): (&str, &str)| (namespace.to_owned(), local.to_owned());
        Self(attributes.into_iter().map(own).collect())
    }

    /// Which element has which id; `None` where it is more than one, or one twice.
    pub(crate) fn index<'d>(&self, document: &'d Document<'_>) -> HashMap<&'d str, Option<NodeId>> {
        let mut index = HashMap::new();
        for id in document.all() {
            let Some(element) = document.element(id) else {
                continue;
            };
            for attribute in document.attributes(element) {
                let is_id = self.0.iter().any(|(namespace, local)| {
                    attribute.local == local && document.namespace(attribute.namespace) == namespace
                });
                if is_id {
                    index
                        .entry(attribute.value.as_ref())
                        .and_modify(|known| *known = None)
                        .or_insert(Some(id));
                }
            }
        }
        index
    }
}

/// The element with this id.
pub(crate) fn by_id(index: &HashMap<&str, Option<NodeId>>, id: &str) -> Result<NodeId, Refused> {
    match index.get(id) {
        Some(Some(node)) => Ok(*node),
        Some(None) => Err(Refused::IdTwice(id.to_owned())),
        None => Err(Refused::IdMissing(id.to_owned())),
    }
}

/// Content outside the document, given by the caller: nothing is ever fetched.
#[derive(Debug, Clone, Copy)]
pub struct Detached<'a> {
    /// The reference's URI, exactly.
    pub uri: &'a str,
    /// What it stands for.
    pub bytes: &'a [u8],
}

/// What a reference covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The whole document; enveloped: without the signature itself.
    Document,
    /// One element with everything in it; enveloped: without the signature itself.
    Element {
        /// Its namespace, empty for none.
        namespace: String,
        /// Its name without prefix.
        name: String,
        /// Where it stands in the text, in bytes.
        range: Range<usize>,
        /// Whether it is the document element.
        root: bool,
    },
    /// Content given by the caller.
    Detached,
}

/// Where references of one signature lead.
pub(crate) struct Resolver<'d, 'a> {
    pub(crate) document: &'d Document<'a>,
    pub(crate) index: &'d HashMap<&'d str, Option<NodeId>>,
    pub(crate) detached: &'d [Detached<'d>],
    pub(crate) limits: &'d Limits,
    /// The signature the references belong to.
    pub(crate) signature: NodeId,
}

impl Resolver<'_, '_> {
    /// The bytes a reference stands for, at most `limit` of them, and what they are.
    pub(crate) fn resolve(
        &self,
        uri: &str,
        enveloped: bool,
        method: Option<&Canonical>,
        limit: usize,
    ) -> Result<(Scope, Vec<u8>), Refused> {
        let document = self.document;
        let apex = match uri.strip_prefix('#') {
            None if uri.is_empty() => None,
            None => return self.outside(uri, enveloped, method, limit),
            Some(id) if document::names::is_ncname(id) => Some(by_id(self.index, id)?),
            // XPointer and the like
            Some(_) => return Err(Refused::Reference(uri.to_owned())),
        };
        if enveloped && apex.is_some_and(|apex| !document.ancestors(self.signature).any(|id| id == apex)) {
            return Err(Refused::Transform(ENVELOPED.to_owned()));
        }
        let part = Part {
            apex,
            without: enveloped.then_some(self.signature),
            comments: false,
        };
        // XML-DSig 4.4.3.2: nodes become bytes by Canonical XML 1.0 when nothing else is said.
        let bytes = canonical::canonicalize(document, part, method.unwrap_or(&Canonical::INCLUSIVE), limit)?;
        let scope = match apex.and_then(|apex| Some((apex, document.element(apex)?))) {
            None => Scope::Document,
            Some((apex, element)) => Scope::Element {
                namespace: document.namespace(element.namespace).to_owned(),
                name: element.local.to_owned(),
                range: document.range(apex),
                root: apex == document.root(),
            },
        };
        Ok((scope, bytes))
    }

    fn outside(
        &self,
        uri: &str,
        enveloped: bool,
        method: Option<&Canonical>,
        limit: usize,
    ) -> Result<(Scope, Vec<u8>), Refused> {
        if enveloped {
            return Err(Refused::Transform(ENVELOPED.to_owned()));
        }
        let given = self.detached.iter().find(|given| given.uri == uri);
        let bytes = given.ok_or_else(|| Refused::Reference(uri.to_owned()))?.bytes;
        if bytes.len() > limit {
            return Err(Refused::TooLarge("detached content"));
        }
        let Some(method) = method else {
            return Ok((Scope::Detached, bytes.to_vec()));
        };
        let text = std::str::from_utf8(bytes).map_err(|_| Refused::NotUtf8)?;
        let document = Document::parse(text, self.limits)?;
        let part = Part {
            comments: true,
            ..Part::default()
        };
        Ok((
            Scope::Detached,
            canonical::canonicalize(&document, part, method, limit)?,
        ))
    }
}
