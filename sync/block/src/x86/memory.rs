//! Loads and stores between bytes and registers.

use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_loadu_si128, _mm_storeu_si128, _mm256_loadu_si256, _mm256_storeu_si256,
    _mm512_loadu_si512, _mm512_storeu_si512,
};

use crate::Block;

macro_rules! access {
    ($features:literal, $register:ty, $bytes:ty, $load:ident = $read:ident, $store:ident = $write:ident) => {
        #[inline]
        #[target_feature(enable = $features)]
        #[expect(unsafe_code, reason = "the intrinsic takes a pointer")]
        pub(super) fn $load(from: &$bytes) -> $register {
            const { assert!(size_of::<$register>() == size_of::<$bytes>()) };
            // SAFETY: the reference is to as many initialised bytes as are read, and no alignment is asked.
            unsafe { $read(std::ptr::from_ref(from).cast()) }
        }

        #[inline]
        #[target_feature(enable = $features)]
        #[expect(unsafe_code, reason = "the intrinsic takes a pointer")]
        pub(super) fn $store(to: &mut $bytes, value: $register) {
            const { assert!(size_of::<$register>() == size_of::<$bytes>()) };
            // SAFETY: the reference is to as many bytes as are written, and no alignment is asked; any bytes are an
            // array of `u8`.
            unsafe { $write(std::ptr::from_mut(to).cast(), value) }
        }
    };
}

access!(
    "sse2",
    __m128i,
    Block,
    load1 = _mm_loadu_si128,
    store1 = _mm_storeu_si128
);
access!(
    "avx",
    __m256i,
    [Block; 2],
    load2 = _mm256_loadu_si256,
    store2 = _mm256_storeu_si256
);
access!(
    "avx512f",
    __m512i,
    [Block; 4],
    load4 = _mm512_loadu_si512,
    store4 = _mm512_storeu_si512
);

/// An element of the field.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn element(value: u128) -> __m128i {
    load1(&value.to_le_bytes())
}

/// Four elements.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn elements(values: &[u128; 4]) -> __m512i {
    load4(&values.map(u128::to_le_bytes))
}

/// The number in a register.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn number(register: __m128i) -> u128 {
    let mut bytes = [0; 16];
    store1(&mut bytes, register);
    u128::from_le_bytes(bytes)
}
