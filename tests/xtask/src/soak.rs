//! The soak of the signature server as a command. It is a test whose short form runs with all the others.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

/// Runs it; answers whether nothing failed and memory did not grow.
pub(crate) fn run(root: &Path, minutes: u64) -> Result<bool> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "test",
            "-p",
            "sign",
            "--test",
            "revocation",
            "soak::",
            "--",
            "--nocapture",
        ])
        .current_dir(root)
        .env("SOAK_MINUTES", minutes.to_string());
    Ok(cargo.status()?.success())
}
