//! Settings of `edge`: one TOML file, unknown keys refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use hub::{PrinterConfig, SlipFont};
use link::tls::Offer;
use serde::{Deserialize, Serialize};

/// The file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Database, certificate, key blobs.
    pub(crate) state_dir: PathBuf,
    /// Serial number on the appliance's label.
    pub(crate) serial: String,
    /// Board, for the factory record.
    #[serde(default = "board")]
    pub(crate) board: String,
    /// `device:/dev/tpmrm0`, or `swtpm:host=127.0.0.1,port=2321`.
    #[serde(default = "tpm")]
    pub(crate) tpm: String,
    /// The cloud.
    pub(crate) cloud: Cloud,
    /// Socket of `signd`.
    #[serde(default = "signd")]
    pub(crate) signd_socket: PathBuf,
    /// The hospital's systems.
    pub(crate) his: His,
    /// Servers for the hospital's systems.
    #[serde(default)]
    pub(crate) callbacks: Callbacks,
    /// Local console.
    #[serde(default)]
    pub(crate) console: Console,
    /// Font of slips.
    #[serde(default)]
    pub(crate) slip_font: SlipFont,
    /// Printers.
    #[serde(default)]
    pub(crate) printers: Vec<PrinterConfig>,
    /// The recorder dock.
    #[serde(default)]
    pub(crate) dock: Option<crate::dock::Config>,
    /// The self-service terminal.
    #[serde(default)]
    pub(crate) kiosk: Option<kiosk::Config>,
    /// Recorder docking.
    #[serde(default)]
    pub(crate) docking: crate::footage::Config,
}

/// The cloud.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cloud {
    /// `mqtts://host:port`.
    pub(crate) broker: String,
    /// Fleet service, `https://host:port`.
    pub(crate) fleet: String,
    /// The cloud's roots that are trusted, PEM: its `ca/root.pem`, or `ca/roots.pem` for SM.
    pub(crate) root: PathBuf,
    /// Algorithms of the line and of the fleet service: `classic`; `sm`, RFC 8998 alone; `sm-first`, `classic-first`, both.
    #[serde(default = "tls")]
    pub(crate) tls: String,
}

impl Cloud {
    /// `tls`, read.
    pub(crate) fn offer(&self) -> anyhow::Result<Offer> {
        self.tls.parse().context("[cloud] tls")
    }
}

/// The hospital's systems.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct His {
    /// The hospital's profile.
    pub(crate) profile: PathBuf,
    /// Addresses of this site by endpoint name, in place of the profile's.
    #[serde(default)]
    pub(crate) addresses: BTreeMap<String, String>,
    /// Operations led over another endpoint than the profile says.
    #[serde(default)]
    pub(crate) routes: BTreeMap<String, String>,
    /// Servers (`http://host:port`) that hold pictures, besides the profile's: the picture archive (PACS).
    #[serde(default)]
    pub(crate) file_servers: Vec<String>,
}

/// Servers for the hospital's systems.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Callbacks {
    /// SOAP.
    pub(crate) soap: SocketAddr,
    /// HL7 over MLLP.
    pub(crate) mllp: SocketAddr,
}

impl Default for Callbacks {
    fn default() -> Self {
        Self {
            soap: SocketAddr::from(([0, 0, 0, 0], 8091)),
            mllp: SocketAddr::from(([0, 0, 0, 0], 8092)),
        }
    }
}

/// Local console.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Console {
    /// Loopback only.
    pub(crate) listen: SocketAddr,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8090)),
        }
    }
}

fn board() -> String {
    "yq-edge-1".to_owned()
}
fn tpm() -> String {
    "device:/dev/tpmrm0".to_owned()
}
fn tls() -> String {
    Offer::Classic.name().to_owned()
}
fn signd() -> PathBuf {
    PathBuf::from("/run/yiqiao/signd.sock")
}

impl Config {
    /// Reads and checks the file.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let config: Self = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        anyhow::ensure!(
            config.console.listen.ip().is_loopback(),
            "console.listen must be a loopback address"
        );
        config.cloud.offer().with_context(|| format!("in {}", path.display()))?;
        if let Some(dock) = &config.dock {
            dock.check().with_context(|| format!("in {}", path.display()))?;
        }
        let mut ids: Vec<_> = config.printers.iter().map(|p| p.id.as_str()).collect();
        ids.sort_unstable();
        anyhow::ensure!(
            ids.windows(2).all(|w| w.first() != w.last()),
            "two printers have the same id"
        );
        if let Some(kiosk) = &config.kiosk {
            kiosk.check(config.printers.iter().map(|p| p.id.as_str()))?;
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_whole_configuration_and_unknown_keys_are_refused() {
        let text = include_str!("../edge.example.toml");
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.printers.len(), 1);
        let shown = toml::to_string(&config).unwrap();
        assert_eq!(
            toml::to_string(&toml::from_str::<Config>(&shown).unwrap()).unwrap(),
            shown
        );
        assert!(toml::from_str::<Config>(&format!("colour = 1\n{text}")).is_err());
    }
}
