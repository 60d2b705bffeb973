//! Measured states that the maker approves, so that an update of the appliance does not lock its keys away.
//!
//! A secret that is sealed under an [`Authority`] opens in two ways (TPM 2.0 part 3, 23.6 `PolicyOR`): in the very state it
//! was sealed in, as ever; or in a state that the authority's signature approves (23.16 `PolicyAuthorize`). Who was in an
//! approved state seals the secret anew: from then on it is bound to that state.
//!
//! An approval is made away from any appliance with the usual tools, on a machine that runs the new version:
//! ```text
//! tpm2_createpolicy --policy-pcr -l sha256:0,7 -L state.policy
//! cat state.policy - < ref | openssl dgst -sha256 -sign maker.key -out state.sig    # ref: the bytes of REFERENCE
//! ```
//! It holds until the authority's key is replaced: the maker approves no state whose version must not run any more.

use serde::{Deserialize, Serialize};
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::constants::tss::{TPM2_RH_NULL, TPM2_ST_VERIFIED};
use tss_esapi::handles::KeyHandle;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::interface_types::session_handles::PolicySession;
use tss_esapi::structures::{
    Digest, DigestList, EccParameter, EccPoint, EccScheme, EccSignature, HashScheme, KeyDerivationFunctionScheme,
    MaxBuffer, Name, Nonce, Public, PublicBuilder, PublicEccParametersBuilder, Signature, SymmetricDefinitionObject,
    VerifiedTicket,
};
use tss_esapi::tss2_esys::{TPM2B_DIGEST, TPMT_TK_VERIFIED};

use crate::tpm::{During, Open, TpmError};

/// What approvals are for; signed behind the policy (`policyRef`), so that one for something else is none for this.
pub const REFERENCE: &[u8] = b"yiqiao signd storage key";

/// Who may approve states: an ECDSA key on P-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    x: Vec<u8>,
    y: Vec<u8>,
}

/// A state that an authority approves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Its PCRs, of the sha256 bank.
    pub pcrs: Vec<u8>,
    /// The digest of `PolicyPCR` in that state, alone.
    pub policy: [u8; 32],
    /// The signature's halves, over `policy` and [`REFERENCE`].
    pub r: [u8; 32],
    /// See `r`.
    pub s: [u8; 32],
}

impl Authority {
    /// From the public key's coordinates.
    #[must_use]
    pub fn new(x: &[u8; 32], y: &[u8; 32]) -> Self {
        Self {
            x: x.to_vec(),
            y: y.to_vec(),
        }
    }

    fn public(&self) -> Result<Public, TpmError> {
        const ACT: &str = "describe the authority of approvals";
        let coordinate = |bytes: &[u8]| EccParameter::try_from(bytes.to_vec()).during(ACT);
        let attributes = ObjectAttributesBuilder::new()
            .with_user_with_auth(true)
            .with_sign_encrypt(true)
            .build()
            .during(ACT)?;
        let parameters = PublicEccParametersBuilder::new()
            .with_symmetric(SymmetricDefinitionObject::Null)
            .with_ecc_scheme(EccScheme::EcDsa(HashScheme::new(HashingAlgorithm::Sha256)))
            .with_curve(EccCurve::NistP256)
            .with_key_derivation_function_scheme(KeyDerivationFunctionScheme::Null)
            .with_is_signing_key(true)
            .build()
            .during(ACT)?;
        PublicBuilder::new()
            .with_public_algorithm(PublicAlgorithm::Ecc)
            .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
            .with_object_attributes(attributes)
            .with_ecc_parameters(parameters)
            .with_ecc_unique_identifier(EccPoint::new(coordinate(&self.x)?, coordinate(&self.y)?))
            .build()
            .during(ACT)
    }

    /// Its key in the TPM, to be flushed after use, and the key's name.
    fn load(&self, open: &mut Open) -> Result<(KeyHandle, Name), TpmError> {
        const ACT: &str = "load the authority of approvals";
        let public = self.public()?;
        let key = open
            .context
            .execute_without_session(|c| c.load_external_public(public, Hierarchy::Owner))
            .during(ACT)?;
        open.flush_later(key);
        let name = open.context.tr_get_name(key.into()).during(ACT)?;
        Ok((key, name))
    }

    /// Both ways: the state of this policy, or one that the authority approves.
    pub(crate) fn ways(&self, open: &mut Open, parent: KeyHandle, state: &Digest) -> Result<DigestList, TpmError> {
        const ACT: &str = "describe approved states";
        let (key, name) = self.load(open)?;
        open.flush_now(key);
        // A trial does not look at the ticket, but there must be one.
        let ticket = TPMT_TK_VERIFIED {
            tag: TPM2_ST_VERIFIED,
            hierarchy: TPM2_RH_NULL,
            digest: TPM2B_DIGEST::default(),
        };
        let ticket = VerifiedTicket::try_from(ticket).during(ACT)?;
        let reference = Nonce::try_from(REFERENCE).during(ACT)?;
        let none = Digest::try_from(vec![0; 32]).during(ACT)?;
        let approved = open.policy(ACT, parent, |c, trial| {
            c.policy_authorize(trial, none, reference, &name, ticket)
        })?;
        let mut ways = DigestList::new();
        ways.add(state.clone()).during(ACT)?;
        ways.add(approved).during(ACT)?;
        Ok(ways)
    }

    /// Turns a policy session in an approved state into one that the approval vouches for.
    pub(crate) fn vouch(&self, open: &mut Open, session: PolicySession, approval: &Approval) -> Result<(), TpmError> {
        const ACT: &str = "verify an approval";
        let (key, name) = self.load(open)?;
        let signed = MaxBuffer::try_from([&approval.policy, REFERENCE].concat()).during(ACT)?;
        let (digest, _) = open
            .context
            .execute_without_session(|c| c.hash(signed, HashingAlgorithm::Sha256, Hierarchy::Owner))
            .during(ACT)?;
        let half = |bytes: &[u8; 32]| EccParameter::try_from(bytes.to_vec()).during(ACT);
        let signature = EccSignature::create(HashingAlgorithm::Sha256, half(&approval.r)?, half(&approval.s)?);
        let signature = Signature::EcDsa(signature.during(ACT)?);
        let ticket = open
            .context
            .execute_without_session(|c| c.verify_signature(key, digest, signature));
        open.flush_now(key);
        let ticket = ticket.during(ACT)?;
        let policy = Digest::try_from(approval.policy.to_vec()).during(ACT)?;
        let reference = Nonce::try_from(REFERENCE).during(ACT)?;
        open.context
            .execute_without_session(|c| c.policy_authorize(session, policy, reference, &name, ticket))
            .during(ACT)
    }
}
