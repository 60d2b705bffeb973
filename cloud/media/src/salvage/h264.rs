//! What of H.264 (ITU-T H.264) tells a picture from noise: parameter sets and the head of a slice.

use super::bits::Bits;

/// Of a sequence parameter set (7.3.2.1.1), what the head of a slice needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    /// Bits of `frame_num`.
    frame_num_bits: u32,
    separate_planes: bool,
    /// Macroblocks of a picture.
    blocks: u32,
}

impl Sequence {
    /// From the NAL unit with its header.
    pub(super) fn read(unit: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(unit.get(1..)?);
        let profile = bits.take(8)?;
        bits.take(16)?;
        bits.ue()?;
        let mut separate_planes = false;
        if matches!(
            profile,
            100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
        ) {
            let chroma = bits.ue()?;
            if chroma == 3 {
                separate_planes = bits.bit()? == 1;
            }
            bits.ue()?;
            bits.ue()?;
            bits.bit()?;
            if bits.bit()? == 1 {
                for list in 0..if chroma == 3 { 12 } else { 8 } {
                    if bits.bit()? == 1 {
                        scaling(&mut bits, if list < 6 { 16 } else { 64 })?;
                    }
                }
            }
        }
        let frame_num_bits = bits.ue()?.checked_add(4).filter(|n| *n <= 16)?;
        match bits.ue()? {
            0 => {
                bits.ue()?;
            }
            1 => {
                bits.bit()?;
                bits.se()?;
                bits.se()?;
                for _ in 0..bits.ue()?.min(255) {
                    bits.se()?;
                }
            }
            2 => {}
            _ => return None,
        }
        bits.ue()?;
        bits.bit()?;
        let (width, height) = (bits.ue()?.checked_add(1)?, bits.ue()?.checked_add(1)?);
        let frames_only = bits.bit()?;
        let blocks = width.checked_mul(height)?.checked_mul(2 - frames_only)?;
        // Level 6.2 ends at 139,264.
        (blocks <= 139_264).then_some(Self {
            frame_num_bits,
            separate_planes,
            blocks,
        })
    }
}

fn scaling(bits: &mut Bits<'_>, size: usize) -> Option<()> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.se()?).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

/// Number of a picture parameter set and the sequence it belongs to.
pub(super) fn picture_set(unit: &[u8]) -> Option<(u32, u32)> {
    let mut bits = Bits::new(unit.get(1..)?);
    Some((bits.ue()?, bits.ue()?))
}

/// The head of a slice (7.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) first: bool,
    pub(super) picture_set: u32,
    pub(super) frame_num: u32,
    pub(super) key: bool,
}

impl Slice {
    /// From the first bytes of a NAL unit of type 1 or 5; `None` when it cannot be one of this sequence.
    pub(super) fn read(unit: &[u8], sequence: &Sequence) -> Option<Self> {
        let header = *unit.first()?;
        let mut bits = Bits::new(unit.get(1..)?);
        let block = bits.ue().filter(|b| *b < sequence.blocks)?;
        let kind = bits.ue().filter(|k| *k <= 9)?;
        let picture_set = bits.ue().filter(|p| *p <= 255)?;
        if sequence.separate_planes {
            bits.take(2)?;
        }
        let frame_num = bits.take(sequence.frame_num_bits)?;
        let key = header & 0x1f == 5;
        // Slices of an IDR picture are I or SI, and it begins to count anew.
        let sound = !key || (matches!(kind % 5, 2 | 4) && frame_num == 0);
        sound.then_some(Self {
            first: block == 0,
            picture_set,
            frame_num,
            key,
        })
    }

    /// Whether this can be the picture after one numbered `before`.
    pub(super) const fn follows(&self, before: u32, sequence: &Sequence) -> bool {
        let most = 1u32 << sequence.frame_num_bits;
        self.key || self.frame_num == before || self.frame_num == (before + 1) % most
    }
}
