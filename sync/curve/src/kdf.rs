//! The key derivation of GB/T 32918.3, 5.4.3 and GB/T 32918.4, 5.4.3: SM3(shared ‖ counter), the counter from 1.

use sm3::{Digest, Sm3};
use zeroize::Zeroizing;

/// Fills `key` from a hash that has taken in what is shared. `key` is far below the 2³² − 1 blocks the counter can count:
/// its callers bound it.
pub(crate) fn derive(shared: &Sm3, key: &mut [u8]) {
    for (counter, place) in (1u32..).zip(key.chunks_mut(32)) {
        let block = Zeroizing::new(finish(shared.clone().chain_update(counter.to_be_bytes())));
        place.iter_mut().zip(block.iter()).for_each(|(to, from)| *to = *from);
    }
}

/// The hash's value.
pub(crate) fn finish(hash: Sm3) -> [u8; 32] {
    hash.finalize().into()
}
