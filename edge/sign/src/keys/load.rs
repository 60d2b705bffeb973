//! Reading the keys and opening those that may be used.

use std::collections::BTreeMap;
use std::sync::Arc;

use gm::Certificate;
use gm::der::Reader;
use gm::key::{P256Key, RsaKey};

use super::{KeyAlgorithm, KeyCertificate, KeyState, ServerKey, SharedSigner};
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
        let may_be_used = matches!(state, KeyState::Certified | KeyState::Active | KeyState::Retired);
        let open_already = before
            .get(&index)
            .filter(|key| key.wrapped == row.wrapped)
            .and_then(|key| key.signer.clone());
        let signer = match (may_be_used, open_already, kek) {
            (true, Some(signer), _) => Some(signer),
            (true, None, Some(kek)) if row.custody == TPM => Some(open(&row, algorithm, kek)?),
            _ => None,
        };
        let key = ServerKey {
            index,
            label: row.label,
            algorithm,
            custody: row.custody,
            state,
            public_key: row.public_key,
            certificates: certificates.remove(&row.index).unwrap_or_default(),
            made_at: row.made_at,
            wrapped: row.wrapped,
            access_code: row.access_code,
            signer,
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
        KeyAlgorithm::P256 => Arc::new(P256Key::from_pkcs8(&secret)?),
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => Arc::new(RsaKey::from_pkcs8(&secret)?),
    };
    if signer.public_key().to_spki() != row.public_key {
        return Err(Refusal::Damaged("server key"));
    }
    Ok(signer)
}
