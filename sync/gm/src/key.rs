//! Keys: SM2 and ECDSA P-256 (the seal that ordinary PDF readers understand); here the public half and what both share.

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use sm3::{Digest, Sm3};

use crate::der::{self, Reader, tag};
pub use crate::known::keep_tables;
pub use crate::private::{P256Key, Signer, Sm2Key};
use crate::{Refused, known, oid};

/// The user id of GB/T 35276 section 10, mixed into every SM2 signature.
pub const USER_ID: &str = "1234567812345678";

/// SM3 of some bytes.
#[must_use]
pub fn sm3(bytes: &[u8]) -> [u8; 32] {
    Sm3::digest(bytes).into()
}

/// SHA-256 of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    out
}

/// The two families of algorithms, never mixed within one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// SM2 with SM3.
    Gm,
    /// ECDSA P-256 with SHA-256.
    Classic,
}

impl Family {
    /// Digest in this family.
    #[must_use]
    pub fn digest(self, bytes: &[u8]) -> [u8; 32] {
        match self {
            Self::Gm => sm3(bytes),
            Self::Classic => sha256(bytes),
        }
    }

    /// The signature's `AlgorithmIdentifier`: parameters absent.
    #[must_use]
    pub fn signature_algorithm(self) -> Vec<u8> {
        der::sequence(&[&der::oid(match self {
            Self::Gm => oid::SM2_WITH_SM3,
            Self::Classic => oid::ECDSA_SHA256,
        })])
    }

    /// Reads a signature's `AlgorithmIdentifier`; NULL parameters occur and are accepted.
    pub fn read_signature_algorithm(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let mut inner = reader.sequence("signature algorithm")?;
        let id = inner.oid()?;
        inner.optional(tag::NULL)?;
        inner.finish()?;
        if id == oid::SM2_WITH_SM3 || id == oid::SM2_SIGN {
            Ok(Self::Gm)
        } else if id == oid::ECDSA_SHA256 {
            Ok(Self::Classic)
        } else {
            Err(Refused::UnknownSignature(oid::dotted(id)))
        }
    }
}

/// A public key: an uncompressed point on its curve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Which curve.
    pub family: Family,
    point: [u8; 65],
}

impl PublicKey {
    /// From an uncompressed point (`04 ‖ x ‖ y`), which must lie on the curve.
    pub fn from_point(family: Family, point: &[u8]) -> Result<Self, Refused> {
        let point: [u8; 65] = point.try_into().map_err(|_| Refused::InvalidKey)?;
        if point.first() != Some(&4) {
            return Err(Refused::InvalidKey);
        }
        if family == Family::Gm {
            curve::PublicKey::from_point(&point).map_err(|_| Refused::InvalidKey)?;
        }
        // ring checks a P-256 point when it verifies.
        Ok(Self { family, point })
    }

    /// The uncompressed point.
    #[must_use]
    pub fn point(&self) -> &[u8; 65] {
        &self.point
    }

    /// Verifies a DER signature over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Refused> {
        match self.family {
            Family::Gm => {
                let raw = raw_signature(signature)?;
                let signature = curve::Signature::from_bytes(&raw).map_err(|_| Refused::SignatureInvalid)?;
                known::verify(&self.point, message, &signature)
            }
            Family::Classic => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point)
                .verify(message, signature)
                .map_err(|_| Refused::SignatureInvalid),
        }
    }

    /// `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn to_spki(&self) -> Vec<u8> {
        let curve = match self.family {
            Family::Gm => oid::SM2_CURVE,
            Family::Classic => oid::P256,
        };
        der::sequence(&[
            &der::sequence(&[&der::oid(oid::EC_PUBLIC_KEY), &der::oid(curve)]),
            &der::bits(&self.point),
        ])
    }

    /// Reads a `SubjectPublicKeyInfo`.
    pub fn read_spki(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let mut spki = reader.sequence("public key")?;
        let mut algorithm = spki.sequence("public key algorithm")?;
        if algorithm.oid()? != oid::EC_PUBLIC_KEY {
            return Err(Refused::InvalidKey);
        }
        let curve = algorithm.oid()?;
        algorithm.finish()?;
        let family = if curve == oid::SM2_CURVE {
            Family::Gm
        } else if curve == oid::P256 {
            Family::Classic
        } else {
            return Err(Refused::InvalidKey);
        };
        let point = spki.bits()?;
        spki.finish()?;
        Self::from_point(family, point)
    }

    /// Identifier for key-id extensions: the first 20 bytes of SM3 over the point.
    #[must_use]
    pub fn key_id(&self) -> Vec<u8> {
        sm3(&self.point).iter().take(20).copied().collect()
    }
}

/// `r ‖ s` of a DER `SEQUENCE { r, s }`.
fn raw_signature(signature: &[u8]) -> Result<[u8; 64], Refused> {
    let mut outer = Reader::new(signature, "signature");
    let mut inner = outer.sequence("signature")?;
    outer.finish()?;
    let mut raw = [0u8; 64];
    for half in raw.chunks_exact_mut(32) {
        let value = inner.unsigned()?;
        let start = 32usize.checked_sub(value.len()).ok_or(Refused::SignatureInvalid)?;
        half.iter_mut()
            .skip(start)
            .zip(value)
            .for_each(|(to, from)| *to = *from);
    }
    inner.finish()?;
    Ok(raw)
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
        PublicKey::from_point(Family::Gm, &point).expect("key")
    }

    fn example_signature() -> Vec<u8> {
        der::sequence(&[
            &der::unsigned(&hex::decode(R).expect("hex")),
            &der::unsigned(&hex::decode(S).expect("hex")),
        ])
    }

    #[test]
    fn sm3_of_abc_is_the_standards() {
        assert_eq!(
            hex::encode(sm3(b"abc")),
            "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
        );
    }

    #[test]
    fn the_example_signature_of_gbt_32918_5_verifies() {
        example_key()
            .verify(b"message digest", &example_signature())
            .expect("the standard's own signature");
        assert_eq!(
            example_key().verify(b"message digesT", &example_signature()),
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
            .verify(b"message digest", &signature)
            .expect("verifies");
    }

    #[test]
    fn two_signatures_over_the_same_words_differ() {
        let key = Sm2Key::generate().expect("key");
        assert_ne!(key.sign(b"rx").expect("one"), key.sign(b"rx").expect("two"));
    }

    #[test]
    fn points_off_the_curve_and_boundary_signatures_are_refused() {
        let mut point = *example_key().point();
        point[64] ^= 1;
        assert_eq!(PublicKey::from_point(Family::Gm, &point), Err(Refused::InvalidKey));
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
                example_key().verify(b"message digest", &signature),
                Err(Refused::SignatureInvalid)
            );
        }
    }
}
