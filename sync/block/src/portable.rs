//! SM4 on any processor: bits side by side, no table, no branch on what is secret.
//!
//! Two shapes. *Wide*: 128 blocks at once, plane i of a word holding bit i of that word of every block; rotations are
//! then other names of planes and cost nothing, and every processor has instructions for 128 bits. *Narrow*: two blocks
//! in a 64-bit word, for what remains and for what must go one by one (CBC encryption, key expansion). Both evaluate
//! the S-box as the circuit of [`crate::sbox`].

#![expect(clippy::indexing_slicing, reason = "arrays of fixed size, indexes below it")]

use std::ops::{BitAnd, BitXor, Not};

use crate::Block;
use crate::sbox::substitute;

/// Blocks of the wide shape.
const WIDE: usize = 128;
/// Fewer blocks than this go narrow.
const WORTH_IT: usize = 12;

/// Encrypts (or decrypts, with the round keys backwards) every block.
pub(crate) fn crypt(rounds: &[u32; 32], blocks: &mut [Block]) {
    for some in blocks.chunks_mut(WIDE) {
        if some.len() < WORTH_IT {
            narrow(rounds, some);
        } else {
            wide(rounds, some);
        }
    }
}

/// The S-box of each of the eight bytes.
#[inline(always)]
pub(crate) fn tau(x: u64) -> u64 {
    // Only the lowest bit of each byte of a plane counts; what the others hold stays in its own lane.
    let out = substitute([x, x >> 1, x >> 2, x >> 3, x >> 4, x >> 5, x >> 6, x >> 7]);
    let mut all = 0;
    let mut bit = 0;
    while bit < 8 {
        all |= (out[bit] & 0x0101_0101_0101_0101) << bit;
        bit += 1;
    }
    all
}

/// The linear map L.
#[inline(always)]
fn mix(x: u32) -> u32 {
    x ^ x.rotate_left(2) ^ x.rotate_left(10) ^ x.rotate_left(18) ^ x.rotate_left(24)
}

/// Two blocks at a time, the first in the lower halves.
fn narrow(rounds: &[u32; 32], blocks: &mut [Block]) {
    for pair in blocks.chunks_mut(2) {
        let mut state = [0u64; 4];
        for (half, block) in pair.iter().enumerate() {
            for (word, bytes) in state.iter_mut().zip(block.as_chunks::<4>().0) {
                *word |= u64::from(u32::from_be_bytes(*bytes)) << (32 * half);
            }
        }
        let [mut a, mut b, mut c, mut d] = state;
        let round = |x: u64, y: u64, z: u64, key: u32| {
            let t = tau(x ^ y ^ z ^ (u64::from(key) << 32 | u64::from(key)));
            u64::from(mix(t as u32)) | u64::from(mix((t >> 32) as u32)) << 32
        };
        for [k0, k1, k2, k3] in rounds.as_chunks::<4>().0 {
            a ^= round(b, c, d, *k0);
            b ^= round(c, d, a, *k1);
            c ^= round(d, a, b, *k2);
            d ^= round(a, b, c, *k3);
        }
        for (half, block) in pair.iter_mut().enumerate() {
            for (bytes, word) in block.as_chunks_mut::<4>().0.iter_mut().zip([d, c, b, a]) {
                *bytes = ((word >> (32 * half)) as u32).to_be_bytes();
            }
        }
    }
}

/// A bit of 128 blocks, or the same words of two of them.
#[derive(Clone, Copy, Default)]
struct Pair([u64; 2]);

impl BitXor for Pair {
    type Output = Self;
    #[inline(always)]
    fn bitxor(self, Self([c, d]): Self) -> Self {
        let Self([a, b]) = self;
        Self([a ^ c, b ^ d])
    }
}

impl BitAnd for Pair {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, Self([c, d]): Self) -> Self {
        let Self([a, b]) = self;
        Self([a & c, b & d])
    }
}

impl Not for Pair {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        Self(self.0.map(|half| !half))
    }
}

/// One word of 128 blocks: plane i holds bit i of each.
type Planes = [Pair; 32];

/// Up to 128 blocks.
fn wide(rounds: &[u32; 32], blocks: &mut [Block]) {
    // Row i holds two words of block i, and those of block 64 + i.
    let [mut ab, mut cd] = [[Pair::default(); 64]; 2];
    for (index, block) in blocks.iter().enumerate() {
        let [a, b, c, d] = [0, 1, 2, 3].map(|word| u64::from(u32::from_be_bytes(block.as_chunks::<4>().0[word])));
        ab[index % 64].0[index / 64] = a | b << 32;
        cd[index % 64].0[index / 64] = c | d << 32;
    }
    transpose(&mut ab);
    transpose(&mut cd);
    let ([a, b], [c, d]) = (halves(&mut ab), halves(&mut cd));
    for [k0, k1, k2, k3] in rounds.as_chunks::<4>().0 {
        round(a, b, c, d, *k0);
        round(b, c, d, a, *k1);
        round(c, d, a, b, *k2);
        round(d, a, b, c, *k3);
    }
    transpose(&mut ab);
    transpose(&mut cd);
    for (index, block) in blocks.iter_mut().enumerate() {
        let [ab, cd] = [&ab, &cd].map(|rows| rows[index % 64].0[index / 64]);
        let words = [cd >> 32, cd, ab >> 32, ab];
        for (bytes, word) in block.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *bytes = (word as u32).to_be_bytes();
        }
    }
}

/// The lower and the upper word's planes.
fn halves(rows: &mut [Pair; 64]) -> [&mut Planes; 2] {
    match rows.as_chunks_mut::<32>().0 {
        [low, high] => [low, high],
        _ => unreachable!("64 is twice 32"),
    }
}

/// w ^= T(x ^ y ^ z ^ key)
#[inline(always)]
fn round(w: &mut Planes, x: &Planes, y: &Planes, z: &Planes, key: u32) {
    let mut t = [Pair::default(); 32];
    for bit in 0..32 {
        let key = 0u64.wrapping_sub(u64::from(key >> bit & 1));
        t[bit] = x[bit] ^ y[bit] ^ z[bit] ^ Pair([key; 2]);
    }
    for byte in t.as_chunks_mut::<8>().0 {
        *byte = substitute(*byte);
    }
    for bit in 0..32 {
        // A rotation to the left by n brings bit i − n to bit i.
        let rotated = |n: usize| t[(bit + 32 - n) % 32];
        w[bit] = w[bit] ^ t[bit] ^ rotated(2) ^ rotated(10) ^ rotated(18) ^ rotated(24);
    }
}

/// Bit j of row i becomes bit i of row j, in each half by itself.
fn transpose(rows: &mut [Pair; 64]) {
    let mut mask = 0x0000_0000_ffff_ffff_u64;
    let mut width = 32;
    while width != 0 {
        for pair in 0..32 {
            // The index of the upper row of the pair: its bit `width` is zero.
            let row = (pair & !(width - 1)) << 1 | (pair & (width - 1));
            let (upper, lower) = (rows[row], rows[row + width]);
            let swap = (Pair(upper.0.map(|half| half >> width)) ^ lower) & Pair([mask; 2]);
            rows[row] = upper ^ Pair(swap.0.map(|half| half << width));
            rows[row + width] = lower ^ swap;
        }
        width /= 2;
        mask ^= mask << width;
    }
}
