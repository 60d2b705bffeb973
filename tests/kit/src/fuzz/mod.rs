//! Bytes that somebody changed: the same changes for the same seed, more of them when asked.
//!
//! `FUZZ_TIMES=1000` makes every fuzzing test run a thousand times its short form; `FUZZ_SEED` begins elsewhere.

pub mod der;

/// How many cases a test runs whose short form has so many.
pub fn cases(short: u32) -> u32 {
    short.saturating_mul(number("FUZZ_TIMES").unwrap_or(1))
}

/// Where the cases begin.
pub fn seed() -> u64 {
    number("FUZZ_SEED").unwrap_or(1)
}

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// A source of changes (SplitMix64).
#[derive(Debug, Clone)]
pub struct Changes(u64);

impl Changes {
    /// Of case `number`.
    pub fn of(number: u32) -> Self {
        Self(seed().wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(number).wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when there is none.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.any() % (end.max(1) as u64)).unwrap_or(0)
    }

    /// One of these.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let at = self.below(of.len());
        of.get(at).expect("something to choose from")
    }

    /// Changes some bytes: flips, removes, repeats or cuts, or puts in one of the words of their language.
    pub fn change(&mut self, bytes: &mut Vec<u8>, words: &[&[u8]]) {
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len() + 1);
            let end = at + self.below(bytes.len() - at.min(bytes.len()) + 1).min(64);
            match self.below(6) {
                0 | 1 => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << (self.any() % 8);
                    }
                }
                2 => drop(bytes.drain(at..end)),
                3 => {
                    let piece = bytes.get(at..end).unwrap_or_default().to_vec();
                    let to = self.below(bytes.len() + 1);
                    bytes.splice(to..to, piece);
                }
                4 if !words.is_empty() => {
                    let word = *self.one(words);
                    bytes.splice(at..at, word.iter().copied());
                }
                _ => bytes.truncate(at),
            }
        }
    }
}
