//! SM4 and GHASH with the vector instructions of x86-64.
//!
//! Every entry takes a token that exists only where its instructions were found; that is what makes the calls sound.
//! Inside, the functions name their instructions and call intrinsics that are safe there; unsafe remain the loads and
//! stores.

pub(crate) mod aes;
pub(crate) mod avx512;
mod clmul;
mod eights;
pub(crate) mod gfni;
mod memory;
