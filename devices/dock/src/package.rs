//! A firmware package as a file: `magic ++ manifest and signature ++ image`.
//!
//! ```text
//! 0    8  "YQDOCK1\n"
//! 8    N  signed bytes of the manifest (dock_link::Manifest::signed)
//! 8+N  64 Ed25519 signature over them
//! …       image
//! ```

use dock_link::{Manifest, SIGNED_LENGTH, Signature};

const MAGIC: &[u8; 8] = b"YQDOCK1\n";

/// Why a file is no firmware package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// It begins otherwise.
    #[error("这不是采集坞固件包")]
    NotOne,
    /// It is shorter or longer than it says.
    #[error("采集坞固件包不完整，请重新下载")]
    Length,
    /// It is for a board that this appliance does not know.
    #[error("采集坞固件包适用的控制板型号未知，请先升级前置机软件")]
    Unknown,
}

/// A firmware image with its manifest and signature. The signature is judged by the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// What it is.
    pub manifest: Manifest,
    /// Over the manifest.
    pub signature: Signature,
    /// The bytes.
    pub image: Vec<u8>,
}

impl Package {
    /// Reads a package.
    ///
    /// # Errors
    /// When it is none, or not whole.
    pub fn read(bytes: &[u8]) -> Result<Self, PackageError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(PackageError::NotOne)?;
        let (signed, rest) = rest.split_first_chunk::<SIGNED_LENGTH>().ok_or(PackageError::Length)?;
        let (signature, image) = rest.split_first_chunk::<64>().ok_or(PackageError::Length)?;
        let manifest = Manifest::from_signed(signed).ok_or(PackageError::Unknown)?;
        if usize::try_from(manifest.length) != Ok(image.len()) {
            return Err(PackageError::Length);
        }
        Ok(Self {
            manifest,
            signature: Signature::from_bytes(signature),
            image: image.to_vec(),
        })
    }

    /// Writes it.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.manifest.signed());
        bytes.extend(self.signature.to_bytes());
        bytes.extend(&self.image);
        bytes
    }
}
