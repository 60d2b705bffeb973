//! Nonces for signing, made in batches.
//!
//! A nonce k and the x of k·G (GB/T 32918.2, 6.1 A3, A4) depend on neither key nor message: 32 are made at once and share
//! the one inversion that leaves Jacobian coordinates. **An unused pair is as secret as the key**: who learns k of one
//! signature computes the key. So a pair is handed out once, wiped as it is taken and when the store is dropped; the store
//! cannot be cloned, is thrown away in a process that is not the one that filled it (fork), and its memory never moves
//! (one box, allocated once). A copy of the whole machine's memory (a resumed snapshot of a virtual machine) is beyond
//! what a process can notice: do not sign in such machines, or call [`Nonces::clear`] before the snapshot.

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::Refused;
use crate::field::{self, Fp};
use crate::health::{CANDIDATE, Health};
use crate::masked;
use crate::scalar::Scalar;
use crate::sum::{Sum, x_modulo_order};

/// Pairs made at once.
const BATCH: usize = 32;
/// Random bytes of a batch: one candidate more than pairs, for the health test.
const BLOCK: usize = (BATCH + 1) * CANDIDATE;

/// A nonce and what depends on it alone. Secret, for one signature.
#[derive(Default, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Nonce {
    /// k, in [1, n−1].
    pub(crate) k: Scalar,
    /// x of k·G, modulo n.
    pub(crate) x: Scalar,
}

/// Nonces from the operating system's random source. Not for two processes: see the module's text.
#[derive(ZeroizeOnDrop)]
pub struct Nonces {
    ready: Box<[Nonce; BATCH]>,
    left: usize,
    #[zeroize(skip)]
    process: u32,
    health: Health,
}

impl Default for Nonces {
    fn default() -> Self {
        Self {
            ready: Box::new(std::array::from_fn(|_| Nonce::default())),
            left: 0,
            process: std::process::id(),
            health: Health::default(),
        }
    }
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces").finish_non_exhaustive()
    }
}

impl Nonces {
    /// An empty store; filled when first drawn from.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Wipes what is ready; the next draw makes new ones.
    pub fn clear(&mut self) {
        self.ready.zeroize();
        self.left = 0;
    }

    /// One pair that was never given before.
    pub(crate) fn draw(&mut self) -> Result<Nonce, Refused> {
        if self.process != std::process::id() {
            self.clear();
            self.process = std::process::id();
        }
        if self.left == 0 {
            self.fill()?;
        }
        self.left -= 1;
        let taken = self.ready.get_mut(self.left).ok_or(Refused::Randomness)?;
        let nonce = Nonce { k: taken.k, x: taken.x };
        taken.zeroize();
        Ok(nonce)
    }

    fn fill(&mut self) -> Result<(), Refused> {
        let mut block = Zeroizing::new([0u8; BLOCK]);
        getrandom::fill(block.as_mut_slice()).map_err(|_| Refused::Randomness)?;
        self.health.check(block.as_slice())?;
        for (nonce, candidate) in self.ready.iter_mut().zip(block.chunks_exact(CANDIDATE)) {
            nonce.k = uniform(candidate)?;
        }
        fill_x(&mut self.ready);
        self.left = BATCH;
        Ok(())
    }
}

/// A uniform scalar in [1, n−1]: candidates outside are drawn again (once in 2³²), which says nothing of the one taken.
fn uniform(candidate: &[u8]) -> Result<Scalar, Refused> {
    let mut bytes = Zeroizing::new([0u8; CANDIDATE]);
    bytes.copy_from_slice(candidate.first_chunk::<CANDIDATE>().ok_or(Refused::Randomness)?);
    // A sound source fails all of these about once in 2²⁵⁶.
    for _ in 0..8 {
        match Scalar::from_bytes(&bytes) {
            Some(k) if !k.is_zero().reveal() => return Ok(k),
            _ => getrandom::fill(bytes.as_mut_slice()).map_err(|_| Refused::Randomness)?,
        }
    }
    Err(Refused::Randomness)
}

/// The x of every k·G, with one inversion.
fn fill_x(nonces: &mut [Nonce; BATCH]) {
    let mut points = Zeroizing::new([Sum::INFINITY; BATCH]);
    for (point, nonce) in points.iter_mut().zip(nonces.iter()) {
        *point = masked::multiply(&nonce.k);
    }
    let mut inverses = Zeroizing::new([Fp::ZERO; BATCH]);
    let mut scratch = Zeroizing::new([Fp::ZERO; BATCH]);
    for (inverse, point) in inverses.iter_mut().zip(points.iter()) {
        *inverse = point.zz;
    }
    field::invert_all(inverses.as_mut_slice(), scratch.as_mut_slice());
    for ((nonce, point), inverse) in nonces.iter_mut().zip(points.iter()).zip(inverses.iter()) {
        nonce.x = x_modulo_order(&point.x.mul(inverse));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_what_single_multiples_are() {
        let mut nonces = Nonces::new();
        for _ in 0..2 * BATCH {
            let nonce = nonces.draw().expect("nonce");
            let single = masked::multiply(&nonce.k).to_affine();
            assert_eq!(nonce.x.to_bytes(), x_modulo_order(&single.x).to_bytes());
        }
    }

    #[test]
    fn nonces_differ_and_are_wiped_when_taken() {
        let mut nonces = Nonces::new();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..200 {
            let nonce = nonces.draw().expect("nonce");
            assert!(seen.insert(nonce.k.to_bytes()), "a nonce came twice");
            let place = &nonces.ready[nonces.left];
            assert!(
                place.k.is_zero().reveal() && place.x.is_zero().reveal(),
                "a taken nonce stays"
            );
        }
        nonces.clear();
        assert!(nonces.ready.iter().all(|n| n.k.is_zero().and(n.x.is_zero()).reveal()));
    }

    #[test]
    fn another_process_draws_its_own() {
        let mut nonces = Nonces::new();
        nonces.draw().expect("nonce");
        let waiting = nonces.ready[nonces.left - 1].k.to_bytes();
        nonces.process ^= 1; // as after a fork
        assert_ne!(nonces.draw().expect("nonce").k.to_bytes(), waiting);
    }

    #[test]
    fn candidates_outside_are_drawn_again() {
        for outside in [[0u8; 32], [0xff; 32]] {
            let k = uniform(&outside).expect("another");
            assert!(!k.is_zero().reveal() && k.to_bytes() != outside);
        }
    }
}
