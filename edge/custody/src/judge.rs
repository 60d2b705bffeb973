//! Judging what a device signed, before anyone else sees it. All numbers here are public.

use num_bigint::BigUint;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use ring::digest;

use crate::der;
use crate::{Fault, Hash, KeyAlgorithm, PublicKey, Scheme};

/// The numbers of a public key, kept beside its `SubjectPublicKeyInfo`.
#[derive(Clone)]
pub(crate) enum Numbers {
    Sm2(curve::PublicKey),
    P256(p256::ecdsa::VerifyingKey),
    Rsa { modulus: BigUint, exponent: BigUint },
}

/// A public key as a device gave it, checked.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) public: PublicKey,
    pub(crate) numbers: Numbers,
}

impl Known {
    /// An SM2 key; the point is on the curve.
    pub(crate) fn sm2(point: &[u8]) -> Option<Self> {
        Some(Self {
            numbers: Numbers::Sm2(curve::PublicKey::from_point(point).ok()?),
            public: der::of_point(KeyAlgorithm::Sm2, point),
        })
    }

    /// A P-256 key; the point is on the curve.
    pub(crate) fn p256(point: &[u8]) -> Option<Self> {
        Some(Self {
            numbers: Numbers::P256(p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?),
            public: der::of_point(KeyAlgorithm::P256, point),
        })
    }

    /// An RSA key of 1024 to 8192 bits with an odd modulus and exponent.
    pub(crate) fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let (n, e) = (der::strip(modulus), der::strip(exponent));
        let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        // A long exponent would make every check slow; no key in use has one beyond 64 bits.
        if !(128..=1024).contains(&n.len()) || e.len() > 8 || !odd(n) || !odd(e) || e == [1] {
            return None;
        }
        Some(Self {
            numbers: Numbers::Rsa {
                modulus: BigUint::from_bytes_be(n),
                exponent: BigUint::from_bytes_be(e),
            },
            public: der::of_rsa(n, e),
        })
    }

    /// Bytes of an RSA modulus; 0 for others.
    pub(crate) fn modulus_len(&self) -> usize {
        match &self.numbers {
            Numbers::Rsa { modulus, .. } => modulus.bits().div_ceil(8) as usize,
            _ => 0,
        }
    }

    /// Takes a signature out of a device's reply (r ‖ s, or as long as the modulus) if it is one over this digest: SM2 and
    /// ECDSA come back as DER.
    pub(crate) fn accept(
        &self,
        function: &'static str,
        scheme: Scheme,
        digest: &[u8],
        reply: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        let bad = |what| Fault::BadReply { function, what };
        match (&self.numbers, scheme) {
            (Numbers::Sm2(key), Scheme::Sm2) => {
                let raw: &[u8; 64] = reply.try_into().map_err(|_| bad("length of the signature"))?;
                let e: &[u8; 32] = digest.try_into().map_err(|_| bad("length of the digest"))?;
                let signature = curve::Signature::from_bytes(raw).map_err(|_| bad("r or s out of range"))?;
                key.verify(e, &signature)
                    .map_err(|_| bad("the signature is not an SM2 signature of this key"))?;
                Ok(signature.to_der())
            }
            (Numbers::P256(key), Scheme::EcdsaP256) => {
                let raw: &[u8; 64] = reply.try_into().map_err(|_| bad("length of the signature"))?;
                let signature = p256::ecdsa::Signature::from_slice(raw).map_err(|_| bad("r or s out of range"))?;
                key.verify_prehash(digest, &signature)
                    .map_err(|_| bad("the signature is not one of this key"))?;
                Ok(der::signature(raw))
            }
            (Numbers::Rsa { modulus, exponent }, Scheme::RsaPkcs1(hash) | Scheme::RsaPss(hash)) => {
                let length = self.modulus_len();
                let number = BigUint::from_bytes_be(reply);
                if reply.len() != length || number >= *modulus {
                    return Err(bad("length of the signature"));
                }
                let opened = number.modpow(exponent, modulus).to_bytes_be();
                let mut message = vec![0; length.saturating_sub(opened.len())];
                message.extend(opened);
                let genuine = match scheme {
                    Scheme::RsaPss(_) => pss(hash, digest, &message, modulus.bits() as usize),
                    _ => pkcs1(hash, digest, length).is_some_and(|wanted| wanted == message),
                };
                if genuine {
                    Ok(reply.to_vec())
                } else {
                    Err(bad("the signature is not one of this key"))
                }
            }
            _ => Err(Fault::Input("密钥与签名算法不符")),
        }
    }
}

/// `DigestInfo` (RFC 8017, 9.2).
pub(crate) fn digest_info(hash: Hash, digest: &[u8]) -> Vec<u8> {
    let (last, size) = match hash {
        Hash::Sha256 => (1, 32),
        Hash::Sha384 => (2, 48),
        Hash::Sha512 => (3, 64),
    };
    let mut info = vec![
        0x30,
        17 + size,
        0x30,
        0x0D,
        0x06,
        0x09,
        0x60,
        0x86,
        0x48,
        0x01,
        0x65,
        0x03,
        0x04,
        0x02,
    ];
    info.extend([last, 0x05, 0x00, 0x04, size]);
    info.extend(digest);
    info
}

/// EMSA-PKCS1-v1_5 (RFC 8017, 9.2). `None` when the key is too short.
pub(crate) fn pkcs1(hash: Hash, digest: &[u8], length: usize) -> Option<Vec<u8>> {
    let info = digest_info(hash, digest);
    let padding = length.checked_sub(info.len() + 3).filter(|padding| *padding >= 8)?;
    let mut message = vec![0, 1];
    message.resize(2 + padding, 0xFF);
    message.push(0);
    message.extend(info);
    Some(message)
}

fn algorithm(hash: Hash) -> &'static digest::Algorithm {
    match hash {
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha384 => &digest::SHA384,
        Hash::Sha512 => &digest::SHA512,
    }
}

/// MGF1 (RFC 8017, B.2.1), as long as wanted.
fn mgf1(hash: Hash, seed: &[u8], length: usize) -> Vec<u8> {
    let mut mask = Vec::with_capacity(length + 64);
    for counter in 0u32.. {
        if mask.len() >= length {
            break;
        }
        let mut context = digest::Context::new(algorithm(hash));
        context.update(seed);
        context.update(&counter.to_be_bytes());
        mask.extend(context.finish().as_ref());
    }
    mask.truncate(length);
    mask
}

/// EMSA-PSS-VERIFY with a salt as long as the hash (RFC 8017, 9.1.2).
fn pss(hash: Hash, message_digest: &[u8], encoded: &[u8], modulus_bits: usize) -> bool {
    judge_pss(hash, message_digest, encoded, modulus_bits).is_some()
}

fn judge_pss(hash: Hash, message_digest: &[u8], encoded: &[u8], modulus_bits: usize) -> Option<()> {
    let size = hash.length();
    let bits = modulus_bits - 1;
    // With a modulus of 8k+1 bits the encoding is a byte shorter than the modulus.
    let (front, encoded) = encoded.split_at_checked(encoded.len().checked_sub(bits.div_ceil(8))?)?;
    let (rest, tail) = encoded.split_at_checked(encoded.len().checked_sub(1)?)?;
    let (masked, h) = rest.split_at_checked(rest.len().checked_sub(size)?)?;
    if front.iter().any(|byte| *byte != 0) || tail != [0xBC] {
        return None;
    }
    let free = 8 * encoded.len() - bits;
    if masked.first()?.checked_shr(8 - free as u32).unwrap_or(0) != 0 {
        return None;
    }
    let mut block: Vec<u8> = masked
        .iter()
        .zip(mgf1(hash, h, masked.len()))
        .map(|(a, b)| a ^ b)
        .collect();
    *block.first_mut()? &= 0xFF >> free;
    let (zeros, salted) = block.split_at_checked(block.len().checked_sub(size + 1)?)?;
    let (one, salt) = salted.split_first()?;
    if *one != 1 || zeros.iter().any(|byte| *byte != 0) {
        return None;
    }
    let mut context = digest::Context::new(algorithm(hash));
    context.update(&[0; 8]);
    context.update(message_digest);
    context.update(salt);
    (context.finish().as_ref() == h).then_some(())
}

/// EMSA-PSS-ENCODE with a fresh salt as long as the hash (RFC 8017, 9.1.1), as long as the modulus.
pub(crate) fn pss_message(hash: Hash, message_digest: &[u8], known: &Known) -> Result<Vec<u8>, Fault> {
    let Numbers::Rsa { modulus, .. } = &known.numbers else {
        return Err(Fault::Input("密钥与签名算法不符"));
    };
    let size = hash.length();
    let bits = modulus.bits() as usize - 1;
    let length = bits.div_ceil(8);
    let padding = length.checked_sub(2 * size + 2).ok_or(Fault::Input("密钥过短"))?;
    let mut salt = [0u8; 64];
    let salt = salt.get_mut(..size).unwrap_or_default();
    let filled = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), salt);
    filled.map_err(|_| Fault::Input("系统随机数不可用"))?;
    let mut context = digest::Context::new(algorithm(hash));
    context.update(&[0; 8]);
    context.update(message_digest);
    context.update(salt);
    let h = context.finish();
    let mut block = vec![0; padding];
    block.push(1);
    block.extend_from_slice(salt);
    let mask = mgf1(hash, h.as_ref(), block.len());
    block.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    if let Some(first) = block.first_mut() {
        *first &= 0xFF >> (8 * length - bits);
    }
    let mut message = vec![0; known.modulus_len() - length];
    message.extend(block);
    message.extend(h.as_ref());
    message.push(0xBC);
    Ok(message)
}

/// Takes PKCS#1 v1.5 encryption padding off (RFC 8017, 7.2.2). The scan reads every byte whatever they are; only the length of
/// the message shows in time, and a refusal looks the same for every reason.
pub(crate) fn unpad(message: &[u8]) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    let (head, body) = message.split_first_chunk::<2>()?;
    let mut wrong = head[0] | (head[1] ^ 2);
    let mut looking = 0xFFu8;
    let mut end = 0usize;
    for (at, byte) in body.iter().enumerate() {
        // 0xFF where the byte is zero, without a branch.
        let zero = (u16::from(*byte).wrapping_sub(1) >> 8) as u8;
        let found = std::hint::black_box(zero & looking);
        end |= at & 0usize.wrapping_sub(usize::from(found & 1));
        looking &= !zero;
    }
    wrong |= looking | u8::from(end < 8);
    if wrong != 0 {
        return None;
    }
    body.get(end + 1..).map(|text| zeroize::Zeroizing::new(text.to_vec()))
}
