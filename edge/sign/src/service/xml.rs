//! XML signatures (XML-DSig): within the document, around it, beside it.

use std::sync::Arc;

use gm::Certificate;
use records::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;
use xmldsig::{Detached, Draft, Options, Work};

use super::choice::Choice;
use super::data::bounded;
use super::judge::{Level, refused, xml_refused};
use super::message::Signatory;
use super::{Caller, Desk, Service, Tool};
use crate::application::{Format, KeyIndex};
use crate::fault::{Code, Fault};

/// Where the signature goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum XmlKind {
    /// Into the document.
    #[default]
    Enveloped,
    /// Around the document.
    Enveloping,
    /// Beside it: any bytes, known by their name.
    Detached,
}

/// An XML signature to be made.
#[derive(Debug)]
pub struct SignXml {
    /// The key.
    pub with: Choice,
    /// Where the signature goes.
    pub kind: XmlKind,
    /// The document, or the bytes beside which the signature stands.
    pub document: Vec<u8>,
    /// Id of the element to be signed (enveloped); the whole document when absent.
    pub id: Option<String>,
    /// Name of the content (detached).
    pub uri: Option<String>,
    /// The signing time is stated and signed.
    pub timed: bool,
}

/// A signed document.
#[derive(Debug)]
pub struct SignedXml {
    /// The document with its signature; of a detached one the signature alone.
    pub document: String,
    /// The key it was made with.
    pub key: KeyIndex,
    /// Serial number of the signer's certificate, in hexadecimal.
    pub serial: String,
}

/// A signed document to be verified.
#[derive(Debug)]
pub struct VerifyXml {
    /// The document.
    pub document: Vec<u8>,
    /// Content beside it: name and bytes.
    pub beside: Option<(String, Vec<u8>)>,
    /// The signer's certificate, where the signature does not hold it.
    pub certificate: Option<Vec<u8>>,
    /// How much of the certificates is looked at.
    pub level: Level,
}

/// An XML signature that holds.
#[derive(Debug)]
pub struct VerifiedXml {
    /// Who signed.
    pub signatory: Signatory,
    /// What was signed, as the signature names it, in canonical form: this and nothing else of the document.
    pub covered: Vec<(String, Vec<u8>)>,
}

impl Service {
    /// Signs XML.
    pub async fn sign_xml(self: &Arc<Self>, caller: &Caller, asked: SignXml) -> Result<SignedXml, Fault> {
        let bytes = asked.document.len();
        let tool = Tool::Key(asked.with.key);
        self.perform_with(caller, "xml.signed", Some(Format::Xml), bytes, tool, move |desk| {
            bounded(bytes)?;
            let key = desk.key(asked.with.key, asked.with.access_code.as_deref())?;
            let hand = key.hand(asked.with.algorithm, desk.now)?;
            let options = Options::default();
            let draft = Draft {
                signing_time: asked.timed.then(|| desk.now.offset()),
                ..Draft::default()
            };
            let work = asked.work()?;
            let document = xmldsig::sign(work, &hand, hand.chain, &draft, &options).map_err(xml_refused)?;
            let beside = asked.beside();
            // What does not verify is never answered (faulty memory).
            xmldsig::verify(document.as_bytes(), beside.as_slice(), None, &options).map_err(xml_refused)?;
            let serial = hand.own.serial_hex();
            let digest = hex::encode(gm::sm3(&asked.document));
            let detail = format!("key {} serial {serial} {:?} sm3 {digest}", key.index.0, asked.kind);
            let signed = SignedXml {
                document,
                key: key.index,
                serial,
            };
            Ok((signed, detail))
        })
        .await
    }

    /// Verifies every signature of an XML document.
    pub async fn verify_xml(self: &Arc<Self>, caller: &Caller, asked: VerifyXml) -> Result<Vec<VerifiedXml>, Fault> {
        let bytes = asked.document.len() + asked.beside.as_ref().map_or(0, |(_, bytes)| bytes.len());
        self.perform(caller, "xml.verified", Some(Format::Xml), bytes, move |desk| {
            bounded(bytes)?;
            let verified = verify(desk, &asked)?;
            let serials = verified.iter().map(|one| one.signatory.certificate.serial_hex());
            let detail = format!("serial {}", serials.collect::<Vec<_>>().join(","));
            Ok((verified, detail))
        })
        .await
    }
}

impl SignXml {
    fn work(&self) -> Result<Work<'_>, Fault> {
        let text = || {
            let read = std::str::from_utf8(&self.document);
            read.map_err(|_| Fault::new(Code::DataFormat, "XML 文档应为 UTF-8 编码"))
        };
        Ok(match self.kind {
            XmlKind::Enveloped => Work::Enveloped {
                document: text()?,
                id: self.id.as_deref(),
            },
            XmlKind::Enveloping => Work::Enveloping { document: text()? },
            XmlKind::Detached => Work::Detached {
                uri: self.uri(),
                content: &self.document,
            },
        })
    }

    fn uri(&self) -> &str {
        self.uri.as_deref().unwrap_or("content")
    }

    fn beside(&self) -> Vec<Detached<'_>> {
        match self.kind {
            XmlKind::Detached => vec![Detached {
                uri: self.uri(),
                bytes: &self.document,
            }],
            XmlKind::Enveloped | XmlKind::Enveloping => Vec::new(),
        }
    }
}

fn verify(desk: &Desk, asked: &VerifyXml) -> Result<Vec<VerifiedXml>, Fault> {
    let beside = asked.beside.as_ref().map(|(uri, bytes)| Detached { uri, bytes });
    let certificate = asked.certificate.as_deref().map(Certificate::parse).transpose();
    let certificate = certificate.map_err(|reason| Fault::new(Code::CertificateDecode, reason.to_string()))?;
    let found = xmldsig::verify(
        &asked.document,
        beside.as_slice(),
        certificate.as_ref(),
        &Options::default(),
    );
    let mut verified = Vec::new();
    for one in found.map_err(xml_refused)? {
        let signed_at = one.signing_time.map(Timestamp::from_offset);
        if signed_at.is_some_and(|at| at > desk.now.plus(SKEW)) {
            return Err(Code::SignedInFuture.into());
        }
        if asked.level != Level::Time {
            one.certificate.may_sign_documents().map_err(refused)?;
        }
        let (path, states) = desk.judge(
            &one.certificate,
            &one.others,
            signed_at.unwrap_or(desk.now),
            asked.level,
        )?;
        verified.push(VerifiedXml {
            signatory: Signatory {
                certificate: one.certificate,
                path,
                algorithm: one.algorithm,
                signed_at,
                stamped_at: None,
                states,
            },
            covered: one.covered.into_iter().map(|c| (c.uri, c.canonical_bytes)).collect(),
        });
    }
    Ok(verified)
}

/// Clocks of two machines may differ by this much.
const SKEW: std::time::Duration = std::time::Duration::from_secs(300);
