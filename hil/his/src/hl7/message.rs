//! HL7 v2 messages: segments, fields, components, escapes.

use crate::charset::Charset;

/// The separators a message declares.
#[derive(Debug, Clone, Copy)]
struct Separators {
    field: char,
    component: char,
    repetition: char,
    escape: char,
    sub: char,
}

/// A segment; field numbers are those of the standard, also for MSH.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// Three letters.
    pub(super) name: String,
    fields: Vec<String>,
    separators: Separators,
}

/// A message.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// In order, MSH first.
    pub(super) segments: Vec<Segment>,
}

/// The charset named in MSH-18, looked for in the bytes of the first segment.
pub(super) fn charset_of(bytes: &[u8]) -> Charset {
    let end = bytes.iter().position(|b| *b == b'\r').unwrap_or(bytes.len());
    let head = bytes.get(..end).unwrap_or_default();
    let gb = head.windows(8).any(|w| w == b"GB 18030" || w == b"GB18030-");
    if gb { Charset::Gbk } else { Charset::Utf8 }
}

impl Message {
    /// Parses text; nothing when it does not begin with a usable MSH.
    pub(super) fn parse(text: &str) -> Option<Message> {
        let head = text.strip_prefix("MSH")?;
        let mut chars = head.chars();
        let separators = Separators {
            field: chars.next()?,
            component: chars.next()?,
            repetition: chars.next()?,
            escape: chars.next()?,
            sub: chars.next()?,
        };
        let segments = text
            .split('\r')
            .map(|line| line.trim_start_matches('\n'))
            .filter(|line| !line.is_empty())
            .map(|line| {
                let mut fields: Vec<String> = line.split(separators.field).map(ToOwned::to_owned).collect();
                let name = fields.first().cloned().unwrap_or_default();
                if name == "MSH" {
                    fields.insert(1, separators.field.to_string());
                }
                Segment {
                    name,
                    fields,
                    separators,
                }
            })
            .collect();
        Some(Message { segments })
    }

    /// The first segment of that name.
    pub(super) fn first(&self, name: &str) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.name == name)
    }

    /// A component of a field of the first such segment.
    pub(super) fn get(&self, name: &str, field: usize, component: usize) -> String {
        self.first(name)
            .map_or(String::new(), |segment| segment.get(field, component))
    }
}

impl Segment {
    /// The raw text of a field.
    pub(super) fn raw(&self, field: usize) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    /// A component (from 1) of the first repetition, unescaped.
    pub(super) fn get(&self, field: usize, component: usize) -> String {
        self.repeats(field).first().map_or(String::new(), |parts| {
            parts.get(component.saturating_sub(1)).cloned().unwrap_or_default()
        })
    }

    /// All repetitions of a field, each as its unescaped components.
    pub(super) fn repeats(&self, field: usize) -> Vec<Vec<String>> {
        let s = self.separators;
        self.raw(field)
            .split(s.repetition)
            .map(|one| one.split(s.component).map(|part| s.unescape(part)).collect())
            .collect()
    }
}

impl Separators {
    fn unescape(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(self.escape) {
            out += before;
            let Some((code, tail)) = after.split_once(self.escape) else {
                out.push(self.escape);
                rest = after;
                continue;
            };
            match code {
                "F" => out.push(self.field),
                "S" => out.push(self.component),
                "T" => out.push(self.sub),
                "R" => out.push(self.repetition),
                "E" => out.push(self.escape),
                ".br" => out.push('\n'),
                code if code.starts_with('X') => out += &hex_text(code.get(1..).unwrap_or("")),
                _ => {}
            }
            rest = tail;
        }
        out + rest
    }
}

fn hex_text(digits: &str) -> String {
    let nibble = |c: u8| char::from(c).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let bytes: Vec<u8> = digits
        .as_bytes()
        .chunks(2)
        .filter_map(|two| Some(nibble(*two.first()?)? * 16 + nibble(*two.get(1)?)?))
        .collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Escapes text for a field with the usual separators.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' => out += "\\F\\",
            '^' => out += "\\S\\",
            '&' => out += "\\T\\",
            '~' => out += "\\R\\",
            '\\' => out += "\\E\\",
            '\r' | '\n' => out += "\\.br\\",
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Message, escape};

    #[test]
    fn fields_have_the_numbers_of_the_standard() {
        let text = "MSH|^~\\&|APP|FAC|||20261121||QBP^Q22^QBP_Q21|id1|P|2.5|||AL|AL|CHN|UNICODE UTF-8\rQPD|Q22^Find|t1|@PID.3.1^P000001~@PID.5.1^\\X5A\\a\\T\\b\r";
        let message = Message::parse(text).unwrap();
        assert_eq!(message.get("MSH", 9, 2), "Q22");
        assert_eq!(message.get("MSH", 10, 1), "id1");
        assert_eq!(message.get("MSH", 18, 1), "UNICODE UTF-8");
        let asked = message.first("QPD").unwrap().repeats(3);
        assert_eq!(asked[1], ["@PID.5.1", "Za&b"]);
    }

    #[test]
    fn what_is_escaped_reads_back() {
        let words = "血压|140^90~&\\";
        let text = format!("MSH|^~\\&|\rNTE|1||{}\r", escape(words));
        assert_eq!(Message::parse(&text).unwrap().get("NTE", 3, 1), words);
    }
}
