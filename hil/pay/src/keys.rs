//! Keys of the bench: one platform pair, one pair, serial and APIv3 key per merchant.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

/// Why keys are not there.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file or the openssl command failed.
    #[error("{path}: {source}")]
    File {
        /// What was touched.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// openssl ended with an error.
    #[error("openssl {0}")]
    Openssl(String),
    /// A key file holds something else.
    #[error("{0} is not a usable key")]
    Unusable(PathBuf),
}

/// A merchant's side of the keys.
pub(crate) struct Merchant {
    pub(crate) serial_no: String,
    pub(crate) api_v3_key: String,
    verify_key: Vec<u8>,
}

/// All keys of the channel.
pub(crate) struct Keys {
    pub(crate) platform_id: String,
    platform: RsaKeyPair,
    stranger: RsaKeyPair,
    merchants: HashMap<String, Merchant>,
    random: SystemRandom,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("platform_id", &self.platform_id)
            .finish_non_exhaustive()
    }
}

impl Keys {
    pub(crate) fn merchant(&self, mchid: &str) -> Option<&Merchant> {
        self.merchants.get(mchid)
    }

    /// Signs as the platform, or as somebody else for forged messages.
    pub(crate) fn sign(&self, text: &str, forged: bool) -> String {
        let pair = if forged { &self.stranger } else { &self.platform };
        let mut signature = vec![0; pair.public().modulus_len()];
        match pair.sign(&RSA_PKCS1_SHA256, &self.random, text.as_bytes(), &mut signature) {
            Ok(()) => STANDARD.encode(signature),
            Err(_) => String::new(),
        }
    }

    /// Whether the merchant signed this text.
    pub(crate) fn verifies(&self, merchant: &Merchant, text: &str, signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else {
            return false;
        };
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &merchant.verify_key)
            .verify(text.as_bytes(), &signature)
            .is_ok()
    }

    /// Encrypts a notification's resource: (ciphertext with tag as base64, nonce).
    pub(crate) fn seal(&self, merchant: &Merchant, plain: &str, associated: &str) -> Option<(String, String)> {
        let nonce = self.hex(6);
        let key = UnboundKey::new(&AES_256_GCM, merchant.api_v3_key.as_bytes()).ok()?;
        let mut text = plain.as_bytes().to_vec();
        LessSafeKey::new(key)
            .seal_in_place_append_tag(
                Nonce::try_assume_unique_for_key(nonce.as_bytes()).ok()?,
                Aad::from(associated.as_bytes()),
                &mut text,
            )
            .ok()?;
        Some((STANDARD.encode(text), nonce))
    }

    /// Random lower-case hex of `bytes` bytes.
    pub(crate) fn hex(&self, bytes: usize) -> String {
        let mut buffer = vec![0; bytes];
        let _rare = self.random.fill(&mut buffer);
        hex::encode(buffer)
    }
}

/// Makes what is missing in the directory: `platform_*.pem`, and `{mchid}/merchant_*` with `merchant.json`.
pub fn make_keys(dir: &Path, merchants: &[String]) -> Result<(), KeyError> {
    for name in ["platform", "stranger"] {
        make_pair(dir, name)?;
    }
    let id_file = dir.join("platform_public_key_id.txt");
    if !id_file.exists() {
        write(&id_file, format!("PUB_KEY_ID_01{}", random_digits(26)))?;
    }
    for mchid in merchants {
        let home = dir.join(mchid);
        make_pair(&home, "merchant")?;
        let card = home.join("merchant.json");
        if !card.exists() {
            let about = json!({
                "mchid": mchid,
                "appid": format!("wx{}", random_hex(8)),
                "serial_no": random_hex(20).to_uppercase(),
                "api_v3_key": random_hex(16),
                "merchant_private_key_file": absolute(&home.join("merchant_private.pem")),
                "platform_public_key_file": absolute(&dir.join("platform_public.pem")),
                "platform_public_key_id": read(&id_file)?.trim(),
            });
            write(&card, format!("{about:#}\n"))?;
        }
    }
    Ok(())
}

/// Makes what is missing and reads all keys.
pub(crate) fn open(dir: &Path, merchants: &[String]) -> Result<Keys, KeyError> {
    make_keys(dir, merchants)?;
    let mut known = HashMap::new();
    for mchid in merchants {
        let home = dir.join(mchid);
        let card = home.join("merchant.json");
        let about: Value = serde_json::from_str(&read(&card)?).map_err(|_| KeyError::Unusable(card.clone()))?;
        let text = |name: &str| about.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        let key = home.join("merchant_public.der");
        known.insert(
            mchid.clone(),
            Merchant {
                serial_no: text("serial_no"),
                api_v3_key: text("api_v3_key"),
                verify_key: std::fs::read(&key).map_err(|source| KeyError::File { path: key, source })?,
            },
        );
    }
    Ok(Keys {
        platform_id: read(&dir.join("platform_public_key_id.txt"))?.trim().to_owned(),
        platform: pair(&dir.join("platform_private.pem"))?,
        stranger: pair(&dir.join("stranger_private.pem"))?,
        merchants: known,
        random: SystemRandom::new(),
    })
}

fn make_pair(dir: &Path, name: &str) -> Result<(), KeyError> {
    let at = |ending: &str| dir.join(format!("{name}_{ending}"));
    let (private, public, der) = (at("private.pem"), at("public.pem"), at("public.der"));
    if der.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(dir).map_err(|source| KeyError::File {
        path: dir.into(),
        source,
    })?;
    openssl(
        &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        &[("-out", &private)],
    )?;
    openssl(&["pkey", "-pubout"], &[("-in", &private), ("-out", &public)])?;
    openssl(
        &["rsa", "-RSAPublicKey_out", "-outform", "DER"],
        &[("-in", &private), ("-out", &der)],
    )
}

fn openssl(args: &[&str], files: &[(&str, &Path)]) -> Result<(), KeyError> {
    let mut command = Command::new("openssl");
    command.args(args);
    for (flag, path) in files {
        command.arg(flag).arg(path);
    }
    let done = command.output().map_err(|source| KeyError::File {
        path: "openssl".into(),
        source,
    })?;
    if done.status.success() {
        Ok(())
    } else {
        Err(KeyError::Openssl(String::from_utf8_lossy(&done.stderr).into_owned()))
    }
}

fn pair(path: &Path) -> Result<RsaKeyPair, KeyError> {
    let body: String = read(path)?.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body).map_err(|_| KeyError::Unusable(path.into()))?;
    RsaKeyPair::from_pkcs8(&der).map_err(|_| KeyError::Unusable(path.into()))
}

fn read(path: &Path) -> Result<String, KeyError> {
    std::fs::read_to_string(path).map_err(|source| KeyError::File {
        path: path.into(),
        source,
    })
}

fn write(path: &Path, text: String) -> Result<(), KeyError> {
    std::fs::write(path, text).map_err(|source| KeyError::File {
        path: path.into(),
        source,
    })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

fn random_hex(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    let _rare = SystemRandom::new().fill(&mut buffer);
    hex::encode(buffer)
}

fn random_digits(count: usize) -> String {
    let digit = |byte: u8| char::from(b'0' + byte % 10);
    random_hex(count).bytes().take(count).map(digit).collect()
}
