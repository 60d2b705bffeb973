//! Stable names of keys, as a configuration writes them.
//!
//! - `pkcs11:token=HSM;object=seal;id=%01%02` — RFC 7512. A PIN in the reference is refused: references stand in files and logs.
//! - `sdf:3` — the signing pair at index 3 (SM2); `sdf:3;use=encrypt` the pair for encryption; `;algorithm=rsa` for RSA.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Fault;

/// What a pair at an SDF index is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Usage {
    /// Signing.
    Sign,
    /// Encryption and decryption.
    Encrypt,
}

/// A key of an SDF device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SdfKey {
    /// Index, from 1.
    pub index: u32,
    /// Which of the two pairs.
    pub usage: Usage,
    /// RSA instead of SM2.
    pub rsa: bool,
}

/// Attributes of a PKCS#11 URI that say which key is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Pkcs11Key {
    pub(crate) token: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) manufacturer: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) object: Option<String>,
    pub(crate) id: Option<Vec<u8>>,
    pub(crate) kind: Option<String>,
}

/// The name of a key.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyRef(pub(crate) Named);

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Named {
    Pkcs11(Pkcs11Key),
    Sdf(SdfKey),
}

impl fmt::Debug for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Longer ones are nobody's.
const LONGEST: usize = 1024;

impl FromStr for KeyRef {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        if text.len() > LONGEST {
            return Err(Fault::Reference("过长"));
        }
        match text.split_once(':') {
            Some(("pkcs11", rest)) => pkcs11(rest).map(|key| Self(Named::Pkcs11(key))),
            Some(("sdf", rest)) => sdf(rest).map(|key| Self(Named::Sdf(key))),
            _ => Err(Fault::Reference("应以 pkcs11: 或 sdf: 开头")),
        }
    }
}

fn sdf(text: &str) -> Result<SdfKey, Fault> {
    let mut parts = text.split(';');
    let index = parts.next().unwrap_or_default();
    if index.is_empty() || !index.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::Reference("sdf: 之后应为密钥索引"));
    }
    let index = index.parse().map_err(|_| Fault::Reference("密钥索引过大"))?;
    if index == 0 {
        return Err(Fault::Reference("密钥索引从 1 开始，0 为设备密钥"));
    }
    let mut key = SdfKey {
        index,
        usage: Usage::Sign,
        rsa: false,
    };
    for part in parts {
        match part {
            "use=sign" => key.usage = Usage::Sign,
            "use=encrypt" => key.usage = Usage::Encrypt,
            "algorithm=sm2" => key.rsa = false,
            "algorithm=rsa" => key.rsa = true,
            _ => return Err(Fault::Reference("sdf: 只认 use 与 algorithm")),
        }
    }
    Ok(key)
}

fn pkcs11(text: &str) -> Result<Pkcs11Key, Fault> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    if query.contains("pin-value") || query.contains("pin-source") {
        return Err(Fault::Reference("口令不能写在密钥引用里"));
    }
    if !query.is_empty() {
        return Err(Fault::Reference("不支持查询参数"));
    }
    let mut key = Pkcs11Key::default();
    for part in path.split(';').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or(Fault::Reference("缺少等号"))?;
        let value = unescape(value)?;
        if name == "id" {
            if key.id.replace(value).is_some() {
                return Err(Fault::Reference("属性重复"));
            }
            continue;
        }
        let value = String::from_utf8(value).map_err(|_| Fault::Reference("不是 UTF-8"))?;
        let place = match name {
            "token" => &mut key.token,
            "serial" => &mut key.serial,
            "manufacturer" => &mut key.manufacturer,
            "model" => &mut key.model,
            "object" => &mut key.object,
            "type" => &mut key.kind,
            // RFC 7512, 2.4: what is not understood matches nothing.
            _ => return Err(Fault::Reference("不认识的属性")),
        };
        if place.replace(value).is_some() {
            return Err(Fault::Reference("属性重复"));
        }
    }
    if !matches!(key.kind.as_deref(), None | Some("private" | "secret-key")) {
        return Err(Fault::Reference("type 只能是 private 或 secret-key"));
    }
    if key.object.is_none() && key.id.is_none() {
        return Err(Fault::Reference("应写明 object 或 id"));
    }
    Ok(key)
}

fn unescape(text: &str) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(Fault::Reference("百分号编码不完整"));
        };
        bytes.push((high * 16 + low) as u8);
    }
    Ok(bytes)
}

/// Characters that need no escape in a path attribute (RFC 7512, 2.3), without those that read badly in a configuration.
fn escape(bytes: &[u8], all: bool) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        if plain && !all {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Named::Sdf(key) => {
                write!(f, "sdf:{}", key.index)?;
                if key.usage == Usage::Encrypt {
                    f.write_str(";use=encrypt")?;
                }
                if key.rsa {
                    f.write_str(";algorithm=rsa")?;
                }
                Ok(())
            }
            Named::Pkcs11(key) => {
                let words = [
                    ("token", &key.token),
                    ("serial", &key.serial),
                    ("manufacturer", &key.manufacturer),
                    ("model", &key.model),
                    ("object", &key.object),
                    ("type", &key.kind),
                ];
                let mut parts: Vec<String> = words
                    .iter()
                    .filter_map(|(name, value)| Some(format!("{name}={}", escape(value.as_ref()?.as_bytes(), false))))
                    .collect();
                parts.extend(key.id.as_ref().map(|id| format!("id={}", escape(id, true))));
                write!(f, "pkcs11:{}", parts.join(";"))
            }
        }
    }
}

impl TryFrom<String> for KeyRef {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        text.parse()
    }
}

impl From<KeyRef> for String {
    fn from(key: KeyRef) -> Self {
        key.to_string()
    }
}

impl From<SdfKey> for KeyRef {
    fn from(key: SdfKey) -> Self {
        Self(Named::Sdf(key))
    }
}

#[cfg(test)]
mod tests {
    use super::KeyRef;

    #[test]
    fn references_are_read_and_written_the_same() {
        for text in [
            "sdf:1",
            "sdf:12;use=encrypt",
            "sdf:1;use=encrypt;algorithm=rsa",
            "pkcs11:object=seal",
            "pkcs11:token=%E7%AD%BE%E7%AB%A0;object=a%3Bb;type=private;id=%01%FF",
        ] {
            let key: Result<KeyRef, _> = text.parse();
            assert_eq!(key.map(|key| key.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn references_that_mean_nothing_are_refused() {
        for text in [
            "",
            "1",
            "sdf:",
            "sdf:0",
            "sdf:+1",
            "sdf:99999999999",
            "sdf:1;use=both",
            "pkcs11:",
            "pkcs11:token=a",
            "pkcs11:object=a;object=b",
            "pkcs11:object=a%G1",
            "pkcs11:object=a%1",
            "pkcs11:object=%FF",
            "pkcs11:object=a;colour=red",
            "pkcs11:object=a;type=cert",
            "pkcs11:object=a?pin-value=1234",
            "file:key.pem",
        ] {
            assert!(text.parse::<KeyRef>().is_err(), "{text}");
        }
        assert!(format!("pkcs11:object={}", "a".repeat(2000)).parse::<KeyRef>().is_err());
    }
}
