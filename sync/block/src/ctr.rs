//! Counter mode: the encrypted numbers iv, iv + 1, … as a key stream.
//!
//! Encrypting and decrypting are the same. It hides but does not protect: who changes a bit of the ciphertext changes
//! that bit of the text. **An iv must never serve twice under one key**, nor may two streams meet on their way.

use std::borrow::Borrow;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{BLOCK, Block, Key};

/// Blocks whose key stream is made at once.
const BATCH: usize = 128;

/// Where a stream is.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Cursor {
    /// The number of the next block, as a big-endian integer.
    next: u128,
    /// The key stream of the block before it, of which `used` bytes are spent.
    pad: Block,
    used: usize,
}

impl Cursor {
    /// At the beginning of the block numbered `first`.
    pub(crate) fn at(first: u128) -> Self {
        Self {
            next: first,
            pad: [0; BLOCK],
            used: BLOCK,
        }
    }

    /// Adds the key stream to `data` and moves on behind it.
    pub(crate) fn apply(&mut self, key: &Key, data: &mut [u8]) {
        let left = self.pad.get(self.used..).unwrap_or_default();
        let (begun, rest) = data.split_at_mut(left.len().min(data.len()));
        add(begun, left);
        self.used += begun.len();
        let (blocks, tail) = rest.as_chunks_mut::<BLOCK>();
        key.add_stream(self.next, blocks);
        self.next = self.next.wrapping_add(blocks.len() as u128);
        if !tail.is_empty() {
            self.pad = key.encrypted(self.next.to_be_bytes());
            self.next = self.next.wrapping_add(1);
            self.used = tail.len();
            add(tail, &self.pad);
        }
    }
}

/// Adds as much of `stream` as `data` takes.
fn add(data: &mut [u8], stream: &[u8]) {
    for (byte, key) in data.iter_mut().zip(stream) {
        *byte ^= key;
    }
}

/// Adds the stream that begins at block `first`, with the numbers encrypted in batches.
pub(crate) fn by_batches(first: u128, blocks: &mut [Block], encrypt: impl Fn(&mut [Block])) {
    let mut next = first;
    let mut stream = [[0; BLOCK]; BATCH];
    for some in blocks.chunks_mut(BATCH) {
        let (stream, _) = stream.split_at_mut(some.len());
        for pad in stream.iter_mut() {
            *pad = next.to_be_bytes();
            next = next.wrapping_add(1);
        }
        encrypt(stream);
        for (block, pad) in some.iter_mut().zip(&*stream) {
            *block = (u128::from_ne_bytes(*block) ^ u128::from_ne_bytes(*pad)).to_ne_bytes();
        }
    }
}

/// A stream of any length, in pieces of any length; `K` is a [`Key`], a reference to one, or an `Arc` of one.
pub struct Stream<K: Borrow<Key>> {
    key: K,
    first: u128,
    cursor: Cursor,
}

impl<K: Borrow<Key>> std::fmt::Debug for Stream<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream")
    }
}

impl<K: Borrow<Key>> Stream<K> {
    /// Begins with `iv`, a big-endian number that grows by one with each block and wraps round.
    pub fn new(key: K, iv: &[u8; 16]) -> Self {
        let first = u128::from_be_bytes(*iv);
        Self {
            key,
            first,
            cursor: Cursor::at(first),
        }
    }

    /// Encrypts or decrypts the next piece.
    pub fn apply(&mut self, data: &mut [u8]) {
        self.cursor.apply(self.key.borrow(), data);
    }

    /// Goes to this byte of the stream, counted from its beginning.
    pub fn seek(&mut self, byte: u64) {
        let block = u128::from(byte / BLOCK as u64);
        self.cursor = Cursor::at(self.first.wrapping_add(block));
        let mut skipped = [0; BLOCK];
        let (skipped, _) = skipped.split_at_mut((byte % BLOCK as u64) as usize);
        self.apply(skipped);
    }
}
