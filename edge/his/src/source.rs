//! Where values are taken from: canonical JSON, an XML element, an HL7 message.

use std::borrow::Cow;

use serde_json::Value;

use crate::hl7::Message;
use crate::xml::Element;

/// Something values are looked up in by path.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// Canonical JSON; `a.b` goes down objects.
    Canonical(&'a Value),
    /// An XML element; `a/b` goes down children.
    Xml(&'a Element),
    /// An HL7 message; see [`Message`] for paths. With a current segment, `PID-5` is that one's.
    Hl7(&'a Message, Option<&'a str>),
}

impl<'a> Source<'a> {
    /// Text at the path; `None` when it is absent (an empty XML element is absent too).
    pub fn text(self, path: &str) -> Option<Cow<'a, str>> {
        match self {
            Self::Canonical(value) => match find(value, path)? {
                Value::String(text) => Some(Cow::Borrowed(text.as_str())),
                Value::Number(n) => Some(Cow::Owned(n.to_string())),
                Value::Bool(b) => Some(Cow::Borrowed(if *b { "1" } else { "0" })),
                _ => None,
            },
            Self::Xml(element) => {
                let text = element.at(path)?.text.trim();
                (!text.is_empty()).then_some(Cow::Borrowed(text))
            }
            Self::Hl7(message, current) => {
                if let Some(segment) = current
                    && let Some((name, rest)) = path.split_once('-')
                    && segment.get(..3) == Some(name)
                {
                    return message.within(segment, rest);
                }
                message.get(path)
            }
        }
    }

    /// The items at the path: array elements, elements of that path's last name, segments of that name.
    pub fn list(self, path: &str) -> Vec<Self> {
        match self {
            Self::Canonical(value) => find(value, path)
                .and_then(Value::as_array)
                .map(|items| items.iter().map(Self::Canonical).collect())
                .unwrap_or_default(),
            Self::Xml(element) => {
                let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
                element
                    .at(parent)
                    .map(|p| p.children.iter().filter(|c| c.name == name).map(Self::Xml).collect())
                    .unwrap_or_default()
            }
            Self::Hl7(message, _) => (1..=message.count(path))
                .filter_map(|n| message.segment(path, n))
                .map(|s| Self::Hl7(message, Some(s)))
                .collect(),
        }
    }

    /// The JSON value at a path of canonical data.
    pub fn canonical(self, path: &str) -> Option<&'a Value> {
        match self {
            Self::Canonical(value) => find(value, path),
            _ => None,
        }
    }
}

fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if path == "." {
        return Some(value);
    }
    path.split('.')
        .try_fold(value, |v, name| v.get(name))
        .filter(|v| !v.is_null())
}
