//! The kernel of the virtual machine in which the recorders' driver meets genuine USB storage: an ordinary Debian kernel,
//! unpacked beside the build and not installed, so that no machine boots into it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// What the guest loads: USB host and mass storage, the file systems of recorders, their character sets; and what these
/// need. One that is built into the kernel has no file and is left out.
const MODULES: [&str; 20] = [
    "usb-common",
    "usbcore",
    "xhci-hcd",
    "xhci-pci",
    "scsi_common",
    "scsi_mod",
    "crct10dif_common",
    "crc64",
    "crc64-rocksoft",
    "crc-t10dif",
    "t10-pi",
    "sd_mod",
    "usb-storage",
    "fat",
    "vfat",
    "exfat",
    "nls_cp437",
    "nls_ascii",
    "nls_utf8",
    "nls_iso8859-1",
];

/// Puts `vmlinuz` and `modules` below `at`, once.
pub(crate) fn kernel(at: &Path) -> Result<()> {
    if at.join("vmlinuz").exists() {
        return Ok(());
    }
    eprintln!("fetching the kernel of the test's virtual machine");
    let work = at.with_extension("part");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(work.join("out/modules"))?;
    // Lists that are missing or name a kernel that has been replaced since are fetched anew, once.
    if download(&work).is_err() {
        apt(&["update", "-q"], &work)?;
        download(&work)?;
    }
    let file = find(&work, &|name| name.ends_with(".deb"))?.context("the downloaded package")?;
    let unpacked = work.join("x");
    let done = Command::new("dpkg-deb").arg("-x").arg(&file).arg(&unpacked).status()?;
    ensure!(done.success(), "dpkg-deb cannot unpack {}", file.display());
    for module in MODULES {
        let file = find(&unpacked.join("lib/modules"), &|name| name == format!("{module}.ko"))?;
        if let Some(file) = file {
            fs::copy(&file, work.join(format!("out/modules/{module}.ko")))?;
        }
    }
    let image =
        find(&unpacked.join("boot"), &|name| name.starts_with("vmlinuz"))?.context("a kernel in its package")?;
    fs::copy(image, work.join("out/vmlinuz"))?;
    let _ = fs::remove_dir_all(at);
    fs::rename(work.join("out"), at).context("putting the kernel in its place")?;
    fs::remove_dir_all(&work).context("tidying up after the kernel")
}

/// Fetches the package that `linux-image-amd64` stands for.
fn download(work: &Path) -> Result<()> {
    let out = Command::new("apt-cache")
        .args(["depends", "linux-image-amd64"])
        // Its words are translated.
        .env("LC_ALL", "C")
        .output()?;
    let text = String::from_utf8_lossy(&out.stdout);
    let name = text.lines().find_map(|l| l.trim().strip_prefix("Depends: "));
    apt(
        &[
            "download",
            "-q",
            name.context("apt knows no package linux-image-amd64")?,
        ],
        work,
    )
}

fn apt(arguments: &[&str], folder: &Path) -> Result<()> {
    let mut command = Command::new("apt-get");
    // Its user for downloads may not write here.
    command.args(["-o", "APT::Sandbox::User=root"]);
    command.args(arguments).current_dir(folder);
    let done = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    ensure!(done.success(), "apt-get {} failed", arguments.join(" "));
    Ok(())
}

/// The first file of such a name below a folder.
fn find(below: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(below)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            if let Some(found) = find(&entry.path(), wanted)? {
                return Ok(Some(found));
            }
        } else if wanted(&entry.file_name().to_string_lossy()) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}
