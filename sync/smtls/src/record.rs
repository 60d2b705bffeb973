//! TLS_SM4_GCM_SM3: records protected by SM4-GCM (RFC 8998, 2; RFC 8446, 5.2).

use block::Gcm;
use rustls::crypto::CipherSuiteCommon;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter, Nonce,
    OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls13AeadAlgorithm, UnsupportedOperationError,
    make_tls13_aad,
};
use rustls::crypto::tls13::HkdfUsingHmac;
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion, SupportedCipherSuite, Tls13CipherSuite};
use zeroize::Zeroizing;

use crate::SUITE;
use crate::hash::{HmacSm3, Sm3Hash};

/// Bytes of a key.
const KEY: usize = 16;
/// Bytes of a tag.
const TAG: usize = 16;

/// The suite.
pub(crate) static SM4_GCM_SM3: SupportedCipherSuite = SupportedCipherSuite::Tls13(&Tls13CipherSuite {
    common: CipherSuiteCommon {
        suite: SUITE,
        hash_provider: &Sm3Hash,
        // The bound of AES-GCM (RFC 8446, 5.5) follows from the block's 128 bits, which are SM4's too.
        confidentiality_limit: 1 << 24,
    },
    hkdf_provider: &HkdfUsingHmac(&HmacSm3),
    aead_alg: &Sm4Gcm,
    quic: None,
});

pub(crate) struct Sm4Gcm;

impl Sm4Gcm {
    fn gcm(key: &AeadKey) -> Gcm {
        let mut bytes = Zeroizing::new([0u8; KEY]);
        bytes.iter_mut().zip(key.as_ref()).for_each(|(to, from)| *to = *from);
        Gcm::new(&bytes)
    }
}

impl Tls13AeadAlgorithm for Sm4Gcm {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Protection {
            gcm: Self::gcm(&key),
            iv,
        })
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Protection {
            gcm: Self::gcm(&key),
            iv,
        })
    }

    fn key_len(&self) -> usize {
        KEY
    }

    fn extract_keys(&self, _: AeadKey, _: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        // For the kernel's TLS, which the type has no variant of this suite for.
        Err(UnsupportedOperationError)
    }
}

/// One direction's key. `rustls` counts the records and ends the connection before a number comes again.
struct Protection {
    gcm: Gcm,
    iv: Iv,
}

impl MessageEncrypter for Protection {
    fn encrypt(&mut self, message: OutboundPlainMessage<'_>, number: u64) -> Result<OutboundOpaqueMessage, Error> {
        let length = self.encrypted_payload_len(message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(length);
        payload.extend_from_chunks(&message.payload);
        payload.extend_from_slice(&message.typ.to_array());
        let nonce = Nonce::new(&self.iv, number).0;
        let tag = self
            .gcm
            .seal_in_place(&nonce, &make_tls13_aad(length), payload.as_mut());
        payload.extend_from_slice(&tag);
        Ok(OutboundOpaqueMessage::new(
            ContentType::ApplicationData,
            // The record's version is always 0x0303 (RFC 8446, 5.1).
            ProtocolVersion::TLSv1_2,
            payload,
        ))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        length + 1 + TAG
    }
}

impl MessageDecrypter for Protection {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        number: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let payload = &mut message.payload;
        let length = payload.len();
        let (data, tag) = payload.split_last_chunk_mut::<TAG>().ok_or(Error::DecryptError)?;
        let nonce = Nonce::new(&self.iv, number).0;
        self.gcm
            .open_in_place(&nonce, &make_tls13_aad(length), data, tag)
            .map_err(|_| Error::DecryptError)?;
        payload.truncate(length - TAG);
        message.into_tls13_unpadded_message()
    }
}

#[cfg(test)]
mod tests;
