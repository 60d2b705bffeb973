//! What of H.265 (ITU-T H.265) tells a picture from noise: the heads of NAL units and slices.

use super::bits::Bits;

/// Type of a NAL unit, when its header can be one: layer 0, a temporal layer.
pub(super) fn kind(unit: &[u8]) -> Option<u8> {
    let (first, second) = (*unit.first()?, *unit.get(1)?);
    let kind = first >> 1 & 0x3f;
    let sound = first & 0x81 == 0 && second & 0xf8 == 0 && second & 7 != 0;
    (sound && matches!(kind, 0..=9 | 16..=21 | 32..=40)).then_some(kind)
}

/// Whether a type is that of a slice.
pub(super) const fn is_slice(kind: u8) -> bool {
    kind <= 21
}

/// Whether a type is that of a picture at which decoding can begin.
pub(super) const fn is_key(kind: u8) -> bool {
    kind >= 16 && kind <= 21
}

/// Of the head of a slice (7.3.6.1): whether it begins a picture, and its picture parameter set.
pub(super) fn slice(unit: &[u8], kind: u8) -> Option<(bool, u32)> {
    let mut bits = Bits::new(unit.get(2..)?);
    let first = bits.bit()? == 1;
    if is_key(kind) {
        bits.bit()?;
    }
    let set = bits.ue().filter(|p| *p <= 63)?;
    Some((first, set))
}

/// Number of a picture parameter set.
pub(super) fn picture_set(unit: &[u8]) -> Option<u32> {
    Bits::new(unit.get(2..)?).ue()
}
