//! Names of files on a recorder: what they say (never trusted alone), and how they are shown to people.
//!
//! GA/T 947 fixes which facts a name carries, and every maker arranges them differently, so the arrangement is a pattern:
//! `{serial}`, `{user}`, `{unit}`, `{time}` (14 digits, `YYYYMMDDhhmmss` in UTC+8, also with `_` or `-` after the day),
//! `{number}`, `{any}`, with the characters between them. The extension is not part of it.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use time::macros::format_description;
use time::{PrimitiveDateTime, UtcOffset};

use crate::Seconds;

/// What a name says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameFacts {
    /// Serial number of the recorder.
    pub serial: Option<String>,
    /// Number of its user.
    pub user: Option<String>,
    /// Begin of the recording by the recorder's clock.
    pub time: Option<Seconds>,
    /// Running number.
    pub number: Option<u64>,
}

/// A pattern that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Serial,
    User,
    Time,
    Number,
    Any,
}

/// Why a pattern is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("文件名格式不正确：{0}")]
pub struct NoPattern(String);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it names an unknown field, or two fields follow each other with nothing between them.
    pub fn parse(text: &str) -> Result<Self, NoPattern> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('{') {
                let (name, after) = inner
                    .split_once('}')
                    .ok_or_else(|| NoPattern(format!("{text} 缺少 }}")))?;
                let field = match name {
                    "serial" => Field::Serial,
                    "user" => Field::User,
                    "time" => Field::Time,
                    "number" => Field::Number,
                    "unit" | "any" => Field::Any,
                    other => return Err(NoPattern(format!("未知字段 {other}"))),
                };
                if matches!(parts.last(), Some(Part::Field(_))) {
                    return Err(NoPattern(format!("字段 {name} 前需要分隔符")));
                }
                parts.push(Part::Field(field));
                rest = after;
            } else {
                let end = rest.find('{').unwrap_or(rest.len());
                let (plain, after) = rest.split_at(end);
                parts.push(Part::Text(plain.to_owned()));
                rest = after;
            }
        }
        Ok(Self(parts))
    }

    /// What a file's name says; nothing when it does not follow the pattern.
    pub fn read(&self, path: &Path) -> NameFacts {
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        self.facts(stem).unwrap_or_default()
    }

    fn facts(&self, stem: &str) -> Option<NameFacts> {
        let mut facts = NameFacts::default();
        let mut rest = stem;
        let mut parts = self.0.iter().peekable();
        while let Some(part) = parts.next() {
            let field = match part {
                Part::Text(text) => {
                    rest = rest.strip_prefix(text.as_str())?;
                    continue;
                }
                Part::Field(field) => *field,
            };
            let (value, after) = match parts.peek() {
                Some(Part::Text(next)) => split(rest, next, field)?,
                _ => (rest, ""),
            };
            rest = after;
            match field {
                Field::Serial => facts.serial = Some(crate::profile::serial(value)?),
                Field::User => facts.user = Some(value.chars().take(40).collect()),
                Field::Time => facts.time = Some(moment(value)?),
                Field::Number => facts.number = Some(value.parse().ok()?),
                Field::Any => {}
            }
        }
        rest.is_empty().then_some(facts)
    }
}

/// Up to the next fixed text; a time may hold one itself (`20261121_080000`).
fn split<'a>(rest: &'a str, next: &str, field: Field) -> Option<(&'a str, &'a str)> {
    let ends = rest.match_indices(next).map(|(at, _)| at);
    let at = match field {
        Field::Time => ends.filter(|at| *at >= 14).min()?,
        _ => ends.min()?,
    };
    rest.split_at_checked(at)
}

/// `YYYYMMDDhhmmss` in UTC+8, possibly with a separator after the day.
fn moment(text: &str) -> Option<Seconds> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if digits.len() != 14 || text.len() > 16 {
        return None;
    }
    let form = format_description!("[year][month][day][hour][minute][second]");
    local(PrimitiveDateTime::parse(&digits, &form).ok()?)
}

/// `YYYY-MM-DD HH:MM:SS` in UTC+8, as recorders write their clock.
pub fn clock_text(text: &str) -> Option<Seconds> {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    local(PrimitiveDateTime::parse(text.trim(), &form).ok()?)
}

/// The reverse of [`clock_text`].
pub fn as_clock_text(at: Seconds) -> Option<String> {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let china = UtcOffset::from_hms(8, 0, 0).ok()?;
    let at = time::OffsetDateTime::from_unix_timestamp(at).ok()?.to_offset(china);
    at.format(&form).ok()
}

fn local(time: PrimitiveDateTime) -> Option<Seconds> {
    let china = UtcOffset::from_hms(8, 0, 0).ok()?;
    Some(time.assume_offset(china).unix_timestamp())
}

/// A path as people may read it: what is no printable text is written `%XX`, so that two paths never look the same.
pub fn shown(path: &Path) -> String {
    let mut out = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            let hostile = c.is_control()
                || c == '%'
                || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
            if hostile {
                let mut buffer = [0u8; 4];
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    out.push_str(&format!("%{byte:02X}"));
                }
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn a_name_is_read_by_the_pattern_of_its_maker() {
        let pattern = Pattern::parse("{serial}_{user}_{time}_{number}").unwrap();
        let facts = pattern.read(Path::new("DCIM/ZFY0001_000123_20261121080000_0007.MP4"));
        assert_eq!(facts.serial.as_deref(), Some("ZFY0001"));
        assert_eq!(facts.user.as_deref(), Some("000123"));
        assert_eq!(facts.time, clock_text("2026-11-21 08:00:00"));
        assert_eq!(facts.number, Some(7));
        let split = pattern.read(Path::new("ZFY0001_000123_20261121_080000_0007.MP4"));
        assert_eq!(split, facts);
        assert_eq!(pattern.read(Path::new("holiday.mp4")), NameFacts::default());
        assert_eq!(
            pattern.read(Path::new("ZFY0001_000123_20261340996100_0007.mp4")),
            NameFacts::default()
        );
        assert!(Pattern::parse("{serial}{user}").is_err());
        assert!(Pattern::parse("{colour}").is_err());
        assert!(Pattern::parse("{serial").is_err());
    }

    #[test]
    fn a_hostile_name_is_shown_harmless_and_stays_distinct() {
        let shown_of = |bytes: &[u8]| shown(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(shown_of("录像/一.mp4".as_bytes()), "录像/一.mp4");
        assert_eq!(shown_of(b"a\nb\x1b[31m.mp4"), "a%0Ab%1B[31m.mp4");
        assert_eq!(shown_of(b"\xff\xfe.mp4"), "%FF%FE.mp4");
        assert_eq!(shown_of("\u{202e}4pm.exe".as_bytes()), "%E2%80%AE4pm.exe");
        assert_ne!(shown_of(b"%0A"), shown_of(b"\n"));
        for unseen in ["\u{ad}", "\u{61c}", "\u{2028}", "\u{2060}", "\u{e0041}"] {
            assert!(shown_of(unseen.as_bytes()).starts_with('%'), "{unseen:?}");
        }
    }

    #[test]
    fn a_clock_is_written_as_it_is_read() {
        let at = clock_text("2026-11-21 15:04:05").unwrap();
        assert_eq!(at, 1_795_244_645);
        assert_eq!(as_clock_text(at).as_deref(), Some("2026-11-21 15:04:05"));
    }

    proptest::proptest! {
        #[test]
        fn no_name_upsets_the_reader(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            let pattern = Pattern::parse("{serial}_{user}_{time}_{number}").unwrap();
            let path = Path::new(OsStr::from_bytes(&bytes));
            let _ = pattern.read(path);
            let text = shown(path);
            proptest::prop_assert!(!text.chars().any(char::is_control));
        }
    }
}
