//! SM2 signatures (GB/T 32918.1, .2 and .5) in plain safe Rust: constant-time signing, fast verification.
//!
//! ```
//! use curve::{Bound, DEFAULT_ID, KnownKey, Nonces, PrivateKey, Signature};
//! # fn main() -> Result<(), curve::Refused> {
//! let mut nonces = Nonces::new();
//! let key = PrivateKey::generate(&mut nonces)?;
//! let bound = Bound::new(DEFAULT_ID, key.public_key())?;
//! let e = bound.digest("处方".as_bytes());
//! let der = key.sign(&e, &mut nonces)?.to_der();
//! key.public_key().verify(&e, &Signature::from_der(&der)?)?;
//! KnownKey::new(key.public_key()).verify(&e, &Signature::from_der(&der)?)?;
//! # Ok(())
//! # }
//! ```
//!
//! | file | what |
//! |---|---|
//! | `mask` `limbs` | choice without branches; 256 bits as four words |
//! | `field` `scalar` | integers modulo p and modulo n |
//! | `point` `sum` `comb` `wnaf` | the curve; public multiples of known points by tables, of others by windows |
//! | `masked` | secret multiples of the base point |
//! | `health` `nonce` | the random source watched; nonces in batches |
//! | `digest` `signature` `sign` `verify` | the standard's algorithms |
//!
//! # User id and Z
//! Every signature is over e = SM3(Z_A ‖ M), and Z_A binds the signer's *user id* and key. Both sides must agree on the
//! id: it is [`DEFAULT_ID`] for certificates and documents (GB/T 35276), another one in TLS (RFC 8998). An id of up to
//! 8191 bytes is taken as bytes, without any text conversion; an empty one is allowed and is not the default. A signature
//! over the bare SM3(M) is another signature and is never tried silently.
//!
//! # Secrecy
//! Secret are d, (1+d)⁻¹, every k, and the X, Y, Z of k·G. From them no branch and no address is derived:
//! * tables are read whole, row by row, and the wanted point is gathered by masks (`masked::scan`);
//! * signs, the digit zero and the first addition are chosen by masks; that the incomplete addition never meets an
//!   exception is shown in `masked`;
//! * inversions are powers with a fixed, public exponent;
//! * a value is revealed only where the standard itself reveals it: that a nonce or key is out of range and drawn again.
//!
//! Private keys and nonces are wiped on drop, cannot be cloned or printed, and nonces are watched and never shared between
//! processes (see `nonce`). What the optimiser spills to the stack is not wiped: the process that signs locks its memory and
//! cannot be dumped.
//!
//! # What was looked at
//! * *Time.* `tests/timing.rs` (short) and `cargo run --release -p curve --example timing -- 600` (long, seconds): Welch's t
//!   of the thread's processor time, a special against random secrets, beside a multiplication with one addition's worth of
//!   work more for most secrets, which the same test must find. Seen over 100 s: t below 3 in every round, means of 27.6 µs
//!   equal to 3 ns; the control at 90 and more. The first form of this crate failed with t = 113: the optimiser had made a
//!   jump around the loads out of each mask of the table scan, and others in the scalar arithmetic. Hence
//!   `Mask::hidden`: every mask made of a secret passes through it, or stands in an array that does.
//! * *Machine code*, rustc 1.95, x86-64, of the linked program (the library's own assembly is not final under LTO):
//!   `cargo build --release -p curve --example speed`, then `objdump -d --no-show-raw-insn target/release/examples/speed`
//!   and the jumps and indexed loads of these functions. `masked::scan` has no conditional jump at all and reads the row
//!   with `pand`/`por`; `masked::multiply` has those of the loop over the rows, the windows' bias and the table's first use;
//!   `Fp::invert`, `Fp::squared`, `invert_all`, `scalar::multiply`, `Factor::invert` those of their counted loops;
//!   `PrivateKey::sign` those of an empty store and of r, r + k or s being zero; `Nonces::draw` those of the random
//!   source's answer, its health and a candidate out of range. Look again after a change of compiler.
//! * *Assumed*: the processor's 64-bit multiplication takes the same time for all operands; on x86-64 and AArch64 servers it
//!   does, on some small cores (Cortex-M3) it does not.
#![forbid(unsafe_code)]

mod comb;
mod digest;
mod field;
mod health;
mod limbs;
mod mask;
mod masked;
mod nonce;
mod point;
mod scalar;
mod sign;
mod signature;
mod sum;
mod verify;
mod wnaf;

pub use digest::{Bound, DEFAULT_ID, z};
pub use nonce::Nonces;
pub use sign::PrivateKey;
pub use signature::Signature;
pub use verify::{KnownKey, PublicKey};

/// Why a key or signature was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not an uncompressed point of the curve.
    #[error("not a point of the curve")]
    PublicKey,
    /// The private key is not in [1, n−2].
    #[error("private key out of range")]
    PrivateKeyRange,
    /// The signature is not the DER it should be.
    #[error("malformed signature")]
    SignatureForm,
    /// r or s is not in [1, n−1].
    #[error("signature out of range")]
    SignatureRange,
    /// The signature does not verify.
    #[error("signature does not verify")]
    Signature,
    /// The user id is longer than its length field can say.
    #[error("user id longer than 8191 bytes")]
    IdTooLong,
    /// The operating system's random source is absent or looks broken: nothing is signed any more.
    #[error("the random source is absent or failed its health test")]
    Randomness,
}
