//! Operations, and the fields of their requests whatever form they came in.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::fault::{Code, Fault};

macro_rules! operations {
    ($($name:ident = $number:literal, $text:literal, $path:literal;)*) => {
        /// What can be asked for (GB/T 38629 annex A `ReqType`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Operation { $($name),* }

        impl Operation {
            pub(super) fn number(self) -> u8 {
                match self { $(Self::$name => $number),* }
            }

            /// `reqType` of the text forms.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            pub(super) fn numbered(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            pub(super) fn named(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)* _ => None }
            }

            /// The last part of the address.
            pub(super) fn at_path(path: &str) -> Option<Self> {
                match path { $($path => Some(Self::$name),)* _ => None }
            }
        }
    };
}

operations! {
    ExportCert = 0, "exportCert", "ExportCert";
    ParseCert = 1, "parseCert", "ParseCert";
    ValidateCert = 2, "validateCert", "ValidateCert";
    SignData = 3, "signData", "SignData";
    VerifySignedData = 4, "verifySignedData", "VerifySignedData";
    SignDataInit = 5, "signDataInit", "SignDataInit";
    SignDataUpdate = 6, "signDataUpdate", "SignDataUpdate";
    SignDataFinal = 7, "signDataFinal", "SignDataFinal";
    VerifySignedDataInit = 8, "verifySignedDataInit", "VerifySignedDataInit";
    VerifySignedDataUpdate = 9, "verifySignedDataUpdate", "VerifySignedDataUpdate";
    VerifySignedDataFinal = 10, "verifySignedDataFinal", "VerifySignedDataFinal";
    SignMessage = 11, "signMessage", "SignMessage";
    VerifySignedMessage = 12, "verifySignedMessage", "VerifySignedMessage";
}

/// A field as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    /// Of a text form.
    Text(String),
    /// Of ASN.1.
    Bytes(Vec<u8>),
    /// Of ASN.1.
    Number(u32),
    /// Of ASN.1.
    Flag(bool),
}

/// The fields of a request.
#[derive(Debug, Default)]
pub(super) struct Fields(HashMap<String, Raw>);

impl Fields {
    /// `false` when there is one of this name already.
    pub(super) fn put(&mut self, name: &str, value: Raw) -> bool {
        self.0.insert(name.to_owned(), value).is_none()
    }

    pub(super) fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Raw::Bytes(bytes)) => Ok(Some(bytes.clone())),
            Some(Raw::Text(text)) => STANDARD
                .decode(text)
                .map(Some)
                .map_err(|_| Fault::new(Code::DataFormat, format!("{name} 不是 Base64"))),
            Some(_) => Err(bad(name)),
        }
    }

    pub(super) fn needed(&self, name: &str) -> Result<Vec<u8>, Fault> {
        self.bytes(name)?.ok_or_else(|| missing(name))
    }

    /// Bytes whose length the request states too.
    pub(super) fn sized(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        let bytes = self.bytes(name)?;
        let stated = self.number(&format!("{name}Len"))?;
        match (&bytes, stated) {
            (Some(bytes), Some(stated)) if usize::try_from(stated) != Ok(bytes.len()) => {
                Err(Fault::new(Code::DataFormat, format!("{name} 的长度不是 {stated}")))
            }
            _ => Ok(bytes),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u32>, Fault> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Raw::Number(number)) => Ok(Some(*number)),
            Some(Raw::Text(text)) => {
                let text = text.trim();
                let read = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => text.parse(),
                };
                read.map(Some).map_err(|_| bad(name))
            }
            Some(_) => Err(bad(name)),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Fault> {
        match self.0.get(name) {
            None => Ok(false),
            Some(Raw::Flag(flag)) => Ok(*flag),
            Some(Raw::Text(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(Raw::Text(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(bad(name)),
        }
    }

    /// A session's id: text in every form.
    pub(super) fn session(&self) -> Result<String, Fault> {
        match self.0.get("sessionID") {
            Some(Raw::Text(text)) => Ok(text.clone()),
            Some(Raw::Bytes(bytes)) => String::from_utf8(bytes.clone()).map_err(|_| Code::SessionUnknown.into()),
            Some(_) => Err(bad("sessionID")),
            None => Err(missing("sessionID")),
        }
    }

    /// Text in an OCTET STRING.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        let text = self.bytes(name)?.map(String::from_utf8).transpose();
        text.map_err(|_| Fault::new(Code::DataFormat, format!("{name} 不是 UTF-8 文本")))
    }
}

fn bad(name: &str) -> Fault {
    Fault::new(Code::DataFormat, format!("{name} 格式错误"))
}

pub(super) fn missing(name: &str) -> Fault {
    Fault::new(Code::DataFormat, format!("缺少 {name}"))
}
