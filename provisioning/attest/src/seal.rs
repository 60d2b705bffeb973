//! A secret only this TPM gives back, and only while the machine's measured state (PCR) is the sealed one, or one that the
//! maker approves ([`crate::approval`]).

use serde::{Deserialize, Serialize};
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::constants::SessionType;
use tss_esapi::handles::{KeyHandle, ObjectHandle};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{
    Digest, DigestList, KeyedHashScheme, PcrSelectionList, PcrSelectionListBuilder, PcrSlot, Private, Public,
    PublicBuilder, PublicKeyedHashParameters, SensitiveData,
};
use tss_esapi::traits::{Marshall, UnMarshall};
use zeroize::Zeroizing;

use crate::approval::{Approval, Authority};
use crate::tpm::{During, Open, Tpm, TpmError};

/// The sealed object as it is stored: worthless without its TPM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    public: Vec<u8>,
    private: Vec<u8>,
    /// PCRs of the sha256 bank that were bound.
    pcrs: Vec<u8>,
    /// Who may approve other states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approved: Option<Approved>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Approved {
    authority: Authority,
    /// The policy of the state that it was sealed in.
    state: Vec<u8>,
}

/// The measured state to which a secret is bound, as the TPM told it: two that differ say that the machine's state changed
/// in between. It is not proof of a state, for nothing protects it on its way; [`Sealed::open`] alone is that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured(Vec<Digest>);

impl Sealed {
    /// Seals a secret to this TPM and the present values of these PCRs.
    pub fn new(tpm: &Tpm, secret: &[u8], pcrs: &[u8]) -> Result<Self, TpmError> {
        Self::under(tpm, secret, pcrs, None)
    }

    /// The same, or to values that this authority approves.
    pub fn under(tpm: &Tpm, secret: &[u8], pcrs: &[u8], authority: Option<&Authority>) -> Result<Self, TpmError> {
        tpm.act(|open| {
            let parent = open.storage_key()?;
            let state = policy_digest(open, parent, pcrs)?;
            let approved = authority.map(|authority| Approved {
                authority: authority.clone(),
                state: state.value().to_vec(),
            });
            let policy = match authority {
                None => state,
                Some(authority) => {
                    let ways = authority.ways(open, parent, &state)?;
                    open.policy("describe approved states", parent, |c, trial| c.policy_or(trial, ways))?
                }
            };
            let attributes = ObjectAttributesBuilder::new()
                .with_fixed_tpm(true)
                .with_fixed_parent(true)
                .with_no_da(true)
                .build()
                .during("describe the sealed secret")?;
            let public = PublicBuilder::new()
                .with_public_algorithm(PublicAlgorithm::KeyedHash)
                .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
                .with_object_attributes(attributes)
                .with_auth_policy(policy)
                .with_keyed_hash_parameters(PublicKeyedHashParameters::new(KeyedHashScheme::Null))
                .with_keyed_hash_unique_identifier(Digest::default())
                .build()
                .during("describe the sealed secret")?;
            let secret = SensitiveData::try_from(secret.to_vec()).during("seal")?;
            let session = open.session(SessionType::Hmac, parent)?;
            let made = open
                .context
                .execute_with_session(Some(session), |c| {
                    c.create(parent, public, None, Some(secret), None, None)
                })
                .during("seal")?;
            Ok(Self {
                public: made.out_public.marshall().during("seal")?,
                private: made.out_private.value().to_vec(),
                pcrs: pcrs.to_vec(),
                approved,
            })
        })
    }

    /// Who may approve other states than that it was sealed in.
    #[must_use]
    pub fn authority(&self) -> Option<&Authority> {
        self.approved.as_ref().map(|approved| &approved.authority)
    }

    /// Gives the secret back, or says which of absence, replacement and changed state prevents it.
    pub fn open(&self, tpm: &Tpm) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        self.open_by(tpm, None)
    }

    /// Gives the secret back in a state that its authority approves.
    ///
    /// # Errors
    /// As [`Self::open`]; an approval that is not its authority's, or not of the present state, is a changed state.
    pub fn open_approved(&self, tpm: &Tpm, approval: &Approval) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        match self.open_by(tpm, Some(approval)) {
            // The signature, or the digest that it is over, is another one.
            Err(TpmError::Refused {
                act: "verify an approval",
                ..
            }) => Err(TpmError::StateChanged),
            done => done,
        }
    }

    fn open_by(&self, tpm: &Tpm, approval: Option<&Approval>) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let public = Public::unmarshall(&self.public).map_err(|_| TpmError::Malformed)?;
        let private = Private::try_from(self.private.clone()).map_err(|_| TpmError::Malformed)?;
        tpm.act(|open| {
            let parent = open.storage_key()?;
            let handle = open
                .context
                .execute_with_nullauth_session(|c| c.load(parent, private, public))
                .during("load the sealed secret")?;
            open.flush_later(handle);
            let session = open.session(SessionType::Policy, parent)?;
            let pcrs = approval.map_or(&self.pcrs, |approval| &approval.pcrs);
            apply_policy(open, session, pcrs)?;
            match (&self.approved, approval) {
                (None, None) => {}
                (None, Some(_)) => return Err(TpmError::StateChanged),
                (Some(approved), approval) => {
                    let policy = PolicySession::try_from(session).during("read the measured state")?;
                    let state = Digest::try_from(approved.state.clone()).map_err(|_| TpmError::Malformed)?;
                    let ways = approved.authority.ways(open, parent, &state)?;
                    if let Some(approval) = approval {
                        approved.authority.vouch(open, policy, approval)?;
                    }
                    // In another state neither way fits.
                    open.context
                        .execute_without_session(|c| c.policy_or(policy, ways))
                        .map_err(|error| match TpmError::of("read the measured state", error) {
                            TpmError::Refused { .. } => TpmError::StateChanged,
                            other => other,
                        })?;
                }
            }
            let secret = open
                .context
                .execute_with_session(Some(session), |c| c.unseal(ObjectHandle::from(handle)))
                .during("unseal")?;
            Ok(Zeroizing::new(secret.value().to_vec()))
        })
    }

    /// Asks the TPM for the present state, in a small part of the time that [`Self::open`] takes.
    pub fn measured(&self, tpm: &Tpm) -> Result<Measured, TpmError> {
        tpm.act(|open| {
            let mut pcrs = self.pcrs.clone();
            pcrs.sort_unstable();
            pcrs.dedup();
            let mut values = Vec::with_capacity(pcrs.len());
            for some in pcrs.chunks(DigestList::MAX_SIZE) {
                let selection = selection(some)?;
                let (_, _, read) = open
                    .context
                    .execute_without_session(|c| c.pcr_read(selection))
                    .during("read the measured state")?;
                if read.len() != some.len() {
                    return Err(TpmError::Refused {
                        act: "read the measured state",
                        reason: format!("{} of {} values", read.len(), some.len()),
                    });
                }
                values.extend_from_slice(read.value());
            }
            Ok(Measured(values))
        })
    }
}

pub(crate) fn selection(pcrs: &[u8]) -> Result<PcrSelectionList, TpmError> {
    let mut slots = Vec::new();
    for pcr in pcrs {
        let bit = 1u32.checked_shl(u32::from(*pcr)).filter(|_| *pcr < 24);
        let slot = bit.and_then(|bit| PcrSlot::try_from(bit).ok());
        slots.push(slot.ok_or_else(|| TpmError::Configuration(format!("PCR {pcr}")))?);
    }
    PcrSelectionListBuilder::new()
        .with_selection(HashingAlgorithm::Sha256, &slots)
        .build()
        .during("select PCRs")
}

fn apply_policy(open: &mut Open, session: AuthSession, pcrs: &[u8]) -> Result<(), TpmError> {
    let policy = PolicySession::try_from(session).during("read the measured state")?;
    let selection = selection(pcrs)?;
    open.context
        .execute_without_session(|c| c.policy_pcr(policy, Digest::default(), selection))
        .during("read the measured state")
}

fn policy_digest(open: &mut Open, parent: KeyHandle, pcrs: &[u8]) -> Result<Digest, TpmError> {
    let selection = selection(pcrs)?;
    open.policy("read the measured state", parent, |c, trial| {
        c.policy_pcr(trial, Digest::default(), selection)
    })
}
