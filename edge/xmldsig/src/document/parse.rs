//! From text to nodes.

use std::borrow::Cow;
use std::collections::HashMap;

use super::scan::{Run, Scanner};
use super::{Attribute, Declaration, Document, Element, Kind, NONE, Node, Scope, XML, XML_ID, XMLNS, names};
use crate::{Limits, Refused};

impl<'a> Document<'a> {
    /// Reads a whole document.
    pub(crate) fn parse(text: &'a str, limits: &Limits) -> Result<Self, Refused> {
        if text.len() > limits.bytes || u32::try_from(text.len()).is_err() {
            return Err(Refused::TooLarge("document"));
        }
        let mut parser = Parser {
            scan: Scanner { text, at: 0 },
            limits,
            open: Vec::new(),
            scope: Scope::default(),
            known: HashMap::new(),
            root: None,
            document: Self {
                text,
                nodes: Vec::new(),
                attributes: Vec::new(),
                declarations: Vec::new(),
                namespaces: vec![Cow::Borrowed(""), Cow::Borrowed(XML)],
                root: 0,
            },
        };
        parser.scope.bind("xml", XML_ID);
        parser.known.insert(Cow::Borrowed(""), NONE);
        parser.known.insert(Cow::Borrowed(XML), XML_ID);
        parser.run()?;
        let mut document = parser.document;
        document.root = parser.root.ok_or(Refused::Malformed {
            at: "document without an element",
            line: 1,
        })?;
        Ok(document)
    }
}

struct Parser<'a, 'l> {
    scan: Scanner<'a>,
    limits: &'l Limits,
    open: Vec<Open>,
    scope: Scope<'a>,
    /// Numbers of the namespaces seen.
    known: HashMap<Cow<'a, str>, u32>,
    root: Option<usize>,
    document: Document<'a>,
}

/// An element whose end tag has not come yet.
struct Open {
    node: usize,
    mark: usize,
}

impl<'a> Parser<'a, '_> {
    fn run(&mut self) -> Result<(), Refused> {
        self.scan.take("\u{feff}");
        if ["<?xml ", "<?xml\t", "<?xml\r", "<?xml\n"]
            .iter()
            .any(|start| self.scan.starts_with(start))
        {
            self.scan.declaration()?;
        }
        loop {
            if self.open.is_empty() {
                self.scan.space();
                if self.scan.peek().is_none() {
                    return Ok(());
                }
            } else {
                self.text()?;
            }
            self.markup()?;
        }
    }

    /// What begins with `<`.
    fn markup(&mut self) -> Result<(), Refused> {
        let start = self.scan.at;
        if self.scan.take("</") {
            return self.end_tag(start);
        }
        if self.scan.take("<!--") {
            let comment = self.scan.characters(Run::Comment)?;
            return self.leaf(start, Kind::Comment(comment));
        }
        if self.scan.take("<?") {
            return self.instruction(start);
        }
        if self.scan.starts_with("<!DOCTYPE") {
            return Err(Refused::Doctype);
        }
        if !self.scan.take("<") {
            return Err(self.scan.malformed("text outside the document element"));
        }
        if self.open.is_empty() && self.root.is_some() {
            return Err(self.scan.malformed("second document element"));
        }
        self.start_tag(start)
    }

    /// Characters and CDATA sections up to the next other markup: one node.
    fn text(&mut self) -> Result<(), Refused> {
        let start = self.scan.at;
        let mut text = self.scan.characters(Run::Text)?;
        while self.scan.take("<![CDATA[") {
            let more = self.scan.characters(Run::CData)?;
            append(&mut text, more);
            let more = self.scan.characters(Run::Text)?;
            append(&mut text, more);
        }
        if text.is_empty() {
            return Ok(());
        }
        self.leaf(start, Kind::Text(text))
    }

    fn instruction(&mut self, start: usize) -> Result<(), Refused> {
        let target = self.scan.ncname("processing instruction")?;
        if target.eq_ignore_ascii_case("xml") {
            return Err(self.scan.malformed("XML declaration"));
        }
        let space = self.scan.space();
        if !space && !self.scan.starts_with("?>") {
            return Err(self.scan.malformed("processing instruction"));
        }
        let data = self.scan.characters(Run::Instruction)?;
        self.leaf(start, Kind::Instruction(target, data))
    }

    fn start_tag(&mut self, start: usize) -> Result<(), Refused> {
        if self.open.len() >= self.limits.depth {
            return Err(Refused::TooLarge("depth"));
        }
        let (name, prefix, local) = self.name("element name")?;
        let first_attribute = self.document.attributes.len();
        let first_declaration = self.document.declarations.len();
        let mark = self.scope.mark();
        let empty = loop {
            let space = self.scan.space();
            if self.scan.take("/>") {
                break true;
            }
            if self.scan.take(">") {
                break false;
            }
            if !space {
                return Err(self.scan.malformed("start tag"));
            }
            let here =
                self.document.attributes.len() - first_attribute + self.document.declarations.len() - first_declaration;
            if here >= self.limits.attributes {
                return Err(Refused::TooLarge("attributes"));
            }
            self.attribute()?;
        };
        self.settle(first_attribute, first_declaration)?;
        let namespace = match prefix {
            "" => self.scope.get("").unwrap_or(NONE),
            prefix => self.scope.get(prefix).ok_or_else(|| self.unbound(prefix))?,
        };
        let id = self.document.nodes.len();
        self.push(
            start,
            Kind::Element(Element {
                name,
                prefix,
                local,
                namespace,
                attributes: number(first_attribute)..number(self.document.attributes.len()),
                declarations: number(first_declaration)..number(self.document.declarations.len()),
                end_tag: None,
            }),
        )?;
        if self.open.is_empty() {
            self.root = Some(id);
        }
        if empty {
            self.close(id);
            self.scope.rewind(mark);
        } else {
            self.open.push(Open { node: id, mark });
        }
        Ok(())
    }

    /// One attribute or namespace declaration.
    fn attribute(&mut self) -> Result<(), Refused> {
        const AT: &str = "attribute";
        let (name, prefix, local) = self.name("attribute name")?;
        self.scan.space();
        self.scan.expect("=", AT)?;
        self.scan.space();
        let Some(quote @ (b'"' | b'\'')) = self.scan.peek() else {
            return Err(self.scan.malformed(AT));
        };
        self.scan.at += 1;
        let value = self.scan.characters(Run::Attribute(quote))?;
        self.room()?;
        if name == "xmlns" {
            self.declare("", value)
        } else if prefix == "xmlns" {
            self.declare(local, value)
        } else {
            self.document.attributes.push(Attribute {
                name,
                prefix,
                local,
                namespace: NONE,
                value,
            });
            Ok(())
        }
    }

    fn declare(&mut self, prefix: &'a str, name: Cow<'a, str>) -> Result<(), Refused> {
        let reserved = (prefix == "xml") != (name == XML) || prefix == "xmlns" || name == XMLNS;
        if reserved || (name.is_empty() && !prefix.is_empty()) {
            return Err(Refused::Namespace {
                name: if prefix.is_empty() {
                    name.into_owned()
                } else {
                    prefix.to_owned()
                },
                line: self.scan.line(),
            });
        }
        if !name.is_empty() && !names::is_absolute(&name) {
            return Err(Refused::RelativeNamespace(name.into_owned()));
        }
        let namespace = match self.known.get(&name) {
            Some(known) => *known,
            None => {
                let new = number(self.document.namespaces.len());
                self.document.namespaces.push(name.clone());
                self.known.insert(name, new);
                new
            }
        };
        self.document.declarations.push(Declaration { prefix, namespace });
        self.scope.bind(prefix, namespace);
        Ok(())
    }

    /// Attributes get their namespaces, their order, and no two may be the same.
    fn settle(&mut self, first_attribute: usize, first_declaration: usize) -> Result<(), Refused> {
        let twice = || self.scan.malformed("the same attribute twice");
        let declared = self
            .document
            .declarations
            .get_mut(first_declaration..)
            .unwrap_or_default();
        declared.sort_unstable_by_key(|declaration| declaration.prefix);
        if declared
            .windows(2)
            .any(|two| matches!(two, [a, b] if a.prefix == b.prefix))
        {
            return Err(twice());
        }
        let attributes = self.document.attributes.get_mut(first_attribute..).unwrap_or_default();
        let mut unbound = None;
        for attribute in attributes.iter_mut().filter(|attribute| !attribute.prefix.is_empty()) {
            match self.scope.get(attribute.prefix) {
                Some(namespace) => attribute.namespace = namespace,
                None => unbound = Some(attribute.prefix),
            }
        }
        let namespaces = &self.document.namespaces;
        let key = |attribute: &Attribute<'a>| namespaces.get(attribute.namespace as usize);
        if attributes.len() > 1 {
            attributes.sort_unstable_by(|a, b| {
                if a.namespace == b.namespace {
                    a.local.cmp(b.local)
                } else {
                    key(a).cmp(&key(b))
                }
            });
        }
        if attributes
            .windows(2)
            .any(|two| matches!(two, [a, b] if a.namespace == b.namespace && a.local == b.local))
        {
            return Err(twice());
        }
        unbound.map_or(Ok(()), |prefix| Err(self.unbound(prefix)))
    }

    fn end_tag(&mut self, start: usize) -> Result<(), Refused> {
        let open = self.open.pop().ok_or_else(|| self.scan.malformed("end tag"))?;
        let name = self.document.element(open.node).map_or("", |element| element.name);
        self.scan.expect(name, "end tag of another element")?;
        self.scan.space();
        self.scan.expect(">", "end tag of another element")?;
        if let Some(Node {
            kind: Kind::Element(element),
            ..
        }) = self.document.nodes.get_mut(open.node)
        {
            element.end_tag = Some(number(start));
        }
        self.close(open.node);
        self.scope.rewind(open.mark);
        Ok(())
    }

    /// A name and its two parts; at most one colon, neither part empty.
    fn name(&mut self, at: &'static str) -> Result<(&'a str, &'a str, &'a str), Refused> {
        let rest = self.scan.rest();
        let first = self.scan.ncname(at)?;
        let (prefix, local) = if self.scan.take(":") {
            (first, self.scan.ncname(at)?)
        } else {
            ("", first)
        };
        let length = if prefix.is_empty() {
            local.len()
        } else {
            prefix.len() + 1 + local.len()
        };
        if length > self.limits.name {
            return Err(Refused::TooLarge("name"));
        }
        Ok((rest.get(..length).unwrap_or_default(), prefix, local))
    }

    fn leaf(&mut self, start: usize, kind: Kind<'a>) -> Result<(), Refused> {
        self.push(start, kind)
    }

    fn push(&mut self, start: usize, kind: Kind<'a>) -> Result<(), Refused> {
        self.room()?;
        let end = number(self.document.nodes.len() + 1);
        self.document.nodes.push(Node {
            parent: self.open.last().map(|open| number(open.node)),
            end,
            start: number(start),
            stop: number(self.scan.at),
            kind,
        });
        Ok(())
    }

    fn close(&mut self, id: usize) {
        let end = number(self.document.nodes.len());
        let stop = number(self.scan.at);
        if let Some(node) = self.document.nodes.get_mut(id) {
            node.end = end;
            node.stop = stop;
        }
    }

    fn room(&self) -> Result<(), Refused> {
        let document = &self.document;
        if document.nodes.len() + document.attributes.len() + document.declarations.len() >= self.limits.items {
            return Err(Refused::TooLarge("document"));
        }
        Ok(())
    }

    fn unbound(&self, prefix: &str) -> Refused {
        Refused::Namespace {
            name: prefix.to_owned(),
            line: self.scan.line(),
        }
    }
}

fn append<'a>(text: &mut Cow<'a, str>, more: Cow<'a, str>) {
    if text.is_empty() {
        *text = more;
    } else if !more.is_empty() {
        text.to_mut().push_str(&more);
    }
}

/// Positions fit: a document is shorter than 4 GiB.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
