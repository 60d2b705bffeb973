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
    /// The HTTPS interface for management; none when absent.
    #[serde(default)]
    pub manage: Option<ManageConfig>,
    /// 3DES decrypts old data for applications; it never encrypts.
    #[serde(default)]
    pub decrypt_triple_des: bool,
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
    /// The server's certificate and those above it, PEM. Without it and the key `signd` makes them itself, or takes what
    /// an administrator imports.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// Names and addresses for the certificate that `signd` makes.
    #[serde(default)]
    pub names: Vec<String>,
}

/// The HTTPS interface for management.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManageConfig {
    /// Where to listen: `127.0.0.1:8444`.
    pub listen: SocketAddr,
    /// The folder of the built page; without it only the interface is served.
    #[serde(default)]
    pub web: Option<PathBuf>,
    /// Names and addresses for the certificate that `signd` makes.
    #[serde(default)]
    pub names: Vec<String>,
    /// Seconds without a request after which a session ends.
    #[serde(default = "default_idle_s")]
    pub idle_s: u32,
    /// Seconds after which a session ends however busy.
    #[serde(default = "default_longest_s")]
    pub longest_s: u32,
}

fn default_idle_s() -> u32 {
    15 * 60
}

fn default_longest_s() -> u32 {
    8 * 3600
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
