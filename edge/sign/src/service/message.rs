//! Signed messages: PKCS#7/CMS with or without their content (GB/T 35275, RFC 5652).

use std::sync::Arc;

use gm::cms::{self, Content, Unsigned};
use gm::{Certificate, Refused};
use records::Timestamp;

use super::data::MAX_DATA;
use super::{Caller, Desk, Service};
use crate::application::{Format, KeyIndex};
use crate::fault::{Code, Fault};
use crate::keys::{ServerKey, SharedSigner};

/// A message to be made.
#[derive(Debug)]
pub struct SignMessage {
    /// The key; the policy's first when absent.
    pub key: Option<KeyIndex>,
    /// Its access code.
    pub access_code: Option<String>,
    /// The content.
    pub data: Vec<u8>,
}

/// A message that was made.
#[derive(Debug)]
pub struct SignedMessage {
    /// DER.
    pub message: Vec<u8>,
    /// The key it was made with.
    pub key: KeyIndex,
    /// Serial number of the signer's certificate, in hexadecimal.
    pub serial: String,
    /// The signing time in it.
    pub signed_at: Timestamp,
}

/// A message to be verified.
#[derive(Debug)]
pub struct VerifyMessage {
    /// DER.
    pub message: Vec<u8>,
    /// The content, where the message does not hold it.
    pub data: Vec<u8>,
}

/// A message that holds.
#[derive(Debug)]
pub struct VerifiedMessage {
    /// The signer.
    pub signer: Certificate,
    /// When the signer says it was signed.
    pub signed_at: Timestamp,
}

impl Service {
    /// Signs a message without its content.
    pub async fn sign_message(self: &Arc<Self>, caller: &Caller, asked: SignMessage) -> Result<SignedMessage, Fault> {
        let bytes = asked.data.len();
        if bytes > MAX_DATA {
            return Err(Fault::new(Code::TooLarge, format!("最多 {MAX_DATA} 字节")));
        }
        self.perform(
            caller,
            "message.signed",
            Some(Format::Pkcs7Detached),
            bytes,
            move |desk| {
                let key = desk.key(asked.key, asked.access_code.as_deref())?;
                let (signer, chain) = key.in_use(desk.now)?;
                let own = chain.first().ok_or(Code::Certificate)?;
                let digest = signer.algorithm().hash().digest(&asked.data);
                let digest: [u8; 32] = digest.as_slice().try_into().map_err(|_| Code::SignMethod)?;
                let message = sign(&digest, signer, chain, desk.now)?;
                let serial = own.serial_hex();
                let detail = format!("key {} serial {serial} digest {}", key.index.0, hex::encode(digest));
                let signed = SignedMessage {
                    message,
                    key: key.index,
                    serial,
                    signed_at: desk.now,
                };
                Ok((signed, detail))
            },
        )
        .await
    }

    /// Verifies a message, and its signer's certificate under the application's chains.
    pub async fn verify_message(
        self: &Arc<Self>,
        caller: &Caller,
        asked: VerifyMessage,
    ) -> Result<VerifiedMessage, Fault> {
        let bytes = asked.data.len() + asked.message.len();
        if bytes > MAX_DATA {
            return Err(Fault::new(Code::TooLarge, format!("最多 {MAX_DATA} 字节")));
        }
        self.perform(
            caller,
            "message.verified",
            Some(Format::Pkcs7Detached),
            bytes,
            move |desk| {
                let trust = desk.trust()?;
                let seen = cms::verify(&asked.message, Content::Bytes(&asked.data), &trust, desk.now.offset());
                let seen = seen.map_err(refused)?;
                let detail = format!("serial {}", seen.signer.serial_hex());
                let verified = VerifiedMessage {
                    signed_at: Timestamp::from_offset(seen.signing_time),
                    signer: seen.signer,
                };
                Ok((verified, detail))
            },
        )
        .await
    }
}

fn sign(digest: &[u8; 32], signer: &SharedSigner, chain: &[Certificate], now: Timestamp) -> Result<Vec<u8>, Fault> {
    let own = chain.first().ok_or(Code::Certificate)?;
    let unsigned = Unsigned::new(digest, now.offset(), chain).map_err(refused)?;
    let signature = signer.sign(unsigned.to_be_signed()).map_err(|_| Code::Internal)?;
    // What does not verify is never answered (faulty memory).
    own.public_key
        .verify(signer.algorithm(), unsigned.to_be_signed(), &signature)
        .map_err(|_| Code::Internal)?;
    unsigned.finish(&signature).map_err(refused)
}

impl ServerKey {
    /// The private half and the chain of the certificate in use, which must be valid.
    pub(super) fn in_use(&self, now: Timestamp) -> Result<(&SharedSigner, &[Certificate]), Fault> {
        let chain = &self.certificate().ok_or(Code::Certificate)?.chain;
        let own = chain.first().ok_or(Code::Certificate)?;
        own.is_valid_at(now.offset()).map_err(refused)?;
        let signer = self.signer.as_ref();
        let signer = signer.ok_or_else(|| Fault::new(Code::DeviceAbsent, format!("密钥索引 {}", self.index.0)))?;
        Ok((signer, chain))
    }
}

impl Desk {
    /// The chains that the policy names.
    pub(super) fn trust(&self) -> Result<gm::Trust, Fault> {
        let chains = self.application.policy.chains.iter();
        let certificates = chains
            .filter_map(|id| self.state.chains.get(id))
            .flat_map(|c| &c.certificates);
        gm::Trust::new(certificates.map(|certificate| &certificate.der)).map_err(refused)
    }

    /// Whether a certificate holds under the application's policy.
    pub(super) fn judge(&self, certificate: &Certificate, others: &[Certificate], at: Timestamp) -> Result<(), Fault> {
        self.trust()?.path(certificate, others, at.offset()).map_err(refused)?;
        Ok(())
    }
}

/// The code for what the formats' crate refused.
pub(super) fn refused(refused: Refused) -> Fault {
    let code = match &refused {
        Refused::Expired { .. } => Code::CertificateExpired,
        Refused::NotYetValid { .. } => Code::CertificateNotYetValid,
        Refused::Untrusted | Refused::CertificateSignature { .. } | Refused::NotAnAuthority { .. } => {
            Code::ChainUnknown
        }
        Refused::WrongUsage => Code::WrongUsage,
        Refused::SignedInFuture => Code::SignedInFuture,
        Refused::SignatureInvalid | Refused::DigestMismatch => Code::SignatureInvalid,
        Refused::TooLarge { .. } => Code::TooLarge,
        Refused::Randomness => Code::Internal,
        _ => Code::DataFormat,
    };
    Fault::new(code, refused.to_string())
}
