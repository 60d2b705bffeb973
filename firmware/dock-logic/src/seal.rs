//! Whether an image is signed by whom this board trusts. Ed25519: the smallest careful verifier there is for a Cortex-M, and
//! its own hash over a short manifest; SM2 needs tables or seconds there. The key is written at manufacture and is not
//! in the image, so that one image serves every maker's bench.

use dock_link::{Manifest, Signature};

/// A public key as it lies in the factory page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub [u8; 32]);

impl Key {
    /// None when the page was never written.
    pub fn present(self) -> Option<Self> {
        (self.0 != [0xFF; 32]).then_some(self)
    }
}

/// Whether the holder of a key signed a manifest.
pub fn sealed_by(key: Key, manifest: &Manifest, signature: Signature) -> bool {
    let Ok(key) = ed25519_compact::PublicKey::from_slice(&key.0) else {
        return false;
    };
    let Ok(signature) = ed25519_compact::Signature::from_slice(&signature.to_bytes()) else {
        return false;
    };
    key.verify(manifest.signed(), &signature).is_ok()
}
