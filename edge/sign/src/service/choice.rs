//! The key an application chose, and its use.

use gm::key::Signer;
use gm::{Algorithm, Certificate, PublicKey, Refused};
use records::Timestamp;
use zeroize::Zeroizing;

use super::judge::refused;
use crate::application::KeyIndex;
use crate::fault::{Code, Fault};
use crate::keys::{ServerKey, SharedSigner};

/// Which key, and what it is used with.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// The key; the policy's first when absent.
    pub key: Option<KeyIndex>,
    /// Its access code.
    pub access_code: Option<String>,
    /// The algorithm; the key's usual one when absent.
    pub algorithm: Option<Algorithm>,
}

/// A key that may be used now, with the certificate in use.
pub(super) struct Hand<'k> {
    signer: &'k SharedSigner,
    /// The key's own certificate first.
    pub(super) chain: &'k [Certificate],
    pub(super) own: &'k Certificate,
    pub(super) algorithm: Algorithm,
}

impl ServerKey {
    /// The private half, with the certificate in use, which must be valid.
    pub(super) fn hand(&self, algorithm: Option<Algorithm>, now: Timestamp) -> Result<Hand<'_>, Fault> {
        let chain = &self.certificate().ok_or(Code::Certificate)?.chain;
        let own = chain.first().ok_or(Code::Certificate)?;
        own.is_valid_at(now.offset()).map_err(refused)?;
        let signer = self.opened()?;
        let algorithm = algorithm.unwrap_or_else(|| signer.algorithm());
        own.public_key.fits(algorithm).map_err(|_| {
            let text = format!("{} 密钥不能用于 {}", own.public_key.describe(), algorithm.name());
            Fault::new(Code::SignMethod, text)
        })?;
        Ok(Hand {
            signer,
            chain,
            own,
            algorithm,
        })
    }

    /// The private half.
    pub(super) fn opened(&self) -> Result<&SharedSigner, Fault> {
        let absent = || Fault::new(Code::DeviceAbsent, format!("密钥索引 {}", self.index.0));
        self.signer.as_ref().ok_or_else(absent)
    }
}

impl Hand<'_> {
    /// A signature over data; SM2 under another user id than the usual one when named.
    pub(super) fn sign_data(&self, data: &[u8], id: Option<&[u8]>) -> Result<Vec<u8>, Fault> {
        let key = &self.own.public_key;
        let Some(id) = id else {
            let made = self.signer.sign_as(self.algorithm, data).map_err(unsigned)?;
            // What does not verify is never answered (faulty memory).
            key.verify(self.algorithm, data, &made).map_err(|_| Code::Internal)?;
            return Ok(made);
        };
        self.knows_ids()?;
        let made = self.signer.sign_with_id(id, data).map_err(unsigned)?;
        key.verify_with_id(id, data, &made).map_err(|_| Code::Internal)?;
        Ok(made)
    }

    /// A signature over a digest that the application computed.
    pub(super) fn sign_digest(&self, digest: &[u8]) -> Result<Vec<u8>, Fault> {
        if digest.len() != self.algorithm.hash().len() {
            return Err(Fault::new(Code::DataFormat, "摘要长度与算法不符"));
        }
        let made = self.signer.sign_digest_as(self.algorithm, digest);
        let made = made.map_err(unsigned)?;
        let verified = self.own.public_key.verify_digest(self.algorithm, digest, &made);
        verified.map_err(|_| Code::Internal)?;
        Ok(made)
    }

    /// User ids are SM2's alone.
    pub(super) fn knows_ids(&self) -> Result<(), Fault> {
        match self.algorithm {
            Algorithm::Sm2 => Ok(()),
            _ => Err(Fault::new(Code::SignMethod, "只有 SM2 签名带用户标识")),
        }
    }
}

/// For formats that take a signer.
impl Signer for Hand<'_> {
    fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Refused> {
        self.signer.sign_as(self.algorithm, message)
    }

    fn sign_digest(&self, digest: &[u8]) -> Result<Vec<u8>, Refused> {
        self.signer.sign_digest_as(self.algorithm, digest)
    }

    fn open(&self, text: &curve::Ciphertext) -> Result<Zeroizing<Vec<u8>>, Refused> {
        self.signer.open(text)
    }
}

fn unsigned(reason: Refused) -> Fault {
    match reason {
        Refused::WrongAlgorithm => Fault::new(Code::SignMethod, "该密钥不支持此签名算法"),
        Refused::DigestOnly => Fault::new(Code::SignMethod, "该密钥只能对完整数据签名，不能对摘要签名"),
        Refused::WrongUsage => Fault::new(Code::WrongUsage, "该密钥是加密密钥，不能签名"),
        Refused::Device { .. } => refused(reason),
        _ => Code::Internal.into(),
    }
}
