//! From a request's fields to an act, and from what came of it to an answer.

use std::sync::Arc;

use gm::certificate::Info;
use gm::key::Sha2;
use gm::{Algorithm, USER_ID};

use super::fields::{Fields, Operation, missing};
use crate::application::KeyIndex;
use crate::fault::{Code, Fault};
use crate::service::{
    Begin, Caller, Choice, Kind, Level, Over, Purpose, Service, SignData, SignMessage, VerifyData, VerifyMessage,
    Wanted, Whose,
};

/// What an answer carries besides `respValue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Nothing,
    /// A certificate, DER.
    Cert(Vec<u8>),
    /// Of this name, as OCTET STRING.
    Bytes(&'static str, Vec<u8>),
    State(u8),
    Session(String),
}

/// Why there is no answer: an act refused (and entered it), or none was begun.
pub(super) enum No {
    Act(Fault),
    Early(Fault),
}

impl From<Fault> for No {
    fn from(fault: Fault) -> Self {
        Self::Early(fault)
    }
}

pub(super) async fn act(
    service: &Arc<Service>,
    caller: &Caller,
    operation: Operation,
    fields: &Fields,
) -> Result<Answer, No> {
    match operation {
        Operation::ExportCert | Operation::ParseCert | Operation::ValidateCert => {
            certificate(service, caller, operation, fields).await
        }
        Operation::SignData => {
            let asked = SignData {
                with: choice(fields)?,
                over: Over::Data(data(fields)?),
                signer_id: fields.sized("signerID")?,
            };
            let signed = service.sign_data(caller, asked).await.map_err(No::Act)?;
            Ok(Answer::Bytes("signature", signed.signature))
        }
        Operation::VerifySignedData => {
            let asked = VerifyData {
                signer: whose(fields)?,
                algorithm: Some(method(fields)?),
                over: Over::Data(data(fields)?),
                signer_id: fields.sized("signerID")?,
                signature: fields.needed("signature")?,
                level: level(fields)?,
            };
            service.verify_data(caller, asked).await.map_err(No::Act)?;
            Ok(Answer::Nothing)
        }
        Operation::SignMessage | Operation::VerifySignedMessage => message(service, caller, operation, fields).await,
        _ => session(service, caller, operation, fields).await,
    }
}

async fn certificate(
    service: &Arc<Service>,
    caller: &Caller,
    operation: Operation,
    fields: &Fields,
) -> Result<Answer, No> {
    match operation {
        Operation::ExportCert => {
            let name = fields
                .text("identification")?
                .ok_or_else(|| missing("identification"))?;
            let found = service
                .find_certificates(caller, Wanted::read(&name)?)
                .await
                .map_err(No::Act)?;
            let first = found.into_iter().next().ok_or(No::Early(Code::CertificateId.into()))?;
            Ok(Answer::Cert(first.der))
        }
        Operation::ParseCert => {
            let number = fields.number("infoType")?.ok_or_else(|| missing("infoType"))?;
            let unknown = || Fault::new(Code::InfoType, number.to_string());
            let item = Info::from_code(number).ok_or_else(unknown)?;
            let cert = fields.needed("cert")?;
            let items = service
                .read_certificate(caller, cert, Some(item))
                .await
                .map_err(No::Act)?;
            let text = items.into_iter().next().map(|one| one.text).unwrap_or_default();
            Ok(Answer::Bytes("info", text.into_bytes()))
        }
        _ => {
            let level = if fields.flag("ocsp")? {
                Level::Revocation
            } else {
                Level::Policy
            };
            let cert = fields.needed("cert")?;
            service.judge_certificate(caller, cert, level).await.map_err(No::Act)?;
            Ok(Answer::State(0))
        }
    }
}

async fn message(service: &Arc<Service>, caller: &Caller, operation: Operation, fields: &Fields) -> Result<Answer, No> {
    let id = fields.sized("signerID")?;
    if id.is_some_and(|id| id != USER_ID.as_bytes()) {
        // GB/T 35276 10: messages are signed under the usual id.
        return Err(Fault::new(Code::SignMethod, "消息签名只使用默认用户标识").into());
    }
    if operation == Operation::VerifySignedMessage {
        let asked = VerifyMessage {
            message: fields.needed("signedMessage")?,
            data: fields.sized("inData")?,
            certificate: None,
            level: Level::Policy,
        };
        service.verify_message(caller, asked).await.map_err(No::Act)?;
        return Ok(Answer::Nothing);
    }
    if fields.flag("crl")? {
        return Err(Fault::new(Code::RevocationUnreachable, "没有可随签名附带的吊销列表").into());
    }
    let attached = fields.flag("originalText")?;
    let asked = SignMessage {
        with: choice(fields)?,
        kind: if attached { Kind::Attached } else { Kind::Detached },
        over: Over::Data(data(fields)?),
        chain: fields.flag("certificateChain")?,
    };
    let signed = service.sign_message(caller, asked).await.map_err(No::Act)?;
    Ok(Answer::Bytes("signedMessage", signed.message))
}

async fn session(service: &Arc<Service>, caller: &Caller, operation: Operation, fields: &Fields) -> Result<Answer, No> {
    let purpose = match operation {
        Operation::SignDataInit | Operation::SignDataUpdate | Operation::SignDataFinal => Purpose::SignData,
        _ => Purpose::VerifyData,
    };
    match operation {
        Operation::SignDataInit | Operation::VerifySignedDataInit => {
            let asked = Begin {
                purpose,
                algorithm: Some(method(fields)?),
                public_key: fields.bytes("signerPublicKey")?,
                signer: None,
                with: Choice::default(),
                signer_id: fields.sized("signerID")?,
                data: fields.sized("inData")?.unwrap_or_default(),
            };
            let id = service.begin(caller, asked).await.map_err(No::Act)?;
            Ok(Answer::Session(id))
        }
        Operation::SignDataUpdate | Operation::VerifySignedDataUpdate => {
            let (id, data) = (fields.session()?, data(fields)?);
            service.feed(caller, purpose, id, data).await.map_err(No::Act)?;
            Ok(Answer::Nothing)
        }
        Operation::SignDataFinal => {
            let id = fields.session()?;
            let signed = service
                .finish_signing(caller, id, key(fields)?)
                .await
                .map_err(No::Act)?;
            Ok(Answer::Bytes("signature", signed.signature))
        }
        _ => {
            let (id, signer, level) = (fields.session()?, whose(fields)?, level(fields)?);
            let signature = fields.needed("signature")?;
            let done = service.finish_verifying(caller, id, signer, signature, level).await;
            done.map_err(No::Act)?;
            Ok(Answer::Nothing)
        }
    }
}

fn data(fields: &Fields) -> Result<Vec<u8>, Fault> {
    fields.sized("inData")?.ok_or_else(|| missing("inData"))
}

/// The algorithm by its number (GB/T 33560 `SGD_…`).
fn method(fields: &Fields) -> Result<Algorithm, Fault> {
    let number = fields.number("signMethod")?.ok_or_else(|| missing("signMethod"))?;
    match number {
        0x0002_0201 => Ok(Algorithm::Sm2),
        0x0001_0004 => Ok(Algorithm::RsaPkcs1(Sha2::Sha256)),
        _ => Err(Fault::new(Code::SignMethod, format!("{number:#010x}"))),
    }
}

fn key(fields: &Fields) -> Result<Choice, Fault> {
    Ok(Choice {
        key: fields.number("keyIndex")?.map(KeyIndex),
        access_code: fields.text("keyValue")?,
        algorithm: None,
    })
}

fn choice(fields: &Fields) -> Result<Choice, Fault> {
    Ok(Choice {
        algorithm: Some(method(fields)?),
        ..key(fields)?
    })
}

fn whose(fields: &Fields) -> Result<Whose, Fault> {
    match fields.number("type")? {
        Some(1) => Ok(Whose::Certificate(fields.bytes("cert")?.ok_or(Code::Certificate)?)),
        Some(2) => Ok(Whose::Serial(fields.text("certSN")?.ok_or_else(|| missing("certSN"))?)),
        Some(other) => Err(Fault::new(Code::DataFormat, format!("type {other}"))),
        None => Err(missing("type")),
    }
}

fn level(fields: &Fields) -> Result<Level, Fault> {
    let number = fields.number("verifyLevel")?.ok_or_else(|| missing("verifyLevel"))?;
    Level::numbered(number).ok_or_else(|| Fault::new(Code::DataFormat, format!("verifyLevel {number}")))
}
