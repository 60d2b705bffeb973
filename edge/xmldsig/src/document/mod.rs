//! A document as it is signed: read strictly, kept in document order.
//!
//! Why an own reader: a signature is only worth what its reader and everybody else's agree on. This one reads XML 1.0
//! with namespaces and nothing more: a `DOCTYPE` is refused (with it entities, default attributes and declared ids),
//! every well-formedness and namespace rule is held, and each node knows where it stands in the text. The readers at
//! hand are lenient (`quick-xml`), forget prefixes (`roxmltree`) or do not normalise attributes (`uppsala` under
//! `bergshamra-c14n`).
//!
//! Nodes lie in document order in one vector, a subtree is a range of it; nothing here or in the canonical form recurses.

pub(crate) mod names;
mod parse;
mod prolog;
mod scan;
mod scope;

use std::borrow::Cow;
use std::ops::Range;

pub(crate) use scope::Scope;

/// The namespace of the prefix `xml`.
pub(crate) const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace of namespace declarations.
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
/// No namespace, in [`Document::namespace`].
pub(crate) const NONE: u32 = 0;
/// [`XML`] in [`Document::namespace`].
pub(crate) const XML_ID: u32 = 1;

/// Number of a node.
pub(crate) type NodeId = usize;

/// A parsed document.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    /// The text it was read from.
    pub(crate) text: &'a str,
    nodes: Vec<Node<'a>>,
    attributes: Vec<Attribute<'a>>,
    declarations: Vec<Declaration<'a>>,
    namespaces: Vec<Cow<'a, str>>,
    root: NodeId,
}

/// One node.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    /// The element around it; `None` at the top.
    pub(crate) parent: Option<u32>,
    /// One past its last descendant.
    end: u32,
    /// Where it begins in the text.
    start: u32,
    /// Where it ends in the text.
    stop: u32,
    /// What it is.
    pub(crate) kind: Kind<'a>,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Kind<'a> {
    /// An element.
    Element(Element<'a>),
    /// Characters and CDATA sections up to the next node, references replaced.
    Text(Cow<'a, str>),
    /// A comment.
    Comment(Cow<'a, str>),
    /// A processing instruction.
    Instruction(&'a str, Cow<'a, str>),
}

/// An element's name; its attributes and declarations are ranges.
#[derive(Debug)]
pub(crate) struct Element<'a> {
    /// As written, with prefix.
    pub(crate) name: &'a str,
    /// Prefix, may be empty.
    pub(crate) prefix: &'a str,
    /// Name without prefix.
    pub(crate) local: &'a str,
    /// Its namespace.
    pub(crate) namespace: u32,
    attributes: Range<u32>,
    declarations: Range<u32>,
    /// Where the end tag begins in the text; `None` when the tag is empty (`<a/>`).
    pub(crate) end_tag: Option<u32>,
}

/// An attribute.
#[derive(Debug)]
pub(crate) struct Attribute<'a> {
    /// As written, with prefix.
    pub(crate) name: &'a str,
    /// Prefix, may be empty.
    pub(crate) prefix: &'a str,
    /// Name without prefix.
    pub(crate) local: &'a str,
    /// Its namespace, [`NONE`] without a prefix.
    pub(crate) namespace: u32,
    /// Its normalised value.
    pub(crate) value: Cow<'a, str>,
}

/// A namespace declaration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Declaration<'a> {
    /// Declared prefix; empty for the default namespace.
    pub(crate) prefix: &'a str,
    /// What it means; [`NONE`] takes the default namespace away.
    pub(crate) namespace: u32,
}

impl<'a> Document<'a> {
    /// The document element.
    pub(crate) fn root(&self) -> NodeId {
        self.root
    }

    /// All nodes of a subtree in order, the node itself first.
    pub(crate) fn subtree(&self, id: NodeId) -> Range<NodeId> {
        id..self.nodes.get(id).map_or(id, |node| node.end as usize)
    }

    /// All nodes in order.
    pub(crate) fn all(&self) -> Range<NodeId> {
        0..self.nodes.len()
    }

    /// A node.
    pub(crate) fn node(&self, id: NodeId) -> Option<&Node<'a>> {
        self.nodes.get(id)
    }

    /// A node that is an element.
    pub(crate) fn element(&self, id: NodeId) -> Option<&Element<'a>> {
        match &self.nodes.get(id)?.kind {
            Kind::Element(element) => Some(element),
            _ => None,
        }
    }

    /// Whether it is this element.
    pub(crate) fn is(&self, id: NodeId, namespace: &str, local: &str) -> bool {
        self.element(id)
            .is_some_and(|element| element.local == local && self.namespace(element.namespace) == namespace)
    }

    /// The children of a node in order.
    pub(crate) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let range = self.subtree(id);
        let mut next = range.start + 1;
        std::iter::from_fn(move || {
            let child = (next < range.end).then_some(next)?;
            next = self.subtree(child).end.max(child + 1);
            Some(child)
        })
    }

    /// The elements around a node, the nearest first.
    pub(crate) fn ancestors(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(self.parent(id), |id| self.parent(*id))
    }

    /// The element around a node.
    pub(crate) fn parent(&self, id: NodeId) -> Option<NodeId> {
        Some(self.nodes.get(id)?.parent? as usize)
    }

    /// Attributes in canonical order: by namespace, then by name.
    pub(crate) fn attributes(&self, element: &Element<'a>) -> &[Attribute<'a>] {
        let range = element.attributes.start as usize..element.attributes.end as usize;
        self.attributes.get(range).unwrap_or_default()
    }

    /// The value of an attribute without a namespace.
    pub(crate) fn attribute(&self, id: NodeId, local: &str) -> Option<&str> {
        self.attributes(self.element(id)?)
            .iter()
            .find(|attribute| attribute.namespace == NONE && attribute.local == local)
            .map(|attribute| attribute.value.as_ref())
    }

    /// Declarations of an element by prefix.
    pub(crate) fn declarations(&self, element: &Element<'a>) -> &[Declaration<'a>] {
        let range = element.declarations.start as usize..element.declarations.end as usize;
        self.declarations.get(range).unwrap_or_default()
    }

    /// A namespace's name.
    pub(crate) fn namespace(&self, id: u32) -> &str {
        self.namespaces.get(id as usize).map_or("", |name| name.as_ref())
    }

    /// Where a node stands in the text.
    pub(crate) fn range(&self, id: NodeId) -> Range<usize> {
        self.nodes
            .get(id)
            .map_or(0..0, |node| node.start as usize..node.stop as usize)
    }

    /// Another text in place of one that was read: for what is only known after the rest was canonicalised.
    pub(crate) fn set_text(&mut self, id: NodeId, text: String) {
        if let Some(Node {
            kind: Kind::Text(old), ..
        }) = self.nodes.get_mut(id)
        {
            *old = Cow::Owned(text);
        }
    }
}
