//! Puts the memory map where the linker looks: one for the image, one for the boot loader.

use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for (bin, map) in [("board-stm32l4r5", "image.x"), ("boot-stm32l4r5", "boot.x")] {
        let folder = out.join(bin);
        fs::create_dir_all(&folder)?;
        fs::copy(map, folder.join("memory.x"))?;
        println!("cargo:rerun-if-changed={map}");
        println!("cargo:rustc-link-arg-bin={bin}=-L{}", folder.display());
    }
    Ok(())
}
