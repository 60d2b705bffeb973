//! Reading the keys and opening those that may be used.

use std::collections::BTreeMap;
use std::sync::Arc;

use curve::Ciphertext;
use gm::der::Reader;
use gm::key::PrivateKey;
use gm::{Algorithm, Certificate, PublicKey, Refused, Signer};
use zeroize::Zeroizing;

use super::device::{DeviceSigner, Devices};
use super::{KeyAlgorithm, KeyCertificate, KeyPurpose, KeyState, ServerKey, SharedSigner};
use crate::Refusal;
use crate::application::KeyIndex;
use crate::engine::{open_key, sm2_key};
use crate::vault::{KeyRow, Unit};

/// Keys wrapped here, under the TPM.
pub(crate) const TPM: &str = "tpm";

/// The owner's name under which a key is wrapped.
pub(crate) fn owner(index: u32) -> String {
    format!("server key {index}")
}

/// All keys. Those that were open before and have not changed are not opened again; `kek` is asked for at most once.
pub(crate) fn load(
    unit: &Unit<'_>,
    before: &BTreeMap<KeyIndex, Arc<ServerKey>>,
    kek: Option<&[u8]>,
    devices: &Devices,
) -> Result<BTreeMap<KeyIndex, Arc<ServerKey>>, Refusal> {
    let mut certificates: BTreeMap<u32, Vec<KeyCertificate>> = BTreeMap::new();
    for row in unit.key_certificates()? {
        let mut chain = vec![Certificate::parse(&row.certificate)?];
        let mut reader = Reader::new(&row.chain, "chain");
        while !reader.is_empty() {
            chain.push(Certificate::parse(reader.any()?.raw)?);
        }
        certificates.entry(row.index).or_default().push(KeyCertificate {
            number: row.number,
            chain,
            imported_at: row.imported_at,
        });
    }
    let mut keys = BTreeMap::new();
    for row in unit.keys()? {
        let index = KeyIndex(row.index);
        let state = KeyState::named(&row.state).ok_or(Refusal::Damaged("key state"))?;
        let algorithm = KeyAlgorithm::named(&row.algorithm).ok_or(Refusal::Damaged("key algorithm"))?;
        let purpose = KeyPurpose::named(&row.purpose).ok_or(Refusal::Damaged("key purpose"))?;
        let may_be_used = matches!(state, KeyState::Certified | KeyState::Active | KeyState::Retired);
        let in_device = match devices.get(&row.custody).filter(|_| may_be_used) {
            Some(held) => Some(Arc::new(DeviceSigner::new(held, &row.reference, &row.public_key)?)),
            None => None,
        };
        let open_already = before
            .get(&index)
            .filter(|key| row.custody == TPM && key.wrapped == row.wrapped)
            .and_then(|key| key.signer.clone());
        let signer = match (may_be_used, open_already, &in_device, kek) {
            (true, Some(signer), _, _) => Some(signer),
            (true, None, Some(signer), _) => Some(limited(purpose, Arc::clone(signer) as SharedSigner)),
            (true, None, None, Some(kek)) if row.custody == TPM => Some(limited(purpose, open(&row, algorithm, kek)?)),
            _ => None,
        };
        let key = ServerKey {
            index,
            label: row.label,
            algorithm,
            custody: row.custody,
            purpose,
            state,
            public_key: row.public_key,
            certificates: certificates.remove(&row.index).unwrap_or_default(),
            made_at: row.made_at,
            wrapped: row.wrapped,
            access_code: row.access_code,
            signer,
            in_device,
            reference: row.reference,
        };
        keys.insert(index, Arc::new(key));
    }
    Ok(keys)
}

/// Opens a key that is wrapped here.
pub(crate) fn open(row: &KeyRow, algorithm: KeyAlgorithm, kek: &[u8]) -> Result<SharedSigner, Refusal> {
    let wrapped = row.wrapped.as_deref().ok_or(Refusal::Damaged("server key"))?;
    let secret = open_key(kek, wrapped, &owner(row.index), "server key")?;
    let signer: SharedSigner = match algorithm {
        KeyAlgorithm::Sm2 => Arc::new(sm2_key(&secret)?),
        KeyAlgorithm::P256 | KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
            match PrivateKey::from_pkcs8(&secret)? {
                PrivateKey::Sm2(key) => Arc::new(*key),
                PrivateKey::P256(key) => Arc::new(*key),
                PrivateKey::Rsa(key) => Arc::new(*key),
            }
        }
    };
    if signer.public_key().to_spki() != row.public_key {
        return Err(Refusal::Damaged("server key"));
    }
    Ok(signer)
}

/// The key for its purpose alone.
fn limited(purpose: KeyPurpose, signer: SharedSigner) -> SharedSigner {
    match purpose {
        KeyPurpose::Sign => signer,
        KeyPurpose::Encrypt => Arc::new(Opens(signer)),
    }
}

/// A key for encryption: it opens and does not sign.
struct Opens(SharedSigner);

impl Signer for Opens {
    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, Refused> {
        Err(Refused::WrongUsage)
    }

    fn sign_digest(&self, _digest: &[u8]) -> Result<Vec<u8>, Refused> {
        Err(Refused::WrongUsage)
    }

    fn sign_digest_as(&self, _algorithm: Algorithm, _digest: &[u8]) -> Result<Vec<u8>, Refused> {
        Err(Refused::WrongUsage)
    }

    fn sign_as(&self, _algorithm: Algorithm, _message: &[u8]) -> Result<Vec<u8>, Refused> {
        Err(Refused::WrongUsage)
    }

    fn open(&self, text: &Ciphertext) -> Result<Zeroizing<Vec<u8>>, Refused> {
        self.0.open(text)
    }
}
