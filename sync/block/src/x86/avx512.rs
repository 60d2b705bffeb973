//! SM4 by GFNI and AVX-512, GHASH by VPCLMULQDQ: sixteen blocks to four registers.
//!
//! GF2P8AFFINEQB is an affine map of every byte, GF2P8AFFINEINVQB the inversion in AES's field and an affine map: the
//! whole S-box is these two.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_xor_si128, _mm512_add_epi32, _mm512_broadcast_i32x4, _mm512_clmulepi64_epi128,
    _mm512_cvtsi512_si32, _mm512_extracti32x4_epi32, _mm512_gf2p8affine_epi64_epi8, _mm512_gf2p8affineinv_epi64_epi8,
    _mm512_rol_epi32, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setr_epi32, _mm512_setzero_si512,
    _mm512_shuffle_epi8, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512, _mm512_zextsi128_si512,
};

use super::clmul::{self, Wide};
use super::memory::{element, elements, load1, load4, number, store4};
use crate::ghash::POWERS;
use crate::{BLOCK, Block};

/// GFNI, AVX-512 (F, BW) and VPCLMULQDQ were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(());

impl Token {
    /// Where they are.
    pub(crate) fn detect() -> Option<Self> {
        let here = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("gfni")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("vpclmulqdq");
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
    pub(crate) fn add_stream(self, rounds: &[u32; 32], first: u128, blocks: &mut [Block]) {
        // SAFETY: as above.
        unsafe { add_stream(rounds, first, blocks) }
    }

    #[expect(unsafe_code, reason = "a function with instructions of its own")]
    pub(crate) fn powers(self, h: u128, powers: &mut [u128; POWERS]) {
        // SAFETY: as above.
        unsafe { clmul::powers(h, powers) }
    }

    #[expect(unsafe_code, reason = "a function with instructions of its own")]
    pub(crate) fn absorb(self, powers: &[u128; POWERS], y: u128, blocks: &[Block]) -> u128 {
        // SAFETY: as above.
        unsafe { absorb(powers, y, blocks) }
    }
}

/// The affine map of SM4 and the change to AES coordinates: a matrix (a row a byte, the highest first) and a constant.
pub(super) const PRE: (u64, i32) = (0x4c28_7db9_1a22_505d, 0x3e);
/// The change back and the affine map of SM4.
pub(super) const POST: (u64, i32) = (0xf3ab_34a9_74a6_b589, 0xd3);

/// Each word's bytes reversed.
const SWAPPED: Block = [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12];
/// All bytes reversed.
const BACKWARDS: Block = [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0];

/// One word of sixteen blocks.
type Words = __m512i;
/// Sixteen blocks.
type Group = [[Block; 4]; 4];

#[inline]
#[target_feature(enable = "avx512f")]
fn sum3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0b1001_0110>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn everywhere(quarter: &Block) -> __m512i {
    _mm512_broadcast_i32x4(load1(quarter))
}

/// The S-box of each byte.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn tau(x: Words) -> Words {
    let [pre, post] = [PRE.0, POST.0].map(|matrix| _mm512_set1_epi64(matrix.cast_signed()));
    let x = _mm512_gf2p8affine_epi64_epi8::<{ PRE.1 }>(x, pre);
    _mm512_gf2p8affineinv_epi64_epi8::<{ POST.1 }>(x, post)
}

/// One round of all groups: a += T(b + c + d + key).
#[inline]
#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn round<const G: usize>(a: &mut [Words; G], b: &[Words; G], c: &[Words; G], d: &[Words; G], key: u32) {
    let key = _mm512_set1_epi32(key.cast_signed());
    for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
        // d came last and is added last.
        let x = tau(_mm512_xor_si512(sum3(*b, *c, key), *d));
        let some = sum3(*a, x, _mm512_rol_epi32::<2>(x));
        let others = sum3(
            _mm512_rol_epi32::<10>(x),
            _mm512_rol_epi32::<18>(x),
            _mm512_rol_epi32::<24>(x),
        );
        *a = _mm512_xor_si512(some, others);
    }
}

/// The state of G groups of sixteen blocks.
struct State<const G: usize> {
    a: [Words; G],
    b: [Words; G],
    c: [Words; G],
    d: [Words; G],
}

/// All rounds.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn encrypted<const G: usize>(state: State<G>, rounds: &[u32; 32]) -> State<G> {
    let State {
        mut a,
        mut b,
        mut c,
        mut d,
    } = state;
    for [k0, k1, k2, k3] in rounds.as_chunks::<4>().0 {
        round(&mut a, &b, &c, &d, *k0);
        round(&mut b, &c, &d, &a, *k1);
        round(&mut c, &d, &a, &b, *k2);
        round(&mut d, &a, &b, &c, *k3);
    }
    State { a: d, b: c, c: b, d: a }
}

/// Rows of four words each become columns, in each quarter.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed([a, b, c, d]: [Words; 4]) -> [Words; 4] {
    let (low_ab, low_cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
    let (high_ab, high_cd) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(low_ab, low_cd),
        _mm512_unpackhi_epi64(low_ab, low_cd),
        _mm512_unpacklo_epi64(high_ab, high_cd),
        _mm512_unpackhi_epi64(high_ab, high_cd),
    ]
}

/// G groups, each in place.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn crypt_groups<const G: usize>(rounds: &[u32; 32], groups: &mut [Group; G]) {
    let swap = everywhere(&SWAPPED);
    let [mut a, mut b, mut c, mut d] = [[_mm512_setzero_si512(); G]; 4];
    for ((((group, a), b), c), d) in groups.iter().zip(&mut a).zip(&mut b).zip(&mut c).zip(&mut d) {
        let [w, x, y, z] = group;
        [*a, *b, *c, *d] = transposed([
            _mm512_shuffle_epi8(load4(w), swap),
            _mm512_shuffle_epi8(load4(x), swap),
            _mm512_shuffle_epi8(load4(y), swap),
            _mm512_shuffle_epi8(load4(z), swap),
        ]);
    }
    let State { a, b, c, d } = encrypted(State { a, b, c, d }, rounds);
    for ((((group, a), b), c), d) in groups.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        for (to, row) in group.iter_mut().zip(transposed([a, b, c, d])) {
            store4(to, _mm512_shuffle_epi8(row, swap));
        }
    }
}

/// Adds to G groups the stream from block `first` on, whose lowest word does not run over on the way.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn add_groups<const G: usize>(rounds: &[u32; 32], first: u128, groups: &mut [Group; G]) {
    let swap = everywhere(&SWAPPED);
    let [a, b, c, d] = [96, 64, 32, 0].map(|shift| _mm512_set1_epi32(((first >> shift) as u32).cast_signed()));
    // Register r holds the blocks 4r … 4r + 3, a quarter each: their columns come in this order.
    let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    let mut next = _mm512_add_epi32(d, order);
    let d = [(); G].map(|()| {
        let now = next;
        next = _mm512_add_epi32(next, _mm512_set1_epi32(16));
        now
    });
    let state = State {
        a: [a; G],
        b: [b; G],
        c: [c; G],
        d,
    };
    let State { a, b, c, d } = encrypted(state, rounds);
    for ((((group, a), b), c), d) in groups.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        for (to, row) in group.iter_mut().zip(transposed([a, b, c, d])) {
            let sum = _mm512_xor_si512(load4(to), _mm512_shuffle_epi8(row, swap));
            store4(to, sum);
        }
    }
}

/// Fewer blocks than a group, as a group; and back.
fn as_group(blocks: &mut [Block], act: impl FnOnce(&mut [Group; 1])) {
    let mut group = [[[[0; BLOCK]; 4]; 4]];
    let (begun, _) = group.as_flattened_mut().as_flattened_mut().split_at_mut(blocks.len());
    begun.copy_from_slice(blocks);
    act(&mut group);
    let (begun, _) = group.as_flattened().as_flattened().split_at(blocks.len());
    blocks.copy_from_slice(begun);
}

/// Blocks as groups by fours, groups, and the rest.
type Split<'a> = (&'a mut [[Group; 4]], &'a mut [Group], &'a mut [Block]);

fn split(blocks: &mut [Block]) -> Split<'_> {
    let whole = blocks.len() / 16 * 16;
    let (whole, rest) = blocks.split_at_mut(whole);
    let (groups, _) = whole.as_chunks_mut::<4>().0.as_chunks_mut::<4>();
    let (fours, groups) = groups.as_chunks_mut::<4>();
    (fours, groups, rest)
}

/// One block, without the way through groups: it is waited for.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn one(rounds: &[u32; 32], block: &mut Block) {
    let words = block
        .as_chunks()
        .0
        .iter()
        .map(|word| u32::from_be_bytes(*word).cast_signed());
    let mut state = [[_mm512_setzero_si512()]; 4];
    for (to, word) in state.iter_mut().zip(words) {
        *to = [_mm512_set1_epi32(word)];
    }
    let [a, b, c, d] = state;
    let State { a, b, c, d } = encrypted(State { a, b, c, d }, rounds);
    for (to, [word]) in block.as_chunks_mut().0.iter_mut().zip([a, b, c, d]) {
        *to = _mm512_cvtsi512_si32(word).to_be_bytes();
    }
}

/// Round keys of a key.
#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn expand(key: &Block, rounds: &mut [u32; 32]) {
    crate::key::expand(key, rounds, |x| {
        _mm512_cvtsi512_si32(tau(_mm512_set1_epi32(x.cast_signed()))).cast_unsigned()
    });
}

#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn crypt(rounds: &[u32; 32], blocks: &mut [Block]) {
    if let [block] = blocks {
        return one(rounds, block);
    }
    let (fours, groups, rest) = split(blocks);
    for four in fours {
        crypt_groups(rounds, four);
    }
    for group in groups {
        crypt_groups(rounds, std::array::from_mut(group));
    }
    if !rest.is_empty() {
        as_group(rest, |group| crypt_groups(rounds, group));
    }
}

#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn add_stream(rounds: &[u32; 32], first: u128, blocks: &mut [Block]) {
    // With the unused places of a last group.
    let last = blocks.len() as u64 + 16;
    if u64::from(first as u32) + last > u64::from(u32::MAX) {
        return crate::ctr::by_batches(first, blocks, |stream| crypt(rounds, stream));
    }
    let (fours, groups, rest) = split(blocks);
    let mut next = first;
    for four in fours {
        add_groups(rounds, next, four);
        next += 64;
    }
    for group in groups {
        add_groups(rounds, next, std::array::from_mut(group));
        next += 16;
    }
    if !rest.is_empty() {
        as_group(rest, |group| add_groups(rounds, next, group));
    }
}

/// The sum of the four quarters.
#[inline]
#[target_feature(enable = "avx512f")]
fn folded(all: __m512i) -> __m128i {
    let low = _mm_xor_si128(_mm512_extracti32x4_epi32::<0>(all), _mm512_extracti32x4_epi32::<1>(all));
    let high = _mm_xor_si128(_mm512_extracti32x4_epi32::<2>(all), _mm512_extracti32x4_epi32::<3>(all));
    _mm_xor_si128(low, high)
}

#[target_feature(enable = "avx512f,avx512bw,pclmulqdq,vpclmulqdq")]
fn absorb(powers: &[u128; POWERS], y: u128, blocks: &[Block]) -> u128 {
    let backwards = everywhere(&BACKWARDS);
    let (powers, _) = powers.as_chunks::<4>();
    let mut y = element(y);
    for some in blocks.chunks(POWERS) {
        let (head, fours) = some.split_at(some.len() % 4);
        let (fours, _) = fours.as_chunks::<4>();
        // The odd ones as a four that begins with zero blocks: these add nothing.
        let mut first = [[0; BLOCK]; 4];
        let (_, place) = first.split_at_mut(4 - head.len());
        place.copy_from_slice(head);
        if let Some(begin) = place.first_mut() {
            *begin = (u128::from_be_bytes(*begin) ^ number(y)).to_be_bytes();
            y = element(0);
        }
        let first = (!head.is_empty()).then_some(&first);
        let zero = _mm512_setzero_si512();
        let [mut low, mut middle, mut high] = [zero; 3];
        let count = fours.len() + usize::from(first.is_some());
        let powers = powers.iter().skip(powers.len() - count);
        for (four, powers) in first.into_iter().chain(fours).zip(powers) {
            let x = _mm512_xor_si512(_mm512_shuffle_epi8(load4(four), backwards), _mm512_zextsi128_si512(y));
            y = element(0);
            let h = elements(powers);
            low = _mm512_xor_si512(low, _mm512_clmulepi64_epi128::<0x00>(x, h));
            high = _mm512_xor_si512(high, _mm512_clmulepi64_epi128::<0x11>(x, h));
            middle = sum3(
                middle,
                _mm512_clmulepi64_epi128::<0x01>(x, h),
                _mm512_clmulepi64_epi128::<0x10>(x, h),
            );
        }
        y = clmul::reduced(Wide {
            low: folded(low),
            middle: folded(middle),
            high: folded(high),
        });
    }
    number(y)
}
