//! Keys and packages of the dock's firmware (采集坞固件签名), at the maker's:
//!
//! ```text
//! dock-sign key   SECRET                    a new key; prints the public one, which the factory writes into each board
//! dock-sign pack  --key SECRET --board mps2 --version 1.2.3 --out PACKAGE IMAGE
//! dock-sign show  PACKAGE [--public HEX]    what a package is, and whether this key signed it
//! ```
//!
//! `IMAGE` is the bytes as they lie in the slot (`objcopy -O binary`), `SECRET` a file with the seed (32 bytes, hex) that
//! only its owner may read. The board judges: signature (Ed25519 over the manifest), board, version, length, SHA-256.

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use dock::{FirmwareVersion, Manifest, Package, Signature};
use ed25519_compact::{KeyPair, PublicKey, Seed};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The longest image any board of ours has room for; a larger file is not one.
const MOST: u64 = 1 << 20;

#[derive(Parser)]
#[command(name = "dock-sign", about = "Keys and packages of the dock's firmware")]
struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Makes a key.
    Key {
        /// Where the secret goes; must not be there yet.
        secret: PathBuf,
    },
    /// Signs an image.
    Pack {
        /// The secret.
        #[arg(long)]
        key: PathBuf,
        /// The board it is for.
        #[arg(long)]
        board: Board,
        /// Its version: three numbers.
        #[arg(long, value_parser = version)]
        version: FirmwareVersion,
        /// Where the package goes.
        #[arg(long)]
        out: PathBuf,
        /// The image.
        image: PathBuf,
    },
    /// Shows a package.
    Show {
        /// The package.
        package: PathBuf,
        /// The public key that should have signed it, hex.
        #[arg(long)]
        public: Option<String>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Board {
    /// The bench's, emulated.
    Mps2,
    /// STM32L4R5.
    Stm32l4r5,
}

impl From<Board> for dock::Board {
    fn from(board: Board) -> Self {
        match board {
            Board::Mps2 => Self::Mps2,
            Board::Stm32l4r5 => Self::Stm32l4r5,
        }
    }
}

fn version(text: &str) -> Result<FirmwareVersion, String> {
    FirmwareVersion::parse(text)
        .ok_or_else(|| "a version is three numbers as 1.2.3, the first two below 256".to_owned())
}

fn main() -> Result<()> {
    let mut out = std::io::stdout();
    match Arguments::parse().act {
        Act::Key { secret } => writeln!(out, "{}", make_key(&secret)?)?,
        Act::Pack {
            key,
            board,
            version,
            out: to,
            image,
        } => {
            let package = sign(&read_key(&key)?, board.into(), version, read_image(&image)?)?;
            std::fs::write(&to, package.write()).with_context(|| format!("writing {}", to.display()))?;
            writeln!(out, "{}", shown(&package))?;
        }
        Act::Show { package, public } => {
            let bytes = std::fs::read(&package).with_context(|| format!("reading {}", package.display()))?;
            let read = Package::read(&bytes)?;
            writeln!(out, "{}", shown(&read))?;
            if let Some(public) = public {
                verify(&read, &public)?;
                writeln!(out, "signed by {public}")?;
            }
        }
    }
    Ok(())
}

/// Makes a key; answers the public one, hex.
fn make_key(to: &Path) -> Result<String> {
    let mut seed = Zeroizing::new([0u8; 32]);
    getrandom::fill(&mut *seed).map_err(|e| anyhow::anyhow!("the system gives no randomness: {e}"))?;
    let text = Zeroizing::new(format!("{}\n", hex::encode(*seed)));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .with_context(|| format!("making {}", to.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let pair = KeyPair::from_seed(Seed::new(*seed));
    Ok(hex::encode(*pair.pk))
}

fn read_key(from: &Path) -> Result<KeyPair> {
    let mode = std::fs::metadata(from)
        .with_context(|| format!("reading {}", from.display()))?
        .permissions()
        .mode();
    ensure!(
        mode & 0o077 == 0,
        "{} may be read by others: chmod 600 it, and think about who has read it",
        from.display()
    );
    let text = Zeroizing::new(std::fs::read_to_string(from)?);
    let mut seed = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(text.trim(), &mut *seed).with_context(|| format!("{} is no key", from.display()))?;
    Ok(KeyPair::from_seed(Seed::new(*seed)))
}

fn read_image(from: &Path) -> Result<Vec<u8>> {
    let length = std::fs::metadata(from)
        .with_context(|| format!("reading {}", from.display()))?
        .len();
    ensure!(
        length > 0 && length <= MOST,
        "{} is no image: {length} bytes",
        from.display()
    );
    let image = std::fs::read(from)?;
    if image.starts_with(b"\x7fELF") {
        bail!(
            "{} is an ELF file: make the bytes of the slot of it with objcopy -O binary",
            from.display()
        );
    }
    Ok(image)
}

fn sign(key: &KeyPair, board: dock::Board, version: FirmwareVersion, image: Vec<u8>) -> Result<Package> {
    let manifest = Manifest {
        board,
        version,
        length: u32::try_from(image.len()).context("an image of 4 GiB")?,
        sha256: Sha256::digest(&image).into(),
    };
    let signature = key.sk.sign(manifest.signed(), None);
    Ok(Package {
        manifest,
        signature: Signature::from_bytes(&signature),
        image,
    })
}

/// That the key signed it and the image is the one that was signed.
fn verify(package: &Package, public: &str) -> Result<()> {
    let key = PublicKey::from_slice(&hex::decode(public).context("a public key is hex")?);
    let key = key.map_err(|_| anyhow::anyhow!("no public key: 32 bytes, hex"))?;
    let signature = ed25519_compact::Signature::new(package.signature.to_bytes());
    key.verify(package.manifest.signed(), &signature)
        .map_err(|_| anyhow::anyhow!("NOT signed by this key"))?;
    let hash: [u8; 32] = Sha256::digest(&package.image).into();
    ensure!(
        hash == package.manifest.sha256,
        "the image is NOT the one that was signed"
    );
    Ok(())
}

fn shown(package: &Package) -> String {
    let manifest = &package.manifest;
    format!(
        "{:?} {} {} bytes, sha256 {}",
        manifest.board,
        manifest.version,
        manifest.length,
        hex::encode(manifest.sha256)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_signed_by_its_key_and_no_other_and_a_changed_one_by_none() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        let public = make_key(&secret).unwrap();
        assert!(make_key(&secret).is_err(), "a key is never written over");
        let other = make_key(&folder.path().join("other")).unwrap();
        let version = FirmwareVersion::parse("1.2.3").unwrap();
        let signed = sign(
            &read_key(&secret).unwrap(),
            dock::Board::Stm32l4r5,
            version,
            vec![7; 9000],
        )
        .unwrap();
        let package = Package::read(&signed.write()).unwrap();
        assert!(shown(&package).starts_with("Stm32l4r5 1.2.3 9000 bytes"));
        verify(&package, &public).unwrap();
        assert!(verify(&package, &other).is_err());
        let mut changed = package.clone();
        changed.image[8999] ^= 1;
        assert!(verify(&changed, &public).is_err());
        changed = package;
        changed.manifest.version.major = 2;
        assert!(verify(&changed, &public).is_err());
    }

    #[test]
    fn a_secret_that_others_may_read_and_a_file_that_is_no_image_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        make_key(&secret).unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read_key(&secret).unwrap_err().to_string().contains("chmod 600"));
        let image = folder.path().join("image");
        for (bytes, words) in [(b"".as_slice(), "no image"), (b"\x7fELF\x01\x01", "objcopy")] {
            std::fs::write(&image, bytes).unwrap();
            assert!(read_image(&image).unwrap_err().to_string().contains(words));
        }
        assert!(version("1.2").is_err() && version("1.256.0").is_err() && version("1.2.300").is_ok());
    }
}
