//! A key in a device as what signs and opens.

use std::sync::Arc;

use curve::{Bound, Ciphertext};
use custody::{Device, KeyRef, Scheme, Unwrap};
use gm::der::Reader;
use gm::key::{Kind, Sha2};
use gm::{Algorithm, PublicKey, Refused, Signer, USER_ID};
use zeroize::Zeroizing;

use super::Held;
use crate::Refusal;

/// A key in a device. What it signs is verified with the public key that this server knows, not the one that the device
/// says now: a device that was exchanged signs nothing in its predecessor's name.
pub(crate) struct DeviceSigner {
    pub(crate) held: Arc<Held>,
    key: KeyRef,
    public: PublicKey,
    /// What SM3 takes in before each message; SM2 only.
    bound: Option<Bound>,
}

impl DeviceSigner {
    /// The key under `reference`, whose public half is `spki`. The device is not asked.
    pub(crate) fn new(held: &Arc<Held>, reference: &str, spki: &[u8]) -> Result<Self, Refusal> {
        let key = reference.parse().map_err(|_| Refusal::Damaged("key reference"))?;
        let public = PublicKey::read_spki(&mut Reader::new(spki, "public key"))?;
        let bound = match public.point().filter(|_| public.kind() == Kind::Sm2) {
            None => None,
            Some(point) => {
                let point = curve::PublicKey::from_point(point).map_err(|_| Refusal::Damaged("public key"))?;
                let bound = Bound::new(USER_ID.as_bytes(), &point);
                Some(bound.map_err(|_| Refusal::Damaged("public key"))?)
            }
        };
        Ok(Self {
            held: Arc::clone(held),
            key,
            public,
            bound,
        })
    }

    fn digest_as(&self, algorithm: Algorithm, digest: &[u8]) -> Result<Vec<u8>, Refused> {
        if digest.len() != algorithm.hash().len() {
            return Err(Refused::InvalidDigest);
        }
        let scheme = scheme(algorithm);
        let made = self.held.call(|device| device.sign(&self.key, scheme, digest));
        let made = made.map_err(|fault| self.refused(&fault))?;
        self.held.unlocked();
        match self.public.verify_digest(algorithm, digest, &made) {
            Ok(()) => Ok(made),
            Err(_) => Err(Refused::Device {
                code: "device_other_key",
                text: format!("密码设备 {} 中的密钥已不是登记的密钥，签名已丢弃。", self.held.name),
            }),
        }
    }

    /// Decrypts what was encrypted to an RSA key with OAEP and SHA-256.
    pub(crate) fn decrypt_oaep(&self, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refused> {
        self.decrypt(Unwrap::RsaOaep(custody::Hash::Sha256), data)
    }

    fn decrypt(&self, scheme: Unwrap, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let opened = self.held.call(|device| device.decrypt(&self.key, scheme, data));
        opened.inspect(|_| self.held.unlocked()).map_err(|fault| match fault {
            custody::Fault::Ciphertext | custody::Fault::Input(_) => Refused::Envelope,
            other => self.refused(&other),
        })
    }

    fn refused(&self, fault: &custody::Fault) -> Refused {
        Refused::Device {
            code: fault.code(),
            text: format!("密码设备 {}：{}", self.held.name, fault.person()),
        }
    }
}

impl Signer for DeviceSigner {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Refused> {
        self.sign_as(self.algorithm(), message)
    }

    fn sign_digest(&self, digest: &[u8]) -> Result<Vec<u8>, Refused> {
        self.digest_as(self.algorithm(), digest)
    }

    fn sign_digest_as(&self, algorithm: Algorithm, digest: &[u8]) -> Result<Vec<u8>, Refused> {
        self.public.fits(algorithm)?;
        self.digest_as(algorithm, digest)
    }

    fn sign_as(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Refused> {
        self.public.fits(algorithm)?;
        match (&self.bound, algorithm) {
            (Some(bound), Algorithm::Sm2) => self.digest_as(algorithm, &bound.digest(message)),
            _ => self.digest_as(algorithm, &algorithm.hash().digest(message)),
        }
    }

    fn open(&self, text: &Ciphertext) -> Result<Zeroizing<Vec<u8>>, Refused> {
        if self.bound.is_none() {
            return Err(Refused::WrongAlgorithm);
        }
        self.decrypt(Unwrap::Sm2, &text.to_der())
    }
}

fn scheme(algorithm: Algorithm) -> Scheme {
    let hash = |sha2| match sha2 {
        Sha2::Sha256 => custody::Hash::Sha256,
        Sha2::Sha384 => custody::Hash::Sha384,
        Sha2::Sha512 => custody::Hash::Sha512,
    };
    match algorithm {
        Algorithm::Sm2 => Scheme::Sm2,
        Algorithm::EcdsaP256 => Scheme::EcdsaP256,
        Algorithm::RsaPkcs1(sha2) => Scheme::RsaPkcs1(hash(sha2)),
        Algorithm::RsaPss(sha2) => Scheme::RsaPss(hash(sha2)),
    }
}

/// What a device did not do, for an administrator.
pub(crate) fn refusal(fault: &custody::Fault) -> Refusal {
    Refusal::no(fault.code(), fault.person())
}
