//! Private keys.

use std::cell::RefCell;

use curve::{Bound, Nonces};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use zeroize::Zeroizing;

use crate::Refused;
use crate::algorithm::{Algorithm, Kind};
use crate::key::{PublicKey, USER_ID};
use crate::pkcs8::PrivateKey;

thread_local! {
    /// Nonces ready for signatures of any key, as secret as the keys: of this thread alone, wiped when it ends. A process
    /// that signs locks its memory and does not fork.
    static NONCES: RefCell<Nonces> = RefCell::default();
}

/// What can sign: a key at hand, or one that lives elsewhere.
pub trait Signer {
    /// Its public half.
    fn public_key(&self) -> &PublicKey;

    /// What it signs with.
    fn algorithm(&self) -> Algorithm {
        Algorithm::default_of(self.public_key().kind())
    }

    /// Signature over `message`, DER on curves, with randomness from the operating system; SM2 with the default user id.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Refused>;

    /// Signature over a digest computed elsewhere; for SM2 that is e = SM3(Z ‖ M) (see [`PublicKey::hashing`]).
    ///
    /// Who calls this vouches for the digest: a signer cannot see what it signs. Not every signer can.
    fn sign_digest(&self, digest: &[u8]) -> Result<Vec<u8>, Refused> {
        let _ = digest;
        Err(Refused::DigestOnly)
    }

    /// Signature over a digest by this algorithm, which the key must fit: RSA keys have several.
    fn sign_digest_as(&self, algorithm: Algorithm, digest: &[u8]) -> Result<Vec<u8>, Refused> {
        if algorithm == self.algorithm() {
            self.sign_digest(digest)
        } else {
            Err(Refused::WrongAlgorithm)
        }
    }

    /// Signature over `message` by this algorithm, which the key must fit: RSA keys have several.
    fn sign_as(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Refused> {
        if algorithm == self.algorithm() {
            self.sign(message)
        } else {
            Err(Refused::WrongAlgorithm)
        }
    }

    /// What was encrypted to this key (GB/T 32918.4). Not every signer decrypts.
    fn open(&self, text: &curve::Ciphertext) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let _ = text;
        Err(Refused::WrongAlgorithm)
    }

    /// SM2 signature with `id` instead of the default user id.
    fn sign_with_id(&self, id: &[u8], message: &[u8]) -> Result<Vec<u8>, Refused> {
        if id == USER_ID.as_bytes() && self.algorithm() == Algorithm::Sm2 {
            return self.sign(message);
        }
        let mut hashing = self.public_key().hashing(Algorithm::Sm2, id)?;
        hashing.update(message);
        self.sign_digest(&hashing.finish())
    }
}

/// An SM2 private key. The scalar is wiped on drop; callers lock the memory it lives in.
pub struct Sm2Key {
    secret: Zeroizing<[u8; 32]>,
    key: curve::PrivateKey,
    /// What the hash takes in before each message.
    bound: Bound,
    public: PublicKey,
}

impl Sm2Key {
    /// A new key from the operating system's random source.
    pub fn generate() -> Result<Self, Refused> {
        let key = NONCES
            .with_borrow_mut(curve::PrivateKey::generate)
            .map_err(|_| Refused::Randomness)?;
        Self::new(key.to_bytes(), key)
    }

    /// From the scalar.
    pub fn from_secret(secret: Zeroizing<[u8; 32]>) -> Result<Self, Refused> {
        let key = curve::PrivateKey::from_bytes(&secret).map_err(|_| Refused::InvalidKey)?;
        Self::new(secret, key)
    }

    fn new(secret: Zeroizing<[u8; 32]>, key: curve::PrivateKey) -> Result<Self, Refused> {
        let public = PublicKey::from_point(Kind::Sm2, &key.public_key().to_point())?;
        let bound = Bound::new(USER_ID.as_bytes(), key.public_key()).map_err(|_| Refused::InvalidKey)?;
        Ok(Self {
            secret,
            key,
            bound,
            public,
        })
    }

    fn sign_e(&self, e: &[u8; 32]) -> Result<Vec<u8>, Refused> {
        NONCES
            .with_borrow_mut(|nonces| self.key.sign(e, nonces))
            .map(|signature| signature.to_der())
            .map_err(|_| Refused::Randomness)
    }

    /// Decrypts what was encrypted for this key (GB/T 32918.4).
    pub fn decrypt(&self, text: &curve::Ciphertext) -> Result<Zeroizing<Vec<u8>>, Refused> {
        self.key.decrypt(text).map_err(|_| Refused::Envelope)
    }

    /// As PKCS#8, not encrypted.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        crate::pkcs8::write_sm2(self)
    }

    /// The scalar, to be wrapped by custody.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl std::fmt::Debug for Sm2Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sm2Key")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl Signer for Sm2Key {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Refused> {
        self.sign_e(&self.bound.digest(message))
    }

    fn sign_digest(&self, digest: &[u8]) -> Result<Vec<u8>, Refused> {
        self.sign_e(digest.try_into().map_err(|_| Refused::InvalidDigest)?)
    }

    fn open(&self, text: &curve::Ciphertext) -> Result<Zeroizing<Vec<u8>>, Refused> {
        self.decrypt(text)
    }
}

/// An ECDSA P-256 private key.
pub struct P256Key {
    pair: EcdsaKeyPair,
    /// The same key in another library, for digests at hand: ring signs whole messages. Constant-time too, with the nonce of
    /// RFC 6979; wiped on drop.
    digests: SigningKey,
    public: PublicKey,
}

impl std::fmt::Debug for P256Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("P256Key")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl P256Key {
    /// PKCS#8 of a new key.
    pub fn generate() -> Result<Zeroizing<Vec<u8>>, Refused> {
        let rng = ring::rand::SystemRandom::new();
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &rng)
            .map(|document| Zeroizing::new(document.as_ref().to_vec()))
            .map_err(|_| Refused::InvalidKey)
    }

    /// From the scalar.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, Refused> {
        let digests = SigningKey::from_slice(secret).map_err(|_| Refused::InvalidKey)?;
        let point = digests.verifying_key().to_encoded_point(false);
        let rng = ring::rand::SystemRandom::new();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            secret,
            point.as_bytes(),
            &rng,
        )
        .map_err(|_| Refused::InvalidKey)?;
        let public = PublicKey::from_point(Kind::P256, point.as_bytes())?;
        Ok(Self { pair, digests, public })
    }

    /// From PKCS#8.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Refused> {
        match PrivateKey::from_pkcs8(pkcs8)? {
            PrivateKey::P256(key) => Ok(*key),
            PrivateKey::Sm2(_) | PrivateKey::Rsa(_) => Err(Refused::InvalidKey),
        }
    }
}

impl Signer for P256Key {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Refused> {
        self.pair
            .sign(&ring::rand::SystemRandom::new(), message)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| Refused::InvalidKey)
    }

    fn sign_digest(&self, digest: &[u8]) -> Result<Vec<u8>, Refused> {
        if digest.len() != Algorithm::EcdsaP256.hash().len() {
            return Err(Refused::InvalidDigest);
        }
        let signature: Signature = self.digests.sign_prehash(digest).map_err(|_| Refused::InvalidKey)?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}
