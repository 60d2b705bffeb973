//! Settings of `edge`: one TOML file, unknown keys refused.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use hub::{Keeping, PrinterConfig, SlipFont};
use link::tls::Offer;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

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
    /// For how long printed slips are kept.
    #[serde(default)]
    pub(crate) print_spool: Keeping,
    /// The recorder dock.
    #[serde(default)]
    pub(crate) dock: Option<crate::dock::Config>,
    /// The self-service terminals: `[kiosk]` is one, `[[kiosk]]` several.
    #[serde(default, deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub(crate) kiosk: Vec<kiosk::Config>,
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

/// A table alone, as files have had it, or an array of them.
fn one_or_more<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<kiosk::Config>, D::Error> {
    struct Tables;
    impl<'de> Visitor<'de> for Tables {
        type Value = Vec<kiosk::Config>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("[kiosk] or [[kiosk]]")
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            kiosk::Config::deserialize(MapAccessDeserializer::new(map)).map(|one| vec![one])
        }
        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(seq))
        }
    }
    d.deserialize_any(Tables)
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
        kiosk::check_all(&config.kiosk, config.printers.iter().map(|p| p.id.as_str()))?;
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

    #[test]
    fn one_terminal_or_several_and_what_is_wrong_in_one_is_said() {
        let text = include_str!("../edge.example.toml");
        let read = |terminals: &str| toml::from_str::<Config>(&format!("{text}\n{terminals}"));
        assert_eq!(read("").unwrap().kiosk.len(), 0);
        let one = "listen = \"127.0.0.1:8093\"\nhospital = \"医院\"";
        assert_eq!(read(&format!("[kiosk]\n{one}")).unwrap().kiosk.len(), 1);
        let two = read(&format!("[[kiosk]]\n{one}\n[[kiosk]]\nname = \"二\"\n{one}")).unwrap();
        assert_eq!(two.kiosk.len(), 2);
        // Both would listen at one address.
        assert!(kiosk::check_all(&two.kiosk, std::iter::empty()).is_err());
        let wrong = read(&format!("[[kiosk]]\ncolour = 1\n{one}")).unwrap_err().to_string();
        assert!(wrong.contains("colour"), "{wrong}");
    }
}
