//! Time is explicit: a [`Clock`] is handed in, so that a test can move it.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// An instant in UTC with microsecond precision; RFC 3339 text on the wire, integer microseconds in a database.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// China standard time, the zone in which the law counts days.
const CHINA: UtcOffset = match UtcOffset::from_hms(8, 0, 0) {
    Ok(offset) => offset,
    Err(_) => UtcOffset::UTC,
};

/// The first and the last instant that have a text: RFC 3339 writes years with four digits, and the last day is left out so
/// that it can be told in any zone. A device may name any other; it is shown as the nearest of these.
const TOLD: (i64, i64) = (-62_135_596_800_000_000, 253_402_214_400_000_000);

impl Timestamp {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// From whole seconds since the Unix epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// This instant moved forward.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This instant moved back.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Time from `earlier` to this instant; zero when it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The calendar day in China (UTC+8) that contains this instant.
    pub fn local_date(self) -> LocalDate {
        LocalDate(self.offset().to_offset(CHINA).date())
    }

    /// `2026-11-21 15:04:05` in China standard time, for people.
    pub fn local_text(self) -> String {
        let t = self.offset().to_offset(CHINA);
        format!(
            "{} {:02}:{:02}:{:02}",
            LocalDate(t.date()),
            t.hour(),
            t.minute(),
            t.second()
        )
    }

    /// As a calendar instant in UTC, in the years 1 to 9999.
    pub fn offset(self) -> OffsetDateTime {
        let told = self.0.clamp(TOLD.0, TOLD.1);
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(told) * 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// From a calendar instant, truncated to microseconds.
    pub fn from_offset(t: OffsetDateTime) -> Self {
        Self(i64::try_from(t.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX))
    }

    /// Reads RFC 3339.
    ///
    /// # Errors
    /// When the text is not RFC 3339.
    pub fn parse(text: &str) -> Result<Self, time::error::Parse> {
        OffsetDateTime::parse(text, &Rfc3339).map(Self::from_offset)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.offset().format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A calendar day where the law means a day (UTC+8); `YYYY-MM-DD` on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalDate(time::Date);

impl LocalDate {
    /// Reads `YYYY-MM-DD`.
    ///
    /// # Errors
    /// When the text is not such a day.
    pub fn parse(text: &str) -> Result<Self, time::error::Parse> {
        time::Date::parse(text, time::macros::format_description!("[year]-[month]-[day]")).map(Self)
    }

    /// From a calendar date.
    pub const fn new(date: time::Date) -> Self {
        Self(date)
    }

    /// The calendar date.
    pub const fn date(self) -> time::Date {
        self.0
    }

    /// This day moved by whole days.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        Self(self.0.saturating_add(time::Duration::days(days)))
    }

    /// Whole days from `earlier` to this day (negative when before).
    pub fn days_since(self, earlier: Self) -> i64 {
        (self.0 - earlier.0).whole_days()
    }

    /// Midnight in China at the beginning of this day.
    pub fn start(self) -> Timestamp {
        Timestamp::from_offset(self.0.midnight().assume_offset(CHINA))
    }

    /// The instant of a wall-clock time `HH:MM` in China on this day, if the text is one.
    pub fn at(self, hh_mm: &str) -> Option<Timestamp> {
        let (h, m) = hh_mm.split_once(':')?;
        let t = time::Time::from_hms(h.parse().ok()?, m.get(..2)?.parse().ok()?, 0).ok()?;
        Some(Timestamp::from_offset(self.0.with_time(t).assume_offset(CHINA)))
    }
}

impl fmt::Display for LocalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04}-{:02}-{:02}",
            self.0.year(),
            u8::from(self.0.month()),
            self.0.day()
        )
    }
}

impl fmt::Debug for LocalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for LocalDate {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LocalDate {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_offset(OffsetDateTime::now_utc())
    }
}

/// A clock that moves only when told to; for tests and simulations.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Stands at `at`.
    pub const fn new(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.as_micros()))
    }

    /// Moves forward.
    pub fn advance(&self, by: Duration) {
        self.0
            .fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Jumps to an instant, also backwards.
    pub fn set(&self, to: Timestamp) {
        self.0.store(to.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A recorder's clock may stand anywhere: whatever it says can be written, read again and told to people.
    #[test]
    fn every_instant_has_a_text_also_those_no_calendar_has() {
        let years = [-9_999i64, -1, 0, 1, 1900, 2026, 9_998, 9_999, 10_000, 290_000];
        let far = years.map(|year| (year - 1970).saturating_mul(31_556_952_000_000));
        for micros in far.into_iter().chain([i64::MIN, i64::MAX, TOLD.0, TOLD.1, 0]) {
            let at = Timestamp::from_micros(micros);
            let json = serde_json::to_string(&at).unwrap();
            let read: Timestamp = serde_json::from_str(&json).unwrap();
            assert_eq!(read.as_micros(), micros.clamp(TOLD.0, TOLD.1), "{json}");
            assert_eq!(serde_json::to_value(at).unwrap(), at.to_string());
            assert_eq!(at.local_text().len(), 19, "{at}");
            assert!(at.local_date().start() <= at || micros < TOLD.0);
        }
    }

    #[test]
    fn a_chinese_day_begins_eight_hours_before_utc() {
        let t = Timestamp::parse("2026-11-20T16:00:00Z").unwrap();
        assert_eq!(t.local_date().to_string(), "2026-11-21");
        assert_eq!(t.local_date().start(), t);
        assert_eq!(t.local_date().at("08:30").unwrap().to_string(), "2026-11-21T00:30:00Z");
        assert_eq!(t.local_text(), "2026-11-21 00:00:00");
    }
}
