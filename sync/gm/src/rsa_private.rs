//! RSA private keys. ring signs messages: its private operation is by the Chinese remainder theorem, in constant time, and
//! checked against the public key before the signature is given out, so that a fault reveals no factor. Digests at hand, which
//! ring does not take, are signed by `rsa_factors` in the same way.
//!
//! Nothing is ever decrypted with RSA here, which leaves no padding oracle to time.

use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::{
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
};
use zeroize::Zeroizing;

use crate::algorithm::{Algorithm, Sha2};
use crate::key::{PrivateKey, PublicKey, Signer};
use crate::rsa::RsaPublic;
use crate::rsa_factors::Factors;
use crate::{Refused, rsa_generate};

/// An RSA private key of 2048, 3072 or 4096 bits and the scheme it signs with. ring does not wipe its copy of the factors:
/// the process that signs locks its memory and cannot be dumped.
pub struct RsaKey {
    pair: KeyPair,
    /// The same key for digests at hand.
    factors: Factors,
    public: PublicKey,
    algorithm: Algorithm,
}

impl std::fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RsaKey")
            .field("public", &self.public)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl RsaKey {
    /// PKCS#8 of a new key of 2048, 3072 or 4096 bits, with the exponent 65537. Takes from a tenth of a second to some.
    pub fn generate(bits: usize) -> Result<Zeroizing<Vec<u8>>, Refused> {
        rsa_generate::generate(bits)
    }

    /// From PKCS#8, to sign with PKCS#1 v1.5 and SHA-256 (see [`with_algorithm`](Self::with_algorithm)).
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Refused> {
        match PrivateKey::from_pkcs8(pkcs8)? {
            PrivateKey::Rsa(key) => Ok(*key),
            PrivateKey::Sm2(_) | PrivateKey::P256(_) => Err(Refused::InvalidKey),
        }
    }

    /// From `RSAPrivateKey` (RFC 8017 A.1.2).
    pub fn from_der(der: &[u8]) -> Result<Self, Refused> {
        let pair = KeyPair::from_der(der).map_err(|_| Refused::InvalidKey)?;
        let factors = Factors::read(der)?;
        let public = PublicKey::from_rsa(RsaPublic::parse(pair.public().as_ref())?);
        Ok(Self {
            pair,
            factors,
            public,
            algorithm: Algorithm::RsaPkcs1(Sha2::Sha256),
        })
    }

    /// Signs with another RSA scheme from now on.
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Result<Self, Refused> {
        self.public.fits(algorithm)?;
        self.algorithm = algorithm;
        Ok(self)
    }

    /// Signs with this RSA scheme.
    pub fn sign_with(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Refused> {
        let encoding: &'static dyn RsaEncoding = match algorithm {
            Algorithm::RsaPkcs1(Sha2::Sha256) => &RSA_PKCS1_SHA256,
            Algorithm::RsaPkcs1(Sha2::Sha384) => &RSA_PKCS1_SHA384,
            Algorithm::RsaPkcs1(Sha2::Sha512) => &RSA_PKCS1_SHA512,
            Algorithm::RsaPss(Sha2::Sha256) => &RSA_PSS_SHA256,
            Algorithm::RsaPss(Sha2::Sha384) => &RSA_PSS_SHA384,
            Algorithm::RsaPss(Sha2::Sha512) => &RSA_PSS_SHA512,
            Algorithm::Sm2 | Algorithm::EcdsaP256 => return Err(Refused::WrongAlgorithm),
        };
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(encoding, &SystemRandom::new(), message, &mut signature)
            // Only the random source and components that do not belong together can fail.
            .map_err(|_| Refused::InvalidKey)?;
        Ok(signature)
    }
}

impl Signer for RsaKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Refused> {
        self.sign_with(self.algorithm, message)
    }

    fn sign_as(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Refused> {
        self.sign_with(algorithm, message)
    }

    fn sign_digest(&self, digest: &[u8]) -> Result<Vec<u8>, Refused> {
        self.sign_digest_as(self.algorithm, digest)
    }

    fn sign_digest_as(&self, algorithm: Algorithm, digest: &[u8]) -> Result<Vec<u8>, Refused> {
        let public = self.public.rsa().ok_or(Refused::InvalidKey)?;
        self.factors.sign(algorithm, digest, public)
    }
}
