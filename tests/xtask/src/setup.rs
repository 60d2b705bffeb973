//! Makes a bare Debian 12 with the Rust toolchain and Node 20 able to build, run and test the product.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// MIT licensed, maintained, and what most Python tills print with.
const RECEIPT_PEER: &str = "python-escpos==3.1";

/// The oldest Node.js, as the `engines` of the web apps say.
const NODE: (u32, u32) = (20, 19);

/// The folder that holds the workspace manifest.
pub(crate) fn project_root() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .context("the workspace root lies two folders above xtask")
}

/// Installs what is missing: Debian packages (as root), and looks for the tools that must be there already.
pub(crate) fn machine(root: &Path) -> Result<()> {
    let missing = missing_packages(root)?;
    if !missing.is_empty() {
        install(&missing)?;
    }
    node()
}

/// The Node.js that the web apps' tools are made for.
fn node() -> Result<()> {
    let said = Command::new("node").arg("--version").output();
    let Ok(said) = said else {
        bail!("Node.js 20 is needed to build the web apps, and npm with it: install it and run this again");
    };
    let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    let mut parts = version
        .trim_start_matches('v')
        .split('.')
        .map(|p| p.parse::<u32>().unwrap_or(0));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    ensure!(
        found >= NODE,
        "Node.js {}.{} or newer is needed, found {version}: install it and run this again",
        NODE.0,
        NODE.1
    );
    let npm = Command::new("npm").arg("--version").stdout(Stdio::null()).status();
    ensure!(
        npm.is_ok_and(|s| s.success()),
        "npm, which comes with Node.js, is not in PATH: install it and run this again"
    );
    Ok(())
}

/// A Python of our own beside the build with `python-escpos`, the peer the receipts are measured beside. `None`, and said,
/// where the packages cannot be fetched: the benchmark then runs without that peer.
pub(crate) fn receipt_peer(root: &Path) -> Option<PathBuf> {
    let home = root.join("target/python");
    let python = home.join("bin/python3");
    let has_it = |python: &Path| {
        let import = Command::new(python)
            .args(["-c", "import escpos"])
            .stderr(Stdio::null())
            .status();
        import.is_ok_and(|s| s.success())
    };
    if has_it(&python) {
        return Some(python);
    }
    eprintln!("installing {RECEIPT_PEER} into {}", home.display());
    let made = Command::new("python3").args(["-m", "venv"]).arg(&home).status();
    if made.is_ok_and(|s| s.success()) {
        let pip = Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                RECEIPT_PEER,
            ])
            .status();
        if pip.is_ok_and(|s| s.success()) && has_it(&python) {
            return Some(python);
        }
    }
    eprintln!("{RECEIPT_PEER} could not be installed: receipts are measured without it");
    None
}

fn missing_packages(root: &Path) -> Result<Vec<String>> {
    let list =
        std::fs::read_to_string(root.join("tests/xtask/apt-packages.txt")).context("reading apt-packages.txt")?;
    let wanted = list
        .lines()
        .map(|l| l.split('#').next().unwrap_or("").trim())
        .filter(|l| !l.is_empty());
    let mut missing = Vec::new();
    for package in wanted {
        let status = Command::new("dpkg-query")
            .args(["-W", "-f=${db:Status-Status}", package])
            .stderr(Stdio::null())
            .output();
        let status = status.context("dpkg-query: this set-up is made for Debian 12")?;
        if status.stdout != b"installed" {
            missing.push(package.to_owned());
        }
    }
    Ok(missing)
}

fn install(missing: &[String]) -> Result<()> {
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|o| o.stdout.starts_with(b"0\n"));
    if !is_root {
        bail!(
            "run as root, or install these packages first: apt-get install {}",
            missing.join(" ")
        );
    }
    eprintln!("installing Debian packages: {}", missing.join(" "));
    for arguments in [
        vec!["update", "-q"],
        [
            vec!["install", "-q", "-y", "--no-install-recommends"],
            missing.iter().map(String::as_str).collect(),
        ]
        .concat(),
    ] {
        let status = Command::new("apt-get")
            // A machine that has just started installs its own updates.
            .args(["-o", "DPkg::Lock::Timeout=600"])
            .args(&arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .stdin(Stdio::null())
            .status()
            .context("apt-get")?;
        if !status.success() {
            bail!("apt-get {} failed", arguments.first().copied().unwrap_or_default());
        }
    }
    Ok(())
}
