//! From a call to an act, and from what came of it to the text that is returned.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::certificate::Info;

use super::envelope::Call;
use super::wsdl::OPERATIONS;
use crate::application::KeyIndex;
use crate::fault::{Code, Fault};
use crate::service::{
    Caller, Choice, Kind, Level, Over, Service, SignData, SignMessage, SignXml, Sm2Form, VerifiedMessage, VerifyData,
    VerifyMessage, VerifyXml, Wanted, Whose, XmlKind,
};

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

const TRUE: &str = "true";

/// The parameters of a call: by name, or by place when a client numbers them (`arg0`, `in0`).
struct Parameters<'c> {
    call: &'c Call,
    names: &'static [&'static str],
}

impl Parameters<'_> {
    fn optional(&self, name: &str) -> Option<&str> {
        let place = self
            .names
            .iter()
            .position(|known| known.trim_end_matches('?') == name)?;
        let numbered = [format!("arg{place}"), format!("in{place}")];
        let found = self
            .call
            .parameters
            .iter()
            .find(|(key, _)| key == name || numbered.contains(key));
        found.map(|(_, value)| value.as_str())
    }

    fn text(&self, name: &str) -> Result<&str, Fault> {
        self.optional(name)
            .ok_or_else(|| Fault::new(Code::DataFormat, format!("缺少 {name}")))
    }

    fn base64(&self, name: &str) -> Result<Vec<u8>, Fault> {
        let bare: String = self.text(name)?.split_ascii_whitespace().collect();
        STANDARD
            .decode(bare)
            .map_err(|_| Fault::new(Code::DataFormat, format!("{name} 不是 Base64")))
    }

    fn number(&self, name: &str) -> Result<u32, Fault> {
        let text = self.text(name)?.trim();
        text.parse()
            .map_err(|_| Fault::new(Code::DataFormat, format!("{name} 不是数字")))
    }

    fn data(&self) -> Result<Over, Fault> {
        Ok(Over::Data(self.text("InData")?.as_bytes().to_vec()))
    }

    fn with(&self) -> Result<Choice, Fault> {
        let id = self.optional("CertID").map(str::trim).filter(|id| !id.is_empty());
        let key = id.map(|id| id.parse().map(KeyIndex).map_err(|_| Fault::new(Code::KeyIndex, id)));
        Ok(Choice {
            key: key.transpose()?,
            ..Choice::default()
        })
    }
}

pub(super) async fn act(service: &Arc<Service>, caller: &Caller, call: &Call) -> Result<String, No> {
    let known = OPERATIONS.iter().find(|(name, ..)| *name == call.operation);
    let (name, names, _) = known.ok_or_else(|| {
        let name: String = call.operation.chars().take(40).collect();
        Fault::new(Code::NotFound, name)
    })?;
    let asked = Parameters { call, names };
    match *name {
        "SOF_SignData" => {
            let act = SignData {
                with: asked.with()?,
                over: asked.data()?,
                signer_id: None,
            };
            let signed = service.sign_data(caller, act).await.map_err(No::Act)?;
            Ok(STANDARD.encode(signed.signature))
        }
        "SOF_VerifySignedData" => {
            let act = VerifyData {
                signer: Whose::Certificate(asked.base64("Cert")?),
                algorithm: None,
                over: asked.data()?,
                signer_id: None,
                signature: asked.base64("SignValue")?,
                level: Level::Policy,
            };
            service.verify_data(caller, act).await.map_err(No::Act)?;
            Ok(TRUE.to_owned())
        }
        "SOF_SignDataXML" | "SOF_VerifySignedDataXML" => xml(service, caller, name, &asked).await,
        "SOF_GetCertInfo" | "SOF_GetCertInfoByOid" | "SOF_ValidateCert" | "SOF_GetServerCertificate" => {
            certificate(service, caller, name, &asked).await
        }
        "SOF_PubKeyEncrypt" => {
            let (certificate, data) = (asked.base64("Cert")?, asked.text("InData")?.as_bytes().to_vec());
            let sealed = service.encrypt_to(caller, certificate, data, Sm2Form::Der).await;
            Ok(STANDARD.encode(sealed.map_err(No::Act)?))
        }
        "SOF_PriKeyDecrypt" => {
            let (with, data) = (asked.with()?, asked.base64("InData")?);
            let plain = service
                .decrypt_with_key(caller, with, data, Sm2Form::Der)
                .await
                .map_err(No::Act)?;
            let text = String::from_utf8(plain.to_vec());
            text.map_err(|_| No::Early(Fault::new(Code::DataFormat, "解密结果不是 UTF-8 文本")))
        }
        "SOF_GenRandom" => {
            let bytes = usize::try_from(asked.number("RandomLen")?).unwrap_or(usize::MAX);
            let drawn = service.random(caller, bytes).await.map_err(No::Act)?;
            Ok(STANDARD.encode(drawn.as_slice()))
        }
        "SOF_CreateTimeStampRequest"
        | "SOF_CreateTimeStampResponse"
        | "SOF_VerifyTimeStamp"
        | "SOF_GetTimeStampInfo" => stamp(service, caller, name, &asked).await,
        _ => message(service, caller, name, &asked).await,
    }
}

/// Time stamps (RFC 3161, GM/T 0033): requests and replies are Base64.
async fn stamp(service: &Arc<Service>, caller: &Caller, name: &str, asked: &Parameters<'_>) -> Result<String, No> {
    match name {
        "SOF_CreateTimeStampRequest" => {
            let data = asked.text("InData")?.as_bytes().to_vec();
            let request = service.ask_stamp(caller, data).await.map_err(No::Act)?;
            Ok(STANDARD.encode(request))
        }
        "SOF_CreateTimeStampResponse" => {
            let request = asked.base64("TsRequest")?;
            let reply = service.stamp(caller, None, request).await.map_err(No::Act)?;
            Ok(STANDARD.encode(reply))
        }
        "SOF_VerifyTimeStamp" => {
            let data = asked.text("InData")?.as_bytes().to_vec();
            let reply = asked.base64("TsResponse")?;
            let seen = service.verify_stamp(caller, reply, Some(data)).await;
            seen.map_err(No::Act)?;
            Ok(TRUE.to_owned())
        }
        _ => {
            let item = asked.number("Type")?;
            if !matches!(item, 1..=4) {
                let text = "Type 应为 1（时间）、2（签发者名称）、3（签发者证书）或 4（原文摘要）";
                return Err(Fault::new(Code::InfoType, text).into());
            }
            let reply = asked.base64("TsResponse")?;
            let seen = service.verify_stamp(caller, reply, None).await.map_err(No::Act)?;
            Ok(match item {
                1 => seen.at.to_string(),
                2 => seen.unit.subject.common_name,
                3 => STANDARD.encode(&seen.unit.der),
                _ => STANDARD.encode(&seen.digest),
            })
        }
    }
}

async fn message(service: &Arc<Service>, caller: &Caller, name: &str, asked: &Parameters<'_>) -> Result<String, No> {
    let kind = match name {
        "SOF_SignDataByP7" => Some(Kind::Attached),
        "SOF_SignMessageDetach" => Some(Kind::Detached),
        "SOF_SignMessage" => Some(match asked.number("Flag")? {
            0 => Kind::Detached,
            1 => Kind::Attached,
            _ => return Err(Fault::new(Code::DataFormat, "Flag 应为 0（不带原文）或 1（带原文）").into()),
        }),
        _ => None,
    };
    if let Some(kind) = kind {
        let act = SignMessage {
            with: asked.with()?,
            kind,
            over: asked.data()?,
            chain: true,
        };
        let signed = service.sign_message(caller, act).await.map_err(No::Act)?;
        return Ok(STANDARD.encode(signed.message));
    }
    let verify = async |message: Vec<u8>, data: Option<Vec<u8>>| -> Result<VerifiedMessage, No> {
        let act = VerifyMessage {
            message,
            data,
            certificate: None,
            level: Level::Policy,
        };
        service.verify_message(caller, act).await.map_err(No::Act)
    };
    match name {
        "SOF_VerifySignedDataByP7" => {
            verify(asked.base64("P7Data")?, None).await?;
            Ok(TRUE.to_owned())
        }
        "SOF_GetP7SignDataInfo" => {
            let item = asked.number("Type")?;
            if !matches!(item, 1 | 2) {
                return Err(Fault::new(Code::InfoType, "Type 应为 1（原文）或 2（签名者证书）").into());
            }
            let seen = verify(asked.base64("P7Data")?, None).await?;
            if item == 1 {
                let text = String::from_utf8(seen.content.unwrap_or_default());
                return text.map_err(|_| No::Early(Fault::new(Code::DataFormat, "原文不是 UTF-8 文本")));
            }
            let signer = seen.signers.first().map(|who| STANDARD.encode(&who.certificate.der));
            Ok(signer.unwrap_or_default())
        }
        _ => {
            let data = asked.optional("InData").map(|text| text.as_bytes().to_vec());
            verify(asked.base64("SignedMessage")?, data).await?;
            Ok(TRUE.to_owned())
        }
    }
}

async fn xml(service: &Arc<Service>, caller: &Caller, name: &str, asked: &Parameters<'_>) -> Result<String, No> {
    let document = asked.text("InData")?.as_bytes().to_vec();
    if name == "SOF_SignDataXML" {
        let act = SignXml {
            with: asked.with()?,
            kind: XmlKind::Enveloped,
            document,
            id: None,
            uri: None,
            timed: false,
        };
        return Ok(service.sign_xml(caller, act).await.map_err(No::Act)?.document);
    }
    let act = VerifyXml {
        document,
        beside: None,
        certificate: None,
        level: Level::Policy,
    };
    service.verify_xml(caller, act).await.map_err(No::Act)?;
    Ok(TRUE.to_owned())
}

async fn certificate(
    service: &Arc<Service>,
    caller: &Caller,
    name: &str,
    asked: &Parameters<'_>,
) -> Result<String, No> {
    match name {
        "SOF_GetCertInfo" => {
            let number = asked.number("Type")?;
            let item = Info::from_code(number).ok_or_else(|| Fault::new(Code::InfoType, number.to_string()))?;
            let certificate = asked.base64("Cert")?;
            let items = service
                .read_certificate(caller, certificate, Some(item))
                .await
                .map_err(No::Act)?;
            Ok(items.into_iter().next().map(|one| one.text).unwrap_or_default())
        }
        "SOF_GetCertInfoByOid" => {
            let (certificate, id) = (asked.base64("Cert")?, asked.text("Oid")?.trim().to_owned());
            service.read_extension(caller, certificate, id).await.map_err(No::Act)
        }
        "SOF_GetServerCertificate" => {
            let first = caller.application.policy.keys.first().copied();
            let index = asked.with()?.key.or(first).ok_or(Fault::from(Code::KeyNotPermitted))?;
            let found = service
                .find_certificates(caller, Wanted::Key(index))
                .await
                .map_err(No::Act)?;
            Ok(found.first().map(|one| STANDARD.encode(&one.der)).unwrap_or_default())
        }
        _ => {
            let certificate = asked.base64("Cert")?;
            service
                .judge_certificate(caller, certificate, Level::Policy)
                .await
                .map_err(No::Act)?;
            Ok(TRUE.to_owned())
        }
    }
}
