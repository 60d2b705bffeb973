//! Canonical XML: the bytes that are digested and signed.
//!
//! W3C Canonical XML 1.0 and 1.1 and Exclusive XML Canonicalization 1.0 over what signatures here may cover: a whole
//! document or one element's subtree, less one signature inside. Byte for byte what libxml2 writes.

use std::collections::HashSet;

use crate::Refused;
use crate::document::{Attribute, Document, Element, Kind, NONE, NodeId, Scope, XML_ID};

/// Which canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// Canonical XML 1.0.
    Inclusive,
    /// Canonical XML 1.1.
    Inclusive11,
    /// Exclusive XML Canonicalization 1.0: independent of what stands around the part.
    Exclusive,
}

/// A canonicalisation method as a signature names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical {
    /// Which form.
    pub form: Form,
    /// Whether comments are kept. What a reference within the document selects has none to begin with.
    pub comments: bool,
    /// `InclusiveNamespaces` of the exclusive form: prefixes that are treated as the inclusive form does
    /// (`#default` is the empty prefix).
    pub prefixes: Vec<String>,
}

impl Canonical {
    /// Exclusive, without comments: what travels best from document to document.
    pub const EXCLUSIVE: Self = Self::plain(Form::Exclusive);
    /// Inclusive 1.0, without comments: what holds where nothing is said.
    pub const INCLUSIVE: Self = Self::plain(Form::Inclusive);
    /// Inclusive 1.1, without comments.
    pub const INCLUSIVE_11: Self = Self::plain(Form::Inclusive11);

    const fn plain(form: Form) -> Self {
        Self {
            form,
            comments: false,
            prefixes: Vec::new(),
        }
    }

    /// The same with comments.
    #[must_use]
    pub fn with_comments(self) -> Self {
        Self { comments: true, ..self }
    }

    /// Its algorithm URI.
    #[must_use]
    pub fn uri(&self) -> &'static str {
        match (self.form, self.comments) {
            (Form::Inclusive, false) => "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
            (Form::Inclusive, true) => "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
            (Form::Inclusive11, false) => "http://www.w3.org/2006/12/xml-c14n11",
            (Form::Inclusive11, true) => "http://www.w3.org/2006/12/xml-c14n11#WithComments",
            (Form::Exclusive, false) => "http://www.w3.org/2001/10/xml-exc-c14n#",
            (Form::Exclusive, true) => "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
        }
    }

    /// The method of an algorithm URI.
    #[must_use]
    pub fn of(uri: &str) -> Option<Self> {
        [Self::INCLUSIVE, Self::INCLUSIVE_11, Self::EXCLUSIVE]
            .into_iter()
            .flat_map(|plain| [plain.clone(), plain.with_comments()])
            .find(|method| method.uri() == uri)
    }
}

/// What of a document is canonicalised.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Part {
    /// An element with everything in it; `None`: the document with the comments and instructions around its element.
    pub(crate) apex: Option<NodeId>,
    /// Left out, with everything in it.
    pub(crate) without: Option<NodeId>,
    /// Whether its comments belong to it: they do not where a signature refers into its own document.
    pub(crate) comments: bool,
}

/// The canonical bytes of a part, at most `limit` of them.
pub(crate) fn canonicalize(
    document: &Document<'_>,
    part: Part,
    method: &Canonical,
    limit: usize,
) -> Result<Vec<u8>, Refused> {
    let nodes = part.apex.map_or(document.all(), |apex| document.subtree(apex));
    let mut writer = Writer {
        document,
        method,
        apex: part.apex,
        here: Scope::default(),
        rendered: Scope::default(),
        out: Vec::with_capacity(part.apex.map_or(document.text.len(), |apex| document.range(apex).len())),
        open: Vec::new(),
    };
    if let Some(apex) = part.apex {
        let mut around: Vec<_> = document.ancestors(apex).filter_map(|id| document.element(id)).collect();
        around.reverse();
        for element in around {
            for declaration in document.declarations(element) {
                writer.here.bind(declaration.prefix, declaration.namespace);
            }
        }
    }
    let comments = method.comments && part.comments;
    let mut id = nodes.start;
    while id < nodes.end {
        writer.close_up_to(id);
        if Some(id) == part.without {
            id = document.subtree(id).end.max(id + 1);
            continue;
        }
        writer.node(id, comments)?;
        if writer.out.len() > limit {
            return Err(Refused::TooLarge("canonical form"));
        }
        id += 1;
    }
    writer.close_up_to(nodes.end);
    Ok(writer.out)
}

struct Writer<'d, 'a> {
    document: &'d Document<'a>,
    method: &'d Canonical,
    apex: Option<NodeId>,
    /// What prefixes mean at this place.
    here: Scope<'a>,
    /// What the written elements around have declared.
    rendered: Scope<'a>,
    out: Vec<u8>,
    open: Vec<Open<'a>>,
}

/// A written element whose end tag is still to come.
struct Open<'a> {
    name: &'a str,
    end: NodeId,
    here: usize,
    rendered: usize,
}

impl<'a> Writer<'_, 'a> {
    fn node(&mut self, id: NodeId, comments: bool) -> Result<(), Refused> {
        let document = self.document;
        let Some(node) = document.node(id) else {
            return Ok(());
        };
        match &node.kind {
            Kind::Element(element) => return self.element(id, element),
            Kind::Text(text) => escape(&mut self.out, text, |byte| match byte {
                b'&' => Some(b"&amp;"),
                b'<' => Some(b"&lt;"),
                b'>' => Some(b"&gt;"),
                b'\r' => Some(b"&#xD;"),
                _ => None,
            }),
            Kind::Comment(text) if comments => self.aside(node.parent.is_none(), id, &["<!--", text, "-->"]),
            Kind::Comment(_) => {}
            Kind::Instruction(target, data) => {
                let space = if data.is_empty() { "" } else { " " };
                self.aside(node.parent.is_none(), id, &["<?", target, space, data, "?>"]);
            }
        }
        Ok(())
    }

    /// Comments and instructions; outside the document element each has a line of its own.
    fn aside(&mut self, outside: bool, id: NodeId, parts: &[&str]) {
        let after = outside && id > self.document.root();
        let before = outside && !after;
        if after {
            self.out.push(b'\n');
        }
        for part in parts {
            self.out.extend_from_slice(part.as_bytes());
        }
        if before {
            self.out.push(b'\n');
        }
    }

    fn element(&mut self, id: NodeId, element: &Element<'a>) -> Result<(), Refused> {
        let document = self.document;
        let open = Open {
            name: element.name,
            end: document.subtree(id).end,
            here: self.here.mark(),
            rendered: self.rendered.mark(),
        };
        let declared = document.declarations(element);
        for declaration in declared {
            self.here.bind(declaration.prefix, declaration.namespace);
        }
        self.out.push(b'<');
        self.out.extend_from_slice(element.name.as_bytes());
        let first = self.open.is_empty();
        if self.method.form == Form::Exclusive {
            self.exclusive(element, first);
        } else if first {
            for (prefix, namespace) in self.here.sorted() {
                self.declare(prefix, namespace);
            }
        } else {
            for declaration in declared {
                self.declare(declaration.prefix, declaration.namespace);
            }
        }
        if first && self.apex == Some(id) && self.method.form != Form::Exclusive {
            self.inherited(id, element)?;
        } else {
            for attribute in document.attributes(element) {
                write_attribute(&mut self.out, attribute);
            }
        }
        self.out.push(b'>');
        self.open.push(open);
        Ok(())
    }

    /// Declarations of the exclusive form: of prefixes that are used here, and of those listed.
    fn exclusive(&mut self, element: &Element<'a>, first: bool) {
        let document = self.document;
        let mut used: Vec<&'a str> = vec![element.prefix];
        let attributes = document.attributes(element);
        used.extend(
            attributes
                .iter()
                .map(|attribute| attribute.prefix)
                .filter(|prefix| !prefix.is_empty()),
        );
        if !self.method.prefixes.is_empty() {
            let listed = |prefix: &str| self.method.prefixes.iter().any(|listed| listed == prefix);
            if first {
                used.extend(
                    self.here
                        .sorted()
                        .into_iter()
                        .map(|(prefix, _)| prefix)
                        .filter(|prefix| listed(prefix)),
                );
            } else {
                let declared = document
                    .declarations(element)
                    .iter()
                    .map(|declaration| declaration.prefix);
                used.extend(declared.filter(|prefix| listed(prefix)));
            }
        }
        used.sort_unstable();
        used.dedup();
        for prefix in used {
            self.declare(prefix, self.here.get(prefix).unwrap_or(NONE));
        }
    }

    /// Writes a declaration unless what is written around already says it.
    fn declare(&mut self, prefix: &'a str, namespace: u32) {
        if prefix == "xml" || self.rendered.get(prefix).unwrap_or(NONE) == namespace {
            return;
        }
        self.rendered.bind(prefix, namespace);
        self.out.extend_from_slice(b" xmlns");
        if !prefix.is_empty() {
            self.out.push(b':');
            self.out.extend_from_slice(prefix.as_bytes());
        }
        self.out.extend_from_slice(b"=\"");
        escape_value(&mut self.out, self.document.namespace(namespace));
        self.out.push(b'"');
    }

    /// Attributes of the first element of a part in the inclusive forms: those of `xml:` come along from outside.
    fn inherited(&mut self, id: NodeId, element: &Element<'a>) -> Result<(), Refused> {
        let document = self.document;
        let mut all: Vec<&Attribute<'a>> = document.attributes(element).iter().collect();
        let xml = |attribute: &&Attribute<'a>| attribute.namespace == XML_ID;
        let mut known: HashSet<&str> = all.iter().copied().filter(xml).map(|seen| seen.local).collect();
        let around = document.ancestors(id).filter_map(|id| document.element(id));
        for attribute in around.flat_map(|element| document.attributes(element)).filter(xml) {
            let inherits = match (self.method.form, attribute.local) {
                (Form::Inclusive11, "base") => return Err(Refused::XmlBase),
                (Form::Inclusive11, local) => matches!(local, "lang" | "space"),
                _ => true,
            };
            if inherits && known.insert(attribute.local) {
                all.push(attribute);
            }
        }
        all.sort_by_key(|attribute| (document.namespace(attribute.namespace), attribute.local));
        for attribute in all {
            write_attribute(&mut self.out, attribute);
        }
        Ok(())
    }

    /// Ends the elements that end before this node.
    fn close_up_to(&mut self, id: NodeId) {
        while let Some(open) = self.open.pop_if(|open| open.end <= id) {
            self.out.extend_from_slice(b"</");
            self.out.extend_from_slice(open.name.as_bytes());
            self.out.push(b'>');
            self.here.rewind(open.here);
            self.rendered.rewind(open.rendered);
        }
    }
}

fn write_attribute(out: &mut Vec<u8>, attribute: &Attribute<'_>) {
    out.push(b' ');
    out.extend_from_slice(attribute.name.as_bytes());
    out.extend_from_slice(b"=\"");
    escape_value(out, &attribute.value);
    out.push(b'"');
}

/// An attribute's value, as the canonical forms write it.
pub(crate) fn escape_value(out: &mut Vec<u8>, text: &str) {
    escape(out, text, |byte| match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'"' => Some(b"&quot;"),
        b'\t' => Some(b"&#x9;"),
        b'\n' => Some(b"&#xA;"),
        b'\r' => Some(b"&#xD;"),
        _ => None,
    });
}

fn escape(out: &mut Vec<u8>, text: &str, special: impl Fn(u8) -> Option<&'static [u8]>) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if let Some(escaped) = special(*byte) {
            out.extend_from_slice(bytes.get(written..at).unwrap_or_default());
            out.extend_from_slice(escaped);
            written = at + 1;
        }
    }
    out.extend_from_slice(bytes.get(written..).unwrap_or_default());
}
