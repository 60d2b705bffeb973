//! Wrapping of keys: AES-256-GCM, nonce in front, the owner's name as associated data.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

use crate::Refusal;

/// A key for wrapping keys.
pub(crate) struct Wrapping(Zeroizing<[u8; 32]>);

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

impl Wrapping {
    /// From the KEK, and from the PIN where there is one.
    pub(crate) fn derive(kek: &[u8], pin: Option<&[u8; 32]>, owner: &str) -> Result<Self, Refusal> {
        let salt = Salt::new(HKDF_SHA256, pin.map_or(&[][..], |p| p.as_slice()));
        let mut key = Zeroizing::new([0u8; 32]);
        salt.extract(kek)
            .expand(&[b"signd wrap", owner.as_bytes()], Length)
            .and_then(|okm| okm.fill(key.as_mut_slice()))
            .map_err(|_| Refusal::Damaged("key of keys"))?;
        Ok(Self(key))
    }

    fn key(&self) -> Result<LessSafeKey, Refusal> {
        UnboundKey::new(&AES_256_GCM, self.0.as_slice())
            .map(LessSafeKey::new)
            .map_err(|_| Refusal::Damaged("key of keys"))
    }

    pub(crate) fn wrap(&self, secret: &[u8], owner: &str) -> Result<Vec<u8>, Refusal> {
        let nonce = random::<NONCE_LEN>()?;
        let mut sealed = Zeroizing::new(secret.to_vec());
        self.key()?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(owner.as_bytes()),
                &mut *sealed,
            )
            .map_err(|_| Refusal::Damaged("key"))?;
        Ok([&nonce[..], &sealed[..]].concat())
    }

    /// `None` when the key is another one: the PIN was wrong, or the bytes were changed.
    pub(crate) fn unwrap(&self, wrapped: &[u8], owner: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Refusal> {
        let (nonce, sealed) = wrapped
            .split_at_checked(NONCE_LEN)
            .ok_or(Refusal::Damaged("wrapped key"))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Refusal::Damaged("wrapped key"))?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let length = self
            .key()?
            .open_in_place(nonce, Aad::from(owner.as_bytes()), &mut opened)
            .map(|plain| plain.len());
        Ok(length.ok().map(|length| {
            opened.truncate(length);
            opened
        }))
    }
}

/// A secret for one purpose, the same whenever it is derived from the same KEK.
pub(crate) fn derived(kek: &[u8], purpose: &str) -> Result<Zeroizing<[u8; 32]>, Refusal> {
    Wrapping::derive(kek, None, purpose).map(|derived| derived.0)
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Refusal> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(|_| Refusal::Damaged("random source"))?;
    Ok(bytes)
}
