//! The envelope in which an authority hands out an encryption key pair (GB/T 35276 7.4, GB/T 35291 6.4.10).
//!
//! ```text
//! SM2EnvelopedKey ::= SEQUENCE {
//!   symAlgID               AlgorithmIdentifier,  -- SM4, block by block
//!   symEncryptedKey        SM2Cipher,            -- the SM4 key, under the signing key of the device
//!   sm2PublicKey           BIT STRING,           -- of the pair that comes
//!   sm2EncryptedPrivateKey BIT STRING }          -- its scalar, 32 bytes or 64 with zeros before it
//! ```

use curve::{Ciphertext, Nonces};
use getrandom::SysRng;
use getrandom::rand_core::TryRng;
use zeroize::Zeroizing;

use crate::der::{self, Reader};
use crate::key::{Kind, PublicKey, Signer, Sm2Key};
use crate::{Refused, oid};

/// Opens an envelope with the signing key it was made for, at hand or in a device.
pub fn open(bytes: &[u8], key: &dyn Signer) -> Result<Sm2Key, Refused> {
    const AT: &str = "key envelope";
    let mut reader = Reader::new(bytes, AT);
    let mut inner = reader.sequence(AT)?;
    reader.finish()?;
    let mut algorithm = inner.sequence(AT)?;
    let cipher = algorithm.oid()?;
    if cipher != oid::SM4 && cipher != oid::SM4_ECB {
        return Err(Refused::UnknownEncryption(oid::dotted(cipher)));
    }
    der::null_or_absent(&mut algorithm)?;
    let wrapped = inner.expect(der::tag::SEQUENCE)?.raw;
    let public = PublicKey::from_point(Kind::Sm2, inner.bits()?)?;
    let sealed = inner.bits()?;
    inner.finish()?;

    let wrapped = Ciphertext::from_der(wrapped).map_err(|_| Refused::Malformed { at: AT })?;
    let symmetric = key.open(&wrapped)?;
    let symmetric: Zeroizing<[u8; 16]> =
        Zeroizing::new(symmetric.as_slice().try_into().map_err(|_| Refused::Envelope)?);
    let mut scalar = Zeroizing::new(sealed.to_vec());
    block::ecb::decrypt(&block::Key::new(&symmetric), &mut scalar).map_err(|_| Refused::Envelope)?;
    let scalar = match scalar.as_slice() {
        short if short.len() == 32 => short,
        long if long.len() == 64 => match long.split_at(32) {
            (zeros, short) if zeros.iter().all(|byte| *byte == 0) => short,
            _ => return Err(Refused::Envelope),
        },
        _ => return Err(Refused::Envelope),
    };
    let mut secret = Zeroizing::new([0u8; 32]);
    secret.copy_from_slice(scalar);
    let pair = Sm2Key::from_secret(secret).map_err(|_| Refused::Envelope)?;
    if *pair.public_key() != public {
        return Err(Refused::Envelope);
    }
    Ok(pair)
}

/// Makes an envelope for the holder of `recipient`: what an authority does, and a device that hands a key to another.
pub fn seal(pair: &Sm2Key, recipient: &PublicKey) -> Result<Vec<u8>, Refused> {
    let point = match recipient.kind() {
        Kind::Sm2 => recipient.point().ok_or(Refused::InvalidKey)?,
        Kind::P256 | Kind::Rsa => return Err(Refused::WrongAlgorithm),
    };
    let recipient = curve::PublicKey::from_point(point).map_err(|_| Refused::InvalidKey)?;
    let mut symmetric = Zeroizing::new([0u8; 16]);
    SysRng
        .try_fill_bytes(symmetric.as_mut_slice())
        .map_err(|_| Refused::Randomness)?;
    let wrapped = recipient
        .encrypt(symmetric.as_slice(), &mut Nonces::new())
        .map_err(|_| Refused::Randomness)?;
    let mut sealed = Zeroizing::new(pair.secret().to_vec());
    block::ecb::encrypt(&block::Key::new(&symmetric), &mut sealed).map_err(|_| Refused::Envelope)?;
    Ok(der::sequence(&[
        &der::sequence(&[&der::oid(oid::SM4_ECB)]),
        &wrapped.to_der(),
        &der::bits(pair.public_key().bytes()),
        &der::bits(&sealed),
    ]))
}
