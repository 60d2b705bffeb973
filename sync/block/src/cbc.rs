//! Cipher block chaining (分组链接), with the padding of PKCS#7.
//!
//! For the formats that ask for it (GB/T 35275 envelopes, keys in PKCS#8). It hides but does not protect; the iv must
//! be random and new for each text. **Whoever may send ciphertexts and learn whether their padding was right can
//! decrypt all others**: check a signature or MAC first, or answer alike and equally fast whatever was wrong. The check
//! itself takes the same time for every padding.

use std::borrow::Borrow;
use std::hint::black_box;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{BLOCK, Block, Key, Refused};

/// Blocks decrypted at once.
const BATCH: usize = 128;

/// Encrypts whole blocks without padding; `last` is the iv and becomes the last ciphertext block.
pub fn encrypt_blocks(key: &Key, last: &mut Block, blocks: &mut [Block]) {
    for block in blocks {
        *block = key.encrypted(sum(block, last));
        *last = *block;
    }
}

/// Decrypts whole blocks without padding; `last` is the iv and becomes the last ciphertext block.
pub fn decrypt_blocks(key: &Key, last: &mut Block, blocks: &mut [Block]) {
    let mut sealed = [[0; BLOCK]; BATCH];
    for some in blocks.chunks_mut(BATCH) {
        let (sealed, _) = sealed.split_at_mut(some.len());
        sealed.copy_from_slice(some);
        key.decrypt_blocks(some);
        for (block, sealed) in some.iter_mut().zip(sealed) {
            *block = sum(block, last);
            *last = *sealed;
        }
    }
}

fn sum(a: &Block, b: &Block) -> Block {
    (u128::from_ne_bytes(*a) ^ u128::from_ne_bytes(*b)).to_ne_bytes()
}

/// The text encrypted and padded: up to a block longer.
pub fn encrypt(key: &Key, iv: &Block, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + BLOCK);
    let mut encryptor = Encryptor::new(key, iv);
    encryptor.update(text, &mut out);
    encryptor.finish(&mut out);
    out
}

/// The text decrypted, without its padding. Nothing is returned, and all wiped, if that is wrong.
pub fn decrypt(key: &Key, iv: &Block, sealed: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut out = Vec::with_capacity(sealed.len());
    let mut decryptor = Decryptor::new(key, iv);
    decryptor.update(sealed, &mut out);
    match decryptor.finish(&mut out) {
        Ok(()) => Ok(out),
        Err(refused) => {
            out.zeroize();
            Err(refused)
        }
    }
}

/// A chain under way.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Chain {
    last: Block,
    /// Bytes that are not worked on yet, the first `filled`.
    held: Block,
    filled: usize,
}

impl Chain {
    fn new(iv: &Block) -> Self {
        Self {
            last: *iv,
            held: [0; BLOCK],
            filled: 0,
        }
    }

    /// Takes what the held block still needs; returns the rest.
    fn hold<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        let free = self.held.get_mut(self.filled..).unwrap_or_default();
        let (now, rest) = data.split_at(free.len().min(data.len()));
        for (to, from) in free.iter_mut().zip(now) {
            *to = *from;
        }
        self.filled += now.len();
        rest
    }
}

/// What is appended to `out`, as blocks.
fn appended<'a>(out: &'a mut Vec<u8>, blocks: &[Block]) -> &'a mut [Block] {
    let begin = out.len();
    out.extend_from_slice(blocks.as_flattened());
    out.get_mut(begin..).unwrap_or_default().as_chunks_mut().0
}

/// Encrypts a text in pieces; `K` is a [`Key`], a reference to one, or an `Arc` of one.
pub struct Encryptor<K: Borrow<Key>> {
    key: K,
    chain: Chain,
}

impl<K: Borrow<Key>> std::fmt::Debug for Encryptor<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encryptor")
    }
}

impl<K: Borrow<Key>> Encryptor<K> {
    /// Begins a text.
    pub fn new(key: K, iv: &Block) -> Self {
        let chain = Chain::new(iv);
        Self { key, chain }
    }

    /// Takes the next piece and appends the blocks that are complete.
    pub fn update(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let chain = &mut self.chain;
        let rest = if chain.filled > 0 { chain.hold(text) } else { text };
        if chain.filled == BLOCK {
            encrypt_blocks(self.key.borrow(), &mut chain.last, appended(out, &[chain.held]));
            chain.filled = 0;
        }
        let (blocks, tail) = rest.as_chunks::<BLOCK>();
        encrypt_blocks(self.key.borrow(), &mut chain.last, appended(out, blocks));
        if !tail.is_empty() {
            chain.hold(tail);
        }
    }

    /// Appends the last, padded block.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        let missing = BLOCK - self.chain.filled;
        self.chain.hold([missing as u8; BLOCK].split_at(missing).0);
        let last = appended(out, &[self.chain.held]);
        encrypt_blocks(self.key.borrow(), &mut self.chain.last, last);
    }
}

/// Decrypts a text in pieces.
pub struct Decryptor<K: Borrow<Key>> {
    key: K,
    chain: Chain,
}

impl<K: Borrow<Key>> std::fmt::Debug for Decryptor<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decryptor")
    }
}

impl<K: Borrow<Key>> Decryptor<K> {
    /// Begins a text.
    pub fn new(key: K, iv: &Block) -> Self {
        let chain = Chain::new(iv);
        Self { key, chain }
    }

    /// Takes the next piece and appends what is surely not padding. Nothing vouches for it yet.
    pub fn update(&mut self, sealed: &[u8], out: &mut Vec<u8>) {
        let chain = &mut self.chain;
        let rest = chain.hold(sealed);
        if rest.is_empty() {
            return;
        }
        // More follows: the held block is not the last.
        decrypt_blocks(self.key.borrow(), &mut chain.last, appended(out, &[chain.held]));
        chain.filled = 0;
        let (blocks, tail) = rest.as_chunks::<BLOCK>();
        let (now, held) = match (blocks.split_last(), tail) {
            (Some((last, others)), []) => (others, last.as_slice()),
            _ => (blocks, tail),
        };
        decrypt_blocks(self.key.borrow(), &mut chain.last, appended(out, now));
        chain.hold(held);
    }

    /// Appends the last block without its padding.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Refused> {
        if self.chain.filled != BLOCK {
            return Err(Refused::Length);
        }
        let mut last = [self.chain.held];
        decrypt_blocks(self.key.borrow(), &mut self.chain.last, &mut last);
        let length = unpadded(last.as_flattened());
        if let Ok(length) = length {
            out.extend(last.as_flattened().iter().take(length));
        }
        last.zeroize();
        length.map(drop)
    }
}

/// How many bytes of the block are text. Each byte is looked at, whatever the others are; only the verdict and the
/// length, which the caller sees anyway, are branched on.
fn unpadded(block: &[u8]) -> Result<usize, Refused> {
    let padding = u32::from(block.last().copied().unwrap_or_default());
    // The top bit of a difference is set when the second is greater.
    let mut wrong = padding.wrapping_sub(1) | (BLOCK as u32).wrapping_sub(padding);
    wrong = black_box(wrong) >> 31;
    for (from_end, byte) in (0u32..).zip(block.iter().rev()) {
        let inside = black_box(0u32.wrapping_sub(from_end.wrapping_sub(padding) >> 31));
        wrong |= inside & (u32::from(*byte) ^ padding);
    }
    if black_box(wrong) == 0 {
        Ok(BLOCK - padding as usize)
    } else {
        Err(Refused::Padding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_padding_of_the_standard_is_taken() {
        for padding in 0..=255u8 {
            let mut block = [padding; BLOCK];
            let good = (1..=16).contains(&padding);
            let length = BLOCK - usize::from(padding).min(BLOCK);
            assert_eq!(unpadded(&block), if good { Ok(length) } else { Err(Refused::Padding) });
            for at in 0..BLOCK - 1 {
                block[at] ^= 0x80;
                let wanted = if good && at < length {
                    Ok(length)
                } else {
                    Err(Refused::Padding)
                };
                assert_eq!(unpadded(&block), wanted, "{block:?}");
                block[at] ^= 0x80;
            }
        }
    }
}
