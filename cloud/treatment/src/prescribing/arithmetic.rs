//! How much is needed and what it costs: exact decimals in integers, never a float.

use std::fmt;
use std::str::FromStr;

use records::Fen;
use records::his::{Drug, Frequency, Herb};

/// A decimal number with up to six places, as catalogues write doses (`0.25`, `5`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(i64);

const PLACES: usize = 6;
const ONE: i64 = 1_000_000;
/// Larger than any dose in any unit; keeps every product below within `i128`.
const LARGEST: i64 = 1_000_000 * ONE;

impl Decimal {
    /// A whole number.
    pub fn whole(n: u32) -> Self {
        Self(i64::from(n).saturating_mul(ONE))
    }

    /// Greater than nothing.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }
}

/// The text is no such decimal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("“{0}”不是有效的数量")]
pub struct NotDecimal(String);

impl FromStr for Decimal {
    type Err = NotDecimal;

    fn from_str(text: &str) -> Result<Self, NotDecimal> {
        let bad = || NotDecimal(text.chars().take(20).collect());
        let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || whole.len() > 7 || part.len() > PLACES || !digits(whole) || !digits(part) {
            return Err(bad());
        }
        if text.contains('.') && part.is_empty() {
            return Err(bad());
        }
        let value: i64 = format!("{whole}{part:0<PLACES$}").parse().map_err(|_| bad())?;
        if value > LARGEST {
            return Err(bad());
        }
        Ok(Self(value))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:06}", self.0.rem_euclid(ONE));
        let part = part.trim_end_matches('0');
        write!(f, "{}", self.0.div_euclid(ONE))?;
        if part.is_empty() { Ok(()) } else { write!(f, ".{part}") }
    }
}

/// How often a drug is taken within `days` (每周一次 over 10 days is two).
pub fn administrations(frequency: &Frequency, days: u32) -> Option<u64> {
    if frequency.times == 0 || frequency.per_days == 0 || days == 0 {
        return None;
    }
    (u64::from(frequency.times) * u64::from(days))
        .checked_add(u64::from(frequency.per_days) - 1)?
        .checked_div(u64::from(frequency.per_days))
}

/// Packs needed for a course: `⌈⌈dose × times ÷ strength⌉ ÷ pack⌉`. `None` when the catalogue's figures make no sense.
pub fn packs_needed(drug: &Drug, dose: Decimal, frequency: &Frequency, days: u32) -> Option<u64> {
    let strength: Decimal = drug.dose_per_min_unit.parse().ok()?;
    if !strength.is_positive() || !dose.is_positive() || drug.pack_size == 0 {
        return None;
    }
    let total = i128::from(dose.0).checked_mul(i128::from(administrations(frequency, days)?))?;
    let units = ceil(total, i128::from(strength.0))?;
    u64::try_from(ceil(units, i128::from(drug.pack_size))?).ok()
}

fn ceil(a: i128, b: i128) -> Option<i128> {
    a.checked_add(b.checked_sub(1)?)?.checked_div(b)
}

/// Price of a western line.
pub fn western_amount(drug: &Drug, packs: u32) -> Option<Fen> {
    drug.price_fen.checked_times(i64::from(packs))
}

/// Grams and price of a herb over all doses. The price is exact per kilogram and rounded half up to a fen here, once for
/// the line, as the HIS does on its bill; the sum adds whole fen.
pub fn herbal_amount(herb: &Herb, grams_per_dose: u32, doses: u32) -> Option<(u32, Fen)> {
    let grams = grams_per_dose.checked_mul(doses)?;
    Some((grams, herb.price_fen_per_kg.amount(u64::from(grams))?))
}
