//! The structures of GM/T 0018 as bytes, in the variations vendors have.

use crate::control::Control;

/// A number right-aligned in a coordinate field.
fn coordinate(control: &Control, half: &[u8; 32]) -> Vec<u8> {
    let width = if control.lite { 32 } else { 64 };
    let mut field = vec![0; width - 32];
    field.extend(half);
    field
}

/// `ECCrefPublicKey`.
pub(crate) fn public_key(control: &Control, (x, y): &([u8; 32], [u8; 32])) -> Vec<u8> {
    let mut bytes = 256u32.to_le_bytes().to_vec();
    bytes.extend(coordinate(control, x));
    bytes.extend(coordinate(control, y));
    bytes
}

/// `ECCrefPrivateKey`.
pub(crate) fn private_key(control: &Control, key: &[u8; 32]) -> Vec<u8> {
    let mut bytes = 256u32.to_le_bytes().to_vec();
    bytes.extend(coordinate(control, key));
    bytes
}

/// `ECCSignature` from r ‖ s.
pub(crate) fn signature(control: &Control, signature: &[u8; 64]) -> Vec<u8> {
    let (halves, _) = signature.as_chunks::<32>();
    halves.iter().flat_map(|half| coordinate(control, half)).collect()
}

/// Bytes of a structure of two coordinates behind `head` bytes.
pub(crate) fn pair_len(control: &Control, head: usize) -> usize {
    head + 2 * if control.lite { 32 } else { 64 }
}

/// Two 32-byte numbers out of coordinate fields.
pub(crate) fn pair(control: &Control, bytes: &[u8]) -> Option<[u8; 64]> {
    let width = if control.lite { 32 } else { 64 };
    let mut pair = bytes.get(width - 32..width)?.to_vec();
    pair.extend(bytes.get(2 * width - 32..2 * width)?);
    pair.try_into().ok()
}

/// `DEVICEINFO`.
pub(crate) fn device_info(control: &Control) -> Vec<u8> {
    let text = |text: &str, width: usize| {
        let mut field = text.as_bytes().to_vec();
        field.resize(width, 0);
        field
    };
    let mut bytes = text("Bench", 40);
    bytes.extend(text("SOFT-SDF", 16));
    bytes.extend(text("2026110100100001", 16));
    let symmetric: u32 = 0x403 | if control.sm1 { 0x103 } else { 0 };
    // Version, edition of the standard, SM2 signature and encryption and RSA, key lengths, symmetric, hash, buffer.
    for word in [1, 2, 0x0002_0A00 | 0x0001_0000, 256 | 2048, symmetric, 1, 65536] {
        bytes.extend(u32::to_le_bytes(word));
    }
    bytes
}

/// `RSArefPublicKey` of 2048 bits.
pub(crate) fn rsa_public(modulus: &[u8]) -> Vec<u8> {
    let mut bytes = 2048u32.to_le_bytes().to_vec();
    bytes.extend(modulus);
    bytes.extend([0; 253]);
    bytes.extend([1, 0, 1]);
    bytes
}
