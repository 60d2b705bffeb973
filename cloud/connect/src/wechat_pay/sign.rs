//! Signatures of WeChat Pay APIv3: RSA-SHA256 (PKCS#1 v1.5) over lines, each ended by `\n`; notices are encrypted with
//! AES-256-GCM under the merchant's APIv3 key.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use records::Timestamp;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

/// How far a signed timestamp may lie from our clock.
pub const WINDOW: Duration = Duration::from_secs(5 * 60);

/// What is wrong with the keys in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The merchant's private key is not an RSA key in PKCS#8 PEM.
    #[error("merchant private key: {0}")]
    Private(String),
    /// A WeChat public key or certificate is not PEM of an RSA key.
    #[error("wechat pay public key {serial}: {cause}")]
    Public {
        /// Which one.
        serial: String,
        /// What was wrong.
        cause: String,
    },
    /// The APIv3 key is not 32 bytes.
    #[error("the APIv3 key must be 32 bytes")]
    ApiV3,
}

/// Keys of a merchant and of WeChat Pay.
pub struct Keys {
    merchant: RsaKeyPair,
    serial: String,
    merchant_id: String,
    wechat: Vec<(String, Vec<u8>)>,
    api_v3: LessSafeKey,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("merchant_id", &self.merchant_id)
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}

/// Why a message was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Timestamp outside [`WINDOW`].
    #[error("timestamp outside the window")]
    Stale,
    /// Unknown key or wrong signature.
    #[error("signature does not verify")]
    Forged,
}

/// The signature headers of a message from WeChat Pay.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// `Wechatpay-Timestamp`.
    pub timestamp: &'a str,
    /// `Wechatpay-Nonce`.
    pub nonce: &'a str,
    /// `Wechatpay-Signature`.
    pub signature: &'a str,
    /// `Wechatpay-Serial`.
    pub serial: &'a str,
}

impl Keys {
    /// Reads the keys: the merchant's private key (PKCS#8 PEM) with the serial of its certificate, WeChat's public keys
    /// by serial (`PUB_KEY_ID_…` with a public key, or a platform certificate), and the APIv3 key.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn read(
        merchant_id: &str,
        serial: &str,
        private_key_pem: &str,
        wechat_keys: &[(String, String)],
        api_v3_key: &str,
    ) -> Result<Self, KeyError> {
        let private = |e: &dyn std::fmt::Display| KeyError::Private(e.to_string());
        let der = PrivateKeyDer::from_pem_slice(private_key_pem.as_bytes()).map_err(|e| private(&e))?;
        let merchant = match &der {
            PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            _ => return Err(private(&"neither PKCS#8 nor PKCS#1")),
        }
        .map_err(|e| private(&e))?;
        let mut wechat = Vec::new();
        for (serial, pem) in wechat_keys {
            let public = rsa_public(pem).map_err(|cause| KeyError::Public {
                serial: serial.clone(),
                cause,
            })?;
            wechat.push((serial.clone(), public));
        }
        let api_v3 = UnboundKey::new(&AES_256_GCM, api_v3_key.as_bytes()).map_err(|_| KeyError::ApiV3)?;
        Ok(Self {
            merchant,
            serial: serial.to_owned(),
            merchant_id: merchant_id.to_owned(),
            wechat,
            api_v3: LessSafeKey::new(api_v3),
        })
    }

    /// The `Authorization` header of a request. `path` has the query and no host; `body` is exactly what is sent.
    pub fn authorize(&self, method: &str, path: &str, body: &str, now: Timestamp, nonce: &str) -> Option<String> {
        let seconds = now.as_seconds();
        let message = format!("{method}\n{path}\n{seconds}\n{nonce}\n{body}\n");
        let mut signature = vec![0; self.merchant.public().modulus_len()];
        self.merchant
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message.as_bytes(),
                &mut signature,
            )
            .ok()?;
        Some(format!(
            "WECHATPAY2-SHA256-RSA2048 mchid=\"{}\",nonce_str=\"{nonce}\",signature=\"{}\",timestamp=\"{seconds}\",serial_no=\"{}\"",
            self.merchant_id,
            BASE64.encode(signature),
            self.serial
        ))
    }

    /// Serial of the WeChat key to be named in requests.
    pub fn wechat_serial(&self) -> Option<&str> {
        self.wechat.first().map(|(serial, _)| serial.as_str())
    }

    /// Believes a response or notice, or not. Probes (`WECHATPAY/SIGNTEST/…`) simply do not verify.
    ///
    /// # Errors
    /// When it is stale or was not signed by WeChat Pay.
    pub fn verify(&self, signed: &Signed<'_>, body: &[u8], now: Timestamp) -> Result<(), Distrust> {
        let seconds: i64 = signed.timestamp.parse().map_err(|_| Distrust::Forged)?;
        if seconds.abs_diff(now.as_seconds()) > WINDOW.as_secs() {
            return Err(Distrust::Stale);
        }
        let (_, key) = self
            .wechat
            .iter()
            .find(|(serial, _)| serial == signed.serial)
            .ok_or(Distrust::Forged)?;
        let signature = BASE64.decode(signed.signature).map_err(|_| Distrust::Forged)?;
        let mut message = format!("{}\n{}\n", signed.timestamp, signed.nonce).into_bytes();
        message.extend_from_slice(body);
        message.push(b'\n');
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
            .verify(&message, &signature)
            .map_err(|_| Distrust::Forged)
    }

    /// Opens the resource of a notice; `None` when it was not sealed with our APIv3 key.
    pub fn open(&self, ciphertext: &str, nonce: &str, associated_data: &str) -> Option<Vec<u8>> {
        let mut sealed = BASE64.decode(ciphertext).ok()?;
        let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).ok()?;
        let plain = self
            .api_v3
            .open_in_place(nonce, Aad::from(associated_data.as_bytes()), &mut sealed)
            .ok()?;
        Some(plain.to_vec())
    }
}

/// The PKCS#1 `RSAPublicKey` inside a PEM public key or certificate.
fn rsa_public(pem: &str) -> Result<Vec<u8>, String> {
    let body: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .map(str::trim)
        .collect();
    let der = BASE64.decode(body).map_err(|e| e.to_string())?;
    let key = if pem.contains("BEGIN CERTIFICATE") {
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|e| e.to_string())?;
        certificate.public_key().subject_public_key.data.to_vec()
    } else {
        let (_, info) = SubjectPublicKeyInfo::from_der(&der).map_err(|e| e.to_string())?;
        info.subject_public_key.data.to_vec()
    };
    Ok(key)
}
