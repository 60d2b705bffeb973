//! The one trait, and the words it uses.

use zeroize::Zeroizing;

use crate::{Fault, KeyRef};

/// A device that keeps keys. All calls block; see [`crate::Guarded`] for deadlines.
pub trait Device: Send + Sync {
    /// Who made it and what it can do, asked anew.
    fn info(&self) -> Result<DeviceInfo, Fault>;

    /// The keys in it that this interface can name.
    fn keys(&self) -> Result<Vec<KeyInfo>, Fault>;

    /// Makes a key that never leaves the device. Not repeated when its outcome is unknown.
    fn generate(&self, label: &str, algorithm: KeyAlgorithm) -> Result<KeyInfo, Fault>;

    /// The public part of a key.
    fn public_key(&self, key: &KeyRef) -> Result<PublicKey, Fault>;

    /// Signs a digest. For SM2 it is e = SM3(Z ‖ M), which the caller computes (`curve::Bound`). SM2 and ECDSA signatures are
    /// DER (`SEQUENCE { r, s }`), RSA signatures plain bytes. The signature was verified before it is returned.
    fn sign(&self, key: &KeyRef, scheme: Scheme, digest: &[u8]) -> Result<Vec<u8>, Fault>;

    /// Decrypts what was encrypted to a key. SM2 ciphertexts are DER (GB/T 35276, 7.2).
    fn decrypt(&self, key: &KeyRef, scheme: Unwrap, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault>;

    /// Encrypts or decrypts whole blocks with a symmetric key; no padding is added or taken away.
    fn cipher(
        &self,
        key: &CipherKey,
        cipher: Cipher,
        mode: Mode,
        direction: Direction,
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Fault>;

    /// SM3 computed by the device.
    fn sm3(&self, data: &[u8]) -> Result<[u8; 32], Fault>;

    /// Random bytes, at most 64 KiB.
    fn random(&self, length: usize) -> Result<Zeroizing<Vec<u8>>, Fault>;

    /// Destroys a key and its public part.
    fn destroy(&self, key: &KeyRef) -> Result<(), Fault>;

    /// A person gives the PIN (PKCS#11) or the password of the private keys (SDF); it is tried at the next call that needs it.
    fn give_pin(&self, pin: Zeroizing<String>);
}

/// What a device says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Maker.
    pub maker: String,
    /// Model.
    pub model: String,
    /// Serial number.
    pub serial: String,
    /// Label of the token; empty for SDF.
    pub label: String,
    /// Signature schemes with at least one mechanism in the device.
    pub schemes: Vec<Scheme>,
    /// Symmetric ciphers offered. SM1 stands here only when the device reports it.
    pub ciphers: Vec<Cipher>,
    /// Whether [`Device::generate`] makes keys.
    pub generates: bool,
}

/// A key in a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// How to name it.
    pub key: KeyRef,
    /// Its label, or the index as words.
    pub label: String,
    /// Its algorithm; `None` when it is one we do not know.
    pub algorithm: Option<KeyAlgorithm>,
    /// Whether it signs through this interface.
    pub signs: bool,
    /// Whether it decrypts through this interface.
    pub decrypts: bool,
}

/// Algorithms of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// SM2 (GB/T 32918).
    Sm2,
    /// ECDSA over P-256.
    P256,
    /// RSA.
    Rsa {
        /// Length of the modulus in bits: 2048, 3072 or 4096.
        bits: u32,
    },
    /// AES.
    Aes {
        /// Length in bits: 128 or 256.
        bits: u32,
    },
}

/// Hash functions of RSA signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// Length of a digest in bytes.
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// Signature schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// SM2 over e (GB/T 32918.2).
    Sm2,
    /// ECDSA over P-256; the digest is of SHA-256, -384 or -512.
    EcdsaP256,
    /// RSA, PKCS#1 v1.5.
    RsaPkcs1(Hash),
    /// RSA-PSS, MGF1 with the same hash, salt as long as the hash.
    RsaPss(Hash),
}

impl Scheme {
    /// Whether a digest of this length belongs to the scheme.
    pub(crate) fn check(self, digest: &[u8]) -> Result<(), Fault> {
        let fits = match self {
            Self::Sm2 => digest.len() == 32,
            Self::EcdsaP256 => matches!(digest.len(), 32 | 48 | 64),
            Self::RsaPkcs1(hash) | Self::RsaPss(hash) => digest.len() == hash.length(),
        };
        fits.then_some(()).ok_or(Fault::Input("摘要长度与算法不符"))
    }
}

/// Schemes for decrypting what was encrypted to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwrap {
    /// SM2 public-key encryption (GB/T 32918.4).
    Sm2,
    /// RSA, PKCS#1 v1.5; for envelopes that exist already.
    RsaPkcs1,
    /// RSA-OAEP, MGF1 with the same hash, no label.
    RsaOaep(Hash),
}

/// Symmetric ciphers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// SM1: exists only inside certified devices.
    Sm1,
    /// SM4 (GB/T 32907).
    Sm4,
    /// AES.
    Aes,
}

/// Modes of symmetric ciphers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every block by itself.
    Ecb,
    /// Chained, with this IV.
    Cbc([u8; 16]),
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Plain to cipher.
    Encrypt,
    /// Cipher to plain.
    Decrypt,
}

/// A symmetric key.
#[derive(Clone)]
pub enum CipherKey {
    /// Kept in the device.
    Held(KeyRef),
    /// Given by the caller and imported into a session.
    Given(Zeroizing<Vec<u8>>),
}

/// A public key as `SubjectPublicKeyInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// DER of `SubjectPublicKeyInfo` (RFC 5280, 4.1.2.7).
    pub spki: Vec<u8>,
}
