//! A message as text with a lazy index: nothing is split until it is asked for.
//!
//! Paths: `SCH-2` (first component of the field's first repetition), `SCH-11.4`, `PID-3[PI].1` (the repetition whose
//! fifth component is `PI`), `AIS-3.1`, and a segment's n-th occurrence as `NTE#2-3`.

use std::borrow::Cow;

/// The five separators of MSH-1 and MSH-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Separators {
    /// `|`
    pub field: char,
    /// `^`
    pub component: char,
    /// `~`
    pub repetition: char,
    /// `\`
    pub escape: char,
    /// `&`
    pub subcomponent: char,
}

impl Default for Separators {
    fn default() -> Self {
        Self {
            field: '|',
            component: '^',
            repetition: '~',
            escape: '\\',
            subcomponent: '&',
        }
    }
}

/// Why a text is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Does not begin with MSH.
    #[error("does not begin with MSH")]
    NoHeader,
    /// MSH-1 and MSH-2 do not name five different separators.
    #[error("MSH-1 and MSH-2 do not name the separators")]
    Separators,
    /// Bytes are no text in a known charset.
    #[error("bytes are no text in the charset of MSH-18")]
    Charset,
}

/// A parsed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    text: String,
    separators: Separators,
    segments: Vec<std::ops::Range<usize>>,
}

impl Message {
    /// Reads bytes; MSH-18 tells the charset, the bytes themselves have the last word.
    ///
    /// # Errors
    /// See [`MessageError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MessageError> {
        let head = bytes.split(|b| *b == b'\r').next().unwrap_or_default();
        let head = String::from_utf8_lossy(head);
        let declared = head.split(head.chars().nth(3).unwrap_or('|')).nth(17).and_then(|name| {
            crate::charset::Charset::by_name(name.split('~').find(|p| !p.is_empty()).unwrap_or_default())
        });
        let (text, _) = crate::charset::decode(bytes, declared).map_err(|_| MessageError::Charset)?;
        Self::parse(text)
    }

    /// Reads text. Segments end with CR; LF and CRLF are tolerated.
    ///
    /// # Errors
    /// See [`MessageError`].
    pub fn parse(text: String) -> Result<Self, MessageError> {
        let mut head = text.strip_prefix("MSH").ok_or(MessageError::NoHeader)?.chars();
        let mut next = || {
            head.next()
                .filter(|c| !c.is_alphanumeric() && !c.is_control())
                .ok_or(MessageError::Separators)
        };
        let separators = Separators {
            field: next()?,
            component: next()?,
            repetition: next()?,
            escape: next()?,
            subcomponent: next()?,
        };
        let s = separators;
        let mut all = [s.field, s.component, s.repetition, s.escape, s.subcomponent];
        all.sort_unstable();
        if all.windows(2).any(|w| w.first() == w.last()) {
            return Err(MessageError::Separators);
        }
        let mut segments = Vec::new();
        let mut start = 0;
        for (at, _) in text.match_indices(['\r', '\n']) {
            if at > start {
                segments.push(start..at);
            }
            start = at + 1;
        }
        if start < text.len() {
            segments.push(start..text.len());
        }
        Ok(Self {
            text,
            separators,
            segments,
        })
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The separators.
    pub const fn separators(&self) -> Separators {
        self.separators
    }

    /// The segments as text, in order.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|r| self.text.get(r.clone()))
    }

    /// The n-th (from 1) segment of this name.
    pub fn segment(&self, name: &str, nth: usize) -> Option<&str> {
        let sep = self.separators.field;
        self.segments()
            .filter(|s| {
                s.strip_prefix(name)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(sep))
            })
            .nth(nth.checked_sub(1)?)
    }

    /// How many segments of this name there are.
    pub fn count(&self, name: &str) -> usize {
        let sep = self.separators.field;
        self.segments()
            .filter(|s| {
                s.strip_prefix(name)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(sep))
            })
            .count()
    }

    /// Raw text of a field of a segment (MSH counted the HL7 way, MSH-1 being the separator itself).
    pub fn field<'a>(&'a self, segment: &'a str, number: usize) -> Option<&'a str> {
        let sep = self.separators.field;
        if segment.starts_with("MSH") {
            return match number {
                1 => segment.get(3..3 + sep.len_utf8()),
                n => segment.split(sep).nth(n.checked_sub(1)?),
            };
        }
        segment.split(sep).nth(number)
    }

    /// Text at a path, unescaped; `None` when the segment or field is absent or empty, `""` (HL7 null) is empty too.
    pub fn get(&self, path: &str) -> Option<Cow<'_, str>> {
        let (segment, rest) = path.split_once('-')?;
        let (name, nth) = match segment.split_once('#') {
            Some((name, nth)) => (name, nth.parse().ok()?),
            None => (segment, 1),
        };
        self.within(self.segment(name, nth)?, rest)
    }

    /// Text at the rest of a path (`3[PI].1`) within a segment.
    pub fn within<'a>(&'a self, segment: &'a str, rest: &str) -> Option<Cow<'a, str>> {
        let (field, component) = match rest.rsplit_once('.') {
            Some((f, c)) => (f, c.parse::<usize>().ok()?),
            None => (rest, 1),
        };
        let (number, kind) = match field.split_once('[') {
            Some((n, k)) => (n.parse().ok()?, Some(k.trim_end_matches(']'))),
            None => (field.parse().ok()?, None),
        };
        let raw = self.field(segment, number)?;
        if segment.starts_with("MSH") && number <= 2 {
            return Some(Cow::Borrowed(raw));
        }
        let s = self.separators;
        let mut repetitions = raw.split(s.repetition);
        let repetition = match kind {
            None => repetitions.next()?,
            Some(kind) => repetitions.find(|r| r.split(s.component).nth(4).is_some_and(|c| c == kind))?,
        };
        let raw = repetition.split(s.component).nth(component.checked_sub(1)?)?;
        let raw = raw.split(s.subcomponent).next().unwrap_or_default();
        (!raw.is_empty() && raw != "\"\"").then(|| unescape(raw, s))
    }
}

/// Text as field content: separators, the escape itself and line ends are escaped.
pub fn escape(text: &str, s: Separators) -> Cow<'_, str> {
    let special = |c: char| {
        c == s.field || c == s.component || c == s.repetition || c == s.escape || c == s.subcomponent || c < ' '
    };
    if !text.chars().any(special) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        let code = match c {
            _ if c == s.field => "F",
            _ if c == s.component => "S",
            _ if c == s.repetition => "R",
            _ if c == s.escape => "E",
            _ if c == s.subcomponent => "T",
            '\r' => continue,
            '\n' => ".br",
            _ if c < ' ' => {
                out.push(' ');
                continue;
            }
            _ => {
                out.push(c);
                continue;
            }
        };
        out.push(s.escape);
        out.push_str(code);
        out.push(s.escape);
    }
    Cow::Owned(out)
}

/// Field content as text. Unknown escapes stay as they are, so that nothing is lost.
pub fn unescape(raw: &str, s: Separators) -> Cow<'_, str> {
    if !raw.contains(s.escape) {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once(s.escape) {
        out.push_str(before);
        let Some((code, tail)) = after.split_once(s.escape) else {
            out.push(s.escape);
            rest = after;
            continue;
        };
        match code {
            "F" => out.push(s.field),
            "S" => out.push(s.component),
            "R" => out.push(s.repetition),
            "E" => out.push(s.escape),
            "T" => out.push(s.subcomponent),
            ".br" | ".sp" => out.push('\n'),
            "H" | "N" => {}
            _ => match code
                .strip_prefix('X')
                .and_then(|h| hex::decode(h).ok())
                .and_then(|b| String::from_utf8(b).ok())
            {
                Some(text) => out.push_str(&text.replace('\0', " ")),
                None => {
                    out.push(s.escape);
                    out.push_str(code);
                    // The closing escape may open the next one.
                    rest = after.get(code.len()..).unwrap_or_default();
                    if !is_escape(rest, s) {
                        out.push(s.escape);
                        rest = tail;
                    }
                    continue;
                }
            },
        }
        rest = tail;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn is_escape(text: &str, s: Separators) -> bool {
    text.strip_prefix(s.escape)
        .and_then(|t| t.split_once(s.escape))
        .is_some_and(|(code, _)| matches!(code, "F" | "S" | "R" | "E" | "T" | ".br"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REPLY: &str = "MSH|^~\\&|HIS|H01|YIQIAO|H01|20261121153000||SRR^S01^SRR_S01|R1|P|2.5||||||UNICODE UTF-8\rMSA|AA|Q1\r\
        SCH|con_1|H000001|||||LOCKED|||||^^^202611230800^202611230815||||||||||||||Pending\rPID|||P000001^^^HIS^PI~8000000001^^^HIS^MR||欧阳\\T\\静||19800101|F\r\
        NTE|1||mzFeeId=F1\rNTE|2||second\rZFE|1000|2000|20261121154500\r";

    #[test]
    fn fields_are_found_by_path() {
        let m = Message::parse(REPLY.to_owned()).unwrap();
        let get = |p: &str| m.get(p).map(Cow::into_owned);
        assert_eq!(get("MSH-10").as_deref(), Some("R1"));
        assert_eq!(get("MSH-9.2").as_deref(), Some("S01"));
        assert_eq!(get("MSH-1").as_deref(), Some("|"));
        assert_eq!(get("SCH-2").as_deref(), Some("H000001"));
        assert_eq!(get("SCH-12.4").as_deref(), Some("202611230800"));
        assert_eq!(get("PID-3[MR].1").as_deref(), Some("8000000001"));
        assert_eq!(get("PID-3[NI].1"), None);
        assert_eq!(get("PID-5").as_deref(), Some("欧阳&静"));
        assert_eq!(get("NTE#2-3").as_deref(), Some("second"));
        assert_eq!(get("ZFE-9"), None);
    }

    #[test]
    fn a_zero_byte_is_a_blank_however_it_is_written() {
        let m = Message::from_bytes(b"MSH|^~\\&|HIS\rZZZ|A\0B|A\\X00\\B\r").unwrap();
        assert_eq!(
            (m.get("ZZZ-1").unwrap(), m.get("ZZZ-2").unwrap()),
            ("A B".into(), "A B".into())
        );
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (text, expected) in [
            ("", MessageError::NoHeader),
            ("PID|1", MessageError::NoHeader),
            ("MSH", MessageError::Separators),
            ("MSH|||||", MessageError::Separators),
            ("MSHABCDE", MessageError::Separators),
        ] {
            assert_eq!(Message::parse(text.to_owned()), Err(expected), "{text}");
        }
        assert_eq!(
            Message::from_bytes(b"MSH|^~\\&|\xff\xff\x00"),
            Err(MessageError::Charset)
        );
    }

    #[test]
    fn gb18030_is_read_by_its_declaration() {
        let text = "MSH|^~\\&|HIS|||||||1|P|2.5||||||GB 18030-2000\rPID|1||||龘𬭩\r";
        let bytes = encoding_rs::GB18030.encode(text).0.into_owned();
        assert_eq!(Message::from_bytes(&bytes).unwrap().get("PID-5").unwrap(), "龘𬭩");
    }

    proptest! {
        #[test]
        fn any_text_survives_a_field(text in "[^\u{0}-\u{1f}]{0,40}") {
            let s = Separators::default();
            let escaped = escape(&text, s);
            prop_assert_eq!(unescape(&escaped, s), text.as_str());
        }

        /// The index agrees with an independent parser on every field of generated messages.
        #[test]
        fn an_independent_parser_reads_the_same(fields in prop::collection::vec("[A-Za-z0-9 .\u{4e00}-\u{4e20}^~&]{0,12}", 1..8)) {
            let text = format!("MSH|^~\\&|A|B|C|D|20260101||ADT^A28|1|P|2.5\rZZZ|{}\r", fields.join("|"));
            let ours = Message::parse(text.clone()).unwrap();
            let theirs = hl7_parser::parse_message(&text).unwrap();
            let segment = theirs.segment("ZZZ").unwrap();
            for (i, raw) in fields.iter().enumerate() {
                let field = segment.field(i + 1).unwrap();
                prop_assert_eq!(ours.field(ours.segment("ZZZ", 1).unwrap(), i + 1), Some(raw.as_str()));
                prop_assert_eq!(field.raw_value(), raw.as_str());
                let first = field.repeat(1).and_then(|r| r.component(2)).map(|c| c.subcomponent(1).map(|s| s.raw_value().to_owned()).unwrap_or_default());
                let ours = ours.get(&format!("ZZZ-{}.2", i + 1)).map(Cow::into_owned);
                prop_assert_eq!(ours.unwrap_or_default(), first.unwrap_or_default());
            }
        }
    }
}
