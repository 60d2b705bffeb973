//! XML from a hospital: read into a small tree with limits, no document type, no entities but the five.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::Event;

/// Largest document that is read.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
const MAX_DEPTH: usize = 32;
const MAX_ELEMENTS: usize = 400_000;

/// An element: local name, its own text, its children.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Name without prefix.
    pub name: String,
    /// Text and CDATA directly inside, concatenated.
    pub text: String,
    /// Child elements in order.
    pub children: Vec<Element>,
}

/// Why a document was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Not well-formed, or cut off.
    #[error("not well-formed: {0}")]
    Malformed(String),
    /// A document type declaration (the door to external entities) is refused.
    #[error("document type declarations are refused")]
    DocumentType,
    /// An entity other than the five of XML.
    #[error("unknown entity &{0};")]
    Entity(String),
    /// Larger, deeper or with more elements than is sensible.
    #[error("document exceeds a limit: {0}")]
    Limit(&'static str),
}

impl Element {
    /// The first child of this name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|c| c.name == name)
    }

    /// All children of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |c| c.name == name)
    }

    /// The first element of this name here or below, in document order.
    pub fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|c| c.find(name))
    }

    /// Text of the element at a path like `a/b`, trimmed.
    pub fn at(&self, path: &str) -> Option<&Self> {
        path.split('/')
            .filter(|s| !s.is_empty())
            .try_fold(self, |e, name| e.child(name))
    }
}

/// Reads a document.
///
/// # Errors
/// See [`XmlError`].
pub fn parse(text: &str) -> Result<Element, XmlError> {
    if text.len() > MAX_BYTES {
        return Err(XmlError::Limit("size"));
    }
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}').trim_start());
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    let mut elements = 0usize;
    loop {
        match reader.read_event().map_err(|e| XmlError::Malformed(e.to_string()))? {
            Event::Start(start) => {
                elements += 1;
                if elements > MAX_ELEMENTS {
                    return Err(XmlError::Limit("elements"));
                }
                if open.len() >= MAX_DEPTH {
                    return Err(XmlError::Limit("depth"));
                }
                if root.is_some() {
                    return Err(XmlError::Malformed("more than one root element".to_owned()));
                }
                open.push(Element {
                    name: start.local_name().as_ref().to_owned(),
                    ..Element::default()
                });
            }
            Event::End(_) | Event::Empty(_) => {
                let done = open
                    .pop()
                    .ok_or_else(|| XmlError::Malformed("end without start".to_owned()))?;
                match open.last_mut() {
                    Some(parent) => parent.children.push(done),
                    None => root = Some(done),
                }
            }
            Event::Text(t) => append(&mut open, &t.xml10_content())?,
            Event::CData(t) => append(&mut open, &t.xml10_content())?,
            Event::GeneralRef(r) => {
                let c = match r.resolve_char_ref().map_err(|e| XmlError::Malformed(e.to_string()))? {
                    Some(c) => c,
                    None => named(&r)?,
                };
                append(&mut open, c.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(_) => return Err(XmlError::DocumentType),
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    match root {
        Some(root) if open.is_empty() => Ok(root),
        _ => Err(XmlError::Malformed("document ends early".to_owned())),
    }
}

fn named(name: &str) -> Result<char, XmlError> {
    Ok(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        other => return Err(XmlError::Entity(other.chars().take(40).collect())),
    })
}

fn append(open: &mut [Element], text: &str) -> Result<(), XmlError> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(XmlError::Malformed("text outside the root element".to_owned())),
    }
    Ok(())
}

/// Text as element content. Characters XML 1.0 cannot hold become blanks, so that a stray control character in a
/// patient's words cannot make a request unreadable; `]]>` is harmless because `>` is escaped.
pub fn escape(text: &str) -> Cow<'_, str> {
    let illegal =
        |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    if text.chars().any(illegal) {
        let clean: String = text.chars().map(|c| if illegal(c) { ' ' } else { c }).collect();
        return Cow::Owned(quick_xml::escape::escape(clean.as_str()).into_owned());
    }
    quick_xml::escape::escape(text)
}

/// Charset named by an XML declaration at the head of raw bytes.
pub fn declared_charset(bytes: &[u8]) -> Option<&str> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let end = bytes.iter().take(200).position(|b| *b == b'>')?;
    let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let rest = head
        .strip_prefix("<?xml")?
        .split_once("encoding")?
        .1
        .split_once('=')?
        .1
        .trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    rest.get(1..)?.split(quote).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_with_text_cdata_and_references() {
        let doc = parse(
            "<?xml version=\"1.0\"?><a:r xmlns:a='u'><b>1 &lt; 2 &#x597D;</b><c><![CDATA[<x>&amp;]]></c><d/></a:r>",
        );
        let doc = doc.unwrap();
        assert_eq!(doc.name, "r");
        assert_eq!(doc.at("b").unwrap().text, "1 < 2 好");
        assert_eq!(doc.at("c").unwrap().text, "<x>&amp;");
        assert_eq!(doc.at("d").unwrap().text, "");
    }

    #[test]
    fn hostile_and_broken_documents_are_refused_by_name() {
        let deep = format!("{}{}", "<a>".repeat(40), "</a>".repeat(40));
        let table: [(&str, XmlError); 4] = [
            (
                "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
                XmlError::DocumentType,
            ),
            ("<a>&x;</a>", XmlError::Entity("x".into())),
            (&deep, XmlError::Limit("depth")),
            ("<a><b>1</b>", XmlError::Malformed("document ends early".into())),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), Err(expected), "{text}");
        }
        for text in [
            "<a><b>1</a></b>",
            "",
            "<a>1</a><b/>",
            "junk",
            "<a>1</a>tail",
            "<a>&</a>",
            "<a",
            "<a>&#0;</a>",
        ] {
            assert!(
                matches!(parse(text), Err(XmlError::Malformed(_))),
                "{text}: {:?}",
                parse(text)
            );
        }
    }

    #[test]
    fn what_is_escaped_is_read_back() {
        let nasty = "a]]>b<c>&d\"e'f\u{1}g";
        let back = parse(&format!("<x>{}</x>", escape(nasty))).unwrap();
        assert_eq!(back.text, nasty.replace('\u{1}', " "));
        assert_eq!(
            declared_charset(b"<?xml version='1.0' encoding='GBK'?><a/>"),
            Some("GBK")
        );
        assert_eq!(declared_charset(b"<a/>"), None);
    }
}
