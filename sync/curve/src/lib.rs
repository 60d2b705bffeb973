//! SM2 (GB/T 32918.1 to .5) in plain safe Rust: signatures, encryption, key exchange, ECDH. Constant time for secrets, fast
//! verification.
//!
//! ```
//! use curve::{Bound, Ciphertext, DEFAULT_ID, KnownKey, Nonces, PrivateKey, Signature};
//! # fn main() -> Result<(), curve::Refused> {
//! let mut nonces = Nonces::new();
//! let key = PrivateKey::generate(&mut nonces)?;
//! let bound = Bound::new(DEFAULT_ID, key.public_key())?;
//! let e = bound.digest("处方".as_bytes());
//! let der = key.sign(&e, &mut nonces)?.to_der();
//! key.public_key().verify(&e, &Signature::from_der(&der)?)?;
//! KnownKey::new(key.public_key()).verify(&e, &Signature::from_der(&der)?)?;
//!
//! let sealed = key.public_key().encrypt(b"a key of SM4", &mut nonces)?.to_der();
//! assert_eq!(key.decrypt(&Ciphertext::from_der(&sealed)?)?.as_slice(), b"a key of SM4");
//! # Ok(())
//! # }
//! ```
//!
//! | file | what |
//! |---|---|
//! | `mask` `limbs` | choice without branches; 256 bits as four words |
//! | `field` `scalar` | integers modulo p and modulo n |
//! | `point` `sum` `comb` `wnaf` | the curve; public multiples of known points by tables, of others by windows |
//! | `masked` `window` | secret multiples of the base point, and of any point |
//! | `health` `nonce` | the random source watched; nonces in batches |
//! | `digest` `der` `signature` `sign` `verify` | signatures (part 2) |
//! | `ephemeral` `exchange` `kdf` | ECDH for TLS, key exchange (part 3) |
//! | `cipher` `encrypt` | public-key encryption (part 4) |
//!
//! # User id and Z
//! Every signature is over e = SM3(Z_A ‖ M), and Z_A binds the signer's *user id* and key. Both sides must agree on the
//! id: it is [`DEFAULT_ID`] for certificates and documents (GB/T 35276), another one in TLS (RFC 8998). An id of up to
//! 8191 bytes is taken as bytes, without any text conversion; an empty one is allowed and is not the default. A signature
//! over the bare SM3(M) is another signature and is never tried silently. A long message goes into [`Bound::start`] piece by
//! piece. A key exchange binds the ids of both sides in the same way; encryption has none.
//!
//! # Cipher texts
//! [`Ciphertext`] is C1 ‖ C3 ‖ C2 in bytes (the standard's order) and `SM2Cipher` in DER. The order before 2012, C1 ‖ C2 ‖ C3,
//! is read by a function of its own, never guessed. C1 is checked to be a point of the curve when read. A text that does not
//! decrypt is refused with one answer for all causes, after the same work.
//!
//! # Secrecy
//! Secret are d, (1+d)⁻¹, every k, the X, Y, Z of k·G, the r and t of an exchange, and every shared point with what is
//! derived from it. From them no branch and no address is derived:
//! * tables are read whole, row by row, and the wanted point is gathered by masks (`masked::scan`);
//! * signs, the digit zero and the first addition are chosen by masks; that the incomplete addition never meets an
//!   exception is shown in `masked`, and in `window` that it meets one only, which is chosen around as well;
//! * C3 and the tags of an exchange are compared whole;
//! * inversions are powers with a fixed, public exponent;
//! * a value is revealed only where the standard itself reveals it: that a nonce or key is out of range, or a key stream all
//!   zeros, and drawn again; that a cipher text or tag is not right.
//!
//! Private keys, nonces and ephemeral keys are wiped on drop, cannot be cloned or printed, and nonces are watched and never shared between
//! processes (see `nonce`). What the optimiser spills to the stack is not wiped: the process that signs locks its memory and
//! cannot be dumped.
//!
//! # What was looked at
//! * *Time.* `tests/timing.rs` (short) and `cargo run --release -p curve --example timing -- 600` (long, seconds): Welch's t
//!   of the thread's processor time, a special against random secrets, beside a multiplication with one addition's worth of
//!   work more for most secrets, which the same test must find. Seen over 100 s: t below 3 in every round, means of 27.6 µs
//!   equal to 3 ns; the control at 90 and more. Decryption and exchange likewise, over 240 s on a busy machine: t below 2 in
//!   every round, for k = 1 and for the exception of `window`. The first form of this crate failed with t = 113: the optimiser had made a
//!   jump around the loads out of each mask of the table scan, and others in the scalar arithmetic. Hence
//!   `Mask::hidden`: every mask made of a secret passes through it, or stands in an array that does.
//! * *Machine code*, rustc 1.95, x86-64, of the linked program (the library's own assembly is not final under LTO):
//!   `cargo build --release -p curve --example speed`, then `objdump -d --no-show-raw-insn target/release/examples/speed`
//!   and the jumps and indexed loads of these functions. `masked::scan` has no conditional jump at all and reads the row
//!   with `pand`/`por`; `masked::multiply` has those of the loop over the rows, the windows' bias and the table's first use;
//!   `Fp::invert`, `Fp::squared`, `invert_all`, `scalar::multiply`, `Factor::invert` those of their counted loops;
//!   `PrivateKey::sign` those of an empty store and of r, r + k or s being zero; `Nonces::draw` those of the random
//!   source's answer, its health and a candidate out of range; `window::multiply` those of its counted loops and of laying
//!   out the (public) table; `PrivateKey::decrypt` the verdict, once. In its first form the comparison of C3 ended at the
//!   first difference: the optimiser had seen that only the verdict is used. Hence `Mask::zeros`. Look again after a change of compiler.
//! * *Assumed*: the processor's 64-bit multiplication takes the same time for all operands; on x86-64 and AArch64 servers it
//!   does, on some small cores (Cortex-M3) it does not.
#![forbid(unsafe_code)]

mod cipher;
mod comb;
mod der;
mod digest;
mod encrypt;
mod ephemeral;
mod exchange;
mod field;
mod health;
mod kdf;
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
mod window;
mod wnaf;

pub use cipher::{Ciphertext, MAX_PLAIN};
pub use digest::{Bound, DEFAULT_ID, z};
pub use ephemeral::Ephemeral;
pub use exchange::{Agreement, Exchange, MAX_KEY, Peer, Role};
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
    /// The cipher text is not C1 ‖ C3 ‖ C2, or not the DER it should be.
    #[error("malformed cipher text")]
    CipherForm,
    /// C1 is not an uncompressed point of the curve.
    #[error("C1 of the cipher text is not a point of the curve")]
    CipherPoint,
    /// The plain text, or C2, is empty or longer than [`MAX_PLAIN`].
    #[error("text to encrypt or decrypt is empty or longer than 1 MiB")]
    PlainLength,
    /// The cipher text is of another key, or was changed.
    #[error("the cipher text was changed, or is not for this key")]
    Decryption,
    /// The exchange leads to infinity: draw again, with another point of the other side.
    #[error("the exchanged points lead to infinity")]
    Exchange,
    /// The other side's tag is not the one expected.
    #[error("the other side does not have the same key")]
    Confirmation,
    /// The key to agree upon is of no bytes, or of more than [`MAX_KEY`].
    #[error("key length not between 1 and 1024 bytes")]
    KeyLength,
    /// The operating system's random source is absent or looks broken: nothing is signed any more.
    #[error("the random source is absent or failed its health test")]
    Randomness,
}
