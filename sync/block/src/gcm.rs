//! GCM (NIST SP 800-38D; RFC 8998 for SM4): hides and protects, with additional data that is protected only.
//!
//! **A nonce must never serve twice under one key**: two messages under the same nonce give away their sum and the hash
//! key. Count, or draw at random and change the key long before 2³² messages.

use std::borrow::Borrow;

use crate::ct::same;
use crate::ctr::Cursor;
use crate::ghash::{Hash, HashKey};
use crate::path::Path;
use crate::{Block, Key, Refused};

/// Most bytes of one message: 2³² − 2 blocks.
pub const LONGEST: u64 = (1 << 36) - 32;
/// Bytes hidden and hashed by turns, so that the second finds them in the cache.
const CHUNK: usize = 4096;

/// A key for GCM with nonces of 12 and tags of 16 bytes. Wiped on drop; cannot be printed or cloned; to be shared.
pub struct Gcm {
    key: Key,
    hash: HashKey,
}

impl std::fmt::Debug for Gcm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gcm")
    }
}

impl Gcm {
    /// From 16 bytes of key. The caller wipes its own copy.
    pub fn new(key: &[u8; 16]) -> Self {
        Self::on(Path::best(), key)
    }

    /// The same, computing on the path given.
    pub fn on(path: Path, key: &[u8; 16]) -> Self {
        let key = Key::on(path, key);
        let hash = HashKey::new(path, &key.encrypted([0; 16]));
        Self { key, hash }
    }

    /// Encrypts `data` in place and returns the tag over it and `aad`.
    ///
    /// # Panics
    /// When `data` is longer than [`LONGEST`] (64 GiB) in one slice; [`Sealer`] answers with an error.
    pub fn seal_in_place(&self, nonce: &[u8; 12], aad: &[u8], data: &mut [u8]) -> [u8; 16] {
        assert!(data.len() as u64 <= LONGEST, "longer than GCM allows");
        let mut run = Run::new(self, nonce, aad);
        for chunk in data.chunks_mut(CHUNK) {
            run.cursor.apply(&self.key, chunk);
            run.hash.update(&self.hash, chunk);
        }
        run.tag(self, data.len() as u64)
    }

    /// Decrypts `data` in place if the tag is theirs; otherwise `data` stays as it came. Nothing is decrypted before.
    pub fn open_in_place(&self, nonce: &[u8; 12], aad: &[u8], data: &mut [u8], tag: &[u8; 16]) -> Result<(), Refused> {
        if data.len() as u64 > LONGEST {
            return Err(Refused::TooLong);
        }
        let mut run = Run::new(self, nonce, aad);
        run.hash.update(&self.hash, data);
        let mut cursor = Cursor::at(first_block(nonce));
        if !same(&run.tag(self, data.len() as u64), tag) {
            return Err(Refused::Tag);
        }
        cursor.apply(&self.key, data);
        Ok(())
    }
}

/// The number of the block before the text's first; its key stream hides the tag.
fn tag_block(nonce: &[u8; 12]) -> u128 {
    nonce.iter().fold(0, |all, byte| all << 8 | u128::from(*byte)) << 32 | 1
}

/// The number of the text's first block. The counter is the lowest 32 bits; [`LONGEST`] keeps it from running over.
fn first_block(nonce: &[u8; 12]) -> u128 {
    tag_block(nonce) + 1
}

/// A message under way.
struct Run {
    tag_block: Block,
    aad: u64,
    hash: Hash,
    cursor: Cursor,
}

impl Run {
    fn new(gcm: &Gcm, nonce: &[u8; 12], aad: &[u8]) -> Self {
        let mut hash = Hash::new();
        hash.update(&gcm.hash, aad);
        hash.pad(&gcm.hash);
        Self {
            tag_block: tag_block(nonce).to_be_bytes(),
            aad: aad.len() as u64,
            hash,
            cursor: Cursor::at(first_block(nonce)),
        }
    }

    /// The tag, when `length` bytes of ciphertext were hashed.
    fn tag(self, gcm: &Gcm, length: u64) -> [u8; 16] {
        let hidden = u128::from_ne_bytes(gcm.key.encrypted(self.tag_block));
        let hash = u128::from_ne_bytes(self.hash.finish(&gcm.hash, self.aad, length));
        (hidden ^ hash).to_ne_bytes()
    }
}

/// The length with `more`, or that it is too long.
fn longer(length: u64, more: usize) -> Result<u64, Refused> {
    let all = length.checked_add(more as u64).filter(|all| *all <= LONGEST);
    all.ok_or(Refused::TooLong)
}

/// Seals a long message in pieces, in constant memory.
pub struct Sealer<K: Borrow<Gcm>> {
    gcm: K,
    run: Run,
    length: u64,
}

impl<K: Borrow<Gcm>> std::fmt::Debug for Sealer<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl<K: Borrow<Gcm>> Sealer<K> {
    /// Begins a message; `gcm` is a [`Gcm`], a reference to one, or an `Arc` of one.
    pub fn new(gcm: K, nonce: &[u8; 12], aad: &[u8]) -> Self {
        let run = Run::new(gcm.borrow(), nonce, aad);
        Self { gcm, run, length: 0 }
    }

    /// Encrypts the next piece in place. A piece that would make the message too long is left as it is.
    pub fn update(&mut self, data: &mut [u8]) -> Result<(), Refused> {
        self.length = longer(self.length, data.len())?;
        let gcm = self.gcm.borrow();
        for chunk in data.chunks_mut(CHUNK) {
            self.run.cursor.apply(&gcm.key, chunk);
            self.run.hash.update(&gcm.hash, chunk);
        }
        Ok(())
    }

    /// The tag of all pieces.
    pub fn finish(self) -> [u8; 16] {
        self.run.tag(self.gcm.borrow(), self.length)
    }
}

/// Checks a long message in pieces before any of it is decrypted; the message is then read a second time.
pub struct Opener<K: Borrow<Gcm>> {
    gcm: K,
    nonce: [u8; 12],
    run: Run,
    length: u64,
}

impl<K: Borrow<Gcm>> std::fmt::Debug for Opener<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opener")
    }
}

impl<K: Borrow<Gcm>> Opener<K> {
    /// Begins a message.
    pub fn new(gcm: K, nonce: &[u8; 12], aad: &[u8]) -> Self {
        let run = Run::new(gcm.borrow(), nonce, aad);
        Self {
            gcm,
            nonce: *nonce,
            run,
            length: 0,
        }
    }

    /// The next piece of ciphertext, of the first reading.
    pub fn check(&mut self, data: &[u8]) -> Result<(), Refused> {
        self.length = longer(self.length, data.len())?;
        self.run.hash.update(&self.gcm.borrow().hash, data);
        Ok(())
    }

    /// What decrypts the second reading, if the tag is theirs. The caller sees to it that both readings see the same
    /// bytes.
    pub fn finish(self, tag: &[u8; 16]) -> Result<Opened<K>, Refused> {
        let Self {
            gcm,
            nonce,
            run,
            length,
        } = self;
        if !same(&run.tag(gcm.borrow(), length), tag) {
            return Err(Refused::Tag);
        }
        let cursor = Cursor::at(first_block(&nonce));
        Ok(Opened {
            gcm,
            cursor,
            left: length,
        })
    }
}

/// A message that was checked, to be decrypted in pieces.
pub struct Opened<K: Borrow<Gcm>> {
    gcm: K,
    cursor: Cursor,
    left: u64,
}

impl<K: Borrow<Gcm>> std::fmt::Debug for Opened<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened")
    }
}

impl<K: Borrow<Gcm>> Opened<K> {
    /// Decrypts the next piece in place; more than was checked is refused and left as it is.
    pub fn update(&mut self, data: &mut [u8]) -> Result<(), Refused> {
        self.left = self.left.checked_sub(data.len() as u64).ok_or(Refused::TooLong)?;
        self.cursor.apply(&self.gcm.borrow().key, data);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_end_at_their_limit() {
        assert_eq!(longer(LONGEST - 16, 16), Ok(LONGEST));
        assert_eq!(longer(LONGEST - 16, 17), Err(Refused::TooLong));
        assert_eq!(longer(LONGEST, usize::MAX), Err(Refused::TooLong));
        let gcm = Gcm::new(&[0; 16]);
        let mut sealer = Sealer::new(&gcm, &[0; 12], b"");
        sealer.length = LONGEST - 1;
        assert_eq!(sealer.update(&mut [0; 2]), Err(Refused::TooLong));
        assert_eq!(sealer.update(&mut [0]), Ok(()));
        let mut opener = Opener::new(&gcm, &[0; 12], b"");
        opener.length = LONGEST - 1;
        assert_eq!(opener.check(&[0; 2]), Err(Refused::TooLong));
        assert_eq!(opener.check(&[0]), Ok(()));
    }
}
