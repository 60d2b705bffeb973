//! Writing replies, truthfully or not.

use crate::control::{Control, Lie};

/// A reply before it is written: bytes for the main buffer and the count beside it.
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) count: u32,
    pub(crate) code: u32,
}

/// splitmix64: the fuzz is the same for the same seed and call.
fn mix(mut seed: u64) -> u64 {
    seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    seed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    seed = (seed ^ (seed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    seed ^ (seed >> 31)
}

/// The lie for this call, if any.
fn lie(control: &Control, function: &str, call: u64) -> (Option<Lie>, u64) {
    let Some(seed) = control.fuzz else {
        return (control.lie(function), call);
    };
    let chance = mix(seed.wrapping_mul(1_000_003).wrapping_add(call));
    let size = (chance >> 32) as u32;
    let lie = match chance % 9 {
        0 => Some(Lie::Flip),
        1 => Some(Lie::Garbage),
        2 => Some(Lie::Short),
        3 => Some(Lie::Overrun(size as usize % 300)),
        4 => Some(Lie::Count(size)),
        5 => Some(Lie::Count(size % 300)),
        _ => None,
    };
    (lie, chance)
}

impl Reply {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let count = bytes.len() as u32;
        Self { bytes, count, code: 0 }
    }

    /// Bends the reply as the control file says.
    pub(crate) fn bent(mut self, control: &Control, function: &str, call: u64) -> Self {
        let (lie, chance) = lie(control, function, call);
        match lie {
            None => {}
            Some(Lie::Flip) => {
                if let Some(last) = self.bytes.last_mut() {
                    *last ^= 1;
                }
            }
            Some(Lie::Garbage) => {
                for (at, byte) in self.bytes.iter_mut().enumerate() {
                    *byte = mix(chance ^ at as u64) as u8;
                }
            }
            Some(Lie::Short) => {
                self.bytes.truncate(self.bytes.len() / 2);
                self.count /= 2;
            }
            Some(Lie::Overrun(more)) => {
                let length = self.bytes.len();
                self.bytes.resize(length + more, 0xEE);
            }
            Some(Lie::Count(count)) => self.count = count,
        }
        self
    }
}
