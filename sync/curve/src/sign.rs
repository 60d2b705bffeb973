//! Signing (GB/T 32918.2, 6.1).

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::limbs;
use crate::masked;
use crate::nonce::{Nonce, Nonces};
use crate::scalar::{Factor, Scalar};
use crate::{PublicKey, Refused, Signature};

/// A private key d in [1, n−2], with what depends on it alone. Wiped on drop; it cannot be cloned.
#[derive(ZeroizeOnDrop)]
pub struct PrivateKey {
    d: Scalar,
    /// (1 + d)⁻¹ mod n.
    inverse: Factor,
    #[zeroize(skip)]
    public: PublicKey,
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl PrivateKey {
    /// From the number, the highest byte first; outside [1, n−2] it is refused (GB/T 32918.1, 6.1).
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Refused> {
        let mut d = Scalar::from_bytes(bytes).ok_or(Refused::PrivateKeyRange)?;
        let mut more = d.add(&Scalar::ONE);
        // Zero, or n−1: only that such a key was given is told.
        if d.is_zero().reveal() || more.is_zero().reveal() {
            return Err(Refused::PrivateKeyRange);
        }
        let point = Zeroizing::new(masked::multiply(&d));
        let mut factor = Factor::new(&more);
        let key = Self {
            d,
            inverse: factor.invert(),
            public: PublicKey::of(point.to_affine()),
        };
        d.zeroize();
        more.zeroize();
        factor.zeroize();
        Ok(key)
    }

    /// A new key from the operating system's random source.
    pub fn generate(nonces: &mut Nonces) -> Result<Self, Refused> {
        // A nonce is a uniform number in [1, n−1]; n−1 is drawn again.
        loop {
            let drawn = nonces.draw()?;
            match Self::from_bytes(&Zeroizing::new(drawn.k.to_bytes())) {
                Err(Refused::PrivateKeyRange) => {}
                made => return made,
            }
        }
    }

    /// The number, to be wrapped by whoever keeps it.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.d.to_bytes())
    }

    /// Its public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// d.
    pub(crate) fn scalar(&self) -> &Scalar {
        &self.d
    }

    /// Signs e (see [`crate::Bound`]).
    pub fn sign(&self, e: &[u8; 32], nonces: &mut Nonces) -> Result<Signature, Refused> {
        loop {
            if let Some(signature) = self.sign_with(e, &nonces.draw()?) {
                return Ok(signature);
            }
        }
    }

    /// A4 to A6 with a given nonce; `None` where the standard draws another (about once in 2²⁵⁵).
    pub(crate) fn sign_with(&self, e: &[u8; 32], nonce: &Nonce) -> Option<Signature> {
        let r = Scalar::reduced(&limbs::from_bytes(e)).add(&nonce.x);
        // s = (1+d)⁻¹·(k − r·d) = (1+d)⁻¹·(k + r) − r.
        let mut sum = nonce.k.add(&r);
        let s = self.inverse.times(&sum).sub(&r);
        let again = r.is_zero().reveal() || sum.is_zero().reveal() || s.is_zero().reveal();
        sum.zeroize();
        (!again).then_some(Signature { r, s })
    }
}

#[cfg(test)]
mod tests;
