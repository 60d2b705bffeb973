//! Whether the random source still looks like one (NIST SP 800-90B 4.4; GB/T 32915 asks for the same at run time).
//!
//! The operating system's generator is trusted to be secure; what is watched for is that it, or the way to it, broke: a
//! repeated nonce gives the private key away. Cut-offs are set so that a sound source is refused about once in 2⁶⁰
//! batches. The bytes are secret: the tests count without branching on them.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Refused;
use crate::mask::Mask;

/// Bytes of one candidate.
pub(crate) const CANDIDATE: usize = 32;
/// The same byte this often in a row: 2⁻⁸⁰ for each place (SP 800-90B 4.4.1).
const REPETITIONS: u64 = 11;
/// Bytes of the window of the adaptive proportion test (4.4.2).
const WINDOW: usize = 512;
/// The window's first byte this often within it: below 2⁻⁸⁰.
const PROPORTION: u64 = 32;

/// The tests' memory: it outlives a block, so that a source that returns the same block again is found out.
#[derive(Default, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Health {
    /// The last candidate of the block before; never used as a nonce.
    last: [u8; CANDIDATE],
    /// A block failed: nothing is drawn any more.
    failed: bool,
}

impl Health {
    /// Judges a block of candidates; the last one must not be used as a nonce.
    pub(crate) fn check(&mut self, block: &[u8]) -> Result<(), Refused> {
        let ends = block.last_chunk::<CANDIDATE>();
        let sound = !self.failed
            && ends.is_some()
            && longest_run(block) < REPETITIONS
            && block
                .chunks_exact(WINDOW)
                .all(|window| most_of_first(window) < PROPORTION)
            && !self.repeats(block);
        self.failed = !sound;
        match ends {
            Some(last) if sound => {
                self.last = *last;
                Ok(())
            }
            _ => Err(Refused::Randomness),
        }
    }

    /// A candidate equals the one before it, or the one that ended the block before is here again.
    fn repeats(&self, block: &[u8]) -> bool {
        let mut before = &self.last[..];
        block.chunks_exact(CANDIDATE).any(|candidate| {
            let same = Mask::same(candidate, before).reveal() | Mask::same(candidate, &self.last).reveal();
            before = candidate;
            same
        })
    }
}

/// The longest run of one byte.
fn longest_run(block: &[u8]) -> u64 {
    let (mut run, mut longest, mut before) = (0u64, 0u64, u64::MAX);
    for byte in block {
        let byte = u64::from(*byte);
        run = Mask::equal(byte, before).keep(run) + 1;
        longest = longest.max(run);
        before = byte;
    }
    longest
}

/// How often the window's first byte is in it.
fn most_of_first(window: &[u8]) -> u64 {
    let first = window.first().copied().map_or(0, u64::from);
    window
        .iter()
        .map(|byte| Mask::equal(u64::from(*byte), first).keep(1))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(length: usize) -> Vec<u8> {
        let mut block = vec![0; length];
        getrandom::fill(&mut block).expect("random");
        block
    }

    #[test]
    fn a_sound_source_passes() {
        let mut health = Health::default();
        for _ in 0..2_000 {
            assert_eq!(health.check(&random(33 * CANDIDATE)), Ok(()));
        }
    }

    #[test]
    fn a_broken_source_is_refused_for_good() {
        let stuck = vec![0x5a; 33 * CANDIDATE];
        let mut run = random(33 * CANDIDATE);
        run[100..111].fill(7);
        let mut biased = random(33 * CANDIDATE);
        for at in (0..512).step_by(12) {
            biased[at] = biased[0];
        }
        let mut twice = random(33 * CANDIDATE);
        twice.copy_within(32..64, 64);
        for (what, block) in [("stuck", stuck), ("run", run), ("biased", biased), ("twice", twice)] {
            let mut health = Health::default();
            assert_eq!(health.check(&block), Err(Refused::Randomness), "{what}");
            assert_eq!(
                health.check(&random(33 * CANDIDATE)),
                Err(Refused::Randomness),
                "{what}"
            );
        }
    }

    #[test]
    fn the_same_block_again_is_refused() {
        let block = random(33 * CANDIDATE);
        let mut health = Health::default();
        assert_eq!(health.check(&block), Ok(()));
        assert_eq!(health.check(&block), Err(Refused::Randomness));
        assert_eq!(Health::default().check(&[]), Err(Refused::Randomness));
    }
}
