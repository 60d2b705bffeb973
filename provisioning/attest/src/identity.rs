//! Which machine this is: an attestation key and a device key (ECDSA P-256) that never leave the TPM.
//!
//! `tpm-keys.json` in the state directory holds both as the TPM's own wrapped blobs; they work in no other TPM. Losing the
//! file loses nothing: new keys are made and attested again under the same endorsement key.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tss_esapi::abstraction::{AsymmetricAlgorithmSelection, ek};
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::constants::SessionType;
use tss_esapi::constants::tss::{TPM2_RH_NULL, TPM2_ST_HASHCHECK};
use tss_esapi::handles::{AuthHandle, KeyHandle, SessionHandle};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{
    Data, Digest, EccPoint, EccScheme, EncryptedSecret, HashScheme, IdObject, KeyDerivationFunctionScheme, Private,
    Public, PublicBuilder, PublicEccParametersBuilder, Signature, SignatureScheme, SymmetricDefinition,
    SymmetricDefinitionObject,
};
use tss_esapi::traits::{Marshall, UnMarshall};
use tss_esapi::tss2_esys::TPMT_TK_HASHCHECK;
use zeroize::Zeroizing;

use crate::seal::selection;
use crate::tpm::{During, Open, Tpm, TpmError};

const FILE: &str = "tpm-keys.json";
const EK: AsymmetricAlgorithmSelection = AsymmetricAlgorithmSelection::Ecc(EccCurve::NistP256);

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The TPM would not.
    #[error(transparent)]
    Tpm(#[from] TpmError),
    /// The blobs could not be kept.
    #[error("identity file: {0}")]
    File(#[from] std::io::Error),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Blob {
    public: Vec<u8>,
    private: Vec<u8>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Keys {
    attestation: Blob,
    device: Blob,
}

/// The keys of this machine.
#[derive(Debug)]
pub struct Identity {
    tpm: Arc<Tpm>,
    keys: Keys,
}

/// An ECDSA signature as the TPM gives it.
#[derive(Debug, Clone)]
pub struct Ecdsa {
    /// `r`, big-endian.
    pub r: Vec<u8>,
    /// `s`, big-endian.
    pub s: Vec<u8>,
}

/// What the attestation key says of this machine, with its signature.
#[derive(Debug, Clone)]
pub struct Statement {
    /// `TPMS_ATTEST`.
    pub attest: Vec<u8>,
    /// The attestation key's signature over it.
    pub signature: Ecdsa,
}

/// The answer to a challenge.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The credential's secret.
    pub secret: Vec<u8>,
    /// `TPMS_ATTEST` about the device key.
    pub certified: Vec<u8>,
    /// The attestation key's signature over it.
    pub signature: Ecdsa,
}

/// The endorsement key's `TPMT_PUBLIC`: who this TPM is, for ever.
pub fn endorsement_key(tpm: &Tpm) -> Result<Vec<u8>, TpmError> {
    tpm.act(|open| {
        let ek = make_ek(open)?;
        let (public, _, _) = open
            .context
            .execute_without_session(|c| c.read_public(ek))
            .during("read the EK")?;
        public.marshall().during("read the EK")
    })
}

/// The chip maker's certificate for it, where the chip carries one.
#[must_use]
pub fn endorsement_certificate(tpm: &Tpm) -> Option<Vec<u8>> {
    tpm.act(|open| {
        open.context
            .execute_with_nullauth_session(|c| ek::retrieve_ek_pubcert(c, EK))
            .during("read the EK certificate")
    })
    .ok()
}

impl Identity {
    /// The keys kept in `dir`; made when there are none, or when the TPM has been replaced or cleared.
    pub fn open(tpm: Arc<Tpm>, dir: &Path) -> Result<Self, IdentityError> {
        let path = dir.join(FILE);
        if let Ok(text) = std::fs::read(&path)
            && let Ok(keys) = serde_json::from_slice(&text)
        {
            let identity = Self { tpm: tpm.clone(), keys };
            match identity.try_load() {
                Ok(()) => return Ok(identity),
                Err(TpmError::Replaced | TpmError::Malformed) => {}
                Err(other) => return Err(other.into()),
            }
        }
        let keys = tpm.act(|open| {
            let parent = open.storage_key()?;
            Ok(Keys {
                attestation: make_key(open, parent, true)?,
                device: make_key(open, parent, false)?,
            })
        })?;
        save(dir, &keys)?;
        Ok(Self { tpm, keys })
    }

    fn try_load(&self) -> Result<(), TpmError> {
        self.tpm.act(|open| {
            let parent = open.storage_key()?;
            load(open, parent, &self.keys.attestation)?;
            load(open, parent, &self.keys.device).map(|_| ())
        })
    }

    /// The attestation key's `TPMT_PUBLIC`.
    #[must_use]
    pub fn attestation_key(&self) -> &[u8] {
        &self.keys.attestation.public
    }

    /// The device key's `TPMT_PUBLIC`.
    #[must_use]
    pub fn device_key(&self) -> &[u8] {
        &self.keys.device.public
    }

    /// Opens the credential and certifies the device key with the server's nonce.
    pub fn answer(&self, credential: &[u8], secret: &[u8], nonce: &[u8]) -> Result<Answer, TpmError> {
        let credential = IdObject::try_from(credential.to_vec()).map_err(|_| TpmError::Malformed)?;
        let secret = EncryptedSecret::try_from(secret.to_vec()).map_err(|_| TpmError::Malformed)?;
        let nonce = Data::try_from(nonce.to_vec()).map_err(|_| TpmError::Malformed)?;
        let secret = self.tpm.act(|open| self.open_credential(open, credential, secret))?;
        let (certified, signature) = self.tpm.act(|open| self.certify(open, nonce))?;
        Ok(Answer {
            secret,
            certified,
            signature,
        })
    }

    /// The secret of a credential that was made for this TPM's endorsement key and this attestation key.
    pub fn open_secret(&self, credential: &[u8], secret: &[u8]) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let credential = IdObject::try_from(credential.to_vec()).map_err(|_| TpmError::Malformed)?;
        let secret = EncryptedSecret::try_from(secret.to_vec()).map_err(|_| TpmError::Malformed)?;
        let opened = self.tpm.act(|open| self.open_credential(open, credential, secret))?;
        Ok(Zeroizing::new(opened))
    }

    /// The attestation key certifies the device key, with this nonce.
    pub fn certify_device_key(&self, nonce: &[u8]) -> Result<Statement, TpmError> {
        let nonce = Data::try_from(nonce.to_vec()).map_err(|_| TpmError::Malformed)?;
        let (attest, signature) = self.tpm.act(|open| self.certify(open, nonce))?;
        Ok(Statement { attest, signature })
    }

    /// The measured state: these PCRs of the sha256 bank, with this nonce.
    pub fn quote(&self, pcrs: &[u8], nonce: &[u8]) -> Result<Statement, TpmError> {
        let act = "quote the measured state";
        let nonce = Data::try_from(nonce.to_vec()).map_err(|_| TpmError::Malformed)?;
        let selection = selection(pcrs)?;
        self.tpm.act(|open| {
            let parent = open.storage_key()?;
            let ak = load(open, parent, &self.keys.attestation)?;
            let (attest, signature) = open
                .context
                .execute_with_nullauth_session(|c| c.quote(ak, nonce, SignatureScheme::Null, selection))
                .during(act)?;
            Ok(Statement {
                attest: attest.marshall().during(act)?,
                signature: halves(signature)?,
            })
        })
    }

    fn open_credential(
        &self,
        open: &mut Open,
        credential: IdObject,
        secret: EncryptedSecret,
    ) -> Result<Vec<u8>, TpmError> {
        let act = "open the credential";
        let parent = open.storage_key()?;
        let ak = load(open, parent, &self.keys.attestation)?;
        let ek = make_ek(open)?;
        let by_owner = open.session(SessionType::Hmac, parent)?;
        let policy = plain_policy_session(open)?;
        let by_policy = PolicySession::try_from(policy).during(act)?;
        open.context
            .execute_with_nullauth_session(|c| {
                c.policy_secret(
                    by_policy,
                    AuthHandle::Endorsement,
                    Default::default(),
                    Default::default(),
                    Default::default(),
                    None,
                )
            })
            .during(act)?;
        let opened = open
            .context
            .execute_with_sessions((Some(by_owner), Some(policy), None), |c| {
                c.activate_credential(ak, ek, credential, secret)
            })
            .during(act)?;
        Ok(opened.value().to_vec())
    }

    fn certify(&self, open: &mut Open, nonce: Data) -> Result<(Vec<u8>, Ecdsa), TpmError> {
        let act = "certify the device key";
        let parent = open.storage_key()?;
        let ak = load(open, parent, &self.keys.attestation)?;
        let device = load(open, parent, &self.keys.device)?;
        let sessions = (Some(AuthSession::Password), Some(AuthSession::Password), None);
        let (attest, signature) = open
            .context
            .execute_with_sessions(sessions, |c| c.certify(device.into(), ak, nonce, SignatureScheme::Null))
            .during(act)?;
        Ok((attest.marshall().during(act)?, halves(signature)?))
    }

    /// ECDSA over a SHA-256 digest by the device key. Blocks for as long as the chip needs.
    pub fn sign(&self, digest: &[u8; 32]) -> Result<Ecdsa, TpmError> {
        let act = "sign";
        self.tpm.act(|open| {
            let parent = open.storage_key()?;
            let device = load(open, parent, &self.keys.device)?;
            let digest = Digest::try_from(digest.to_vec()).during(act)?;
            let ticket = TPMT_TK_HASHCHECK {
                tag: TPM2_ST_HASHCHECK,
                hierarchy: TPM2_RH_NULL,
                digest: Default::default(),
            }
            .try_into()
            .during(act)?;
            let scheme = SignatureScheme::EcDsa {
                hash_scheme: HashScheme::new(HashingAlgorithm::Sha256),
            };
            let session = open.session(SessionType::Hmac, parent)?;
            let signature = open
                .context
                .execute_with_session(Some(session), |c| c.sign(device, digest, scheme, ticket))
                .during(act)?;
            halves(signature)
        })
    }
}

fn halves(signature: Signature) -> Result<Ecdsa, TpmError> {
    match signature {
        Signature::EcDsa(pair) => Ok(Ecdsa {
            r: pair.signature_r().value().to_vec(),
            s: pair.signature_s().value().to_vec(),
        }),
        _ => Err(TpmError::Malformed),
    }
}

fn make_ek(open: &mut Open) -> Result<KeyHandle, TpmError> {
    let ek = open
        .context
        .execute_without_session(|c| ek::create_ek_object_2(c, EK, None))
        .during("make the EK")?;
    open.flush_later(ek);
    Ok(ek)
}

fn plain_policy_session(open: &mut Open) -> Result<AuthSession, TpmError> {
    let session = open
        .context
        .execute_without_session(|c| {
            c.start_auth_session(
                None,
                None,
                None,
                SessionType::Policy,
                SymmetricDefinition::AES_128_CFB,
                HashingAlgorithm::Sha256,
            )
        })
        .during("open a session")?
        .ok_or(TpmError::Malformed)?;
    open.flush_later(SessionHandle::from(session));
    Ok(session)
}

fn make_key(open: &mut Open, parent: KeyHandle, restricted: bool) -> Result<Blob, TpmError> {
    let act = "make a key";
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .with_sign_encrypt(true)
        .with_restricted(restricted)
        .build()
        .during(act)?;
    let parameters = PublicEccParametersBuilder::new()
        .with_symmetric(SymmetricDefinitionObject::Null)
        .with_ecc_scheme(EccScheme::EcDsa(HashScheme::new(HashingAlgorithm::Sha256)))
        .with_curve(EccCurve::NistP256)
        .with_key_derivation_function_scheme(KeyDerivationFunctionScheme::Null)
        .with_is_signing_key(true)
        .with_restricted(restricted)
        .build()
        .during(act)?;
    let public = PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_ecc_parameters(parameters)
        .with_ecc_unique_identifier(EccPoint::default())
        .build()
        .during(act)?;
    let made = open
        .context
        .execute_with_nullauth_session(|c| c.create(parent, public, None, None, None, None))
        .during(act)?;
    Ok(Blob {
        public: made.out_public.marshall().during(act)?,
        private: made.out_private.value().to_vec(),
    })
}

fn load(open: &mut Open, parent: KeyHandle, blob: &Blob) -> Result<KeyHandle, TpmError> {
    let public = Public::unmarshall(&blob.public).map_err(|_| TpmError::Malformed)?;
    let private = Private::try_from(blob.private.clone()).map_err(|_| TpmError::Malformed)?;
    let handle = open
        .context
        .execute_with_nullauth_session(|c| c.load(parent, private, public))
        .during("load a key")?;
    open.flush_later(handle);
    Ok(handle)
}

/// Written whole or not at all.
fn save(dir: &Path, keys: &Keys) -> std::io::Result<()> {
    let text = serde_json::to_vec(keys).map_err(std::io::Error::other)?;
    let new = dir.join("tpm-keys.json.new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(&text)?;
    file.sync_all()?;
    std::fs::rename(&new, dir.join(FILE))?;
    File::open(dir)?.sync_all()
}
