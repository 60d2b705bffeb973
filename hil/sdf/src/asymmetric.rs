//! SM2 by RustCrypto, RSA by big integers: nothing here is the product's.

use std::str::FromStr;

use num_bigint::BigUint;
use sm2::dsa::SigningKey;
use sm2::dsa::signature::hazmat::PrehashSigner;
use sm2::elliptic_curve::sec1::ToSec1Point;
use sm2::pke::DecryptingKey;
use sm2::{PublicKey, SecretKey};

/// A key of the bench, in clear in the `keys` file.
#[derive(Clone)]
pub(crate) struct Sm2Key(SecretKey);

impl Sm2Key {
    pub(crate) fn generate() -> Self {
        loop {
            let mut bytes = [0u8; 32];
            let _ = getrandom::fill(&mut bytes);
            if let Ok(key) = SecretKey::from_slice(&bytes) {
                return Self(key);
            }
        }
    }

    pub(crate) fn bytes(&self) -> [u8; 32] {
        self.0.to_bytes().into()
    }

    /// x and y.
    pub(crate) fn point(&self) -> ([u8; 32], [u8; 32]) {
        let point = PublicKey::from(&self.0).to_sec1_point(false);
        let bytes = point.as_bytes();
        let half = |from: usize| {
            bytes
                .get(from..from + 32)
                .and_then(|half| half.try_into().ok())
                .unwrap_or([0; 32])
        };
        (half(1), half(33))
    }

    /// r ‖ s over a digest e.
    pub(crate) fn sign(&self, e: &[u8]) -> Option<[u8; 64]> {
        let key = SigningKey::new("1234567812345678", &self.0).ok()?;
        let signature: sm2::dsa::Signature = key.sign_prehash(e).ok()?;
        Some(signature.to_bytes().into())
    }

    /// `04 ‖ x ‖ y ‖ hash ‖ cipher` in clear.
    pub(crate) fn decrypt(&self, c1c3c2: &[u8]) -> Option<Vec<u8>> {
        DecryptingKey::new(self.0.clone()).decrypt(c1c3c2).ok()
    }
}

impl FromStr for Sm2Key {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = hex::decode(text).map_err(|_| ())?;
        SecretKey::from_slice(&bytes).map(Self).map_err(|_| ())
    }
}

/// Verifies r ‖ s over e.
pub(crate) fn verify(point: &[u8], e: &[u8], signature: &[u8]) -> bool {
    use sm2::dsa::signature::hazmat::PrehashVerifier;
    let key = sm2::dsa::VerifyingKey::from_sec1_bytes("1234567812345678", point);
    let signature = sm2::dsa::Signature::from_slice(signature);
    match (key, signature) {
        (Ok(key), Ok(signature)) => key.verify_prehash(e, &signature).is_ok(),
        _ => false,
    }
}

// The factory's RSA key: the same in every bench device, so it protects nothing.
const MODULUS: &str = concat!(
    "b3e8793aee351ac90bf3f15dfa4dcef7cf9e5ee102ac56d3941a05ac2aa7194d0f748034b7f21582ba0303674d3a9d8f",
    "be549cb783e6b6b386b1addf248d9cfae613d17938a92256c22bd841252c3a2ed56bc37fd3a35f0925517f5b9a848faf",
    "d3fbcfbd9b9bda4306b492776017a22290c1ea5d630581c719438c2840cc71aa717cbd6cb5cbd6bf1ab27d81ddd8b8d5",
    "b473f068b61d0363ed0b668a016c4fc74dbcadaf955f48dce8c9aeb2cbaa115a859d17062de05a484192d87df7b0df84",
    "c39e2f6616318107c1703763e59537a613fdb95ae828d047cf4b17264e420b7deb85f7b07952ff243b8ba0177d2dc835",
    "0d872fc0ae61b498f2f118d14b6dfbcf",
);
const PRIVATE_EXPONENT: &str = concat!(
    "ae320a2fe535c619a4592efbafc06705cb21acfc717a2d17efeec24f517d3a224334aa6e612d2566ce74dc76c97057df",
    "368af6b33a23ca034a0800326f522f0d40792ffa0fc2b45d0ce5271eecbf4616d2cee51c7fef4fb5ab4c9de43458e647",
    "7919f8abbe5fc995dc883ac91b61c6bb712e519edaa21a668d2fba25bf9834f5135616a380b8e1b748583f8db8f3c481",
    "a4247505f5b9168d4cc2e4d48a59da714dce0342ada7777916f55daca48bbd2ee23e6531586037a17db79b511b24aebf",
    "39a2d97c7e9ccd3cf8cd1a8b805d87696918eca396c9c49be1fcfe9a3819a1ef883c6e45271b65c379fef2c8de15e137",
    "baed0bc6b31831c6f4baad3be9c4a41",
);

/// Bytes of the modulus.
pub(crate) const RSA_BYTES: usize = 256;

/// The modulus, big-endian.
pub(crate) fn rsa_modulus() -> Vec<u8> {
    hex::decode(MODULUS).unwrap_or_default()
}

/// input^d mod n, as long as the modulus.
pub(crate) fn rsa_private(input: &[u8]) -> Option<Vec<u8>> {
    let modulus = BigUint::parse_bytes(MODULUS.as_bytes(), 16)?;
    let exponent = BigUint::parse_bytes(PRIVATE_EXPONENT.as_bytes(), 16)?;
    let input = BigUint::from_bytes_be(input);
    if input >= modulus {
        return None;
    }
    let output = input.modpow(&exponent, &modulus).to_bytes_be();
    let mut padded = vec![0; RSA_BYTES - output.len()];
    padded.extend(output);
    Some(padded)
}
