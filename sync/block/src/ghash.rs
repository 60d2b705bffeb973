//! GHASH (NIST SP 800-38D), in the coordinates of POLYVAL (RFC 8452, appendix A).
//!
//! A block read as a big-endian number is an element of POLYVAL's field, and the product wanted is a·b·x⁻¹²⁸ with the
//! key multiplied by x once. So no bits are put in another order.

mod portable;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::path::{Kind, Path};
use crate::{BLOCK, Block};

/// Powers of the key that are kept.
pub(crate) const POWERS: usize = 32;

/// The key h, as h³², h³¹, … h; the portable path has the last only.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Powers([u128; POWERS]);

/// The hash key of GCM.
pub(crate) struct HashKey {
    path: Path,
    powers: Box<Powers>,
}

impl HashKey {
    /// From the encrypted zero block.
    pub(crate) fn new(path: Path, h: &Block) -> Self {
        let mut powers = Box::new(Powers([0; POWERS]));
        let h = times_x(u128::from_be_bytes(*h));
        match path.0 {
            Kind::Portable => {
                if let Some(last) = powers.0.last_mut() {
                    *last = h;
                }
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Aes(token) => token.powers(h, &mut powers.0),
            #[cfg(target_arch = "x86_64")]
            Kind::Gfni(token) => token.powers(h, &mut powers.0),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(token) => token.powers(h, &mut powers.0),
        }
        Self { path, powers }
    }

    /// y becomes (…((y + b₁)·h + b₂)·h + …)·h.
    fn absorb(&self, y: u128, blocks: &[Block]) -> u128 {
        match self.path.0 {
            Kind::Portable => portable::absorb(&self.powers.0, y, blocks),
            #[cfg(target_arch = "x86_64")]
            Kind::Aes(token) => token.absorb(&self.powers.0, y, blocks),
            #[cfg(target_arch = "x86_64")]
            Kind::Gfni(token) => token.absorb(&self.powers.0, y, blocks),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(token) => token.absorb(&self.powers.0, y, blocks),
        }
    }
}

/// Times x in POLYVAL's field, whose polynomial is x¹²⁸ + x¹²⁷ + x¹²⁶ + x¹²¹ + 1.
fn times_x(v: u128) -> u128 {
    let carry = 0u128.wrapping_sub(v >> 127);
    (v << 1) ^ (carry & (1 | 0b1100_0010 << 120))
}

/// A hash under way.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Hash {
    y: u128,
    /// A block not yet complete, of which `filled` bytes are there.
    begun: Block,
    filled: usize,
}

impl Hash {
    pub(crate) fn new() -> Self {
        Self {
            y: 0,
            begun: [0; BLOCK],
            filled: 0,
        }
    }

    /// Takes more bytes.
    pub(crate) fn update(&mut self, key: &HashKey, data: &[u8]) {
        let mut data = data;
        if self.filled > 0 {
            let free = self.begun.get_mut(self.filled..).unwrap_or_default();
            let (now, rest) = data.split_at(free.len().min(data.len()));
            for (to, from) in free.iter_mut().zip(now) {
                *to = *from;
            }
            self.filled += now.len();
            data = rest;
            if self.filled < BLOCK {
                return;
            }
            self.pad(key);
        }
        let (blocks, tail) = data.as_chunks::<BLOCK>();
        self.y = key.absorb(self.y, blocks);
        for (to, from) in self.begun.iter_mut().zip(tail) {
            *to = *from;
        }
        self.filled = tail.len();
    }

    /// Completes a block begun with zeros.
    pub(crate) fn pad(&mut self, key: &HashKey) {
        if self.filled > 0 {
            self.y = key.absorb(self.y, &[self.begun]);
            self.begun = [0; BLOCK];
            self.filled = 0;
        }
    }

    /// The hash, after both lengths in bytes.
    pub(crate) fn finish(mut self, key: &HashKey, aad: u64, text: u64) -> Block {
        self.pad(key);
        let lengths = u128::from(aad) << 67 | u128::from(text) << 3;
        key.absorb(self.y, &[lengths.to_be_bytes()]).to_be_bytes()
    }
}
