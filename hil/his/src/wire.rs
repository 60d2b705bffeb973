//! XML as the HIS reads and writes it: a small tree in, strings out.

use std::fmt::Write as _;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

const DEEPEST: usize = 64;

/// An element with its text and children; namespaces are cut off.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Node {
    /// Local name.
    pub(crate) name: String,
    /// Text directly inside, CDATA included.
    pub(crate) text: String,
    /// Child elements in order.
    pub(crate) children: Vec<Node>,
}

impl Node {
    /// Parses a document; DOCTYPEs and deep nesting are refused.
    pub(crate) fn parse(xml: &str) -> Result<Node, String> {
        let mut reader = Reader::from_str(xml.trim_start_matches('\u{feff}'));
        let mut open: Vec<Node> = Vec::new();
        let mut root: Option<Node> = None;
        loop {
            let event = reader.read_event().map_err(|e| e.to_string())?;
            match event {
                Event::Start(start) => {
                    if open.len() >= DEEPEST {
                        return Err("nested too deep".into());
                    }
                    open.push(Node::named(&start));
                }
                Event::Empty(start) => close(&mut open, &mut root, Node::named(&start))?,
                Event::End(_) => {
                    let done = open.pop().ok_or("end without start")?;
                    close(&mut open, &mut root, done)?;
                }
                Event::Text(text) => {
                    if let Some(node) = open.last_mut() {
                        node.text += &text;
                    }
                }
                Event::CData(data) => {
                    if let Some(node) = open.last_mut() {
                        node.text += &data;
                    }
                }
                Event::GeneralRef(entity) => {
                    let c = match entity.resolve_char_ref().map_err(|e| e.to_string())? {
                        Some(c) => c,
                        None => named_entity(&entity)?,
                    };
                    if let Some(node) = open.last_mut() {
                        node.text.push(c);
                    }
                }
                Event::DocType(_) => return Err("DOCTYPE is not accepted".into()),
                Event::Eof => break,
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            }
        }
        if !open.is_empty() {
            return Err("document ends inside an element".into());
        }
        root.ok_or_else(|| "no element".into())
    }

    fn named(start: &BytesStart<'_>) -> Node {
        let name = start.local_name().as_ref().to_owned();
        Node {
            name,
            ..Node::default()
        }
    }

    /// The first child of that name.
    pub(crate) fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The trimmed text of a child; empty when it is absent.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.trim())
    }

    /// The `<item>` children of a child.
    pub(crate) fn list(&self, name: &str) -> Vec<&Node> {
        self.child(name).map_or_else(Vec::new, |list| {
            list.children.iter().filter(|item| item.name == "item").collect()
        })
    }

    /// Adds a text child; used where a request is built rather than received.
    pub(crate) fn put(&mut self, name: &str, text: impl Into<String>) {
        self.children.push(Node {
            name: name.into(),
            text: text.into(),
            children: Vec::new(),
        });
    }
}

fn close(open: &mut [Node], root: &mut Option<Node>, done: Node) -> Result<(), String> {
    match open.last_mut() {
        Some(parent) => parent.children.push(done),
        None if root.is_none() => *root = Some(done),
        None => return Err("more than one root element".into()),
    }
    Ok(())
}

fn named_entity(name: &str) -> Result<char, String> {
    Ok(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        other => return Err(format!("unknown entity &{other};")),
    })
}

/// Escapes text for an element or attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() && !matches!(c, '\n' | '\r' | '\t') => {}
            c => out.push(c),
        }
    }
    out
}

/// One `<item>` of a reply: fields in order, text or nested lists.
#[derive(Debug, Clone, Default)]
pub(crate) struct Item(Vec<(&'static str, Field)>);

#[derive(Debug, Clone)]
enum Field {
    Text(String),
    List(Vec<Item>),
}

impl Item {
    /// Adds a text field.
    pub(crate) fn with(mut self, name: &'static str, text: impl ToString) -> Self {
        self.0.push((name, Field::Text(text.to_string())));
        self
    }

    /// Adds a nested list.
    pub(crate) fn with_list(mut self, name: &'static str, items: Vec<Item>) -> Self {
        self.0.push((name, Field::List(items)));
        self
    }

    /// The text of a field.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0
            .iter()
            .find_map(|(field, value)| match value {
                Field::Text(text) if *field == name => Some(text.as_str()),
                _ => None,
            })
            .unwrap_or("")
    }

    fn write(&self, out: &mut String) {
        out.push_str("<item>");
        for (name, field) in &self.0 {
            match field {
                Field::Text(text) => {
                    let _infallible = write!(out, "<{name}>{}</{name}>", escape(text));
                }
                Field::List(items) => {
                    let _infallible = write!(out, "<{name}>");
                    items.iter().for_each(|item| item.write(out));
                    let _infallible = write!(out, "</{name}>");
                }
            }
        }
        out.push_str("</item>");
    }
}

/// What an operation answers.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// The HIS result code.
    pub(crate) code: String,
    /// Words for the person.
    pub(crate) message: String,
    /// Result items.
    pub(crate) items: Vec<Item>,
}

impl Reply {
    /// Done, with items.
    pub(crate) fn done(items: Vec<Item>) -> Self {
        Self {
            code: "0".into(),
            message: "成功".into(),
            items,
        }
    }

    /// Items, or "no data" when there are none.
    pub(crate) fn found(items: Vec<Item>) -> Self {
        if items.is_empty() {
            Self::of("1", "未查询到数据")
        } else {
            Self::done(items)
        }
    }

    /// A code without items.
    pub(crate) fn of(code: &str, message: &str) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            items: Vec::new(),
        }
    }

    /// The inner XML string.
    pub(crate) fn to_xml(&self, charset: &str) -> String {
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"{charset}\"?>\n<response><resultCode>{}</resultCode><resultMessage>{}</resultMessage><result>",
            escape(&self.code),
            escape(&self.message)
        );
        self.items.iter().for_each(|item| item.write(&mut out));
        out.push_str("</result></response>");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::{Item, Node, Reply};

    #[test]
    fn what_is_written_reads_back() {
        let item = Item::default()
            .with("name", "a<b&\"c\" 心")
            .with_list("diagnosis", vec![Item::default().with("code", "I10")]);
        let tree = Node::parse(&Reply::done(vec![item]).to_xml("UTF-8")).unwrap();
        let items = tree.list("result");
        assert_eq!(items[0].get("name"), "a<b&\"c\" 心");
        assert_eq!(items[0].list("diagnosis")[0].get("code"), "I10");
    }

    #[test]
    fn cdata_and_references_are_text() {
        let tree = Node::parse("<a><b><![CDATA[<x>]]>&#x5FC3;&amp;</b></a>").unwrap();
        assert_eq!(tree.get("b"), "<x>心&");
    }

    #[test]
    fn entities_of_the_sender_are_refused() {
        for bad in [
            "<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><a>&e;</a>",
            "<a>&e;</a>",
            "<a><b></a>",
            "<a/><b/>",
            "",
        ] {
            assert!(Node::parse(bad).is_err(), "{bad}");
        }
        assert!(Node::parse(&"<a>".repeat(100)).is_err());
    }
}
