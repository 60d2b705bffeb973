//! GB 11643 resident identity numbers.

/// What an identity number says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct IdNumber {
    /// `1961-11-21`
    pub(crate) birth: String,
    /// `M` or `F`
    pub(crate) sex: &'static str,
}

/// Reads an 18-digit number; nothing when the check digit or the date is wrong.
pub(crate) fn read(number: &str) -> Option<IdNumber> {
    let (body, check) = (number.get(..17)?, number.get(17..)?);
    if !body.bytes().all(|b| b.is_ascii_digit()) || check != check_digit(body)?.to_string() {
        return None;
    }
    let (year, month, day) = (body.get(6..10)?, body.get(10..12)?, body.get(12..14)?);
    let (m, d): (u8, u8) = (month.parse().ok()?, day.parse().ok()?);
    let month_name = time::Month::try_from(m).ok()?;
    time::Date::from_calendar_date(year.parse().ok()?, month_name, d).ok()?;
    let odd = body.get(16..17)?.parse::<u8>().ok()? % 2 == 1;
    Some(IdNumber {
        birth: format!("{year}-{month}-{day}"),
        sex: if odd { "M" } else { "F" },
    })
}

/// The check character of the first 17 digits (ISO 7064 MOD 11-2).
pub(crate) fn check_digit(body: &str) -> Option<char> {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let mut sum = 0;
    for (digit, weight) in body.chars().zip(WEIGHTS) {
        sum += digit.to_digit(10)? * weight;
    }
    "10X98765432".chars().nth(usize::try_from(sum % 11).ok()?)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn the_standards_own_examples_read() {
        // The two examples printed in GB 11643-1999.
        assert_eq!(read("11010519491231002X").unwrap().birth, "1949-12-31");
        assert_eq!(read("440524188001010014").unwrap().sex, "M");
        assert_eq!(read("110105194912310021"), None);
        assert_eq!(read("11010519491331002X"), None);
        assert_eq!(read("心"), None);
    }
}
