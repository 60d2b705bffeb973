//! RSA public keys (RFC 8017): 2048 to 4096 bits, odd exponent of at least 65537 and at most 33 bits.
//!
//! Signatures over messages are verified by ring. Where only the digest is at hand (long data that was hashed as it came,
//! signed messages without attributes) the padding is checked here over crypto-bigint's power: everything in it is public.
//! What is signed then is padded here too; the private operation is in `rsa_factors`.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, UnparsedPublicKey,
};

use crate::Refused;
use crate::algorithm::{Algorithm, Sha2};
use crate::der::{self, Reader};
use crate::hash::Hash;

/// The least and the most bits of a modulus.
pub(crate) const BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// A modulus and an exponent that were found fit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RsaPublic {
    modulus: Vec<u8>,
    exponent: u64,
    der: Vec<u8>,
}

impl RsaPublic {
    /// From both numbers, the highest byte first.
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, Refused> {
        let trimmed = |bytes: &[u8]| -> Vec<u8> { bytes.iter().copied().skip_while(|byte| *byte == 0).collect() };
        let (modulus, exponent) = (trimmed(modulus), trimmed(exponent));
        let der = der::sequence(&[&der::unsigned(&modulus), &der::unsigned(&exponent)]);
        if exponent.len() > 5 {
            return Err(Refused::InvalidKey);
        }
        let exponent = exponent.iter().fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
        let fit = exponent & 1 == 1 && (65_537..1 << 33).contains(&exponent);
        let odd = modulus.last().is_some_and(|byte| byte & 1 == 1);
        if !fit || !odd || !BITS.contains(&bits(&modulus)) {
            return Err(Refused::InvalidKey);
        }
        Ok(Self { modulus, exponent, der })
    }

    /// Reads an `RSAPublicKey`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let mut reader = Reader::new(bytes, "RSA public key");
        let mut inner = reader.sequence("RSA public key")?;
        reader.finish()?;
        let (modulus, exponent) = (inner.unsigned()?, inner.unsigned()?);
        inner.finish()?;
        Self::new(modulus, exponent)
    }

    /// As `RSAPublicKey`.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The modulus, the highest byte first.
    #[must_use]
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// The public exponent.
    #[must_use]
    pub fn exponent(&self) -> u64 {
        self.exponent
    }

    /// Bits of the modulus.
    #[must_use]
    pub fn bits(&self) -> usize {
        bits(&self.modulus)
    }

    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), Refused> {
        let parameters: &'static RsaParameters = match algorithm {
            Algorithm::RsaPkcs1(Sha2::Sha256) => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::RsaPkcs1(Sha2::Sha384) => &RSA_PKCS1_2048_8192_SHA384,
            Algorithm::RsaPkcs1(Sha2::Sha512) => &RSA_PKCS1_2048_8192_SHA512,
            Algorithm::RsaPss(Sha2::Sha256) => &RSA_PSS_2048_8192_SHA256,
            Algorithm::RsaPss(Sha2::Sha384) => &RSA_PSS_2048_8192_SHA384,
            Algorithm::RsaPss(Sha2::Sha512) => &RSA_PSS_2048_8192_SHA512,
            Algorithm::Sm2 | Algorithm::EcdsaP256 => return Err(Refused::WrongAlgorithm),
        };
        UnparsedPublicKey::new(parameters, &self.der)
            .verify(message, signature)
            .map_err(|_| Refused::SignatureInvalid)
    }

    /// A digest as it is signed by this scheme, as long as the modulus: PSS with a fresh salt.
    pub(crate) fn encode(&self, algorithm: Algorithm, digest: &[u8]) -> Result<Vec<u8>, Refused> {
        let hash = algorithm.hash();
        if digest.len() != hash.len() {
            return Err(Refused::InvalidDigest);
        }
        let encoded = match algorithm {
            Algorithm::RsaPkcs1(_) => pkcs1(hash, digest, self.modulus.len()),
            Algorithm::RsaPss(_) => {
                let mut salt = vec![0; hash.len()];
                getrandom::fill(&mut salt).map_err(|_| Refused::Randomness)?;
                pss(hash, digest, &salt, self.bits() - 1)
            }
            Algorithm::Sm2 | Algorithm::EcdsaP256 => return Err(Refused::WrongAlgorithm),
        };
        encoded.ok_or(Refused::InvalidKey)
    }

    pub(crate) fn verify_digest(&self, algorithm: Algorithm, digest: &[u8], signature: &[u8]) -> Result<(), Refused> {
        let hash = algorithm.hash();
        if digest.len() != hash.len() {
            return Err(Refused::SignatureInvalid);
        }
        let encoded = self.power(signature)?;
        let holds = match algorithm {
            Algorithm::RsaPkcs1(_) => pkcs1(hash, digest, encoded.len()).is_some_and(|wanted| wanted == encoded),
            Algorithm::RsaPss(_) => pss_holds(hash, digest, &encoded, self.bits() - 1),
            Algorithm::Sm2 | Algorithm::EcdsaP256 => return Err(Refused::WrongAlgorithm),
        };
        if holds { Ok(()) } else { Err(Refused::SignatureInvalid) }
    }

    /// s^e mod n, as long as the modulus.
    fn power(&self, signature: &[u8]) -> Result<Vec<u8>, Refused> {
        if signature.len() != self.modulus.len() || signature >= self.modulus.as_slice() {
            return Err(Refused::SignatureInvalid);
        }
        let bits = u32::try_from(self.modulus.len() * 8).map_err(|_| Refused::InvalidKey)?;
        let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, bits).map_err(|_| Refused::InvalidKey);
        let modulus: Option<Odd<BoxedUint>> = number(&self.modulus)?.into_odd().into();
        let parameters = BoxedMontyParams::new_vartime(modulus.ok_or(Refused::InvalidKey)?);
        let power = BoxedMontyForm::new(number(signature)?, &parameters)
            .pow_bounded_exp(&BoxedUint::from(self.exponent), 33)
            .retrieve();
        let bytes = power.to_be_bytes();
        let skip = bytes.len().saturating_sub(self.modulus.len());
        Ok(bytes.iter().copied().skip(skip).collect())
    }
}

fn bits(modulus: &[u8]) -> usize {
    modulus
        .first()
        .map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize)
}

/// EMSA-PKCS1-v1_5 (RFC 8017 9.2): 00 01 ff…ff 00 `DigestInfo`, with NULL parameters.
fn pkcs1(hash: Hash, digest: &[u8], length: usize) -> Option<Vec<u8>> {
    let info = der::sequence(&[
        &der::sequence(&[&der::oid(hash.oid()), der::NULL]),
        &der::octets(digest),
    ]);
    let padding = length.checked_sub(info.len() + 3).filter(|padding| *padding >= 8)?;
    Some([&[0, 1], &vec![0xff; padding][..], &[0], &info].concat())
}

/// EMSA-PSS-ENCODE (RFC 8017 9.1.1); `bits` is one less than the modulus has.
fn pss(hash: Hash, digest: &[u8], salt: &[u8], bits: usize) -> Option<Vec<u8>> {
    let length = bits.div_ceil(8);
    let h = hash.digest(&[&[0; 8], digest, salt].concat());
    let zeros = length.checked_sub(salt.len() + hash.len() + 2)?;
    let mut block = [&vec![0; zeros][..], &[1], salt].concat();
    let mask = mgf1(hash, &h, block.len());
    block.iter_mut().zip(&mask).for_each(|(byte, mask)| *byte ^= mask);
    *block.first_mut()? &= 0xff >> (length * 8 - bits);
    Some([&block[..], &h, &[0xbc]].concat())
}

/// EMSA-PSS-VERIFY (RFC 8017 9.1.2), salt as long as the digest; `bits` is one less than the modulus has.
fn pss_holds(hash: Hash, digest: &[u8], encoded: &[u8], bits: usize) -> bool {
    let check = || -> Option<bool> {
        let length = bits.div_ceil(8);
        // A modulus of 8k+1 bits has one byte more than the encoding.
        let (lead, encoded) = encoded.split_at_checked(encoded.len().checked_sub(length)?)?;
        if lead.iter().any(|byte| *byte != 0) || encoded.last() != Some(&0xbc) {
            return Some(false);
        }
        let (masked, rest) = encoded.split_at_checked(length.checked_sub(hash.len() + 1)?)?;
        let (h, _) = rest.split_at_checked(hash.len())?;
        let unused = length * 8 - bits;
        let keep = 0xffu8 >> unused;
        if masked.first()? & !keep != 0 {
            return Some(false);
        }
        let mask = mgf1(hash, h, masked.len());
        let mut block: Vec<u8> = masked.iter().zip(&mask).map(|(a, b)| a ^ b).collect();
        *block.first_mut()? &= keep;
        let (zeros, salt) = block.split_at_checked(block.len().checked_sub(hash.len())?)?;
        let (one, zeros) = zeros.split_last()?;
        if *one != 1 || zeros.iter().any(|byte| *byte != 0) {
            return Some(false);
        }
        Some(hash.digest(&[&[0; 8], digest, salt].concat()) == h)
    };
    check().unwrap_or(false)
}

/// MGF1 (RFC 8017 B.2.1).
fn mgf1(hash: Hash, seed: &[u8], length: usize) -> Vec<u8> {
    (0u32..)
        .flat_map(|n| hash.digest(&[seed, &n.to_be_bytes()].concat()))
        .take(length)
        .collect()
}
