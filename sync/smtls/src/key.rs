//! Signing: an SM2 key from a file, or one that lives elsewhere.

use std::sync::Arc;

use curve::{Bound, PrivateKey, PublicKey};
use rustls::crypto::KeyProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use rustls::sign::{CertifiedKey, Signer, SigningKey, public_key_to_spki};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

use crate::group::with_nonces;
use crate::{HANDSHAKE_ID, SCHEME, pkcs8, verify};

/// Why a private key was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    /// Neither PKCS#8 nor SEC1, or damaged.
    #[error("private key is not well-formed PKCS#8 or SEC1")]
    Form,
    /// Encrypted under a password.
    #[error("private key is encrypted: decrypt it first (openssl pkey -in KEY -out PLAIN)")]
    Encrypted,
    /// A key of another kind.
    #[error("not an SM2 private key (id-ecPublicKey with curve 1.2.156.10197.1.301)")]
    NotSm2,
    /// The number is not a private key.
    #[error("SM2 private key out of range")]
    Range,
    /// The public key written beside it is another one.
    #[error("the public key in the file does not belong to the private key")]
    Mismatch,
    /// The certificate is not this key's, or cannot be read.
    #[error("the certificate does not belong to the private key")]
    Certificate,
}

impl KeyRefused {
    /// The same for a person.
    #[must_use]
    pub fn person(self) -> &'static str {
        match self {
            Self::Form => "私钥文件无法读取：需要 PKCS#8 或 SEC1 格式",
            Self::Encrypted => "私钥文件有密码：请先解密后再配置",
            Self::NotSm2 => "不是 SM2 私钥，请更换为国密证书对应的私钥",
            Self::Range => "SM2 私钥数值无效，请重新生成密钥",
            Self::Mismatch => "私钥文件中的公钥与私钥不一致，文件可能已损坏",
            Self::Certificate => "证书与私钥不匹配，请检查是否配成一对",
        }
    }
}

/// Signing failed where the key lives; the text is for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("SM2 key could not sign: {0}")]
pub struct SignerFailed(pub String);

/// An SM2 key that signs, wherever it lives: in this process, a TPM, a cryptographic card. Called on the thread that drives
/// the handshake: what takes long belongs on a thread for it.
pub trait Sm2Signer: std::fmt::Debug + Send + Sync {
    /// Its public half.
    fn public_key(&self) -> PublicKey;

    /// Signs SM3(Z ‖ message) with Z of this user id; DER of (r, s).
    fn sign(&self, id: &[u8], message: &[u8]) -> Result<Vec<u8>, SignerFailed>;
}

/// A key in this process's memory.
#[derive(Debug)]
pub struct LocalKey(PrivateKey);

impl LocalKey {
    /// Of a key.
    #[must_use]
    pub fn new(key: PrivateKey) -> Self {
        Self(key)
    }

    /// From a file's DER.
    pub fn from_der(der: &PrivateKeyDer<'_>) -> Result<Self, KeyRefused> {
        pkcs8::read_key(der).map(Self)
    }
}

impl Sm2Signer for LocalKey {
    fn public_key(&self) -> PublicKey {
        *self.0.public_key()
    }

    fn sign(&self, id: &[u8], message: &[u8]) -> Result<Vec<u8>, SignerFailed> {
        Bound::new(id, self.0.public_key())
            .and_then(|bound| with_nonces(|nonces| self.0.sign(&bound.digest(message), nonces)))
            .map(|signature| signature.to_der())
            .map_err(|refused| SignerFailed(refused.to_string()))
    }
}

/// A signer as `rustls` takes it.
#[must_use]
pub fn signing_key(signer: Arc<dyn Sm2Signer>) -> Arc<dyn SigningKey> {
    Arc::new(Sm2SigningKey(signer))
}

/// A certificate chain, the own certificate first, with its signer. Refused when they do not belong together.
pub fn certified(
    chain: Vec<CertificateDer<'static>>,
    signer: Arc<dyn Sm2Signer>,
) -> Result<Arc<CertifiedKey>, KeyRefused> {
    let certified = CertifiedKey::new(chain, signing_key(signer));
    certified.keys_match().map_err(|_| KeyRefused::Certificate)?;
    Ok(Arc::new(certified))
}

#[derive(Debug)]
struct Sm2SigningKey(Arc<dyn Sm2Signer>);

impl SigningKey for Sm2SigningKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer = || Box::new(HandshakeSigner(Arc::clone(&self.0))) as Box<dyn Signer>;
        offered.contains(&SCHEME).then(signer)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(public_key_to_spki(&verify::PUBLIC_KEY, self.0.public_key().to_point()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        // The second byte of sm2sig_sm3. No suite of TLS 1.2 goes with it, so the key is never used there.
        SignatureAlgorithm::Unknown(8)
    }
}

/// Signs CertificateVerify.
#[derive(Debug)]
struct HandshakeSigner(Arc<dyn Sm2Signer>);

impl Signer for HandshakeSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.0
            .sign(HANDSHAKE_ID, message)
            .map_err(|failed| Error::General(failed.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        SCHEME
    }
}

/// Reads private keys: of SM2, and of the classic kinds where there is somebody to read them.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) classic: Option<&'static dyn KeyProvider>,
}

impl KeyProvider for Keys {
    fn load_private_key(&self, der: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        match (LocalKey::from_der(&der), self.classic) {
            (Ok(key), _) => Ok(signing_key(Arc::new(key))),
            (Err(KeyRefused::NotSm2), Some(classic)) => classic.load_private_key(der),
            (Err(refused), _) => Err(Error::General(refused.to_string())),
        }
    }
}
