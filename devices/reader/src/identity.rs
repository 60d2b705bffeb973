//! Numbers of resident identity cards (公民身份号码, GB 11643-1999).

use std::fmt;

/// A number whose date and check character are right. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct IdNumber(String);

impl IdNumber {
    /// The 18 characters, for the one who has to ask with them.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdNumber(…)")
    }
}

/// The number in a text, when it is one: 17 digits, a real day of birth, the check character of ISO 7064 MOD 11-2.
pub fn valid(text: &str) -> Option<IdNumber> {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: &[u8; 11] = b"10X98765432";
    let text = text.trim().to_ascii_uppercase();
    let bytes = text.as_bytes();
    let (body, check) = (bytes.get(..17)?, bytes.get(17)?);
    if bytes.len() != 18 || !body.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
    let (year, month, day) = (number(6..10)?, number(10..12)?, number(12..14)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if year < 1800 || !(1..=days).contains(&day) {
        return None;
    }
    let sum: u32 = body.iter().zip(WEIGHTS).map(|(b, w)| u32::from(b - b'0') * w).sum();
    let wanted = CHECKS.get(usize::try_from(sum % 11).ok()?)?;
    (wanted == check).then_some(IdNumber(text))
}

#[cfg(test)]
mod tests {
    use super::valid;

    #[test]
    fn the_examples_of_the_standard_are_numbers_and_their_neighbours_are_not() {
        for good in ["11010519491231002X", "440524188001010014", " 11010519491231002x "] {
            assert!(valid(good).is_some(), "{good}");
        }
        for bad in [
            "110105194912310021",
            "11010519491331002X",
            "110105194902300025",
            "11010519491231002",
            "心",
            "11010519491231002XX",
        ] {
            assert!(valid(bad).is_none(), "{bad}");
        }
        assert!(!format!("{:?}", valid("11010519491231002X")).contains("1949"));
    }
}
