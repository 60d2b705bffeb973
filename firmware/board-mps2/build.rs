//! Puts the memory map where the linker looks.

use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for file in ["memory.x", "device.x"] {
        fs::copy(file, out.join(file))?;
        println!("cargo:rerun-if-changed={file}");
    }
    println!("cargo:rustc-link-search={}", out.display());
    Ok(())
}
