//! Roots of signers' keys: a signer's key is wrapped under a root *and* the PIN, the root under the key of keys.
//!
//! The key of keys never leaves its TPM, and nobody can wrap a signer's key for another appliance without the PIN; a root
//! can be given to another attested TPM, where the same PIN then opens the same key. Signers from before there were roots
//! are wrapped under the key of keys itself, and come under a root when their PIN is changed.

use zeroize::Zeroizing;

use super::{Engine, open_key};
use crate::Refusal;
use crate::vault::SignerRow;
use crate::wrap::{self, Wrapping};

/// The owner's name under which a root is wrapped.
pub(crate) fn owner(id: &str) -> String {
    format!("signers {id}")
}

impl Engine {
    /// What a signer's key is wrapped under, beside the PIN.
    pub(super) fn root_of(&self, kek: &[u8], row: &SignerRow) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let Some(id) = &row.root else {
            return Ok(Zeroizing::new(kek.to_vec()));
        };
        let wrapped = self.vault.read(|unit| unit.signer_root(id))?;
        let wrapped = wrapped.ok_or(Refusal::Damaged("root of signers"))?;
        open_key(kek, &wrapped, &owner(id), "root of signers")
    }

    /// The root for what is wrapped now, and its id; made at first need.
    pub(super) fn root(&self, kek: &[u8]) -> Result<(String, Zeroizing<Vec<u8>>), Refusal> {
        let now = self.clock.now();
        let (id, wrapped) = self.vault.write(|unit| {
            if let Some(known) = unit.first_signer_root()? {
                return Ok(known);
            }
            let id = hex::encode(wrap::random::<8>()?);
            let secret = Zeroizing::new(wrap::random::<32>()?);
            let owner = owner(&id);
            let wrapped = Wrapping::derive(kek, None, &owner)?.wrap(secret.as_slice(), &owner)?;
            unit.put_signer_root(&id, &wrapped, now)?;
            Ok((id, wrapped))
        })?;
        let root = open_key(kek, &wrapped, &owner(&id), "root of signers")?;
        Ok((id, root))
    }
}
