//! Choice without branches.

use std::hint::black_box;

/// All ones or all zeros. Made by arithmetic, used by `&`: neither a jump nor an address depends on it.
#[derive(Clone, Copy)]
pub(crate) struct Mask(u64);

impl Mask {
    /// Chosen.
    pub(crate) const SET: Self = Self(u64::MAX);

    /// The same, with the optimiser not knowing that it is all ones or all zeros: it can make no jump of it.
    #[inline(always)]
    pub(crate) fn hidden(self) -> Self {
        Self(black_box(self.0))
    }

    /// Set when the lowest bit of `bit` is; the others must be zero.
    #[inline(always)]
    pub(crate) fn from_bit(bit: u64) -> Self {
        Self(0u64.wrapping_sub(bit))
    }

    /// Set when `value` is zero.
    #[inline(always)]
    pub(crate) fn is_zero(value: u64) -> Self {
        // The top bit of `value | -value` is clear for zero only.
        Self::from_bit(((value | value.wrapping_neg()) >> 63) ^ 1)
    }

    /// Set when both are the same.
    #[inline(always)]
    pub(crate) fn equal(a: u64, b: u64) -> Self {
        Self::is_zero(a ^ b)
    }

    /// Set when all bytes are zero. All are looked at: what is gathered is hidden before it is judged, for the optimiser
    /// was seen to end at the first difference where only the verdict was used.
    pub(crate) fn zeros(bytes: impl Iterator<Item = u8>) -> Self {
        Self::is_zero(u64::from(black_box(bytes.fold(0, |all, byte| all | byte)))).hidden()
    }

    /// Set when both, of one length, are the same; see [`Mask::zeros`].
    pub(crate) fn same(a: &[u8], b: &[u8]) -> Self {
        Self::zeros(a.iter().zip(b).map(|(a, b)| a ^ b))
    }

    /// Both.
    #[inline(always)]
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Set where it was not.
    #[inline(always)]
    pub(crate) fn not(self) -> Self {
        Self(!self.0)
    }

    /// The bits of `value` where set, zero where not.
    #[inline(always)]
    pub(crate) fn keep(self, value: u64) -> u64 {
        self.0 & value
    }

    /// `yes` where set, `no` where not.
    #[inline(always)]
    pub(crate) fn pick(self, yes: u64, no: u64) -> u64 {
        no ^ (self.0 & (yes ^ no))
    }

    /// Ends the secrecy of a choice: for what is public or about to be.
    pub(crate) fn reveal(self) -> bool {
        self.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_choose() {
        for value in [1, 2, 0x8000_0000_0000_0000, u64::MAX] {
            assert!(!Mask::is_zero(value).reveal());
            assert!(Mask::equal(value, value).reveal());
            assert!(!Mask::equal(value, value ^ 1).reveal());
        }
        assert!(Mask::is_zero(0).reveal());
        assert_eq!(Mask::SET.pick(3, 5), 3);
        assert_eq!(Mask::from_bit(0).pick(3, 5), 5);
        assert_eq!(Mask::SET.and(Mask::from_bit(0)).keep(7), 0);
        assert!(Mask::same(&[1, 2], &[1, 2]).reveal() && Mask::zeros([0, 0].into_iter()).reveal());
        for at in 0..32 {
            let mut other = [7; 32];
            other[at] ^= 0x80;
            assert!(!Mask::same(&[7; 32], &other).reveal(), "byte {at}");
        }
        assert_eq!((Mask::SET.not().keep(7), Mask::from_bit(0).not().keep(7)), (0, 7));
    }
}
