//! SM4 by AES-NI and AVX2: the inversion of the S-box is the one inside AESENCLAST.
//!
//! AESENCLAST computes ShiftRows(SubBytes(x)) with SubBytes(x) = L(x⁻¹) + 63₁₆. SM4's S-box in AES coordinates is
//! post((pre(x))⁻¹); so x goes through pre, AESENCLAST under the zero key, and post∘L⁻¹. The affine maps are two PSHUFB
//! each, by half bytes: a look-up inside a register, whose time does not depend on the index. ShiftRows is undone by
//! the byte rotations of L, which are needed anyway.

use std::arch::x86_64::{
    _mm_aesenclast_si128, _mm_setzero_si128, _mm256_and_si256, _mm256_castsi128_si256, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm256_inserti128_si256, _mm256_slli_epi32, _mm256_srli_epi16, _mm256_srli_epi32,
};

use super::clmul;
use crate::ghash::POWERS;

super::eights::by_eights!("aes,avx2");

/// AES-NI, AVX2 and PCLMULQDQ were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(());

impl Token {
    /// Where they are.
    pub(crate) fn detect() -> Option<Self> {
        let here = is_x86_feature_detected!("aes")
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

/// The affine map of SM4 and the change to AES coordinates, of the lower and of the upper half of a byte.
const PRE: [Block; 2] = [
    [
        0x3e, 0xb2, 0x0e, 0x82, 0xbb, 0x37, 0x8b, 0x07, 0xa1, 0x2d, 0x91, 0x1d, 0x24, 0xa8, 0x14, 0x98,
    ],
    [
        0x00, 0xdc, 0x2e, 0xf2, 0xc5, 0x19, 0xeb, 0x37, 0x08, 0xd4, 0x26, 0xfa, 0xcd, 0x11, 0xe3, 0x3f,
    ],
];
/// AES's own affine map undone, the change back and the affine map of SM4.
const POST: [Block; 2] = [
    [
        0x6c, 0xd4, 0xa6, 0x1e, 0x52, 0xea, 0x98, 0x20, 0x0b, 0xb3, 0xc1, 0x79, 0x35, 0x8d, 0xff, 0x47,
    ],
    [
        0x00, 0xe0, 0x50, 0xb0, 0x9d, 0x7d, 0xcd, 0x2d, 0xc0, 0x20, 0x90, 0x70, 0x5d, 0xbd, 0x0d, 0xed,
    ],
];

/// ShiftRows undone, then each word rotated to the left by so many bytes, as the source of each byte.
#[expect(clippy::indexing_slicing, reason = "below the length, and computed by the compiler")]
const fn unshift(bytes: usize) -> Block {
    let mut from = [0; BLOCK];
    let mut to = 0;
    while to < BLOCK {
        // Byte `to` after the rotation is this one before it: row r of column c.
        let (c, r) = (to / 4, (to % 4 + 4 - bytes) % 4);
        from[to] = (r + 4 * ((c + 4 - r) % 4)) as u8;
        to += 1;
    }
    from
}
const UNSHIFTED: [Block; 4] = [unshift(0), unshift(1), unshift(2), unshift(3)];

/// An affine map of every byte.
#[inline]
#[target_feature(enable = "avx2")]
fn affine(x: __m256i, halves: &[Block; 2]) -> __m256i {
    let [low, high] = halves;
    let fifteen = _mm256_set1_epi8(15);
    let low = _mm256_shuffle_epi8(both(low), _mm256_and_si256(x, fifteen));
    let high = _mm256_shuffle_epi8(both(high), _mm256_and_si256(_mm256_srli_epi16::<4>(x), fifteen));
    _mm256_xor_si256(low, high)
}

/// The S-box of each byte, with the bytes moved by ShiftRows.
#[inline]
#[target_feature(enable = "aes,avx2")]
fn shifted(x: Words) -> Words {
    let x = affine(x, &PRE);
    let zero = _mm_setzero_si128();
    let low = _mm_aesenclast_si128(_mm256_castsi256_si128(x), zero);
    let high = _mm_aesenclast_si128(_mm256_extracti128_si256::<1>(x), zero);
    affine(_mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high), &POST)
}

/// The S-box of each byte of words that are all the same: ShiftRows moves nothing then.
#[inline]
#[target_feature(enable = "aes,avx2")]
fn tau(x: Words) -> Words {
    shifted(x)
}

/// The map T of GB/T 32907, 6.2: the S-box of each byte, then L.
#[inline]
#[target_feature(enable = "aes,avx2")]
fn t(x: Words) -> Words {
    let x = shifted(x);
    let [x0, x8, x16, x24] = UNSHIFTED.each_ref().map(|by| _mm256_shuffle_epi8(x, both(by)));
    // x + x⋘24 + (x + x⋘8 + x⋘16)⋘2
    let sum = _mm256_xor_si256(x0, _mm256_xor_si256(x8, x16));
    let rotated = _mm256_xor_si256(_mm256_slli_epi32::<2>(sum), _mm256_srli_epi32::<30>(sum));
    _mm256_xor_si256(_mm256_xor_si256(x0, x24), rotated)
}
