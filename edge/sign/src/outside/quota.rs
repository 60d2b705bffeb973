//! What was agreed with an outside server, and how much of it is used.
//!
//! A signature counts when it is asked for: the other end counts it, too, whether or not its answer arrives.

use records::Timestamp;
use serde::Serialize;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};
use utoipa::ToSchema;

use super::config::{Beyond, ContractConfig};
use crate::Refusal;
use crate::vault::UseRow;

/// Days are those of China.
const CHINA_HOURS: i8 = 8;

/// How near something is to what was agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Less than 80 %.
    Calm,
    /// 80 % or more.
    Near,
    /// 95 % or more.
    Close,
    /// All of it, or more.
    Full,
}

impl Level {
    /// Of `used` out of `agreed`.
    pub(super) fn of(used: u64, agreed: u64) -> Self {
        let (used, agreed) = (u128::from(used) * 100, u128::from(agreed));
        match used {
            used if used >= agreed * 100 => Self::Full,
            used if used >= agreed * 95 => Self::Close,
            used if used >= agreed * 80 => Self::Near,
            _ => Self::Calm,
        }
    }
}

/// A contract.
#[derive(Debug, Clone)]
pub(super) struct Contract {
    begins: Date,
    pub(super) signers: u64,
    pub(super) signatures: u64,
    pub(super) beyond: Beyond,
}

/// A year of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Year {
    pub(super) begins: Timestamp,
    pub(super) ends: Timestamp,
}

impl Contract {
    pub(super) fn read(server: &str, config: &ContractConfig) -> Result<Self, Refusal> {
        let mut parts = config.begins.splitn(3, '-').map(str::parse::<u16>);
        let mut next = || parts.next().and_then(Result::ok);
        let date = match (next(), next(), next()) {
            (Some(year), Some(month), Some(day)) => date(i32::from(year), month, day),
            _ => None,
        };
        let text = || {
            format!(
                "外部签名服务器 {server} 的合同：begins 应为 2026-11-01 形式的日期，signers 和 signatures 不能是 0。"
            )
        };
        let sound = config.signers > 0 && config.signatures > 0;
        Ok(Self {
            begins: date
                .filter(|_| sound)
                .ok_or_else(|| Refusal::no("outside_contract", text()))?,
            signers: config.signers,
            signatures: config.signatures,
            beyond: config.beyond,
        })
    }
}

fn date(year: i32, month: u16, day: u16) -> Option<Date> {
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()
}

/// The day's midnight in China.
fn midnight(day: Date) -> Timestamp {
    let offset = UtcOffset::from_hms(CHINA_HOURS, 0, 0).unwrap_or(UtcOffset::UTC);
    Timestamp::from_offset(PrimitiveDateTime::new(day, Time::MIDNIGHT).assume_offset(offset))
}

/// The year of the contract in which `now` lies; before it begins, its first; without one, the calendar's.
pub(super) fn year(contract: Option<&Contract>, now: Timestamp) -> Year {
    let offset = UtcOffset::from_hms(CHINA_HOURS, 0, 0).unwrap_or(UtcOffset::UTC);
    let today = OffsetDateTime::to_offset(now.offset(), offset).date();
    let first = contract.map(|contract| contract.begins);
    // The 29th of February begins on the 28th in other years.
    let on = |year: i32| match first {
        Some(first) => first
            .replace_year(year)
            .or_else(|_| first.replace_day(28).and_then(|day| day.replace_year(year)))
            .unwrap_or(first),
        None => Date::from_ordinal_date(year, 1).unwrap_or(today),
    };
    let mut begins = on(today.year());
    if begins > today {
        begins = on(today.year() - 1);
    }
    if let Some(first) = first {
        begins = begins.max(first);
    }
    Year {
        begins: midnight(begins),
        ends: midnight(on(begins.year() + 1)),
    }
}

/// How much is used of what was agreed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OutsideUse)]
pub struct Use {
    /// First moment of the year that is counted.
    #[schema(value_type = String, format = DateTime)]
    pub begins: Timestamp,
    /// First moment of the next one.
    #[schema(value_type = String, format = DateTime)]
    pub ends: Timestamp,
    /// Signatures asked for in it; this is what the contract counts.
    pub asked: u64,
    /// Came back and verified.
    pub made: u64,
    /// The server said no.
    pub refused: u64,
    /// What came back did not verify.
    pub wrong: u64,
    /// Asked for, and nobody knows what became of it: no answer, nonsense, or still under way.
    pub unknown: u64,
    /// Signers bound now.
    pub signers: u64,
    /// Signatures a year that were agreed; none without a contract.
    pub signatures_agreed: Option<u64>,
    /// Signers that were agreed; none without a contract.
    pub signers_agreed: Option<u64>,
    /// What becomes of more.
    pub beyond: Beyond,
    /// How near the signatures are to what was agreed.
    pub signatures_level: Level,
    /// How near the signers are.
    pub signers_level: Level,
}

impl Use {
    pub(super) fn of(contract: Option<&Contract>, year: Year, row: UseRow, signers: u64) -> Self {
        let level = |used, agreed: Option<u64>| agreed.map_or(Level::Calm, |agreed| Level::of(used, agreed));
        let signatures_agreed = contract.map(|contract| contract.signatures);
        let signers_agreed = contract.map(|contract| contract.signers);
        Self {
            begins: year.begins,
            ends: year.ends,
            asked: row.asked,
            made: row.made,
            refused: row.refused,
            wrong: row.wrong,
            unknown: row.asked.saturating_sub(row.made + row.refused + row.wrong),
            signers,
            signatures_agreed,
            signers_agreed,
            beyond: contract.map_or(Beyond::Allow, |contract| contract.beyond),
            signatures_level: level(row.asked, signatures_agreed),
            signers_level: level(signers, signers_agreed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(begins: &str) -> Contract {
        let config = ContractConfig {
            begins: begins.to_owned(),
            signers: 200,
            signatures: 40_000,
            beyond: Beyond::Refuse,
        };
        Contract::read("province", &config).expect("sound")
    }

    fn at(text: &str) -> Timestamp {
        let format = &time::format_description::well_known::Rfc3339;
        Timestamp::from_offset(OffsetDateTime::parse(text, format).expect("time"))
    }

    #[test]
    fn each_year_begins_on_the_contracts_day_at_chinese_midnight() {
        let november = contract("2025-11-20");
        let second = Year {
            begins: at("2026-11-20T00:00:00+08:00"),
            ends: at("2027-11-20T00:00:00+08:00"),
        };
        assert_eq!(year(Some(&november), at("2026-11-19T16:00:00Z")), second);
        assert_eq!(year(Some(&november), at("2027-11-19T15:59:59Z")), second);
        let before = year(Some(&november), at("2026-11-19T15:59:59Z"));
        assert_eq!(
            (before.begins, before.ends),
            (at("2025-11-20T00:00:00+08:00"), second.begins)
        );
        // Before it begins its first year is counted already.
        assert_eq!(year(Some(&november), at("2025-01-01T00:00:00Z")).begins, before.begins);
        let leap = year(Some(&contract("2028-02-29")), at("2030-03-01T00:00:00Z"));
        assert_eq!(
            (leap.begins, leap.ends),
            (at("2030-02-28T00:00:00+08:00"), at("2031-02-28T00:00:00+08:00"))
        );
        let none = year(None, at("2026-12-31T16:00:00Z"));
        assert_eq!(
            (none.begins, none.ends),
            (at("2027-01-01T00:00:00+08:00"), at("2028-01-01T00:00:00+08:00"))
        );
    }

    #[test]
    fn it_warns_at_80_and_95_percent_and_says_when_it_is_used_up() {
        let levels = [0, 31_999, 32_000, 37_999, 38_000, 39_999, 40_000, 50_000].map(|used| Level::of(used, 40_000));
        use Level::{Calm, Close, Full, Near};
        assert_eq!(levels, [Calm, Calm, Near, Near, Close, Close, Full, Full]);
        for bad in ["2026-13-01", "2026-02-30", "gestern", ""] {
            let config = ContractConfig {
                begins: bad.to_owned(),
                signers: 1,
                signatures: 1,
                beyond: Beyond::Refuse,
            };
            assert!(Contract::read("province", &config).is_err(), "{bad}");
        }
    }
}
