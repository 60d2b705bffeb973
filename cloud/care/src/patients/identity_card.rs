//! The resident identity card number (公民身份号码, GB 11643): 6 digits of place, 8 of birth, 3 of order (odd: male),
//! and a check character by ISO 7064 MOD 11-2.

use records::LocalDate;
use time::{Date, Month};

/// A number that obeys the standard.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityCard {
    number: String,
    birth: LocalDate,
    male: bool,
}

impl std::fmt::Debug for IdentityCard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdentityCard(…)")
    }
}

/// What is wrong with a number, for the person who typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardFault {
    /// Not 18 characters.
    #[error("身份证号应为18位")]
    Length,
    /// Other characters than digits (and X at the end).
    #[error("身份证号只能是数字，最后一位可以是X")]
    Characters,
    /// No such day.
    #[error("身份证号中的出生日期不正确")]
    Birth,
    /// The check character does not fit.
    #[error("身份证号校验不通过，请核对是否输入有误")]
    Check,
}

const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS: &[u8; 11] = b"10X98765432";

impl IdentityCard {
    /// Reads a number as typed: blanks around are ignored, a small `x` is taken.
    ///
    /// # Errors
    /// With the first thing that is wrong. A birth after `today` is wrong.
    pub fn parse(text: &str, today: LocalDate) -> Result<Self, CardFault> {
        let number = text.trim().to_ascii_uppercase();
        if number.chars().count() != 18 {
            return Err(CardFault::Length);
        }
        let (body, check) = number.split_at_checked(17).ok_or(CardFault::Characters)?;
        if !body.bytes().all(|b| b.is_ascii_digit()) || !check.bytes().all(|b| b.is_ascii_digit() || b == b'X') {
            return Err(CardFault::Characters);
        }
        let birth = birth(body).ok_or(CardFault::Birth)?;
        if birth > today || today.days_since(birth) > 366 * 150 {
            return Err(CardFault::Birth);
        }
        let sum: u32 = body
            .bytes()
            .zip(WEIGHTS)
            .map(|(digit, weight)| u32::from(digit - b'0') * weight)
            .sum();
        let expected = usize::try_from(sum % 11).ok().and_then(|at| CHECKS.get(at));
        if expected != check.as_bytes().first() {
            return Err(CardFault::Check);
        }
        let male = body.bytes().last().is_some_and(|digit| digit % 2 == 1);
        Ok(Self { number, birth, male })
    }

    /// The 18 characters, `X` large.
    pub fn number(&self) -> &str {
        &self.number
    }

    /// Day of birth.
    pub const fn birth(&self) -> LocalDate {
        self.birth
    }

    /// `M` or `F`.
    pub const fn sex(&self) -> &'static str {
        if self.male { "M" } else { "F" }
    }
}

fn birth(body: &str) -> Option<LocalDate> {
    let year: i32 = body.get(6..10)?.parse().ok()?;
    let month: u8 = body.get(10..12)?.parse().ok()?;
    let day: u8 = body.get(12..14)?.parse().ok()?;
    let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
    Some(LocalDate::new(date))
}

/// Whole years of age on a day.
pub fn years_old(birth: LocalDate, on: LocalDate) -> i32 {
    let (b, d) = (birth.date(), on.date());
    let before_birthday = (u8::from(d.month()), d.day()) < (u8::from(b.month()), b.day());
    d.year() - b.year() - i32::from(before_birthday)
}

/// Age as a prescription writes it: years, months for the first two years, days for the first month.
pub fn age_text(birth: LocalDate, on: LocalDate) -> String {
    let years = years_old(birth, on);
    if years >= 2 {
        return format!("{years}岁");
    }
    let days = on.days_since(birth).max(0);
    if days < 31 {
        return format!("{days}天");
    }
    let (b, d) = (birth.date(), on.date());
    let months = (d.year() - b.year()) * 12 + i32::from(u8::from(d.month()))
        - i32::from(u8::from(b.month()))
        - i32::from(d.day() < b.day());
    format!("{}个月", months.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> LocalDate {
        LocalDate::parse(text).unwrap()
    }

    fn read(text: &str) -> Result<IdentityCard, CardFault> {
        IdentityCard::parse(text, day("2026-11-21"))
    }

    /// The examples of GB 11643-1999, appendix.
    #[test]
    fn the_standards_own_examples_are_accepted_with_birth_and_sex() {
        let card = read("11010519491231002X").unwrap();
        assert_eq!((card.birth(), card.sex()), (day("1949-12-31"), "F"));
        let card = read(" 440524188001010014 ").unwrap();
        assert_eq!((card.birth(), card.sex()), (day("1880-01-01"), "M"));
        assert_eq!(
            IdentityCard::parse("440524188001010014", day("2036-01-01")),
            Err(CardFault::Birth),
            "nobody is that old"
        );
        assert_eq!(read("11010519491231002x").unwrap().number(), "11010519491231002X");
    }

    #[test]
    fn each_mistake_is_named_in_plain_words() {
        let told = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(told("1101051949123100"), "身份证号应为18位");
        assert_eq!(told("1101051949123100２X"), "身份证号只能是数字，最后一位可以是X");
        assert_eq!(told("11010519490230002X"), "身份证号中的出生日期不正确");
        assert_eq!(told("110105202701010022"), "身份证号中的出生日期不正确");
        assert_eq!(told("110105194912310021"), "身份证号校验不通过，请核对是否输入有误");
    }

    #[test]
    fn age_is_written_in_years_months_or_days() {
        let on = day("2026-11-21");
        assert_eq!(age_text(day("1983-11-22"), on), "42岁");
        assert_eq!(age_text(day("1983-11-21"), on), "43岁");
        assert_eq!(age_text(day("2026-06-10"), on), "5个月");
        assert_eq!(age_text(day("2026-11-19"), on), "2天");
    }

    proptest! {
        #[test]
        fn one_changed_digit_never_passes(place in 0usize..17, by in 1u8..10) {
            let mut number = "11010519491231002X".as_bytes().to_vec();
            number[place] = b'0' + (number[place] - b'0' + by) % 10;
            prop_assert!(read(std::str::from_utf8(&number).unwrap()).is_err());
        }

        #[test]
        fn no_text_breaks_the_reader(text in ".{0,40}") {
            let _ = read(&text);
        }
    }
}
