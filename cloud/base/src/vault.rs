//! Personal data at rest: SM4-GCM under a key per hospital, and a keyed SM3 index for exact search.
//!
//! A sealed value is `nonce (12) ‖ ciphertext ‖ tag (16)`; hospital and purpose are bound to it, so that a value moved
//! to another row's meaning does not open.

use std::sync::Arc;

use block::Gcm;
use gm::Sm2Key;
use hmac::{Hmac, KeyInit, Mac};
use records::{Ids, TenantId};
use sm3::Sm3;
use zeroize::Zeroizing;

const NONCE: usize = 12;
const TAG: usize = 16;

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

    fn cipher(&self, tenant: &TenantId) -> Result<Gcm, VaultError> {
        let key = self.keyed(tenant, "seal", b"")?;
        let half = key.first_chunk().ok_or(VaultError::Key)?;
        Ok(Gcm::new(half))
    }

    /// A secret of this hospital for one use, which is not stored anywhere.
    pub(crate) fn derived(&self, tenant: &TenantId, label: &str) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        self.keyed(tenant, &format!("derived\0{label}"), b"")
    }

    /// A key of this hospital that signs for one use; it is not stored anywhere either.
    pub fn signing_key(&self, tenant: &TenantId, label: &str) -> Result<Sm2Key, VaultError> {
        // A derived scalar lies outside of the curve's order about once in 2^32.
        (0..8_u8)
            .find_map(|n| Sm2Key::from_secret(self.derived(tenant, &format!("{label}\0{n}")).ok()?).ok())
            .ok_or(VaultError::Key)
    }

    /// A secret of this hospital for one use that its appliance shares.
    pub fn shared_secret(&self, tenant: &TenantId, label: &str) -> Result<Zeroizing<[u8; 16]>, VaultError> {
        let derived = self.derived(tenant, &format!("shared\0{label}"))?;
        derived
            .first_chunk()
            .copied()
            .map(Zeroizing::new)
            .ok_or(VaultError::Key)
    }

    /// Seals a value of this hospital for one purpose, e.g. `account.phone`.
    pub fn seal(&self, tenant: &TenantId, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE] = self.ids.random();
        let aad = format!("{tenant}\0{purpose}");
        let mut sealed = Vec::with_capacity(NONCE + plain.len() + TAG);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let text = sealed.get_mut(NONCE..).unwrap_or_default();
        let tag = self.cipher(tenant)?.seal_in_place(&nonce, aad.as_bytes(), text);
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens what [`Vault::seal`] made for the same hospital and purpose.
    pub fn open(&self, tenant: &TenantId, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(VaultError::Sealed)?;
        let (body, tag) = rest.split_last_chunk::<TAG>().ok_or(VaultError::Sealed)?;
        let aad = format!("{tenant}\0{purpose}");
        let mut text = Zeroizing::new(body.to_vec());
        self.cipher(tenant)?
            .open_in_place(nonce, aad.as_bytes(), &mut text, tag)
            .map_err(|_| VaultError::Sealed)?;
        Ok(text)
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

    const LONG_AGO: &str = "c15c0289ec2d0a9167ec8e65362b694d9537df47b843dd6295200aa66fcc81ff2f0c68b0604694";

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

    /// What lies in databases since before must open: sealed once by another implementation (RustCrypto sm4 and aes-gcm).
    #[test]
    fn a_value_sealed_long_ago_opens() {
        let vault = Vault::new(&"07".repeat(32), Arc::new(Ids::new(SeededEntropy::new(1)))).unwrap();
        let sealed = hex::decode(LONG_AGO).unwrap();
        assert_eq!(vault.open_text(&tenant(1), "phone", &sealed).unwrap(), "13800000000");
        assert_eq!(vault.seal(&tenant(1), "phone", b"13800000000").unwrap(), sealed);
    }
}
