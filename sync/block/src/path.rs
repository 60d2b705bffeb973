//! Which instructions do the work.

#[cfg(target_arch = "x86_64")]
use crate::x86::{aes, avx512, gfni};
use crate::{Block, ctr, key, portable};

/// A way to compute SM4 and GHASH, with instructions that this processor is known to have.
///
/// [`Path::best`] is what [`crate::Key::new`] takes; the others exist so that tests and the self-test of a server can
/// judge every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path(pub(crate) Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Aes(aes::Token),
    #[cfg(target_arch = "x86_64")]
    Gfni(gfni::Token),
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Token),
}

impl Path {
    /// Plain integer arithmetic: any processor.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// The fastest one here.
    pub fn best() -> Self {
        Self::here().next().unwrap_or(Self::PORTABLE)
    }

    /// All that work here, the fastest first.
    pub fn all() -> Vec<Self> {
        Self::here().collect()
    }

    #[cfg(target_arch = "x86_64")]
    fn here() -> impl Iterator<Item = Self> {
        // Asked one after the other: a processor that has the first is not asked for the second.
        let asked: [fn() -> Option<Kind>; 4] = [
            || avx512::Token::detect().map(Kind::Avx512),
            || gfni::Token::detect().map(Kind::Gfni),
            || aes::Token::detect().map(Kind::Aes),
            || Some(Kind::Portable),
        ];
        asked.into_iter().filter_map(|ask| ask()).map(Self)
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn here() -> impl Iterator<Item = Self> {
        std::iter::once(Self::PORTABLE)
    }

    /// For logs and reports.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Aes(_) => "AES-NI, AVX2, PCLMULQDQ",
            #[cfg(target_arch = "x86_64")]
            Kind::Gfni(_) => "GFNI, AVX2, PCLMULQDQ",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "GFNI, AVX-512, VPCLMULQDQ",
        }
    }

    /// The round keys of a key.
    pub(crate) fn expand(self, key: &Block, rounds: &mut [u32; 32]) {
        match self.0 {
            Kind::Portable => key::expand(key, rounds, |x| portable::tau(u64::from(x)) as u32),
            #[cfg(target_arch = "x86_64")]
            Kind::Aes(token) => token.expand(key, rounds),
            #[cfg(target_arch = "x86_64")]
            Kind::Gfni(token) => token.expand(key, rounds),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(token) => token.expand(key, rounds),
        }
    }

    /// Encrypts or decrypts every block, as the order of the round keys says.
    pub(crate) fn crypt(self, rounds: &[u32; 32], blocks: &mut [Block]) {
        match self.0 {
            Kind::Portable => portable::crypt(rounds, blocks),
            #[cfg(target_arch = "x86_64")]
            Kind::Aes(token) => token.crypt(rounds, blocks),
            #[cfg(target_arch = "x86_64")]
            Kind::Gfni(token) => token.crypt(rounds, blocks),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(token) => token.crypt(rounds, blocks),
        }
    }

    /// Adds the stream of counter mode that begins at block `first`.
    pub(crate) fn add_stream(self, rounds: &[u32; 32], first: u128, blocks: &mut [Block]) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(token) => token.add_stream(rounds, first, blocks),
            _ => ctr::by_batches(first, blocks, |stream| self.crypt(rounds, stream)),
        }
    }
}
