//! Algorithms and the URIs that name them.
//!
//! SHA-1, MD5, DSA and HMAC have no entry: what is not here is refused.

use gm::der::{self, Reader};
use gm::key::{Algorithm, Hash, Sha2};

use crate::Refused;

/// Names of the SM algorithms. The W3C has none, so they are configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// SM2 with SM3: all are read, the first is written.
    pub sm2_sm3: Vec<String>,
    /// SM3: all are read, the first is written.
    pub sm3: Vec<String>,
    /// How the value of an SM2 signature is written and read.
    pub sm2_value: Sm2Value,
}

/// How the value of an SM2 signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sm2Value {
    /// `r ‖ s`, 64 bytes, as XML-DSig has it for ECDSA.
    Raw,
    /// DER `SEQUENCE { r, s }` (GB/T 35276).
    Der,
}

impl Default for Names {
    /// The names China customs uses.
    fn default() -> Self {
        const BASE: &str = "http://www.chinaport.gov.cn/2022/04/xmldsig";
        Self {
            sm2_sm3: vec![format!("{BASE}#sm2-sm3")],
            sm3: vec![format!("{BASE}#sm3")],
            sm2_value: Sm2Value::Raw,
        }
    }
}

/// RFC 9231 2.3 and 2.3.10: PSS with MGF1 of the same hash and a salt of the digest's length.
const SIGNATURES: [(&str, Algorithm); 7] = [
    (
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
        Algorithm::EcdsaP256,
    ),
    (
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        Algorithm::RsaPkcs1(Sha2::Sha256),
    ),
    (
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
        Algorithm::RsaPkcs1(Sha2::Sha384),
    ),
    (
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
        Algorithm::RsaPkcs1(Sha2::Sha512),
    ),
    (
        "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
        Algorithm::RsaPss(Sha2::Sha256),
    ),
    (
        "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1",
        Algorithm::RsaPss(Sha2::Sha384),
    ),
    (
        "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1",
        Algorithm::RsaPss(Sha2::Sha512),
    ),
];

const DIGESTS: [(&str, Hash); 3] = [
    ("http://www.w3.org/2001/04/xmlenc#sha256", Hash::Sha256),
    ("http://www.w3.org/2001/04/xmldsig-more#sha384", Hash::Sha384),
    ("http://www.w3.org/2001/04/xmlenc#sha512", Hash::Sha512),
];

impl Names {
    /// The signature algorithm a URI names.
    pub(crate) fn signature(&self, uri: &str) -> Result<Algorithm, Refused> {
        if self.sm2_sm3.iter().any(|name| name == uri) {
            return Ok(Algorithm::Sm2);
        }
        SIGNATURES
            .iter()
            .find(|(name, _)| *name == uri)
            .map(|(_, algorithm)| *algorithm)
            .ok_or_else(|| Refused::Algorithm(uri.to_owned()))
    }

    /// The digest a URI names.
    pub(crate) fn digest(&self, uri: &str) -> Result<Hash, Refused> {
        if self.sm3.iter().any(|name| name == uri) {
            return Ok(Hash::Sm3);
        }
        DIGESTS
            .iter()
            .find(|(name, _)| *name == uri)
            .map(|(_, hash)| *hash)
            .ok_or_else(|| Refused::Algorithm(uri.to_owned()))
    }

    pub(crate) fn signature_uri(&self, algorithm: Algorithm) -> Result<&str, Refused> {
        match algorithm {
            Algorithm::Sm2 => self.sm2_sm3.first().map(String::as_str),
            other => SIGNATURES
                .iter()
                .find(|(_, known)| *known == other)
                .map(|(name, _)| *name),
        }
        .ok_or_else(|| Refused::Algorithm(algorithm.name().to_owned()))
    }

    pub(crate) fn digest_uri(&self, hash: Hash) -> Result<&str, Refused> {
        match hash {
            Hash::Sm3 => self.sm3.first().map(String::as_str),
            other => DIGESTS.iter().find(|(_, known)| *known == other).map(|(name, _)| *name),
        }
        .ok_or_else(|| Refused::Algorithm(hash.name().to_owned()))
    }

    /// The `SignatureValue` of a signature as `gm` makes it: on curves `r ‖ s` instead of DER.
    pub(crate) fn to_value(&self, algorithm: Algorithm, signature: Vec<u8>) -> Result<Vec<u8>, Refused> {
        if !self.is_raw(algorithm) {
            return Ok(signature);
        }
        let mut outer = Reader::new(&signature, "signature");
        let mut inner = outer.sequence("signature")?;
        outer.finish()?;
        let mut value = vec![0u8; 64];
        for half in value.chunks_exact_mut(32) {
            let number = inner.unsigned()?;
            let start = 32usize.checked_sub(number.len()).ok_or(Refused::SignatureInvalid)?;
            half.iter_mut()
                .skip(start)
                .zip(number)
                .for_each(|(to, from)| *to = *from);
        }
        inner.finish()?;
        Ok(value)
    }

    /// The reverse of [`Self::to_value`].
    pub(crate) fn of_value(&self, algorithm: Algorithm, value: Vec<u8>) -> Result<Vec<u8>, Refused> {
        if !self.is_raw(algorithm) {
            return Ok(value);
        }
        let halves = value.len() == 64;
        let (r, s) = value
            .split_at_checked(32)
            .filter(|_| halves)
            .ok_or(Refused::SignatureInvalid)?;
        Ok(der::sequence(&[&der::unsigned(r), &der::unsigned(s)]))
    }

    fn is_raw(&self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Sm2 => self.sm2_value == Sm2Value::Raw,
            Algorithm::EcdsaP256 => true,
            Algorithm::RsaPkcs1(_) | Algorithm::RsaPss(_) => false,
        }
    }
}
