//! Keys in devices: SoftHSM2 behind PKCS#11, and the bench's SDF device, truthful and lying. What the devices sign is verified by
//! OpenSSL and RustCrypto.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod bench;
mod hang;
mod judges;
mod lies;
mod sdf;
mod softhsm;
