//! SM4 (GB/T 32907-2016) and its modes, constant time, with the processor's vector instructions where it has them. No
//! I/O.
//!
//! ```
//! use block::{Gcm, Refused};
//! # fn main() -> Result<(), Refused> {
//! let gcm = Gcm::new(&[7; 16]);
//! let (nonce, aad) = ([0; 12], b"hos_1");
//! let mut data = "处方".as_bytes().to_vec();
//! let tag = gcm.seal_in_place(&nonce, aad, &mut data);
//! gcm.open_in_place(&nonce, aad, &mut data, &tag)?;
//! assert_eq!(data, "处方".as_bytes());
//! assert_eq!(gcm.open_in_place(&nonce, b"hos_2", &mut data, &tag), Err(Refused::Tag));
//! # Ok(())
//! # }
//! ```
//!
//! | file | what |
//! |---|---|
//! | `gcm` | hides and protects: what to take for data |
//! | `ctr` `cbc` `ecb` | for formats that ask for them; each says what it does not do |
//! | `key` | a key and its expansion |
//! | `ghash` | the hash of GCM |
//! | `path` | which instructions do the work, asked of the processor at run time |
//! | `portable` `sbox` `ghash/portable` | integer arithmetic only |
//! | `x86` | `avx512` GFNI, AVX-512, VPCLMULQDQ; `gfni` GFNI, AVX2; `aes` AES-NI, AVX2; `clmul` PCLMULQDQ |
//!
//! Lengths: a GCM message is at most 2³⁶ − 32 bytes ([`gcm::LONGEST`]). Long ones go in pieces, in constant memory:
//! [`gcm::Sealer`], [`gcm::Opener`] (which decrypts nothing before all was checked), [`ctr::Stream`],
//! [`cbc::Encryptor`].
//!
//! # Secrecy
//! Secret are keys, round keys, texts, key streams and the hash key. No branch and no address is derived from them: the
//! S-box is a circuit, or the inversion inside AESENCLAST or GF2P8AFFINEINVQB between affine maps; PSHUFB looks up
//! inside a register. Tags and paddings are compared whole and only the verdict is branched on. Keys are wiped on drop,
//! cannot be cloned or printed, and lie at one place in memory. What passes through the stack while computing is not
//! wiped: a process with keys locks its memory and cannot be dumped.
//!
//! # What was looked at
//! * *Time.* `tests/timing.rs`: Welch's t of the thread's processor time, a special against random keys, texts, places
//!   of the wrong byte in paddings and in tags, on every path. Of 48 seen on a busy machine one was 4.9 and the others
//!   at most 2.5; the control, which does twelve blocks more for most keys, had 360 and more.
//! * *Machine code*, rustc 1.95, x86-64, of the linked program: `cargo build --release -p block --example block_speed`, then
//!   `objdump -d --no-show-raw-insn target/release/examples/block_speed` and the conditional jumps and indexed loads of every
//!   function of this crate. The jumps are those of counted loops, of the number of blocks and odd bytes, of the path
//!   and of the counter near 2³²; in `open_in_place` one on the tag's verdict. Indexes are loop counters. The rounds of
//!   `aes` and `gfni` have no jump at all, those of `avx512` one for 32 rounds: 64 blocks stay in sixteen registers,
//!   and a round of sixteen of them is `vpternlogd` `vpxord` `vgf2p8affineqb` `vgf2p8affineinvqb`, four `vprold`, two
//!   `vpternlogd` and `vpxord`, without a spill. `portable` makes masks of key bits by `bt` and `sbb` and has no jump
//!   on them. Look again after a change of compiler.
//! * *Assumed*: 64-bit multiplication, AESENCLAST, the GFNI and PCLMULQDQ instructions and PSHUFB take the same time
//!   for all operands, as their makers say; multiplication on some small cores (Cortex-M3) does not.

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
    /// The padding is not the one of PKCS#7: another key, or damaged. Who sends ciphertexts must not learn this from
    /// us, or he can decrypt with our help: tell him only that the message was refused.
    #[error("the padding is wrong")]
    Padding,
    /// The tag does not belong to the message: changed on its way, or another key, nonce or additional data.
    #[error("the message was changed or belongs to another key")]
    Tag,
    /// More than one message under GCM may have (64 GiB), or than was checked.
    #[error("longer than a message may be")]
    TooLong,
}
