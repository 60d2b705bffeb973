//! SM4 (GB/T 32907) and its modes, constant time, with the processor's AES instructions where it has them. No I/O.

pub mod cbc;
mod ct;
pub mod ctr;
pub mod ecb;
pub mod gcm;
mod ghash;
mod key;
mod path;
mod portable;
mod sbox;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use gcm::Gcm;
pub use key::Key;
pub use path::Path;

/// Bytes of a block.
pub const BLOCK: usize = 16;
/// A block.
pub type Block = [u8; BLOCK];

/// Why something was not encrypted or decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The length is not a whole number of blocks.
    #[error("not whole blocks of 16 bytes")]
    Length,
    /// The padding is not the one of PKCS#7: another key, or damaged. Who sends ciphertexts must not learn this from us, or
    /// he can decrypt with our help: tell him only that the message was refused.
    #[error("the padding is wrong")]
    Padding,
    /// The tag does not belong to the message: changed on its way, or another key, nonce or additional data.
    #[error("the message was changed or belongs to another key")]
    Tag,
    /// More than one message under GCM may have (64 GiB), or than was checked.
    #[error("longer than a message may be")]
    TooLong,
}
