//! What is signed: e = SM3(Z_A ‖ M), where Z_A binds the signer's id and key (GB/T 32918.2, 5.5 and 6.1 A1, A2).

use sm3::{Digest, Sm3};

use crate::point::Affine;
use crate::{PublicKey, Refused};

/// The user id of GB/T 35276, 10, where no other is agreed upon.
pub const DEFAULT_ID: &[u8] = b"1234567812345678";
/// The coefficient a = p − 3 of the curve.
const A: [u8; 32] = [
    0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc,
];

/// SM3 that has taken in Z_A: computed once for a key, started from for each message.
#[derive(Clone)]
pub struct Bound(Sm3);

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").finish_non_exhaustive()
    }
}

impl Bound {
    /// For a signer's id and key. The id's length in bits must fit two bytes.
    pub fn new(id: &[u8], key: &PublicKey) -> Result<Self, Refused> {
        Ok(Self(Sm3::new().chain_update(z(id, key)?)))
    }

    /// e of a message.
    #[must_use]
    pub fn digest(&self, message: &[u8]) -> [u8; 32] {
        self.0.clone().chain_update(message).finalize().into()
    }

    /// The hash to feed a long message into; finished, it is e.
    #[must_use]
    pub fn start(&self) -> Sm3 {
        self.0.clone()
    }
}

/// Z_A = SM3(ENTL ‖ ID ‖ a ‖ b ‖ x_G ‖ y_G ‖ x_A ‖ y_A).
pub fn z(id: &[u8], key: &PublicKey) -> Result<[u8; 32], Refused> {
    let bits = u16::try_from(id.len().saturating_mul(8)).map_err(|_| Refused::IdTooLong)?;
    let generator = Affine::generator();
    let hash = Sm3::new()
        .chain_update(bits.to_be_bytes())
        .chain_update(id)
        .chain_update(A)
        .chain_update(crate::field::Fp::B.to_bytes())
        .chain_update(generator.x.to_bytes())
        .chain_update(generator.y.to_bytes())
        .chain_update(key.coordinates());
    Ok(hash.finalize().into())
}
