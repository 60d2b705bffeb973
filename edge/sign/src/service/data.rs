//! Raw signatures (PKCS#1; SM2 as GB/T 35276 has it), each with an entry in the log that names key and digest.

use std::sync::Arc;

use gm::{Algorithm, Certificate};

use super::choice::Choice;
use super::judge::{Level, refused};
use super::{Caller, Service, Tool, Whose};
use crate::application::{Format, KeyIndex};
use crate::fault::{Code, Fault};
use crate::revocation::States;

/// Longer data is signed by parts.
pub const MAX_DATA: usize = 16 * 1024 * 1024;

/// What a signature is over.
#[derive(Debug)]
pub enum Over {
    /// The data itself.
    Data(Vec<u8>),
    /// Its digest, by the algorithm's hash; for SM2 that is e = SM3(Z ‖ M). The application vouches for it.
    Digest(Vec<u8>),
}

impl Over {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Data(bytes) | Self::Digest(bytes) => bytes,
        }
    }

    /// For the log.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Data(data) => format!("sm3 {}", hex::encode(gm::sm3(data))),
            Self::Digest(digest) => format!("digest {}", hex::encode(digest)),
        }
    }
}

/// Data to be signed.
#[derive(Debug)]
pub struct SignData {
    /// The key.
    pub with: Choice,
    /// The data.
    pub over: Over,
    /// SM2's user id, where it is not the usual one.
    pub signer_id: Option<Vec<u8>>,
}

/// A raw signature.
#[derive(Debug)]
pub struct SignedData {
    /// DER for SM2 and ECDSA, the bare number for RSA.
    pub signature: Vec<u8>,
    /// The key it was made with.
    pub key: KeyIndex,
    /// What it was made by.
    pub algorithm: Algorithm,
    /// The key's certificate.
    pub certificate: Certificate,
}

/// A raw signature to be verified.
#[derive(Debug)]
pub struct VerifyData {
    /// Whose it is said to be.
    pub signer: Whose,
    /// What it was made by; the key's usual one when absent.
    pub algorithm: Option<Algorithm>,
    /// What it is over.
    pub over: Over,
    /// SM2's user id, where it is not the usual one.
    pub signer_id: Option<Vec<u8>>,
    /// The signature.
    pub signature: Vec<u8>,
    /// How much of the certificate is looked at.
    pub level: Level,
}

/// A certificate that holds, with its path.
#[derive(Debug)]
pub struct Judged {
    /// The certificate.
    pub certificate: Certificate,
    /// From it to the root; itself alone where its time alone was looked at.
    pub path: Vec<Certificate>,
    /// The states on the path, as far as they were asked.
    pub(crate) states: States,
}

impl Service {
    /// Signs data.
    pub async fn sign_data(self: &Arc<Self>, caller: &Caller, asked: SignData) -> Result<SignedData, Fault> {
        let bytes = asked.over.bytes().len();
        let tool = Tool::Key(asked.with.key);
        self.perform_with(caller, "data.signed", Some(Format::Pkcs1), bytes, tool, move |desk| {
            bounded(bytes)?;
            let key = desk.key(asked.with.key, asked.with.access_code.as_deref())?;
            let hand = key.hand(asked.with.algorithm, desk.now)?;
            let signature = match &asked.over {
                Over::Data(data) => hand.sign_data(data, asked.signer_id.as_deref())?,
                Over::Digest(digest) => hand.sign_digest(digest)?,
            };
            let serial = hand.own.serial_hex();
            let name = hand.algorithm.name();
            let detail = format!("key {} serial {serial} {name} {}", key.index.0, asked.over.describe());
            let signed = SignedData {
                signature,
                key: key.index,
                algorithm: hand.algorithm,
                certificate: hand.own.clone(),
            };
            Ok((signed, detail))
        })
        .await
    }

    /// Verifies a signature over data, and the certificate.
    pub async fn verify_data(self: &Arc<Self>, caller: &Caller, asked: VerifyData) -> Result<Judged, Fault> {
        let bytes = asked.over.bytes().len();
        let service = Arc::clone(self);
        self.perform(caller, "data.verified", Some(Format::Pkcs1), bytes, move |desk| {
            bounded(bytes)?;
            let certificate = service.whose(desk, &asked.signer)?;
            let key = &certificate.public_key;
            let algorithm = asked.algorithm.unwrap_or_else(|| Algorithm::default_of(key.kind()));
            match (&asked.over, asked.signer_id.as_deref()) {
                (Over::Data(data), Some(id)) if algorithm == Algorithm::Sm2 => {
                    key.fits(algorithm).map_err(refused)?;
                    key.verify_with_id(id, data, &asked.signature)
                }
                (_, Some(_)) => return Err(Fault::new(Code::SignMethod, "只有 SM2 对数据的签名带用户标识")),
                (Over::Data(data), None) => key.verify(algorithm, data, &asked.signature),
                (Over::Digest(digest), None) => key.verify_digest(algorithm, digest, &asked.signature),
            }
            .map_err(refused)?;
            if asked.level != Level::Time {
                certificate.may_sign_documents().map_err(refused)?;
            }
            let (path, states) = desk.judge(&certificate, &[], desk.now, asked.level)?;
            let detail = format!("serial {} {}", certificate.serial_hex(), asked.over.describe());
            let judged = Judged {
                certificate,
                path,
                states,
            };
            Ok((judged, detail))
        })
        .await
    }
}

pub(crate) fn bounded(bytes: usize) -> Result<(), Fault> {
    if bytes > MAX_DATA {
        let text = format!("最多 {MAX_DATA} 字节，请用分段接口");
        return Err(Fault::new(Code::TooLarge, text));
    }
    Ok(())
}
