//! RSA signatures over digests at hand (long data that was hashed as it came): ring signs whole messages only.
//!
//! The private operation (RFC 8017 5.2.1) goes by the Chinese remainder theorem over crypto-bigint. What is secret decides
//! neither branches nor addresses nor lengths: powers take the same steps for every exponent and read their whole table at
//! each of them, remainders and products take all limbs, and nothing is inverted. A signature that the public key does not
//! confirm is never given out: with one half wrong it would reveal a factor (Boneh, DeMillo, Lipton 1997).
//!
//! Exponents, coefficient and the halves of a signature are wiped. The primes inside crypto-bigint's parameters and what it
//! computes on the way are not, as in ring: the process that signs locks its memory and cannot be dumped.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, ConcatenatingMul, NonZero, Odd};
use zeroize::{Zeroize, Zeroizing};

use crate::Refused;
use crate::algorithm::Algorithm;
use crate::der::Reader;
use crate::rsa::RsaPublic;

/// A prime and the private exponent modulo it less one.
struct Prime {
    parameters: BoxedMontyParams,
    exponent: Zeroizing<BoxedUint>,
}

impl Prime {
    fn new(prime: &[u8], exponent: &[u8], bits: u32) -> Result<Self, Refused> {
        let prime: Option<Odd<BoxedUint>> = number(prime, bits)?.into_odd().into();
        Ok(Self {
            parameters: BoxedMontyParams::new(prime.ok_or(Refused::InvalidKey)?),
            exponent: Zeroizing::new(number(exponent, bits)?),
        })
    }

    fn value(&self) -> &NonZero<BoxedUint> {
        self.parameters.modulus().as_nz_ref()
    }

    /// c^d modulo this prime, in as many steps as the prime has bits.
    fn power(&self, c: &BoxedUint) -> Zeroizing<BoxedUint> {
        let mut form = BoxedMontyForm::new(c.rem(self.value()), &self.parameters);
        let mut power = form.pow_bounded_exp(&self.exponent, self.parameters.bits_precision());
        let value = Zeroizing::new(power.retrieve());
        form.zeroize();
        power.zeroize();
        value
    }
}

/// What a private key consists of besides its modulus.
pub(crate) struct Factors {
    p: Prime,
    q: Prime,
    /// q⁻¹ mod p.
    coefficient: Zeroizing<BoxedUint>,
}

impl Factors {
    /// Reads `RSAPrivateKey` (RFC 8017 A.1.2). That the parts belong together is ring's to find out, which reads them first.
    pub(crate) fn read(der: &[u8]) -> Result<Self, Refused> {
        let mut reader = Reader::new(der, "RSA private key");
        let mut key = reader.sequence("RSA private key")?;
        reader.finish()?;
        if key.small()? != 0 {
            return Err(Refused::Malformed {
                at: "RSA private key version",
            });
        }
        let (_n, _e, _d) = (key.unsigned()?, key.unsigned()?, key.unsigned()?);
        let (p, q) = (key.unsigned()?, key.unsigned()?);
        let (dp, dq, coefficient) = (key.unsigned()?, key.unsigned()?, key.unsigned()?);
        key.finish()?;
        if p.len() != q.len() {
            return Err(Refused::InvalidKey);
        }
        let bits = u32::try_from(p.len() * 8).map_err(|_| Refused::InvalidKey)?;
        Ok(Self {
            p: Prime::new(p, dp, bits)?,
            q: Prime::new(q, dq, bits)?,
            coefficient: Zeroizing::new(number(coefficient, bits)?),
        })
    }

    /// Signature over a digest by this RSA scheme, which `public` confirms.
    pub(crate) fn sign(&self, algorithm: Algorithm, digest: &[u8], public: &RsaPublic) -> Result<Vec<u8>, Refused> {
        let encoded = public.encode(algorithm, digest)?;
        let bits = u32::try_from(encoded.len() * 8).map_err(|_| Refused::InvalidKey)?;
        let signature = self.private(&number(&encoded, bits)?);
        // Parts that do not belong together, or a fault.
        let confirmed = public.verify_digest(algorithm, digest, &signature);
        confirmed.map_err(|_| Refused::InvalidKey)?;
        Ok(signature.to_vec())
    }

    /// c^d mod n, as long as the modulus.
    fn private(&self, c: &BoxedUint) -> Zeroizing<Vec<u8>> {
        let (m1, m2) = (self.p.power(c), self.q.power(c));
        let (p, q) = (self.p.value(), self.q.value());
        // Garner: m = m2 + q·((m1 − m2)·q⁻¹ mod p). Either prime may be the larger one.
        let beside = Zeroizing::new(m2.rem(p));
        let difference = Zeroizing::new(m1.sub_mod(&beside, p));
        let h = Zeroizing::new(difference.mul_mod(&self.coefficient, p));
        let mut m = Zeroizing::new(h.concatenating_mul(q.as_ref()));
        m.wrapping_add_assign(&*m2);
        Zeroizing::new(m.to_be_bytes().into_vec())
    }
}

fn number(bytes: &[u8], bits: u32) -> Result<BoxedUint, Refused> {
    BoxedUint::from_be_slice(bytes, bits).map_err(|_| Refused::InvalidKey)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::Sha2;
    use crate::der;
    use crate::hash::Hash;
    use crate::key::{RsaKey, Signer};

    /// `RSAPrivateKey` of a new key, as its nine numbers.
    fn numbers() -> Vec<Vec<u8>> {
        let pkcs8 = RsaKey::generate(2048).expect("key");
        let mut info = Reader::new(&pkcs8, "test").sequence("test").expect("PKCS#8");
        info.small().expect("version");
        info.sequence("algorithm").expect("algorithm");
        let inner = info.expect(der::tag::OCTET_STRING).expect("key").value;
        let mut key = Reader::new(inner, "test").sequence("test").expect("key");
        (0..9).map(|_| key.unsigned().expect("number").to_vec()).collect()
    }

    fn written(numbers: &[Vec<u8>]) -> Vec<u8> {
        let parts: Vec<_> = numbers.iter().map(|number| der::unsigned(number)).collect();
        der::sequence(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    #[test]
    fn a_signature_with_a_wrong_half_is_never_given_out() {
        let algorithm = Algorithm::RsaPkcs1(Sha2::Sha256);
        let digest = Hash::Sha256.digest(b"rx");
        let sound = numbers();
        let key = RsaKey::from_der(&written(&sound)).expect("key");
        key.sign_digest(&digest).expect("signed");
        let public = key.public_key().rsa().expect("RSA");
        // dP, dQ and the coefficient.
        for at in 6..9 {
            let mut bent = sound.clone();
            *bent[at].last_mut().expect("byte") ^= 2;
            let factors = Factors::read(&written(&bent)).expect("read");
            assert_eq!(
                factors.sign(algorithm, &digest, public),
                Err(Refused::InvalidKey),
                "{at}"
            );
        }
    }

    #[test]
    fn either_prime_may_be_the_larger_one() {
        let algorithm = Algorithm::RsaPkcs1(Sha2::Sha512);
        let digest = Hash::Sha512.digest(b"rx");
        let [_, n, e, d, p, q, dp, dq, _] = numbers().try_into().expect("nine");
        let public = RsaPublic::new(&n, &e).expect("public");
        // p⁻¹ mod q by Fermat, in Montgomery form.
        let bits = u32::try_from(q.len() * 8).expect("short");
        let exchanged = Prime::new(&q, &dq, bits).expect("prime");
        let two = BoxedUint::from_be_slice(&[2], bits).expect("two");
        let less = number(&q, bits).expect("number").wrapping_sub(&two);
        let residue = number(&p, bits).expect("number").rem(exchanged.value());
        let inverse = BoxedMontyForm::new(residue, &exchanged.parameters)
            .pow(&less)
            .retrieve();
        let numbers = [vec![0], n, e, d, q, p, dq, dp, inverse.to_be_bytes().to_vec()];
        let factors = Factors::read(&written(&numbers)).expect("read");
        factors.sign(algorithm, &digest, &public).expect("signed");
    }
}
