//! The structures of GM/T 0018 as bytes, and how vendors vary them.
//!
//! All fields are bytes or 32-bit words at offsets divisible by four, so packed and unpacked compilations agree; what differs
//! is the width of a coordinate, the form of the ciphertext and one argument.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::der::Sm2Cipher;

/// What a vendor's header says.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Layout {
    /// Bytes of a coordinate: 64 (`ECCref_MAX_BITS` 512) or 32 ("Lite", and the edition of 2008).
    pub coordinate: Coordinate,
    /// Form of `ECCCipher`.
    pub cipher: CipherForm,
    /// Whether `SDF_InternalDecrypt_ECC` takes the algorithm (`SGD_SM2_3`) as third argument.
    pub decrypt_names_algorithm: bool,
    /// Bytes of an RSA number (`RSAref_MAX_LEN`): 256 or 512.
    pub rsa: RsaWidth,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            coordinate: Coordinate::Standard,
            cipher: CipherForm::Edition2012,
            decrypt_names_algorithm: true,
            rsa: RsaWidth::Bits2048,
        }
    }
}

/// Width of a coordinate.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub enum Coordinate {
    /// 64 bytes, the number right-aligned.
    #[serde(rename = "64")]
    Standard,
    /// 32 bytes.
    #[serde(rename = "32")]
    Lite,
}

/// Form of a ciphertext.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub enum CipherForm {
    /// `x, y, M[32], L, C[]`.
    #[serde(rename = "2012")]
    Edition2012,
    /// `clength, x, y, C[136], M[]`.
    #[serde(rename = "2008")]
    Edition2008,
}

/// Width of an RSA number.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub enum RsaWidth {
    /// Keys up to 2048 bits.
    #[serde(rename = "2048")]
    Bits2048,
    /// Keys up to 4096 bits.
    #[serde(rename = "4096")]
    Bits4096,
}

/// Room for `C` in the edition of 2008.
const CIPHER_2008: usize = 136;
/// `DEVICEINFO`: 40 + 16 + 16 bytes and seven words.
pub(super) const DEVICE_INFO: usize = 100;

impl Layout {
    fn width(self) -> usize {
        match self.coordinate {
            Coordinate::Standard => 64,
            Coordinate::Lite => 32,
        }
    }

    fn rsa_width(self) -> usize {
        match self.rsa {
            RsaWidth::Bits2048 => 256,
            RsaWidth::Bits4096 => 512,
        }
    }

    /// Bytes of `ECCrefPublicKey`.
    pub(super) fn public_key_len(self) -> usize {
        4 + 2 * self.width()
    }

    /// Bytes of `ECCrefPrivateKey`.
    pub(super) fn private_key_len(self) -> usize {
        4 + self.width()
    }

    /// Bytes of `ECCSignature`.
    pub(super) fn signature_len(self) -> usize {
        2 * self.width()
    }

    /// Bytes of `RSArefPublicKey`.
    pub(super) fn rsa_key_len(self) -> usize {
        4 + 2 * self.rsa_width()
    }

    fn put(self, into: &mut Vec<u8>, number: &[u8]) {
        into.resize(into.len() + self.width() - 32, 0);
        into.extend(number);
    }

    /// A number right-aligned in its field; what stands before it must be zero.
    fn take<'a>(self, bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
        let (field, rest) = bytes.split_at_checked(self.width())?;
        let (before, number) = field.split_at_checked(self.width() - 32)?;
        *bytes = rest;
        before.iter().all(|byte| *byte == 0).then_some(number)
    }

    /// r ‖ s out of `ECCSignature`.
    pub(super) fn read_signature(self, mut bytes: &[u8]) -> Option<[u8; 64]> {
        let mut raw = self.take(&mut bytes)?.to_vec();
        raw.extend(self.take(&mut bytes)?);
        raw.try_into().ok()
    }

    /// `ECCSignature` of r ‖ s.
    pub(super) fn write_signature(self, raw: &[u8; 64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        raw.chunks(32).for_each(|half| self.put(&mut bytes, half));
        bytes
    }

    /// `04 ‖ x ‖ y` out of `ECCrefPublicKey`.
    pub(super) fn read_public_key(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (bits, mut rest) = bytes.split_at_checked(4)?;
        if bits != 256u32.to_le_bytes() {
            return None;
        }
        let mut point = vec![4];
        point.extend(self.take(&mut rest)?);
        point.extend(self.take(&mut rest)?);
        Some(point)
    }

    /// `ECCrefPublicKey` of `04 ‖ x ‖ y`.
    pub(super) fn write_public_key(self, point: &[u8; 65]) -> Vec<u8> {
        let mut bytes = 256u32.to_le_bytes().to_vec();
        let (_, coordinates) = point.split_at(1);
        coordinates.chunks(32).for_each(|half| self.put(&mut bytes, half));
        bytes
    }

    /// The number out of `ECCrefPrivateKey`.
    pub(super) fn read_private_key(self, bytes: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let mut rest = bytes.get(4..)?;
        let number: [u8; 32] = self.take(&mut rest)?.try_into().ok()?;
        Some(Zeroizing::new(number))
    }

    /// `ECCCipher`. `None` when the ciphertext has no room in the form of 2008.
    pub(super) fn write_cipher(self, cipher: &Sm2Cipher<'_>) -> Option<Vec<u8>> {
        let length = u32::try_from(cipher.text.len()).ok()?.to_le_bytes();
        let mut bytes = Vec::new();
        match self.cipher {
            CipherForm::Edition2012 => {
                self.put(&mut bytes, &cipher.x);
                self.put(&mut bytes, &cipher.y);
                bytes.extend(cipher.hash);
                bytes.extend(length);
                bytes.extend(cipher.text);
            }
            CipherForm::Edition2008 => {
                let filling = CIPHER_2008.checked_sub(cipher.text.len())?;
                bytes.extend(length);
                self.put(&mut bytes, &cipher.x);
                self.put(&mut bytes, &cipher.y);
                bytes.extend(cipher.text);
                bytes.resize(bytes.len() + filling, 0);
                self.put(&mut bytes, &cipher.hash);
            }
        }
        Some(bytes)
    }

    /// Modulus and exponent out of `RSArefPublicKey`, the length in bits held against the modulus.
    pub(super) fn read_rsa_key(self, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
        let (bits, rest) = bytes.split_at_checked(4)?;
        let bits = u32::from_le_bytes(bits.try_into().ok()?) as usize;
        let (modulus, exponent) = rest.split_at_checked(self.rsa_width())?;
        let modulus = crate::der::strip(modulus);
        let zeros = modulus.first()?.leading_zeros() as usize;
        (bits == modulus.len() * 8 - zeros).then_some((modulus, exponent))
    }
}
