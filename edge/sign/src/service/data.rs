//! Raw signatures (PKCS#1; SM2 as GB/T 35276 has it), each with an entry in the log that names key and digest.

use std::sync::Arc;

use gm::{Algorithm, Certificate, PublicKey};

use super::{Caller, Service};
use crate::application::{Format, KeyIndex};
use crate::fault::{Code, Fault};

/// Longer data is signed by parts.
pub const MAX_DATA: usize = 16 * 1024 * 1024;

/// Data to be signed.
#[derive(Debug)]
pub struct SignData {
    /// The key; the policy's first when absent.
    pub key: Option<KeyIndex>,
    /// Its access code.
    pub access_code: Option<String>,
    /// The data.
    pub data: Vec<u8>,
}

/// A raw signature.
#[derive(Debug)]
pub struct SignedData {
    /// DER for SM2 and ECDSA, the bare number for RSA.
    pub signature: Vec<u8>,
    /// The key it was made with.
    pub key: KeyIndex,
    /// The key's certificate.
    pub certificate: Certificate,
}

/// A raw signature to be verified.
#[derive(Debug)]
pub struct VerifyData {
    /// The public key's certificate, DER.
    pub certificate: Vec<u8>,
    /// The data.
    pub data: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

impl Service {
    /// Signs data.
    pub async fn sign_data(self: &Arc<Self>, caller: &Caller, asked: SignData) -> Result<SignedData, Fault> {
        let bytes = size(&asked.data)?;
        self.perform(caller, "data.signed", Some(Format::Pkcs1), bytes, move |desk| {
            let key = desk.key(asked.key, asked.access_code.as_deref())?;
            let (signer, chain) = key.in_use(desk.now)?;
            let signature = signer.sign(&asked.data).map_err(|_| Code::Internal)?;
            let certificate = chain.first().ok_or(Code::Certificate)?.clone();
            // What does not verify is never answered (faulty memory).
            verify(&certificate.public_key, signer.algorithm(), &asked.data, &signature)?;
            let digest = hex::encode(gm::sm3(&asked.data));
            let detail = format!("key {} serial {} sm3 {digest}", key.index.0, certificate.serial_hex());
            let signed = SignedData {
                signature,
                key: key.index,
                certificate,
            };
            Ok((signed, detail))
        })
        .await
    }

    /// Verifies a signature over data, and the certificate under the application's chains.
    pub async fn verify_data(self: &Arc<Self>, caller: &Caller, asked: VerifyData) -> Result<Certificate, Fault> {
        let bytes = size(&asked.data)?;
        self.perform(caller, "data.verified", Some(Format::Pkcs1), bytes, move |desk| {
            let certificate = Certificate::parse(&asked.certificate)
                .map_err(|refused| Fault::new(Code::CertificateDecode, refused.to_string()))?;
            let key = &certificate.public_key;
            let algorithm = Algorithm::default_of(key.kind());
            verify(key, algorithm, &asked.data, &asked.signature)?;
            desk.judge(&certificate, &[], desk.now)?;
            let digest = hex::encode(gm::sm3(&asked.data));
            let detail = format!("serial {} sm3 {digest}", certificate.serial_hex());
            Ok((certificate, detail))
        })
        .await
    }
}

fn size(data: &[u8]) -> Result<usize, Fault> {
    if data.len() > MAX_DATA {
        return Err(Fault::new(
            Code::TooLarge,
            format!("最多 {MAX_DATA} 字节，请用分段接口"),
        ));
    }
    Ok(data.len())
}

fn verify(key: &PublicKey, algorithm: Algorithm, data: &[u8], signature: &[u8]) -> Result<(), Fault> {
    key.verify(algorithm, data, signature)
        .map_err(|_| Code::SignatureInvalid.into())
}
