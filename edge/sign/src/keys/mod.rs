//! Server keys 服务器密钥: states, and what is known of each.
//!
//! ```text
//! generated ──certify──▶ certified ──activate──▶ active ──retire──▶ retired ──destroy──▶ destroyed
//!     └──────────────────────┴────────────────────────────────────────────destroy────────────▲
//! ```
//! Only an active key signs. A retired one still decrypts, and its certificates still verify what was signed. Of a
//! destroyed one the public half, the certificates and the record remain.

mod act;
pub mod device;
mod import;
mod load;
mod request;

use std::sync::Arc;

use gm::Certificate;
use gm::key::Signer;
use records::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::Refusal;
use crate::application::KeyIndex;

pub use act::NewKey;
pub(crate) use import::from_pfx;
pub use import::{ImportKey, ImportedKey};
pub(crate) use load::{TPM, load, open, owner as key_owner};
pub(crate) use request::Subject;

use device::{DeviceSigner, Held};

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// Made, without certificate.
    Generated,
    /// Has a certificate, not yet in use.
    Certified,
    /// Signs.
    Active,
    /// Signs no more; decrypts what was encrypted to it.
    Retired,
    /// Gone.
    Destroyed,
}

/// What a key is for. One key does not do both (GB/T 35276 双证书).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyPurpose {
    /// Signs.
    #[default]
    Sign,
    /// Opens what is encrypted to it.
    Encrypt,
}

impl KeyPurpose {
    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Encrypt => "encrypt",
        }
    }

    /// From the stable name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Sign, Self::Encrypt]
            .into_iter()
            .find(|purpose| purpose.name() == name)
    }
}

/// What may be done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyCommand {
    /// A certificate is imported.
    Certify,
    /// It is put to use.
    Activate,
    /// It is taken out of use.
    Retire,
    /// Its private half is wiped.
    Destroy,
}

impl KeyState {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Generated,
        Self::Certified,
        Self::Active,
        Self::Retired,
        Self::Destroyed,
    ];

    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Certified => "certified",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Destroyed => "destroyed",
        }
    }

    /// From the stable name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The state after a command, or why not.
    pub fn after(self, command: KeyCommand) -> Result<Self, Refusal> {
        use KeyCommand::{Activate, Certify, Destroy, Retire};
        match (self, command) {
            (Self::Generated | Self::Certified, Certify) => Ok(Self::Certified),
            // A renewed certificate takes the place of the one before; the key goes on.
            (Self::Active, Certify) => Ok(Self::Active),
            (Self::Certified | Self::Retired, Activate) => Ok(Self::Active),
            (Self::Active, Retire) => Ok(Self::Retired),
            (Self::Generated | Self::Certified | Self::Retired, Destroy) => Ok(Self::Destroyed),
            (Self::Active, Destroy) => Err(no("密钥正在使用，请先停用再销毁。")),
            (Self::Generated, Activate) => Err(no("密钥还没有证书，请先导入证书。")),
            (Self::Destroyed, _) => Err(no("密钥已销毁。")),
            (Self::Retired, Certify) => Err(no("密钥已停用，不能再导入证书。")),
            (Self::Active, Activate) => Err(no("密钥已在使用中。")),
            (Self::Generated | Self::Certified | Self::Retired, Retire) => Err(no("密钥不在使用中。")),
        }
    }
}

fn no(text: &str) -> Refusal {
    Refusal::no("key_state", text)
}

/// Kinds of server keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyAlgorithm {
    /// SM2 (GB/T 32918).
    Sm2,
    /// ECDSA on P-256.
    P256,
    /// RSA, 2048 bits.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
}

impl KeyAlgorithm {
    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sm2 => "sm2",
            Self::P256 => "p256",
            Self::Rsa2048 => "rsa2048",
            Self::Rsa3072 => "rsa3072",
            Self::Rsa4096 => "rsa4096",
        }
    }

    /// What a public key is, if it is a kind of server key.
    #[must_use]
    pub fn of(key: &gm::PublicKey) -> Option<Self> {
        use gm::key::Kind;
        match (key.kind(), key.rsa().map(gm::key::RsaPublic::bits)) {
            (Kind::Sm2, _) => Some(Self::Sm2),
            (Kind::P256, _) => Some(Self::P256),
            (Kind::Rsa, Some(2048)) => Some(Self::Rsa2048),
            (Kind::Rsa, Some(3072)) => Some(Self::Rsa3072),
            (Kind::Rsa, Some(4096)) => Some(Self::Rsa4096),
            (Kind::Rsa, _) => None,
        }
    }

    /// From the stable name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Sm2, Self::P256, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

/// A certificate of a server key.
#[derive(Debug, Clone)]
pub struct KeyCertificate {
    /// Its place in the key's history, from 1.
    pub number: u32,
    /// The key's certificate, and those above it up to the root where they are known.
    pub chain: Vec<Certificate>,
    /// When it was imported.
    pub imported_at: Timestamp,
}

/// What can sign from several threads.
pub type SharedSigner = Arc<dyn Signer + Send + Sync>;

/// A server key as it is served.
pub struct ServerKey {
    /// Its index.
    pub index: KeyIndex,
    /// Its name, for people.
    pub label: String,
    /// Its kind.
    pub algorithm: KeyAlgorithm,
    /// `tpm`: wrapped here under the TPM; otherwise the name of the device.
    pub custody: String,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// Where it is in its life.
    pub state: KeyState,
    /// `SubjectPublicKeyInfo`.
    pub public_key: Vec<u8>,
    /// Its certificates, oldest first: those before the last are kept for what was signed under them.
    pub certificates: Vec<KeyCertificate>,
    /// When it was made.
    pub made_at: Timestamp,
    pub(crate) wrapped: Option<Vec<u8>>,
    pub(crate) access_code: Option<Vec<u8>>,
    /// The private half, while it may be used and its custody gives it.
    pub(crate) signer: Option<SharedSigner>,
    /// The same, where it is in a device.
    pub(crate) in_device: Option<Arc<DeviceSigner>>,
    /// Where the device keeps it; empty when none does.
    pub(crate) reference: String,
}

impl ServerKey {
    /// The certificate in use.
    #[must_use]
    pub fn certificate(&self) -> Option<&KeyCertificate> {
        self.certificates.last()
    }

    /// The private half can be used now: it is open, and its device answers.
    #[must_use]
    pub fn at_hand(&self) -> bool {
        self.signer.is_some() && self.device().is_none_or(|held| held.is_ready())
    }

    /// It was destroyed here, but its device still holds it: the device does not let keys be destroyed through it.
    #[must_use]
    pub fn held_on(&self) -> bool {
        self.state == KeyState::Destroyed && !self.reference.is_empty()
    }

    /// The device that keeps it. Acts with such a key block on the device.
    pub(crate) fn device(&self) -> Option<&Arc<Held>> {
        self.in_device.as_ref().map(|signer| &signer.held)
    }

    /// Decrypts with an RSA key what was encrypted with OAEP and SHA-256. Keys in devices only: no software RSA decryption
    /// whose padding could be timed.
    pub(crate) fn decrypt_oaep(&self, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, gm::Refused> {
        match &self.in_device {
            Some(signer) => signer.decrypt_oaep(data),
            None => Err(gm::Refused::WrongAlgorithm),
        }
    }
}

impl std::fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerKey")
            .field("index", &self.index)
            .field("state", &self.state)
            .field("custody", &self.custody)
            .finish_non_exhaustive()
    }
}
