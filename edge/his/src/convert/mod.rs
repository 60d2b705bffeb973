//! Single values between canonical and wire form: money units, dates, times of day, flags.

use records::{LocalDate, Timestamp};
use time::format_description::{self, BorrowedFormatItem};
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

/// Which way a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Canonical to wire.
    Out,
    /// Wire to canonical.
    In,
}

/// Form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Convert {
    /// As it is.
    #[default]
    Text,
    /// Upper case.
    Upper,
    /// Digits only.
    Digits,
    /// Fen ↔ the hospital's money unit.
    Money,
    /// Whole number.
    Int,
    /// 1/0, true/false, Y/N.
    Bool,
    /// Day in the hospital's pattern.
    Date,
    /// Day as `YYYYMMDD`.
    Date8,
    /// Instant in the hospital's pattern and zone.
    Moment,
    /// Instant as `YYYYMMDDHHMMSS`.
    Moment14,
    /// Time of day as `HH:MM`.
    Clock,
    /// Times of a decimal number of times per day (0.5 → 1).
    Times,
    /// Days of a decimal number of times per day (0.5 → 2).
    PerDays,
    /// Price of a gram in the hospital's money unit → fen per kilogram, exactly; a finer price is a misfit.
    PerGram,
}

/// Money unit of a hospital's wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoneyUnit {
    /// Fen, whole.
    #[default]
    Fen,
    /// Yuan with up to two decimals.
    Yuan,
}

/// The hospital's habits of writing.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Habits {
    /// Money unit.
    #[serde(default)]
    pub money: MoneyUnit,
    /// Pattern of a day, in the notation of the `time` crate.
    #[serde(default = "day_pattern")]
    pub date: String,
    /// Pattern of an instant.
    #[serde(default = "moment_pattern")]
    pub moment: String,
    /// Hours east of UTC.
    #[serde(default = "china")]
    pub utc_offset_hours: i8,
}

fn day_pattern() -> String {
    "[year]-[month]-[day]".to_owned()
}
fn moment_pattern() -> String {
    "[year]-[month]-[day] [hour]:[minute]:[second]".to_owned()
}
const fn china() -> i8 {
    8
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            money: MoneyUnit::Fen,
            date: day_pattern(),
            moment: moment_pattern(),
            utc_offset_hours: china(),
        }
    }
}

/// A converted value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Converted {
    /// Text.
    Text(String),
    /// Whole number.
    Number(i64),
    /// Flag.
    Bool(bool),
}

/// A value that does not have the form it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{form:?} expected")]
pub struct Misfit {
    /// What was expected.
    pub form: Convert,
}

impl Habits {
    fn zone(&self) -> UtcOffset {
        UtcOffset::from_hms(self.utc_offset_hours, 0, 0).unwrap_or(UtcOffset::UTC)
    }

    /// Converts one value.
    ///
    /// # Errors
    /// [`Misfit`] when the text does not have the form.
    pub fn convert(&self, text: &str, form: Convert, way: Direction) -> Result<Converted, Misfit> {
        let text = text.trim();
        let misfit = || Misfit { form };
        let words = |t: String| Ok(Converted::Text(t));
        match (form, way) {
            (Convert::Text, _) => words(text.to_owned()),
            (Convert::Upper, _) => words(text.to_uppercase()),
            (Convert::Digits, _) => words(text.chars().filter(char::is_ascii_digit).collect()),
            (Convert::Money, Direction::In) => self.money_in(text).map(Converted::Number).ok_or_else(misfit),
            (Convert::Money, Direction::Out) => self.money_out(text).map(Converted::Text).ok_or_else(misfit),
            (Convert::Int, _) => text.parse().map(Converted::Number).map_err(|_| misfit()),
            (Convert::Bool, Direction::In) => flag(text).map(Converted::Bool).ok_or_else(misfit),
            (Convert::Bool, Direction::Out) => flag(text).map(|b| Converted::Number(b.into())).ok_or_else(misfit),
            (Convert::Date | Convert::Date8, Direction::In) => {
                self.day_in(text, form).ok_or_else(misfit).and_then(words)
            }
            (Convert::Date | Convert::Date8, Direction::Out) => {
                self.day_out(text, form).ok_or_else(misfit).and_then(words)
            }
            (Convert::Moment | Convert::Moment14, Direction::In) => self
                .moment_in(text, form)
                .map(|t| t.to_string())
                .ok_or_else(misfit)
                .and_then(words),
            (Convert::Moment | Convert::Moment14, Direction::Out) => self
                .moment_out(Timestamp::parse(text).map_err(|_| misfit())?, form)
                .ok_or_else(misfit)
                .and_then(words),
            (Convert::Clock, _) => clock(text).ok_or_else(misfit).and_then(words),
            (Convert::Times, _) => rate(text).map(|r| Converted::Number(r.0)).ok_or_else(misfit),
            (Convert::PerDays, _) => rate(text).map(|r| Converted::Number(r.1)).ok_or_else(misfit),
            (Convert::PerGram, _) => self.per_gram(text).map(Converted::Number).ok_or_else(misfit),
        }
    }

    fn money_in(&self, text: &str) -> Option<i64> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
        let (whole, fraction) = decimal(digits)?;
        let fraction = fraction.trim_end_matches('0');
        let fen = match self.money {
            MoneyUnit::Fen if fraction.is_empty() => whole,
            MoneyUnit::Yuan if fraction.len() <= 2 => whole
                .checked_mul(100)?
                .checked_add(format!("{fraction:0<2}").parse().ok()?)?,
            _ => return None,
        };
        Some(if negative { -fen } else { fen })
    }

    /// Fen per kilogram has three places of a fen per gram, five of a yuan.
    fn per_gram(&self, text: &str) -> Option<i64> {
        let (whole, fraction) = decimal(text)?;
        let fraction = fraction.trim_end_matches('0');
        let (places, scale) = match self.money {
            MoneyUnit::Fen => (3, 1_000),
            MoneyUnit::Yuan => (5, 100_000),
        };
        if fraction.len() > places {
            return None;
        }
        whole
            .checked_mul(scale)?
            .checked_add(format!("{fraction:0<places$}").parse().ok()?)
    }

    fn money_out(&self, text: &str) -> Option<String> {
        let fen: i64 = text.parse().ok()?;
        Some(match self.money {
            MoneyUnit::Fen => fen.to_string(),
            MoneyUnit::Yuan => records::Fen(fen).to_string(),
        })
    }

    fn day_in(&self, text: &str, form: Convert) -> Option<String> {
        let pattern = if form == Convert::Date8 {
            "[year][month][day]"
        } else {
            self.date.as_str()
        };
        let items = pattern_of(pattern)?;
        // Many systems write midnight after the day.
        let text = text.split([' ', 'T']).next().unwrap_or_default();
        let text = if form == Convert::Date8 { text.get(..8)? } else { text };
        time::Date::parse(text, &items)
            .ok()
            .map(|d| LocalDate::new(d).to_string())
    }

    fn day_out(&self, text: &str, form: Convert) -> Option<String> {
        let pattern = if form == Convert::Date8 {
            "[year][month][day]"
        } else {
            self.date.as_str()
        };
        // An instant is written as its day in the hospital.
        let day = match LocalDate::parse(text) {
            Ok(day) => day.date(),
            Err(_) => Timestamp::parse(text).ok()?.offset().to_offset(self.zone()).date(),
        };
        day.format(&pattern_of(pattern)?).ok()
    }

    fn moment_in(&self, text: &str, form: Convert) -> Option<Timestamp> {
        let text = text.split('.').next().unwrap_or_default();
        let text = if form == Convert::Moment14 {
            format!("{:0<14}", text.get(..14).unwrap_or(text))
        } else {
            text.to_owned()
        };
        let pattern = if form == Convert::Moment14 {
            MOMENT14
        } else {
            self.moment.as_str()
        };
        let local = match PrimitiveDateTime::parse(&text, &pattern_of(pattern)?) {
            Ok(t) => t,
            Err(_) => time::Date::parse(&text, &pattern_of(&self.date)?).ok()?.midnight(),
        };
        Some(Timestamp::from_offset(local.assume_offset(self.zone())))
    }

    fn moment_out(&self, at: Timestamp, form: Convert) -> Option<String> {
        let pattern = if form == Convert::Moment14 {
            MOMENT14
        } else {
            self.moment.as_str()
        };
        let local: OffsetDateTime = at.offset().to_offset(self.zone());
        local.format(&pattern_of(pattern)?).ok()
    }
}

const MOMENT14: &str = "[year][month][day][hour][minute][second]";

pub(crate) fn pattern_of(pattern: &str) -> Option<Vec<BorrowedFormatItem<'_>>> {
    format_description::parse_borrowed::<2>(pattern).ok()
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "true" | "True" | "Y" | "y" | "是" => Some(true),
        "0" | "false" | "False" | "N" | "n" | "否" => Some(false),
        _ => None,
    }
}

/// `08:30`, `8:30`, `08:30:00` or `202611230830` (the last four digits of a compact moment) as `08:30`.
fn clock(text: &str) -> Option<String> {
    let text = text.rsplit(' ').next().unwrap_or_default();
    let (h, m) = match text.split_once(':') {
        Some((h, rest)) => (h.parse::<u8>().ok()?, rest.get(..2)?.parse::<u8>().ok()?),
        None => (text.get(8..10)?.parse().ok()?, text.get(10..12)?.parse().ok()?),
    };
    (h < 24 && m < 60).then(|| format!("{h:02}:{m:02}"))
}

fn decimal(text: &str) -> Option<(i64, &str)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) || fraction.len() > 12 {
        return None;
    }
    Some((if whole.is_empty() { 0 } else { whole.parse().ok()? }, fraction))
}

/// A decimal number of times per day as times in days: `2` → 2 in 1, `0.5` → 1 in 2, `0.1429` → 1 in 7.
fn rate(text: &str) -> Option<(i64, i64)> {
    let (whole, fraction) = decimal(text)?;
    let fraction = fraction.get(..fraction.len().min(6)).unwrap_or_default();
    let scaled = whole.checked_mul(1_000_000)? + format!("{fraction:0<6}").parse::<i64>().ok()?;
    (scaled > 0).then_some(())?;
    (1..=31).find_map(|days| {
        let total = scaled * days;
        let times = (total + 500_000) / 1_000_000;
        (times > 0 && (total - times * 1_000_000).abs() <= 5_000 * days).then_some((times, days))
    })
}

#[cfg(test)]
mod tests;
