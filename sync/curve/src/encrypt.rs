//! Encrypting and decrypting (GB/T 32918.4, 6.1 and 7.1).

use sm3::{Digest, Sm3};
use zeroize::Zeroizing;

use crate::cipher::check_length;
use crate::mask::Mask;
use crate::nonce::Nonces;
use crate::point::Affine;
use crate::scalar::Scalar;
use crate::{Ciphertext, PrivateKey, PublicKey, Refused, kdf, masked, window};

impl PublicKey {
    /// Encrypts 1 byte to [`crate::MAX_PLAIN`] bytes.
    pub fn encrypt(&self, plain: &[u8], nonces: &mut Nonces) -> Result<Ciphertext, Refused> {
        check_length(plain)?;
        loop {
            let nonce = nonces.draw()?;
            if let Some(made) = self.encrypt_with(plain, &nonce.k) {
                return Ok(made);
            }
        }
    }

    /// A2 to A8 with a given k; `None` where the standard draws another, because the key stream is all zeros. For one byte
    /// that is one k in 256, and all that is told is that such a k was drawn and thrown away.
    pub(crate) fn encrypt_with(&self, plain: &[u8], k: &Scalar) -> Option<Ciphertext> {
        let first = Zeroizing::new(masked::multiply(k)).to_affine();
        // S = h·P of A3 is P itself: the cofactor is 1, and a public key is not infinity.
        let shared = Shared::new(&window::multiply(self.point(), k));
        let (body, zero) = shared.mixed(plain);
        if zero.reveal() {
            return None;
        }
        Some(Ciphertext {
            point: PublicKey::of(first),
            hash: shared.hash(plain),
            body: body.to_vec(),
        })
    }
}

impl PrivateKey {
    /// Decrypts. A text of another key, a changed one and one whose key stream is all zeros (B4) are the same
    /// [`Refused::Decryption`]: which of them it was is not told, and takes the same time.
    pub fn decrypt(&self, text: &Ciphertext) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let shared = Shared::new(&window::multiply(text.point.point(), self.scalar()));
        let (plain, zero) = shared.mixed(&text.body);
        let hash = Zeroizing::new(shared.hash(&plain));
        let whole = Mask::same(hash.as_slice(), &text.hash).and(zero.not());
        if whole.reveal() {
            Ok(plain)
        } else {
            Err(Refused::Decryption)
        }
    }
}

/// The shared point's coordinates (x2, y2). Secret.
struct Shared {
    x: Zeroizing<[u8; 32]>,
    y: Zeroizing<[u8; 32]>,
}

impl Shared {
    fn new(point: &Affine) -> Self {
        let point = Zeroizing::new(*point);
        Self {
            x: Zeroizing::new(point.x.to_bytes()),
            y: Zeroizing::new(point.y.to_bytes()),
        }
    }

    /// The text mixed with the key stream KDF(x2 ‖ y2), and whether that stream is all zeros.
    fn mixed(&self, text: &[u8]) -> (Zeroizing<Vec<u8>>, Mask) {
        let mut stream = Zeroizing::new(vec![0u8; text.len()]);
        let hash = Sm3::new().chain_update(*self.x).chain_update(*self.y);
        kdf::derive(&hash, &mut stream);
        let zero = Mask::zeros(stream.iter().copied());
        stream.iter_mut().zip(text).for_each(|(byte, with)| *byte ^= with);
        (stream, zero)
    }

    /// C3 = SM3(x2 ‖ M ‖ y2).
    fn hash(&self, plain: &[u8]) -> [u8; 32] {
        let hash = Sm3::new().chain_update(*self.x).chain_update(plain);
        kdf::finish(hash.chain_update(*self.y))
    }
}

#[cfg(test)]
mod tests;
