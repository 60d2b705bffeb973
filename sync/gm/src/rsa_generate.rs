//! New RSA keys (FIPS 186-5 A.1.3, probable primes).
//!
//! The primes are found by `crypto-primes`: a random start with both top bits set, sieved and tested by Miller-Rabin to base
//! 2 and the strong Lucas test (no composite is known that passes both). Arithmetic on candidates is constant-time, the
//! number of candidates tried is not: it tells nothing about the prime found. Keys are generated rarely, in the guarded
//! process, and nobody outside can ask for the same key twice.

use std::convert::Infallible;

use crypto_bigint::{BoxedUint, ConcatenatingMul, Gcd, NonZero, Odd, Resize};
use crypto_primes::hazmat::{SetBits, SmallFactorsSieveFactory};
use crypto_primes::{Flavor, is_prime, sieve_and_find};
use getrandom::SysRng;
use getrandom::rand_core::{TryCryptoRng, TryRng};
use zeroize::{Zeroize, Zeroizing};

use crate::Refused;
use crate::der;
use crate::key::{RsaKey, Signer};
use crate::oid;

const EXPONENT: u64 = 65_537;

/// The operating system's random numbers; a failure is remembered, since the prime search cannot answer one.
#[derive(Default)]
struct Source {
    failed: bool,
}

impl TryRng for Source {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Infallible> {
        self.failed |= SysRng.try_fill_bytes(into).is_err();
        Ok(())
    }
}

impl TryCryptoRng for Source {}

/// PKCS#8 of a new key.
pub(crate) fn generate(bits: usize) -> Result<Zeroizing<Vec<u8>>, Refused> {
    let half = match bits {
        2048 => 1024,
        3072 => 1536,
        4096 => 2048,
        _ => return Err(Refused::InvalidKey),
    };
    loop {
        let (mut p, mut q) = (prime(half)?, prime(half)?);
        if p < q {
            std::mem::swap(&mut p, &mut q);
        }
        let pkcs8 = assemble(&p, &q);
        p.zeroize();
        q.zeroize();
        // Primes too close to one another, or a small private exponent: 2^-100.
        let Some(pkcs8) = pkcs8 else { continue };
        // What does not sign and verify is never given out.
        let key = RsaKey::from_pkcs8(&pkcs8)?;
        let signature = key.sign(b"pairwise consistency")?;
        key.public_key()
            .verify(key.algorithm(), b"pairwise consistency", &signature)?;
        return Ok(pkcs8);
    }
}

/// A prime p of so many bits, the top two set, with p − 1 prime to the exponent.
fn prime(bits: u32) -> Result<BoxedUint, Refused> {
    let mut source = Source::default();
    let factory = SmallFactorsSieveFactory::new(Flavor::Any, bits, SetBits::TwoMsb).map_err(|_| Refused::InvalidKey)?;
    let exponent = NonZero::new(crypto_bigint::Limb(EXPONENT))
        .into_option()
        .ok_or(Refused::InvalidKey)?;
    let found = sieve_and_find(&mut source, factory, |_, candidate: &BoxedUint| {
        candidate.rem_limb(exponent) != crypto_bigint::Limb::ONE && is_prime(Flavor::Any, candidate)
    });
    if source.failed {
        return Err(Refused::Randomness);
    }
    found.ok().flatten().ok_or(Refused::InvalidKey)
}

/// `PrivateKeyInfo` of the key with these primes, p > q; `None` when FIPS 186-5 wants others.
fn assemble(p: &BoxedUint, q: &BoxedUint) -> Option<Zeroizing<Vec<u8>>> {
    let half = p.bits();
    let one = BoxedUint::one_with_precision(half);
    // |p − q| > 2^(half − 100)
    if p.wrapping_sub(q).bits() <= half - 100 {
        return None;
    }
    let n = p.concatenating_mul(q);
    let (mut p1, mut q1) = (p.wrapping_sub(&one), q.wrapping_sub(&one));
    let divisor: NonZero<BoxedUint> = p1.gcd(&q1).into_nz().into_option()?;
    let mut lcm = p1.div_exact(&divisor).into_option()?.concatenating_mul(&q1);
    let e = BoxedUint::from(EXPONENT);
    let modulus = lcm.clone().into_nz().into_option()?;
    let mut d = e
        .clone()
        .resize(lcm.bits_precision())
        .invert_mod(&modulus)
        .into_option()?;
    if d.bits() <= half {
        return None;
    }
    let mut dp = d.rem(&p1.clone().into_nz().into_option()?);
    let mut dq = d.rem(&q1.clone().into_nz().into_option()?);
    let odd: Odd<BoxedUint> = p.clone().into_odd().into_option()?;
    let mut q_inverse = q.invert_odd_mod(&odd).into_option()?;

    let number = |value: &BoxedUint| Zeroizing::new(der::unsigned(&Zeroizing::new(value.to_be_bytes())));
    let parts = [&n, &e, &d, p, q, &dp, &dq, &q_inverse].map(number);
    let body: Zeroizing<Vec<u8>> = Zeroizing::new(
        std::iter::once(&[2u8, 1, 0][..])
            .chain(parts.iter().map(|part| part.as_slice()))
            .collect::<Vec<_>>()
            .concat(),
    );
    let key = Zeroizing::new(der::element(der::tag::SEQUENCE, &body));
    for secret in [&mut p1, &mut q1, &mut lcm, &mut d, &mut dp, &mut dq, &mut q_inverse] {
        secret.zeroize();
    }
    let octets = Zeroizing::new(der::octets(&key));
    let algorithm = der::sequence(&[&der::oid(oid::RSA_ENCRYPTION), der::NULL]);
    Some(Zeroizing::new(der::sequence(&[&[2, 1, 0], &algorithm, &octets])))
}
