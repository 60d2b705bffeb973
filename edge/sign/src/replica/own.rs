//! This appliance's keys in its TPM.

use std::sync::{Arc, PoisonError};

use attest::identity::{Ecdsa, endorsement_certificate, endorsement_key};
use attest::{Identity, TpmError};
use evidence::ecdsa_der;
use zeroize::Zeroizing;

use super::Replica;
use super::introduction::{Introduction, Keys};
use crate::Refusal;
use crate::engine::Engine;

/// The keys, and what others are shown of them.
pub(super) struct Own {
    identity: Identity,
    pub(super) keys: Keys,
}

impl Own {
    fn open(engine: &Engine) -> Result<Self, Refusal> {
        let identity = Identity::open(Arc::clone(&engine.tpm), &engine.dir).map_err(|error| match error {
            attest::identity::IdentityError::Tpm(error) => Refusal::Tpm(error),
            attest::identity::IdentityError::File(_) => Refusal::Damaged("TPM keys"),
        })?;
        let keys = Keys {
            endorsement: endorsement_key(&engine.tpm)?,
            endorsement_certificates: endorsement_certificate(&engine.tpm).into_iter().collect(),
            attestation: identity.attestation_key().to_vec(),
            signing: identity.device_key().to_vec(),
        };
        Ok(Self { identity, keys })
    }

    /// ECDSA with SHA-256 by the key in the TPM, DER.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        Ok(der(&self.identity.sign(&gm::key::sha256(message))?))
    }

    /// The content key of a package for this appliance.
    pub(super) fn open_secret(&self, credential: &[u8], secret: &[u8]) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        self.identity.open_secret(credential, secret)
    }

    /// What others are given.
    pub(super) fn introduce(&self, engine: &Engine, name: &str) -> Result<Introduction, Refusal> {
        let made_at = engine.clock.now();
        let nonce = self.keys.nonce(name, made_at);
        let certified = self.identity.certify_device_key(&nonce)?;
        let quoted = self.identity.quote(&engine.rules.pcrs, &nonce)?;
        let said = |statement: &attest::identity::Statement| (statement.attest.clone(), der(&statement.signature));
        Ok(Introduction::new(
            &self.keys,
            name,
            made_at,
            said(&certified),
            said(&quoted),
        ))
    }
}

fn der(signature: &Ecdsa) -> Vec<u8> {
    ecdsa_der(&signature.r, &signature.s)
}

impl Replica {
    /// The keys; the TPM is asked for them at first need.
    pub(super) fn own(&self) -> Result<Arc<Own>, Refusal> {
        let mut kept = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = &*kept {
            return Ok(Arc::clone(own));
        }
        let own = Arc::new(Own::open(self.engine())?);
        *kept = Some(Arc::clone(&own));
        Ok(own)
    }
}
