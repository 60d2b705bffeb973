//! GHASH by PCLMULQDQ, several blocks to one reduction.

use std::arch::x86_64::{
    __m128i, _mm_clmulepi64_si128, _mm_set_epi8, _mm_set_epi64x, _mm_setzero_si128, _mm_shuffle_epi8,
    _mm_shuffle_epi32, _mm_slli_si128, _mm_srli_si128, _mm_xor_si128,
};

use super::memory::{element, load1, number};
use crate::Block;
use crate::ghash::POWERS;

/// A product before its reduction: low·1 + middle·x⁶⁴ + high·x¹²⁸.
#[derive(Clone, Copy)]
pub(super) struct Wide {
    pub(super) low: __m128i,
    pub(super) middle: __m128i,
    pub(super) high: __m128i,
}

/// The sum of `all` and a·b.
#[inline]
#[target_feature(enable = "sse2,pclmulqdq")]
fn plus_product(all: Wide, a: __m128i, b: __m128i) -> Wide {
    let crossed = _mm_xor_si128(_mm_clmulepi64_si128::<0x01>(a, b), _mm_clmulepi64_si128::<0x10>(a, b));
    Wide {
        low: _mm_xor_si128(all.low, _mm_clmulepi64_si128::<0x00>(a, b)),
        middle: _mm_xor_si128(all.middle, crossed),
        high: _mm_xor_si128(all.high, _mm_clmulepi64_si128::<0x11>(a, b)),
    }
}

/// Times x⁻¹²⁸: twice, what makes the lower 64 bits zero is added and they are dropped.
#[inline]
#[target_feature(enable = "sse2,pclmulqdq")]
pub(super) fn reduced(wide: Wide) -> __m128i {
    // x⁶³ + x⁶² + x⁵⁷; the polynomial's 1 and x¹²⁸ are the exchange of halves.
    let polynomial = _mm_set_epi64x(0, 0xc200_0000_0000_0000_u64.cast_signed());
    let low = _mm_xor_si128(wide.low, _mm_slli_si128::<8>(wide.middle));
    let high = _mm_xor_si128(wide.high, _mm_srli_si128::<8>(wide.middle));
    let once = _mm_xor_si128(
        _mm_shuffle_epi32::<0b0100_1110>(low),
        _mm_clmulepi64_si128::<0x00>(low, polynomial),
    );
    let twice = _mm_xor_si128(
        _mm_shuffle_epi32::<0b0100_1110>(once),
        _mm_clmulepi64_si128::<0x00>(once, polynomial),
    );
    _mm_xor_si128(high, twice)
}

#[inline]
#[target_feature(enable = "sse2")]
fn nothing() -> Wide {
    let zero = _mm_setzero_si128();
    Wide {
        low: zero,
        middle: zero,
        high: zero,
    }
}

/// h³², h³¹, … h from h.
#[target_feature(enable = "sse2,pclmulqdq")]
pub(super) fn powers(h: u128, powers: &mut [u128; POWERS]) {
    let h = element(h);
    let mut power = h;
    for to in powers.iter_mut().rev() {
        *to = number(power);
        power = reduced(plus_product(nothing(), power, h));
    }
}

/// See `HashKey::absorb`.
#[target_feature(enable = "ssse3,pclmulqdq")]
pub(super) fn absorb(powers: &[u128; POWERS], y: u128, blocks: &[Block]) -> u128 {
    let backwards = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let mut y = element(y);
    for some in blocks.chunks(POWERS) {
        let mut all = nothing();
        for (block, power) in some.iter().zip(powers.iter().skip(POWERS - some.len())) {
            let block = _mm_xor_si128(_mm_shuffle_epi8(load1(block), backwards), y);
            y = _mm_setzero_si128();
            all = plus_product(all, block, element(*power));
        }
        y = reduced(all);
    }
    number(y)
}
