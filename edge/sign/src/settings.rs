//! Settings that operators change while the server runs: the web service, the receiver of the log, the time policy.
//!
//! Each is kept as JSON under its name in the state file. [`Published`] tells the tasks that use them of every change.

use std::sync::Arc;

use gm::Certificate;
use records::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::Refusal;
use crate::engine::Engine;
pub use crate::revocation::OwnLists;
use crate::vault::Unit;

/// The SOAP web service for applications (webservice 接口).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebService {
    /// Whether it answers.
    pub enabled: bool,
}

/// Where the log is sent (RFC 5424 over TCP or TLS).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Syslog {
    /// Whether it is sent.
    pub enabled: bool,
    /// The receiver's name or address.
    pub host: String,
    /// The receiver's port.
    pub port: u16,
    /// Whether the connection is TLS (RFC 5425).
    pub tls: bool,
    /// Authorities (PEM) that may vouch for the receiver, instead of those of the machine.
    #[serde(default)]
    pub ca_pem: Option<String>,
    /// Facility of RFC 5424, 0 to 23.
    pub facility: u8,
}

impl Default for Syslog {
    fn default() -> Self {
        Self {
            enabled: false,
            host: String::new(),
            port: 6514,
            tls: true,
            ca_pem: None,
            // local0
            facility: 16,
        }
    }
}

impl Syslog {
    fn check(&self) -> Result<(), Refusal> {
        let no = |text: &str| Err(Refusal::no("syslog", text));
        let host = self.host.as_str();
        let named = !host.is_empty()
            && host.len() <= 253
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'%'));
        if (self.enabled || !host.is_empty()) && !named {
            return no("日志服务器应为域名或 IP 地址。");
        }
        if self.port == 0 {
            return no("日志服务器端口应在 1 到 65535 之间。");
        }
        if self.facility > 23 {
            return no("syslog 设施（facility）应在 0 到 23 之间。");
        }
        match &self.ca_pem {
            Some(pem) if crate::manage::bundle::certificates(pem.as_bytes()).is_err() => {
                no("日志服务器的 CA 证书不是有效的 PEM 证书。")
            }
            _ => Ok(()),
        }
    }
}

/// How long the log is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogKeeping {
    /// Days; 0 keeps it for ever. Not fewer than 180 (网络安全法 第二十一条: six months).
    #[schema(minimum = 0, maximum = 36_500)]
    pub keep_days: u32,
}

impl LogKeeping {
    /// Fewest days.
    const FEWEST: u32 = 180;
    const MOST: u32 = 36_500;

    fn check(self) -> Result<(), Refusal> {
        if self.keep_days == 0 || (Self::FEWEST..=Self::MOST).contains(&self.keep_days) {
            Ok(())
        } else {
            Err(Refusal::no(
                "log_keeping",
                "日志保存天数应为 0（永久）或 180 至 36500。",
            ))
        }
    }
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Settings {
    /// The web service.
    pub web_service: WebService,
    /// The receiver of the log.
    pub syslog: Syslog,
    /// How long the log is kept.
    pub log: LogKeeping,
    /// How the time is kept.
    pub time: timesource::Policy,
    /// Where our own revocation lists are published.
    pub own_lists: OwnLists,
}

const WEB_SERVICE: &str = "web_service";
const SYSLOG: &str = "syslog";
const LOG: &str = "log";
const TIME: &str = "time";
const OWN_LISTS: &str = "own_lists";

/// Those that a backup carries. Others say something about this device.
pub(crate) const CARRIED: &[&str] = &[WEB_SERVICE, SYSLOG, LOG, TIME, OWN_LISTS, crate::stamping::SETTING];

impl Settings {
    pub(crate) fn load(unit: &Unit<'_>) -> Result<Self, Refusal> {
        Ok(Self {
            web_service: read(unit, WEB_SERVICE)?,
            syslog: read(unit, SYSLOG)?,
            log: read(unit, LOG)?,
            time: read(unit, TIME)?,
            own_lists: read(unit, OWN_LISTS)?,
        })
    }
}

fn read<T: DeserializeOwned + Default>(unit: &Unit<'_>, name: &str) -> Result<T, Refusal> {
    let Some(text) = unit.setting(name)? else {
        return Ok(T::default());
    };
    serde_json::from_str(&text).map_err(|_| Refusal::Damaged("setting"))
}

fn put<T: Serialize>(unit: &Unit<'_>, name: &str, value: &T, at: Timestamp) -> Result<String, Refusal> {
    let text = serde_json::to_string(value).map_err(|_| Refusal::Damaged("setting"))?;
    unit.put_setting(name, &text, at)?;
    Ok(text)
}

impl Engine {
    /// The settings in force.
    pub fn settings(&self) -> Result<Settings, Refusal> {
        self.vault.read(Settings::load)
    }

    /// Switches the web service on or off.
    pub fn set_web_service(&self, by: &str, value: &WebService) -> Result<(), Refusal> {
        self.set(by, "setting.web_service", WEB_SERVICE, value)
    }

    /// Names the receiver of the log.
    pub fn set_syslog(&self, by: &str, value: &Syslog) -> Result<(), Refusal> {
        value.check()?;
        self.set(by, "setting.syslog", SYSLOG, value)
    }

    /// Sets how long the log is kept.
    pub fn set_log_keeping(&self, by: &str, value: LogKeeping) -> Result<(), Refusal> {
        value.check()?;
        self.set(by, "setting.log", LOG, &value)
    }

    /// Sets how the time is kept.
    pub fn set_time(&self, by: &str, value: &timesource::Policy) -> Result<(), Refusal> {
        if let Err(faults) = value.check() {
            let texts: Vec<String> = faults.into_iter().map(|fault| fault.text).collect();
            return Err(Refusal::no("time_policy", format!("{}。", texts.join("；"))));
        }
        self.set(by, "setting.time", TIME, value)
    }

    /// Says where our own revocation lists are published.
    pub fn set_own_lists(&self, by: &str, value: &OwnLists) -> Result<(), Refusal> {
        self.set(by, "setting.own_lists", OWN_LISTS, &value.checked()?)
    }

    fn set<T: Serialize>(&self, by: &str, act: &'static str, name: &str, value: &T) -> Result<(), Refusal> {
        let now = self.clock.now();
        self.vault.write(|unit| {
            let text = put(unit, name, value, now)?;
            unit.log(now, act, by, &text)
        })
    }
}

/// The settings, for tasks that follow them.
#[derive(Debug)]
pub struct Published(watch::Sender<Arc<Settings>>);

impl Published {
    /// Those in force.
    pub fn start(engine: &Engine) -> Result<Self, Refusal> {
        Ok(Self(watch::Sender::new(Arc::new(engine.settings()?))))
    }

    /// Follows them.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Arc<Settings>> {
        self.0.subscribe()
    }

    /// Tells of a change.
    pub(crate) fn renew(&self, engine: &Engine) -> Result<(), Refusal> {
        let settings = engine.settings()?;
        self.0.send_if_modified(|before| {
            let changed = **before != settings;
            *before = Arc::new(settings);
            changed
        });
        Ok(())
    }
}

/// The certificates of a [`Syslog::ca_pem`].
pub fn authorities(pem: &str) -> Result<Vec<Certificate>, Refusal> {
    crate::manage::bundle::certificates(pem.as_bytes())
}
