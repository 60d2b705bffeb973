//! A software TPM of one's own (Debian `swtpm`).

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::children;
use crate::ports::neighbouring_ports;

/// A running TPM: its memory is a directory, so that it may be stopped, copied and started again.
pub struct SoftTpm {
    dir: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl SoftTpm {
    /// Starts a TPM whose memory is in `dir` (made when absent). A new memory is a new chip.
    pub fn start(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).expect("the TPM's directory can be made");
        // swtpm wants two neighbouring ports: TPM and control.
        let [port, _] = neighbouring_ports();
        let mut tpm = Self {
            dir: dir.to_owned(),
            port,
            child: None,
        };
        tpm.power_on();
        tpm
    }

    /// The connection string for configurations.
    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    /// Starts it again after [`Self::power_off`]; PCRs are reset, keys remain.
    pub fn power_on(&mut self) {
        let mut swtpm = children::program("swtpm");
        swtpm
            .args(["socket", "--tpm2", "--tpmstate", &format!("dir={}", self.dir.display())])
            .args(["--server", &format!("type=tcp,port={},bindaddr=127.0.0.1", self.port)])
            .args(["--ctrl", &format!("type=tcp,port={},bindaddr=127.0.0.1", self.port + 1)])
            .args(["--flags", "not-need-init,startup-clear"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.child = Some(children::start(swtpm).expect("swtpm starts (Debian package swtpm)"));
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", self.port + 1)).is_err() {
            assert!(Instant::now() < until, "swtpm does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Takes the chip away.
    pub fn power_off(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Extends a PCR of the sha256 bank, as a changed boot would.
    pub fn extend(&self, pcr: u8) {
        let status = Command::new("tpm2_pcrextend")
            .env("TPM2TOOLS_TCTI", self.tcti())
            .arg(format!("{pcr}:sha256={}", "a5".repeat(32)))
            .status();
        assert!(status.is_ok_and(|s| s.success()), "PCR {pcr} cannot be extended");
    }
}

impl Drop for SoftTpm {
    fn drop(&mut self) {
        self.power_off();
    }
}
