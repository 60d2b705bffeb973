//! Signature algorithms and their `AlgorithmIdentifier`s.
//!
//! | algorithm | identifier | parameters written | also read |
//! |---|---|---|---|
//! | SM2 with SM3 (GB/T 33560) | 1.2.156.10197.1.501 | absent | NULL; 1.2.156.10197.1.301.1 |
//! | ECDSA with SHA-256 (RFC 5758) | ecdsa-with-SHA256 | absent | NULL |
//! | RSA PKCS#1 v1.5 (RFC 4055 5) | shaNNNWithRSAEncryption | NULL | absent |
//! | RSA-PSS (RFC 4055 3) | id-RSASSA-PSS | hash, MGF1 with the same hash, salt of the digest's length | nothing else |
//!
//! SHA-1, MD5 and SHA-224 are refused by name; so are PSS parameters that mix hashes or name another salt length: no
//! signer needs them, and what is not accepted cannot be confused.

use crate::der::{self, Reader, tag};
use crate::hash::Hash;
use crate::{Refused, oid};

/// What a key can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A point of the SM2 curve.
    Sm2,
    /// A point of the curve P-256.
    P256,
    /// An RSA modulus of 2048 to 4096 bits.
    Rsa,
}

/// Which object identifiers a message is written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// GB/T 35275: SM2 with SM3.
    Gm,
    /// RFC 5652: RSA and ECDSA with SHA-2.
    Classic,
}

/// A digest of the SHA-2 family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sha2 {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Sha2 {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    fn of(hash: Hash) -> Option<Self> {
        Self::ALL.into_iter().find(|sha2| Hash::from(*sha2) == hash)
    }
}

impl From<Sha2> for Hash {
    fn from(sha2: Sha2) -> Self {
        match sha2 {
            Sha2::Sha256 => Self::Sha256,
            Sha2::Sha384 => Self::Sha384,
            Sha2::Sha512 => Self::Sha512,
        }
    }
}

/// A signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// SM2 with SM3 over Z and the message.
    Sm2,
    /// ECDSA P-256 with SHA-256.
    EcdsaP256,
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1(Sha2),
    /// RSASSA-PSS, MGF1 with the same hash, salt as long as the digest.
    RsaPss(Sha2),
}

impl Algorithm {
    /// Every one of them.
    pub const ALL: [Self; 8] = [
        Self::Sm2,
        Self::EcdsaP256,
        Self::RsaPkcs1(Sha2::Sha256),
        Self::RsaPkcs1(Sha2::Sha384),
        Self::RsaPkcs1(Sha2::Sha512),
        Self::RsaPss(Sha2::Sha256),
        Self::RsaPss(Sha2::Sha384),
        Self::RsaPss(Sha2::Sha512),
    ];

    /// The kind of key it needs.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Sm2 => Kind::Sm2,
            Self::EcdsaP256 => Kind::P256,
            Self::RsaPkcs1(_) | Self::RsaPss(_) => Kind::Rsa,
        }
    }

    /// What a key of this kind signs with when nothing else is said.
    #[must_use]
    pub const fn default_of(kind: Kind) -> Self {
        match kind {
            Kind::Sm2 => Self::Sm2,
            Kind::P256 => Self::EcdsaP256,
            Kind::Rsa => Self::RsaPkcs1(Sha2::Sha256),
        }
    }

    /// Its digest.
    #[must_use]
    pub fn hash(self) -> Hash {
        match self {
            Self::Sm2 => Hash::Sm3,
            Self::EcdsaP256 => Hash::Sha256,
            Self::RsaPkcs1(sha2) | Self::RsaPss(sha2) => sha2.into(),
        }
    }

    /// Which object identifiers go with it.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Sm2 => Family::Gm,
            _ => Family::Classic,
        }
    }

    /// Its name, as in the protocols of this product.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sm2 => "SM2-SM3",
            Self::EcdsaP256 => "ECDSA-P256-SHA256",
            Self::RsaPkcs1(Sha2::Sha256) => "RSA-PKCS1-SHA256",
            Self::RsaPkcs1(Sha2::Sha384) => "RSA-PKCS1-SHA384",
            Self::RsaPkcs1(Sha2::Sha512) => "RSA-PKCS1-SHA512",
            Self::RsaPss(Sha2::Sha256) => "RSA-PSS-SHA256",
            Self::RsaPss(Sha2::Sha384) => "RSA-PSS-SHA384",
            Self::RsaPss(Sha2::Sha512) => "RSA-PSS-SHA512",
        }
    }

    /// The one with this [`name`](Self::name).
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Its `AlgorithmIdentifier`.
    #[must_use]
    pub fn to_der(self) -> Vec<u8> {
        match self {
            Self::Sm2 => der::sequence(&[&der::oid(oid::SM2_WITH_SM3)]),
            Self::EcdsaP256 => der::sequence(&[&der::oid(oid::ECDSA_SHA256)]),
            Self::RsaPkcs1(sha2) => der::sequence(&[&der::oid(pkcs1_oid(sha2)), der::NULL]),
            Self::RsaPss(sha2) => {
                let hash = Hash::from(sha2);
                // RFC 4055 2.1: NULL here, as everybody writes it.
                let digest = der::sequence(&[&der::oid(hash.oid()), der::NULL]);
                let mask = der::sequence(&[&der::oid(oid::MGF1), &digest]);
                let parameters = der::sequence(&[
                    &der::constructed(tag::context(0), &[&digest]),
                    &der::constructed(tag::context(1), &[&mask]),
                    &der::constructed(tag::context(2), &[&der::unsigned(&[hash.len() as u8])]),
                ]);
                der::sequence(&[&der::oid(oid::RSA_PSS), &parameters])
            }
        }
    }

    /// Reads the `AlgorithmIdentifier` of a signature over a certificate, request or list.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        Self::read_with(reader, None)
    }

    /// Reads the `signatureAlgorithm` of a `SignerInfo` whose digest algorithm is `hash`: there, `rsaEncryption` and the
    /// SM2 curve's own identifiers stand for the scheme with that digest (RFC 3370 3.2, GB/T 35275 6.3).
    pub fn read_for_digest(reader: &mut Reader<'_>, hash: Hash) -> Result<Self, Refused> {
        let algorithm = Self::read_with(reader, Some(hash))?;
        if algorithm.hash() == hash {
            Ok(algorithm)
        } else {
            Err(Refused::MixedAlgorithms)
        }
    }

    fn read_with(reader: &mut Reader<'_>, hash: Option<Hash>) -> Result<Self, Refused> {
        let mut inner = reader.sequence("signature algorithm")?;
        let id = inner.oid()?;
        if id == oid::RSA_PSS {
            return read_pss(&mut inner);
        }
        let found = match id {
            oid::SM2_WITH_SM3 | oid::SM2_SIGN => Self::Sm2,
            oid::ECDSA_SHA256 => Self::EcdsaP256,
            oid::RSA_SHA256 => Self::RsaPkcs1(Sha2::Sha256),
            oid::RSA_SHA384 => Self::RsaPkcs1(Sha2::Sha384),
            oid::RSA_SHA512 => Self::RsaPkcs1(Sha2::Sha512),
            oid::RSA_ENCRYPTION => hash
                .and_then(Sha2::of)
                .map(Self::RsaPkcs1)
                .ok_or_else(|| Refused::UnknownSignature(oid::dotted(id)))?,
            oid::SM2_CURVE | oid::EC_PUBLIC_KEY if hash == Some(Hash::Sm3) => Self::Sm2,
            _ => return Err(Refused::UnknownSignature(oid::dotted(id))),
        };
        der::null_or_absent(&mut inner)?;
        Ok(found)
    }
}

fn pkcs1_oid(sha2: Sha2) -> &'static [u8] {
    match sha2 {
        Sha2::Sha256 => oid::RSA_SHA256,
        Sha2::Sha384 => oid::RSA_SHA384,
        Sha2::Sha512 => oid::RSA_SHA512,
    }
}

/// `RSASSA-PSS-params`. An absent part means SHA-1, which is refused.
fn read_pss(inner: &mut Reader<'_>) -> Result<Algorithm, Refused> {
    let refused = |what: &str| Refused::UnknownSignature(format!("RSA-PSS, {what}"));
    let mut parameters = inner.sequence("PSS parameters")?;
    inner.finish()?;
    let Some(digest) = parameters.optional(tag::context(0))? else {
        return Err(refused("SHA-1"));
    };
    let mut digest = Reader::new(digest.value, "PSS hash");
    let hash = Hash::read(&mut digest)?;
    digest.finish()?;
    let sha2 = Sha2::of(hash).ok_or_else(|| refused(hash.name()))?;

    let Some(mask) = parameters.optional(tag::context(1))? else {
        return Err(refused("mask by SHA-1"));
    };
    let mut outer = Reader::new(mask.value, "PSS mask");
    let mut mask = outer.sequence("PSS mask")?;
    outer.finish()?;
    if mask.oid()? != oid::MGF1 {
        return Err(refused("unknown mask"));
    }
    if Hash::read(&mut mask)? != hash {
        return Err(refused("mask by another hash"));
    }
    mask.finish()?;

    let Some(salt) = parameters.optional(tag::context(2))? else {
        return Err(refused("salt of 20 bytes"));
    };
    let mut salt = Reader::new(salt.value, "PSS salt");
    if usize::from(salt.small()?) != hash.len() {
        return Err(refused("salt of another length"));
    }
    salt.finish()?;

    if let Some(trailer) = parameters.optional(tag::context(3))? {
        let mut trailer = Reader::new(trailer.value, "PSS trailer");
        if trailer.small()? != 1 {
            return Err(refused("unknown trailer"));
        }
        trailer.finish()?;
    }
    parameters.finish()?;
    Ok(Algorithm::RsaPss(sha2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(der: &[u8]) -> Result<Algorithm, Refused> {
        let mut reader = Reader::new(der, "test");
        let algorithm = Algorithm::read(&mut reader)?;
        reader.finish()?;
        Ok(algorithm)
    }

    #[test]
    fn every_algorithm_is_read_as_it_is_written() {
        for algorithm in Algorithm::ALL {
            assert_eq!(read(&algorithm.to_der()), Ok(algorithm));
            assert_eq!(Algorithm::of_name(algorithm.name()), Some(algorithm));
        }
    }

    #[test]
    fn parameters_may_be_null_or_absent_and_nothing_else() {
        for id in [oid::SM2_WITH_SM3, oid::ECDSA_SHA256, oid::RSA_SHA256] {
            let absent = der::sequence(&[&der::oid(id)]);
            let null = der::sequence(&[&der::oid(id), der::NULL]);
            assert_eq!(read(&absent), read(&null));
            read(&absent).expect("read");
            for more in [&der::unsigned(&[1])[..], &[der::NULL, der::NULL].concat(), &[5, 1, 0]] {
                let refused = read(&der::sequence(&[&der::oid(id), more]));
                assert!(matches!(refused, Err(Refused::Malformed { .. })), "{more:?}");
            }
        }
    }

    #[test]
    fn weak_and_mixed_algorithms_are_refused_by_name() {
        let sha1_with_rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05];
        assert_eq!(
            read(&der::sequence(&[&der::oid(&sha1_with_rsa), der::NULL])),
            Err(Refused::UnknownSignature("1.2.840.113549.1.1.5".to_owned()))
        );
        let pss = |parts: &[&[u8]]| der::sequence(&[&der::oid(oid::RSA_PSS), &der::sequence(parts)]);
        let digest = |hash: Hash| der::constructed(tag::context(0), &[&hash.to_der()]);
        let mask = |hash: Hash| {
            let inner = der::sequence(&[&der::oid(oid::MGF1), &hash.to_der()]);
            der::constructed(tag::context(1), &[&inner])
        };
        let salt = |n: u8| der::constructed(tag::context(2), &[&der::unsigned(&[n])]);
        let (d, m, s) = (digest(Hash::Sha256), mask(Hash::Sha256), salt(32));
        assert_eq!(read(&pss(&[&d, &m, &s])), Ok(Algorithm::RsaPss(Sha2::Sha256)));
        for (parts, why) in [
            (vec![], "RSA-PSS, SHA-1"),
            (vec![&d], "RSA-PSS, mask by SHA-1"),
            (vec![&d, &m], "RSA-PSS, salt of 20 bytes"),
            (vec![&d, &m, &salt(20)], "RSA-PSS, salt of another length"),
            (vec![&d, &mask(Hash::Sha512), &s], "RSA-PSS, mask by another hash"),
            (vec![&digest(Hash::Sm3), &m, &s], "RSA-PSS, SM3"),
        ] {
            let parts: Vec<&[u8]> = parts.into_iter().map(Vec::as_slice).collect();
            assert_eq!(read(&pss(&parts)), Err(Refused::UnknownSignature(why.to_owned())));
        }
        let trailer = der::constructed(tag::context(3), &[&der::unsigned(&[2])]);
        assert!(read(&pss(&[&d, &m, &s, &trailer])).is_err());
        assert!(matches!(
            read(&pss(&[&m, &d, &s])),
            Err(Refused::UnknownSignature(_) | Refused::Malformed { .. })
        ));
    }

    #[test]
    fn in_a_message_the_key_s_identifier_stands_for_the_scheme_with_the_digest() {
        let rsa = der::sequence(&[&der::oid(oid::RSA_ENCRYPTION), der::NULL]);
        let read = |der: &[u8], hash| Algorithm::read_for_digest(&mut Reader::new(der, "test"), hash);
        assert_eq!(read(&rsa, Hash::Sha384), Ok(Algorithm::RsaPkcs1(Sha2::Sha384)));
        assert!(matches!(read(&rsa, Hash::Sm3), Err(Refused::UnknownSignature(_))));
        assert!(super::Algorithm::read(&mut Reader::new(&rsa, "test")).is_err());
        let other = Algorithm::RsaPkcs1(Sha2::Sha256).to_der();
        assert_eq!(read(&other, Hash::Sha512), Err(Refused::MixedAlgorithms));
    }
}
