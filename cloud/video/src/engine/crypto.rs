//! WebRTC's cryptography over ring: SRTP ciphers, STUN's HMAC, DTLS with a certificate of our own making. Single AES
//! blocks, which ring does not offer, come from the `aes` crate.

use std::sync::Arc;
use std::time::Instant;

use aes::cipher::{BlockEncrypt, KeyInit};
use aes::{Aes128, Aes256, Block};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use ring::{digest, hmac};
use str0m_proto::crypto::dtls::{DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, ProtocolVersion};
use str0m_proto::crypto::{
    AeadAes128Gcm, AeadAes128GcmCipher, AeadAes256Gcm, AeadAes256GcmCipher, Aes128CmSha1_80Cipher, CryptoError,
    CryptoProvider, DtlsVersion, Sha1HmacProvider, Sha256Provider, SrtpProvider, SupportedAeadAes128Gcm,
    SupportedAeadAes256Gcm, SupportedAes128CmSha1_80,
};

/// What the room server hands to str0m.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        srtp_provider: &Ours,
        sha1_hmac_provider: &Ours,
        sha256_provider: &Ours,
        dtls_provider: &Ours,
    })
}

#[derive(Debug)]
struct Ours;

fn failed(what: &str) -> CryptoError {
    CryptoError::Other(what.to_owned())
}

impl Sha1HmacProvider for Ours {
    fn sha1_hmac(&self, key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
        let mut context = hmac::Context::with_key(&key);
        for payload in payloads {
            context.update(payload);
        }
        let mut tag = [0; 20];
        for (to, from) in tag.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        tag
    }
}

impl Sha256Provider for Ours {
    fn sha256(&self, data: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(digest::digest(&digest::SHA256, data).as_ref()) {
            *to = *from;
        }
        out
    }
}

/// AES-128 in counter mode (RFC 3711 4.1.1).
struct Counter(Aes128);

impl std::fmt::Debug for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counter")
    }
}

impl Aes128CmSha1_80Cipher for Counter {
    fn encrypt(&mut self, iv: &[u8; 16], input: &[u8], output: &mut [u8]) -> Result<(), CryptoError> {
        let mut counter = u128::from_be_bytes(*iv);
        let output = output.get_mut(..input.len()).ok_or_else(|| failed("short buffer"))?;
        for (from, to) in input.chunks(16).zip(output.chunks_mut(16)) {
            let mut block = Block::from(counter.to_be_bytes());
            self.0.encrypt_block(&mut block);
            for ((to, from), key) in to.iter_mut().zip(from).zip(block) {
                *to = from ^ key;
            }
            counter = counter.wrapping_add(1);
        }
        Ok(())
    }

    fn decrypt(&mut self, iv: &[u8; 16], input: &[u8], output: &mut [u8]) -> Result<(), CryptoError> {
        self.encrypt(iv, input, output)
    }
}

/// AES in Galois/counter mode (RFC 7714).
struct Galois(LessSafeKey);

impl std::fmt::Debug for Galois {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Galois")
    }
}

const TAG: usize = 16;

impl Galois {
    #[expect(clippy::expect_used, reason = "the key's length is in its type")]
    fn new(algorithm: &'static Algorithm, key: &[u8]) -> Self {
        Self(LessSafeKey::new(
            UnboundKey::new(algorithm, key).expect("a key of that length"),
        ))
    }

    fn lock(&self, iv: &[u8; 12], aad: &[u8], input: &[u8], output: &mut [u8]) -> Result<(), CryptoError> {
        let (body, rest) = output
            .split_at_mut_checked(input.len())
            .ok_or_else(|| failed("short buffer"))?;
        body.copy_from_slice(input);
        let nonce = Nonce::assume_unique_for_key(*iv);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(aad), body)
            .map_err(|_| failed("seal"))?;
        let place = rest.get_mut(..TAG).ok_or_else(|| failed("short buffer"))?;
        place.copy_from_slice(tag.as_ref());
        Ok(())
    }

    fn unlock(&self, iv: &[u8; 12], aads: &[&[u8]], input: &[u8], output: &mut [u8]) -> Result<usize, CryptoError> {
        let nonce = Nonce::assume_unique_for_key(*iv);
        let mut buffer = input.to_vec();
        let plain = self
            .0
            .open_in_place(nonce, Aad::from(aads.concat()), &mut buffer)
            .map_err(|_| failed("open"))?;
        let place = output.get_mut(..plain.len()).ok_or_else(|| failed("short buffer"))?;
        place.copy_from_slice(plain);
        Ok(plain.len())
    }
}

impl AeadAes128GcmCipher for Galois {
    fn encrypt(
        &mut self,
        iv: &[u8; AeadAes128Gcm::IV_LEN],
        aad: &[u8],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.lock(iv, aad, input, output)
    }

    fn decrypt(
        &mut self,
        iv: &[u8; AeadAes128Gcm::IV_LEN],
        aads: &[&[u8]],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CryptoError> {
        self.unlock(iv, aads, input, output)
    }
}

impl AeadAes256GcmCipher for Galois {
    fn encrypt(
        &mut self,
        iv: &[u8; AeadAes256Gcm::IV_LEN],
        aad: &[u8],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.lock(iv, aad, input, output)
    }

    fn decrypt(
        &mut self,
        iv: &[u8; AeadAes256Gcm::IV_LEN],
        aads: &[&[u8]],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CryptoError> {
        self.unlock(iv, aads, input, output)
    }
}

impl SupportedAes128CmSha1_80 for Ours {
    fn create_cipher(&self, key: [u8; 16], _encrypt: bool) -> Box<dyn Aes128CmSha1_80Cipher> {
        Box::new(Counter(Aes128::new(&key.into())))
    }
}

impl SupportedAeadAes128Gcm for Ours {
    fn create_cipher(&self, key: [u8; 16], _encrypt: bool) -> Box<dyn AeadAes128GcmCipher> {
        Box::new(Galois::new(&AES_128_GCM, &key))
    }
}

impl SupportedAeadAes256Gcm for Ours {
    fn create_cipher(&self, key: [u8; 32], _encrypt: bool) -> Box<dyn AeadAes256GcmCipher> {
        Box::new(Galois::new(&AES_256_GCM, &key))
    }
}

/// One block and its padding block: what the key derivation of SRTP reads.
fn round<C: BlockEncrypt<BlockSize = aes::cipher::consts::U16>>(cipher: &C, input: &[u8], output: &mut [u8]) {
    for (from, to) in [input, &[0x10; 16]].into_iter().zip(output.chunks_mut(16)) {
        let mut block = Block::default();
        for (to, from) in block.iter_mut().zip(from) {
            *to = *from;
        }
        cipher.encrypt_block(&mut block);
        for (to, from) in to.iter_mut().zip(block) {
            *to = from;
        }
    }
}

impl SrtpProvider for Ours {
    fn aes_128_cm_sha1_80(&self) -> &'static dyn SupportedAes128CmSha1_80 {
        &Self
    }

    fn aead_aes_128_gcm(&self) -> &'static dyn SupportedAeadAes128Gcm {
        &Self
    }

    fn aead_aes_256_gcm(&self) -> &'static dyn SupportedAeadAes256Gcm {
        &Self
    }

    fn srtp_aes_128_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        if let Ok(cipher) = Aes128::new_from_slice(key) {
            round(&cipher, input, output);
        }
    }

    fn srtp_aes_256_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        if let Ok(cipher) = Aes256::new_from_slice(key) {
            round(&cipher, input, output);
        }
    }
}

impl DtlsProvider for Ours {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).ok()?;
        let certificate = rcgen::CertificateParams::new(vec!["room".to_owned()])
            .ok()?
            .self_signed(&key)
            .ok()?;
        Some(DtlsCert {
            certificate: certificate.der().to_vec(),
            private_key: key.serialize_der(),
        })
    }

    fn new_dtls(
        &self,
        certificate: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        // ICE has verified the way back before DTLS begins, so the server's cookie adds nothing.
        let mut config = dimpl::Config::builder().use_server_cookie(false);
        if let Some(mtu) = mtu {
            config = config.mtu(mtu);
        }
        let config = Arc::new(config.build().map_err(|e| CryptoError::Other(e.to_string()))?);
        let certificate = dimpl::DtlsCertificate {
            certificate: certificate.certificate.clone(),
            private_key: certificate.private_key.clone(),
        };
        let dtls = match version {
            DtlsVersion::Dtls13 => dimpl::Dtls::new_13(config, certificate, now),
            DtlsVersion::Auto => dimpl::Dtls::new_auto(config, certificate, now),
            _ => dimpl::Dtls::new_12(config, certificate, now),
        };
        Ok(Box::new(Session(dtls)))
    }
}

struct Session(dimpl::Dtls);

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

impl DtlsInstance for Session {
    fn set_active(&mut self, active: bool) {
        self.0.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.0.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        self.0.poll_output(buffer)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.0.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<(), DtlsImplError> {
        self.0.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.0.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.0.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.0.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counter_mode_agrees_with_rfc_3711_appendix_b_2() {
        let key = 0x2B7E_1516_28AE_D2A6_ABF7_1588_09CF_4F3C_u128.to_be_bytes();
        let iv = 0xF0F1_F2F3_F4F5_F6F7_F8F9_FAFB_FCFD_0000_u128.to_be_bytes();
        let mut cipher = SupportedAes128CmSha1_80::create_cipher(&Ours, key, true);
        let mut stream = [0; 48];
        cipher.encrypt(&iv, &[0; 48], &mut stream).unwrap();
        let blocks: Vec<u128> = stream
            .chunks(16)
            .map(|c| u128::from_be_bytes(c.try_into().unwrap()))
            .collect();
        assert_eq!(
            blocks,
            [
                0xE03E_AD09_35C9_5E80_E166_B16D_D92B_4EB4,
                0xD235_1316_2B02_D0F7_2A43_A2FE_4A5F_97AB,
                0x41E9_5B3B_B0A2_E8DD_4779_01E4_FCA8_94C0,
            ]
        );
    }

    #[test]
    fn what_galois_mode_locks_it_unlocks_and_a_changed_byte_it_refuses() {
        let mut cipher = SupportedAeadAes128Gcm::create_cipher(&Ours, [7; 16], true);
        let (iv, aad, mut locked, mut plain) = ([1; 12], [9; 12], [0; 5 + TAG], [0; 5]);
        cipher.encrypt(&iv, &aad, b"hello", &mut locked).unwrap();
        assert_eq!(
            cipher
                .decrypt(&iv, &[&aad[..4], &aad[4..]], &locked, &mut plain)
                .unwrap(),
            5
        );
        assert_eq!(&plain, b"hello");
        locked[0] ^= 1;
        assert!(cipher.decrypt(&iv, &[&aad], &locked, &mut plain).is_err());
    }
}
