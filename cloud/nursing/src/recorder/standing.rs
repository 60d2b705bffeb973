//! Where a recorder is expected and whether somebody should look for it: overdue (超期未还), missing (久未入坞).

use std::time::Duration;

use base::settings::Setting;
use records::Timestamp;
use serde::{Deserialize, Serialize};

use super::State;

/// How long recorders may be away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecorderSettings {
    /// An issue that has not come back after this many hours is overdue: a long shift with its way home.
    pub overdue_hours: u32,
    /// A recorder on the white list that was in no dock for this many hours is missing.
    pub missing_hours: u32,
}

impl Default for RecorderSettings {
    fn default() -> Self {
        Self {
            overdue_hours: 12,
            missing_hours: 24,
        }
    }
}

impl Setting for RecorderSettings {
    const NAME: &'static str = "nursing.recorders";

    fn check(&self) -> Result<(), String> {
        for (field, hours) in [
            ("overdue_hours", self.overdue_hours),
            ("missing_hours", self.missing_hours),
        ] {
            if !(1..=720).contains(&hours) {
                let label = Self::label(field).unwrap_or(field);
                return Err(format!("“{label}”应在1到720之间"));
            }
        }
        Ok(())
    }

    fn label(field: &str) -> Option<&'static str> {
        match field {
            "overdue_hours" => Some("发放后应归还（小时）"),
            "missing_hours" => Some("未入坞报警（小时）"),
            _ => None,
        }
    }
}

/// What is known of one recorder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) state: State,
    pub(crate) listed: bool,
    /// It stands in a bay now.
    pub(crate) docked: bool,
    /// When anybody last had to do with it: taken in, issued, returned, left its bay.
    pub(crate) seen_at: Timestamp,
    /// When it was given out, if somebody has it.
    pub(crate) issued_at: Option<Timestamp>,
}

/// Where it is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// In a bay.
    Docked,
    /// With a nurse, in time.
    Out,
    /// With a nurse, too long.
    Overdue { hours: u64 },
    /// Neither in a bay nor with anybody, not for long.
    Away,
    /// In no bay for longer than allowed.
    Missing { hours: u64 },
    /// Retired or off the white list: nobody waits for it.
    Unwanted,
}

impl Standing {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Docked => "docked",
            Self::Out => "out",
            Self::Overdue { .. } => "overdue",
            Self::Away => "away",
            Self::Missing { .. } => "missing",
            Self::Unwanted => "unwanted",
        }
    }

    /// For people.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Docked => "在坞".to_owned(),
            Self::Out => "外出使用".to_owned(),
            Self::Overdue { hours } => format!("发放已{hours}小时未归还"),
            Self::Away => "未入坞".to_owned(),
            Self::Missing { hours } => format!("已{hours}小时未入坞"),
            Self::Unwanted => "不采集".to_owned(),
        }
    }
}

/// Where a recorder is expected now. Missing is worse than overdue: a recorder handed on without the dock stays visible.
pub(crate) fn standing(known: Known, now: Timestamp, limits: RecorderSettings) -> Standing {
    let wanted = known.listed && matches!(known.state, State::Stock | State::Issued);
    if known.docked {
        return Standing::Docked;
    }
    if !wanted {
        return Standing::Unwanted;
    }
    let away = now.since(known.seen_at);
    if away > hours(limits.missing_hours) {
        return Standing::Missing {
            hours: away.as_secs() / 3600,
        };
    }
    match known.issued_at.map(|at| now.since(at)) {
        Some(out) if out > hours(limits.overdue_hours) => Standing::Overdue {
            hours: out.as_secs() / 3600,
        },
        Some(_) => Standing::Out,
        None => Standing::Away,
    }
}

/// Whether an issue should have ended.
pub(crate) fn overdue(issued_at: Timestamp, now: Timestamp, limits: RecorderSettings) -> bool {
    now.since(issued_at) > hours(limits.overdue_hours)
}

fn hours(count: u32) -> Duration {
    Duration::from_secs(u64::from(count) * 3600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorder_is_overdue_by_its_issue_and_missing_by_its_dock_and_neither_when_nobody_waits_for_it() {
        let now = Timestamp::from_seconds(1_000_000_000);
        let ago = |hours: u64| now.minus(Duration::from_secs(hours * 3600 + 1));
        let limits = RecorderSettings {
            overdue_hours: 12,
            missing_hours: 24,
        };
        let stock = Known {
            state: State::Stock,
            listed: true,
            docked: false,
            seen_at: ago(1),
            issued_at: None,
        };
        let issued = |at: u64| Known {
            state: State::Issued,
            seen_at: ago(at),
            issued_at: Some(ago(at)),
            ..stock
        };
        let cases = [
            (stock, "away"),
            (
                Known {
                    seen_at: ago(26),
                    ..stock
                },
                "missing",
            ),
            (
                Known {
                    docked: true,
                    seen_at: ago(2600),
                    ..stock
                },
                "docked",
            ),
            (issued(3), "out"),
            (issued(12), "overdue"),
            (issued(26), "missing"),
            (
                Known {
                    seen_at: ago(26),
                    listed: false,
                    ..stock
                },
                "unwanted",
            ),
            (
                Known {
                    seen_at: ago(26),
                    state: State::Retired,
                    ..stock
                },
                "unwanted",
            ),
            // The clock went back: nothing is missing from the future.
            (
                Known {
                    seen_at: now.plus(Duration::from_secs(9_999_999)),
                    ..stock
                },
                "away",
            ),
        ];
        for (known, word) in cases {
            assert_eq!(standing(known, now, limits).as_str(), word, "{known:?}");
        }
        assert_eq!(standing(issued(26), now, limits).text(), "已26小时未入坞");
        // To the second: a limit that is reached is not passed.
        let at = now.minus(Duration::from_secs(12 * 3600));
        assert!(!overdue(at, now, limits));
        assert!(overdue(at.minus(Duration::from_micros(1)), now, limits));
    }

    #[test]
    fn settings_that_would_silence_or_flood_the_alarm_are_refused() {
        assert_eq!(RecorderSettings::default().check(), Ok(()));
        for (overdue_hours, missing_hours) in [(0, 24), (12, 0), (12, 721)] {
            let settings = RecorderSettings {
                overdue_hours,
                missing_hours,
            };
            assert!(settings.check().unwrap_err().contains("应在1到720之间"));
        }
    }
}
