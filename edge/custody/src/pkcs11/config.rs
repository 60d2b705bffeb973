//! How a token is configured.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A token as configured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The module, by absolute path.
    pub module: PathBuf,
    /// Label of the token.
    #[serde(default)]
    pub token: Option<String>,
    /// Serial number of the token.
    #[serde(default)]
    pub serial: Option<String>,
    /// File with the user PIN; without it the PIN is given at run time.
    #[serde(default)]
    pub pin_file: Option<PathBuf>,
    /// Sessions open at once, and threads that call.
    #[serde(default = "sessions")]
    pub sessions: usize,
    /// The vendor's SM2, where there is one.
    #[serde(default)]
    pub sm2: Option<VendorSm2>,
}

fn sessions() -> usize {
    8
}

impl Config {
    /// The defaults for a module.
    pub fn new(module: impl Into<PathBuf>) -> Self {
        Self {
            module: module.into(),
            token: None,
            serial: None,
            pin_file: None,
            sessions: sessions(),
            sm2: None,
        }
    }
}

/// How a vendor offers SM2: numbers out of its header.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorSm2 {
    /// Mechanism that signs e, e.g. 0x80000001.
    pub sign: u64,
    /// Mechanism that makes key pairs.
    #[serde(default)]
    pub generate: Option<u64>,
    /// Mechanism that decrypts; it takes the DER of GB/T 35276.
    #[serde(default)]
    pub decrypt: Option<u64>,
    /// Whether signatures come as DER instead of r ‖ s.
    #[serde(default)]
    pub der: bool,
}
