//! Keys that come from outside in a file: wrapped under the TPM at once, their plain form wiped.
//!
//! | file | what is read |
//! |---|---|
//! | PKCS#8 | DER or PEM, plain or encrypted (PBES2); the older bare PEM forms |
//! | PKCS#12 | `.pfx`, `.p12`; the certificates in it certify the key |
//! | SM2 key envelope | GB/T 35276 7.4: the encryption key that an authority hands out, for a signing key of this server |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::certificate::Certificate;
use gm::der::{Reader, tag};
use gm::key::{PrivateKey, Signer};
use gm::{envelope, pfx, pkcs8};
use serde::Serialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::act::{Found, Place, label};
use super::{KeyAlgorithm, KeyPurpose};
use crate::application::KeyIndex;
use crate::engine::Engine;
use crate::{Refusal, manage, secret_code};

/// A key to be imported. Not printed: it holds the file and its password.
pub struct ImportKey {
    /// Its name, for people: 1 to 64 characters.
    pub label: String,
    /// The file.
    pub file: Zeroizing<Vec<u8>>,
    /// The file's password, where it has one.
    pub password: Option<Zeroizing<String>>,
    /// What the key is for; an envelope always brings a key for encryption.
    pub purpose: KeyPurpose,
    /// The signing key that an envelope was made for.
    pub envelope_key: Option<KeyIndex>,
    /// The code that requests must name to use it.
    pub access_code: Option<String>,
}

impl std::fmt::Debug for ImportKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportKey")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

/// A key that was imported.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ImportedKey {
    /// Its index.
    pub index: KeyIndex,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// The certificate in the file now is the key's.
    pub certified: bool,
    /// Why the certificate in the file was not taken; empty when it was, or when there is none.
    pub note: String,
}

/// What a file is, by how it begins.
enum Form {
    Pkcs8,
    Pfx,
    Envelope,
}

impl Engine {
    /// Imports a key pair. Only its wrapped form is kept.
    pub fn import_key(&self, by: &str, asked: &ImportKey) -> Result<ImportedKey, Refusal> {
        let label = label(&asked.label)?;
        let access_code = asked.access_code.as_deref().map(secret_code::keep).transpose()?;
        let file = der(&asked.file)?;
        let password = asked.password.as_ref().map(|password| password.as_str());
        let mut purpose = asked.purpose;
        let mut certificates = Vec::new();
        let (key, pkcs8) = match form(&file)? {
            Form::Pkcs8 => {
                let bytes = pkcs8::read_file(&file, password.map(str::as_bytes)).map_err(unread)?;
                (PrivateKey::from_pkcs8(&bytes).map_err(unread)?, bytes)
            }
            Form::Pfx => {
                let read = pfx::open(&file, password.unwrap_or_default()).map_err(unread)?;
                certificates.extend(read.certificate);
                certificates.extend(read.others);
                (read.key, read.pkcs8)
            }
            Form::Envelope => {
                purpose = KeyPurpose::Encrypt;
                let text = "这是 SM2 加密密钥信封，请选择它所对应的签名密钥。";
                let index = asked.envelope_key.ok_or_else(|| Refusal::no("envelope_key", text))?;
                let opener = self.opened(&self.key_row(index)?)?;
                let key = envelope::open(&file, &*opener).map_err(unread)?;
                let bytes = key.to_pkcs8();
                (PrivateKey::Sm2(Box::new(key)), bytes)
            }
        };
        let public = key.public_key();
        let algorithm = KeyAlgorithm::of(public).ok_or_else(|| {
            let text = format!("不支持 {} 密钥；RSA 应为 2048、3072 或 4096 位。", public.describe());
            Refusal::no("key_algorithm", text)
        })?;
        let found = Found {
            label,
            algorithm,
            purpose,
            access_code,
            public_key: public.to_spki(),
            place: Place::Here(match &key {
                PrivateKey::Sm2(key) => Zeroizing::new(key.secret().to_vec()),
                PrivateKey::P256(_) | PrivateKey::Rsa(_) => pkcs8,
            }),
        };
        let index = self.keep_key(by, "key.imported", &found)?;
        let note = self.certify_from_file(by, index, &found.public_key, certificates);
        Ok(ImportedKey {
            index,
            purpose,
            certified: note.as_ref().is_some_and(String::is_empty),
            note: note.unwrap_or_default(),
        })
    }

    /// Why the certificates that came with a key were not taken, `Some("")` when they were; `None` when there are none.
    /// The key stays either way: another certificate may be imported.
    fn certify_from_file(&self, by: &str, index: KeyIndex, spki: &[u8], all: Vec<Certificate>) -> Option<String> {
        if all.is_empty() {
            return None;
        }
        let path = manage::bundle::path_of(spki, all);
        let taken = path.and_then(|path| self.certify_key(by, index, &path));
        Some(match taken {
            Ok(()) => String::new(),
            Err(Refusal::No { text, .. }) => text,
            Err(Refusal::Crypto(refused)) => refused.person().to_owned(),
            Err(other) => {
                tracing::warn!(sign.refusal = %other, "a certificate in a key file was not taken");
                "密钥已导入，但文件中的证书未能保存，请单独导入证书。".to_owned()
            }
        })
    }
}

/// PKCS#8, and the certificates that came beside it.
pub(crate) type Bundled = (Zeroizing<Vec<u8>>, Vec<Certificate>);

/// A key that came in a PFX file. `None` when the file is no PFX.
pub(crate) fn from_pfx(file: &[u8], password: &str) -> Result<Option<Bundled>, Refusal> {
    if !matches!(form(file), Ok(Form::Pfx)) {
        return Ok(None);
    }
    let read = pfx::open(file, password).map_err(unread)?;
    let certificates = read.certificate.into_iter().chain(read.others);
    Ok(Some((read.pkcs8, certificates.collect())))
}

/// The bytes of a file that may be Base64 of them.
fn der(file: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let text = std::str::from_utf8(file)
        .ok()
        .filter(|text| !text.contains("-----BEGIN "));
    let Some(text) = text.filter(|_| file.first() != Some(&tag::SEQUENCE)) else {
        return Ok(Zeroizing::new(file.to_vec()));
    };
    let bare: Zeroizing<String> = Zeroizing::new(text.split_ascii_whitespace().collect());
    STANDARD
        .decode(bare.as_bytes())
        .map(Zeroizing::new)
        .map_err(|_| strange())
}

fn form(file: &[u8]) -> Result<Form, Refusal> {
    if file.first() != Some(&tag::SEQUENCE) {
        return Ok(Form::Pkcs8); // PEM
    }
    let mut inner = Reader::new(file, "key file").sequence("key file").map_err(unread)?;
    let first = inner.any().map_err(unread)?;
    let second = inner.any().map_err(unread)?;
    match (first.tag, first.value, second.tag) {
        (tag::INTEGER, [3], _) => Ok(Form::Pfx),
        (tag::INTEGER, _, _) | (tag::SEQUENCE, _, tag::OCTET_STRING) => Ok(Form::Pkcs8),
        (tag::SEQUENCE, _, tag::SEQUENCE) => Ok(Form::Envelope),
        _ => Err(strange()),
    }
}

fn strange() -> Refusal {
    let text = "不是可以导入的密钥文件。支持 PKCS#8（PEM、DER）、PKCS#12（.pfx、.p12）与 SM2 加密密钥信封。";
    Refusal::no("key_file", text)
}

fn unread(refused: gm::Refused) -> Refusal {
    use gm::Refused;
    let text = match refused {
        Refused::Device { .. } => return refused.into(),
        Refused::WrongPassword => "密钥文件的口令错误，或文件已损坏。".to_owned(),
        Refused::Envelope => "密钥信封不是为这个签名密钥制作的，或已损坏。".to_owned(),
        Refused::WrongAlgorithm => "密钥信封只能用 SM2 签名密钥打开。".to_owned(),
        Refused::UnknownEncryption(name) => {
            format!("密钥文件的加密方式 {name} 不受支持，请用 PBES2（AES 或 SM4）重新导出。")
        }
        Refused::Several { .. } => "文件中有多个密钥，请分开导出。".to_owned(),
        Refused::NotFound { .. } => "文件中没有私钥。".to_owned(),
        Refused::InvalidKey | Refused::UnknownKey(_) => "文件中的密钥不正确，或其类型不受支持。".to_owned(),
        _ => return strange(),
    };
    Refusal::no("key_file", text)
}
