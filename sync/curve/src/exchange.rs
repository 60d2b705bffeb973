//! Key exchange (GB/T 32918.3, 6.1) with key confirmation.
//!
//! ```
//! use curve::{DEFAULT_ID, Exchange, Nonces, Peer, PrivateKey, Role};
//! # fn main() -> Result<(), curve::Refused> {
//! let mut nonces = Nonces::new();
//! let (a, b) = (PrivateKey::generate(&mut nonces)?, PrivateKey::generate(&mut nonces)?);
//! let (id_a, id_b) = (b"Alice", b"Bob");
//! // Each sends its point …
//! let initiator = Exchange::start(Role::Initiator, &a, id_a, &mut nonces)?;
//! let responder = Exchange::start(Role::Responder, &b, id_b, &mut nonces)?;
//! let (r_a, r_b) = (*initiator.point(), *responder.point());
//! // … then its tag, and takes the key when the other's tag is right.
//! let initiator = initiator.agree(&Peer { key: b.public_key(), id: id_b, point: &r_b }, 16)?;
//! let responder = responder.agree(&Peer { key: a.public_key(), id: id_a, point: &r_a }, 16)?;
//! let (s_a, s_b) = (*initiator.tag(), *responder.tag());
//! assert_eq!(initiator.confirm(&s_b)?, responder.confirm(&s_a)?);
//! # Ok(())
//! # }
//! ```

use sm3::{Digest, Sm3};
use zeroize::Zeroizing;

use crate::ephemeral::Ephemeral;
use crate::limbs;
use crate::mask::Mask;
use crate::nonce::Nonces;
use crate::point::Jacobian;
use crate::scalar::{Factor, Scalar};
use crate::{PrivateKey, PublicKey, Refused, kdf, window, wnaf, z};

/// The longest key, in bytes.
pub const MAX_KEY: usize = 1024;

/// Who began: the standard's user A, or user B who answers. Both must know, because the order enters the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// User A.
    Initiator,
    /// User B.
    Responder,
}

/// What is known of the other side.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'p> {
    /// Its lasting key, from a certificate that was verified.
    pub key: &'p PublicKey,
    /// Its user id.
    pub id: &'p [u8],
    /// The point it sent, R.
    pub point: &'p PublicKey,
}

/// An exchange that has begun. For one key: agreeing takes it.
#[derive(Debug)]
pub struct Exchange<'k> {
    role: Role,
    key: &'k PrivateKey,
    z: [u8; 32],
    ephemeral: Ephemeral,
}

impl<'k> Exchange<'k> {
    /// A1 to A3, or B1 to B3: draws r and its point R.
    pub fn start(role: Role, key: &'k PrivateKey, id: &[u8], nonces: &mut Nonces) -> Result<Self, Refused> {
        Self::with(role, key, id, Ephemeral::generate(nonces)?)
    }

    fn with(role: Role, key: &'k PrivateKey, id: &[u8], ephemeral: Ephemeral) -> Result<Self, Refused> {
        let z = z(id, key.public_key())?;
        Ok(Self {
            role,
            key,
            z,
            ephemeral,
        })
    }

    /// R, to be sent.
    #[must_use]
    pub fn point(&self) -> &PublicKey {
        self.ephemeral.public_key()
    }

    /// A4 to A8, or B4 to B7: a key of `length` bytes (1 to [`MAX_KEY`]) and both tags.
    pub fn agree(self, peer: &Peer<'_>, length: usize) -> Result<Agreement, Refused> {
        if length == 0 || length > MAX_KEY {
            return Err(Refused::KeyLength);
        }
        let peer_z = z(peer.id, peer.key)?;
        let shared = self.shared(peer)?;
        let x = Zeroizing::new(shared.x.to_bytes());
        let y = Zeroizing::new(shared.y.to_bytes());
        let ((z_a, r_a), (z_b, r_b)) = {
            let own = (&self.z, self.point());
            let other = (&peer_z, peer.point);
            match self.role {
                Role::Initiator => (own, other),
                Role::Responder => (other, own),
            }
        };
        let mut key = Zeroizing::new(vec![0u8; length]);
        let hash = Sm3::new().chain_update(*x).chain_update(*y);
        kdf::derive(&hash.chain_update(z_a).chain_update(z_b), &mut key);

        let inner = Sm3::new().chain_update(*x).chain_update(z_a).chain_update(z_b);
        let inner = inner.chain_update(r_a.coordinates()).chain_update(r_b.coordinates());
        let inner = Zeroizing::new(kdf::finish(inner));
        let tag = |first: u8| kdf::finish(Sm3::new().chain_update([first]).chain_update(*y).chain_update(*inner));
        let (initiator, responder) = (tag(3), tag(2));
        let (own, expected) = match self.role {
            Role::Initiator => (initiator, responder),
            Role::Responder => (responder, initiator),
        };
        Ok(Agreement { key, own, expected })
    }

    /// t·(P + x̄·R) with t = d + x̄·r: of ours the secret t, of theirs a public point.
    fn shared(&self, peer: &Peer<'_>) -> Result<Zeroizing<crate::point::Affine>, Refused> {
        let base = wnaf::multiply_public(peer.point.point(), &folded(peer.point));
        let base = base.add_public(&Jacobian::from(*peer.key.point()));
        // The other side can choose R so that this is infinity.
        if base.z.is_zero().reveal() {
            return Err(Refused::Exchange);
        }
        let own = Factor::new(&folded(self.point())).times(&self.ephemeral.r);
        let own = Zeroizing::new(own);
        let t = Zeroizing::new(self.key.scalar().add(&own));
        // t = 0 leads to infinity as well (A7); no other can do this to us, and by chance it does not happen.
        if t.is_zero().reveal() {
            return Err(Refused::Exchange);
        }
        Ok(Zeroizing::new(window::multiply(&base.to_affine(), &t)))
    }
}

/// x̄ = 2¹²⁷ + (x mod 2¹²⁷) of a point's x.
fn folded(point: &PublicKey) -> Scalar {
    let [low, high, _, _] = limbs::from_bytes(&point.halves().0);
    Scalar::reduced(&[low, high | (1 << 63), 0, 0])
}

/// A key that the other side has not confirmed yet. Wiped on drop.
pub struct Agreement {
    key: Zeroizing<Vec<u8>>,
    own: [u8; 32],
    expected: [u8; 32],
}

impl std::fmt::Debug for Agreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agreement").finish_non_exhaustive()
    }
}

impl Agreement {
    /// Our tag, to be sent: S_A of the initiator, S_B of the responder.
    #[must_use]
    pub fn tag(&self) -> &[u8; 32] {
        &self.own
    }

    /// The key, if the other side's tag shows that it has the same (A9, B10).
    pub fn confirm(self, theirs: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>, Refused> {
        if Mask::same(&self.expected, theirs).reveal() {
            Ok(self.key)
        } else {
            Err(Refused::Confirmation)
        }
    }

    /// The key without confirmation, which the standard allows: that the other side is who it should be then shows only in
    /// the key's use.
    #[must_use]
    pub fn unconfirmed(self) -> Zeroizing<Vec<u8>> {
        self.key
    }
}

#[cfg(test)]
mod tests;
