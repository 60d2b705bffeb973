//! Signing, decrypting and ciphering in a session.

use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource, PkcsPssParams};
use cryptoki::mechanism::vendor_defined::VendorDefinedMechanism;
use cryptoki::mechanism::{Mechanism, MechanismType};
use zeroize::Zeroizing;

use super::{Line, Token, Worked, by, keys, module};
use crate::judge::{self, Numbers};
use crate::{Direction, Fault, Hash, KeyRef, Mode, Scheme, Unwrap};

fn hash(hash: Hash) -> (MechanismType, PkcsMgfType) {
    match hash {
        Hash::Sha256 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
        Hash::Sha384 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384),
        Hash::Sha512 => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512),
    }
}

fn vendor(number: Option<u64>, missing: &'static str) -> Worked<Mechanism<'static>> {
    let kind = number.and_then(module::mechanism).ok_or(Fault::NotOffered(missing))?;
    Ok(Mechanism::VendorDefined(VendorDefinedMechanism::new::<u8>(kind, None)))
}

/// Signs a digest and judges the signature.
pub(super) fn sign(token: &Token, line: &mut Line, key: &KeyRef, scheme: Scheme, digest: &[u8]) -> Worked<Vec<u8>> {
    let known = keys::known(token, line, key)?;
    let fits = matches!(
        (&known.numbers, scheme),
        (Numbers::Sm2(_), Scheme::Sm2)
            | (Numbers::P256(_), Scheme::EcdsaP256)
            | (Numbers::Rsa { .. }, Scheme::RsaPkcs1(_) | Scheme::RsaPss(_))
    );
    if !fits {
        let key = key.to_string();
        return Err(Fault::WrongKey {
            key,
            wanted: "此签名算法",
        }
        .into());
    }
    let (mechanism, input) = match scheme {
        Scheme::Sm2 => {
            let missing = "SM2（未配置此模块的厂商 SM2 机制；SM2 曲线上的 ECDSA 不是 SM2 签名）";
            let number = token.config.sm2.map(|sm2| sm2.sign);
            (vendor(number, missing)?, digest.to_vec())
        }
        // Tokens differ in what they do with a digest longer than the order; its leftmost bits are what FIPS 186 uses.
        Scheme::EcdsaP256 => (Mechanism::Ecdsa, digest.iter().take(32).copied().collect()),
        Scheme::RsaPkcs1(kind) => (Mechanism::RsaPkcs, judge::digest_info(kind, digest)),
        Scheme::RsaPss(kind) => {
            let (hash_alg, mgf) = hash(kind);
            let s_len = (kind.length() as u64).into();
            (
                Mechanism::RsaPkcsPss(PkcsPssParams { hash_alg, mgf, s_len }),
                digest.to_vec(),
            )
        }
    };
    let object = keys::find(token, line, key)?;
    let reply = line.session.sign(&mechanism, object, &input).or_else(by("C_Sign"))?;
    let reply = if scheme == Scheme::Sm2 && token.config.sm2.is_some_and(|sm2| sm2.der) {
        let signature = curve::Signature::from_der(&reply).map_err(|_| Fault::BadReply {
            function: "C_Sign",
            what: "not the DER of a signature",
        })?;
        signature.to_bytes().to_vec()
    } else {
        reply
    };
    Ok(known.accept("C_Sign", scheme, digest, &reply)?)
}

/// Decrypts.
pub(super) fn decrypt(
    token: &Token,
    line: &mut Line,
    key: &KeyRef,
    scheme: Unwrap,
    ciphertext: &[u8],
) -> Worked<Zeroizing<Vec<u8>>> {
    let mechanism = match scheme {
        Unwrap::Sm2 => {
            crate::der::Sm2Cipher::read(ciphertext)?;
            let number = token.config.sm2.and_then(|sm2| sm2.decrypt);
            vendor(number, "SM2 解密（未配置此模块的厂商机制）")?
        }
        Unwrap::RsaPkcs1 => Mechanism::RsaPkcs,
        Unwrap::RsaOaep(kind) => {
            let (hash_alg, mgf) = hash(kind);
            Mechanism::RsaPkcsOaep(PkcsOaepParams::new(hash_alg, mgf, PkcsOaepSource::empty()))
        }
    };
    let object = keys::find(token, line, key)?;
    let plain = line.session.decrypt(&mechanism, object, ciphertext);
    match plain {
        Ok(plain) => Ok(Zeroizing::new(plain)),
        // Modules tell bad padding in several ways; here they are one.
        Err(cryptoki::error::Error::Pkcs11(
            cryptoki::error::RvError::GeneralError
            | cryptoki::error::RvError::FunctionFailed
            | cryptoki::error::RvError::DataInvalid
            | cryptoki::error::RvError::DataLenRange,
            _,
        )) => Err(Fault::Ciphertext.into()),
        Err(error) => by("C_Decrypt")(error),
    }
}

/// AES with a key of the token.
pub(super) fn cipher(
    token: &Token,
    line: &mut Line,
    key: &KeyRef,
    mode: Mode,
    direction: Direction,
    data: &[u8],
) -> Worked<Zeroizing<Vec<u8>>> {
    let mechanism = match mode {
        Mode::Ecb => Mechanism::AesEcb,
        Mode::Cbc(iv) => Mechanism::AesCbc(iv),
    };
    let object = keys::find(token, line, key)?;
    let (function, output) = match direction {
        Direction::Encrypt => ("C_Encrypt", line.session.encrypt(&mechanism, object, data)),
        Direction::Decrypt => ("C_Decrypt", line.session.decrypt(&mechanism, object, data)),
    };
    let output = Zeroizing::new(output.or_else(by(function))?);
    if output.len() != data.len() {
        let what = "length of the output";
        return Err(Fault::BadReply { function, what }.into());
    }
    Ok(output)
}
