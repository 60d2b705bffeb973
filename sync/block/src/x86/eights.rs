//! SM4 in 256-bit registers, eight blocks to four registers, whatever computes the S-box.

/// The cipher by `t` and `tau` of the module, compiled for these instructions. A macro, because a function can name its
/// instructions only literally.
macro_rules! by_eights {
    ($features:literal) => {
        use std::arch::x86_64::{
            __m256i, _mm256_broadcastsi128_si256, _mm256_cvtsi256_si32, _mm256_set1_epi8, _mm256_set1_epi32,
            _mm256_shuffle_epi8, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32,
            _mm256_unpacklo_epi64, _mm256_xor_si256,
        };

        use super::memory::{load1, load2, store2};
        use crate::{BLOCK, Block};

        /// Each word's bytes reversed.
        const SWAPPED: Block = [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12];

        /// One word of eight blocks.
        type Words = __m256i;

        #[inline]
        #[target_feature(enable = "avx2")]
        fn both(half: &Block) -> __m256i {
            _mm256_broadcastsi128_si256(load1(half))
        }

        /// One round of all groups: a += T(b + c + d + key).
        #[inline]
        #[target_feature(enable = $features)]
        fn round<const G: usize>(a: &mut [Words; G], b: &[Words; G], c: &[Words; G], d: &[Words; G], key: u32) {
            let key = _mm256_set1_epi32(key.cast_signed());
            for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
                // d came last and is added last.
                let sum = _mm256_xor_si256(*d, _mm256_xor_si256(_mm256_xor_si256(*b, *c), key));
                *a = _mm256_xor_si256(*a, t(sum));
            }
        }

        /// Rows of four words each become columns, in each half.
        #[inline]
        #[target_feature(enable = $features)]
        fn transposed([a, b, c, d]: [Words; 4]) -> [Words; 4] {
            let (low_ab, low_cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
            let (high_ab, high_cd) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
            [
                _mm256_unpacklo_epi64(low_ab, low_cd),
                _mm256_unpackhi_epi64(low_ab, low_cd),
                _mm256_unpacklo_epi64(high_ab, high_cd),
                _mm256_unpackhi_epi64(high_ab, high_cd),
            ]
        }

        /// All rounds.
        #[inline]
        #[target_feature(enable = $features)]
        fn encrypted<const G: usize>(
            [mut a, mut b, mut c, mut d]: [[Words; G]; 4],
            rounds: &[u32; 32],
        ) -> [[Words; G]; 4] {
            for [k0, k1, k2, k3] in rounds.as_chunks::<4>().0 {
                round(&mut a, &b, &c, &d, *k0);
                round(&mut b, &c, &d, &a, *k1);
                round(&mut c, &d, &a, &b, *k2);
                round(&mut d, &a, &b, &c, *k3);
            }
            [d, c, b, a]
        }

        /// G groups of eight blocks.
        #[inline]
        #[target_feature(enable = $features)]
        fn groups<const G: usize>(rounds: &[u32; 32], groups: &mut [[[Block; 2]; 4]; G]) {
            let swap = both(&SWAPPED);
            let [mut a, mut b, mut c, mut d] = [[_mm256_set1_epi8(0); G]; 4];
            for ((((group, a), b), c), d) in groups.iter().zip(&mut a).zip(&mut b).zip(&mut c).zip(&mut d) {
                let rows = group.each_ref().map(|row| _mm256_shuffle_epi8(load2(row), swap));
                [*a, *b, *c, *d] = transposed(rows);
            }
            let [a, b, c, d] = encrypted([a, b, c, d], rounds);
            for ((((group, a), b), c), d) in groups.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                for (to, row) in group.iter_mut().zip(transposed([a, b, c, d])) {
                    store2(to, _mm256_shuffle_epi8(row, swap));
                }
            }
        }

        /// One block, without the way through groups: it is waited for.
        #[inline]
        #[target_feature(enable = $features)]
        fn one(rounds: &[u32; 32], block: &mut Block) {
            let words = block
                .as_chunks()
                .0
                .iter()
                .map(|word| u32::from_be_bytes(*word).cast_signed());
            let mut state = [[_mm256_set1_epi8(0)]; 4];
            for (to, word) in state.iter_mut().zip(words) {
                *to = [_mm256_set1_epi32(word)];
            }
            for (to, [word]) in block.as_chunks_mut().0.iter_mut().zip(encrypted(state, rounds)) {
                *to = _mm256_cvtsi256_si32(word).to_be_bytes();
            }
        }

        /// Round keys of a key.
        #[target_feature(enable = $features)]
        fn expand(key: &Block, rounds: &mut [u32; 32]) {
            crate::key::expand(key, rounds, |x| {
                _mm256_cvtsi256_si32(tau(_mm256_set1_epi32(x.cast_signed()))).cast_unsigned()
            });
        }

        #[target_feature(enable = $features)]
        fn crypt(rounds: &[u32; 32], blocks: &mut [Block]) {
            if let [block] = blocks {
                return one(rounds, block);
            }
            let (pairs, odd) = blocks.as_chunks_mut::<2>();
            let (eights, rest) = pairs.as_chunks_mut::<4>();
            let (sixteens, eight) = eights.as_chunks_mut::<2>();
            for sixteen in sixteens {
                groups::<2>(rounds, sixteen);
            }
            for eight in eight {
                groups::<1>(rounds, std::array::from_mut(eight));
            }
            let rest = [rest.as_flattened_mut(), odd];
            if rest.iter().any(|part| !part.is_empty()) {
                let mut last = [[[[0; BLOCK]; 2]; 4]];
                let from = rest.iter().flat_map(|part| part.iter());
                for (to, from) in last.as_flattened_mut().as_flattened_mut().iter_mut().zip(from) {
                    *to = *from;
                }
                groups::<1>(rounds, &mut last);
                let to = rest.into_iter().flat_map(|part| part.iter_mut());
                for (to, from) in to.zip(last.as_flattened().as_flattened()) {
                    *to = *from;
                }
            }
        }
    };
}

pub(super) use by_eights;
