//! A bench device in a folder of its own.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use custody::{Deadlines, Fault, Guarded, Pin, sdf};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "bench1234";

/// For a device that answers, however busy the machine is.
pub(crate) const PATIENT: Deadlines = Deadlines {
    call: Duration::from_secs(60),
    slow: Duration::from_secs(120),
};

pub(crate) struct Bench {
    folder: TempDir,
    library: PathBuf,
}

impl Bench {
    /// A copy of the library is a device of its own: loaded apart, with its own keys and books.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("libsdf.so");
        std::fs::copy(kit::process::library("bench_sdf"), &library).unwrap();
        Self { folder, library }
    }

    pub(crate) fn control(&self, text: &str) {
        // In one step, so that the device never reads half of it.
        let new = self.folder.path().join("control.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.folder.path().join("control")).unwrap();
    }

    /// With the right password in a file.
    pub(crate) fn config(&self) -> sdf::Config {
        let file = self.folder.path().join("password");
        std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut config = sdf::Config::new(&self.library);
        config.password_file = Some(file);
        config.sessions = 4;
        config.indexes = 4;
        config
    }

    pub(crate) fn open(&self) -> Guarded {
        self.open_with(self.config())
    }

    pub(crate) fn open_with(&self, config: sdf::Config) -> Guarded {
        custody::open_within(custody::Config::Sdf(config), PATIENT).unwrap()
    }

    /// Without deadlines around it.
    pub(crate) fn bare(&self) -> Result<sdf::Sdf, Fault> {
        let config = self.config();
        let pin = Pin::new(config.password_file.clone());
        sdf::Sdf::open(config, Arc::new(pin))
    }

    /// Passwords shown to the device so far, wrong ones counted.
    pub(crate) fn wrong_passwords(&self) -> usize {
        let attempts = std::fs::read_to_string(self.folder.path().join("attempts")).unwrap_or_default();
        attempts.lines().filter(|line| *line == "wrong").count()
    }
}
