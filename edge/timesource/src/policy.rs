//! How the time is kept: sources, schedule, bounds.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use records::{LocalDate, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::nts::tls;

/// Where NTP servers listen.
pub(crate) const NTP_PORT: u16 = 123;
/// Where key exchanges of NTS listen.
const NTS_PORT: u16 = 4460;

const SOURCES: usize = 16;
const DAY_S: u32 = 86_400;

/// How the time is kept (校时策略).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = TimePolicy)]
pub struct Policy {
    /// Whether sources are asked at all (时间源同步开关). Off, the machine's clock is believed as it is: somebody
    /// decided so, and the status says so.
    pub enabled: bool,
    /// Who is asked (时间源).
    pub sources: Vec<Source>,
    /// When they are asked.
    pub schedule: Schedule,
    /// Questions to each source per poll; the answer with the shortest way counts.
    pub samples: u8,
    /// The machine's clock may be corrected by this much; a greater offset is refused as a lie or a broken clock.
    pub largest_offset_ms: u32,
    /// The largest possible error of the corrected time with which it is still believed.
    pub untrusted_beyond_ms: u32,
    /// How long a measurement is built upon while no new one succeeds.
    pub good_for_s: u32,
    /// How many sources must agree at least.
    pub fewest_agreeing: u8,
    /// Certificates (PEM) that may vouch for servers of NTS, instead of the machine's own list.
    pub nts_ca_pem: Option<String>,
}

/// A time server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TimeSource)]
pub struct Source {
    /// Name or address, IPv4 or IPv6 (without brackets).
    pub host: String,
    /// 123 when absent; with NTS the port of the key exchange, 4460 when absent.
    #[serde(default)]
    pub port: Option<u16>,
    /// Whether answers must be protected by NTS (RFC 8915).
    #[serde(default)]
    pub nts: bool,
}

/// When sources are asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Again and again.
    Every {
        /// Time from one poll to the next.
        seconds: u32,
    },
    /// At these times of the day in China, `HH:MM`; and at every start.
    Daily {
        /// In any order.
        at: Vec<String>,
    },
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            enabled: false,
            sources: Vec::new(),
            schedule: Schedule::Every { seconds: 300 },
            samples: 4,
            largest_offset_ms: 60_000,
            untrusted_beyond_ms: 5_000,
            good_for_s: DAY_S,
            fewest_agreeing: 1,
            nts_ca_pem: None,
        }
    }
}

/// What is wrong with a policy, per field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error, ToSchema)]
#[error("{text}")]
pub struct PolicyFault {
    /// As in the JSON, e.g. `sources[1].host`.
    pub field: String,
    /// For the administrator.
    pub text: String,
}

impl Source {
    /// The port asked first.
    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(if self.nts { NTS_PORT } else { NTP_PORT })
    }

    fn fault(&self) -> Option<&'static str> {
        let host = self.host.as_str();
        let bare = host.split_once('%').map_or(host, |(address, _)| address);
        let zoned = bare.len() != host.len();
        if host.is_empty() {
            return Some("请填写时间源地址");
        }
        if host.contains("://") || host.contains('/') {
            return Some("请只填写域名或 IP 地址，不要带协议或路径");
        }
        if host.starts_with('[') {
            return Some("IPv6 地址不要带方括号，端口请单独填写");
        }
        if bare.parse::<Ipv6Addr>().is_ok() || (!zoned && host.parse::<IpAddr>().is_ok()) {
            return None;
        }
        if host.contains(':') {
            return Some("端口请单独填写");
        }
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let digits = host.chars().all(|c| c.is_ascii_digit() || c == '.');
        let sound = host.len() <= 253 && !digits && host.trim_end_matches('.').split('.').all(label);
        (!sound).then_some("不是有效的域名或 IP 地址")
    }
}

impl Schedule {
    /// The longest time between two polls.
    pub(crate) fn longest(&self) -> Duration {
        let seconds = match self {
            Self::Every { seconds } => *seconds,
            Self::Daily { .. } => DAY_S,
        };
        Duration::from_secs(seconds.into())
    }

    /// How long from `now` to the next poll. `chance` spreads it, so that appliances switched on together do not ask
    /// together: up to a tenth earlier or later, or up to a minute after the time of the day.
    pub(crate) fn wait(&self, now: Timestamp, chance: u32) -> Duration {
        let share = f64::from(chance) / f64::from(u32::MAX);
        match self {
            Self::Every { .. } => self.longest().mul_f64(share.mul_add(0.2, 0.9)),
            Self::Daily { at } => {
                let today = now.local_date();
                let next = [0, 1]
                    .into_iter()
                    .flat_map(|days| at.iter().filter_map(move |time| today.plus_days(days).at(time)))
                    .filter(|instant| *instant > now)
                    .min();
                next.map_or_else(|| self.longest(), |next| next.since(now)) + Duration::from_secs(60).mul_f64(share)
            }
        }
    }

    fn faults(&self) -> Option<&'static str> {
        match self {
            Self::Every { seconds: 16..=DAY_S } => None,
            Self::Every { .. } => Some("校时间隔应在 16 秒到 86400 秒（一天）之间"),
            Self::Daily { at } if at.is_empty() || at.len() > 24 => Some("请设置 1 到 24 个每日校时时刻"),
            Self::Daily { at } => {
                let day = LocalDate::parse("2026-01-01").ok()?;
                let sound = |time: &String| time.len() == 5 && day.at(time).is_some();
                (!at.iter().all(sound)).then_some("每日校时时刻应写作 HH:MM，例如 03:30")
            }
        }
    }
}

impl Policy {
    /// Everything that is wrong, in the order of the form.
    ///
    /// # Errors
    /// When at least one field cannot be accepted.
    pub fn check(&self) -> Result<(), Vec<PolicyFault>> {
        let mut faults = Vec::new();
        let mut fault = |field: String, text: String| faults.push(PolicyFault { field, text });
        if self.enabled && self.sources.is_empty() {
            fault("sources".to_owned(), "开启时间同步前，请至少配置一个时间源".to_owned());
        }
        if self.sources.len() > SOURCES {
            fault("sources".to_owned(), format!("时间源最多 {SOURCES} 个"));
        }
        for (n, source) in self.sources.iter().enumerate() {
            if let Some(text) = source.fault() {
                fault(format!("sources[{n}].host"), text.to_owned());
            }
            if source.port == Some(0) {
                fault(format!("sources[{n}].port"), "端口应在 1 到 65535 之间".to_owned());
            }
            let same = |other: &&Source| other.host.eq_ignore_ascii_case(&source.host) && other.port() == source.port();
            if self.sources.iter().take(n).any(|other| same(&other)) {
                fault(format!("sources[{n}].host"), "与前面的时间源重复".to_owned());
            }
        }
        if let Some(text) = self.schedule.faults() {
            fault("schedule".to_owned(), text.to_owned());
        }
        if !(1..=8).contains(&self.samples) {
            fault("samples".to_owned(), "每次查询次数应在 1 到 8 之间".to_owned());
        }
        if !(1..=3_600_000).contains(&self.largest_offset_ms) {
            fault(
                "largest_offset_ms".to_owned(),
                "允许的最大偏差应在 1 毫秒到 1 小时之间".to_owned(),
            );
        }
        if !(10..=60_000).contains(&self.untrusted_beyond_ms) {
            fault(
                "untrusted_beyond_ms".to_owned(),
                "可信误差上限应在 10 毫秒到 60 秒之间".to_owned(),
            );
        }
        let good_for = Duration::from_secs(self.good_for_s.into());
        if good_for < self.schedule.longest().saturating_mul(2) || self.good_for_s > 7 * DAY_S {
            fault(
                "good_for_s".to_owned(),
                "测量有效期应不短于两次校时间隔，且不超过 7 天".to_owned(),
            );
        }
        let enough = usize::from(self.fewest_agreeing) <= self.sources.len().max(1);
        if self.fewest_agreeing == 0 || !enough {
            fault(
                "fewest_agreeing".to_owned(),
                "最少一致时间源数应至少为 1，且不超过时间源个数".to_owned(),
            );
        }
        if self
            .nts_ca_pem
            .as_deref()
            .is_some_and(|pem| tls::certificates(pem).is_none())
        {
            fault("nts_ca_pem".to_owned(), "不是有效的 PEM 证书".to_owned());
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// The largest error in microseconds with which the time is believed.
    pub(crate) fn bound_us(&self) -> u64 {
        u64::from(self.untrusted_beyond_ms) * 1_000
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use records::Timestamp;
    use serde_json::json;

    use super::{Policy, Schedule};

    fn policy(change: serde_json::Value) -> Policy {
        let mut all = json!({"enabled": true, "sources": [{"host": "ntp.example.cn"}]});
        all.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    fn faults(change: serde_json::Value) -> Vec<String> {
        let found = policy(change).check().err().unwrap_or_default();
        found
            .into_iter()
            .map(|fault| format!("{} {}", fault.field, fault.text))
            .collect()
    }

    #[test]
    fn the_default_is_off_and_sound() {
        assert_eq!(Policy::default().check(), Ok(()));
        assert_eq!(faults(json!({})), Vec::<String>::new());
        let hosts = [
            "ntp.aliyun.com",
            "10.0.0.1",
            "fe80::1%eth0",
            "2001:db8::1",
            "time_1.hospital",
            "ntp",
        ];
        for host in hosts {
            assert_eq!(
                faults(json!({"sources": [{"host": host}]})),
                Vec::<String>::new(),
                "{host}"
            );
        }
        assert_eq!(
            faults(json!({"schedule": {"kind": "daily", "at": ["03:30", "15:30"]}, "good_for_s": 200_000})),
            Vec::<String>::new()
        );
    }

    #[test]
    fn every_wrong_field_is_named() {
        for (change, said) in [
            (json!({"sources": []}), "sources 开启时间同步前"),
            (json!({"sources": [{"host": ""}]}), "sources[0].host 请填写"),
            (json!({"sources": [{"host": "ntp://a"}]}), "sources[0].host 请只填写"),
            (json!({"sources": [{"host": "[::1]"}]}), "sources[0].host IPv6"),
            (json!({"sources": [{"host": "a.cn:123"}]}), "sources[0].host 端口请单独"),
            (json!({"sources": [{"host": "300.1.1.1"}]}), "sources[0].host 不是有效"),
            (json!({"sources": [{"host": "时间.cn"}]}), "sources[0].host 不是有效"),
            (json!({"sources": [{"host": "-a.cn"}]}), "sources[0].host 不是有效"),
            (json!({"sources": [{"host": "a.cn", "port": 0}]}), "sources[0].port"),
            (
                json!({"sources": [{"host": "a.cn"}, {"host": "A.cn", "port": 123}]}),
                "sources[1].host 与前面",
            ),
            (
                json!({"schedule": {"kind": "every", "seconds": 15}}),
                "schedule 校时间隔",
            ),
            (
                json!({"schedule": {"kind": "daily", "at": []}, "good_for_s": 200_000}),
                "schedule 请设置",
            ),
            (
                json!({"schedule": {"kind": "daily", "at": ["3:30"]}, "good_for_s": 200_000}),
                "schedule 每日",
            ),
            (json!({"samples": 0}), "samples"),
            (json!({"largest_offset_ms": 0}), "largest_offset_ms"),
            (json!({"untrusted_beyond_ms": 9}), "untrusted_beyond_ms"),
            (json!({"good_for_s": 599}), "good_for_s"),
            (json!({"fewest_agreeing": 2}), "fewest_agreeing"),
            (json!({"fewest_agreeing": 0}), "fewest_agreeing"),
            (json!({"nts_ca_pem": "x"}), "nts_ca_pem"),
        ] {
            let found = faults(change.clone());
            assert_eq!(found.len(), 1, "{change}: {found:?}");
            assert!(found[0].starts_with(said), "{change}: {found:?}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_value::<Policy>(json!({"intervall": 3})).is_err());
        assert!(serde_json::from_value::<Policy>(json!({"sources": [{"host": "a", "tls": true}]})).is_err());
        assert!(
            serde_json::from_value::<Policy>(json!({"schedule": {"kind": "every", "seconds": 64, "x": 1}})).is_err()
        );
    }

    #[test]
    fn polls_are_spread_about_their_time() {
        let every = Schedule::Every { seconds: 100 };
        let now = Timestamp::parse("2026-11-21T12:00:00+08:00").unwrap();
        assert_eq!(every.wait(now, 0), Duration::from_secs(90));
        assert_eq!(every.wait(now, u32::MAX), Duration::from_secs(110));
        let daily = Schedule::Daily {
            at: vec!["03:30".to_owned(), "12:30".to_owned()],
        };
        assert_eq!(daily.wait(now, 0), Duration::from_secs(1_800));
        assert_eq!(daily.wait(now, u32::MAX), Duration::from_secs(1_860));
        let night = Timestamp::parse("2026-11-21T23:30:00+08:00").unwrap();
        assert_eq!(daily.wait(night, 0), Duration::from_secs(4 * 3_600));
    }
}
