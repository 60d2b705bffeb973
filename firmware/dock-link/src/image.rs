//! What is signed of a firmware image.

use serde::{Deserialize, Serialize};

/// Kind of board an image is for.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Board {
    /// MPS2 AN386, which QEMU emulates: the bench's.
    #[default]
    Mps2,
    /// STM32L4R5, the intended one.
    Stm32l4r5,
}

/// Version of the firmware.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct FirmwareVersion {
    /// Changes what a user sees.
    pub major: u8,
    /// Adds.
    pub minor: u8,
    /// Mends.
    pub patch: u16,
}

impl FirmwareVersion {
    /// From the text of a Cargo version; none when it is not three numbers.
    pub const fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut parts = [0u16; 3];
        let (mut part, mut at) = (0, 0);
        while at < bytes.len() {
            #[expect(
                clippy::indexing_slicing,
                reason = "`get` is not const; both indices are checked here"
            )]
            match bytes[at] {
                b'.' if part < 2 => part += 1,
                digit @ b'0'..=b'9' => {
                    let Some(tens) = parts[part].checked_mul(10) else {
                        return None;
                    };
                    let Some(value) = tens.checked_add((digit - b'0') as u16) else {
                        return None;
                    };
                    parts[part] = value;
                }
                _ => return None,
            }
            at += 1;
        }
        let [major, minor, patch] = parts;
        if part != 2 || major > 255 || minor > 255 {
            return None;
        }
        Some(Self {
            major: major as u8,
            minor: minor as u8,
            patch,
        })
    }
}

impl core::fmt::Display for FirmwareVersion {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// What an image is: this is signed, and the image by its hash.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// For this kind of board.
    pub board: Board,
    /// Version.
    pub version: FirmwareVersion,
    /// Bytes.
    pub length: u32,
    /// SHA-256 of them.
    pub sha256: [u8; 32],
}

/// Begins what is signed, so that the signature is good for nothing else.
const DOMAIN: &[u8; 24] = b"yiqiao dock firmware v1\0";
/// Length of what is signed.
pub const SIGNED_LENGTH: usize = DOMAIN.len() + 1 + 4 + 4 + 32;

impl Manifest {
    /// The signed bytes: fixed layout, little endian, independent of the line's encoding.
    pub fn signed(&self) -> [u8; SIGNED_LENGTH] {
        let mut bytes = [0u8; SIGNED_LENGTH];
        let patch = self.version.patch.to_le_bytes();
        let fields = DOMAIN
            .iter()
            .copied()
            .chain([self.board as u8, self.version.major, self.version.minor])
            .chain(patch)
            .chain(self.length.to_le_bytes())
            .chain(self.sha256);
        for (place, byte) in bytes.iter_mut().zip(fields) {
            *place = byte;
        }
        bytes
    }

    /// The manifest whose signed bytes these are; none when they are of nothing we know.
    pub fn from_signed(signed: &[u8; SIGNED_LENGTH]) -> Option<Self> {
        let fields = signed.last_chunk::<41>()?;
        let [board, major, minor, p0, p1, l0, l1, l2, l3, sha256 @ ..] = *fields;
        let manifest = Self {
            board: match board {
                0 => Board::Mps2,
                1 => Board::Stm32l4r5,
                _ => return None,
            },
            version: FirmwareVersion {
                major,
                minor,
                patch: u16::from_le_bytes([p0, p1]),
            },
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            sha256,
        };
        (manifest.signed() == *signed).then_some(manifest)
    }
}

/// An Ed25519 signature (RFC 8032).
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The point.
    pub r: [u8; 32],
    /// The scalar.
    pub s: [u8; 32],
}

impl Signature {
    /// As 64 bytes.
    pub fn to_bytes(self) -> [u8; 64] {
        let mut bytes = [0u8; 64];
        for (place, byte) in bytes.iter_mut().zip(self.r.into_iter().chain(self.s)) {
            *place = byte;
        }
        bytes
    }

    /// From 64 bytes.
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let (mut r, mut s) = ([0u8; 32], [0u8; 32]);
        for (place, byte) in r.iter_mut().chain(s.iter_mut()).zip(bytes) {
            *place = *byte;
        }
        Self { r, s }
    }
}
