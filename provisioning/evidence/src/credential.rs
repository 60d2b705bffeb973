//! `TPM2_MakeCredential` without a TPM (Part 1, 24; KDFa and KDFe of Part 1, 11.4.10).

use aes::Aes128;
use aes::cipher::{AsyncStreamCipher, KeyIvInit};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::rand::SystemRandom;
use zeroize::Zeroizing;

use crate::structure::{Refused, TpmKey};

/// A secret that only the TPM holding `ek` can read, and only if it also holds the key called `name`.
#[derive(Debug, Clone)]
pub struct Credential {
    /// `TPM2B_ID_OBJECT` content.
    pub blob: Vec<u8>,
    /// `TPM2B_ENCRYPTED_SECRET` content.
    pub secret: Vec<u8>,
}

/// Makes a credential for an ECC P-256 endorsement key.
pub fn make_credential(ek: &TpmKey, name: &[u8], credential: &[u8; 32]) -> Result<Credential, Refused> {
    let rng = SystemRandom::new();
    let ours = EphemeralPrivateKey::generate(&ECDH_P256, &rng).map_err(|_| Refused::Credential)?;
    let our_point = ours.compute_public_key().map_err(|_| Refused::Credential)?;
    let our_x = our_point.as_ref().get(1..33).ok_or(Refused::Credential)?;
    let our_y = our_point.as_ref().get(33..65).ok_or(Refused::Credential)?;
    let their_x = ek.point().get(1..33).ok_or(Refused::Credential)?;
    let their_point = UnparsedPublicKey::new(&ECDH_P256, ek.point());
    let seed = agree_ephemeral(ours, &their_point, |z| {
        // KDFe: one block suffices for 256 bits
        let input = Zeroizing::new([&1u32.to_be_bytes(), z, b"IDENTITY\0", our_x, their_x].concat());
        Zeroizing::new(digest(&SHA256, &input).as_ref().to_vec())
    })
    .map_err(|_| Refused::Credential)?;

    let symmetric = kdfa(&seed, b"STORAGE\0", name, 128);
    let mut identity = sized(credential);
    cfb_mode::Encryptor::<Aes128>::new_from_slices(symmetric.get(..16).unwrap_or_default(), &[0; 16])
        .map_err(|_| Refused::Credential)?
        .encrypt(&mut identity);
    let integrity = kdfa(&seed, b"INTEGRITY\0", &[], 256);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &integrity);
    let tag = hmac::sign(&key, &[&identity, name].concat());
    Ok(Credential {
        blob: [sized(tag.as_ref()), identity].concat(),
        secret: [sized(our_x), sized(our_y)].concat(),
    })
}

/// KDFa with SHA-256, up to 256 bits; `label` ends with its zero byte.
fn kdfa(key: &[u8], label: &[u8], context: &[u8], bits: u32) -> Zeroizing<Vec<u8>> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let input = [&1u32.to_be_bytes(), label, context, &bits.to_be_bytes()].concat();
    Zeroizing::new(hmac::sign(&key, &input).as_ref().to_vec())
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}
