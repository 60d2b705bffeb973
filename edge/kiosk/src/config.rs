//! `[kiosk]` of the appliance's file.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A terminal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where its page is served; on another address than the loopback one only `allow`ed hosts may open it.
    pub listen: SocketAddr,
    /// Hosts that may open the page besides the appliance itself: the terminal, when it is a box of its own.
    #[serde(default)]
    pub allow: Vec<IpAddr>,
    /// Names under which the page is opened, besides the address of `listen`, e.g. `10.0.0.2:8093`.
    #[serde(default)]
    pub names: Vec<String>,
    /// The hospital's name, on the screen and on paper.
    pub hospital: String,
    /// Role name of its printer; none when it has none.
    #[serde(default)]
    pub printer: Option<String>,
    /// Serial line of the identity card reader (SAM-V).
    #[serde(default)]
    pub card_reader: Option<PathBuf>,
    /// Serial line of the scanner.
    #[serde(default)]
    pub scanner: Option<PathBuf>,
    /// The patients' app, e.g. `https://cloud.example/patient`: where a fee's code leads.
    #[serde(default)]
    pub patient_app: Option<String>,
    /// Seconds without a touch after which the next person is awaited.
    #[serde(default = "idle")]
    pub idle_s: u64,
    /// Days back for which reports and prescriptions are offered.
    #[serde(default = "days")]
    pub history_days: u32,
}

const fn idle() -> u64 {
    60
}
const fn days() -> u32 {
    180
}

/// A setting that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// Shorter than the warning before the end, or so long that the next person finds the last one's page.
    #[error("[kiosk] idle_s 应为 20 到 300 秒")]
    Idle,
    /// A printer nobody configured.
    #[error("[kiosk] printer：没有名为 {0} 的打印机")]
    Printer(String),
    /// Open to the whole network.
    #[error("[kiosk] listen 不是本机地址时，须在 allow 中列出自助机的地址")]
    Open,
}

impl Config {
    /// Whether the settings can be used, with these printers.
    ///
    /// # Errors
    /// See [`Wrong`].
    pub fn check<'a>(&self, mut printers: impl Iterator<Item = &'a str>) -> Result<(), Wrong> {
        if !(20..=300).contains(&self.idle_s) {
            return Err(Wrong::Idle);
        }
        if !self.listen.ip().is_loopback() && self.allow.is_empty() {
            return Err(Wrong::Open);
        }
        match &self.printer {
            Some(printer) if !printers.any(|p| p == printer) => Err(Wrong::Printer(printer.clone())),
            _ => Ok(()),
        }
    }
}
