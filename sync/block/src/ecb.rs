//! Each block by itself (电码本).
//!
//! For what is no longer than a block or random in itself: key check values, wrapped keys, the building of other modes,
//! and old data. Equal blocks of a text stay equal, so data is never kept this way: take [`crate::Gcm`].

use crate::{BLOCK, Block, Key, Refused};

/// Encrypts whole blocks in place; other lengths are refused and left as they are.
pub fn encrypt(key: &Key, data: &mut [u8]) -> Result<(), Refused> {
    key.encrypt_blocks(whole(data)?);
    Ok(())
}

/// Decrypts whole blocks in place; other lengths are refused and left as they are.
pub fn decrypt(key: &Key, data: &mut [u8]) -> Result<(), Refused> {
    key.decrypt_blocks(whole(data)?);
    Ok(())
}

/// As blocks, if nothing is left over.
fn whole(data: &mut [u8]) -> Result<&mut [Block], Refused> {
    match data.as_chunks_mut::<BLOCK>() {
        (blocks, []) => Ok(blocks),
        _ => Err(Refused::Length),
    }
}
