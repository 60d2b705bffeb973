//! A key at an outside server as what signs.

use std::sync::Arc;

use gm::key::Signer;
use gm::{Algorithm, PublicKey, Refused};
use zeroize::Zeroizing;

use super::{Server, message};
use crate::vault::BindingRow;

/// A key at an outside server. What it signs is verified with the public key of the certificate that was accepted.
pub(crate) struct OutsideSigner<'b> {
    pub(crate) server: &'b Arc<Server>,
    pub(crate) binding: &'b BindingRow,
    pub(crate) public: PublicKey,
    pub(crate) password: &'b [u8],
    /// What it is for, in the log.
    pub(crate) what: &'b str,
}

impl Signer for OutsideSigner<'_> {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Refused> {
        // GB/T 38629 names SM2 with SM3 and RSA; here doctors' keys are SM2.
        if self.algorithm() != Algorithm::Sm2 {
            return Err(Refused::WrongAlgorithm);
        }
        let ask = |wrapped| -> Zeroizing<Vec<u8>> {
            message::sign_data(self.binding.key_index, self.password, message, wrapped)
        };
        self.server.sign(self.binding, &self.public, self.what, message, ask)
    }
}
