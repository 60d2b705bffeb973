//! How an SDF device is configured.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Layout;

/// An SDF device as configured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The vendor's library, by absolute path.
    pub library: PathBuf,
    /// File with the password of the private keys; without it the password is given at run time, or the device wants none.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Sessions open at once, and threads that call.
    #[serde(default = "sessions")]
    pub sessions: usize,
    /// Highest index looked at when keys are listed.
    #[serde(default = "indexes")]
    pub indexes: u32,
    /// What the vendor's header says.
    #[serde(default)]
    pub layout: Layout,
    /// Algorithm numbers of SM1 in ECB and CBC, where the vendor has others than GM/T 0006.
    #[serde(default = "sm1")]
    pub sm1: [u32; 2],
}

fn sessions() -> usize {
    8
}

fn indexes() -> u32 {
    16
}

fn sm1() -> [u32; 2] {
    [0x101, 0x102]
}

impl Config {
    /// The defaults for a library.
    pub fn new(library: impl Into<PathBuf>) -> Self {
        Self {
            library: library.into(),
            password_file: None,
            sessions: sessions(),
            indexes: indexes(),
            layout: Layout::default(),
            sm1: sm1(),
        }
    }
}
