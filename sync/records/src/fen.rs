//! Money.

use std::fmt;
use std::iter::Sum;

use serde::{Deserialize, Serialize};

/// An amount in fen (分, 1/100 yuan). Money is never a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fen(pub i64);

impl Fen {
    /// Sum, or `None` when it does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// This unit price times a count, or `None` when it does not fit.
    pub fn checked_times(self, count: i64) -> Option<Self> {
        self.0.checked_mul(count).map(Self)
    }
}

impl Sum for Fen {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        Self(iter.map(|f| f.0).fold(0, i64::saturating_add))
    }
}

impl fmt::Display for Fen {
    /// Yuan with two decimals, as a receipt prints it: `12.30`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let a = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", a / 100, a % 100)
    }
}

/// A price in fen per kilogram (分/千克): the herb's price as an exact integer. Price lists of herbs go down to tenths of
/// a fen per gram (3.6 fen/g is 3600 here), which [`Fen`] per gram cannot say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FenPerKg(pub i64);

impl FenPerKg {
    /// What so many grams cost, rounded half up to a fen. This is the only place where a herb's price is rounded: once
    /// per line of a prescription, over all its doses, as the bill of the HIS does. `None` when it does not fit or the
    /// price is below nothing.
    pub fn amount(self, grams: u64) -> Option<Fen> {
        let thousandths = u64::try_from(self.0).ok()?.checked_mul(grams)?;
        let fen = thousandths.checked_add(500)? / 1_000;
        i64::try_from(fen).ok().map(Fen)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fen, FenPerKg};

    #[test]
    fn herbs_are_rounded_half_up_once_per_line() {
        // 3.6 fen per gram: 10 g are 36 fen exactly, 7 × 10 g as well; 1 g is 4 fen, 2 g are 7 fen, not 8.
        let price = FenPerKg(3_600);
        let fen = |grams| price.amount(grams).map(|f| f.0);
        assert_eq!(
            [fen(0), fen(1), fen(2), fen(10), fen(70)].map(Option::unwrap),
            [0, 4, 7, 36, 252]
        );
        assert_eq!(FenPerKg(500).amount(1), Some(Fen(1)), "a half goes up");
        assert_eq!(FenPerKg(499).amount(1), Some(Fen(0)));
        assert_eq!(FenPerKg(-1).amount(1), None);
        assert_eq!(FenPerKg(i64::MAX).amount(3), None);
    }

    #[test]
    fn fen_prints_as_yuan() {
        assert_eq!(Fen(1230).to_string(), "12.30");
        assert_eq!(Fen(-5).to_string(), "-0.05");
    }
}
