//! SM4 by GFNI and AVX2, for processors that have no AVX-512 (small ones of the kind found in appliances).
//!
//! The S-box is two instructions, see [`super::avx512`].

use std::arch::x86_64::{
    _mm256_gf2p8affine_epi64_epi8, _mm256_gf2p8affineinv_epi64_epi8, _mm256_set1_epi64x, _mm256_slli_epi32,
    _mm256_srli_epi32,
};

use super::avx512::{POST, PRE};
use super::clmul;
use crate::ghash::POWERS;

super::eights::by_eights!("gfni,avx2");

/// GFNI, AVX2 and PCLMULQDQ were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(());

impl Token {
    /// Where they are.
    pub(crate) fn detect() -> Option<Self> {
        let here = is_x86_feature_detected!("gfni")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("pclmulqdq");
        here.then_some(Self(()))
    }

    #[expect(unsafe_code, reason = "a function with instructions of its own")]
    pub(crate) fn crypt(self, rounds: &[u32; 32], blocks: &mut [Block]) {
        // SAFETY: a token exists only where `detect` found the instructions that the function names.
        unsafe { crypt(rounds, blocks) }
    }

    #[expect(unsafe_code, reason = "a function with instructions of its own")]
    pub(crate) fn expand(self, key: &Block, rounds: &mut [u32; 32]) {
        // SAFETY: as above.
        unsafe { expand(key, rounds) }
    }

    #[expect(unsafe_code, reason = "a function with instructions of its own")]
    pub(crate) fn powers(self, h: u128, powers: &mut [u128; POWERS]) {
        // SAFETY: as above.
        unsafe { clmul::powers(h, powers) }
    }

    #[expect(unsafe_code, reason = "a function with instructions of its own")]
    pub(crate) fn absorb(self, powers: &[u128; POWERS], y: u128, blocks: &[Block]) -> u128 {
        // SAFETY: as above.
        unsafe { clmul::absorb(powers, y, blocks) }
    }
}

/// Each word's bytes rotated to the left by one and by two, as the source of each byte.
const ROTATED: [Block; 2] = [
    [3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14],
    [2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13],
];

/// The S-box of each byte.
#[inline]
#[target_feature(enable = "gfni,avx2")]
fn tau(x: Words) -> Words {
    let [pre, post] = [PRE.0, POST.0].map(|matrix| _mm256_set1_epi64x(matrix.cast_signed()));
    let x = _mm256_gf2p8affine_epi64_epi8::<{ PRE.1 }>(x, pre);
    _mm256_gf2p8affineinv_epi64_epi8::<{ POST.1 }>(x, post)
}

/// The map T of GB/T 32907, 6.2: the S-box of each byte, then L.
#[inline]
#[target_feature(enable = "gfni,avx2")]
fn t(x: Words) -> Words {
    let x = tau(x);
    let [x8, x16] = ROTATED.each_ref().map(|by| _mm256_shuffle_epi8(x, both(by)));
    let x24 = _mm256_shuffle_epi8(x8, both(&ROTATED[1]));
    // x + x⋘24 + (x + x⋘8 + x⋘16)⋘2
    let sum = _mm256_xor_si256(x, _mm256_xor_si256(x8, x16));
    let rotated = _mm256_xor_si256(_mm256_slli_epi32::<2>(sum), _mm256_srli_epi32::<30>(sum));
    _mm256_xor_si256(_mm256_xor_si256(x, x24), rotated)
}
