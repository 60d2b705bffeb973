//! Printers and the font, as the appliance's file names them.

use std::path::PathBuf;

use printer::wire::{Address, BadAddress};
use printer::{FontError, Language, Sheet};
use store::StoreError;

/// A printer of the hospital.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct PrinterConfig {
    /// Role name, as jobs call it.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// `host:port`, `usb:/dev/usb/lp0`, `serial:/dev/ttyS0?baud=115200` or `ipp://host:631/printers/name`.
    pub address: String,
    /// What it understands: `escpos`, `tspl`, `zpl`, or `png` behind IPP.
    #[serde(default)]
    pub language: Language,
    /// Dots across: 384 for 58 mm, 576 for 80 mm, 832 or 864 for four-inch heads; at 300 dpi 1248 or 1280.
    #[serde(default = "receipt")]
    pub width: u32,
    /// Dots per inch.
    #[serde(default = "coarse")]
    pub dpi: u32,
    /// Height of a label in millimetres; none on a roll.
    #[serde(default)]
    pub label_mm: Option<u32>,
    /// Between two labels, in millimetres.
    #[serde(default)]
    pub gap_mm: u32,
    /// Whether it has a cutter.
    #[serde(default = "yes")]
    pub cutter: bool,
    /// Seconds without an answer after which a job is given up as unknown.
    #[serde(default = "ten")]
    pub answer_s: u64,
    /// Seconds it may say that it is busy, before and after a job.
    #[serde(default = "minute")]
    pub busy_s: u64,
    /// Role name of the printer that prints what waits here while this one is down.
    #[serde(default)]
    pub stand_in: Option<String>,
    /// Seconds it must be down before.
    #[serde(default = "ten")]
    pub stand_in_after_s: u64,
}

const fn receipt() -> u32 {
    576
}
const fn coarse() -> u32 {
    203
}
const fn yes() -> bool {
    true
}
const fn ten() -> u64 {
    10
}
const fn minute() -> u64 {
    60
}

impl PrinterConfig {
    /// What it prints on.
    pub fn sheet(&self) -> Sheet {
        let roll = Sheet {
            width: self.width,
            dpi: self.dpi,
            height: None,
            gap_mm: self.gap_mm,
            cutter: self.cutter,
        };
        Sheet {
            height: self.label_mm.map(|mm| roll.mm(mm)),
            ..roll
        }
    }
}

/// The font slips are set in.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct SlipFont {
    /// File.
    pub path: PathBuf,
    /// Number within a collection.
    #[serde(default)]
    pub index: u32,
}

impl Default for SlipFont {
    fn default() -> Self {
        Self {
            path: PathBuf::from("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
            index: 2,
        }
    }
}

/// Why the hub cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Opened {
    /// Of the database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Of the font.
    #[error(transparent)]
    Font(#[from] FontError),
    /// Loading was cut off.
    #[error("font could not be loaded")]
    CutOff,
    /// Of a printer.
    #[error("打印机 {0}：{1}")]
    Address(String, BadAddress),
    /// A language and a line that do not go together.
    #[error("打印机 {0}：png 只能用于 ipp:// 地址")]
    Language(String),
    /// A stand-in that is not there, or the printer itself.
    #[error("打印机 {0}：代打的打印机 {1} 不存在")]
    StandIn(String, String),
    /// A size that no head has.
    #[error("打印机 {0}：宽度应为 200 到 2600 点，分辨率应为 150 到 600 dpi")]
    Size(String),
    /// A label that no roll has.
    #[error("打印机 {0}：标签高度应为 8 到 500 毫米，间隙不超过 50 毫米")]
    Label(String),
}

/// A printer with its address read.
#[derive(Debug, Clone)]
pub(crate) struct Printer {
    pub(crate) config: PrinterConfig,
    pub(crate) address: Address,
}

/// Checks the printers.
pub(crate) fn checked(configs: Vec<PrinterConfig>) -> Result<Vec<Printer>, Opened> {
    let ids: Vec<String> = configs.iter().map(|c| c.id.clone()).collect();
    let read = |config: PrinterConfig| {
        let id = config.id.clone();
        let address: Address = config.address.parse().map_err(|bad| Opened::Address(id.clone(), bad))?;
        if config.language == Language::Png && !matches!(address, Address::Ipp(_)) {
            return Err(Opened::Language(id));
        }
        if !(200..=2_600).contains(&config.width) || !(150..=600).contains(&config.dpi) {
            return Err(Opened::Size(id));
        }
        if config.label_mm.is_some_and(|mm| !(8..=500).contains(&mm)) || config.gap_mm > 50 {
            return Err(Opened::Label(id));
        }
        if let Some(other) = &config.stand_in
            && (*other == id || !ids.contains(other))
        {
            return Err(Opened::StandIn(id, other.clone()));
        }
        Ok(Printer { config, address })
    };
    configs.into_iter().map(read).collect()
}
