//! Puts the memory map where the linker looks.

use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // Named otherwise here: the linker would take a memory.x of the workspace's root for every program.
    for (source, name) in [("boot.x", "memory.x"), ("../interrupts.x", "device.x")] {
        fs::copy(source, out.join(name))?;
        println!("cargo:rerun-if-changed={source}");
    }
    println!("cargo:rustc-link-arg-bins=-L{}", out.display());
    Ok(())
}
