//! `[kiosk]` of the appliance's file; `[[kiosk]]` when it serves several terminals.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::card::CardRules;

/// A terminal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What it is called in logs and in the trail of its paper, when there are several.
    #[serde(default = "name")]
    pub name: String,
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
    /// What a hospital card does here.
    #[serde(default)]
    pub card: CardRules,
}

fn name() -> String {
    "自助机".to_owned()
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
    /// Anybody who has seen the number would read them.
    #[error("[kiosk.card] alone 只能有 check_in（报到取号）和 fees（费用）：报告和处方不能只凭就诊卡号办理")]
    Alone,
    /// None at all, or so many that four digits are guessed.
    #[error("[kiosk.card] tries 应为 1 到 5 次，terminal_tries 应为 3 到 60 次，lock_min 应为 5 到 1440 分钟")]
    Tries,
    /// Two terminals would serve each other's people, or print each other's paper.
    #[error("[[kiosk]] 两台自助机的 {0} 相同（{1}），每台须有自己的")]
    Shared(&'static str, String),
}

/// Whether several terminals can be served side by side: nothing of one is another's.
///
/// # Errors
/// See [`Wrong`].
pub fn check_all<'a>(all: &[Config], printers: impl Iterator<Item = &'a str> + Clone) -> Result<(), Wrong> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|p| p.display().to_string());
    alone("name", all.iter().map(|c| c.name.clone()))?;
    alone("listen", all.iter().map(|c| c.listen.to_string()))?;
    alone("printer", all.iter().filter_map(|c| c.printer.clone()))?;
    // A line serves one device, whatever that is.
    let lines = all.iter().flat_map(|c| [path(&c.card_reader), path(&c.scanner)]);
    alone("card_reader 或 scanner", lines.flatten())?;
    all.iter().try_for_each(|config| config.check(printers.clone()))
}

fn alone(what: &'static str, values: impl Iterator<Item = String>) -> Result<(), Wrong> {
    let mut seen = BTreeSet::new();
    for value in values {
        if let Some(twice) = seen.replace(value) {
            return Err(Wrong::Shared(what, twice));
        }
    }
    Ok(())
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
        if self.card.alone.iter().any(|task| task.is_private()) {
            return Err(Wrong::Alone);
        }
        let CardRules {
            tries,
            lock_min,
            terminal_tries,
            ..
        } = self.card;
        if !(1..=5).contains(&tries) || !(5..=1_440).contains(&lock_min) || !(3..=60).contains(&terminal_tries) {
            return Err(Wrong::Tries);
        }
        match &self.printer {
            Some(printer) if !printers.any(|p| p == printer) => Err(Wrong::Printer(printer.clone())),
            _ => Ok(()),
        }
    }
}
