//! Personal data at rest: SM4-GCM under a key per hospital, and a keyed SM3 index for exact search.
//!
//! A sealed value is `nonce (12) ‖ ciphertext ‖ tag (16)`; hospital and purpose are bound to it, so that a value moved
//! to another row's meaning does not open.

use std::sync::Arc;

use aes_gcm::AesGcm;
use aes_gcm::aead::{Aead, KeyInit, Payload, consts::U12};
use hmac::{Hmac, Mac};
use records::{Ids, TenantId};
use sm3::Sm3;
use sm4::Sm4;
use zeroize::Zeroizing;

type Sm4Gcm = AesGcm<Sm4, U12>;

const NONCE: usize = 12;

/// Why a value could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The master key is not 32 hexadecimal bytes.
    #[error("the master key must be 64 hexadecimal characters")]
    Key,
    /// The value was changed, belongs elsewhere, or was sealed under another key.
    #[error("a sealed value does not open")]
    Sealed,
}

impl From<VaultError> for crate::ApiError {
    fn from(error: VaultError) -> Self {
        Self::internal(error)
    }
}

/// Seals and indexes personal data.
pub struct Vault {
    master: Zeroizing<[u8; 32]>,
    ids: Arc<Ids>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// A vault under a master key of 64 hexadecimal characters.
    pub fn new(master_hex: &str, ids: Arc<Ids>) -> Result<Self, VaultError> {
        let mut master = Zeroizing::new([0_u8; 32]);
        hex::decode_to_slice(master_hex.trim(), master.as_mut_slice()).map_err(|_| VaultError::Key)?;
        Ok(Self { master, ids })
    }

    fn keyed(&self, tenant: &TenantId, label: &str, text: &[u8]) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let mut mac = <Hmac<Sm3> as KeyInit>::new_from_slice(self.master.as_slice()).map_err(|_| VaultError::Key)?;
        for part in [tenant.as_str().as_bytes(), label.as_bytes()] {
            mac.update(part);
            mac.update(&[0]);
        }
        mac.update(text);
        Ok(Zeroizing::new(mac.finalize().into_bytes().into()))
    }

    fn cipher(&self, tenant: &TenantId) -> Result<Sm4Gcm, VaultError> {
        let key = self.keyed(tenant, "seal", b"")?;
        let half = key.get(..16).ok_or(VaultError::Key)?;
        Sm4Gcm::new_from_slice(half).map_err(|_| VaultError::Key)
    }

    /// A secret of this hospital for one use, which is not stored anywhere.
    pub(crate) fn derived(&self, tenant: &TenantId, label: &str) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        self.keyed(tenant, &format!("derived\0{label}"), b"")
    }

    /// Seals a value of this hospital for one purpose, e.g. `account.phone`.
    pub fn seal(&self, tenant: &TenantId, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE] = self.ids.random();
        let aad = format!("{tenant}\0{purpose}");
        let payload = Payload {
            msg: plain,
            aad: aad.as_bytes(),
        };
        let sealed = self
            .cipher(tenant)?
            .encrypt(&nonce.into(), payload)
            .map_err(|_| VaultError::Sealed)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`Vault::seal`] made for the same hospital and purpose.
    pub fn open(&self, tenant: &TenantId, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (nonce, body) = sealed.split_at_checked(NONCE).ok_or(VaultError::Sealed)?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| VaultError::Sealed)?;
        let aad = format!("{tenant}\0{purpose}");
        let payload = Payload {
            msg: body,
            aad: aad.as_bytes(),
        };
        self.cipher(tenant)?
            .decrypt(&nonce.into(), payload)
            .map(Zeroizing::new)
            .map_err(|_| VaultError::Sealed)
    }

    /// Opens a text.
    pub fn open_text(&self, tenant: &TenantId, purpose: &str, sealed: &[u8]) -> Result<String, VaultError> {
        let plain = self.open(tenant, purpose, sealed)?;
        String::from_utf8(plain.to_vec()).map_err(|_| VaultError::Sealed)
    }

    /// A searchable stand-in: equal texts of one hospital and purpose have equal indexes, and nothing else shows.
    pub fn index(&self, tenant: &TenantId, purpose: &str, text: &str) -> Result<String, VaultError> {
        let label = format!("index\0{purpose}");
        Ok(hex::encode(self.keyed(tenant, &label, text.as_bytes())?.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::SeededEntropy;

    fn tenant(n: u8) -> TenantId {
        TenantId::parse(&format!("hos_{n}")).unwrap()
    }

    #[test]
    fn a_phone_number_opens_only_for_its_hospital_and_purpose() {
        let vault = Vault::new(&"07".repeat(32), Arc::new(Ids::new(SeededEntropy::new(1)))).unwrap();
        let sealed = vault.seal(&tenant(1), "phone", b"13800000000").unwrap();
        assert!(!sealed.windows(4).any(|w| w == b"1380"));
        assert_eq!(vault.open_text(&tenant(1), "phone", &sealed).unwrap(), "13800000000");
        assert_eq!(vault.open_text(&tenant(2), "phone", &sealed), Err(VaultError::Sealed));
        assert_eq!(
            vault.open_text(&tenant(1), "id_number", &sealed),
            Err(VaultError::Sealed)
        );
        let mut changed = sealed.clone();
        changed[20] ^= 1;
        assert_eq!(vault.open_text(&tenant(1), "phone", &changed), Err(VaultError::Sealed));
        assert_ne!(sealed, vault.seal(&tenant(1), "phone", b"13800000000").unwrap());
    }

    #[test]
    fn the_index_finds_equal_values_of_one_hospital_only() {
        let vault = Vault::new(&"07".repeat(32), Arc::new(Ids::new(SeededEntropy::new(1)))).unwrap();
        let one = vault.index(&tenant(1), "phone", "13800000000").unwrap();
        assert_eq!(one, vault.index(&tenant(1), "phone", "13800000000").unwrap());
        assert_ne!(one, vault.index(&tenant(2), "phone", "13800000000").unwrap());
        assert_ne!(one, vault.index(&tenant(1), "id_number", "13800000000").unwrap());
    }

    /// RFC 8998 appendix A.1.
    #[test]
    fn sm4_gcm_agrees_with_the_published_vector() {
        let key = hex::decode("0123456789abcdeffedcba9876543210").unwrap();
        let nonce: [u8; 12] = hex::decode("00001234567800000000abcd").unwrap().try_into().unwrap();
        let aad = hex::decode("feedfacedeadbeeffeedfacedeadbeefabaddad2").unwrap();
        let plain = hex::decode(
            "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa",
        )
        .unwrap();
        let sealed = Sm4Gcm::new_from_slice(&key)
            .unwrap()
            .encrypt(&nonce.into(), Payload { msg: &plain, aad: &aad })
            .unwrap();
        assert_eq!(
            hex::encode(sealed),
            "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d83de3541e4c2b58177e065a9bf7b62ec"
        );
    }
}
