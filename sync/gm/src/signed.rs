//! The frame of X.509: `SEQUENCE { body, algorithm, BIT STRING signature }`, of lists and of status answers.

use crate::algorithm::Algorithm;
use crate::der::{self, Element, Reader, tag};
use crate::key::Signer;
use crate::{PublicKey, Refused};

/// A signed structure that has been read.
#[derive(Debug, Clone)]
pub(crate) struct Signed<'a> {
    /// What is signed.
    pub(crate) body: Element<'a>,
    /// The algorithm as it stands.
    pub(crate) algorithm_der: &'a [u8],
    algorithm: Algorithm,
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Reads all of `bytes`, which are called `at`.
    pub(crate) fn read(bytes: &'a [u8], at: &'static str) -> Result<Self, Refused> {
        let mut reader = Reader::new(bytes, at);
        let mut whole = reader.sequence(at)?;
        reader.finish()?;
        let signed = Self::read_inside(&mut whole)?;
        whole.finish()?;
        Ok(signed)
    }

    /// Reads the three parts.
    pub(crate) fn read_inside(whole: &mut Reader<'a>) -> Result<Self, Refused> {
        let body = whole.expect(tag::SEQUENCE)?;
        let algorithm_der = whole.clone().expect(tag::SEQUENCE)?.raw;
        let algorithm = Algorithm::read(whole)?;
        let signature = whole.bits()?;
        Ok(Self {
            body,
            algorithm_der,
            algorithm,
            signature,
        })
    }

    /// Verifies the signature.
    pub(crate) fn verify(&self, key: &PublicKey) -> Result<(), Refused> {
        key.verify(self.algorithm, self.body.raw, self.signature)
    }
}

/// The algorithm a key signs lists and certificates with.
pub(crate) fn algorithm(key: &dyn Signer) -> Vec<u8> {
    key.algorithm().to_der()
}

/// Signs a body that names [`algorithm`].
pub(crate) fn sign(body: &[u8], key: &dyn Signer) -> Result<Vec<u8>, Refused> {
    let signature = key.sign(body)?;
    Ok(der::sequence(&[body, &algorithm(key), &der::bits(&signature)]))
}
