//! The appliance's disk for footage, so small that it can be full.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use site::Claim;

/// A small disk for the appliance's footage, so that it can be full. Ends with the value.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounted where the site's appliance keeps footage, in a folder that no other run uses.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn mount(claim: &Claim) -> Result<Self> {
        let at = claim.data().join("edge/footage");
        std::fs::create_dir_all(&at)?;
        // One that a killed run left there.
        let _ = unmount(&at);
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=96m", "tmpfs"])
            .arg(&at)
            .status()
            .context("mount")?;
        ensure!(done.success(), "a small disk cannot be mounted: the run needs root");
        Ok(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = unmount(&self.0);
    }
}

/// Takes away what is mounted there; quiet when nothing is.
fn unmount(at: &Path) -> std::io::Result<std::process::Output> {
    Command::new("umount").arg("-l").arg(at).output()
}
