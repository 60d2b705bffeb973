//! Which instructions do the work.

use crate::{Block, ctr, portable};

/// A way to compute SM4 and GHASH, with instructions that this processor is known to have.
///
/// [`Path::best`] is what [`crate::Key::new`] takes; the others exist so that tests and the self-test of a server can judge every
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path(pub(crate) Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Portable,
}

impl Path {
    /// Plain integer arithmetic: any processor.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// The fastest one here.
    pub fn best() -> Self {
        Self::PORTABLE
    }

    /// All that work here, the fastest first.
    pub fn all() -> Vec<Self> {
        vec![Self::PORTABLE]
    }

    /// For logs and reports.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
        }
    }

    /// Encrypts or decrypts every block, as the order of the round keys says.
    pub(crate) fn crypt(self, rounds: &[u32; 32], blocks: &mut [Block]) {
        match self.0 {
            Kind::Portable => portable::crypt(rounds, blocks),
        }
    }

    /// Adds the stream of counter mode that begins at block `first`.
    pub(crate) fn add_stream(self, rounds: &[u32; 32], first: u128, blocks: &mut [Block]) {
        match self.0 {
            Kind::Portable => ctr::by_batches(first, blocks, |stream| portable::crypt(rounds, stream)),
        }
    }
}
