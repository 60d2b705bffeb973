//! Settings of `signd`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One TOML file; unknown keys are refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the state file lives.
    pub state_dir: PathBuf,
    /// The Unix socket to serve on.
    pub socket: PathBuf,
    /// `device:/dev/tpmrm0`, or `swtpm:host=127.0.0.1,port=2321`.
    #[serde(default = "default_tpm")]
    pub tpm: String,
    /// PCRs of the sha256 bank to which the key of keys is sealed.
    #[serde(default = "default_pcrs")]
    pub pcrs: Vec<u8>,
    /// Fewest digits of a signer's PIN, 4 to 12; five wrong ones lock it, whatever their length.
    #[serde(default = "default_pin_min")]
    pub pin_min: usize,
    /// The HTTPS interface for applications; none when absent.
    #[serde(default)]
    pub service: Option<ServiceConfig>,
    /// Users that may call besides the one `signd` runs as.
    #[serde(default)]
    pub allowed_uids: Vec<u32>,
}

/// The HTTPS interface for applications.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// Where to listen: `[::]:8443` for IPv4 and IPv6.
    pub listen: SocketAddr,
    /// The server's certificate and those above it, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

fn default_tpm() -> String {
    "device:/dev/tpmrm0".to_owned()
}

fn default_pin_min() -> usize {
    4
}

fn default_pcrs() -> Vec<u8> {
    vec![0, 7]
}
