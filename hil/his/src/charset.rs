//! The two charsets a hospital sends.

use encoding_rs::{Encoding, GB18030, GBK, UTF_8};

/// What the HIS speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8.
    Utf8,
    /// GBK on SOAP, GB 18030 in HL7.
    Gbk,
}

impl Charset {
    /// From a name as found in headers, declarations and options.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim().trim_matches('"').to_ascii_lowercase();
        match name.as_str() {
            "utf-8" | "utf8" | "unicode utf-8" => Some(Self::Utf8),
            "gbk" | "gb2312" | "gb18030" | "gb 18030-2000" => Some(Self::Gbk),
            _ => None,
        }
    }

    /// The name for headers and declarations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Gbk => "GBK",
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Utf8 => Self::Gbk,
            Self::Gbk => Self::Utf8,
        }
    }

    fn codec(self) -> &'static Encoding {
        match self {
            Self::Utf8 => UTF_8,
            Self::Gbk => GBK,
        }
    }

    /// Bytes on the wire; characters the charset lacks become `?` as old systems do.
    pub fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            Self::Gbk => {
                let mut out = Vec::with_capacity(text.len());
                for c in text.chars() {
                    let mut buffer = [0; 4];
                    let (bytes, _, lost) = GBK.encode(c.encode_utf8(&mut buffer));
                    if lost {
                        out.push(b'?')
                    } else {
                        out.extend_from_slice(&bytes)
                    }
                }
                out
            }
        }
    }

    /// Text from the wire, or nothing when the bytes are not of this charset.
    pub fn decode(self, bytes: &[u8]) -> Option<String> {
        let codec = if self == Self::Gbk { GB18030 } else { self.codec() };
        codec
            .decode_without_bom_handling_and_without_replacement(bytes)
            .map(std::borrow::Cow::into_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::Charset;

    #[test]
    fn chinese_survives_both_charsets() {
        for charset in [Charset::Utf8, Charset::Gbk] {
            let bytes = charset.encode("缬沙坦胶囊80mg");
            assert_eq!(charset.decode(&bytes).unwrap(), "缬沙坦胶囊80mg");
        }
        assert_eq!(Charset::Gbk.encode("心").len(), 2);
        assert!(Charset::Utf8.decode(&Charset::Gbk.encode("心血管")).is_none());
        assert_eq!(Charset::Gbk.encode("𬭩"), b"?");
    }
}
