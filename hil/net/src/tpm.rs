//! A software TPM 2.0: swtpm with its own state and, where swtpm_setup can, an EK certificate from a CA of its own.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::NetError;

/// Where the TPM lives.
#[derive(Debug, Clone)]
pub struct Settings {
    /// State directory; made and manufactured at the first start.
    pub state: PathBuf,
    /// The address of both ports.
    pub bind: IpAddr,
    /// The TPM command port.
    pub port: u16,
    /// swtpm's control port.
    pub control: u16,
}

/// Runs swtpm until it ends or this future is dropped (which ends it).
pub async fn run(settings: Settings, serving: impl FnOnce()) -> Result<(), NetError> {
    manufacture(&settings.state).await?;
    let (bind, port, control) = (settings.bind, settings.port, settings.control);
    // Killed with us, however we end: a TPM nobody asked for would keep the port.
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "swtpm"])
        .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
        .arg("--tpmstate")
        .arg(format!("dir={}", settings.state.display()))
        .arg("--server")
        .arg(format!("type=tcp,port={port},bindaddr={bind}"))
        .arg("--ctrl")
        .arg(format!("type=tcp,port={control},bindaddr={bind}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| missing("swtpm", &e))?;
    for _ in 0..1_200 {
        // The control port answers as soon as swtpm listens; the command port takes one client only.
        if tokio::net::TcpStream::connect((bind, control)).await.is_ok() {
            serving();
            let ended = child.wait().await?;
            return Err(NetError::Setting(format!("swtpm ended: {ended}")));
        }
        if let Some(ended) = child.try_wait()? {
            return Err(NetError::Setting(format!("swtpm ended: {ended}")));
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Err(NetError::Setting("swtpm does not listen".into()))
}

fn missing(name: &str, error: &io::Error) -> NetError {
    NetError::Setting(format!("{name}: {error}"))
}

async fn manufacture(state: &Path) -> Result<(), NetError> {
    let done = state.join("manufactured");
    if done.exists() {
        return Ok(());
    }
    let ca = std::path::absolute(state)?.join("ca");
    std::fs::create_dir_all(&ca)?;
    let at = |name: &str| ca.join(name).display().to_string();
    let local = ca.join("localca.conf");
    let text = format!(
        "statedir = {}\nsigningkey = {}\nissuercert = {}\ncertserial = {}\n",
        ca.display(),
        at("signkey.pem"),
        at("issuercert.pem"),
        at("certserial")
    );
    std::fs::write(&local, text)?;
    let options = ca.join("localca.options");
    let about = "--platform-manufacturer Bench\n--platform-version 1.0\n--platform-model HIL\n";
    std::fs::write(&options, about)?;
    let setup = ca.join("setup.conf");
    let tool = [
        "/usr/bin/swtpm_localca",
        "/usr/lib/swtpm/swtpm-localca",
        "/usr/share/swtpm/swtpm-localca",
    ]
    .into_iter()
    .find(|path| Path::new(path).exists())
    .unwrap_or("swtpm_localca");
    let text = format!(
        "create_certs_tool = {tool}\ncreate_certs_tool_config = {}\ncreate_certs_tool_options = {}\n",
        local.display(),
        options.display()
    );
    std::fs::write(&setup, text)?;
    let certified = swtpm_setup(state, &setup, true).await?;
    if !certified {
        tracing::warn!("no EK certificate could be made; the TPM goes on without");
        if !swtpm_setup(state, &setup, false).await? {
            return Err(NetError::Setting("swtpm_setup failed".into()));
        }
    }
    std::fs::write(
        done,
        if certified {
            "with EK certificate\n"
        } else {
            "without EK certificate\n"
        },
    )?;
    Ok(())
}

async fn swtpm_setup(state: &Path, config: &Path, certificates: bool) -> Result<bool, NetError> {
    let mut command = Command::new("swtpm_setup");
    command
        .args(["--tpm2", "--overwrite", "--config"])
        .arg(config)
        .arg("--tpmstate")
        .arg(state);
    if certificates {
        command.args(["--create-ek-cert", "--create-platform-cert", "--lock-nvram"]);
    }
    let done = command
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|e| missing("swtpm_setup", &e))?;
    if !done.status.success() {
        tracing::warn!(output = %String::from_utf8_lossy(&done.stdout), "swtpm_setup");
    }
    Ok(done.status.success())
}
