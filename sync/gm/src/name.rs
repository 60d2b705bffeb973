//! Distinguished names: the few fields that are used here, and the whole as text (RFC 4514).
//!
//! Strings are read whatever their type: UTF8String, PrintableString, IA5String, NumericString and VisibleString as they
//! are, BMPString as UTF-16, UniversalString as UTF-32, and TeletexString (T.61) as old authorities filled it: GB 18030 or
//! Latin-1. Names are compared byte by byte, never as text.

use crate::der::{self, Reader, tag};
use crate::{Refused, oid};

/// The parts of a distinguished name that are used here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Country.
    pub country: String,
    /// Organisation: the hospital.
    pub organization: String,
    /// Organisational unit: the role.
    pub unit: String,
    /// Name of the person or the authority.
    pub common_name: String,
    /// Identifier of the person within the hospital.
    pub serial_number: String,
}

impl Identity {
    /// As `Name`.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        let text = |id: &[u8], tag: u8, value: &str| -> Option<Vec<u8>> {
            (!value.is_empty()).then(|| {
                let pair = der::sequence(&[&der::oid(id), &der::element(tag, value.as_bytes())]);
                der::element(tag::SET, &pair)
            })
        };
        let parts: Vec<Vec<u8>> = [
            text(oid::COUNTRY, tag::PRINTABLE, &self.country),
            text(oid::ORGANIZATION, tag::UTF8, &self.organization),
            text(oid::ORGANIZATIONAL_UNIT, tag::UTF8, &self.unit),
            text(oid::COMMON_NAME, tag::UTF8, &self.common_name),
            text(oid::SERIAL_NUMBER, tag::UTF8, &self.serial_number),
        ]
        .into_iter()
        .flatten()
        .collect();
        der::element(tag::SEQUENCE, &parts.concat())
    }

    /// From the content of a `Name`; of a repeated attribute the last counts.
    pub(crate) fn read(value: &[u8]) -> Result<Self, Refused> {
        let mut name = Self::default();
        for pair in pairs(value)?.into_iter().flatten() {
            let field = match pair.id {
                oid::COUNTRY => &mut name.country,
                oid::ORGANIZATION => &mut name.organization,
                oid::ORGANIZATIONAL_UNIT => &mut name.unit,
                oid::COMMON_NAME => &mut name.common_name,
                oid::SERIAL_NUMBER => &mut name.serial_number,
                _ => continue,
            };
            if let Some(text) = string(pair.tag, pair.value) {
                *field = text;
            }
        }
        Ok(name)
    }
}

/// One attribute.
struct Pair<'a> {
    id: &'a [u8],
    tag: u8,
    value: &'a [u8],
    raw: &'a [u8],
}

/// The attributes, by relative distinguished name.
fn pairs(value: &[u8]) -> Result<Vec<Vec<Pair<'_>>>, Refused> {
    let mut names = Vec::new();
    let mut reader = Reader::new(value, "name");
    while !reader.is_empty() {
        let mut set = reader.inside(tag::SET, "name")?;
        let mut one = Vec::new();
        while !set.is_empty() {
            let mut pair = set.sequence("name")?;
            let id = pair.oid()?;
            let text = pair.any()?;
            pair.finish()?;
            one.push(Pair {
                id,
                tag: text.tag,
                value: text.value,
                raw: text.raw,
            });
        }
        names.push(one);
    }
    Ok(names)
}

/// The text of a string of whatever type; `None` when it is no string or its bytes are not of its type.
pub(crate) fn string(tag: u8, value: &[u8]) -> Option<String> {
    const NUMERIC: u8 = 0x12;
    const TELETEX: u8 = 0x14;
    const VISIBLE: u8 = 0x1a;
    const UNIVERSAL: u8 = 0x1c;
    const BMP: u8 = 0x1e;
    match tag {
        tag::UTF8 | tag::PRINTABLE | tag::IA5 | NUMERIC | VISIBLE => utf8_or_gb(value),
        TELETEX => utf8_or_gb(value).or_else(|| Some(value.iter().map(|byte| char::from(*byte)).collect())),
        BMP => {
            let units: Vec<u16> = value
                .chunks(2)
                .map(|pair| <[u8; 2]>::try_from(pair).map(u16::from_be_bytes).ok())
                .collect::<Option<_>>()?;
            String::from_utf16(&units).ok()
        }
        UNIVERSAL => value
            .chunks(4)
            .map(|four| char::from_u32(u32::from_be_bytes(four.try_into().ok()?)))
            .collect(),
        _ => None,
    }
}

/// UTF-8, or GB 18030 as some authorities write into whatever type.
fn utf8_or_gb(value: &[u8]) -> Option<String> {
    match std::str::from_utf8(value) {
        Ok(text) => Some(text.to_owned()),
        Err(_) => encoding_rs::GB18030
            .decode_without_bom_handling_and_without_replacement(value)
            .map(std::borrow::Cow::into_owned),
    }
}

const KEYWORDS: &[(&[u8], &str)] = &[
    (oid::COMMON_NAME, "CN"),
    (oid::COUNTRY, "C"),
    (oid::ORGANIZATION, "O"),
    (oid::ORGANIZATIONAL_UNIT, "OU"),
    (oid::SERIAL_NUMBER, "serialNumber"),
    (&[0x55, 0x04, 0x04], "SN"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "ST"),
    (&[0x55, 0x04, 0x09], "STREET"),
    (&[0x55, 0x04, 0x0c], "title"),
    (&[0x55, 0x04, 0x0d], "description"),
    (&[0x55, 0x04, 0x11], "postalCode"),
    (&[0x55, 0x04, 0x14], "telephoneNumber"),
    (&[0x55, 0x04, 0x2a], "GN"),
    (&[0x55, 0x04, 0x2b], "initials"),
    (&[0x55, 0x04, 0x2e], "dnQualifier"),
    (&[0x55, 0x04, 0x41], "pseudonym"),
    (&[0x55, 0x04, 0x61], "organizationIdentifier"),
    (oid::EMAIL, "emailAddress"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19], "DC"),
];

/// The first attribute of this kind in a `Name`, as text.
pub(crate) fn attribute(name_der: &[u8], id: &[u8]) -> Option<String> {
    let value = Reader::new(name_der, "name").expect(tag::SEQUENCE).ok()?.value;
    let pairs = pairs(value).ok()?;
    let found = pairs.iter().flatten().find(|pair| pair.id == id)?;
    string(found.tag, found.value)
}

/// A `Name` as text: `CN=王医生,OU=doctor,O=永州市中心医院,C=CN`, the last attribute first (RFC 4514 2.1).
///
/// Attributes without a common keyword are written with their identifier; what is no string as `#` and its DER in
/// hexadecimal; control characters (RFC 4514 leaves them, a reader's screen would obey them) as `\` and hexadecimal digits.
pub fn text(name_der: &[u8]) -> Result<String, Refused> {
    let mut outer = Reader::new(name_der, "name");
    let value = outer.expect(tag::SEQUENCE)?.value;
    outer.finish()?;
    let names: Vec<String> = pairs(value)?
        .iter()
        .rev()
        .map(|one| one.iter().map(pair_text).collect::<Vec<_>>().join("+"))
        .collect();
    Ok(names.join(","))
}

fn pair_text(pair: &Pair<'_>) -> String {
    let keyword = KEYWORDS
        .iter()
        .find(|(id, _)| *id == pair.id)
        .map_or_else(|| oid::dotted(pair.id), |(_, keyword)| (*keyword).to_owned());
    let value = match string(pair.tag, pair.value) {
        Some(text) => escaped(&text),
        None => pair
            .raw
            .iter()
            .fold("#".to_owned(), |all, byte| all + &format!("{byte:02x}")),
    };
    format!("{keyword}={value}")
}

fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(text.len());
    for (at, letter) in text.chars().enumerate() {
        match letter {
            ' ' if at == 0 || at == last => out.push_str("\\ "),
            '#' if at == 0 => out.push_str("\\#"),
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => {
                out.push('\\');
                out.push(letter);
            }
            // Controls, and marks that turn the direction of writing.
            _ if letter.is_control()
                || matches!(letter, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                let mut bytes = [0; 4];
                for byte in letter.encode_utf8(&mut bytes).bytes() {
                    out.push_str(&format!("\\{byte:02X}"));
                }
            }
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(parts: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
        let parts: Vec<Vec<u8>> = parts
            .iter()
            .map(|(id, tag, value)| {
                let pair = der::sequence(&[&der::oid(id), &der::element(*tag, value)]);
                der::element(tag::SET, &pair)
            })
            .collect();
        der::element(tag::SEQUENCE, &parts.concat())
    }

    #[test]
    fn strings_of_every_type_are_shown() {
        let wang = [0xcd, 0xf5]; // 王 in GB 18030
        for (tag, value, shown) in [
            (tag::UTF8, "王医生".as_bytes(), "CN=王医生"),
            (0x1e, &[0x73, 0x8b, 0x53, 0x3b], "CN=王医"),
            (0x1c, &[0, 0, 0x73, 0x8b], "CN=王"),
            (0x14, &wang, "CN=王"),
            (0x14, &[b'M', 0xfc, 0xff], "CN=Müÿ"),
            (tag::PRINTABLE, b"Wang", "CN=Wang"),
            (0x1e, &[0x73], "CN=#1e0173"),
            (tag::INTEGER, &[5], "CN=#020105"),
        ] {
            assert_eq!(text(&name(&[(oid::COMMON_NAME, tag, value)])).as_deref(), Ok(shown));
        }
    }

    #[test]
    fn the_last_attribute_comes_first_and_separators_are_escaped() {
        let all = name(&[
            (oid::COUNTRY, tag::PRINTABLE, b"CN"),
            (&[0x55, 0x04, 0x08], tag::UTF8, "湖南".as_bytes()),
            (oid::EMAIL, tag::IA5, b"a@b.cn"),
            (&[0x2a, 0x03], tag::UTF8, b"x"),
            (oid::COMMON_NAME, tag::UTF8, " A, B=\u{202e}C# ".as_bytes()),
        ]);
        assert_eq!(
            text(&all).as_deref(),
            Ok("CN=\\ A\\, B\\=\\E2\\80\\AEC#\\ ,1.2.3=x,emailAddress=a@b.cn,ST=湖南,C=CN")
        );
        assert_eq!(attribute(&all, oid::EMAIL).as_deref(), Some("a@b.cn"));
        assert_eq!(attribute(&all, oid::ORGANIZATION), None);
    }

    proptest::proptest! {
        #[test]
        fn any_name_is_shown_or_refused_and_shows_no_controls(bytes: Vec<u8>) {
            let wrapped = name(&[(oid::COMMON_NAME, 0x14, &bytes)]);
            let shown = text(&wrapped).expect("shown");
            proptest::prop_assert!(!shown.chars().any(char::is_control));
            let _ = text(&bytes);
        }
    }
}
