//! Encryption under a password (PBES2, RFC 8018): PBKDF2 and a block cipher in CBC mode.

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
use crate::{Refused, oid};

/// More rounds of key derivation would keep the processor busy for longer than anybody waits.
const MAX_ROUNDS: u32 = 5_000_000;
/// Rounds of what is written here (OWASP's figure for HMAC-SHA-256; SM3 costs about as much).
const ROUNDS: u32 = 600_000;

/// Encrypts under a password: PBKDF2 with HMAC-SM3, SM4-CBC. Gives the `AlgorithmIdentifier` and the ciphertext.
pub(crate) fn encrypt(plain: &[u8], password: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Refused> {
    let (mut salt, mut iv) = ([0u8; 16], [0u8; 16]);
    let random = |into: &mut [u8]| SysRng.try_fill_bytes(into).map_err(|_| Refused::Randomness);
    random(&mut salt)?;
    random(&mut iv)?;
    let mut key = Zeroizing::new([0u8; 16]);
    pbkdf2_sm3(password, &salt, ROUNDS, key.as_mut_slice())?;
    let sealed = block::cbc::encrypt(&block::Key::new(&key), &iv, plain);
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
    Ok((algorithm, sealed))
}

/// Decrypts what the inside of this `AlgorithmIdentifier` describes: one DER SEQUENCE. A wrong password and damage look the
/// same.
pub(crate) fn decrypt(
    algorithm: &mut Reader<'_>,
    sealed: &[u8],
    password: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refused> {
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
    let known = [oid::SM4_CBC, oid::AES128_CBC, oid::AES192_CBC, oid::AES256_CBC];
    if !known.contains(&name) {
        return Err(Refused::UnknownEncryption(oid::dotted(name)));
    }
    let iv: [u8; 16] = cipher
        .expect(tag::OCTET_STRING)?
        .value
        .try_into()
        .map_err(|_| Refused::Malformed { at: "cipher" })?;
    cipher.finish()?;
    let plain = match name {
        oid::SM4_CBC => {
            let key = derivation.key::<16>(password)?;
            block::cbc::decrypt(&block::Key::new(&key), &iv, sealed).map_err(|_| Refused::WrongPassword)?
        }
        oid::AES128_CBC => aes_cbc(&Aes128::new((&*derivation.key::<16>(password)?).into()), iv, sealed)?,
        oid::AES192_CBC => aes_cbc(&Aes192::new((&*derivation.key::<24>(password)?).into()), iv, sealed)?,
        _ => aes_cbc(&Aes256::new((&*derivation.key::<32>(password)?).into()), iv, sealed)?,
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
