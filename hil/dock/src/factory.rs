//! What a factory does with a new board: its flash gets the key that signs images and a first image. The bench's key is
//! made from a constant, so that every test can sign; a board that was made elsewhere does not trust it.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use dock_link::{Board, FirmwareVersion, Manifest, Signature};
use dock_logic::Layout;
use ed25519_compact::{KeyPair, Seed};
use sha2::{Digest, Sha256};

/// Bytes of the emulated flash.
const FLASH: usize = 0x4_8000;
/// Version that the factory's image is given.
const FIRST: FirmwareVersion = FirmwareVersion {
    major: 0,
    minor: 1,
    patch: 0,
};

fn key() -> KeyPair {
    KeyPair::from_seed(Seed::new(*b"bench dock: signs nothing real!!"))
}

/// Signs an image of the bench.
pub fn signed(image: &[u8], version: FirmwareVersion) -> Result<(Manifest, Signature)> {
    let manifest = Manifest {
        board: Board::Mps2,
        version,
        length: u32::try_from(image.len()).context("an image of 4 GiB")?,
        sha256: Sha256::digest(image).into(),
    };
    let signature = key().sk.sign(manifest.signed(), None);
    Ok((manifest, Signature::from_bytes(&signature)))
}

/// Makes the flash of a new board, unless it is there.
pub(crate) fn make(flash: &Path, firmware: &Path) -> Result<()> {
    if flash.exists() {
        return Ok(());
    }
    let layout = Layout::of(Board::Mps2);
    let image = image(firmware)?;
    let (manifest, signature) = signed(&image, FIRST)?;
    let mut bytes = vec![0xFF; FLASH];
    let mut put = |at: usize, what: &[u8]| -> Result<()> {
        bytes
            .get_mut(at..at + what.len())
            .context("beyond the flash")?
            .copy_from_slice(what);
        Ok(())
    };
    let [slot, _] = &layout.slots;
    ensure!(image.len() <= slot.len() - 4096, "the image is too long for a slot");
    put(layout.key as usize, &key().pk[..])?;
    put(slot.start as usize, &image)?;
    put(slot.end as usize - 4096, &dock_logic::trailer(&manifest, signature))?;
    std::fs::write(flash, bytes).with_context(|| format!("making {}", flash.display()))
}

/// A part of a program as the linker laid it out.
struct Part<'a> {
    /// Where it runs.
    runs_at: usize,
    /// Where it is loaded.
    loaded_at: usize,
    /// What is loaded.
    bytes: &'a [u8],
    /// Memory that it takes where it runs.
    memory: usize,
}

fn parts(elf: &[u8]) -> Result<Vec<Part<'_>>> {
    ensure!(elf.starts_with(b"\x7fELF\x01\x01"), "no 32-bit ELF program");
    let half = |at: usize| -> Result<usize> {
        let half = elf.get(at..at + 2).context("ELF ends early")?;
        Ok(usize::from(u16::from_le_bytes(half.try_into()?)))
    };
    let word = |at: usize| -> Result<usize> {
        let word = elf.get(at..at + 4).context("ELF ends early")?;
        Ok(u32::from_le_bytes(word.try_into()?) as usize)
    };
    let (table, size, count) = (word(28)?, half(42)?, half(44)?);
    let mut parts = Vec::new();
    for header in (0..count).map(|n| table + n * size) {
        let (offset, length) = (word(header + 4)?, word(header + 16)?);
        if word(header)? == 1 {
            parts.push(Part {
                runs_at: word(header + 8)?,
                loaded_at: word(header + 12)?,
                bytes: elf.get(offset..offset + length).context("ELF ends early")?,
                memory: word(header + 20)?,
            });
        }
    }
    Ok(parts)
}

/// The bytes of an ELF program as they lie in flash, from its lowest loaded address on.
pub fn image(elf: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(elf).with_context(|| format!("the firmware {}", elf.display()))?;
    let mut parts = parts(&bytes)?;
    parts.retain(|part| !part.bytes.is_empty());
    parts.sort_by_key(|part| part.loaded_at);
    let Some(start) = parts.first().map(|part| part.loaded_at) else {
        bail!("nothing to load")
    };
    let mut image = Vec::new();
    for part in parts {
        ensure!(part.loaded_at - start >= image.len(), "parts overlap");
        image.resize(part.loaded_at - start, 0xFF);
        image.extend_from_slice(part.bytes);
    }
    Ok(image)
}

/// Bytes of flash, and of memory for data, that a program takes.
pub fn footprint(elf: &Path) -> Result<(usize, usize)> {
    let flash = image(elf)?.len();
    let bytes = std::fs::read(elf)?;
    let moved = |part: &Part<'_>| part.runs_at != part.loaded_at || part.bytes.is_empty();
    let ram = parts(&bytes)?
        .iter()
        .filter(|part| moved(part))
        .map(|part| part.memory)
        .sum();
    Ok((flash, ram))
}
