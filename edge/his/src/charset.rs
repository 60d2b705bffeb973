//! Character sets as hospitals really send them: declared one way, written another.

use std::borrow::Cow;

use encoding_rs::{Encoding, GB18030, GBK, UTF_8};

/// The charset a peer is spoken to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
pub enum Charset {
    /// UTF-8.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// GBK; characters outside it are written as character references in XML.
    #[serde(rename = "gbk")]
    Gbk,
    /// GB 18030.
    #[serde(rename = "gb18030")]
    Gb18030,
}

impl Charset {
    /// By its name in a header, an XML declaration or MSH-18.
    pub fn by_name(name: &str) -> Option<Self> {
        let name = name
            .trim()
            .trim_matches(['"', '\''])
            .to_ascii_lowercase()
            .replace([' ', '_'], "-");
        match name.as_str() {
            "utf-8" | "utf8" | "unicode-utf-8" | "ascii" | "us-ascii" => Some(Self::Utf8),
            "gbk" | "gb2312" | "cp936" | "ms936" => Some(Self::Gbk),
            _ if name.starts_with("gb-18030") || name.starts_with("gb18030") => Some(Self::Gb18030),
            _ => None,
        }
    }

    /// Its name in a header or an XML declaration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Gbk => "gbk",
            Self::Gb18030 => "gb18030",
        }
    }

    /// Its name in MSH-18 (HL7 table 0211).
    pub const fn hl7_name(self) -> &'static str {
        match self {
            Self::Utf8 => "UNICODE UTF-8",
            Self::Gbk | Self::Gb18030 => "GB 18030-2000",
        }
    }

    const fn encoding(self) -> &'static Encoding {
        match self {
            Self::Utf8 => UTF_8,
            Self::Gbk => GBK,
            Self::Gb18030 => GB18030,
        }
    }

    /// Writes text; what GBK cannot hold becomes a numeric character reference.
    pub fn encode(self, text: &str) -> Cow<'_, [u8]> {
        self.encoding().encode(text).0
    }
}

/// Bytes that are text in no charset we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bytes are neither UTF-8 nor GB 18030")]
pub struct NotText;

/// Reads bytes whose declared charset may be wrong. Strictly valid UTF-8 with characters beyond two bytes is UTF-8
/// whatever was declared (GB 18030 text is practically never valid UTF-8); the rest follows the declaration, then the
/// other charset. The second value says which charset it was. Zero bytes, with which old systems fill fields of a fixed
/// width, are read as blanks: not every database keeps them.
///
/// # Errors
/// [`NotText`] when neither fits.
pub fn decode(bytes: &[u8], declared: Option<Charset>) -> Result<(String, Charset), NotText> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let national = |c: Charset| {
        GB18030
            .decode_without_bom_handling_and_without_replacement(bytes)
            .map(|t| (t.replace('\0', " "), c))
            .ok_or(NotText)
    };
    match (std::str::from_utf8(bytes), declared) {
        (Ok(text), None | Some(Charset::Utf8)) => Ok((text.replace('\0', " "), Charset::Utf8)),
        (Ok(text), Some(_)) if text.chars().any(|c| c >= '\u{800}') => Ok((text.replace('\0', " "), Charset::Utf8)),
        (Ok(_) | Err(_), Some(c @ (Charset::Gbk | Charset::Gb18030))) => national(c),
        (Err(_), _) => national(Charset::Gb18030),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_whatever_charset_it_claims() {
        let gbk = GBK.encode("号源已满").0.into_owned();
        assert_eq!(
            decode(&gbk, Some(Charset::Utf8)),
            Ok(("号源已满".into(), Charset::Gb18030))
        );
        assert_eq!(
            decode("号源已满".as_bytes(), Some(Charset::Gbk)),
            Ok(("号源已满".into(), Charset::Utf8))
        );
        assert_eq!(decode("\u{feff}一".as_bytes(), None), Ok(("一".into(), Charset::Utf8)));
        // The two bytes of 一 in GBK are also valid UTF-8 (U+04BB): the declaration decides.
        assert_eq!(
            decode(&GBK.encode("一").0, Some(Charset::Gbk)),
            Ok(("一".into(), Charset::Gbk))
        );
        assert_eq!(decode(&[0xff, 0xff, 0x00], Some(Charset::Utf8)), Err(NotText));
    }

    #[test]
    fn a_field_filled_with_zero_bytes_is_filled_with_blanks() {
        let gbk = GBK.encode("号源\0\0").0.into_owned();
        for (bytes, declared) in [
            (gbk.as_slice(), Some(Charset::Gbk)),
            (&gbk, Some(Charset::Utf8)),
            ("号源\0\0".as_bytes(), None),
            ("号源\0\0".as_bytes(), Some(Charset::Gbk)),
        ] {
            assert_eq!(decode(bytes, declared).unwrap().0, "号源  ", "{declared:?}");
        }
    }

    #[test]
    fn rare_names_survive_in_a_charset_that_lacks_them() {
        assert_eq!(Charset::Gbk.encode("𬭩").as_ref(), b"&#183145;");
        let bytes = Charset::Gb18030.encode("𬭩");
        assert_eq!(
            decode(&bytes, Some(Charset::Gb18030)),
            Ok(("𬭩".into(), Charset::Gb18030))
        );
    }
}
