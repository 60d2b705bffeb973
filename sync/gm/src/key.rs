//! Public keys: SM2, ECDSA P-256 and RSA.
//!
//! | kind | verified by | over a digest that is at hand | a digest that is at hand signed by |
//! |---|---|---|---|
//! | SM2 | `curve`, with tables for keys that sign often | e = SM3(Z ‖ M) | `curve` |
//! | P-256 | ring | RustCrypto's `p256` | the same, nonce by RFC 6979 |
//! | RSA | ring | padding checked in `rsa.rs` | `rsa_factors.rs` |

use curve::Bound;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

pub use crate::algorithm::{Algorithm, Family, Kind, Sha2};
use crate::der::{self, Reader};
pub use crate::hash::{Hash, Hashing, sha256, sm3};
pub use crate::known::keep_tables;
pub use crate::pkcs8::PrivateKey;
pub use crate::private::{P256Key, Signer, Sm2Key};
pub use crate::rsa::RsaPublic;
pub use crate::rsa_private::RsaKey;
use crate::{Refused, known, oid};

/// The user id of GB/T 35276 section 10, mixed into every SM2 signature.
pub const USER_ID: &str = "1234567812345678";

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Inner {
    Sm2([u8; 65]),
    P256([u8; 65]),
    Rsa(Box<RsaPublic>),
}

/// A public key that was found to be one: a point on its curve, or an RSA modulus of an accepted size.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PublicKey(Inner);

impl PublicKey {
    /// From an uncompressed point (`04 ‖ x ‖ y`), which must lie on the curve.
    pub fn from_point(kind: Kind, point: &[u8]) -> Result<Self, Refused> {
        let point: [u8; 65] = point.try_into().map_err(|_| Refused::InvalidKey)?;
        if point.first() != Some(&4) {
            return Err(Refused::InvalidKey);
        }
        match kind {
            Kind::Sm2 => {
                curve::PublicKey::from_point(&point).map_err(|_| Refused::InvalidKey)?;
                Ok(Self(Inner::Sm2(point)))
            }
            Kind::P256 => {
                p256::PublicKey::from_sec1_bytes(&point).map_err(|_| Refused::InvalidKey)?;
                Ok(Self(Inner::P256(point)))
            }
            Kind::Rsa => Err(Refused::InvalidKey),
        }
    }

    /// From an RSA key.
    #[must_use]
    pub fn from_rsa(key: RsaPublic) -> Self {
        Self(Inner::Rsa(Box::new(key)))
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match &self.0 {
            Inner::Sm2(_) => Kind::Sm2,
            Inner::P256(_) => Kind::P256,
            Inner::Rsa(_) => Kind::Rsa,
        }
    }

    /// What it is and how large, for people: `SM2 256`, `RSA 2048`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.0 {
            Inner::Sm2(_) => "SM2 256".to_owned(),
            Inner::P256(_) => "ECDSA P-256".to_owned(),
            Inner::Rsa(key) => format!("RSA {}", key.bits()),
        }
    }

    /// The content of `subjectPublicKey`: the uncompressed point of a curve, or `RSAPublicKey`.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Inner::Sm2(point) | Inner::P256(point) => point,
            Inner::Rsa(key) => key.der(),
        }
    }

    /// The uncompressed point, of a key on a curve.
    #[must_use]
    pub fn point(&self) -> Option<&[u8; 65]> {
        match &self.0 {
            Inner::Sm2(point) | Inner::P256(point) => Some(point),
            Inner::Rsa(_) => None,
        }
    }

    /// The modulus and exponent, of an RSA key.
    #[must_use]
    pub fn rsa(&self) -> Option<&RsaPublic> {
        match &self.0 {
            Inner::Rsa(key) => Some(key),
            Inner::Sm2(_) | Inner::P256(_) => None,
        }
    }

    /// Refuses an algorithm that is not for this kind of key.
    pub fn fits(&self, algorithm: Algorithm) -> Result<(), Refused> {
        if algorithm.kind() == self.kind() {
            Ok(())
        } else {
            Err(Refused::WrongAlgorithm)
        }
    }

    /// Verifies a signature over `message`; SM2 with the default user id. Signatures on curves are DER.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), Refused> {
        self.fits(algorithm)?;
        match &self.0 {
            Inner::Sm2(point) => known::verify(point, known::Over::Message(message), &sm2_signature(signature)?),
            Inner::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
                .verify(message, signature)
                .map_err(|_| Refused::SignatureInvalid),
            Inner::Rsa(key) => key.verify(algorithm, message, signature),
        }
    }

    /// Verifies an SM2 signature whose signer mixed in `id` instead of the default user id. The empty id is an id.
    pub fn verify_with_id(&self, id: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Refused> {
        if id == USER_ID.as_bytes() {
            return self.verify(Algorithm::Sm2, message, signature);
        }
        let mut hashing = self.hashing(Algorithm::Sm2, id)?;
        hashing.update(message);
        self.verify_digest(Algorithm::Sm2, &hashing.finish(), signature)
    }

    /// Verifies a signature over a digest computed elsewhere. For SM2 that is e = SM3(Z ‖ M) and never SM3(M): see
    /// [`hashing`](Self::hashing), which takes Z in.
    pub fn verify_digest(&self, algorithm: Algorithm, digest: &[u8], signature: &[u8]) -> Result<(), Refused> {
        self.fits(algorithm)?;
        match &self.0 {
            Inner::Sm2(point) => {
                let e = digest.try_into().map_err(|_| Refused::SignatureInvalid)?;
                known::verify(point, known::Over::Digest(e), &sm2_signature(signature)?)
            }
            Inner::P256(point) => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| Refused::InvalidKey)?;
                let signature =
                    p256::ecdsa::DerSignature::from_bytes(signature).map_err(|_| Refused::SignatureInvalid)?;
                if digest.len() != algorithm.hash().len() {
                    return Err(Refused::SignatureInvalid);
                }
                key.verify_prehash(digest, &signature)
                    .map_err(|_| Refused::SignatureInvalid)
            }
            Inner::Rsa(key) => key.verify_digest(algorithm, digest, signature),
        }
    }

    /// Starts the digest of a long message to be verified with [`verify_digest`](Self::verify_digest), or signed: for
    /// SM2 it has taken in Z of this key and `id`; for others `id` plays no part.
    pub fn hashing(&self, algorithm: Algorithm, id: &[u8]) -> Result<Hashing, Refused> {
        self.fits(algorithm)?;
        match &self.0 {
            Inner::Sm2(point) => {
                let key = curve::PublicKey::from_point(point).map_err(|_| Refused::InvalidKey)?;
                let bound = Bound::new(id, &key).map_err(|_| Refused::InvalidUserId)?;
                Ok(Hashing::from_sm3(bound.start()))
            }
            Inner::P256(_) | Inner::Rsa(_) => Ok(algorithm.hash().start()),
        }
    }

    /// `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn to_spki(&self) -> Vec<u8> {
        let algorithm = match &self.0 {
            Inner::Sm2(_) => der::sequence(&[&der::oid(oid::EC_PUBLIC_KEY), &der::oid(oid::SM2_CURVE)]),
            Inner::P256(_) => der::sequence(&[&der::oid(oid::EC_PUBLIC_KEY), &der::oid(oid::P256)]),
            Inner::Rsa(_) => der::sequence(&[&der::oid(oid::RSA_ENCRYPTION), der::NULL]),
        };
        der::sequence(&[&algorithm, &der::bits(self.bytes())])
    }

    /// Reads a `SubjectPublicKeyInfo`.
    pub fn read_spki(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let mut spki = reader.sequence("public key")?;
        let mut algorithm = spki.sequence("public key algorithm")?;
        let kind = read_kind(&mut algorithm)?;
        algorithm.finish()?;
        let bytes = spki.bits()?;
        spki.finish()?;
        match kind {
            Kind::Rsa => RsaPublic::parse(bytes).map(Self::from_rsa),
            curve => Self::from_point(curve, bytes),
        }
    }

    /// Identifier for key-id extensions: the first 20 bytes of SM3 over the content of `subjectPublicKey`.
    #[must_use]
    pub fn key_id(&self) -> Vec<u8> {
        sm3(self.bytes()).iter().take(20).copied().collect()
    }
}

/// Reads the inside of a key's `AlgorithmIdentifier`.
pub(crate) fn read_kind(algorithm: &mut Reader<'_>) -> Result<Kind, Refused> {
    let id = algorithm.oid()?;
    match id {
        oid::RSA_ENCRYPTION => {
            algorithm.expect(der::tag::NULL)?;
            Ok(Kind::Rsa)
        }
        oid::EC_PUBLIC_KEY => match algorithm.oid()? {
            oid::SM2_CURVE => Ok(Kind::Sm2),
            oid::P256 => Ok(Kind::P256),
            other => Err(Refused::UnknownKey(oid::dotted(other))),
        },
        other => Err(Refused::UnknownKey(oid::dotted(other))),
    }
}

fn sm2_signature(der: &[u8]) -> Result<curve::Signature, Refused> {
    curve::Signature::from_der(der).map_err(|error| match error {
        curve::Refused::SignatureForm => Refused::Malformed { at: "signature" },
        _ => Refused::SignatureInvalid,
    })
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    const X: &str = "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020";
    const Y: &str = "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13";
    const D: &str = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8";
    const R: &str = "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3";
    const S: &str = "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa";

    fn example_key() -> PublicKey {
        let point = hex::decode(format!("04{X}{Y}")).expect("hex");
        PublicKey::from_point(Kind::Sm2, &point).expect("key")
    }

    fn example_signature() -> Vec<u8> {
        der::sequence(&[
            &der::unsigned(&hex::decode(R).expect("hex")),
            &der::unsigned(&hex::decode(S).expect("hex")),
        ])
    }

    #[test]
    fn the_example_signature_of_gbt_32918_5_verifies() {
        example_key()
            .verify(Algorithm::Sm2, b"message digest", &example_signature())
            .expect("the standard's own signature");
        assert_eq!(
            example_key().verify(Algorithm::Sm2, b"message digesT", &example_signature()),
            Err(Refused::SignatureInvalid)
        );
    }

    #[test]
    fn the_example_private_key_of_gbt_32918_5_gives_its_public_key() {
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(&hex::decode(D).expect("hex"));
        let key = Sm2Key::from_secret(secret).expect("key");
        assert_eq!(key.public_key(), &example_key());
        let signature = key.sign(b"message digest").expect("signed");
        key.public_key()
            .verify(Algorithm::Sm2, b"message digest", &signature)
            .expect("verifies");
    }

    #[test]
    fn two_signatures_over_the_same_words_differ() {
        let key = Sm2Key::generate().expect("key");
        assert_ne!(key.sign(b"rx").expect("one"), key.sign(b"rx").expect("two"));
    }

    #[test]
    fn points_off_the_curve_and_boundary_signatures_are_refused() {
        let mut point = *example_key().point().expect("point");
        point[64] ^= 1;
        assert_eq!(PublicKey::from_point(Kind::Sm2, &point), Err(Refused::InvalidKey));
        let order = hex::decode("fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123").expect("hex");
        let good = hex::decode(R).expect("hex");
        for (r, s) in [
            (&[0u8][..], &good[..]),
            (&good, &[0]),
            (&order, &good),
            (&good, &order),
            (&[0xff; 33], &good),
        ] {
            let signature = der::sequence(&[&der::unsigned(r), &der::unsigned(s)]);
            assert_eq!(
                example_key().verify(Algorithm::Sm2, b"message digest", &signature),
                Err(Refused::SignatureInvalid)
            );
        }
    }
}
