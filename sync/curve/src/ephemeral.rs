//! A key pair for one agreement, and the shared x of ECDH as TLS wants it (RFC 8998, 3.1.3 with RFC 8446, 7.4.2).

use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::nonce::Nonces;
use crate::scalar::Scalar;
use crate::{PublicKey, Refused, masked, window};

/// A secret r in [1, n−1] and its point. Wiped on drop; it cannot be cloned, and an agreement takes it.
#[derive(ZeroizeOnDrop)]
pub struct Ephemeral {
    pub(crate) r: Scalar,
    #[zeroize(skip)]
    public: PublicKey,
}

impl std::fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ephemeral")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl Ephemeral {
    /// A new pair.
    pub fn generate(nonces: &mut Nonces) -> Result<Self, Refused> {
        Ok(Self::of(&nonces.draw()?.k))
    }

    pub(crate) fn of(r: &Scalar) -> Self {
        let point = Zeroizing::new(masked::multiply(r));
        Self {
            r: *r,
            public: PublicKey::of(point.to_affine()),
        }
    }

    /// The point to send.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// x of r·P, 32 bytes. It is not a key yet: derive one from it. The result is never infinity, because P is not and the
    /// curve's order is prime.
    #[must_use]
    pub fn shared_x(self, peer: &PublicKey) -> Zeroizing<[u8; 32]> {
        let point = Zeroizing::new(window::multiply(peer.point(), &self.r));
        Zeroizing::new(point.x.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_have_the_same_x() {
        let mut nonces = Nonces::new();
        for _ in 0..20 {
            let ours = Ephemeral::generate(&mut nonces).expect("pair");
            let theirs = Ephemeral::generate(&mut nonces).expect("pair");
            let (a, b) = (*ours.public_key(), *theirs.public_key());
            assert_eq!(ours.shared_x(&b), theirs.shared_x(&a));
        }
    }
}
