//! Keys and their expansion (GB/T 32907, 7.3).

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Block;
use crate::path::Path;

/// The system parameter FK.
const FK: [u32; 4] = [0xa3b1_bac6, 0x56aa_3350, 0x677d_9197, 0xb270_22dc];

/// The round keys, at one place in memory for their whole life.
#[derive(Default, Zeroize, ZeroizeOnDrop)]
struct Rounds {
    forward: [u32; 32],
    backward: [u32; 32],
}

/// An SM4 key, expanded. Wiped on drop; cannot be printed or cloned.
pub struct Key {
    path: Path,
    rounds: Box<Rounds>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// Expands 16 bytes of key. The caller wipes its own copy.
    pub fn new(bytes: &[u8; 16]) -> Self {
        Self::on(Path::best(), bytes)
    }

    /// The same, computing on the path given.
    pub fn on(path: Path, bytes: &[u8; 16]) -> Self {
        let mut rounds = Box::<Rounds>::default();
        path.expand(bytes, &mut rounds.forward);
        let Rounds { forward, backward } = &mut *rounds;
        for (to, from) in backward.iter_mut().zip(forward.iter().rev()) {
            *to = *from;
        }
        Self { path, rounds }
    }

    /// The path it computes on.
    pub fn path(&self) -> Path {
        self.path
    }

    /// Encrypts each block by itself (ECB). This hides nothing of which blocks are equal: it is the building block of
    /// modes, of key check values and of keys wrapped as random single blocks; for data take [`crate::Gcm`].
    pub fn encrypt_blocks(&self, blocks: &mut [Block]) {
        self.path.crypt(&self.rounds.forward, blocks);
    }

    /// Decrypts each block by itself (ECB).
    pub fn decrypt_blocks(&self, blocks: &mut [Block]) {
        self.path.crypt(&self.rounds.backward, blocks);
    }

    /// Adds to `blocks` the stream of counter mode that begins at block `first`.
    pub(crate) fn add_stream(&self, first: u128, blocks: &mut [Block]) {
        self.path.add_stream(&self.rounds.forward, first, blocks);
    }

    /// One block encrypted.
    pub(crate) fn encrypted(&self, block: Block) -> Block {
        let mut blocks = [block];
        self.encrypt_blocks(&mut blocks);
        let [block] = blocks;
        block
    }
}

/// rk_i = K_{i+4} = K_i ^ T'(K_{i+1} ^ K_{i+2} ^ K_{i+3} ^ CK_i)
///
/// `tau` is the S-box of each byte. Inlined, so that it is compiled for the instructions of whoever calls it.
#[inline(always)]
pub(crate) fn expand(bytes: &Block, rounds: &mut [u32; 32], tau: impl Fn(u32) -> u32) {
    let (words, _) = bytes.as_chunks::<4>();
    let mut k = [0; 4];
    for ((k, word), fk) in k.iter_mut().zip(words).zip(FK) {
        *k = u32::from_be_bytes(*word) ^ fk;
    }
    for (number, round) in (0u32..).zip(rounds) {
        // Byte j of CK_i is 7 (4i + j) modulo 256.
        let constant = u32::from_be_bytes([0, 1, 2, 3].map(|j| (7 * (4 * number + j)) as u8));
        let [a, b, c, d] = k;
        let t = tau(b ^ c ^ d ^ constant);
        *round = a ^ t ^ t.rotate_left(13) ^ t.rotate_left(23);
        k = [b, c, d, *round];
    }
    k.zeroize();
}
