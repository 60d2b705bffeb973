//! Private keys in files: PKCS#8 (RFC 5958), plain and encrypted (PBES2, RFC 8018), and the older bare forms.
//!
//! | part | read |
//! |---|---|
//! | key derivation | PBKDF2 with HMAC-SHA-1 (the default of old tools), -SHA-256, -SHA-384, -SHA-512, -SM3 |
//! | cipher | AES-128/192/256-CBC, SM4-CBC |
//! | key | SM2, P-256, RSA |
//!
//! Written: PBKDF2 with HMAC-SM3 and SM4-CBC. A wrong password and a damaged file look the same.

use std::num::NonZeroU32;

use aes::cipher::consts::U16;
use aes::cipher::{BlockDecrypt, BlockSizeUser, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use getrandom::SysRng;
use getrandom::rand_core::TryRng;
use hmac::{Hmac, KeyInit as _, Mac};
use ring::pbkdf2;
use sm3::Sm3;
use zeroize::Zeroizing;

use crate::der::{self, Reader, tag};
use crate::key::{Algorithm, Kind, P256Key, PublicKey, RsaKey, Signer, Sm2Key, read_kind};
use crate::{Refused, oid, pem};

/// More rounds of key derivation would keep the processor busy for longer than anybody waits.
const MAX_ROUNDS: u32 = 5_000_000;
/// Rounds of what is written here (OWASP's figure for HMAC-SHA-256; SM3 costs about as much).
const ROUNDS: u32 = 600_000;
/// Larger files are not read.
const MAX_KEY: usize = 64 * 1024;

/// A private key of any kind.
#[derive(Debug)]
pub enum PrivateKey {
    /// SM2.
    Sm2(Box<Sm2Key>),
    /// ECDSA P-256.
    P256(Box<P256Key>),
    /// RSA.
    Rsa(Box<RsaKey>),
}

impl PrivateKey {
    fn signer(&self) -> &dyn Signer {
        match self {
            Self::Sm2(key) => key.as_ref(),
            Self::P256(key) => key.as_ref(),
            Self::Rsa(key) => key.as_ref(),
        }
    }

    /// Reads PKCS#8 that is not encrypted.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, Refused> {
        let mut reader = Reader::new(bytes, "private key");
        let mut info = reader.sequence("private key")?;
        reader.finish()?;
        if info.small()? > 1 {
            return Err(Refused::Malformed {
                at: "private key version",
            });
        }
        let mut algorithm = info.sequence("private key algorithm")?;
        let kind = read_kind(&mut algorithm)?;
        algorithm.finish()?;
        let inner = info.expect(tag::OCTET_STRING)?.value;
        // Attributes and the public key may follow; neither is needed.
        match kind {
            Kind::Rsa => RsaKey::from_der(inner).map(|key| Self::Rsa(Box::new(key))),
            curve => Self::from_ec(curve, inner),
        }
    }

    /// Reads `ECPrivateKey` (RFC 5915); what it says of its public key must be true.
    fn from_ec(curve: Kind, bytes: &[u8]) -> Result<Self, Refused> {
        let mut reader = Reader::new(bytes, "EC private key");
        let mut inner = reader.sequence("EC private key")?;
        reader.finish()?;
        if inner.small()? != 1 {
            return Err(Refused::Malformed { at: "EC private key" });
        }
        let scalar = inner.expect(tag::OCTET_STRING)?.value;
        // Of the field's length by the standard; some leave leading zeros out, some have one too many.
        let scalar: Vec<u8> = scalar.iter().copied().skip_while(|byte| *byte == 0).collect();
        let scalar = Zeroizing::new(scalar);
        let start = 32usize.checked_sub(scalar.len()).ok_or(Refused::InvalidKey)?;
        let mut secret = Zeroizing::new([0u8; 32]);
        secret
            .iter_mut()
            .skip(start)
            .zip(scalar.iter())
            .for_each(|(to, from)| *to = *from);
        inner.optional(tag::context(0))?;
        let said = match inner.optional(tag::context(1))? {
            None => None,
            Some(wrapped) => Some(Reader::new(wrapped.value, "EC private key").bits()?),
        };
        inner.finish()?;
        let key = match curve {
            Kind::Sm2 => Self::Sm2(Box::new(Sm2Key::from_secret(secret)?)),
            Kind::P256 => Self::P256(Box::new(P256Key::from_secret(&secret)?)),
            Kind::Rsa => return Err(Refused::InvalidKey),
        };
        match said {
            Some(point) if point != key.public_key().bytes() => Err(Refused::InvalidKey),
            _ => Ok(key),
        }
    }

    /// Reads an encrypted PKCS#8.
    pub fn from_encrypted(bytes: &[u8], password: &[u8]) -> Result<Self, Refused> {
        Self::from_pkcs8(&decrypt(bytes, password)?)
    }

    /// Reads a key from PEM, or from the DER of PKCS#8: encrypted with `password`, or plain.
    pub fn from_file(file: &[u8], password: Option<&[u8]>) -> Result<Self, Refused> {
        if file.len() > MAX_KEY {
            return Err(Refused::TooLarge { at: "private key" });
        }
        let text = std::str::from_utf8(file).ok();
        let Some(text) = text.filter(|text| text.contains("-----BEGIN ")) else {
            let mut inside = Reader::new(file, "private key").sequence("private key")?;
            return if inside.any()?.tag == tag::INTEGER {
                Self::from_pkcs8(file)
            } else {
                Self::from_encrypted(file, password.ok_or(Refused::WrongPassword)?)
            };
        };
        let labels = [
            pem::PRIVATE_KEY,
            pem::ENCRYPTED_PRIVATE_KEY,
            "EC PRIVATE KEY",
            "RSA PRIVATE KEY",
        ];
        let block = pem::the_one(text, &labels, "private key")?;
        match block.label.as_str() {
            pem::ENCRYPTED_PRIVATE_KEY => Self::from_encrypted(&block.der, password.ok_or(Refused::WrongPassword)?),
            "RSA PRIVATE KEY" => RsaKey::from_der(&block.der).map(|key| Self::Rsa(Box::new(key))),
            "EC PRIVATE KEY" => Self::from_ec(named_curve(&block.der)?, &block.der),
            _ => Self::from_pkcs8(&block.der),
        }
    }
}

impl Signer for PrivateKey {
    fn public_key(&self) -> &PublicKey {
        self.signer().public_key()
    }

    fn algorithm(&self) -> Algorithm {
        self.signer().algorithm()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Refused> {
        self.signer().sign(message)
    }

    fn sign_digest(&self, digest: &[u8]) -> Result<Vec<u8>, Refused> {
        self.signer().sign_digest(digest)
    }
}

/// The curve that an `ECPrivateKey` names itself.
fn named_curve(bytes: &[u8]) -> Result<Kind, Refused> {
    let mut inner = Reader::new(bytes, "EC private key").sequence("EC private key")?;
    inner.any()?;
    inner.any()?;
    let mut parameters = inner.inside(tag::context(0), "EC private key")?;
    match parameters.oid()? {
        oid::SM2_CURVE => Ok(Kind::Sm2),
        oid::P256 => Ok(Kind::P256),
        other => Err(Refused::UnknownKey(oid::dotted(other))),
    }
}

/// PKCS#8 of an SM2 key.
pub(crate) fn write_sm2(key: &Sm2Key) -> Zeroizing<Vec<u8>> {
    let public = der::constructed(tag::context(1), &[&der::bits(key.public_key().bytes())]);
    let secret = Zeroizing::new(der::octets(key.secret()));
    let inner = Zeroizing::new(der::sequence(&[&der::unsigned(&[1]), &secret, &public]));
    let algorithm = der::sequence(&[&der::oid(oid::EC_PUBLIC_KEY), &der::oid(oid::SM2_CURVE)]);
    let octets = Zeroizing::new(der::octets(&inner));
    Zeroizing::new(der::sequence(&[&der::unsigned(&[0]), &algorithm, &octets]))
}

/// Encrypts PKCS#8 under a password: PBKDF2 with HMAC-SM3, SM4-CBC.
pub fn encrypt(pkcs8: &[u8], password: &[u8]) -> Result<Vec<u8>, Refused> {
    let (mut salt, mut iv) = ([0u8; 16], [0u8; 16]);
    let random = |into: &mut [u8]| SysRng.try_fill_bytes(into).map_err(|_| Refused::Randomness);
    random(&mut salt)?;
    random(&mut iv)?;
    let mut key = Zeroizing::new([0u8; 16]);
    pbkdf2_sm3(password, &salt, ROUNDS, key.as_mut_slice())?;
    let sealed = block::cbc::encrypt(&block::Key::new(&key), &iv, pkcs8);
    let derivation = der::sequence(&[
        &der::oid(oid::PBKDF2),
        &der::sequence(&[
            &der::octets(&salt),
            &der::unsigned(&ROUNDS.to_be_bytes()),
            &der::unsigned(&[16]),
            &der::sequence(&[&der::oid(oid::HMAC_SM3), der::NULL]),
        ]),
    ]);
    let cipher = der::sequence(&[&der::oid(oid::SM4_CBC), &der::octets(&iv)]);
    let algorithm = der::sequence(&[&der::oid(oid::PBES2), &der::sequence(&[&derivation, &cipher])]);
    Ok(der::sequence(&[&algorithm, &der::octets(&sealed)]))
}

/// Opens `EncryptedPrivateKeyInfo`.
pub fn decrypt(bytes: &[u8], password: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refused> {
    if bytes.len() > MAX_KEY {
        return Err(Refused::TooLarge { at: "private key" });
    }
    let mut reader = Reader::new(bytes, "encrypted private key");
    let mut info = reader.sequence("encrypted private key")?;
    reader.finish()?;
    let mut algorithm = info.sequence("encryption algorithm")?;
    let scheme = algorithm.oid()?;
    if scheme != oid::PBES2 {
        return Err(Refused::UnknownEncryption(oid::dotted(scheme)));
    }
    let mut parameters = algorithm.sequence("encryption parameters")?;
    algorithm.finish()?;
    let derivation = Derivation::read(&mut parameters)?;
    let mut cipher = parameters.sequence("cipher")?;
    parameters.finish()?;
    let name = cipher.oid()?;
    let iv: [u8; 16] = cipher
        .expect(tag::OCTET_STRING)?
        .value
        .try_into()
        .map_err(|_| Refused::Malformed { at: "cipher" })?;
    cipher.finish()?;
    let sealed = info.expect(tag::OCTET_STRING)?.value;
    info.finish()?;
    let plain = match name {
        oid::SM4_CBC => {
            let key = derivation.key::<16>(password)?;
            block::cbc::decrypt(&block::Key::new(&key), &iv, sealed).map_err(|_| Refused::WrongPassword)?
        }
        oid::AES128_CBC => aes_cbc(&Aes128::new((&*derivation.key::<16>(password)?).into()), iv, sealed)?,
        oid::AES192_CBC => aes_cbc(&Aes192::new((&*derivation.key::<24>(password)?).into()), iv, sealed)?,
        oid::AES256_CBC => aes_cbc(&Aes256::new((&*derivation.key::<32>(password)?).into()), iv, sealed)?,
        other => return Err(Refused::UnknownEncryption(oid::dotted(other))),
    };
    let plain = Zeroizing::new(plain);
    // Padding fits by chance once in 256 wrong passwords; the structure then does not.
    let mut reader = Reader::new(&plain, "private key");
    if reader.sequence("private key").is_err() || reader.finish().is_err() {
        return Err(Refused::WrongPassword);
    }
    Ok(plain)
}

struct Derivation<'a> {
    salt: &'a [u8],
    rounds: NonZeroU32,
    length: Option<u8>,
    prf: &'a [u8],
}

impl<'a> Derivation<'a> {
    fn read(parameters: &mut Reader<'a>) -> Result<Self, Refused> {
        let mut derivation = parameters.sequence("key derivation")?;
        let name = derivation.oid()?;
        if name != oid::PBKDF2 {
            return Err(Refused::UnknownEncryption(oid::dotted(name)));
        }
        let mut inner = derivation.sequence("key derivation")?;
        derivation.finish()?;
        let salt = inner.expect(tag::OCTET_STRING)?.value;
        let rounds = inner.unsigned()?;
        let rounds = if rounds.len() > 4 {
            u32::MAX
        } else {
            rounds.iter().fold(0u32, |sum, byte| (sum << 8) | u32::from(*byte))
        };
        if rounds > MAX_ROUNDS {
            return Err(Refused::TooLarge { at: "key derivation" });
        }
        let length = if inner.peek() == Some(tag::INTEGER) {
            Some(inner.small()?)
        } else {
            None
        };
        let mut prf = oid::HMAC_SHA1;
        if !inner.is_empty() {
            let mut algorithm = inner.sequence("key derivation")?;
            prf = algorithm.oid()?;
            der::null_or_absent(&mut algorithm)?;
        }
        inner.finish()?;
        Ok(Self {
            salt,
            rounds: NonZeroU32::new(rounds).ok_or(Refused::Malformed { at: "key derivation" })?,
            length,
            prf,
        })
    }

    fn key<const N: usize>(&self, password: &[u8]) -> Result<Zeroizing<[u8; N]>, Refused> {
        if self.length.is_some_and(|length| usize::from(length) != N) {
            return Err(Refused::Malformed { at: "key derivation" });
        }
        let mut key = Zeroizing::new([0u8; N]);
        let algorithm = match self.prf {
            oid::HMAC_SM3 => {
                pbkdf2_sm3(password, self.salt, self.rounds.get(), key.as_mut_slice())?;
                return Ok(key);
            }
            oid::HMAC_SHA1 => pbkdf2::PBKDF2_HMAC_SHA1,
            oid::HMAC_SHA256 => pbkdf2::PBKDF2_HMAC_SHA256,
            oid::HMAC_SHA384 => pbkdf2::PBKDF2_HMAC_SHA384,
            oid::HMAC_SHA512 => pbkdf2::PBKDF2_HMAC_SHA512,
            other => return Err(Refused::UnknownEncryption(oid::dotted(other))),
        };
        pbkdf2::derive(algorithm, self.rounds, self.salt, password, key.as_mut_slice());
        Ok(key)
    }
}

/// PBKDF2 (RFC 8018 5.2) with HMAC-SM3, which ring does not have; for one block of 32 bytes at most.
fn pbkdf2_sm3(password: &[u8], salt: &[u8], rounds: u32, key: &mut [u8]) -> Result<(), Refused> {
    if key.len() > 32 {
        return Err(Refused::InvalidKey);
    }
    let keyed = Hmac::<Sm3>::new_from_slice(password).map_err(|_| Refused::WrongPassword)?;
    let mut last = keyed
        .clone()
        .chain_update(salt)
        .chain_update([0, 0, 0, 1])
        .finalize()
        .into_bytes();
    let mut sum = last;
    for _ in 1..rounds {
        last = keyed.clone().chain_update(last).finalize().into_bytes();
        sum.iter_mut().zip(last).for_each(|(to, from)| *to ^= from);
    }
    key.iter_mut().zip(sum).for_each(|(to, from)| *to = from);
    Ok(())
}

/// AES-CBC with the padding of PKCS#7.
fn aes_cbc<C>(cipher: &C, iv: [u8; 16], sealed: &[u8]) -> Result<Vec<u8>, Refused>
where
    C: BlockDecrypt + BlockSizeUser<BlockSize = U16>,
{
    let mut plain = Vec::with_capacity(sealed.len());
    let mut last = iv;
    for chunk in sealed.chunks(16) {
        let chunk: [u8; 16] = chunk.try_into().map_err(|_| Refused::WrongPassword)?;
        let mut block = chunk.into();
        cipher.decrypt_block(&mut block);
        plain.extend(block.iter().zip(last).map(|(a, b)| a ^ b));
        last = chunk;
    }
    let padding = plain.last().copied().map_or(0, usize::from);
    let keep = plain.len().checked_sub(padding).ok_or(Refused::WrongPassword)?;
    let fits = (1..=16).contains(&padding) && plain.iter().skip(keep).all(|byte| usize::from(*byte) == padding);
    if !fits {
        return Err(Refused::WrongPassword);
    }
    plain.truncate(keep);
    Ok(plain)
}
