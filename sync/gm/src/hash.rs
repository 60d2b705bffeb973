//! Digests: SM3 (GB/T 32905) and SHA-256/384/512 (FIPS 180-4), at once or piece by piece.

use ring::digest::{Context, SHA256, SHA384, SHA512};
use sm3::{Digest as _, Sm3};

use crate::der::{self, Reader};
use crate::{Refused, oid};

/// SM3 of some bytes.
#[must_use]
pub fn sm3(bytes: &[u8]) -> [u8; 32] {
    Sm3::digest(bytes).into()
}

/// SHA-256 of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(ring::digest::digest(&SHA256, bytes).as_ref());
    out
}

/// A digest algorithm. SHA-1 and MD5 are not among them: nothing is signed or verified with those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SM3, 32 bytes.
    Sm3,
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl Hash {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::Sm3, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Bytes of its digest.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a digest is never empty")]
    pub const fn len(self) -> usize {
        match self {
            Self::Sm3 | Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Its name as people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sm3 => "SM3",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }

    /// Digest of some bytes.
    #[must_use]
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        let mut hashing = self.start();
        hashing.update(bytes);
        hashing.finish()
    }

    /// A digest to be fed piece by piece.
    #[must_use]
    pub fn start(self) -> Hashing {
        let sha = |algorithm| State::Sha(Box::new(Context::new(algorithm)));
        Hashing(match self {
            Self::Sm3 => State::Sm3(Box::default()),
            Self::Sha256 => sha(&SHA256),
            Self::Sha384 => sha(&SHA384),
            Self::Sha512 => sha(&SHA512),
        })
    }

    /// Content of its object identifier.
    #[must_use]
    pub const fn oid(self) -> &'static [u8] {
        match self {
            Self::Sm3 => oid::SM3,
            Self::Sha256 => oid::SHA256,
            Self::Sha384 => oid::SHA384,
            Self::Sha512 => oid::SHA512,
        }
    }

    /// The one with this object identifier.
    #[must_use]
    pub fn of_oid(id: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.oid() == id)
    }

    /// Its `AlgorithmIdentifier`, parameters absent (RFC 5754 2: SHOULD).
    #[must_use]
    pub fn to_der(self) -> Vec<u8> {
        der::sequence(&[&der::oid(self.oid())])
    }

    /// Reads an `AlgorithmIdentifier`; parameters absent or NULL.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let mut inner = reader.sequence("digest algorithm")?;
        let id = inner.oid()?;
        der::null_or_absent(&mut inner)?;
        Self::of_oid(id).ok_or_else(|| Refused::UnknownDigest(oid::dotted(id)))
    }
}

#[derive(Clone)]
enum State {
    Sm3(Box<Sm3>),
    Sha(Box<Context>),
}

/// A digest being computed: constant memory whatever the length.
#[derive(Clone)]
pub struct Hashing(State);

impl std::fmt::Debug for Hashing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hashing").finish_non_exhaustive()
    }
}

impl Hashing {
    /// Goes on from an SM3 that has taken something in (Z of a signer).
    pub(crate) fn from_sm3(started: Sm3) -> Self {
        Self(State::Sm3(Box::new(started)))
    }

    /// Takes more bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sm3(hash) => hash.update(bytes),
            State::Sha(hash) => hash.update(bytes),
        }
    }

    /// The digest.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        match self.0 {
            State::Sm3(hash) => hash.finalize().to_vec(),
            State::Sha(hash) => hash.finish().as_ref().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_abc_are_the_standards() {
        for (hash, start) in [
            (
                Hash::Sm3,
                "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
            ),
            (
                Hash::Sha256,
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                Hash::Sha384,
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
            ),
            (
                Hash::Sha512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ] {
            assert_eq!(hex::encode(hash.digest(b"abc")), start);
            assert_eq!(hash.digest(b"abc").len(), hash.len());
            let mut pieces = hash.start();
            b"abc".iter().for_each(|byte| pieces.update(&[*byte]));
            assert_eq!(pieces.finish(), hash.digest(b"abc"));
        }
    }
}
